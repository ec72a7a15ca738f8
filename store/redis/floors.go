package redis

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
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

// floors are those of the records that changed last: of tokens by the bytes of
// their digest, of owners by ownerFloor.
type floors struct {
	mu    sync.RWMutex
	by    map[string]floor
	names []string // in the order in which they came; a ring when it is full
	next  int
}

// allowsOwner is allows for an owner's record. What is left of one that was deleted is a
// version.
func (f floor) allowsOwner(there, left bool, version uint64) bool {
	if !there && left {
		return version >= f.version
	}
	return f.allows(there, version)
}

func ownerFloor(name string) string { return "owner " + name }

func (f *floors) of(name string) floor {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.by[name]
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

// doubtAbsence lets every token be absent: what stood in a gap of the feed may have
// deleted it, and nobody can tell.
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

// goneSince reports whether a record that should be there, and isn't, was removed
// by a change that has come since: the feed tells, once it is followed to here.
func (s *Store) goneSince(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	cmd := redis.NewStringCmd(noContext, "hget", s.keys.head, "n")
	if s.send(ctx, unsafe, keyed{s.keys.head, cmd}) != nil {
		return false
	}
	n, _ := cmd.Uint64() // none: 0
	for {
		position, moved := s.told.next()
		if position >= store.Position(n) {
			return s.floors.of(name).allows(false, 0)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// lost counts and reports that Redis shows an older record than it has shown.
func (s *Store) lost(what string) error {
	s.stats.Lost.Add(1)
	s.stats.lostLog.Do(func() {
		s.log.Error("redis has lost a change: it shows an older record than before, which is not used; revoke or delete the token, or disable the owner, and look at persistence and replication of the server",
			"store", s.where, "record", what, "times", s.stats.Lost.Load())
	})
	return errLost
}
