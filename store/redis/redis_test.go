package redis

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/storetest"
	"github.com/patgate/patgate/token"
)

func TestStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openSound(t, Options{Addresses: []string{server.Addr}}) })
}

func TestStoreValkey(t *testing.T) {
	t.Parallel()
	server := redistest.StartValkey(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openSound(t, Options{Addresses: []string{server.Addr}}) })
}

func TestStoreSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return openSound(t, Options{Addresses: []string{s.Sentinel.Addr}, MasterName: redistest.MasterName})
	})
}

func TestStoreCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	storetest.Run(t, func(t *testing.T) store.Store { return openSound(t, Options{Addresses: c.Addrs, Cluster: true}) })
}

var prefixes atomic.Int64

// open opens a store that shares its server with others, under a prefix of its
// own unless one is given, and returns when it hears its feed. Its budget is
// one that a busy machine keeps.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.KeyPrefix == "" {
		o.KeyPrefix = fmt.Sprintf("test%d", prefixes.Add(1))
	}
	if o.Budget == 0 {
		o.Budget = 30 * time.Second
	}
	s, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	awaitHeard(t, s)
	return s
}

// onEach calls f with a store on one server, and with one in a Cluster.
func onEach(t *testing.T, f func(t *testing.T, s *Store)) {
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		f(t, open(t, Options{Addresses: []string{redistest.Start(t).Addr}}))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		f(t, open(t, Options{Addresses: redistest.StartCluster(t, 0).Addrs, Cluster: true}))
	})
}

// openSound is open for a store in which everything must be right when the test
// ends.
func openSound(t testing.TB, o Options) *Store {
	t.Helper()
	o.KeyPrefix = fmt.Sprintf("test%d", prefixes.Add(1))
	s := open(t, o)
	t.Cleanup(func() {
		wantSound(t, open(t, o)) // s may be closed
	})
	return s
}

// wantSound checks that there is nothing for Check to mend, and no change that
// hasn't ended.
func wantSound(t testing.TB, s *Store) {
	t.Helper()
	problems, err := s.Check(noContext, false) // t's context has ended in a cleanup
	if err != nil || len(problems) > 0 {
		t.Errorf("Check = %+v, %v, want nothing", problems, err)
	}
	for mark, e := range s.client.HGetAll(noContext, s.keys.changes).Val() {
		if state, _, _, _ := parseEntry(e); state != aborted || s.cluster == nil { // see undo
			t.Errorf("the change %x is left behind: %q", mark, e)
		}
	}
}

// awaitHeard returns when s has heard of everything up to now.
func awaitHeard(t testing.TB, s *Store) {
	t.Helper()
	from := time.Now()
	redistest.Await(t, "the feed to be heard", func() error {
		if heard := s.Heard(); heard.Before(from) {
			return fmt.Errorf("heard %v before", from.Sub(heard))
		}
		return nil
	})
}

func newToken(id string) *token.Token {
	return &token.Token{ID: id, Name: "token " + id, Owner: "alice", Grants: []token.Grant{token.Full()}, Digest: digest(id)}
}

func digest(secret string) token.Digest { return sha256.Sum256([]byte(secret)) }

// create makes tokens, and returns when replicas have them. Where the machine stood
// still for longer than the budget of the store, it does so again.
func create(t testing.TB, s *Store, tokens ...*token.Token) {
	t.Helper()
	tried := false
	redistest.Await(t, "tokens to be made", func() error {
		err := s.Create(t.Context(), tokens...)
		switch {
		case errors.Is(err, errNotReplicated), tried && errors.Is(err, store.ErrExists):
			err = s.Confirm(t.Context())
		case err != nil && !late(err):
			t.Fatalf("Create: %v", err)
		}
		tried = true
		return err
	})
}

