package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/token"
)

// masters are the two masters of a fail-over, and a network that leads to the one of them.
type masters struct {
	t        *testing.T
	old, new *redistest.Server
	way      *switched
}

// twoMasters starts a master and its replica, and opens a store on the master that knows
// of the replica.
func twoMasters(t *testing.T) (*Store, *masters) {
	t.Helper()
	m := &masters{t: t, old: redistest.Start(t)}
	m.new = redistest.StartReplica(t, m.old)
	m.way = newSwitched(t, m.old.Addr)
	s := open(t, Options{Addresses: []string{m.way.addr}, KeyPrefix: "over", Budget: time.Second})
	awaitReplicas(t, s, 1)
	return s, m
}

// promote makes the replica a master, with all that the old one has.
func (m *masters) promote() {
	offset := func(s *redistest.Server, field string) int {
		n, _ := strconv.Atoi(infoField(fmt.Sprint(s.Do("info", "replication")), field))
		return n
	}
	all := offset(m.old, "master_repl_offset")
	redistest.Await(m.t, "the replica to have everything", func() error {
		return unless(offset(m.new, "slave_repl_offset") >= all)
	})
	m.new.Promote()
}

// lead has the gateway reach the new master.
func (m *masters) lead() { m.way.lead(m.t, m.new.Addr) }

// fresh opens a store on the new master that remembers nothing.
func (m *masters) fresh() *Store {
	return open(m.t, Options{Addresses: []string{m.new.Addr}, KeyPrefix: "over"})
}

// Wherever a fail-over comes in between the steps of a change, with or without a time in
// which the old master still takes some: what was acknowledged is there, and no change
// shows by halves.
func TestFailOverBetweenSteps(t *testing.T) {
	t.Parallel()
	order := []string{"begin", "intend", "commit", "end"}
	for i, promoted := range order[:3] {
		for _, led := range order[i:] {
			t.Run(promoted+", "+led, func(t *testing.T) {
				t.Parallel()
				s, m := twoMasters(t)
				create(t, s, newToken("a"))
				seen := map[string]bool{}
				s.client.AddHook(answered(steps, func(step string) {
					if seen[step] || len(seen) == 0 && step != "begin" {
						return
					}
					seen[step] = true
					if step == promoted {
						m.promote()
					}
					if step == led {
						m.lead()
					}
				}))
				err := tryRevoke(t, s, "a")
				m.lead()
				other := m.fresh()
				shown := m.wantWhole(other)
				if err == nil && shown.token.RevokedAt.IsZero() {
					t.Error("the revocation was acknowledged, and is lost")
				}
			})
		}
	}
}

// wantWhole checks that a token is as the feed and the indexes of the new master have it,
// now and when all is tidied up, and returns it.
func (m *masters) wantWhole(s *Store) record {
	m.t.Helper()
	var shown record
	for _, when := range []string{"after the fail-over", "tidied up"} {
		entries, err := s.client.XRange(m.t.Context(), s.keys.feed, "-", "+").Result()
		if err != nil {
			m.t.Fatal(err)
		}
		told := uint64(0)
		for _, e := range entries {
			text, _ := e.Values["what"].(string)
			what, _ := parseTouched(text)
			for _, w := range what {
				told = max(told, w.version)
			}
		}
		shown, err = s.look(m.t.Context(), digest("a"))
		if err != nil || shown.version != told {
			m.t.Fatalf("%s: the token has version %d, %v; the feed tells of %d", when, shown.version, err, told)
		}
		for mark := range s.client.HGetAll(m.t.Context(), s.keys.changes).Val() {
			s.age(m.t, mark, time.Minute)
		}
		if err := s.tidy(m.t.Context()); err != nil {
			m.t.Fatal(err)
		}
	}
	if n := s.client.HLen(m.t.Context(), s.keys.changes).Val(); n != 0 {
		m.t.Errorf("%d changes are left", n)
	}
	wantSound(m.t, s)
	return shown
}

