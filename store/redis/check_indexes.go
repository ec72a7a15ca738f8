package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

// ids looks for entries in the index of ids that name no token.
func (c *check) ids(ctx context.Context) error {
	return c.members(ctx, c.s.keys.ids, "-", func(entries []string) error {
		return each(ctx, c, entries, c.lookAtIDs)
	})
}

func (c *check) lookAtIDs(ctx context.Context, entries []string) (map[string]finding, error) {
	s, found := c.s, map[string]finding{}
	digests := make([]token.Digest, len(entries))
	for i, e := range entries {
		_, digests[i], _ = splitIDEntry(e)
	}
	records, err := c.lookAll(ctx, digests)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		id, d, ok := splitIDEntry(e)
		r, readable := records[digests[i]]
		if !readable || ok && r.live() && r.token.ID == id {
			continue
		}
		still := redis.NewFloatCmd(noContext, "zscore", s.keys.ids, e)
		if err := s.send(ctx, still); err != nil {
			return nil, err
		}
		if still.Err() != nil {
			continue // the token has got another secret, or is deleted
		}
		found[e] = finding{fmt.Sprintf("the index of ids has token %q, which isn't there", id), c.change(func(change *change) {
			change.remove(s.keys.ids, e)
			change.hold(d, r)
		}, r.version)}
	}
	return found, nil
}

// listing is an entry in the index of an owner.
type listing struct{ owner, id string }

