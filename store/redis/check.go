package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// finding is something that isn't right, and what makes it right; mend is nil
// where only people can.
type finding struct {
	text string
	mend func(context.Context) error
}

// Check implements store.Store. Indexes agree with records after every change
// and every crash. Problems come from writes that Redis has lost, or from
// other programs than patgate. Repairs are changes like any other.
func (s *Store) Check(ctx context.Context, repair bool) ([]store.Problem, error) {
	c := &check{s: s, repair: repair}
	for _, part := range []func(context.Context) error{c.abandoned, c.records, c.ids, c.own, c.owners, c.uses, c.events} {
		if err := part(ctx); err != nil {
			return c.problems, fmt.Errorf("checking %s: %w", s.where, err)
		}
	}
	return c.problems, nil
}

type check struct {
	s        *Store
	repair   bool
	problems []store.Problem
}

// each calls find for things, some at a time. A finding counts only if a second look finds
// it as well, since changes come between one read and the next.
func each[T comparable](ctx context.Context, c *check, all []T, find func(context.Context, []T) (map[T]finding, error)) error {
	for some := range slices.Chunk(all, step) {
		found, err := find(ctx, some)
		if err != nil {
			return err
		}
		for _, thing := range some {
			first, ok := found[thing]
			if !ok {
				continue
			}
			if err := pause(ctx); err != nil {
				return err
			}
			again, err := find(ctx, []T{thing})
			if err != nil {
				return err
			}
			if second, ok := again[thing]; ok && second.text == first.text {
				c.found(ctx, second)
			}
		}
	}
	return nil
}

func (c *check) found(ctx context.Context, f finding) {
	p := store.Problem{Text: f.text, Mendable: f.mend != nil}
	if c.repair && f.mend != nil {
		if err := f.mend(ctx); err != nil {
			p.Text += fmt.Sprintf(" (mending it: %v)", err)
		} else {
			p.Mended = true
		}
	}
	c.problems = append(c.problems, p)
}

// change returns a repair: a change of records that have these versions, filled in by fill.
func (c *check) change(fill func(*change), versions ...uint64) func(context.Context) error {
	return func(ctx context.Context) error {
		change := newChange(versions...)
		fill(change)
		return c.s.apply(ctx, change)
	}
}

// abandoned looks for changes whose process has died.
func (c *check) abandoned(ctx context.Context) error {
	all, err := c.s.abandonedChanges(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		c.found(ctx, finding{
			fmt.Sprintf("a change of %d token records was left behind by a process that died", len(l.digests)),
			func(ctx context.Context) error { return c.s.endAbandoned(ctx, l) },
		})
	}
	return nil
}

// uses looks for last uses of tokens that aren't there: a process that died
// between deleting a token and forgetting its use has left them.
func (c *check) uses(ctx context.Context) error {
	for cursor := uint64(0); ; {
		cmd := redis.NewScanCmd(noContext, nil, "hscan", c.s.keys.uses, cursor, "count", step)
		if err := c.s.send(ctx, cmd); err != nil {
			return err
		}
		var fields []string
		fields, cursor = cmd.Val()
		var ids []string
		damaged := map[string]bool{}
		for i := 0; i+1 < len(fields); i += 2 {
			ids = append(ids, fields[i])
			_, err := parseUse(fields[i+1])
			damaged[fields[i]] = err != nil
		}
		if err := each(ctx, c, ids, func(ctx context.Context, ids []string) (map[string]finding, error) {
			return c.lookAtUses(ctx, ids, damaged)
		}); err != nil {
			return err
		}
		if cursor == 0 {
			return nil
		}
	}
}

func (c *check) lookAtUses(ctx context.Context, ids []string, damaged map[string]bool) (map[string]finding, error) {
	where, err := c.s.whereAre(ctx, ids...)
	if err != nil {
		return nil, err
	}
	found := map[string]finding{}
	for i, id := range ids {
		text := fmt.Sprintf("a use is noted of token %q, which isn't there", id)
		switch {
		case damaged[id]:
			text = fmt.Sprintf("token %q: its last use is damaged", id)
		case where[i] != nil:
			continue
		default:
			still := redis.NewStringCmd(noContext, "hget", c.s.keys.uses, id)
			if err := c.s.send(ctx, still); err != nil {
				return nil, err
			}
			if still.Err() != nil { // deleted with its token, since the uses were read
				continue
			}
		}
		found[id] = finding{text, func(ctx context.Context) error {
			return c.s.send(ctx, redis.NewIntCmd(noContext, "hdel", c.s.keys.uses, id))
		}}
	}
	return found, nil
}

// events looks for events that can't be read: once they are the oldest, they are
// removed.
func (c *check) events(ctx context.Context) error {
	for last := uint64(0); ; {
		page := redis.NewXMessageSliceCmd(noContext, "xrange", c.s.keys.events, streamID(last+1), "+", "count", step)
		if err := c.s.send(ctx, page); err != nil {
			return err
		}
		for _, m := range page.Val() {
			_, n, err := parseEvent(m)
			if err != nil {
				c.found(ctx, finding{err.Error(), nil})
			}
			last = n
		}
		if len(page.Val()) < step {
			return nil
		}
	}
}

// members calls f with the members of an index from one on ("-": the first), some
// at a time.
func (c *check) members(ctx context.Context, index, from string, f func([]string) error) error {
	for {
		cmd := redis.NewStringSliceCmd(noContext, "zrangebylex", index, from, "+", "limit", 0, step)
		if err := c.s.send(ctx, cmd); err != nil {
			return err
		}
		all := cmd.Val()
		if err := f(all); err != nil {
			return err
		}
		if len(all) < step {
			return nil
		}
		from = "(" + all[step-1]
	}
}

// scan calls f with the names of the keys that begin with prefix, without it,
// some at a time.
func (c *check) scan(ctx context.Context, prefix string, f func(names []string) error) error {
	escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix)
	var one sync.Mutex // ForEachMaster calls all at once
	return c.s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		one.Lock()
		defer one.Unlock()
		for cursor := uint64(0); ; {
			keys, next, err := server.Scan(ctx, cursor, escaped+"*", step).Result()
			if err != nil {
				return err
			}
			names := make([]string, len(keys))
			for i, k := range keys {
				names[i] = strings.TrimPrefix(k, prefix)
			}
			if err := f(names); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}