// Who ends the change of another, and finds it ended on the old master, ends it on the new
// one as it stands there.
func TestFailOverWhileSettling(t *testing.T) {
	t.Parallel()
	s, m := twoMasters(t)
	create(t, s, newToken("a"))
	c := s.revocation(t, "a")
	s.stopAfter(t, "commit", c)
	others := newSwitched(t, m.old.Addr)
	other := open(t, Options{Addresses: []string{others.addr}, KeyPrefix: "over", Budget: time.Second})
	v, err := other.get(t.Context(), s.keys.token(digest("a")))
	if err != nil || !isIntent(v) {
		t.Fatalf("there is %q, %v, want an intent", v, err)
	}
	m.promote()
	led := false
	other.client.AddHook(answered(steps, func(step string) {
		if step == "state" && !led {
			led = true
			others.lead(t, m.new.Addr)
		}
	}))
	// The intent is still there when it is read, and is ended before it is asked how.
	m.old.Do("hdel", s.keys.changes, c.mark)
	if _, err := other.settle(t.Context(), digest("a")); err != nil {
		t.Fatal(err)
	}
	m.lead()
	if shown := m.wantWhole(m.fresh()); shown.token.RevokedAt.IsZero() {
		t.Error("a revocation that all replicas had confirmed is lost")
	}
}

