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

// Where the replica doesn't confirm a change, the change is made, and its maker
// is told that it isn't safe.
func TestReplicaStalls(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	s := open(t, Options{Addresses: []string{sentinel.Sentinel.Addr}, MasterName: redistest.MasterName, Budget: 2 * time.Second})
	awaitReplicas(t, s, 1)
	create(t, s, newToken("a"))
	sentinel.Replica.Freeze()
	wantUnconfirmed(t, "Update", func() error { return tryRevoke(t, s, "a") })
	if f, err := s.Find(t.Context(), digest("a")); err != nil || f.Token.RevokedAt.IsZero() {
		t.Errorf("Find = %+v, %v, want it revoked", f.Token, err)
	}
	wantUnconfirmed(t, "UpdateOwner", func() error {
		_, err := s.UpdateOwner(t.Context(), "bob", func(*token.Owner) (*token.Owner, error) { return &token.Owner{ID: "bob"}, nil })
		return err
	})
	// Nor is it safe for who finds it made already.
	already := errors.New("revoked already")
	find := func() error {
		_, err := s.Update(t.Context(), "a", func(*token.Token) error { return already })
		return err
	}
	wantUnconfirmed(t, "Update that finds nothing to do", find)
	sentinel.Replica.Thaw()
	redistest.Await(t, "changes to be confirmed again", func() error {
		if err := find(); !errors.Is(err, already) {
			return err
		}
		return nil
	})
}

// awaitReplicas returns when so many replicas are known, of all masters.
func awaitReplicas(t *testing.T, s *Store, n int) {
	t.Helper()
	redistest.Await(t, "the replicas to be counted", func() error {
		known := 0
		s.replicas.Range(func(_, v any) bool { known += v.(replicas).want(); return true })
		if known < n {
			return fmt.Errorf("%d of %d", known, n)
		}
		return nil
	})
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

// What is wrong with several servers is said on one line.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Addresses: []string{redistest.Prepare(t).Addr, redistest.Prepare(t).Addr}, MasterName: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Find(t.Context(), digest("a")); err == nil || !strings.Contains(err.Error(), "refused; ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Find: %v, want an error of one line", err)
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

// openReplicated opens two stores on a master that has a replica.
func openReplicated(t *testing.T) (s, other *Store, sentinel *redistest.Sentinel) {
	t.Helper()
	sentinel = redistest.StartSentinel(t)
	o := Options{Addresses: []string{sentinel.Sentinel.Addr}, MasterName: redistest.MasterName, Budget: 2 * time.Second, KeyPrefix: "replicated"}
	s, other = open(t, o), open(t, o)
	awaitReplicas(t, s, 1)
	awaitReplicas(t, other, 1)
	return s, other, sentinel
}

// What one gateway has changed, and no replica has confirmed, isn't done for another that
// finds it done.
func TestConfirmedForOthers(t *testing.T) {
	t.Parallel()
	s, other, sentinel := openReplicated(t)
	create(t, s, newToken("a"))
	if err := other.Confirm(t.Context()); err != nil {
		t.Fatalf("with all replicas there: %v", err)
	}
	sentinel.Replica.Freeze()
	defer sentinel.Replica.Thaw()
	wantUnconfirmed(t, "revoking it", func() error { return tryRevoke(t, s, "a") })
	already := errors.New("is revoked already")
	wantUnconfirmed(t, "finding it revoked, elsewhere", func() error {
		_, err := other.Update(t.Context(), "a", func(*token.Token) error { return already })
		return err
	})
	wantUnconfirmed(t, "Confirm", func() error { return other.Confirm(t.Context()) })
}

// A server whose replicas nobody has counted yet, for it became the master just now.
func TestReplicasAreCountedFirst(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	s := open(t, Options{Addresses: []string{sentinel.Sentinel.Addr}, MasterName: redistest.MasterName, Budget: time.Second})
	create(t, s, newToken("a"))
	sentinel.Replica.Freeze()
	defer sentinel.Replica.Thaw()
	s.replicas.Clear()
	wantUnconfirmed(t, "a change that no replica has", func() error { return tryRevoke(t, s, "a") })
}

// What one replica has confirmed, another one that has left doesn't have: it may be
// about to be the master.
func TestReplicaIsReplaced(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(join, leave func()){
		"one leaves, another joins":  func(join, leave func()) { leave(); join() },
		"one joins, another leaves":  func(join, leave func()) { join(); leave() },
		"one leaves, and none joins": func(_, leave func()) { leave() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t, "repl-diskless-sync-delay 0")
			host, port, _ := strings.Cut(master.Addr, ":")
			from, to := redistest.Start(t), redistest.Start(t)
			follow := func(server *redistest.Server) {
				server.Do("replicaof", host, port)
				awaitOnline(t, master, server)
			}
			follow(from)
			s := open(t, Options{Addresses: []string{master.Addr}, Budget: 2 * time.Second})
			awaitReplicas(t, s, 1)
			create(t, s, newToken("a"))
			replace(func() { follow(to) }, func() { from.Do("replicaof", "no", "one") })
			wantUnconfirmed(t, "revoking it", func() error { return tryRevoke(t, s, "a") })
		})
	}
}

