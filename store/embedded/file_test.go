package embedded

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// openOne opens a store with one token.
func openOne(t *testing.T) (s *Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tokens.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Create(t.Context(), newToken("a")); err != nil {
		t.Fatal(err)
	}
	return s, path
}

func rename(t *token.Token) error { t.Name += "x"; return nil }

// A file that is being copied over is short for a moment. Nothing is asked of bbolt
// then, which would leave its locks behind.
func TestFileIsCutOff(t *testing.T) {
	t.Parallel()
	s, path := openOne(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"Find":   func() error { _, err := s.Find(t.Context(), newToken("a").Digest); return err },
		"Update": func() error { _, err := s.Update(t.Context(), "a", rename); return err },
		"Reach":  func() error { return s.Reach(t.Context()) },
	} {
		if err := try(); !errors.Is(err, store.ErrUnreadable) {
			t.Errorf("%s: %v, want %v", name, err, store.ErrUnreadable)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), newToken("a").Digest); err != nil {
		t.Errorf("Find, of the whole file: %v", err)
	}
	if _, err := s.Update(t.Context(), "a", rename); err != nil {
		t.Errorf("Update, of the whole file: %v", err)
	}
}

// Where bbolt has left a lock behind, nothing waits for it, and the file is let go of.
func TestLockLeftBehind(t *testing.T) {
	t.Parallel()
	s, path := openOne(t)
	s.breaks(errors.New("a fault"))
	if _, err := s.Find(t.Context(), newToken("a").Digest); !errors.Is(err, store.ErrUnreadable) || !strings.Contains(err.Error(), "until patgate is restarted: a fault") {
		t.Errorf("Find: %v, want %v", err, store.ErrUnreadable)
	}
	if _, err := s.Update(t.Context(), "a", rename); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("Update: %v, want %v", err, store.ErrUnreadable)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	again, err := openWithin(path, time.Millisecond)
	if err != nil {
		t.Fatalf("Open, afterwards: %v", err)
	}
	again.Close()
}

// What is changed in a file that isn't at its place any more would be lost with it.
func TestFileIsElsewhere(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(path string) error{
		"removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		},
	} {
		s, path := openOne(t)
		if err := s.Reach(t.Context()); err != nil {
			t.Fatalf("%s: before: %v", name, err)
		}
		if err := move(path); err != nil {
			t.Fatal(err)
		}
		for call, err := range map[string]error{
			"Create": s.Create(t.Context(), newToken("b")),
			"Delete": s.Delete(t.Context(), "a"),
			"Reach":  s.Reach(t.Context()),
		} {
			if err == nil || errors.Is(err, store.ErrUnreadable) || !strings.Contains(err.Error(), "has been "+name) {
				t.Errorf("%s: %s: %v, want an error that says so", name, call, err)
			}
		}
		if _, err := s.Find(t.Context(), newToken("a").Digest); err != nil {
			t.Errorf("%s: Find: %v, want the token", name, err)
		}
		if problems, err := s.Check(t.Context(), true); err != nil || len(problems) != 1 || problems[0].Mendable || !strings.Contains(problems[0].Text, "has been "+name) {
			t.Errorf("%s: Check: %v, %v, want it said", name, problems, err)
		}
		var backup bytes.Buffer
		if err := s.Snapshot(t.Context(), &backup); err != nil {
			t.Errorf("%s: Snapshot: %v", name, err)
		}
		checkFile(t, writeFile(t, backup.String()))
	}
}

