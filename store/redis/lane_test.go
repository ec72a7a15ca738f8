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

// A reply that doesn't have a value for each key doesn't mean that there are no such tokens,
// and doesn't end the process.
func TestReplyOfAnotherLength(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]struct {
		values []string
		err    error
	}{
		"null":     {err: redis.Nil},
		"empty":    {},
		"one":      {values: []string{""}},
		"too many": {values: []string{"", "", ""}},
	} {
		server := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
		t.Cleanup(func() { server.Close() })
		server.AddHook(hook(func(cmds []redis.Cmder, _ func() error) error {
			mget := cmds[0].(*redis.StringSliceCmd)
			mget.SetVal(reply.values)
			mget.SetErr(reply.err)
			return reply.err
		}))
		n := &lane{s: &Store{ctx: t.Context(), budget: time.Minute}, server: server}
		batch := []*lookup{{key: "a", by: time.Now().Add(time.Minute)}, {key: "b", by: time.Now().Add(time.Minute)}}
		n.send(batch)
		for _, l := range batch {
			if !errors.Is(l.err, errReply) {
				t.Errorf("%s: %v, want %v", name, l.err, errReply)
			}
		}
	}
}
