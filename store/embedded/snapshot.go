package embedded

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// Snapshot implements store.Snapshotter. The copy is made beside the file first, and
// taken from there: for as long as w takes, the file would grow with every change, and
// a writer might have to wait, as walk says. It has no name, so that nothing of it is
// left behind. Where the store takes no changes the file doesn't grow, and there may be
// no place for a copy.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	if s.refuses() != nil {
		return s.copying(s.copy(ctx, w))
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".snapshot-*")
	if err != nil {
		return s.copying(besideFailed(err))
	}
	if os.Remove(f.Name()) != nil { // an open file can't be, on Windows
		defer os.Remove(f.Name())
	}
	defer f.Close()
	beside := &errorKeeper{w: f}
	err = s.copy(ctx, beside)
	if beside.err != nil {
		err = besideFailed(beside.err)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(w, f)
	}
	return s.copying(err)
}

// copy writes what the file holds, until ctx ends.
func (s *Store) copy(ctx context.Context, w io.Writer) error {
	return s.view(ctx, func(tx tx) error {
		_, err := tx.b.WriteTo(untilDone{ctx, w})
		return err
	})
}

// Preload reads the file from its beginning to its end, for whoever is about to read all of
// it: bbolt has the system read nothing ahead, so that of a file that isn't in memory each
// page would be waited for. What can't be read, that reader says.
func (s *Store) Preload(ctx context.Context) {
	io.Copy(untilDone{ctx, io.Discard}, io.NewSectionReader(s.file, 0, math.MaxInt64))
}

// untilDone writes to w until ctx ends.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u untilDone) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// errorKeeper keeps the first error of w: bbolt doesn't wrap it.
type errorKeeper struct {
	w   io.Writer
	err error
}

func (k *errorKeeper) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	k.err = cmp.Or(k.err, err)
	return n, err
}

// besideFailed says where the copy was to be made: it may be meant for another disk.
func besideFailed(err error) error {
	return fmt.Errorf("beside it first: %w: make room, or stop the server and copy the file itself", err)
}

// copying says what an error came in the way of.
func (s *Store) copying(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("copying token store %s: %w", s.path, err)
}
