package mask

import (
	"sync"
	"sync/atomic"

	"github.com/patgate/patgate/policy"
)

// Set is a Mask that grows: what was a secret once stays one.
type Set struct {
	mu  sync.Mutex // held while it grows
	now atomic.Pointer[Mask]
}

// Add adds what New takes.
func (s *Set) Add(places []policy.Credential, prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Store(s.now.Load().with(places, prefix))
}

// Now returns the mask as it is now: nil before the first Add.
func (s *Set) Now() *Mask { return s.now.Load() }
