package redis

import (
	"context"
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

// answering answers MGET in place of the server.
type answering struct {
	values []string
	err    error
}

func (a answering) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a answering) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		mget, ok := cmd.(*redis.StringSliceCmd)
		if !ok || cmd.Name() != "mget" {
			return next(ctx, cmd)
		}
		mget.SetVal(a.values)
		mget.SetErr(a.err)
		return a.err
	}
}

func (a answering) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A reply that doesn't have a value for each key doesn't mean that there are no such tokens,
// and doesn't end the process.
func TestReplyOfAnotherLength(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]answering{
		"null":     {err: redis.Nil},
		"empty":    {},
		"one":      {values: []string{""}},
		"too many": {values: []string{"", "", ""}},
	} {
		server := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
		t.Cleanup(func() { server.Close() })
		server.AddHook(a)
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
