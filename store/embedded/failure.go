package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// failure is why the last commit failed.
type failure struct {
	err     error
	at      time.Time
	forgets bool // the wait for the disk failed: no more changes are made, see fails
}

// fails notes that a commit failed, and returns the error for its changes.
//
// If the file can't be written, the change isn't made, and nothing else is lost: the next
// one may succeed. If the wait for the disk (fsync) fails, the kernel takes the pages that
// it could not write for written, and later writes of the same pages may not reach the disk
// either, without an error (ext4 does this). What was acknowledged before is on disk, since
// none of its pages has been written again. So none is written again, until Open makes the
// kernel forget its pages.
func (s *Store) fails(err error) error {
	f := &failure{at: time.Now()}
	if f.forgets = !unwritten(err); f.forgets {
		f.err = fmt.Errorf("token store %s takes no more changes: the disk has failed to keep the last ones (%w); "+
			"make sure that there is room and that the disk is sound, and restart patgate", s.path, err)
	} else {
		f.err = fmt.Errorf("writing to token store %s: %w", s.path, err)
	}
	s.failed.Store(f)
	return f.err
}

// unwritten reports whether a commit failed before the wait for the disk: in a write, or in
// making the file longer, for which bbolt's error is no more than a text.
func unwritten(err error) bool {
	of, ok := errors.AsType[*fs.PathError](err)
	return ok && of.Op == "write" || strings.HasPrefix(err.Error(), "file resize error")
}

// refuses returns why no change can be made, or nil.
func (s *Store) refuses() error {
	if f := s.failed.Load(); f != nil && f.forgets {
		return f.err
	}
	return s.placed()
}

const (
	trialInterval = 5 * time.Second
	trialSize     = 1 << 16
)

// tries returns why the last commit failed, unless it can commit a large value now, which it
// removes again: that leaves room for the next changes.
func (s *Store) tries(ctx context.Context) error {
	f := s.failed.Load()
	if f == nil {
		return nil
	}
	if time.Since(f.at) < trialInterval {
		return f.err
	}
	if err := s.note(ctx, func(tx tx) error { return tx.meta().Put(keyTrial, make([]byte, trialSize)) }); err != nil {
		return err
	}
	if err := s.note(ctx, func(tx tx) error { return tx.meta().Delete(keyTrial) }); err != nil {
		return err
	}
	s.failed.CompareAndSwap(f, nil)
	return nil
}
