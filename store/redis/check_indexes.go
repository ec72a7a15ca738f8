package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ids looks for entries in the index of ids that name no token.
func (c *check) ids(ctx context.Context) error {
	return c.members(ctx, c.s.keys.ids, func(entries []string) error {
		return each(ctx, c, entries, c.lookAtIDs)
	})
}

func (c *check) lookAtIDs(ctx context.Context, entries []string) (map[string]finding, error) {
	s, found := c.s, map[string]finding{}
	for _, e := range entries {
		id, d, ok := splitIDEntry(e)
		r, err := s.look(ctx, d)
		if err != nil {
			return nil, err
		}
		if ok && r.live() && r.token.ID == id {
			continue
		}
		still := redis.NewFloatCmd(noContext, "zscore", s.keys.ids, e)
		if err := s.send(ctx, unsafe, keyed{s.keys.ids, still}); err != nil {
			return nil, err
		}
		if still.Err() != nil {
			continue // the token has got another secret, or is deleted
		}
		found[e] = finding{fmt.Sprintf("the index of ids has token %q, which isn't there", id), func(ctx context.Context) error {
			change := newChange(r.version)
			change.remove(s.keys.ids, e)
			change.hold(s, d, r)
			return s.apply(ctx, change)
		}}
	}
	return found, nil
}

// own looks for entries in the indexes of owners that name no token of theirs.
func (c *check) own(ctx context.Context) error {
	return c.scan(ctx, c.s.keys.ownPrefix, func(owners []string) error {
		for _, owner := range owners {
			err := c.members(ctx, c.s.keys.own(owner), func(ids []string) error {
				return each(ctx, c, ids, func(ctx context.Context, ids []string) (map[string]finding, error) {
					return c.lookAtOwn(ctx, owner, ids)
				})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *check) lookAtOwn(ctx context.Context, owner string, ids []string) (map[string]finding, error) {
	s, found := c.s, map[string]finding{}
	theirs := func(ctx context.Context, id string) (bool, error) {
		t, err := s.now(ctx, id, s.look)
		if errors.Is(err, errIndex) {
			return false, nil
		}
		return t != nil && t.Owner == owner, err
	}
	for _, id := range ids {
		ok, err := theirs(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok {
			continue
		}
		found[id] = finding{fmt.Sprintf("the index of owner %q has token %q, which isn't theirs", owner, id), func(ctx context.Context) error {
			return c.drop(ctx, s.keys.own(owner), id, func(ctx context.Context) (bool, error) { return theirs(ctx, id) })
		}}
	}
	return found, nil
}

// owners looks for owners' records that aren't listed, and the reverse.
func (c *check) owners(ctx context.Context) error {
	s := c.s
	look := func(ctx context.Context, names []string) (map[string]finding, error) {
		found := map[string]finding{}
		for _, name := range names {
			o, _, _, _, err := s.ownerAsItIs(ctx, name)
			if err != nil {
				found[name] = finding{fmt.Sprintf("owner %q: %v", name, err), nil}
				continue
			}
			listed := redis.NewFloatCmd(noContext, "zscore", s.keys.owners, name)
			if err := s.send(ctx, unsafe, keyed{s.keys.owners, listed}); err != nil {
				return nil, err
			}
			switch in := listed.Err() == nil; {
			case o != nil && !in:
				found[name] = finding{fmt.Sprintf("owner %q is not in the index", name), func(ctx context.Context) error {
					return s.send(ctx, unsafe, keyed{s.keys.owners, redis.NewIntCmd(noContext, "zadd", s.keys.owners, 0, name)})
				}}
			case o == nil && in:
				found[name] = finding{fmt.Sprintf("the index has owner %q, who isn't there", name), func(ctx context.Context) error {
					return c.drop(ctx, s.keys.owners, name, func(ctx context.Context) (bool, error) {
						o, _, _, _, err := s.ownerAsItIs(ctx, name)
						return o != nil, err
					})
				}}
			}
		}
		return found, nil
	}
	if err := c.scan(ctx, s.keys.ownerPrefix, func(names []string) error { return each(ctx, c, names, look) }); err != nil {
		return err
	}
	return c.members(ctx, s.keys.owners, func(names []string) error {
		return each(ctx, c, names, func(ctx context.Context, names []string) (map[string]finding, error) {
			found, err := look(ctx, names)
			for name, f := range found {
				if !strings.HasPrefix(f.text, "the index has") { // else it was reported above
					delete(found, name)
				}
			}
			return found, err
		})
	})
}

// drop removes a member of an index that names nothing, unless it does by then.
func (c *check) drop(ctx context.Context, index, member string, needed func(context.Context) (bool, error)) error {
	if err := c.s.send(ctx, unsafe, keyed{index, redis.NewIntCmd(noContext, "zrem", index, member)}); err != nil {
		return err
	}
	if yes, err := needed(ctx); err != nil || !yes {
		return err
	}
	return c.s.send(ctx, unsafe, keyed{index, redis.NewIntCmd(noContext, "zadd", index, 0, member)})
}
