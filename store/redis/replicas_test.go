package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/token"
)

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
			from, to := redistest.Start(t), redistest.Start(t)
			follow := func(server *redistest.Server) {
				server.Follow(master)
				awaitOnline(t, master, server)
			}
			follow(from)
			s := open(t, Options{Addresses: []string{master.Addr}, Budget: 2 * time.Second})
			awaitReplicas(t, s, 1)
			create(t, s, newToken("a"))
			replace(func() { follow(to) }, func() { from.Promote() })
			wantUnconfirmed(t, "revoking it", func() error { return tryRevoke(t, s, "a") })
		})
	}
}

// A gateway that was started when a replica had just gone knows of it from the others,
// or from the one that it stands in for.
func TestReplicaGoesBeforeStart(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "repl-diskless-sync-delay 0")
	replica := redistest.Start(t)
	replica.Follow(master)
	awaitOnline(t, master, replica)
	o := Options{Addresses: []string{master.Addr}, KeyPrefix: "started", Budget: 2 * time.Second}
	s := open(t, o)
	create(t, s, newToken("a"))
	redistest.Await(t, "the replica to be told of", func() error { return unless(master.Do("hlen", s.keys.replicas) == int64(1)) })
	s.Close()
	replica.Promote()
	s = open(t, o)
	wantUnconfirmed(t, "revoking it", func() error { return tryRevoke(t, s, "a") })
}

// One that has joined since replicas were counted last is waited for, and a change that
// it has is acknowledged.
func TestReplicaJoins(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "repl-diskless-sync-delay 0")
	first, second := redistest.Start(t), redistest.Start(t)
	first.Follow(master)
	awaitOnline(t, master, first)
	s := open(t, Options{Addresses: []string{master.Addr}, Budget: 8 * time.Second}) // a newcomer confirms nothing for up to a second
	awaitReplicas(t, s, 1)
	second.Follow(master)
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
