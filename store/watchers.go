package store

import "sync"

// Watchers are the functions that watch a store, with which stores implement Watch. The zero
// value has none.
type Watchers struct {
	mu  sync.Mutex // held while they are called
	all map[*func(Change)]struct{}
}

// Watch implements Store.
func (w *Watchers) Watch(f func(Change)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*func(Change)]struct{}{}
	}
	w.all[&f] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, &f)
	}
}

// Tell calls all watchers for each of the changes.
func (w *Watchers) Tell(changes ...Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		for f := range w.all {
			(*f)(c)
		}
	}
}
