package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// luaRecord defines record, which writes the events in the last arguments to the
// last two keys, the events and their index: triples of an event and the two
// members of the index that it has, without its number, and then how many triples
// there are. own is the last argument that is not about events.
const luaRecord = luaEnd + `
local own = #ARGV - 1 - 3 * tonumber(ARGV[#ARGV])
local function record(head)
  if own == #ARGV - 1 then return end
  local n = tonumber(redis.call('HGET', head, 'events') or last(KEYS[#KEYS - 1]))
  for i = own + 1, #ARGV - 1, 3 do
    n = n + 1
    write('XADD', KEYS[#KEYS - 1], string.format('%.0f-0', n), 'e', ARGV[i])
    for _, member in ipairs({ARGV[i + 1], ARGV[i + 2]}) do
      if member ~= '' then write('ZADD', KEYS[#KEYS], 0, member .. string.format('%016.0f', n)) end
    end
  end
  write('HSET', head, 'events', string.format('%.0f', n))
end
`

// scriptRecord adds events that go with no change. It must not be sent twice.
//
//	KEYS  head, events, their index
//	ARGV  as luaRecord has them
const scriptRecord = luaWrites + luaRecord + `
record(KEYS[1])
make()
return 1`

// evalWith is eval for a script that calls record, with events.
func (s *Store) evalWith(events []store.Event, script string, keys []string, args ...any) *redis.Cmd {
	for _, e := range events {
		e.ID = ""                 // follows from the number
		raw, _ := json.Marshal(e) // texts, and the time of a clock: never fails
		ofToken, ofOwner := eventMembers(&e)
		args = append(args, raw, ofToken, ofOwner)
	}
	return eval(script, append(keys, s.keys.events, s.keys.eventsBy), append(args, len(events))...)
}

// eventMembers returns the members of the index that an event has, without its
// number; ofToken is empty if it is about no token. No name has a 0, so that an
// index of each is one range.
func eventMembers(e *store.Event) (ofToken, ofOwner string) {
	if e.TokenID != "" {
		ofToken = "t" + e.TokenID + "\x00"
	}
	return ofToken, "o" + e.Owner + "\x00"
}

// eventNumber returns the end of a member.
func eventNumber(n uint64) string { return fmt.Sprintf("%016d", n) }

// Record implements store.Journal.
func (s *Store) Record(ctx context.Context, events ...store.Event) error {
	cmd := s.evalWith(events, scriptRecord, []string{s.keys.head})
	return s.changing("recording events", s.sendOnce(ctx, unsafe, cmd))
}

// Events implements store.Journal.
func (s *Store) Events(ctx context.Context, q store.EventQuery) (events []store.Event, next string, err error) {
	at, err := strconv.ParseUint("0"+q.Before+q.After, 10, 63)
	if err != nil {
		return nil, "", fmt.Errorf("event %q: not the id of an event", q.Before+q.After)
	}
	if q.Before != "" && at == 0 {
		return nil, "", nil // nothing is before the first
	}
	w := eventWalk{Store: s, backward: q.After == "", at: at}
	switch {
	case q.TokenID != "":
		w.prefix = "t" + q.TokenID + "\x00"
	case q.Owner != nil:
		w.prefix = "o" + *q.Owner + "\x00"
	}
	next = q.After
	for !w.done {
		page, err := w.page(ctx)
		if err != nil {
			return nil, "", s.reading("events", err)
		}
		for _, e := range page {
			if q.Ends(&e) {
				return events, "", nil
			}
			if !q.Selects(&e) {
				continue
			}
			if q.Limit > 0 && len(events) == q.Limit {
				return events, events[len(events)-1].ID, nil
			}
			events = append(events, e)
		}
	}
	if q.After != "" && len(events) > 0 {
		next = events[len(events)-1].ID
	}
	return events, next, nil
}

// eventWalk walks through the events, or those in one index.
type eventWalk struct {
	*Store
	prefix   string // of the members of the index; "": all events
	backward bool
	at       uint64 // the number of the last one seen; 0: none
	done     bool
}

// page returns the next events.
func (w *eventWalk) page(ctx context.Context) (events []store.Event, err error) {
	if w.prefix != "" {
		return w.indexPage(ctx)
	}
	verb, from, to := "xrange", streamID(w.at+1), "+"
	if w.backward {
		verb, from, to = "xrevrange", "+", "-"
		if w.at > 0 {
			from = streamID(w.at - 1)
		}
	}
	cmd := redis.NewXMessageSliceCmd(noContext, verb, w.keys.events, from, to, "count", step)
	if err := w.send(ctx, cmd); err != nil {
		return nil, err
	}
	w.done = len(cmd.Val()) < step
	for _, m := range cmd.Val() {
		e, n, err := parseEvent(m)
		if err != nil {
			return nil, err
		}
		events, w.at = append(events, e), n
	}
	return events, nil
}