// late reports whether an error is that something took longer than the budget of a store.
func late(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// unlessLate does something, again where the machine stood still meanwhile.
func unlessLate(do func() error) (err error) {
	for range 20 {
		if err = do(); errors.Is(err, errNotReplicated) || !late(err) {
			break
		}
	}
	return err
}

// wantUnconfirmed does something that no replica confirms.
func wantUnconfirmed(t testing.TB, what string, do func() error) {
	t.Helper()
	if err := unlessLate(do); !errors.Is(err, errNotReplicated) {
		t.Errorf("%s: %v, want %v", what, err, errNotReplicated)
	}
}

// putOwner sets the record of an owner.
func putOwner(t testing.TB, s *Store, o *token.Owner) {
	t.Helper()
	if _, err := s.UpdateOwner(t.Context(), o.ID, func(*token.Owner) (*token.Owner, error) { return o, nil }); err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, s *Store, id string, change func(*token.Token)) {
	t.Helper()
	if _, err := s.Update(t.Context(), id, func(t *token.Token) error { change(t); return nil }); err != nil {
		t.Fatalf("Update(%q): %v", id, err)
	}
}

// tryRevoke revokes a token, if that is possible.
func tryRevoke(t testing.TB, s *Store, id string) error {
	_, err := s.Update(t.Context(), id, func(t *token.Token) error { revoke(t); return nil })
	return err
}

func revoke(t *token.Token) { t.RevokedAt = time.Unix(1, 0) }

// listener collects what a watcher is told.
type listener struct {
	mu      sync.Mutex
	changes []store.Change
}

func listen(t testing.TB, s *Store) *listener {
	l := new(listener)
	t.Cleanup(s.Watch(func(c store.Change) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changes = append(l.changes, c)
	}))
	return l
}

// await returns when l has been told of a change that f reports true for.
func (l *listener) await(t testing.TB, what string, f func(store.Change) bool) {
	t.Helper()
	redistest.Await(t, "watchers to be told of "+what, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if slices.ContainsFunc(l.changes, f) {
			return nil
		}
		return fmt.Errorf("told of %d changes", len(l.changes))
	})
}

func (l *listener) resets() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.changes {
		if c.Reset {
			n++
		}
	}
	return n
}

// logged collects what a store logs.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// A user that may do no more than the documentation says can have all that a store
// does. Without INFO nobody would wait for replicas, which is worth a warning.
func TestUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, allowed := range map[string]string{"enough": "+info", "little": ""} {
		user(t, server, name, "~patgate:* ~{patgate}:* +@all -@dangerous "+allowed)
		var log logged
		s := open(t, Options{Addresses: []string{server.Addr}, Username: name, Password: "secret", KeyPrefix: "patgate", Logger: log.logger()})
		create(t, s, newToken(name))
		update(t, s, name, revoke)
		if f, err := s.Find(t.Context(), digest(name)); err != nil || f.Token.RevokedAt.IsZero() {
			t.Errorf("%s: %+v, %v, want it revoked", name, f.Token, err)
		}
		const warning = "REVOCATIONS MAY BE LOST"
		if name == "little" {
			redistest.Await(t, "the warning", func() error { return unless(strings.Contains(log.String(), warning)) })
		} else if strings.Contains(log.String(), warning) {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}

// What a user may not do is logged, and told to whoever asks how the store is, before
// anybody misses it.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, c := range []struct {
		rules string // behind those that are enough
		want  string // of what is logged
	}{
		{"resetkeys ~{patgate}:*", "del patgate:t:*, get patgate:t:*"},
		{"resetkeys ~{patgate}:* %R~patgate:*", "del patgate:t:*, set patgate:t:* on"},
		{"-get", "get patgate:t:*"},
		{"-mget", "mget patgate:t:*"},
		{"-set", "set patgate:t:*"},
		{"-zadd", "zadd {patgate}:events"},
		{"-xadd", "xadd {patgate}:events, xadd {patgate}:feed on"},
		{"-eval", "eval"},
		{"-info", "may not run info on"},
	} {
		user(t, server, "u", "~patgate:* ~{patgate}:* +@all -@dangerous +info "+c.rules)
		var log logged
		s, err := Open(Options{Addresses: []string{server.Addr}, Username: "u", Password: "secret", KeyPrefix: "patgate", Logger: log.logger(), Budget: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		awaitMissing := func(want string) {
			t.Helper()
			redistest.Await(t, "what is missing with "+c.rules, func() error {
				err := s.Reach(t.Context())
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					return fmt.Errorf("reached: %v, want %q", err, want)
				}
				return nil
			})
		}
		awaitMissing(c.want)
		const line = "it needs ~patgate:* ~{patgate}:* +@all -@dangerous +info"
		redistest.Await(t, "that to be logged", func() error { return unless(strings.Contains(log.String(), c.want)) })
		if n := strings.Count(log.String(), line); n != 1 || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%s: logged %d times: %s", c.rules, n, log.String())
		}
		user(t, server, "u", "~patgate:* ~{patgate}:* +@all -@dangerous +info")
		awaitMissing("")
		s.Close()
	}
}

