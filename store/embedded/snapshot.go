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

// Snapshot implements store.Snapshotter. It copies the file to one beside it first, and
// that to w: while a slow w is written to, the file would grow with every change, and a
// writer might have to wait (see walk). The file beside it has no name, so that nothing is
// left behind. If the store takes no changes, the file doesn't grow, and there may be no
// room for a copy: then the file is copied to w directly.
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

// Preload reads the file from beginning to end, for callers that are about to read all of
// it: bbolt turns read-ahead off, so that they would wait for each page of a file that
// isn't in memory. Errors are left to those callers.
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

// besideFailed says where the copy failed: the caller may think of another disk.
func besideFailed(err error) error {
	return fmt.Errorf("beside it first: %w: make room, or stop the server and copy the file itself", err)
}

// copying says what err has ended.
func (s *Store) copying(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("copying token store %s: %w", s.path, err)
}
