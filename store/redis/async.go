package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// asyncFind is a Find that calls back.
type asyncFind struct {
	lookup
	s        *Store
	digest   token.Digest
	position store.Position
	floor    floor
	done     func(store.Found, error)
}

// FindAsync implements store.Async. A token that one lookup finds costs no goroutine and
// no timer. If more must be read, a goroutine calls Find.
func (s *Store) FindAsync(d token.Digest, done func(store.Found, error)) {
	f := &asyncFind{s: s, digest: d, position: s.told.position(), floor: s.floors.of(tokenFloor(d)), done: done}
	f.key, f.end = s.keys.token(d), f.ended
	err := s.usable(s.ctx)
	if err == nil {
		err = s.believed()
	}
	if err == nil {
		err = s.ask(s.ctx, &f.lookup)
	}
	if err != nil {
		done(store.Found{}, s.reading("a token", err))
	}
}

var errMore = errors.New("more must be read")

// ended passes on what the lookup has found.
func (f *asyncFind) ended() {
	r, err := f.record()
	switch {
	case errors.Is(err, errMore):
		go f.read(func() (store.Found, error) { return f.s.Find(f.s.ctx, f.digest) })
		return
	case err != nil:
		f.done(store.Found{}, err)
		return
	}
	found := f.s.foundBy(f.digest, r, f.position)
	if f.s.cachedOwner(&found) {
		f.done(found, nil)
		return
	}
	go f.read(func() (store.Found, error) {
		ctx, cancel := context.WithDeadline(f.s.ctx, f.by)
		defer cancel()
		return f.s.withOwner(ctx, found)
	})
}

// read passes on what more is read. A panic becomes an error: others wait for this
// goroutine.
func (f *asyncFind) read(more func() (store.Found, error)) {
	found, err := func() (_ store.Found, err error) {
		defer f.shield(&err)
		return more()
	}()
	f.done(found, err)
}

// shield turns a panic into an error.
func (f *asyncFind) shield(err *error) {
	if p := recover(); p != nil {
		*err = f.s.reading("a token", fmt.Errorf("panic: %v", p))
	}
}

// record returns the live record that the lookup has found, or errMore.
func (f *asyncFind) record() (r record, err error) {
	defer f.shield(&err)
	switch v := f.value; {
	case f.err != nil:
		return record{}, f.s.reading("a token", f.err)
	case v != "" && v[0] != kindLive:
		return record{}, errMore
	}
	r, err = parseRecord(f.value)
	switch {
	case err != nil:
		return record{}, f.s.reading("a token", err)
	case !f.floor.allows(r.raw != "", r.version), r.raw == "" && (!f.s.hears() || f.s.missing.has(f.digest)), r.live() && r.token.Digest != f.digest:
		return record{}, errMore
	case !r.live():
		return record{}, store.ErrNotFound
	}
	return r, nil
}
