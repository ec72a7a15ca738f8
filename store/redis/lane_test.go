package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// What is kept of a node goes with it.
func TestNodesAreForgotten(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: redistest.StartCluster(t, 0).Addrs, Cluster: true})
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { gone.Close() })
	s.lanes.Store(gone, &lane{s: s, server: gone})
	s.replicas.Store(gone, replicas{})
	for i := range byte(64) { // on all nodes
		if _, err := s.Find(t.Context(), token.Digest{i}); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	lanes := 0
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		lanes = 0
		s.lanes.Range(func(any, any) bool { lanes++; return true })
		_, counted := s.replicas.Load(gone)
		if lanes == 3 && !counted {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lanes, want one for each of the 3 nodes; counted: %v", lanes, counted)
		}
	}
}