// A gateway that was started when a replica had just gone knows of it from the others,
// or from the one that it stands in for.
func TestReplicaGoesBeforeStart(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "repl-diskless-sync-delay 0")
	host, port, _ := strings.Cut(master.Addr, ":")
	replica := redistest.Start(t)
	replica.Do("replicaof", host, port)
	awaitOnline(t, master, replica)
	o := Options{Addresses: []string{master.Addr}, KeyPrefix: "started", Budget: 2 * time.Second}
	s := open(t, o)
	create(t, s, newToken("a"))
	redistest.Await(t, "the replica to be told of", func() error { return unless(master.Do("hlen", s.keys.replicas) == int64(1)) })
	s.Close()
	replica.Do("replicaof", "no", "one")
	s = open(t, o)
	wantUnconfirmed(t, "revoking it", func() error { return tryRevoke(t, s, "a") })
}

// One that has joined since replicas were counted last is waited for, and a change that
// it has is acknowledged.
func TestReplicaJoins(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "repl-diskless-sync-delay 0")
	host, port, _ := strings.Cut(master.Addr, ":")
	first, second := redistest.Start(t), redistest.Start(t)
	first.Do("replicaof", host, port)
	awaitOnline(t, master, first)
	s := open(t, Options{Addresses: []string{master.Addr}, Budget: 8 * time.Second}) // a newcomer confirms nothing for up to a second
	awaitReplicas(t, s, 1)
	second.Do("replicaof", host, port)
	awaitOnline(t, master, second)
	server := s.client.(*redis.Client)
	alone := replicas{of: infoField(server.Info(t.Context(), "replication").Val(), "master_replid"), known: map[string]time.Time{at(first): {}}}
	s.replicas.Store(server, alone)
	create(t, s, newToken("a"))
	second.Freeze()
	defer second.Thaw()
	s.replicas.Store(server, alone)
	wantUnconfirmed(t, "with one that hangs", func() error { return s.Confirm(t.Context()) })
}

// awaitOnline returns when a replica follows its master.
func awaitOnline(t *testing.T, master, replica *redistest.Server) {
	t.Helper()
	redistest.Await(t, "the replica to be online", func() error {
		return unless(strings.Contains(master.Client().Info(t.Context(), "replication").Val(), at(replica)+",state=online"))
	})
}

// at is the name of a replica on this machine.
func at(server *redistest.Server) string {
	host, port, _ := strings.Cut(server.Addr, ":")
	return "ip=" + host + ",port=" + port
}

func TestReplicasThatAreWaitedFor(t *testing.T) {
	info := func(of string, ports ...int) string {
		text := "# Replication\r\nrole:master\r\n"
		for i, port := range ports {
			text += fmt.Sprintf("slave%d:ip=127.0.0.1,port=%d,state=online,offset=14,lag=0\r\n", i, port)
		}
		return text + "master_replid:" + of + "\r\n"
	}
	const replica = "# Replication\r\nrole:slave\r\nmaster_replid:a\r\n"
	began := time.Now()
	var r replicas
	for _, step := range []struct {
		at   time.Duration // since it began
		info string
		want int
	}{
		{0, info("a", 1), 1},
		{1, info("a", 1, 2), 2},
		{2, info("a", 2), 2},        // 1 is gone
		{3, info("a", 2, 3), 3},     // 3 is no 1
		{16, info("a", 2, 3), 3},    // waited for, in vain
		{17, info("a", 2, 3), 2},    // for long enough
		{60, info("a", 3), 2},       // seen to be gone only now
		{61, info("a", 2, 3), 2},    // and back
		{62, info("a", 2, 3, 3), 3}, // two behind one address
		{63, info("a", 2, 3), 3},    // one of them is gone
		{80, info("a", 2, 3), 2},    //
		{81, replica, 2},            // it isn't the master any more
		{82, info("b"), 2},          // another one is, and nobody follows it yet
		{83, info("b", 4), 2},       // as many
		{84, info("b", 4, 5), 2},    // as before
		{97, info("b", 4, 5, 6), 3}, //
		{98, info("b", 4, 5), 3},    //
		{120, info("b", 4, 5), 2},   //
		{121, info("c", 4), 2},      // restarted
		{136, info("c", 4), 1},      // and one hasn't come back
		{137, info("c"), 1},         // the last one
		{137 + 15, info("c"), 0},    //
		{137 + 16, info("c", 1), 1}, //
	} {
		r = r.after(step.info, nil, began.Add(step.at*time.Second))
		if got := r.want(); got != step.want {
			t.Errorf("after %d seconds: %d, want %d: %+v", step.at, got, step.want, r)
		}
	}
}