func (w *eventWalk) indexPage(ctx context.Context) (events []store.Event, err error) {
	from, to := "("+w.prefix+eventNumber(w.at), "("+strings.TrimSuffix(w.prefix, "\x00")+"\x01"
	verb := "zrangebylex"
	if w.backward {
		verb, from = "zrevrangebylex", to
		if to = "[" + w.prefix; w.at > 0 {
			from = "(" + w.prefix + eventNumber(w.at)
		}
	}
	index := redis.NewStringSliceCmd(noContext, verb, w.keys.eventsBy, from, to, "limit", 0, step)
	if err := w.send(ctx, index); err != nil {
		return nil, err
	}
	var cmds []*redis.XMessageSliceCmd
	for _, member := range index.Val() {
		if w.at, err = strconv.ParseUint(strings.TrimPrefix(member, w.prefix), 10, 64); err != nil {
			return nil, errValue
		}
		cmds = append(cmds, redis.NewXMessageSliceCmd(noContext, "xrange", w.keys.events, streamID(w.at), streamID(w.at)))
	}
	w.done = len(cmds) < step
	if len(cmds) == 0 {
		return nil, nil
	}
	if err := w.send(ctx, cmders(cmds)...); err != nil {
		return nil, err
	}
	for _, c := range cmds {
		for _, m := range c.Val() { // none where it was pruned a moment ago
			e, _, err := parseEvent(m)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	return events, nil
}

func parseEvent(m redis.XMessage) (e store.Event, n uint64, err error) {
	if n, err = streamNumber(m.ID); err != nil {
		return e, 0, fmt.Errorf("an event is called %q", m.ID)
	}
	raw, _ := m.Values["e"].(string)
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		return store.Event{}, n, fmt.Errorf("event %d: %w", n, err)
	}
	e.ID = strconv.FormatUint(n, 10)
	return e, n, nil
}

// PruneEvents implements store.Journal. Several gateways may prune at the same
// time: what is to go is settled by what was there at one moment, and by Redis's
// clock.
func (s *Store) PruneEvents(ctx context.Context, age time.Duration, max int) error {
	clock := redis.NewTimeCmd(noContext, "time")
	newest := redis.NewXMessageSliceCmd(noContext, "xrevrange", s.keys.events, "+", "-", "count", 1)
	if err := s.send(ctx, clock, newest); err != nil {
		return s.reading("the newest event", err)
	}
	var last store.Event
	for _, m := range newest.Val() {
		last, _, _ = parseEvent(m) // if it can't be read, its time isn't known, and none is removed for its age
	}
	before := store.KeptSince(clock.Val(), last.Time, age)
	for more := true; more; {
		var err error
		if more, err = s.pruneEvents(ctx, before, max); err != nil {
			return s.changing("removing old events", err)
		}
	}
	return nil
}

// pruneEvents removes the first of the events that are not to be kept, and
// reports whether there may be more.
func (s *Store) pruneEvents(ctx context.Context, before time.Time, max int) (more bool, err error) {
	// The oldest are read before the length: an event that another gateway removes in between
	// is then counted as gone, and no other is removed in its place.
	oldest := redis.NewXMessageSliceCmd(noContext, "xrange", s.keys.events, "-", "+", "count", step)
	length := redis.NewIntCmd(noContext, "xlen", s.keys.events)
	if err := s.send(ctx, oldest, length); err != nil {
		return false, err
	}
	there := int(length.Val())
	var ids, members []any
	for _, m := range oldest.Val() {
		// One that can't be read is removed, too, or it would be in the way for ever. Readers
		// pass over its members of the index, which can't be found.
		e, n, err := parseEvent(m)
		if err == nil && there-len(ids) <= max && !e.Time.Before(before) {
			break
		}
		ids = append(ids, m.ID)
		ofToken, ofOwner := eventMembers(&e)
		for _, member := range []string{ofToken, ofOwner} {
			if member != "" {
				members = append(members, member+eventNumber(n))
			}
		}
	}
	if len(ids) == 0 {
		return false, nil
	}
	err = s.send(ctx, // members first: an event without them goes next time
		redis.NewIntCmd(noContext, slices.Concat([]any{"zrem", s.keys.eventsBy}, members)...),
		redis.NewIntCmd(noContext, slices.Concat([]any{"xdel", s.keys.events}, ids)...))
	return len(ids) == step, err
}
