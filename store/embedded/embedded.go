// Package embedded keeps tokens in one file, for a patgate that runs on one
// machine.
//
// The file is a bbolt database: every change is one transaction, on disk before
// its call returns, and a process that dies at any moment leaves the state
// before or after a change, never between. Changes that arrive together share
// one transaction, and so one wait for the disk. If that wait fails, no more changes
// are made: those acknowledged before are on disk, and stay there. One process at a
// time holds the file.
//
// # Layout
//
// Format 1 has these buckets; numbers are 8 bytes, big-endian.
//
//	tokens   id                          token.Token.Encode
//	digests  digest                      id, for current and retired secrets
//	byowner  length of owner, owner, id  nothing; the length is 4 bytes
//	owners   id                          token.Owner.Encode
//	uses     id                          a token's last use: milliseconds, address
//	events   number                      an event, in JSON
//	eventsby t or o, then length of      nothing: the events of a token, and of an
//	         name, name, number          owner and the owner's tokens
//	meta     format, position,           numbers: the position of the last change,
//	         tokens, owners, events      and how many of each there are
//	         mark:, name                 a mark, see store.Store
//	         trial                       a value to test whether there is room
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/patgate/patgate/store"
)

// Store is a store.Store in one file.
type Store struct {
	path string
	file *os.File // bbolt's
	db   *bbolt.DB

	lead   chan struct{}           // holds a value while a call commits what is queued
	last   atomic.Int64            // id of the last transaction that was committed
	begun  atomic.Int64            // id of the last that was begun: it may be visible although its commit failed, see shows
	broken atomic.Pointer[error]   // why bbolt can't be called any more
	failed atomic.Pointer[failure] // of the last commit; nil: it succeeded

	queueing sync.Mutex
	queue    []*change // waiting for the next commit

	watchers store.Watchers
}

// Status implements store.Store.
func (s *Store) Status(ctx context.Context) (store.Status, error) {
	st := store.Status{Kind: "embedded", Location: s.path, Gateways: []store.Gateway{}}
	err := s.view(ctx, func(tx tx) error {
		st.Position = tx.position()
		st.Tokens = int(tx.number(keyTokens))
		st.Owners = int(tx.number(keyOwners))
		return nil
	})
	return st, err
}

// Close waits for the calls that are under way and releases the file.
func (s *Store) Close() error {
	s.lead <- struct{}{}
	defer func() { <-s.lead }()
	closing := s.db.Close
	if s.broken.Load() != nil { // bbolt would wait for ever
		closing = func() error { return release(s.file) }
	}
	if err := closing(); err != nil {
		return fmt.Errorf("closing token store %s: %w", s.path, err)
	}
	return nil
}

// view calls f with the state of the store at one moment.
func (s *Store) view(ctx context.Context, f func(tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.whole(); err != nil {
		return err
	}
	begun, answered, foreign := false, false, false
	last := int(s.last.Load())
	err := s.shielded(func() error {
		err := s.db.View(func(b *bbolt.Tx) error {
			begun = true
			if foreign = b.ID() < last || b.ID() > int(s.begun.Load()); foreign {
				return errOverwritten
			}
			return f(tx{b})
		})
		answered = true
		return err
	})
	switch {
	case foreign, !begun && errors.Is(err, bolterrors.ErrInvalidMapping), !begun && !answered:
		return s.breaks(err)
	}
	return err
}

// errOverwritten means that the file isn't in the state in which this process left it. The
// pages that bbolt takes for free are those of that state.
var errOverwritten = errors.New("its file has been overwritten")

// breaks makes all later calls fail with err: bbolt would answer for another file, or never.
func (s *Store) breaks(err error) error {
	err = fmt.Errorf("token store %s %w until patgate is restarted: %v", s.path, store.ErrUnreadable, err)
	s.broken.Store(&err)
	return err
}

// whole returns why bbolt must not be called, or nil. A fault in the first pages, at the
// beginning of a transaction, would make it leave its locks behind.
func (s *Store) whole() error {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	info, err := s.file.Stat()
	if err == nil && info.Size() < 2*int64(os.Getpagesize()) {
		err = errors.New("its file has been cut off")
	}
	if err != nil {
		return fmt.Errorf("token store %s %w: %v", s.path, store.ErrUnreadable, err)
	}
	return nil
}

// Reach implements store.Store. It reads no pages but the first: damage to another one is
// met by those who need that page.
func (s *Store) Reach(ctx context.Context) error {
	if err := s.view(ctx, func(tx tx) error {
		if info, err := s.file.Stat(); err == nil && info.Size() < tx.b.Size() {
			return fmt.Errorf("token store %s %w: its file has been cut off", s.path, store.ErrUnreadable)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.refuses(); err != nil {
		return err
	}
	return s.tries(ctx)
}

// placed returns an error if the file isn't at its path any more: changes would be lost with
// it.
func (s *Store) placed() error {
	ours, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("looking for token store %s: %w", s.path, err)
	}
	there, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("token store %s has been removed, and takes no changes: move the file back, or, where it is deleted, "+
			"save it before patgate is stopped (patgate store backup), put the backup there, and restart patgate", s.path)
	case err != nil:
		return fmt.Errorf("looking for token store %s: %w", s.path, err)
	case !os.SameFile(ours, there):
		return fmt.Errorf("token store %s has been replaced by another file, and takes no changes: restart patgate, and it uses that one", s.path)
	}
	return nil
}

// shielded calls f, and turns what may go wrong with the file into errors. bbolt panics
// at a damaged page, and the mapped file faults if the disk can't be read: that must
// fail one lookup, not the server.
func (s *Store) shielded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(runtime.Error); ok {
				p = "a page of its file can't be read"
			}
			err = fmt.Errorf("token store %s seems to be damaged: %v", s.path, p)
		}
	}()
	err = f()
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		err = fmt.Errorf("token store %s is closed", s.path)
	}
	return err
}

// Interface guards
var (
	_ store.Store       = (*Store)(nil)
	_ store.Snapshotter = (*Store)(nil)
)
