package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		"removed": os.Remove,
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
		if problems, err := s.Check(t.Context(), true); err != nil || len(problems) != 1 || problems[0].Mended || !strings.Contains(problems[0].Text, "has been "+name) {
			t.Errorf("%s: Check: %v, %v, want it said", name, problems, err)
		}
	}
}
