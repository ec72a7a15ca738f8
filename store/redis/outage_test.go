package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// traffic makes changes through a store, all the time, and remembers what was
// acknowledged.
type traffic struct {
	s    *Store
	stop context.CancelFunc
	all  sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string]int // by token id: the number of the last change
	tried        map[string]int
	lastErr      error
}

func run(t *testing.T, s *Store) *traffic {
	ctx, stop := context.WithCancel(t.Context())
	tr := &traffic{s: s, stop: stop, acknowledged: map[string]int{}, tried: map[string]int{}}
	t.Cleanup(func() { stop(); tr.all.Wait() })
	for w := range 4 {
		tr.all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("w%d-%d", w, i%5)
				err := tr.change(ctx, id, i+1)
				tr.note(id, i+1, err)
				if err != nil {
					pause(ctx)
				}
			}
		})
	}
	return tr
}

// change makes the token's change with this number, and creates the token where
// it isn't there.
func (tr *traffic) change(ctx context.Context, id string, number int) error {
	tr.mu.Lock()
	tr.tried[id] = number
	tr.mu.Unlock()
	_, err := tr.s.Update(ctx, id, func(t *token.Token) error {
		t.Name = strconv.Itoa(number)
		t.Retired = []token.RetiredSecret{{Digest: t.Digest}}
		t.Digest = digest(fmt.Sprint(id, number))
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		n := newToken(id)
		n.Name = strconv.Itoa(number)
		n.Digest = digest(fmt.Sprint(id, number))
		err = tr.s.Create(ctx, n)
	}
	return err
}

func (tr *traffic) note(id string, number int, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.lastErr = err; err == nil {
		tr.acknowledged[id] = number
	}
}

// awaitMore returns when n more changes have been acknowledged.
func (tr *traffic) awaitMore(t *testing.T, n int) {
	t.Helper()
	sum := func() (sum int, last error) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		for v := range maps.Values(tr.acknowledged) {
			sum += v
		}
		return sum, tr.lastErr
	}
	from, _ := sum()
	redistest.Await(t, "changes to be acknowledged", func() error {
		if now, last := sum(); now < from+n {
			return fmt.Errorf("%d of %d, the last error is %v", now-from, n, last)
		}
		return nil
	})
}

// end stops the traffic and checks that what was acknowledged is there, for s.
func (tr *traffic) end(t *testing.T, s *Store) {
	t.Helper()
	tr.stop()
	tr.all.Wait()
	for id, number := range tr.acknowledged {
		tok, err := s.Token(t.Context(), id)
		if err != nil {
			t.Errorf("Token(%q) = %v, but its change %d was acknowledged", id, err, number)
			continue
		}
		if now, _ := strconv.Atoi(tok.Name); now < number || now > tr.tried[id] {
			t.Errorf("token %q is at change %d, want %d to %d", id, now, number, tr.tried[id])
		}
		if f, err := s.Find(t.Context(), tok.Digest); err != nil || f.Token.ID != id {
			t.Errorf("Find of token %q = %+v, %v", id, f.Token, err)
		}
	}
	t.Logf("%d tokens, %d lost reads, %d resets", len(tr.acknowledged), s.Stats().Lost, s.Stats().Resets)
}

// With appendonly yes and appendfsync always, everything acknowledged outlives
// the death of the server.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly yes", "appendfsync always")
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "killed"}
	s := open(t, o)
	tr := run(t, s)
	for range 3 {
		tr.awaitMore(t, 20)
		server.Kill()
		server.Start()
	}
	tr.awaitMore(t, 20)
	tr.end(t, open(t, o))
	if n := s.Stats().Lost; n > 0 {
		t.Errorf("%d reads showed an older record than before, want none", n)
	}
}

// A fail-over under Sentinel loses nothing that was acknowledged: a replica had
// it.
func TestFailOver(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	o := Options{Addresses: []string{sentinel.Sentinel.Addr}, MasterName: redistest.MasterName, KeyPrefix: "failover"}
	s := open(t, o)
	awaitReplicas(t, s, 1)
	tr := run(t, s)
	tr.awaitMore(t, 50)
	sentinel.LoseMaster()
	sentinel.AwaitMaster(t, sentinel.Replica)
	tr.awaitMore(t, 50)
	awaitHeard(t, s)
	tr.end(t, open(t, o))
	if n := s.Stats().Lost; n > 0 {
		t.Errorf("%d reads showed an older record than before, want none", n)
	}
}

