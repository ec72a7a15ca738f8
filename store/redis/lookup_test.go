package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
	"github.com/redis/go-redis/v9"
)

// calls returns how often a server has run a command.
func calls(t testing.TB, server *redistest.Server, command string) int {
	t.Helper()
	info := server.Do("info", "commandstats").(string)
	m := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(info)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func reads(t testing.TB, server *redistest.Server) int {
	t.Helper()
	return calls(t, server, "get") + calls(t, server, "mget")
}

// Many who ask for one token at once are one call; many who ask for different
// ones share a few.
func TestLookupsAreShared(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}})
	var tokens []*token.Token
	for i := range 1000 {
		tokens = append(tokens, newToken(fmt.Sprint("t", i)))
	}
	create(t, s, tokens...)
	c := cache.New(s, cache.Options{})
	defer c.Close()
	if _, err := s.Find(t.Context(), tokens[999].Digest); err != nil { // so that the owner is known
		t.Fatal(err)
	}

	fetch := func(n int, d func(int) token.Digest) (calls int) {
		before := reads(t, server)
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range n {
			all.Go(func() {
				<-start
				if _, known, err := c.Fetch(t.Context(), d(i), time.Now()); !known || err != nil {
					t.Errorf("Fetch = %v, %v, want it known", known, err)
				}
			})
		}
		close(start)
		all.Wait()
		return reads(t, server) - before
	}
	if n := fetch(64, func(int) token.Digest { return tokens[0].Digest }); n != 1 {
		t.Errorf("64 lookups of one token are %d calls, want 1", n)
	}
	if n := fetch(900, func(i int) token.Digest { return tokens[1+i].Digest }); n > 300 {
		t.Errorf("900 lookups of different tokens are %d calls, want far fewer", n)
	}
}

// A lookup is one call, two where the secret was retired, and one more where the
// owner isn't known here.
func TestCallsOfALookup(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}})
	a := newToken("a")
	a.Retired = []token.RetiredSecret{{Digest: digest("retired"), Until: time.Unix(1, 0)}}
	create(t, s, a)
	want := func(what string, secret string, calls int) {
		t.Helper()
		awaitHeard(t, s)
		heard, before := s.Heard(), reads(t, server)
		if _, err := s.Find(t.Context(), digest(secret)); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Find = %v", what, err)
		}
		n := reads(t, server) - before
		if time.Since(heard) > trustedFor && n == calls+1 {
			n-- // the machine stood still: the owner was read again
		}
		if n != calls {
			t.Errorf("%s is %d calls, want %d", what, n, calls)
		}
	}
	want("the first lookup", "a", 2)
	want("the second", "a", 1)
	want("an unknown one", "unknown", 1)
	want("a retired one", "retired", 2)
	putOwner(t, s, &token.Owner{ID: "alice"})
	want("one after a change of the owner", "a", 2)
	want("the next", "a", 1)
}

// Who gives up doesn't wait, and doesn't harm those who travel with him.
func TestLookupGivenUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, Budget: 10 * time.Second})
	create(t, s, newToken("a"), newToken("b"))
	server.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := s.Find(ctx, digest("a")); !errors.Is(err, context.Canceled) {
				t.Errorf("Find = %v, want context.Canceled", err)
			}
		})
	}
	var others sync.WaitGroup
	for range 10 {
		others.Go(func() {
			if _, err := s.Find(t.Context(), digest("b")); err != nil {
				t.Errorf("Find = %v", err)
			}
		})
	}
	cancel()
	all.Wait()
	server.Thaw()
	others.Wait()
}

// Sentinels that don't know the master, or don't any more, say nothing about tokens: that
// they have nothing to say isn't that there is no such token.
func TestSentinelsKnowNoMaster(t *testing.T) {
	t.Parallel()
	r := redistest.StartSentinel(t)
	unknown := func(s *Store) error {
		answer := make(chan error, 1)
		s.FindAsync(digest("a"), func(_ store.Found, err error) { answer <- err })
		_, findErr := s.Find(t.Context(), digest("a"))
		_, statusErr := s.Status(t.Context())
		_, _, listErr := s.Tokens(t.Context(), store.Query{})
		for what, err := range map[string]error{"FindAsync": <-answer, "Find": findErr, "Status": statusErr, "Tokens": listErr} {
			if errors.Is(err, store.ErrNotFound) {
				t.Fatalf("%s: %v", what, err)
			}
			if err == nil || !strings.Contains(err.Error(), "a Sentinel knows no master of this name") {
				return fmt.Errorf("%s: %v, want that no Sentinel knows the master", what, err)
			}
		}
		return nil
	}
	mistyped, err := Open(Options{Addresses: []string{r.Sentinel.Addr}, MasterName: "mistyped"})
	if err != nil {
		t.Fatal(err)
	}
	defer mistyped.Close()
	redistest.Await(t, "no master of another name to be found", func() error { return unknown(mistyped) })

	s := open(t, Options{Addresses: []string{r.Sentinel.Addr}, MasterName: redistest.MasterName})
	create(t, s, newToken("a"))
	r.Sentinel.Do("sentinel", "remove", redistest.MasterName)
	redistest.Await(t, "the master to be forgotten", func() error {
		r.Master.Do("client", "kill", "type", "normal")
		return unknown(s)
	})
}

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
