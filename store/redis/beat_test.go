package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// A master that was cut off from its replica and from the Sentinels takes no beats,
// and is believed no longer than what is held; with the Sentinels, that have made no
// other one the master, it is.
func TestCutOffMaster(t *testing.T) {
	t.Parallel()
	r := redistest.StartSentinel(t, "min-replicas-to-write 1", "min-replicas-max-lag 1")
	var log logged
	s := open(t, Options{Addresses: []string{r.Sentinel.Addr}, MasterName: redistest.MasterName, Budget: time.Second, Logger: log.logger()})
	create(t, s, newToken("a"))
	s.Holds(time.Second)
	redistest.Await(t, "the store to be heard", func() error { return unless(time.Since(s.Heard()) < time.Second) })
	find := func() error {
		_, err := s.Find(t.Context(), digest("a"))
		return err
	}
	r.Replica.Kill()
	redistest.Await(t, "beats to be refused", func() error { return unless(time.Since(s.Heard()) > beatLimit) })
	if n := strings.Count(log.String(), "take what this gateway writes"); n != 1 {
		t.Errorf("that beats are refused is logged %d times, want once", n)
	}
	if err := find(); err != nil {
		t.Errorf("without its replica, the master that the Sentinel knows: %v", err)
	}
	r.Sentinel.Kill()
	redistest.Await(t, "the master not to be believed", func() error { return unless(errors.Is(find(), errCutOff)) })
	answer := make(chan error, 1)
	s.FindAsync(digest("a"), func(_ store.Found, err error) { answer <- err })
	if err := <-answer; !errors.Is(err, errCutOff) {
		t.Errorf("FindAsync: %v, want that the master isn't believed", err)
	}
	r.Sentinel.Start()
	redistest.Await(t, "the master to be believed again", find)
}

// A server that takes no writes for a while is named as the cause, though it refuses none;
// the feed comes from it nevertheless.
func TestServerPausesWrites(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logged
	s := open(t, Options{Addresses: []string{server.Addr}, Budget: 2 * time.Second, Logger: log.logger()})
	create(t, s, newToken("a"))
	server.Do("client", "pause", 600_000, "write")
	redistest.Await(t, "the cause", func() error {
		return unless(strings.Contains(log.String(), "doesn't take what this gateway writes"))
	})
	unheard := func() string {
		st, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Unheard
	}
	redistest.Await(t, "the status to say why", func() error { return unless(unheard() != "") })
	server.Do("client", "unpause")
	redistest.Await(t, "the end of it", func() error { return unless(strings.Contains(log.String(), "server takes what this gateway writes")) })
	awaitHeard(t, s)
	redistest.Await(t, "the status to say nothing", func() error { return unless(unheard() == "") })
	if text := log.String(); strings.Contains(text, "doesn't come from") {
		t.Errorf("the feed is asked for anew: %s", text)
	}
}

// Where the feed comes from a server that was cut off from the one that changes are
// made on, it isn't heard any more, however well it answers.
func TestFeedOfAnotherServer(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	other := redistest.StartReplica(t, master)
	var log logged
	prefix := Options{Addresses: []string{master.Addr}, KeyPrefix: "forked"}
	changes := open(t, prefix)
	prefix.feedAddr, prefix.Logger = other.Addr, log.logger()
	s := open(t, prefix)
	create(t, changes, newToken("a"))
	heardSince := func(at time.Time) func() error {
		return func() error { return unless(s.Heard().After(at) && s.told.position() == changes.told.position()) }
	}
	redistest.Await(t, "the store to be heard", heardSince(time.Now()))
	other.Promote()
	// The replica that has gone may have been counted before.
	if err := tryRevoke(t, changes, "a"); err != nil && !errors.Is(err, errNotReplicated) {
		t.Fatal(err)
	}
	began := time.Now()
	redistest.Await(t, "the feed to be given up", func() error { return unless(strings.Contains(log.String(), "doesn't come from the server")) })
	if heard := s.Heard(); heard.After(began.Add(beatInterval)) {
		t.Errorf("heard %s after a change that the feed doesn't bring", heard.Sub(began))
	}
	other.Follow(master)
	redistest.Await(t, "the store to be heard again", heardSince(time.Now()))
}

