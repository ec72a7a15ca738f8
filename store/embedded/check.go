package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Check implements store.Store. Every change is one transaction, so that no crash
// leaves an inconsistency: what Check finds is damage to the file, of which only uses
// can be repaired in place.
//
// It doesn't use bbolt's own check, which can't run beside writers, and ends the process
// at a damaged page.
func (s *Store) Check(ctx context.Context, repair bool) ([]store.Problem, error) {
	c := &checking{ctx: ctx, repair: repair}
	if err := s.Reach(ctx); err != nil {
		c.wrong("%v", err)
	}
	s.Preload(ctx)
	err := s.view(ctx, func(tx tx) error {
		c.records(tx)
		c.uses(tx)
		return ctx.Err()
	})
	if err == nil && repair && len(c.dropped) > 0 {
		err = s.note(ctx, c.drop)
	}
	return c.problems, err
}

// checking is a check under way.
type checking struct {
	ctx      context.Context
	repair   bool
	problems []store.Problem
	dropped  [][]byte // the uses to be dropped, by their tokens
}

// maxProblems bounds the problems returned: a damaged page may have any number.
const maxProblems = 1000

func (c *checking) wrong(format string, args ...any) {
	c.found(store.Problem{Text: fmt.Sprintf(format, args...)})
}

func (c *checking) found(p store.Problem) {
	switch n := len(c.problems); {
	case n < maxProblems:
		c.problems = append(c.problems, p)
	case n == maxProblems:
		c.problems = append(c.problems, store.Problem{Text: fmt.Sprintf("there are more than these %d", n)})
	}
}

var errDisorder = errors.New("the keys are not in their order")

// each calls f for every record of a bucket, and returns how many there are. In a
// damaged file the cursor may go round in circles: each ends at a key out of order.
func (c *checking) each(what string, b *bbolt.Bucket, f func(key, value []byte)) (n int) {
	var last []byte
	err := b.ForEach(func(key, value []byte) error {
		if n > 0 && bytes.Compare(last, key) >= 0 {
			return errDisorder
		}
		n++
		last = key
		f(key, value)
		return c.ctx.Err()
	})
	if err != nil && c.ctx.Err() == nil {
		c.wrong("%s: %v", what, err)
	}
	return n
}

// count returns how many records a bucket has.
func (c *checking) count(what string, b *bbolt.Bucket) int {
	return c.each(what, b, func(_, _ []byte) {})
}

// records compares records, indexes and numbers with each other.
func (c *checking) records(tx tx) {
	tokens, digests := c.tokens(tx)
	owners := c.each("owners", tx.owners(), func(id, raw []byte) {
		if o, err := token.DecodeOwner(raw); err != nil || o.ID != string(id) {
			c.wrong("owner %q holds %+v, %v", id, o, err)
		}
	})
	events, indexed := c.events(tx)
	// Each record's entries are there. If there are as many in all, there are no others.
	for _, number := range []struct {
		what string
		n    int
		want int
	}{
		{"digests", c.count("digests", tx.digests()), digests},
		{"tokens listed with owners", c.count("tokens listed with owners", tx.byOwner()), tokens},
		{"tokens by the number", int(tx.number(keyTokens)), tokens},
		{"events in indexes", c.count("events in indexes", tx.eventsBy()), indexed},
		{"events by the number", int(tx.number(keyEvents)), events},
		{"owners by the number", int(tx.number(keyOwners)), owners},
	} {
		if number.n != number.want {
			c.wrong("%d %s, want %d", number.n, number.what, number.want)
		}
	}
}

// tokens compares tokens with their indexes, and returns how many tokens and digests there
// are.
func (c *checking) tokens(tx tx) (tokens, digests int) {
	tokens = c.each("tokens", tx.tokens(), func(id, raw []byte) {
		t, err := token.Decode(raw)
		if err != nil {
			c.wrong("token %q: %v", id, err)
			return
		}
		if t.ID != string(id) {
			c.wrong("token %q is kept as %q", t.ID, id)
		}
		for _, d := range t.Digests() {
			digests++
			if got := tx.digests().Get(d[:]); string(got) != t.ID {
				c.wrong("a digest of token %q is that of %q", t.ID, got)
			}
		}
		key := append(ownerPrefix(t.Owner), id...)
		if got, _ := tx.byOwner().Cursor().Seek(key); string(got) != string(key) {
			c.wrong("token %q is not listed with its owner %q", t.ID, t.Owner)
		}
	})
	return tokens, digests
}

// events compares events with their index, and returns how many events and entries of the
// index there are.
func (c *checking) events(tx tx) (events, indexed int) {
	index := tx.eventsBy()
	events = c.each("events", tx.events(), func(key, _ []byte) {
		e, err := tx.event(key)
		if err != nil {
			c.wrong("%v", err)
			return
		}
		for _, at := range indexKeys(&e, key) {
			indexed++
			if there, _ := index.Cursor().Seek(at); !bytes.Equal(there, at) {
				c.wrong("event %s is not in the index of %q", e.ID, at[:len(at)-len(key)])
			}
		}
	})
	return events, indexed
}

// uses looks for uses of tokens that aren't there, which versions that don't know uses
// leave behind, and for damaged ones. Nothing depends on them: they can be dropped.
func (c *checking) uses(tx tx) {
	c.each("uses", tx.uses(), func(id, _ []byte) {
		text := ""
		if tx.tokens().Get(id) == nil {
			text = fmt.Sprintf("a use is noted of token %q, which isn't there", id)
		} else if _, err := tx.use(string(id)); err != nil {
			text = err.Error()
		}
		if text != "" {
			c.dropped = append(c.dropped, bytes.Clone(id))
			c.found(store.Problem{Text: text, Mended: c.repair, Mendable: true})
		}
	})
}

func (c *checking) drop(tx tx) error {
	for _, id := range c.dropped {
		if err := tx.uses().Delete(id); err != nil {
			return fmt.Errorf("dropping the use noted of token %q: %w", id, err)
		}
	}
	return nil
}
