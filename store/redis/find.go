package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Find implements store.Store. It is one round trip, shared with other calls;
// a second one for a retired secret, and for an owner whose record isn't known
// here yet.
func (s *Store) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	if err := s.believed(); err != nil {
		return store.Found{}, s.reading("a token", err)
	}
	// What is read from here on shows every change up to here.
	position := s.told.position()
	r, err := s.find(ctx, d)
	if err != nil {
		return store.Found{}, err
	}
	return s.withOwner(ctx, s.foundBy(d, r, position))
}

// foundBy returns what is known of the token with the digest d.
func (s *Store) foundBy(d token.Digest, r record, at store.Position) store.Found {
	f := store.Found{Token: r.token, Position: at}
	if beaten := s.beaten.Load(); beaten == nil {
		f.AsOf = time.Unix(0, 0) // nobody knows of this gateway, and asks whether it holds what was changed
	} else if s.cutOff.Load() || time.Since(*beaten) > beatLimit {
		f.AsOf = s.Heard() // another server may know better since, or others count on this gateway's holding nothing: see lives
	}
	if f.Current = r.token.Digest == d; !f.Current {
		f.Until, _ = r.token.RetiredUntil(d)
	}
	return f
}

// withOwner completes f with the record of the token's owner.
func (s *Store) withOwner(ctx context.Context, f store.Found) (_ store.Found, err error) {
	if s.ownerHeld(&f) {
		return f, nil
	}
	if f.Owner, err = s.readOwner(ctx, f.Token.Owner); err != nil {
		return store.Found{}, err
	}
	return f, nil
}

// maxLooks is how often something is read again because it has changed between
// one read and the next.
const maxLooks = 8

// find returns the live record of the token that has d, now or retired.
func (s *Store) find(ctx context.Context, d token.Digest) (record, error) {
	var last string
	for range maxLooks {
		first, err := s.record(ctx, d)
		if err != nil {
			return record{}, s.reading("a token", err)
		}
		r := first
		for hops := 0; r.pointer() && hops < maxLooks; hops++ {
			if r, err = s.record(ctx, r.target); err != nil {
				return record{}, s.reading("a token", err)
			}
		}
		switch {
		case first.raw == "":
			return record{}, store.ErrNotFound
		case first.live() && first.token.Digest != d:
			return record{}, fmt.Errorf("token %q: %w", first.token.ID, errValue)
		case r.live() && slices.Contains(r.token.Digests(), d):
			return r, nil
		case first.raw == last:
			// The secret was retired, and its token doesn't know it any more.
			return record{}, store.ErrNotFound
		}
		last = first.raw // the token has changed between the reads, or the next look shows that it hasn't
	}
	return record{}, s.reading("a token", errBusy)
}

// record returns what the key of a digest holds, as far as it is committed, or
// errLost if that is older than it should be.
func (s *Store) record(ctx context.Context, d token.Digest) (record, error) {
	floor := s.floors.of(tokenFloor(d)) // of a change that the read must show
	r, err := s.look(ctx, d)
	if err != nil {
		return record{}, err
	}
	lost, err := s.hasLost(ctx, tokenFloor(d), floor.allows(r.raw != "", r.version), r.raw != "")
	if err != nil {
		return record{}, err
	}
	if lost && r.raw == "" && s.floors.of(tokenFloor(d)).version > floor.version {
		return s.record(ctx, d) // it has been made meanwhile
	}
	if lost {
		switch {
		case r.raw == "":
			return record{}, s.lost("a token, which isn't there", remake)
		case r.token != nil:
			return record{}, s.lost(fmt.Sprintf("token %q", r.token.ID), endIt)
		}
		return record{}, s.lost("a token", endIt)
	}
	return r, nil
}

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
		// It has ended, so that the key should say by now how.
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

// Token implements store.Store. Where Redis has lost a change, it is the record that
// Redis shows: it is for those who manage tokens, who can't end one that they can't
// read. Requests are judged by Find.
func (s *Store) Token(ctx context.Context, id string) (*token.Token, error) {
	r, err := s.byID(ctx, id, s.look)
	switch {
	case err != nil:
		return nil, s.at(err)
	case !r.live():
		return nil, fmt.Errorf("token %q: %w", id, store.ErrNotFound)
	}
	if err := s.withUses(ctx, r.token); err != nil {
		return nil, s.reading(fmt.Sprintf("the last use of token %q", id), err)
	}
	return r.token, nil
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
		// It has got another secret, or was deleted: look again where it is.
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

// readAll returns what the keys of digests hold when no change is under way: one
// reads those on which one is.
func (s *Store) readAll(ctx context.Context, digests []token.Digest, one func(context.Context, token.Digest) (record, error)) (map[token.Digest]record, error) {
	all := make(map[token.Digest]record, len(digests))
	for some := range slices.Chunk(digests, step) {
		values, err := s.values(ctx, some)
		if err != nil {
			return nil, err
		}
		for i, d := range some {
			if isIntent(values[i]) {
				all[d], err = one(ctx, d)
			} else {
				all[d], err = parseRecord(values[i])
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// values returns what keys of digests hold, as it is.
func (s *Store) values(ctx context.Context, digests []token.Digest) ([]string, error) {
	cmds := make([]*redis.StringCmd, len(digests))
	for i, d := range digests {
		cmds[i] = redis.NewStringCmd(noContext, "get", s.keys.token(d))
	}
	if err := s.send(ctx, cmders(cmds)...); err != nil {
		return nil, err
	}
	values := make([]string, len(cmds))
	for i, c := range cmds {
		values[i] = c.Val()
	}
	return values, nil
}