// A fail-over that somebody asked for, with two replicas: while one of them is made
// the master, the other still follows the old one, and what only that has is lost.
func TestPlannedFailOver(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, "min-replicas-to-write 1", "min-replicas-max-lag 2") // as the recipe has it
	sentinel.AddReplica(t)
	o := Options{Addresses: []string{sentinel.Sentinel.Addr}, MasterName: redistest.MasterName, KeyPrefix: "planned"}
	s := open(t, o)
	awaitReplicas(t, s, 2)
	tr := run(t, s)
	tr.awaitMore(t, 50)
	sentinel.FailOver(t)
	awaitHeard(t, s)
	tr.end(t, open(t, o))
}

// A Cluster that moves slots about, and loses a master, loses nothing that was
// acknowledged.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	o := Options{Addresses: cluster.Addrs, Cluster: true, KeyPrefix: "moving"}
	var log logged
	o.Logger = log.logger()
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	s := open(t, o)
	awaitReplicas(t, s, 3)
	tr := run(t, s)
	tr.awaitMore(t, 50)

	// The slot of the feed and all, and some of tokens, go from one master to
	// another, key by key, under way.
	feed := int(cluster.Masters[0].Do("cluster", "keyslot", s.keys.head).(int64))
	from := cluster.Owner(t, feed)
	to := cluster.Masters[0]
	if to == from {
		to = cluster.Masters[1]
	}
	cluster.Move(t, feed, from, to)
	moved := 0
	tr.mu.Lock()
	tried := maps.Clone(tr.tried)
	tr.mu.Unlock()
	for id, n := range tried {
		slot := int(from.Do("cluster", "keyslot", s.keys.token(digest(fmt.Sprint(id, n)))).(int64))
		if owner := cluster.Owner(t, slot); owner != to && moved < 5 {
			cluster.Move(t, slot, owner, to)
			moved++
		}
	}
	tr.awaitMore(t, 50)

	// The master that has the feed now dies; its replica takes over.
	for _, server := range append(slices.Clone(cluster.Masters), cluster.Replicas...) {
		server.Do("config", "set", "cluster-node-timeout", 1000)
	}
	to.Kill()
	tr.awaitMore(t, 50)
	awaitHeard(t, s)
	last := open(t, o)
	tr.end(t, last)
	if n := s.Stats().Lost; n > 0 {
		t.Errorf("%d reads showed an older record than before, want none", n)
	}
}

// What was sent to a master that has the slot no more, and is carried out by the one that
// has it, isn't confirmed by the replicas of that one.
func TestMovedIsNotConfirmed(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 1) // of the first master
	from, to := cluster.Masters[1], cluster.Masters[0]
	s := open(t, Options{Addresses: cluster.Addrs, Cluster: true, Budget: time.Second})
	create(t, s, newToken("a"))
	key, slot := "", 0
	for i := 0; key == "" || cluster.Owner(t, slot) != from; i++ {
		key = fmt.Sprint("moved", i)
		slot = int(from.Do("cluster", "keyslot", key).(int64))
	}
	server, err := s.cluster.MasterForKey(t.Context(), key)
	if err != nil || server.Options().Addr != from.Addr {
		t.Fatalf("the master of %q is %v, %v, want %s", key, server, err, from.Addr)
	}
	cluster.Move(t, slot, from, to)
	cluster.Replicas[0].Freeze()
	defer cluster.Replicas[0].Thaw()
	set := redis.NewStatusCmd(t.Context(), "set", key, "v")
	if err := s.pipe(t.Context(), server, safe, []redis.Cmder{set}); !errors.Is(err, errNotReplicated) || set.Val() != "OK" {
		t.Errorf("setting it: %q, %v, want OK, and %v", set.Val(), err, errNotReplicated)
	}
}

