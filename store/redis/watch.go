package redis

import (
	"sync"
	"sync/atomic"

	"github.com/patgate/patgate/store"
)

// telling tells the watchers.
type telling struct {
	watchers store.Watchers
	telling  sync.Mutex    // held while they are told, and at moves
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

// tell tells the watchers of a change. One whose position they have heard of may be
// another change: a server that has lost some uses their positions again.
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
