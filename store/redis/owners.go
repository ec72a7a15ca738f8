package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// owner reads an owner's record; nil where there is none.
func (s *Store) owner(ctx context.Context, name string) (*token.Owner, error) {
	r, err := s.lookOwner(ctx, name)
	if err == nil && r.lost {
		err = s.lost(fmt.Sprintf("owner %q", name), endIt)
	}
	return r.owner, err
}

// ownerRecord is what an owner's key holds.
type ownerRecord struct {
	raw     string
	version uint64       // or that of the floor, if it is higher
	owner   *token.Owner // nil: there is none
	lost    bool         // it is older than it should be, or missing
}

// lookOwner returns what an owner's key holds. If the owner is listed, or had a record when
// the feed was heard last, the key must hold something: a record, or the version that is
// left of one.
func (s *Store) lookOwner(ctx context.Context, name string) (r ownerRecord, err error) {
	least := s.floors.of(ownerFloor(name))
	listed := redis.NewStringSliceCmd(noContext, "zrangebylex", s.keys.owners, "["+name, "["+name)
	if r.raw, err = s.getAfter(ctx, listed, s.keys.owner(name)); err != nil {
		return ownerRecord{}, err
	}
	if r.owner, r.version, err = parseOwner(r.raw); err != nil {
		return ownerRecord{}, err
	}
	there := r.owner != nil
	if r.lost = r.raw == "" && (len(listed.Val()) > 0 || s.owners.had(name)); !r.lost {
		r.lost, err = s.hasLost(ctx, ownerFloor(name), least.allowsOwner(there, r.raw != "", r.version), there)
	}
	if err == nil && !there && r.raw != "" && !r.lost && least.version > 0 {
		s.floors.raise(ownerFloor(name), floor{version: r.version, gone: true}) // what says so is there for a day
	}
	r.version = max(r.version, least.version)
	return r, err
}

// Owner implements store.Store.
func (s *Store) Owner(ctx context.Context, id string) (*token.Owner, error) {
	o, err := s.owner(ctx, id)
	switch {
	case err != nil:
		return nil, s.at(err)
	case o == nil:
		return nil, fmt.Errorf("owner %q: %w", id, store.ErrNotFound)
	}
	return o, nil
}

// Owners implements store.Store.
func (s *Store) Owners(ctx context.Context, after string, limit int) (all []*token.Owner, next string, err error) {
	for {
		page, last, err := s.ownersPage(ctx, after)
		if err != nil {
			return nil, "", s.reading("the owners", err)
		}
		for _, o := range page {
			if limit > 0 && len(all) == limit {
				return all, all[limit-1].ID, nil
			}
			all = append(all, o)
		}
		if last == "" {
			return all, "", nil
		}
		after = last
	}
}

// ownersPage reads the next owners after an id. last is the id of the last one,
// "" when there are no more.
func (s *Store) ownersPage(ctx context.Context, after string) (all []*token.Owner, last string, err error) {
	from := "(" + after
	if after == "" {
		from = "-"
	}
	cmd := redis.NewStringSliceCmd(noContext, "zrangebylex", s.keys.owners, from, "+", "limit", 0, step)
	if err := s.send(ctx, cmd); err != nil {
		return nil, "", err
	}
	names := cmd.Val()
	cmds := make([]*redis.StringCmd, len(names))
	for i, name := range names {
		cmds[i] = redis.NewStringCmd(noContext, "get", s.keys.owner(name))
	}
	if err := s.send(ctx, cmders(cmds)...); err != nil {
		return nil, "", err
	}
	for i, name := range names {
		raw := cmds[i].Val()
		o, _, err := parseOwner(raw)
		if err == nil && raw == "" { // lost: a copy without it would have tokens without their ceiling
			o, err = s.owner(ctx, name)
		}
		if err != nil {
			return nil, "", fmt.Errorf("owner %q: %w", name, err)
		}
		if o != nil { // else deleted a moment ago
			all = append(all, o)
		}
	}
	if len(names) == step {
		last = names[step-1]
	}
	return all, last, nil
}

