package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// whole returns what is wrong with a store that nobody changes, pages included.
func whole(s *Store) error {
	problems, err := s.Check(context.Background(), false)
	errs := []error{err}
	for _, p := range problems {
		errs = append(errs, errors.New(p.Text))
	}
	errs = append(errs, s.db.View(func(b *bbolt.Tx) (err error) {
		for e := range b.Check() {
			err = errors.Join(err, e)
		}
		return err
	}))
	return errors.Join(errs...)
}

// A check beside changes finds nothing wrong with them.
func TestCheckBesideChanges(t *testing.T) {
	t.Parallel()
	s, _ := openOne(t)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := s.Create(t.Context(), newToken(fmt.Sprint(w, "-", n))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		if problems, err := s.Check(t.Context(), false); err != nil || len(problems) > 0 {
			t.Errorf("Check: %v, %v", problems, err)
		}
	}
	stop()
	writing.Wait()
}

// What is damaged is said, as far as anybody wants to read it.
func TestCheckOfDamagedRecords(t *testing.T) {
	t.Parallel()
	s, _ := openOne(t)
	if err := s.note(t.Context(), func(tx tx) (err error) {
		for n := range 2 * maxProblems {
			err = errors.Join(err, tx.tokens().Put(fmt.Append(nil, n), []byte("x")))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	problems, err := s.Check(t.Context(), false)
	if err != nil || len(problems) != maxProblems+1 || problems[maxProblems].Text != "there are more than these 1000" {
		t.Errorf("Check finds %d problems, %v, want %d and that there are more", len(problems), err, maxProblems)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if problems, err := s.Check(ended, false); !errors.Is(err, context.Canceled) {
		t.Errorf("Check that nobody waits for: %d problems, %v", len(problems), err)
	}
}

// Records that are kept under another's id keep no list from ending, whoever pages.
func TestListsOfADamagedFileEnd(t *testing.T) {
	t.Parallel()
	s, err := Open(filepath.Join(t.TempDir(), "tokens.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = walkStep + 1
	if err := s.note(t.Context(), func(tx tx) (err error) {
		for i := range n {
			key := fmt.Appendf(nil, "k%05d", i)
			err = errors.Join(err, tx.owners().Put(key, token.NewOwner("a").Encode(nil)), tx.tokens().Put(key, newToken("z").Encode(nil)))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for what, list := range map[string]func(cursor string, limit int) (int, string, error){
		"owners": func(cursor string, limit int) (int, string, error) {
			owners, next, err := s.Owners(t.Context(), cursor, limit)
			return len(owners), next, err
		},
		"tokens": func(cursor string, limit int) (int, string, error) {
			tokens, next, err := s.Tokens(t.Context(), store.Query{Cursor: cursor, Limit: limit})
			return len(tokens), next, err
		},
	} {
		if got, next, err := list("", 2*n); got != n || next != "" || err != nil {
			t.Errorf("%s: %d listed, then %q, %v; want %d", what, got, next, err, n)
		}
		first, next, err := list("", n-1)
		if err != nil || first != n-1 || next == "" {
			t.Errorf("%s: %d in the first page, then %q, %v", what, first, next, err)
		}
		if got, next, err := list(next, n); got != 1 || next != "" || err != nil {
			t.Errorf("%s: %d in the last page, then %q, %v; want 1", what, got, next, err)
		}
	}
}
