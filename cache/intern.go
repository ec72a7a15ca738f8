package cache

import (
	"crypto/sha256"
	"runtime"
	"sync"
	"weak"
)

// interned keeps one value for each key for as long as anything refers to it.
type interned[V any] struct {
	mu    sync.Mutex
	byKey map[internKey]weak.Pointer[V]
}

// internKey is a hash of what a value is made of. Owners choose their grants, so the
// hash must be safe against collisions.
type internKey [sha256.Size]byte

func newInterned[V any]() *interned[V] {
	return &interned[V]{byKey: map[internKey]weak.Pointer[V]{}}
}

// get returns the value for key, and makes it if there is none.
func (t *interned[V]) get(key internKey, make func() *V) *V {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.byKey[key].Value(); v != nil {
		return v
	}
	v := make()
	t.byKey[key] = weak.Make(v)
	runtime.AddCleanup(v, t.drop, key)
	return v
}

// drop forgets key, unless its value has been made again in the meantime.
func (t *interned[V]) drop(key internKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[key].Value() == nil {
		delete(t.byKey, key)
	}
}
