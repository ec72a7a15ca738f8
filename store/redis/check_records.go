package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

// records looks at what is kept by digest.
func (c *check) records(ctx context.Context) error {
	return c.scan(ctx, c.s.keys.tokens, func(names []string) error {
		var digests []token.Digest
		for _, n := range names {
			if len(n) == len(token.Digest{}) {
				digests = append(digests, token.Digest([]byte(n)))
			}
		}
		return each(ctx, c, digests, c.lookAtRecords)
	})
}

func (c *check) lookAtRecords(ctx context.Context, digests []token.Digest) (map[token.Digest]finding, error) {
	floors := make([]floor, len(digests))
	for i, d := range digests {
		floors[i] = c.s.floors.of(tokenFloor(d))
	}
	values, err := c.values(ctx, digests)
	if err != nil {
		return nil, err
	}
	found, err := c.lookAtValues(ctx, digests, values, floors)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	// A finding about a value that has changed meanwhile proves nothing.
	now, err := c.values(ctx, digests)
	if err != nil {
		return nil, err
	}
	for i, d := range digests {
		if now[i] != values[i] {
			delete(found, d)
		}
	}
	return found, nil
}

func (c *check) lookAtValues(ctx context.Context, digests []token.Digest, values []string, floors []floor) (map[token.Digest]finding, error) {
	s, found, records := c.s, map[token.Digest]finding{}, map[token.Digest]record{}
	for i, d := range digests {
		if mark, _, _, ok := splitIntent(values[i]); ok {
			state, _, err := s.state(ctx, mark)
			if err != nil {
				return nil, err
			}
			if state == "" {
				found[d] = finding{fmt.Sprintf("digest %x: an intent of a change that nobody knows of", d), func(ctx context.Context) error {
					_, err := s.settle(ctx, d)
					return err
				}}
			}
			continue
		}
		r, err := parseRecord(values[i])
		switch {
		case err != nil:
			found[d] = finding{fmt.Sprintf("digest %x: %v", d, err), nil}
		case r.live() && !floors[i].allows(true, r.version):
			// Mending it would make it look as if it were the newest.
			found[d] = finding{fmt.Sprintf("token %q: %v: %s", r.token.ID, errLost, endIt), nil}
		case r.raw != "": // else deleted meanwhile
			records[d] = r
		}
	}
	around, err := c.readAround(ctx, records)
	if err != nil {
		return nil, err
	}
	for d, r := range records {
		if f := c.lookAtRecord(d, r, around); f.text != "" {
			found[d] = f
		}
	}
	return found, nil
}

// around is what is kept elsewhere of some records.
type around struct {
	where  map[string]*token.Digest // by id: what the index of ids says; nil: nothing
	listed map[string]bool          // by id: the token is in the index of its owner
	others map[token.Digest]record  // those at where, of retired secrets, and that pointers lead to
}

func (c *check) readAround(ctx context.Context, records map[token.Digest]record) (a around, err error) {
	var ids []string
	var scores []*redis.FloatCmd
	var others []token.Digest
	for _, r := range records {
		if r.pointer() {
			others = append(others, r.target)
			continue
		}
		ids = append(ids, r.token.ID)
		scores = append(scores, redis.NewFloatCmd(noContext, "zscore", c.s.keys.own(r.token.Owner), r.token.ID))
		for _, old := range r.token.Retired {
			others = append(others, old.Digest)
		}
	}
	where, err := c.s.whereAre(ctx, ids...)
	if err != nil {
		return around{}, err
	}
	if err := c.s.send(ctx, cmders(scores)...); err != nil {
		return around{}, err
	}
	a = around{where: map[string]*token.Digest{}, listed: map[string]bool{}}
	for i, id := range ids {
		a.where[id] = where[i]
		a.listed[id] = scores[i].Err() == nil
		if where[i] != nil {
			others = append(others, *where[i])
		}
	}
	a.others, err = c.lookAll(ctx, others)
	return a, err
}

// values is Store.values, but returns a value that can't be parsed for a key that isn't a
// string.
func (c *check) values(ctx context.Context, digests []token.Digest) ([]string, error) {
	all, err := c.s.values(ctx, digests)
	switch {
	case err == nil || !redis.HasErrorPrefix(err, "WRONGTYPE"):
		return all, err
	case len(digests) == 1:
		return []string{"?"}, nil
	}
	all = nil
	for _, d := range digests {
		one, err := c.values(ctx, []token.Digest{d})
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// lookAll is look for many. Records that can't be parsed are left out: records finds them.
func (c *check) lookAll(ctx context.Context, digests []token.Digest) (map[token.Digest]record, error) {
	all := make(map[token.Digest]record, len(digests))
	for some := range slices.Chunk(digests, step) {
		values, err := c.values(ctx, some)
		if err != nil {
			return nil, err
		}
		for i, d := range some {
			r, err := parseRecord(values[i])
			if isIntent(values[i]) {
				r, err = c.s.look(ctx, d)
			}
			switch {
			case err == nil:
				all[d] = r
			case !errors.Is(err, errValue):
				return nil, err
			}
		}
	}
	return all, nil
}

// lookAtRecord returns what isn't right with the record of a digest, or the zero finding.
func (c *check) lookAtRecord(d token.Digest, r record, around around) finding {
	remove := c.change(func(change *change) { change.set(d, r.raw, "") }, r.version)
	if r.pointer() {
		to, ok := around.others[r.target]
		if !ok || to.live() && slices.Contains(to.token.Digests(), d) {
			return finding{}
		}
		return finding{fmt.Sprintf("digest %x: of a retired secret that no token has", d), remove}
	}
	t, ids := r.token, c.s.keys.ids
	if t.Digest != d {
		return finding{fmt.Sprintf("token %q is kept under a digest that isn't its own", t.ID), nil}
	}
	rewrite := func(then func(*change)) func(context.Context) error {
		return c.change(func(change *change) {
			change.set(d, r.raw, liveValue(change.version, t))
			then(change)
		}, r.version)
	}
	switch at := around.where[t.ID]; {
	case at == nil:
		return finding{fmt.Sprintf("token %q is not in the index of ids", t.ID), rewrite(func(change *change) {
			change.free = []string{t.ID}
			change.add(ids, idEntry(t.ID, d))
		})}
	case *at != d:
		switch other, ok := around.others[*at]; {
		case !ok:
			return finding{fmt.Sprintf("token %q has a record beside the one that the index of ids names, which can't be read", t.ID), nil}
		case !other.live() || other.token.ID != t.ID:
			// It serves, for it is found by its secret.
			return finding{fmt.Sprintf("token %q: the index of ids names a record that isn't its own", t.ID), rewrite(func(change *change) {
				change.remove(ids, idEntry(t.ID, *at))
				change.add(ids, idEntry(t.ID, d))
			})}
		}
		return finding{fmt.Sprintf("token %q has an old record beside its own", t.ID), remove}
	case !around.listed[t.ID]:
		return finding{fmt.Sprintf("token %q is not in the index of its owner %q", t.ID, t.Owner), rewrite(func(change *change) {
			change.add(c.s.keys.own(t.Owner), t.ID)
		})}
	}
	for _, old := range t.Retired {
		if p, ok := around.others[old.Digest]; ok && p.raw == "" {
			return finding{fmt.Sprintf("token %q is not found by a retired secret", t.ID), c.change(func(change *change) {
				change.set(old.Digest, "", pointerValue(change.version, d))
			})}
		}
	}
	return finding{}
}
