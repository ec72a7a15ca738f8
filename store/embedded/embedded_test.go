package embedded

import (
	"path/filepath"
	"testing"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
}

// open opens a store in a directory of its own. When the test ends, the store is
// closed and its file must be whole.
func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "tokens.db"))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		s.Close()
		checkFile(t, s.path)
	})
	return s
}

// checkFile checks a file that no store has open.
func checkFile(t testing.TB, path string) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Errorf("opening the file again: %v", err)
		return
	}
	defer s.Close()
	if err := whole(s); err != nil {
		t.Errorf("the file is not whole: %v", err)
	}
}