// A file that is moved back takes changes again.
func TestFileIsBack(t *testing.T) {
	t.Parallel()
	s, path := openOne(t)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), "a", rename); err == nil || !strings.Contains(err.Error(), "move the file back") {
		t.Errorf("Update, while it is away: %v, want what to do", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	_, err := s.Update(t.Context(), "a", rename)
	if err := errors.Join(err, s.Reach(t.Context())); err != nil {
		t.Errorf("Update and Reach, when it is back: %v", err)
	}
}

// A backup that is copied over the file in use would bring revoked tokens back, and
// changes of it would be written to pages that are others in there.
func TestFileIsOverwritten(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(s *Store) error{
		"Find":   func(s *Store) error { _, err := s.Find(t.Context(), newToken("a").Digest); return err },
		"Update": func(s *Store) error { _, err := s.Update(t.Context(), "a", rename); return err },
		"Reach":  func(s *Store) error { return s.Reach(t.Context()) },
	} {
		for _, copy := range []string{"an older one", "an older one, at once", "a later one"} {
			s, path := openOne(t)
			copied, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			switch copy {
			case "an older one":
				if _, err := s.Update(t.Context(), "a", rename); err != nil {
					t.Fatal(err)
				}
			case "an older one, at once": // before this server has made a change
				if _, err := s.Update(t.Context(), "a", rename); err != nil {
					t.Fatal(err)
				}
				s.Close()
				if s, err = Open(path); err != nil {
					t.Fatal(err)
				}
				defer s.Close()
			case "a later one": // a file of another server, which has made more changes
				other := filepath.Join(t.TempDir(), "other.db")
				if err := os.WriteFile(other, copied, 0o600); err != nil {
					t.Fatal(err)
				}
				o, err := Open(other)
				if err != nil {
					t.Fatal(err)
				}
				for range 4 {
					if _, err := o.Update(t.Context(), "a", rename); err != nil {
						t.Fatal(err)
					}
				}
				o.Close()
				if copied, err = os.ReadFile(other); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(path, copied, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := try(s); !errors.Is(err, store.ErrUnreadable) || !strings.Contains(err.Error(), "overwritten") {
					t.Errorf("%s, over it %s: %v, want %v", name, copy, err, store.ErrUnreadable)
				}
			}
		}
	}
}

// Where no token can be read any more, Reach says so.
func TestReachReads(t *testing.T) {
	t.Parallel()
	s, path := openOne(t)
	if err := os.Truncate(path, 2*int64(os.Getpagesize())); err != nil { // but for the first pages
		t.Fatal(err)
	}
	if err := s.Reach(t.Context()); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("Reach: %v, want %v", err, store.ErrUnreadable)
	}
	// Addresses past the file's end are not of anything: they fault, and nothing more.
	if _, err := s.Find(t.Context(), newToken("a").Digest); err == nil || !strings.Contains(err.Error(), "a page of its file can't be read") {
		t.Errorf("Find: %v, want that a page can't be read", err)
	}
}

// Nothing of a backup is left where the process that makes it ends.
func TestSnapshotHasNoName(t *testing.T) {
	t.Parallel()
	s, path := openOne(t)
	seen := false
	if err := s.Snapshot(t.Context(), writerFunc(func(p []byte) (int, error) {
		seen = true
		if names, err := filepath.Glob(path + "*"); err != nil || len(names) != 1 {
			t.Errorf("while a backup is made, there are %q, %v, want the store alone", names, err)
		}
		return len(p), nil
	})); err != nil || !seen {
		t.Errorf("Snapshot: %v, wrote %v", err, seen)
	}
}

// Who gives up isn't copied for any longer: no page that the copy can still see is
// written again.
func TestSnapshotGivenUp(t *testing.T) {
	t.Parallel()
	s, _ := openOne(t)
	ctx, cancel := context.WithCancel(t.Context())
	writes := 0
	err := s.copy(ctx, writerFunc(func(p []byte) (int, error) {
		cancel()
		writes++
		return len(p), nil
	}))
	if writes != 1 || err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("%d pieces were written, %v, want one, and %v", writes, err, context.Canceled)
	}
}

// A copy that has no end is no backup.
func TestSnapshotIsCutOff(t *testing.T) {
	t.Parallel()
	s, _ := openOne(t)
	full := errors.New("full")
	err := s.Snapshot(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full }))
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "copying token store") {
		t.Errorf("Snapshot = %v, want that it couldn't be copied, and why", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A commit that fails in its last step may show all the same: it is no other file's.
func TestCommitShowsLate(t *testing.T) {
	t.Parallel()
	s, _ := openOne(t)
	for range 2 {
		s.begun.Add(1)
		id := 0
		if err := s.db.Update(func(b *bbolt.Tx) error { id = b.ID(); return nil }); err != nil { // and nobody is told that it was
			t.Fatal(err)
		}
		if !s.shows(id) || s.shows(id+1) {
			t.Errorf("transaction %d shows: %v, the next one: %v; want that only it does", id, s.shows(id), s.shows(id+1))
		}
		if _, err := s.Find(t.Context(), newToken("a").Digest); err != nil {
			t.Errorf("Find: %v", err)
		}
	}
	if _, err := s.Update(t.Context(), "a", rename); err != nil {
		t.Errorf("Update: %v", err)
	}
}