// own looks for entries in the indexes of owners that name no token of theirs.
func (c *check) own(ctx context.Context) error {
	return c.scan(ctx, c.s.keys.ownPrefix, func(owners []string) error {
		// Most owners have few tokens: the first of many owners are read at once.
		pages := make([]*redis.StringSliceCmd, len(owners))
		for i, owner := range owners {
			pages[i] = redis.NewStringSliceCmd(noContext, "zrangebylex", c.s.keys.own(owner), "-", "+", "limit", 0, step)
		}
		if err := c.s.send(ctx, cmders(pages)...); err != nil {
			return err
		}
		var first []listing
		for i, owner := range owners {
			first = append(first, listings(owner, pages[i].Val())...)
		}
		if err := each(ctx, c, first, c.lookAtOwn); err != nil {
			return err
		}
		for i, owner := range owners {
			ids := pages[i].Val()
			if len(ids) < step {
				continue
			}
			err := c.members(ctx, c.s.keys.own(owner), "("+ids[step-1], func(ids []string) error {
				return each(ctx, c, listings(owner, ids), c.lookAtOwn)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func listings(owner string, ids []string) []listing {
	all := make([]listing, len(ids))
	for i, id := range ids {
		all[i] = listing{owner, id}
	}
	return all
}

func (c *check) lookAtOwn(ctx context.Context, all []listing) (map[listing]finding, error) {
	ids := make([]string, len(all))
	for i, l := range all {
		ids[i] = l.id
	}
	where, err := c.s.whereAre(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var digests []token.Digest
	for _, d := range where {
		if d != nil {
			digests = append(digests, *d)
		}
	}
	records, err := c.lookAll(ctx, digests)
	if err != nil {
		return nil, err
	}
	found := map[listing]finding{}
	for i, l := range all {
		if d := where[i]; d != nil {
			r, readable := records[*d]
			if !readable || r.live() && r.token.ID == l.id && r.token.Owner == l.owner {
				continue
			}
		}
		// It may have changed between the reads, also since the list was read.
		ok, err := c.owns(ctx, l)
		if err != nil {
			return nil, err
		}
		still := redis.NewFloatCmd(noContext, "zscore", c.s.keys.own(l.owner), l.id)
		if err := c.s.send(ctx, still); err != nil {
			return nil, err
		}
		if ok || still.Err() != nil {
			continue
		}
		found[l] = finding{fmt.Sprintf("the index of owner %q has token %q, which isn't theirs", l.owner, l.id), func(ctx context.Context) error {
			return c.drop(ctx, l)
		}}
	}
	return found, nil
}

// owns reports whether the owner has the token.
func (c *check) owns(ctx context.Context, l listing) (bool, error) {
	r, err := c.s.byID(ctx, l.id, c.s.look)
	if errors.Is(err, errIndex) {
		return false, nil
	}
	return r.live() && r.token.Owner == l.owner, err
}

// drop removes an entry that names nothing, unless it does by then.
func (c *check) drop(ctx context.Context, l listing) error {
	index := c.s.keys.own(l.owner)
	if err := c.s.send(ctx, redis.NewIntCmd(noContext, "zrem", index, l.id)); err != nil {
		return err
	}
	if ok, err := c.owns(ctx, l); err != nil || !ok {
		return err
	}
	return c.s.send(ctx, redis.NewIntCmd(noContext, "zadd", index, 0, l.id))
}

// These begin the findings about an owner without a record who is listed, or who was seen
// with one.
const (
	lostOwner = "redis has lost the record of owner "
	goneOwner = "redis has lost owner "
)

// owners looks for owners' records that aren't listed, the reverse, and those of which
// Redis has lost a change.
func (c *check) owners(ctx context.Context) error {
	// those returns a function that looks for the findings that begin so, and no others.
	those := func(begin string) func(names []string) error {
		return func(names []string) error {
			return each(ctx, c, names, func(ctx context.Context, names []string) (map[string]finding, error) {
				found, err := c.lookAtOwners(ctx, names)
				maps.DeleteFunc(found, func(_ string, f finding) bool { return !strings.HasPrefix(f.text, begin) })
				return found, err
			})
		}
	}
	if err := c.scan(ctx, c.s.keys.ownerPrefix, those("")); err != nil {
		return err
	}
	if err := c.members(ctx, c.s.keys.owners, "-", those(lostOwner)); err != nil {
		return err
	}
	return those(goneOwner)(c.s.floors.owners())
}

func (c *check) lookAtOwners(ctx context.Context, names []string) (map[string]finding, error) {
	s, found := c.s, map[string]finding{}
	values, scores := make([]*redis.StringCmd, len(names)), make([]*redis.FloatCmd, len(names))
	least := make([]floor, len(names))
	for i, name := range names {
		least[i] = s.floors.of(ownerFloor(name))
		values[i] = redis.NewStringCmd(noContext, "get", s.keys.owner(name))
		scores[i] = redis.NewFloatCmd(noContext, "zscore", s.keys.owners, name)
	}
	if err := s.send(ctx, append(cmders(values), cmders(scores)...)...); err != nil {
		return nil, err
	}
	for i, name := range names {
		raw := values[i].Val()
		o, version, err := parseOwner(raw)
		in := scores[i].Err() == nil
		newest := least[i].allowsOwner(o != nil, raw != "", version)
		switch {
		case err != nil:
			found[name] = finding{fmt.Sprintf("owner %q: %v", name, err), nil}
		case raw != "" && !newest:
			found[name] = finding{fmt.Sprintf("owner %q: %v: %s", name, errLost, endIt), nil}
		case o != nil && !in:
			found[name] = finding{fmt.Sprintf("owner %q is not in the index", name), func(ctx context.Context) error {
				return s.send(ctx, redis.NewIntCmd(noContext, "zadd", s.keys.owners, 0, name))
			}}
		case o == nil && in:
			found[name] = withoutRecord(lostOwner, name)
		case !newest:
			lost, err := s.hasLost(ctx, ownerFloor(name), newest, false)
			if err != nil {
				return nil, err
			}
			if lost {
				found[name] = withoutRecord(goneOwner, name)
			}
		}
	}
	return found, nil
}

// withoutRecord returns what is found of an owner whose record is lost. Whether to mend it
// as if there had been none is for people to say.
func withoutRecord(begin, name string) finding {
	return finding{fmt.Sprintf("%s%q, who may have been disabled, or limited: their tokens are answered 503 until the owner is disabled anew, and then limited and enabled, or deleted", begin, name), nil}
}