// A Cluster that goes on without one of its masters says so: it is heard, and a
// part of it can't be asked.
func TestReach(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 0)
	s := open(t, Options{Addresses: cluster.Addrs, Cluster: true})
	awaitHeard(t, s)
	if err := s.Reach(t.Context()); err != nil {
		t.Fatalf("all are there: %v, want no error", err)
	}
	lost := cluster.Masters[0]
	if lost == cluster.Owner(t, int(lost.Do("cluster", "keyslot", s.keys.head).(int64))) {
		lost = cluster.Masters[1]
	}
	lost.Kill()
	redistest.Await(t, "the loss to show, and the others to be heard", func() error {
		err := s.Reach(t.Context())
		if err == nil || !strings.Contains(err.Error(), lost.Addr) || time.Since(s.Heard()) > beatInterval {
			return fmt.Errorf("reached: %v, want an error that names %s; heard %s ago", err, lost.Addr, time.Since(s.Heard()))
		}
		return nil
	})
	lost.Start()
	redistest.Await(t, "it to be back", func() error { return s.Reach(t.Context()) })
}

// Open doesn't wait for Redis, calls fail at once until it is there, and then
// everything works without a further word.
func TestOpenBeforeRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Prepare(t, "requirepass hushhush")
	for name, o := range map[string]Options{
		"one server": {URL: "redis://:hushhush@" + server.Addr},
		"cluster":    {Addresses: []string{server.Addr}, Cluster: true, Password: "hushhush"},
		"sentinel":   {Addresses: []string{server.Addr}, MasterName: "gate", Password: "hushhush", SentinelPassword: "hushhush"},
	} {
		var log logged
		o.Logger, o.Budget = log.logger(), 2*time.Second
		s, err := Open(o)
		if err != nil {
			t.Fatalf("%s: Open: %v", name, err)
		}
		defer s.Close()
		began := time.Now()
		_, err = s.Find(t.Context(), digest("a"))
		if err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Find = %v, want an error that says nothing of the token", name, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: Find took %v to fail", name, took)
		}
		if !s.Heard().IsZero() {
			t.Errorf("%s: Heard = %v before anything was", name, s.Heard())
		}
		if name != "one server" {
			continue
		}
		server.Start()
		awaitHeard(t, s)
		create(t, s, newToken("a"))
		if _, err := s.Find(t.Context(), digest("a")); err != nil {
			t.Errorf("Find = %v", err)
		}
		if strings.Contains(log.String(), "hushhush") {
			t.Errorf("the password is logged: %s", log.String())
		}
	}
}

// Where no new connection can sign in any more, nothing is known: no token is
// unknown by that, and no owner without a record.
func TestPasswordChanged(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) (o Options, servers []string){
		"one server": func(t *testing.T) (Options, []string) {
			addr := redistest.Start(t, "requirepass before").Addr
			return Options{Addresses: []string{addr}}, []string{addr}
		},
		"a Cluster": func(t *testing.T) (Options, []string) {
			cluster := redistest.StartCluster(t, 0)
			for _, addr := range cluster.Addrs {
				setPassword(t, addr, "", "before")
			}
			return Options{Addresses: cluster.Addrs, Cluster: true}, cluster.Addrs
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, servers := start(t)
			o.Password = "before"
			s := open(t, o)
			create(t, s, newToken("a"))
			for _, addr := range servers {
				setPassword(t, addr, "before", "after")
			}
			for range 20 {
				if f, err := s.Find(t.Context(), digest("a")); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("Find = %+v, %v, want that nothing is known", f, err)
				}
				if f, err := findAsync(s, digest("a")); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("FindAsync = %+v, %v, want that nothing is known", f, err)
				}
				if tok, err := s.Token(t.Context(), "a"); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("Token = %+v, %v, want that nothing is known", tok, err)
				}
				if own, err := s.Owner(t.Context(), "bob"); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("Owner = %+v, %v, want that nothing is known", own, err)
				}
				if all, _, err := s.Tokens(t.Context(), store.Query{}); err == nil {
					t.Errorf("Tokens = %v, want that nothing is known", all)
				}
			}
			if st, err := s.Status(t.Context()); err == nil {
				t.Errorf("Status = %+v, want an error", st)
			}
		})
	}
}

// setPassword changes a server's password, and has all clients sign in again.
func setPassword(t *testing.T, addr, before, after string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, Password: before})
	defer c.Close()
	for _, args := range [][]any{{"config", "set", "masterauth", after}, {"config", "set", "requirepass", after}, {"client", "kill", "type", "normal", "skipme", "yes"}} {
		if err := c.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
