package embedded

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/patgate/patgate/store"
)

// What fails otherwise than these is taken for a wait for the disk.
func TestUnwritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&fs.PathError{Op: "write", Path: "tokens.db", Err: syscall.ENOSPC}, true},
		{errors.New("file resize error: truncate tokens.db: file too large"), true},
		{syscall.EIO, false},
		{&fs.PathError{Op: "sync", Path: "tokens.db", Err: syscall.EIO}, false}, // of other systems
		{errors.New("file sync error: sync tokens.db: input/output error"), false},
		{errors.New("something new"), false},
	} {
		if got := unwritten(c.err); got != c.want {
			t.Errorf("unwritten(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

// That a note could be written, which fits where changes don't, says nothing of changes, nor
// does it beside a change that is refused.
func TestNotesDontEndAFailure(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.fails(&fs.PathError{Op: "write", Path: "tokens.db", Err: syscall.ENOSPC})
	together(t, s, func() {
		if err := s.note(t.Context(), func(tx tx) error { return tx.meta().Put([]byte("note"), []byte("x")) }); err != nil {
			t.Error(err)
		}
	}, func() {
		if err := s.DeleteOwner(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("DeleteOwner: %v, want ErrNotFound", err)
		}
	})
	if err := s.Reach(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("after a note: %v, want %v", err, syscall.ENOSPC)
	}
	if err := s.Create(t.Context(), newToken("a")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reach(t.Context()); err != nil {
		t.Errorf("after a change: %v", err)
	}
}