// revocation plans the revocation of a token.
func (s *Store) revocation(t *testing.T, id string) *change {
	t.Helper()
	r, err := s.byID(t.Context(), id, s.settle)
	if err != nil {
		t.Fatal(err)
	}
	after := r.token.Clone()
	revoke(after)
	c, err := s.replacement(t.Context(), r, after)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A cluster whose feed and a token are on different masters.
type spread struct {
	*redistest.Cluster
	feed, token *redistest.Server // the masters that have them
	id          string            // of the token
	store       *Store
}

// freezing returns what freezes the replica of a master, and what has it go on. While it is
// frozen the master isn't given the time to wait for it, so that the budget of the store can
// be one that a busy machine keeps.
func (c *spread) freezing(t *testing.T, master *redistest.Server) (freeze, thaw func()) {
	t.Helper()
	replica, frozen := c.Replicas[slices.Index(c.Masters, master)], new(atomic.Bool)
	hurry := hook(func(cmds []redis.Cmder, next func() error) error {
		for _, cmd := range cmds {
			if args := cmd.Args(); frozen.Load() && args[0] == "wait" {
				args[2] = 1 // ms; 0 is for ever
			}
		}
		return next()
	})
	err := c.store.cluster.ForEachMaster(t.Context(), func(_ context.Context, client *redis.Client) error {
		if client.Options().Addr == master.Addr {
			client.AddHook(hurry)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	thaw = func() { replica.Thaw(); frozen.Store(false) }
	t.Cleanup(thaw)
	return func() { frozen.Store(true); replica.Freeze() }, thaw
}

// openSpread opens a store on a cluster whose masters have a replica each.
func openSpread(t *testing.T) (*Store, *spread) {
	t.Helper()
	c := &spread{Cluster: redistest.StartCluster(t, 3)}
	s := open(t, Options{Addresses: c.Addrs, Cluster: true, KeyPrefix: "spread"})
	c.store = s
	redistest.Await(t, "all masters to have a replica", func() error {
		n := 0
		s.replicas.Range(func(_, v any) bool { n++; return v.(replicas).want() > 0 })
		return unless(n >= 3)
	})
	master := func(key string) *redistest.Server {
		return c.Cluster.Owner(t, int(c.Masters[0].Do("cluster", "keyslot", key).(int64)))
	}
	c.feed = master(s.keys.head)
	for i := 0; c.token == nil || c.token == c.feed; i++ {
		c.id = fmt.Sprint("a", i)
		c.token = master(s.keys.token(digest(c.id)))
	}
	create(t, s, newToken(c.id))
	return s, c
}

// wantUnfinished checks that a change in a Cluster is left as it is, for whoever tidies up.
func (c *spread) wantUnfinished(t *testing.T, s *Store, when string) {
	t.Helper()
	v, err := s.get(t.Context(), s.keys.token(digest(c.id)))
	if err != nil || !isIntent(v) {
		t.Errorf("%s: the token's key holds %q, %v, want an intent", when, v, err)
	}
	if n, err := s.client.HLen(t.Context(), s.keys.changes).Result(); err != nil || n != 1 {
		t.Errorf("%s: %d changes are remembered, %v, want 1", when, n, err)
	}
}

// In a Cluster, nothing follows from a commit or an abort that a fail-over may take back:
// what follows is written to another server, and would stay.
func TestUnconfirmedIsNotEnded(t *testing.T) {
	t.Parallel()
	s, c := openSpread(t)
	s.patience = 0
	freeze, thaw := c.freezing(t, c.feed)
	confirmedAgain := func() {
		t.Helper()
		thaw()
		redistest.Await(t, "changes to be confirmed again", func() error { return s.Confirm(t.Context()) })
	}
	notReplicated := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, errNotReplicated) || !strings.Contains(err.Error(), "the change was not made") {
			t.Errorf("%s: %v, want that the change was not made", what, err)
		}
	}

	pending := s.revocation(t, c.id)
	s.stopAfter(t, "intents", pending)
	freeze()
	s.undo(pending, false)
	c.wantUnfinished(t, s, "undone, unconfirmed")
	_, err := s.settle(t.Context(), digest(c.id))
	notReplicated("settling what was aborted", err)
	c.wantUnfinished(t, s, "aborted, unconfirmed")
	confirmedAgain()
	if err := s.endAbandoned(t.Context(), abandoned{pending.mark, digestsOf(pending)}); err != nil {
		t.Fatal(err)
	}

	freeze()
	wantUnconfirmed(t, "revoking it", func() error { return tryRevoke(t, s, c.id) })
	c.wantUnfinished(t, s, "committed, unconfirmed")
	_, err = s.Update(t.Context(), c.id, func(t *token.Token) error { t.Name = "another"; return nil })
	notReplicated("a change of what isn't confirmed", err)
	c.wantUnfinished(t, s, "settled, unconfirmed")
	confirmedAgain()
	if f, err := s.Find(t.Context(), digest(c.id)); err != nil || f.Token.RevokedAt.IsZero() {
		t.Errorf("Find = %+v, %v, want it revoked", f.Token, err)
	}
	for mark := range s.client.HGetAll(t.Context(), s.keys.changes).Val() {
		s.age(t, mark, time.Minute)
	}
	if err := s.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.client.HLen(t.Context(), s.keys.changes).Result(); err != nil || n != 0 {
		t.Errorf("%d changes are remembered, %v, want none", n, err)
	}
	wantSound(t, s)
}

// The last step writes something whatever it finds, another change's intent say: servers
// from 7.2 on wait for what a connection has written, and else for nothing.
func TestLastStepWrites(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	written := func() string {
		return infoField(client.Info(t.Context(), "persistence").Val(), "rdb_changes_since_last_save")
	}
	for _, row := range []struct{ there, want string }{{"before", "after"}, {"after", "after"}, {"another", "another"}, {"", ""}} {
		client.Del(t.Context(), "k")
		if row.there != "" {
			client.Set(t.Context(), "k", row.there, 0)
		}
		from := written()
		if err := client.Eval(t.Context(), scriptSwap, []string{"k"}, "before", "after").Err(); err != nil {
			t.Fatal(err)
		}
		if now := client.Get(t.Context(), "k").Val(); now != row.want {
			t.Errorf("%q becomes %q, want %q", row.there, now, row.want)
		}
		if written() == from {
			t.Errorf("where there is %q nothing is written", row.there)
		}
	}
}
