package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Snapshot implements store.Snapshotter. The copy is made beside the file first, and
// taken from there: for as long as w takes, the file would grow with every change, and
// a writer might have to wait, as scan says. It has no name, so that nothing of it is
// left behind. Where the store takes no changes the file doesn't grow, and there may be
// no place for a copy.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	if s.refuses() != nil {
		return s.copy(ctx, w)
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".snapshot-*")
	if err != nil {
		return s.copying(err)
	}
	if os.Remove(f.Name()) != nil { // an open file can't be, on Windows
		defer os.Remove(f.Name())
	}
	defer f.Close()
	if err = s.copy(ctx, f); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return s.copying(err)
	}
	if _, err = io.Copy(w, f); err != nil {
		return fmt.Errorf("copying token store %s: %w", s.path, err)
	}
	return nil
}

// copy writes what the file holds.
func (s *Store) copy(ctx context.Context, w io.Writer) error {
	return s.view(ctx, func(tx tx) error {
		_, err := tx.b.WriteTo(w)
		return err
	})
}

// copying says what came in the way of the copy beside the file.
func (s *Store) copying(err error) error {
	if errors.Is(err, syscall.ENOSPC) { // wherever the copy is to go
		return fmt.Errorf("copying token store %s, beside it first: %w: make room there, or stop the server and copy the file itself", s.path, err)
	}
	return fmt.Errorf("copying token store %s: %w", s.path, err)
}
