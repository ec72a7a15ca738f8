package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

// maxLooks is how often something is read again because it has changed between
// one read and the next.
const maxLooks = 8

// look returns what the key of a digest holds, as far as it is committed.
func (s *Store) look(ctx context.Context, d token.Digest) (record, error) {
	v, err := s.get(ctx, s.keys.token(d))
	if err != nil {
		return record{}, err
	}
	for range maxLooks {
		mark, before, after, ok := splitIntent(v)
		if !ok {
			return parseRecord(v)
		}
		state, _, err := s.state(ctx, mark)
		if err != nil {
			return record{}, err
		}
		switch state {
		case committed:
			return parseRecord(after)
		case pending, aborted:
			return parseRecord(before)
		}
		// It has ended, and the key should hold the outcome by now.
		now, err := s.get(ctx, s.keys.token(d))
		if err != nil {
			return record{}, err
		}
		if now == v {
			return parseRecord(before)
		}
		v = now
	}
	return record{}, errBusy
}

// The states of a change.
const (
	pending   = "p"
	aborted   = "a"
	committed = "c"
)

// state returns the state and age of a change; "" where there is none.
func (s *Store) state(ctx context.Context, mark string) (state string, age time.Duration, err error) {
	cmd := eval(scriptState, []string{s.keys.changes}, mark)
	if err := s.send(ctx, cmd); err != nil {
		return "", 0, err
	}
	reply, err := cmd.Slice()
	if err != nil || len(reply) != 2 {
		return "", 0, errValue
	}
	state, _ = reply[0].(string)
	ms, _ := reply[1].(int64)
	return state, time.Duration(ms) * time.Millisecond, nil
}

// byID returns the live record of the token with this id, as read reads it: look or
// settle. It is the zero record where there is none.
func (s *Store) byID(ctx context.Context, id string, read func(context.Context, token.Digest) (record, error)) (record, error) {
	for range maxLooks {
		where, err := s.whereAre(ctx, id)
		if err != nil || where[0] == nil {
			return record{}, err
		}
		r, err := read(ctx, *where[0])
		if err != nil {
			return record{}, err
		}
		if r.live() && r.token.ID == id {
			return r, nil
		}
		// It has another secret by now, or was deleted: look again where it is.
	}
	return record{}, errIndex
}

var (
	errBusy  = errors.New("it changes faster than it can be read")
	errIndex = errors.New("the index names a record that isn't there: see patgate store check")
)

// whereAre returns the current digests of the tokens with these ids; nil where
// there is no such token.
func (s *Store) whereAre(ctx context.Context, ids ...string) ([]*token.Digest, error) {
	where := make([]*token.Digest, 0, len(ids))
	for some := range slices.Chunk(ids, step) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		cmd := eval(scriptWhere, []string{s.keys.ids}, args...)
		if err := s.send(ctx, cmd); err != nil {
			return nil, err
		}
		entries, err := cmd.StringSlice()
		if err != nil || len(entries) != len(some) {
			return nil, errValue
		}
		for _, e := range entries {
			if e == "" {
				where = append(where, nil)
				continue
			}
			_, d, ok := splitIDEntry(e)
			if !ok {
				return nil, errValue
			}
			where = append(where, &d)
		}
	}
	return where, nil
}

// step is how many records are read or written in one round trip, where there
// are many.
const step = 500

// settleAll is settle for many.
func (s *Store) settleAll(ctx context.Context, digests []token.Digest) (map[token.Digest]record, error) {
	all := make(map[token.Digest]record, len(digests))
	for len(digests) > 0 {
		some, n, err := s.readFirst(ctx, digests, s.settle)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
		digests = digests[n:]
	}
	return all, nil
}

// readFirst returns what the keys of the first digests hold, of as many as firstValues reads.
// It calls one for those on which a change is under way.
func (s *Store) readFirst(ctx context.Context, digests []token.Digest, one func(context.Context, token.Digest) (record, error)) (some map[token.Digest]record, n int, err error) {
	values, err := s.firstValues(ctx, digests)
	if err != nil {
		return nil, 0, err
	}
	some = make(map[token.Digest]record, len(values))
	for i, v := range values {
		d := digests[i]
		if isIntent(v) {
			some[d], err = one(ctx, d)
		} else if some[d], err = parseRecord(v); err != nil {
			err = fmt.Errorf("digest %x: %w", d, err)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return some, len(values), nil
}

// values returns the values of the keys of digests, unparsed.
func (s *Store) values(ctx context.Context, digests []token.Digest) (all []string, err error) {
	for len(digests) > 0 {
		some, err := s.firstValues(ctx, digests)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		digests = digests[len(some):]
	}
	return all, nil
}

const (
	// maxValues is about how many bytes of values firstValues reads: no more than a
	// network carries in the time that commands are allowed.
	maxValues = 4 << 20
	// shortValue is longer than almost all values, and a step of such values is no more
	// than maxValues. Longer ones are read by themselves, and the others still together.
	shortValue = maxValues / step
)

// firstValues is values for the first digests: as many as can be read together, and one at
// least.
func (s *Store) firstValues(ctx context.Context, digests []token.Digest) (values []string, err error) {
	cmds := make([]*redis.StringCmd, min(len(digests), step))
	for i := range cmds {
		cmds[i] = redis.NewStringCmd(noContext, "getrange", s.keys.token(digests[i]), 0, shortValue-1)
	}
	if err := s.send(ctx, cmders(cmds)...); err != nil {
		return nil, err
	}
	size := 0
	for i, c := range cmds {
		if len(c.Val()) == shortValue { // a long one is read by itself, as by a lookup
			c = redis.NewStringCmd(noContext, "get", s.keys.token(digests[i]))
			if err := s.send(ctx, c); err != nil {
				return nil, err
			}
		}
		values = append(values, c.Val())
		if size += len(c.Val()); size >= maxValues {
			break
		}
	}
	return values, nil
}