// Of replicas that weren't counted just now nobody is told: this gateway may have stood
// still, or their server may be a replica itself by now.
func TestOldCountsArentTold(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	there := map[string]time.Time{"ip=127.0.0.1,port=1": {}}
	s.replicas.Store("counted", replicas{of: "now", known: there, at: time.Now()})
	s.replicas.Store("not counted", replicas{of: "before", known: there, at: time.Now().Add(-time.Minute)})
	if err := s.tellReplicas(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seen := *s.seen.Load(); len(seen["now"]) != 1 || len(seen["before"]) != 0 {
		t.Errorf("told of %v, want those counted now", seen)
	}
}

// Those that other gateways have seen are waited for from the first count on.
func TestReplicasThatOthersHaveSeen(t *testing.T) {
	const info = "# Replication\r\nrole:master\r\nslave0:ip=127.0.0.1,port=1,state=online,offset=14,lag=0\r\nmaster_replid:b\r\nmaster_replid2:a\r\n"
	one, two, three := "ip=127.0.0.1,port=1", "ip=127.0.0.1,port=2", "ip=127.0.0.1,port=3"
	now := time.Now()
	before, long := now.Add(-10*time.Second), now.Add(-replicaGrace)
	for name, c := range map[string]struct {
		seen  sightings
		want  int
		until time.Duration // from when on it is the one that is there
	}{
		"nobody's":                 {nil, 1, 0},
		"the one that is there":    {sightings{"b": {one: before}}, 1, 0},
		"another one":              {sightings{"b": {one: before, two: before}}, 2, 5 * time.Second},
		"another one, long ago":    {sightings{"b": {two: long}}, 1, 0},
		"of the master before":     {sightings{"a": {two: before, three: before}}, 2, replicaGrace},
		"of the one before that":   {sightings{"c": {two: before, three: before}}, 1, 0},
		"of two, one of each, one": {sightings{"a": {two: before}, "b": {one: before}}, 1, 0},
	} {
		r := replicas{}.after(info, c.seen, now)
		if got := r.want(); got != c.want {
			t.Errorf("%s: %d are waited for, want %d", name, got, c.want)
		}
		if got := r.after(info, c.seen, now.Add(c.until)).want(); got != 1 {
			t.Errorf("%s: %d are waited for after %v, want 1", name, got, c.until)
		}
	}
}

// That a server has lost its last replica is said with its address, and with what becomes
// of changes.
func TestLastReplicaIsLost(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	var log logged
	s := open(t, Options{Addresses: []string{sentinel.Sentinel.Addr}, MasterName: redistest.MasterName, Logger: log.logger()})
	awaitReplicas(t, s, 1)
	server := redis.NewClient(sentinel.Master.Client().Options()) // nobody else counts for it
	defer server.Close()
	const info = "# Replication\r\nrole:master\r\nmaster_replid:a\r\n"
	for _, c := range []struct{ info, want string }{
		{info, "changes are acknowledged without a copy"},
		{info + "min_slaves_good_slaves:0\r\n", "changes are refused until there is one"},
	} {
		s.replicas.Store(server, replicas{of: "a", known: map[string]time.Time{"one": time.Now().Add(-replicaGrace)}})
		s.count(server, c.info)
		if text := log.String(); !strings.Contains(text, c.want) || !strings.Contains(text, "server="+sentinel.Master.Addr) {
			t.Errorf("%s isn't said of %s: %s", c.want, sentinel.Master.Addr, text)
		}
	}
}

func TestReplicasThatKeepUp(t *testing.T) {
	const info = "# Replication\r\nrole:master\r\nconnected_slaves:4\r\n" +
		"slave0:ip=127.0.0.1,port=1,state=online,offset=14,lag=0\r\nslave1:ip=127.0.0.1,port=2,state=online,offset=14,lag=40\r\n" +
		"slave2:ip=127.0.0.1,port=3,state=wait_bgsave,offset=0,lag=0\r\nslave3:ip=127.0.0.1,port=4,state=online,offset=14\r\n" +
		"slave4:ip=127.0.0.1,port=5,state=online,offset=14,lag=5,type=replica\r\nslave5:ip=127.0.0.1,port=6,state=online,offset=14,lag=41,type=replica\r\n"
	there, heard := online(info)
	if n := len(there); n != 3 || heard != 2 {
		t.Errorf("%d keep up, %d of them were heard lately; want 3 and 2", n, heard)
	}
}
