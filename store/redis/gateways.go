package redis

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// gatewayForgotten is how long after its last beat a gateway that wasn't stopped in order
// is taken off the list.
const gatewayForgotten = time.Hour

// usualHolds is how long a gateway may use what it holds without hearing of changes,
// unless it says otherwise.
const usualHolds = 2 * time.Minute

// Holds implements store.Shared.
func (s *Store) Holds(d time.Duration) {
	s.holds.Store(int64(d))
	s.beatNow()
}

// leave takes this gateway off the list.
func (s *Store) leave() {
	ctx, cancel := context.WithTimeout(noContext, s.budget)
	defer cancel()
	cmd := redis.NewIntCmd(noContext, "hdel", s.keys.gateways, s.name)
	if err := s.trySend(ctx, unsafe, []redis.Cmder{cmd}); err != nil { // not send, which fails once the store is closed
		s.log.Debug("taking this gateway off the list", "store", s.where, "error", err)
	}
}

// gateway is a gateway as it said itself.
type gateway struct {
	store.Gateway
	holds time.Duration // see Holds
	mark  string        // of the change that it follows to, in hexadecimal; "": it doesn't say; "-": it doesn't know
}

// lives reports whether the gateway may hold something, at a time of the server.
// It trusts what it holds for beatLimit after the last of its beats that was taken; a
// master that was cut off may have taken some for replicaSilence seconds more. A beat in
// the future is from before the server's clock was set back, or from another server, whose
// clock was ahead: a gateway that lives has another one a moment later.
func (g *gateway) lives(now time.Time) bool {
	return now.Sub(g.LastSeen).Abs() < beatLimit+replicaSilence*time.Second+g.holds
}

// scriptForget takes a gateway off the list, unless it has said something meanwhile.
//
//	KEYS  gateways
//	ARGV  name, what it had said
const scriptForget = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1`

// gateways returns those who follow, by name, and the server's time.
func (s *Store) gateways(ctx context.Context) (all []gateway, now time.Time, err error) {
	entries := redis.NewMapStringStringCmd(noContext, "hgetall", s.keys.gateways)
	clock := redis.NewTimeCmd(noContext, "time")
	if err := s.send(ctx, entries, clock); err != nil {
		return nil, time.Time{}, err
	}
	now = clock.Val()
	for _, name := range slices.Sorted(maps.Keys(entries.Val())) {
		said := entries.Val()[name]
		var position uint64
		var seen, holds int64
		var mark string
		if n, err := fmt.Sscan(said, &position, &seen, &holds, &mark); err != nil && n < 3 {
			s.log.Warn("a gateway's entry can't be read and is passed over", "store", s.where, "gateway", name)
			continue
		}
		g := gateway{
			store.Gateway{Name: name, Follows: store.Position(position), LastSeen: time.UnixMilli(seen).UTC()},
			time.Duration(holds) * time.Millisecond, mark,
		}
		if now.Sub(g.LastSeen).Abs() > gatewayForgotten && !g.lives(now) {
			s.send(ctx, eval(scriptForget, []string{s.keys.gateways}, name, said)) // or next time
			continue
		}
		all = append(all, g)
	}
	return all, now, nil
}

// Acknowledged implements store.Shared.
func (s *Store) Acknowledged(ctx context.Context, upTo store.Position) (acknowledged, pending int, err error) {
	all, now, err := s.gateways(ctx)
	if err != nil {
		return 0, 0, s.reading("the gateways", err)
	}
	fed, err := s.marks(ctx, all, upTo)
	if err != nil {
		return 0, 0, s.reading("the feed", err)
	}
	for _, g := range all {
		switch {
		case g.Follows >= upTo && (g.mark == "" || g.mark == fed[g.Follows]), g.Name == s.name && s.told.position() >= upTo:
			acknowledged++
		case g.lives(now):
			pending++
		}
	}
	return acknowledged, pending, nil
}

// marks returns the marks, in hexadecimal, that the feed has at the positions that gateways
// follow to, from one position on. If Redis has lost changes, and their positions are used
// again, a gateway that hasn't noticed yet follows to a change with another mark.
func (s *Store) marks(ctx context.Context, all []gateway, from store.Position) (map[store.Position]string, error) {
	var cmds []*redis.XMessageSliceCmd
	marks := map[store.Position]string{}
	for _, g := range all {
		if _, asked := marks[g.Follows]; g.Follows < from || asked {
			continue
		}
		marks[g.Follows] = ""
		id := streamID(uint64(g.Follows))
		cmds = append(cmds, redis.NewXMessageSliceCmd(noContext, "xrange", s.keys.feed, id, id))
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	if err := s.send(ctx, cmders(cmds)...); err != nil {
		return nil, err
	}
	for _, c := range cmds {
		for _, m := range c.Val() {
			mark, _ := m.Values["mark"].(string)
			if n, err := streamNumber(m.ID); err == nil {
				marks[store.Position(n)] = hex.EncodeToString([]byte(mark))
			}
		}
	}
	return marks, nil
}
