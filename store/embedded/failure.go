package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// failure is why the last commit has failed.
type failure struct {
	err     error
	at      time.Time
	forgets bool // the disk has failed to keep what the kernel had taken
}

// fails notes that a commit has failed, and returns the error of its changes.
//
// Where the file can't be written, the change is not made, and nothing else is lost: the
// next one may be made. Where the wait for the disk fails, the kernel has what it could not
// write for written, and what is written to the same pages again may not reach the disk
// either, without an error (so it is with ext4). What was answered before is there, for
// no page of that has been written again. So none is, until Open has the kernel forget
// its pages.
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

// unwritten reports whether a commit failed before the wait for the disk: in a write, or
// where the file was to be made longer, of which bbolt gives no more than a text.
func unwritten(err error) bool {
	of, ok := errors.AsType[*fs.PathError](err)
	return ok && of.Op == "write" || strings.HasPrefix(err.Error(), "file resize error")
}

// refuses returns why no change can be made; nil: one may be.
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

// tries returns why the last commit has failed, unless one succeeds now: that of a large
// value, which is removed again, and leaves its room to the next changes.
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
