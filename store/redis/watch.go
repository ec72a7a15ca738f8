package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/store"
)

// telling tells the watchers of changes, and keeps the position up to which they know.
type telling struct {
	watchers store.Watchers
	telling  sync.Mutex    // held while they are told and at moves
	at       atomic.Uint64 // all changes up to this position have been told

	moving sync.Mutex
	moved  chan struct{} // closed when at moves
}

func (t *telling) position() store.Position { return store.Position(t.at.Load()) }

// next returns the position, and what is closed when it moves.
func (t *telling) next() (store.Position, <-chan struct{}) {
	t.moving.Lock()
	defer t.moving.Unlock()
	return t.position(), t.moved
}

// tell tells the watchers of a change, also if they have heard of its position: it may be
// another change, for a server that has lost changes uses their positions again.
func (t *telling) tell(c store.Change) {
	t.telling.Lock()
	defer t.telling.Unlock()
	t.watchers.Tell(c)
	if c.Position > t.position() {
		t.moving.Lock()
		defer t.moving.Unlock()
		t.at.Store(uint64(c.Position))
		close(t.moved)
		t.moved = make(chan struct{})
	}
}

// Watch implements store.Store.
func (s *Store) Watch(f func(store.Change)) (stop func()) { return s.told.watchers.Watch(f) }

// takeIn takes in the change to a position, and tells the watchers.
func (s *Store) takeIn(to store.Position, what []touched) {
	s.stats.Changes.Add(1)
	c := store.Change{Position: to}
	for _, t := range what {
		if t.isOwner {
			s.owners.drop(t.owner)
			c.Owners = append(c.Owners, t.owner)
		} else {
			s.missing.drop(t.digest)
			c.Digests = append(c.Digests, t.digest)
		}
	}
	s.told.tell(c)
	s.beatNow()
}

// reset tells the watchers to read everything again.
func (s *Store) reset(at store.Position) {
	s.stats.Resets.Add(1)
	s.owners.dropAll(s.heardLately())
	s.told.tell(store.Change{Position: at, Reset: true})
	s.beatNow()
}

// await returns when the watchers have been told of a change that was made here. If the feed
// doesn't bring the change within the budget, or has brought another one with the same
// position, which the server has lost since, it resets the watchers itself.
func (s *Store) await(n store.Position, mark string, what []touched) {
	s.raiseFloors(what, s.told.position() >= n && !s.passed.has(cursor{n: uint64(n), mark: mark}))
	timeout := time.NewTimer(s.budget)
	defer timeout.Stop()
	for {
		position, moved := s.told.next()
		if position >= n {
			if !s.passed.has(cursor{n: uint64(n), mark: mark}) {
				s.reset(n)
			}
			return
		}
		select {
		case <-moved:
		case <-timeout.C:
			s.log.Warn("the change feed is late: everything held is read again", "store", s.where, "followed", position, "changed", n)
			s.reset(n)
			return
		case <-s.ctx.Done():
			return
		}
	}
}
