package embedded

import (
	"bytes"
	"context"
	"fmt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Check implements store.Checker. Every change is one transaction, so that no crash
// leaves anything at odds; what is found is damage to the file, which can't be
// repaired in place, but for uses.
func (s *Store) Check(ctx context.Context, repair bool) (problems []store.Problem, err error) {
	if err := s.Reach(ctx); err != nil {
		problems = append(problems, store.Problem{Text: err.Error()})
	}
	err = s.view(ctx, func(tx tx) error {
		problems = append(problems, check(tx)...)
		return nil
	})
	if err == nil {
		err = s.checkUses(ctx, repair, &problems)
	}
	return problems, err
}

// checkUses looks for uses that are of no token, which versions that don't know uses
// leave behind, and for damaged ones. Nothing depends on them: they can be dropped.
func (s *Store) checkUses(ctx context.Context, repair bool, problems *[]store.Problem) error {
	var wrong [][]byte
	if err := s.view(ctx, func(tx tx) error {
		return tx.uses().ForEach(func(id, _ []byte) error {
			text := ""
			if tx.tokens().Get(id) == nil {
				text = fmt.Sprintf("a use is noted of token %q, which isn't there", id)
			} else if _, err := tx.use(string(id)); err != nil {
				text = err.Error()
			}
			if text != "" {
				wrong = append(wrong, bytes.Clone(id))
				*problems = append(*problems, store.Problem{Text: text, Mended: repair})
			}
			return nil
		})
	}); err != nil || !repair || len(wrong) == 0 {
		return err
	}
	return s.note(ctx, func(tx tx) error {
		for _, id := range wrong {
			if err := tx.uses().Delete(id); err != nil {
				return fmt.Errorf("dropping the use noted of token %q: %w", id, err)
			}
		}
		return nil
	})
}

// check compares records, indexes and numbers with each other, and has bbolt
// look over its pages. It returns everything that isn't right.
func check(tx tx) (problems []store.Problem) {
	wrong := func(format string, args ...any) {
		problems = append(problems, store.Problem{Text: fmt.Sprintf(format, args...)})
	}
	for err := range tx.b.Check() {
		wrong("%v", err)
	}
	tokens, digests := 0, 0
	tx.tokens().ForEach(func(id, raw []byte) error {
		tokens++
		t, err := token.Decode(raw)
		if err != nil {
			wrong("token %q: %v", id, err)
			return nil
		}
		if t.ID != string(id) {
			wrong("token %q is kept as %q", t.ID, id)
		}
		for _, d := range t.Digests() {
			digests++
			if got := tx.digests().Get(d[:]); string(got) != t.ID {
				wrong("a digest of token %q is that of %q", t.ID, got)
			}
		}
		key := append(ownerPrefix(t.Owner), id...)
		if got, _ := tx.byOwner().Cursor().Seek(key); string(got) != string(key) {
			wrong("token %q is not listed with its owner %q", t.ID, t.Owner)
		}
		return nil
	})
	owners := 0
	tx.owners().ForEach(func(id, raw []byte) error {
		owners++
		if o, err := token.DecodeOwner(raw); err != nil || o.ID != string(id) {
			wrong("owner %q holds %+v, %v", id, o, err)
		}
		return nil
	})
	events, indexed := 0, 0
	index := tx.eventsBy()
	tx.events().ForEach(func(key, _ []byte) error {
		events++
		e, err := tx.event(key)
		if err != nil {
			wrong("%v", err)
			return nil
		}
		return eachIndex(&e, func(prefix []byte) error {
			indexed++
			if at, _ := index.Cursor().Seek(append(prefix, key...)); !bytes.Equal(at, append(prefix, key...)) {
				wrong("event %s is not in the index of %q", e.ID, prefix)
			}
			return nil
		})
	})
	// Every token's own entries are there: with as many in all, there are no others.
	for _, c := range []struct {
		what string
		n    int
		want int
	}{
		{"digests", tx.digests().Stats().KeyN, digests},
		{"tokens listed with owners", tx.byOwner().Stats().KeyN, tokens},
		{"tokens by the number", int(tx.number(keyTokens)), tokens},
		{"events in indexes", index.Stats().KeyN, indexed},
		{"events by the number", int(tx.number(keyEvents)), events},
		{"owners by the number", int(tx.number(keyOwners)), owners},
	} {
		if c.n != c.want {
			wrong("%d %s, want %d", c.n, c.what, c.want)
		}
	}
	return problems
}

var _ store.Checker = (*Store)(nil)