// A gateway that is on the side of the few: the Sentinel that it asks names a master
// that was cut off, the others another one.
func TestMasterOfTheFew(t *testing.T) {
	t.Parallel()
	r := redistest.StartSentinel(t, "min-replicas-to-write 1", "min-replicas-max-lag 1")
	other := redistest.Start(t)
	addresses := []string{r.Sentinel.Addr}
	for range 2 {
		addresses = append(addresses, redistest.StartSentinelOf(t, other.Addr).Addr)
	}
	s := open(t, Options{Addresses: addresses[:1], MasterName: redistest.MasterName, Budget: time.Second})
	create(t, s, newToken("a"))
	s.Holds(time.Second)
	for _, address := range addresses[1:] { // which go-redis would ask as well
		s.sentinels = append(s.sentinels, redis.NewClient(&redis.Options{Addr: address}))
	}
	r.Replica.Kill()
	redistest.Await(t, "the master not to be believed", func() error {
		_, err := s.Find(t.Context(), digest("a"))
		return unless(errors.Is(err, errCutOff))
	})
}

// A master that was cut off takes writes until min-replicas-max-lag has passed, and for
// good without min-replicas-to-write. It has lost its replicas, and most Sentinels.
func TestMasterWithoutReplicas(t *testing.T) {
	t.Parallel()
	r := redistest.StartSentinel(t)
	s := open(t, Options{Addresses: []string{r.Sentinel.Addr}, MasterName: redistest.MasterName, Budget: time.Second})
	create(t, s, newToken("a"))
	s.Holds(time.Second)
	redistest.Await(t, "the replica to be heard", func() error { return unless(s.replicasOf(s.client).heard) })
	r.Replica.Kill()
	redistest.Await(t, "the replica to be missed", func() error { return unless(s.replicasOf(s.client).alone()) })
	if _, err := s.Find(t.Context(), digest("a")); err != nil {
		t.Errorf("the Sentinel names the master, and it isn't believed: %v", err)
	}
	r.Sentinel.Kill()
	redistest.Await(t, "the master not to be believed", func() error {
		_, err := s.Find(t.Context(), digest("a"))
		return unless(errors.Is(err, errCutOff))
	})
	if heard := s.Heard(); time.Since(heard) < time.Second {
		t.Errorf("changes were heard %s ago of a master that isn't believed", time.Since(heard))
	}
}

// A master of a Cluster that was cut off goes on answering for cluster-node-timeout. It
// has lost its replicas, and most masters don't say that it has its slots.
func TestMasterWithoutMasters(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 0)
	s := open(t, Options{Addresses: cluster.Addrs, Cluster: true, Budget: 2 * time.Second})
	s.Holds(time.Second)
	slot := func(key string) int { return int(cluster.Masters[0].Do("cluster", "keyslot", key).(int64)) }
	reached := cluster.Owner(t, slot(s.keys.head))
	others := slices.DeleteFunc(slices.Clone(cluster.Masters), func(m *redistest.Server) bool { return m == reached })
	id := "a"
	for i := 0; cluster.Owner(t, slot(s.keys.token(digest(id)))) != reached; i++ {
		id = fmt.Sprint("a", i)
	}
	create(t, s, newToken(id))
	heard := func() {
		t.Helper()
		now := time.Now()
		redistest.Await(t, "changes to be heard", func() error { return unless(s.Heard().After(now.Add(beatInterval))) })
	}
	believed := func() error {
		_, err := s.Find(t.Context(), digest(id))
		return err
	}
	heard()
	server, err := s.serverOf(t.Context(), s.keys.head)
	if err != nil {
		t.Fatal(err)
	}
	s.counting.Lock()
	had := s.replicasOf(server)
	had.had = true // and has none
	s.replicas.Store(server, had)
	s.counting.Unlock()
	if !s.alone(t.Context()) {
		t.Fatal("it isn't known that the master has lost its replicas")
	}
	heard()
	others[0].Freeze()
	heard() // two of three
	others[1].Freeze()
	redistest.Await(t, "the master not to be believed", func() error { return unless(errors.Is(believed(), errCutOff)) })
	wantUnconfirmed(t, "a change", func() error {
		_, err := s.UpdateOwner(t.Context(), "bob", func(*token.Owner) (*token.Owner, error) { return &token.Owner{ID: "bob"}, nil })
		return err
	})
	for tries := 0; tries < 5; tries++ { // go-redis asks any of them for the masters first
		asked, began := false, time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), s.budget)
		s.eachServer(ctx, func(ctx context.Context, master *redis.Client) error {
			if master == server {
				asked = master.Ping(ctx).Err() == nil
			}
			return nil
		})
		cancel()
		switch {
		case asked:
		case time.Since(began) > 2*s.budget: // the machine stood still
			tries--
		default:
			t.Error("where others hang, the master that answers isn't asked")
		}
	}
	others[1].Thaw()
	redistest.Await(t, "the master to be believed again", believed)
	heard()
}
