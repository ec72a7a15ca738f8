package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
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
