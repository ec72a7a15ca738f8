package redis

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// gatewayForgotten is when a gateway that was not stopped in order is taken off the
// list.
const gatewayForgotten = time.Hour

// leave takes this gateway off the list.
func (s *Store) leave() {
	ctx, cancel := context.WithTimeout(noContext, s.budget)
	defer cancel()
	cmd := redis.NewIntCmd(noContext, "hdel", s.keys.gateways, s.name)
	if err := s.trySend(ctx, unsafe, []keyed{{s.keys.gateways, cmd}}); err != nil { // closed to all others
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
// It heard of changes for as long as its beats were taken, and a little longer.
func (g *gateway) lives(now time.Time) bool {
	return now.Sub(g.LastSeen) < beatLimit+g.holds
}

// gateways returns those who follow, by name, and the server's time.
func (s *Store) gateways(ctx context.Context) (all []gateway, now time.Time, err error) {
	entries := redis.NewMapStringStringCmd(noContext, "hgetall", s.keys.gateways)
	clock := redis.NewTimeCmd(noContext, "time")
	if err := s.send(ctx, unsafe, keyed{s.keys.gateways, entries}, keyed{s.keys.gateways, clock}); err != nil {
		return nil, time.Time{}, err
	}
	now = clock.Val()
	for _, name := range slices.Sorted(maps.Keys(entries.Val())) {
		var position uint64
		var seen, holds int64
		var mark string
		if n, err := fmt.Sscan(entries.Val()[name], &position, &seen, &holds, &mark); err != nil && n < 3 {
			s.log.Warn("a gateway's entry can't be read and is passed over", "store", s.where, "gateway", name)
			continue
		}
		g := gateway{
			store.Gateway{Name: name, Follows: store.Position(position), LastSeen: time.UnixMilli(seen).UTC()},
			time.Duration(holds) * time.Millisecond, mark,
		}
		if now.Sub(g.LastSeen) > gatewayForgotten && !g.lives(now) {
			s.send(ctx, unsafe, keyed{s.keys.gateways, redis.NewIntCmd(noContext, "hdel", s.keys.gateways, name)})
			continue
		}
		all = append(all, g)
	}
	return all, now, nil
}

// Acknowledged implements store.Acknowledger.
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

// marks returns the marks, in hexadecimal, of the changes that gateways follow to, from
// one on, as the feed has them. Where Redis has lost changes, and their positions are
// used again, a gateway that hasn't noticed yet follows to another one.
func (s *Store) marks(ctx context.Context, all []gateway, from store.Position) (map[store.Position]string, error) {
	var cmds []keyed
	marks := map[store.Position]string{}
	for _, g := range all {
		if _, asked := marks[g.Follows]; g.Follows < from || asked {
			continue
		}
		marks[g.Follows] = ""
		id := fmt.Sprintf("%d-0", g.Follows)
		cmds = append(cmds, keyed{s.keys.feed, redis.NewXMessageSliceCmd(noContext, "xrange", s.keys.feed, id, id)})
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	if err := s.send(ctx, unsafe, cmds...); err != nil {
		return nil, err
	}
	for _, c := range cmds {
		for _, m := range c.cmd.(*redis.XMessageSliceCmd).Val() {
			var n store.Position
			mark, _ := m.Values["mark"].(string)
			if _, err := fmt.Sscanf(m.ID, "%d-", &n); err == nil {
				marks[n] = hex.EncodeToString([]byte(mark))
			}
		}
	}
	return marks, nil
}

// eachServer calls f for the server, or every master of a Cluster.
func (s *Store) eachServer(ctx context.Context, f func(ctx context.Context, server *redis.Client) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.cluster != nil {
		return plain(s.cluster.ForEachMaster(ctx, f))
	}
	return plain(f(ctx, s.client.(*redis.Client)))
}

// Reach implements store.Reachable. A Cluster may go on without one of its masters
// (cluster-require-full-coverage no).
func (s *Store) Reach(ctx context.Context) error {
	if s.cluster == nil { // a single server is heard, or it isn't there
		return s.usable(ctx)
	}
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		if err := server.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("%s doesn't answer: %w", server.Options().Addr, err)
		}
		return nil
	})
}

// forbidden reports whether the redis user may not ask that.
func forbidden(err error) bool { return strings.Contains(err.Error(), "NOPERM") }

// warn says what would lose tokens.
func (s *Store) warn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		info := redis.NewStringCmd(noContext, "info", "everything")
		if err := server.Process(ctx, info); err != nil {
			return err
		}
		save := redis.NewMapStringStringCmd(noContext, "config", "get", "save")
		server.Process(ctx, save) // may be forbidden
		for _, w := range warnings(info.Val(), save.Val()) {
			s.log.Warn(w, "store", s.where, "server", server.Options().Addr)
		}
		return nil
	})
}

// infoField returns a field of INFO, or "".
func infoField(info, name string) string {
	_, rest, _ := strings.Cut(info, "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// warnings returns what in a server's INFO, and CONFIG GET save where that may
// be asked, would lose tokens.
func warnings(info string, config map[string]string) (all []string) {
	field := func(name string) string { return infoField(info, name) }
	if v := cmp.Or(field("valkey_version"), field("redis_version")); v != "" {
		if major, _, _ := strings.Cut(v, "."); len(major) == 1 && major < "7" {
			all = append(all, "this redis server is too old: patgate needs Redis 7, or Valkey 7.2, or later; it is "+v)
		}
	}
	if field("role") == "master" && field("cluster_enabled") != "1" && field("connected_slaves") != "0" && field("min_slaves_good_slaves") == "" {
		all = append(all, "REVOCATIONS MAY BE LOST in a fail-over: a master that is cut off from its replicas goes on taking changes; set min-replicas-to-write 1")
	}
	save, asked := config["save"]
	switch {
	case field("aof_enabled") != "0":
	case asked && save == "":
		all = append(all, "TOKENS WILL BE LOST when this redis server restarts: it has neither appendonly nor save; set appendonly yes")
	default:
		all = append(all, "tokens and revocations of the last minutes will be lost when this redis server crashes: it has no appendonly; set appendonly yes")
	}
	if limit, policy := field("maxmemory"), field("maxmemory_policy"); limit != "0" && limit != "" && policy != "noeviction" {
		all = append(all, fmt.Sprintf("TOKENS MAY BE DROPPED by this redis server when its memory is full: maxmemory-policy is %s; set it to noeviction", policy))
	}
	return all
}
