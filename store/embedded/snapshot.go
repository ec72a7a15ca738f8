package embedded

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/patgate/patgate/store"
)

// Snapshot implements store.Snapshotter. The copy is made beside the file first, and
// taken from there: for as long as w takes, the file would grow with every change, and
// a writer might have to wait, as scan says. It has no name, so that nothing of it is
// left behind.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) (err error) {
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".snapshot-*")
	if err != nil {
		return fmt.Errorf("copying token store %s: %w", s.path, err)
	}
	if os.Remove(f.Name()) != nil { // an open file can't be, on Windows
		defer os.Remove(f.Name())
	}
	defer f.Close()
	err = s.view(ctx, func(tx tx) error {
		_, err := tx.b.WriteTo(f)
		return err
	})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(w, f)
	}
	if err != nil {
		return fmt.Errorf("copying token store %s: %w", s.path, err)
	}
	return nil
}

var _ store.Snapshotter = (*Store)(nil)