// UpdateOwner implements store.Store.
func (s *Store) UpdateOwner(ctx context.Context, id string, f func(*token.Owner) (*token.Owner, error)) (after *token.Owner, err error) {
	var refused error
	v, err := s.retryOwner(ctx, id, func(before ownerRecord) (*token.Owner, error) {
		var given *token.Owner
		switch given, refused = f(before.owner); {
		case before.lost && before.owner != nil && errors.Is(refused, store.ErrUnchanged):
			given = before.owner // is stored again, as the newest
		case refused != nil:
			return nil, refused
		case given == nil || given.ID != id:
			return nil, fmt.Errorf("owner %q: its id can't be changed", id)
		}
		if before.lost && given.Enabled {
			return nil, s.lost(fmt.Sprintf("owner %q", id), endIt)
		}
		return given, nil
	})
	if refused != nil && (err == nil || errors.Is(err, refused)) {
		return nil, cmp.Or(s.at(s.Confirm(ctx)), refused)
	}
	if err == nil {
		after, _, err = parseOwner(v) // shares nothing with what was given
	}
	if err != nil {
		return nil, s.at(err)
	}
	return after, nil
}

// DeleteOwner implements store.Store.
func (s *Store) DeleteOwner(ctx context.Context, id string) error {
	_, err := s.retryOwner(ctx, id, func(before ownerRecord) (*token.Owner, error) {
		switch {
		case before.lost:
			return nil, s.lost(fmt.Sprintf("owner %q", id), endIt)
		case before.owner == nil:
			return nil, store.ErrNotFound
		}
		return nil, nil
	})
	return s.at(s.orUnconfirmed(ctx, err))
}

// retryOwner calls plan with what is stored of an owner, and stores the record that plan
// returns, nil for none. If another change comes between, it calls plan again. It returns
// the value stored.
func (s *Store) retryOwner(ctx context.Context, name string, plan func(before ownerRecord) (*token.Owner, error)) (v string, err error) {
	err = s.again(ctx, func() error {
		before, err := s.lookOwner(ctx, name)
		if err != nil {
			return err
		}
		after, err := plan(before)
		if err != nil {
			return err
		}
		c := ownerChange{newMark(), name, nextVersion(before.version), before.raw, after}
		v = ownerValue(c.version, after)
		return s.setOwner(ctx, c)
	})
	return v, err
}

// ownerChange is a change of an owner's record.
type ownerChange struct {
	mark    string
	name    string
	version uint64
	before  string       // the value
	after   *token.Owner // nil: none
}

// touched is what gateways are told of it.
func (c *ownerChange) touched() touched {
	return touched{isOwner: true, owner: c.name, version: c.version, gone: c.after == nil}
}

// setOwner makes a change and returns when the watchers have been told.
// errConflict means that there is another value.
func (s *Store) setOwner(ctx context.Context, c ownerChange) error {
	if err := s.begin(ctx, c.mark, nil); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	reply, err := s.decide(ctx, c.mark, s.ownerCommit(c, store.EventsOf(ctx)))
	if errors.Is(err, errMaybe) {
		return err
	}
	if err := s.forget(ctx, c.mark); err != nil {
		s.log.Debug("a change of an owner will be tidied up later", "store", s.where, "error", err)
	}
	if err != nil && !errors.Is(err, errNotReplicated) {
		return err
	}
	position, ok := reply.(int64)
	switch {
	case !ok:
		return errValue
	case position == 0:
		return errConflict
	}
	s.await(store.Position(position), c.mark, []touched{c.touched()})
	return err
}

// ownerGone is how many seconds a deleted record leaves its version behind.
const ownerGone = 24 * 60 * 60

// ownerCommit returns the command that commits a change of an owner's record.
func (s *Store) ownerCommit(c ownerChange, events []store.Event) *redis.Cmd {
	ends := 0
	if c.after == nil {
		ends = ownerGone
	}
	what := appendTouched(nil, c.touched())
	keys := []string{s.keys.head, s.keys.feed, s.keys.changes, s.keys.owners, s.keys.owner(c.name)}
	return s.evalWith(events, scriptOwner, keys, c.mark, string(what), feedLength, c.name, c.before, ownerValue(c.version, c.after), ends)
}
