package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/patgate/patgate/token"
)

// floorsKept is how many of the records that changed last are remembered.
const floorsKept = 16_384

// floor is what this process knows of a record's last change: an older version
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

// allowsOwner is allows for an owner's record. What is left of one that was deleted is a
// version.
func (f floor) allowsOwner(there, left bool, version uint64) bool {
	if !there && left {
		return version >= f.version
	}
	return f.allows(there, version)
}

// floors are those of the records that changed last, by tokenFloor or ownerFloor.
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

// owners returns the names of the owners among those that are remembered.
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

// doubtAbsence allows every token to be absent: a change in a gap of the feed, which nobody
// can read any more, may have deleted it.
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

// hasLost reports whether Redis has lost a change of a record: it shows an older record
// than is allowed, or none. Where it shows none, a change that this gateway hasn't taken in
// yet may have removed the record, so the rest of the feed is read first.
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

// behind returns errBehind if Redis has fewer changes than were followed. Where changes are
// heard, the feed has shown that it has all.
func (s *Store) behind(ctx context.Context) error {
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

// remedy is what is to be done about a record of which Redis has lost a change.
type remedy string

const (
	endIt  remedy = "revoke or delete the token, or disable the owner, to go on"
	remake remedy = "import the token again, or restart the gateways, to go on"
	// of one that is listed
	restore remedy = "restore the server that had the token, or let patgate store check --repair take it off the list, and import it again"
)

// lostFeed counts and reports that Redis has lost the feed behind a change, and so whatever
// it was told since.
func (s *Store) lostFeed(followed uint64, left int64) {
	const text = "REDIS HAS LOST CHANGES that this gateway has heard of: tokens that it has no more are answered 401, and a gateway that is started doesn't know what was revoked. Was it emptied, restarted without appendonly, or replaced? Stop the gateways, and restore it, or import the tokens again"
	s.stats.Lost.Add(1)
	s.log.Error(text, "store", s.where, "followed", followed, "redis", left)
	told := fmt.Sprintf("%s: %s (change %d was followed, and %d was the last)", time.Now().UTC().Format(time.RFC3339), text, followed, left)
	s.lostAll.Store(&told)
	s.stats.losses.add("the feed", errors.New(told))
}

// lost counts and reports that Redis shows an older record than it has shown, or none.
func (s *Store) lost(what string, then remedy) error {
	s.stats.Lost.Add(1)
	if s.stats.losses.add(what, fmt.Errorf("redis has lost a change of %s: %s", what, then)) {
		s.log.Error("redis has lost a change: it shows an older record than before, or none, and that is not used; "+string(then)+", and look at persistence and replication of the server",
			"store", s.where, "record", what, "times", s.stats.Lost.Load())
	}
	return fmt.Errorf("%w: %s", errLost, then)
}