// The rights that are looked at are all that are needed, and each is looked at.
func TestRightsAreEnough(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rules := "~test*:* ~{test*}:* -@all +eval"
	for _, of := range commands {
		for _, command := range of {
			rules += " +" + strings.Fields(command)[0]
		}
	}
	user(t, server, "u", rules)
	o := Options{Addresses: []string{server.Addr}, Username: "u", Password: "secret"}
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, o) })
	s := open(t, o)
	for _, of := range commands {
		for _, command := range of {
			command = strings.Fields(command)[0]
			user(t, server, "u", rules+" -"+command)
			s.lookAtRights(t.Context())
			if err := s.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), " "+command+" ") {
				t.Errorf("without %s: %v", command, err)
			}
		}
	}
}

// A change of which a part may not be made is not made, and nobody hears of it.
func TestForbiddenChange(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}}
	for _, rule := range []string{"-zadd", "-zrem", "-xadd", "-hdel", "-del", "-hset"} {
		o.KeyPrefix = "forbidden" + rule
		s := open(t, o)
		told := listen(t, s)
		user(t, server, "u", "~* +@all")
		limited := o
		limited.Username, limited.Password = "u", "secret"
		other := open(t, limited)
		create(t, s, newToken("a"), newToken("b"), newToken("d"))
		putOwner(t, s, &token.Owner{ID: "carol"})
		user(t, server, "u", "~* +@all "+rule)
		ctx := store.WithEvents(t.Context(), func() []store.Event { return []store.Event{{Action: "tried", TokenID: "a", Owner: "alice"}} })
		for what, change := range map[string]func() error{
			"replace a secret": func() error {
				_, err := other.Update(ctx, "a", func(t *token.Token) error { t.Digest = digest("new"); return nil })
				return err
			},
			"revoke": func() error {
				_, err := other.Update(ctx, "b", func(t *token.Token) error { revoke(t); return nil })
				return err
			},
			"create": func() error { return other.Create(ctx, newToken("c")) },
			"delete": func() error { return other.Delete(ctx, "d") },
			"change an owner": func() error {
				_, err := other.UpdateOwner(ctx, "alice", func(*token.Owner) (*token.Owner, error) {
					return &token.Owner{ID: "alice"}, nil
				})
				return err
			},
			"forget an owner": func() error { return other.DeleteOwner(ctx, "carol") },
			"record":          func() error { return other.Record(ctx, store.Event{Action: "tried", Owner: "alice"}) },
		} {
			before := indexesOf(t, s)
			if change() == nil {
				continue // it goes without
			}
			if after := indexesOf(t, s); after != before {
				t.Errorf("%s: %s: there is now %s, before there was %s", rule, what, after, before)
			}
		}
		awaitHeard(t, s)
		if n, resets := s.Stats().Lost, told.resets(); n > 0 || resets > 0 {
			t.Errorf("%s: %d reads showed an older record than was heard of, and %d times some were missed", rule, n, resets)
		}
		if problems, err := s.Check(t.Context(), false); err != nil || len(problems) > 0 {
			t.Errorf("%s: Check = %+v, %v, want nothing", rule, problems, err)
		}
	}
}

// indexesOf returns all that shows of changes, but for records.
func indexesOf(t *testing.T, s *Store) string {
	t.Helper()
	var all []any
	for _, command := range [][]any{
		{"hmget", s.keys.head, "n", "mark", "events"}, {"xrange", s.keys.feed, "-", "+"}, {"xrange", s.keys.events, "-", "+"},
		{"zrange", s.keys.eventsBy, 0, -1}, {"zrange", s.keys.ids, 0, -1}, {"zrange", s.keys.owners, 0, -1},
	} {
		v, err := s.client.Do(t.Context(), command...).Result()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return fmt.Sprintf("%q", all)
}

// user has the server know a user with these rules.
func user(t *testing.T, server *redistest.Server, name, rules string) {
	t.Helper()
	rule := []any{"acl", "setuser", name, "reset", "on", ">secret"}
	for _, r := range strings.Fields(rules) {
		rule = append(rule, r)
	}
	server.Do(rule...)
}
