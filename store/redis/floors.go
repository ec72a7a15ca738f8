package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/patgate/patgate/token"
)

// floorsKept is how many of the records that changed last are remembered.
const floorsKept = 16_384

// floor is the last change of a record that this process knows of: an older version
// must not be believed. The zero floor allows everything.
type floor struct {
	version uint64
	gone    bool // by that change
	doubted bool // a later change, in a gap of the feed, may have removed the record
}

// allows reports whether a record of this version, or its absence, may be what
// Redis holds.
func (f floor) allows(there bool, version uint64) bool {
	switch {
	case f.version == 0:
		return true
	case !there:
		return f.gone || f.doubted
	case f.gone:
		return version > f.version
	}
	return version >= f.version
}

// allowsOwner is allows for an owner's record. left says that the key holds the version of
// a deleted one.
func (f floor) allowsOwner(there, left bool, version uint64) bool {
	if !there && left {
		return version >= f.version
	}
	return f.allows(there, version)
}

// floors are the floors of the records that changed last, by tokenFloor or ownerFloor.
type floors struct {
	mu    sync.RWMutex
	by    map[string]floor
	names []string // in the order in which they came; a ring when it is full
	next  int
}

func tokenFloor(d token.Digest) string { return string(d[:]) }
func ownerFloor(name string) string    { return "owner " + name }

func (f *floors) of(name string) floor {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.by[name]
}

// owners returns the names of the owners that have a floor.
func (f *floors) owners() (names []string) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for name := range f.by {
		if owner, ok := strings.CutPrefix(name, ownerFloor("")); ok {
			names = append(names, owner)
		}
	}
	return names
}

func (f *floors) raise(name string, to floor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]floor{}
	}
	old, known := f.by[name]
	switch {
	case known:
		if to.version >= old.version {
			f.by[name] = to
		}
		return
	case len(f.names) < floorsKept:
		f.names = append(f.names, name)
	default:
		delete(f.by, f.names[f.next])
		f.names[f.next] = name
		f.next = (f.next + 1) % floorsKept
	}
	f.by[name] = to
}

// doubtAbsence allows every token to be absent: a change in a gap of the feed, which can't be
// read any more, may have deleted it.
func (f *floors) doubtAbsence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, to := range f.by {
		if !strings.HasPrefix(name, ownerFloor("")) {
			to.doubted = true
			f.by[name] = to
		}
	}
}

// hasLost reports whether Redis has lost a change of a record: it has an older record than
// the floor allows, or none. If it has none, a change that this gateway hasn't taken in yet
// may have removed it, so hasLost reads the rest of the feed first.
func (s *Store) hasLost(ctx context.Context, name string, allowed, there bool) (bool, error) {
	if allowed || there {
		return !allowed, nil
	}
	if err := s.skipToEnd(ctx); err != nil {
		return false, fmt.Errorf("it isn't there, and whether that is by a change can't be read: %w", err)
	}
	return !s.floors.of(name).allows(false, 0), nil
}

// errBehind is why a token that Redis doesn't have isn't unknown.
var errBehind = errors.New("it isn't there, but neither are changes that this gateway has heard of: that redis server may be an outdated replica, or still empty")

// caughtUp returns errBehind if Redis has fewer changes than were followed. While changes are
// heard, the feed shows that it has all.
func (s *Store) caughtUp(ctx context.Context) error {
	followed := s.told.position()
	head := s.readHead()
	if err := s.send(ctx, head); err != nil {
		return err
	}
	end, err := toCursor(head.Val())
	if err == nil && end.n < uint64(followed) {
		err = errBehind
	}
	return err
}
