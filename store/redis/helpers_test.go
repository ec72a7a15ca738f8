package redis

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

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

// unless returns an error unless what is waited for is so.
func unless(so bool) error {
	if so {
		return nil
	}
	return errors.New("not yet")
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
