package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// listener collects what a watcher is told, and checks what holds of every call.
type listener struct {
	s       *suite
	running atomic.Int32
	mu      sync.Mutex
	told    []store.Change
	last    store.Position
}

// listen has l told of every change until stop is called.
func (s *suite) listen() (l *listener, stop func()) {
	l = &listener{s: s}
	return l, s.Watch(l.hear)
}

func (l *listener) hear(c store.Change) {
	if l.running.Add(1) != 1 {
		l.s.Errorf("a watcher is called while it is running")
	}
	defer l.running.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Position <= l.last {
		l.s.Errorf("told of position %d after position %d", c.Position, l.last)
	}
	l.last = c.Position
	l.told = append(l.told, c)
}

// take returns what was told since the last call: all of it as one change.
func (l *listener) take() store.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := store.Change{Position: l.last}
	for _, c := range l.told {
		all.Digests = append(all.Digests, c.Digests...)
		all.Owners = append(all.Owners, c.Owners...)
	}
	l.told = nil
	return all
}

// want checks that since the last call l was told of these digests.
func (l *listener) want(what string, secrets ...string) {
	l.s.Helper()
	c := l.take()
	for _, secret := range secrets {
		if !slices.Contains(c.Digests, digest(secret)) {
			l.s.Errorf("%s: watchers are not told of the digest of %q", what, secret)
		}
	}
	for _, d := range c.Digests {
		if !slices.ContainsFunc(secrets, func(secret string) bool { return digest(secret) == d }) {
			l.s.Errorf("%s: watchers are told of a digest that has not to do with it", what)
		}
	}
	if len(c.Owners) > 0 {
		l.s.Errorf("%s: watchers are told of the owners %q, want none", what, c.Owners)
	}
	if len(secrets) == 0 {
		return
	}
	for _, secret := range secrets {
		if f, err := l.s.Find(l.s.ctx, digest(secret)); err == nil && f.Position < c.Position {
			l.s.Errorf("%s: Find is at position %d, watchers were told of %d", what, f.Position, c.Position)
		}
	}
}

func watchTokens(s *suite) {
	s.create(newToken("before"))
	l, stop := s.listen()
	defer stop()
	other, stopOther := s.listen()
	defer stopOther()

	s.create(newToken("a"))
	l.want("create", "a")
	b, c := newToken("b"), newToken("c")
	c.Retired = []token.RetiredSecret{{Digest: digest("c0")}}
	s.create(b, c)
	l.want("create two", "b", "c", "c0")
	s.update("a", func(t *token.Token) { t.RevokedAt = now })
	l.want("revoke", "a")
	s.update("a", func(t *token.Token) { t.Digest = digest("a2") })
	l.want("replace the secret", "a", "a2")
	s.update("a", func(t *token.Token) {
		t.Retired = []token.RetiredSecret{{Digest: t.Digest, Until: now}}
		t.Digest = digest("a3")
	})
	l.want("replace it with an overlap", "a2", "a3")
	s.update("a", func(t *token.Token) { t.Retired = nil })
	l.want("forget a retired one", "a2", "a3")
	s.delete("a")
	l.want("delete", "a3")
	s.delete("c", "b")
	l.want("delete two", "b", "c", "c0")

	if c := other.take(); len(c.Digests) == 0 {
		s.Error("a second watcher was told nothing")
	}
}

func watchOwners(s *suite) {
	l, stop := s.listen()
	defer stop()
	want := func(what string) {
		s.Helper()
		if c := l.take(); !slices.Equal(c.Owners, []string{"Zoë/ops"}) {
			s.Errorf("%s: watchers are told of the owners %q, want Zoë/ops", what, c.Owners)
		}
	}
	s.putOwner(&token.Owner{ID: "Zoë/ops", Enabled: true})
	want("a new owner")
	s.putOwner(&token.Owner{ID: "Zoë/ops"})
	want("a changed owner")
	if err := s.DeleteOwner(s.ctx, "Zoë/ops"); err != nil {
		s.Errorf("DeleteOwner: %v", err)
	}
	want("a deleted owner")
}

// Whoever has made a change knows that every watcher was told of it.
func watchConcurrently(s *suite) {
	const writers, times = 8, 20
	l := &listener{s: s}
	var told sync.Map // digest -> true
	stop := s.Watch(func(c store.Change) {
		l.hear(c)
		for _, d := range c.Digests {
			told.Store(d, true)
		}
	})
	defer stop()
	var wg sync.WaitGroup
	for w := range writers {
		id := fmt.Sprint("w", w)
		s.create(newToken(id))
		wg.Go(func() {
			for i := range times {
				d := digest(fmt.Sprint(id, i))
				_, err := s.Update(s.ctx, id, func(t *token.Token) error { t.Digest = d; return nil })
				if err != nil {
					s.Errorf("Update(%q): %v", id, err)
					return
				}
				if _, ok := told.Load(d); !ok {
					s.Errorf("Update(%q) returned before watchers were told of it", id)
				}
			}
		})
	}
	wg.Wait()
}

func watchStop(s *suite) {
	s.create(newToken("a"))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // changes, as long as the test runs
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := s.Update(s.ctx, "a", func(t *token.Token) error { t.Name += "x"; t.Name = t.Name[len(t.Name)/2:]; return nil }); err != nil {
				s.Errorf("Update: %v", err)
				return
			}
		}
	})
	stays, stop := s.listen()
	defer stop()
	for range 20 {
		var stopped atomic.Bool
		heard := make(chan struct{}, 1)
		stop := s.Watch(func(store.Change) {
			if stopped.Load() {
				s.Error("a watcher is called after stop has returned")
			}
			select {
			case heard <- struct{}{}:
			default:
			}
		})
		<-heard
		stop()
		stopped.Store(true)
	}
	close(done)
	wg.Wait()
	stays.take()
	s.update("a", func(t *token.Token) { t.Name = "last" })
	stays.want("after others have stopped", "a")
}

// What Find says is at least as new as every change that was acknowledged
// before it was asked, in what it shows and in the position it gives.
func findIsUpToDate(s *suite) {
	const readers, times = 4, 60
	s.create(newToken("a"))
	var told, acknowledged atomic.Uint64 // positions
	stop := s.Watch(func(c store.Change) { told.Store(uint64(c.Position)) })
	defer stop()

	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var count atomic.Int64 // changes acknowledged; written to the token's creation time
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			var last store.Position
			for ctx.Err() == nil {
				position, n := acknowledged.Load(), count.Load()
				f, err := s.Find(s.ctx, digest("a"))
				if err != nil {
					s.Errorf("Find: %v", err)
					return
				}
				if f.Position < store.Position(position) {
					s.Errorf("Find is at position %d, but %d was acknowledged before", f.Position, position)
				}
				if f.Position < last {
					s.Errorf("Find is at position %d, and was at %d before", f.Position, last)
				}
				last = f.Position
				if got := f.Token.CreatedAt.Unix() - now.Unix(); got < n {
					s.Errorf("Find shows %d changes, but %d were acknowledged before", got, n)
				}
			}
		})
	}
	for range times {
		s.update("a", func(t *token.Token) { t.CreatedAt = t.CreatedAt.Add(1e9) })
		acknowledged.Store(told.Load())
		count.Add(1)
	}
	cancel()
	wg.Wait()
}

func status(s *suite) {
	want := func(tokens, owners int) store.Position {
		s.Helper()
		st, err := s.Store.Status(s.ctx)
		if err != nil {
			s.Fatalf("Status: %v", err)
		}
		if st.Tokens != tokens || st.Owners != owners {
			s.Errorf("Status has %d tokens and %d owners, want %d and %d", st.Tokens, st.Owners, tokens, owners)
		}
		if st.Kind == "" || st.Location == "" || strings.Contains(st.Location, st.Kind+" ") {
			s.Errorf("Status has the kind %q and the location %q, want both, each once", st.Kind, st.Location)
		}
		return st.Position
	}
	l, stop := s.listen()
	defer stop()
	before := want(0, 0)
	s.create(newToken("a"), newToken("b"), newToken("c"))
	s.putOwner(&token.Owner{ID: "alice"})
	s.putOwner(&token.Owner{ID: "bob"})
	after := want(3, 2)
	if told := l.take().Position; after <= before || after < told {
		s.Errorf("Status is at position %d, want it after %d and not before %d", after, before, told)
	}
	s.Create(s.ctx, newToken("d"), newToken("a"))
	s.Delete(s.ctx, "a", "d")
	want(3, 2)
	s.update("a", func(t *token.Token) { t.Owner = "bob" })
	s.putOwner(&token.Owner{ID: "alice", Enabled: true})
	want(3, 2)
	s.delete("a", "b")
	if err := s.DeleteOwner(s.ctx, "bob"); err != nil {
		s.Errorf("DeleteOwner: %v", err)
	}
	want(1, 1)
}

func cancelledContext(s *suite) {
	a := newToken("a")
	s.create(a)
	s.putOwner(&token.Owner{ID: "alice"})
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	s.eachMethod(ctx, func(method string, err error) {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s with a cancelled context: %v, want context.Canceled", method, err)
		}
	})
	s.wantToken(a)
	s.wantNone("new")
	if _, err := s.Owner(s.ctx, "alice"); err != nil {
		s.Errorf("Owner: %v", err)
	}
}

func closed(s *suite) {
	s.create(newToken("a"))
	if err := s.Store.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	s.eachMethod(s.ctx, func(method string, err error) {
		if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) {
			s.Errorf("%s after Close: %v, want an error that says nothing of the token", method, err)
		}
	})
}

// eachMethod calls every method that takes a context with ctx.
func (s *suite) eachMethod(ctx context.Context, got func(method string, err error)) {
	never := func() { s.Error("change was called") }
	_, err := s.Find(ctx, digest("a"))
	got("Find", err)
	_, err = s.Token(ctx, "a")
	got("Token", err)
	_, _, err = s.Tokens(ctx, store.Query{})
	got("Tokens", err)
	got("Create", s.Create(ctx, newToken("new")))
	_, err = s.Update(ctx, "a", func(*token.Token) error { never(); return nil })
	got("Update", err)
	got("Delete", s.Delete(ctx, "a"))
	_, err = s.Owner(ctx, "alice")
	got("Owner", err)
	_, _, err = s.Owners(ctx, "", 10)
	got("Owners", err)
	_, err = s.UpdateOwner(ctx, "alice", func(o *token.Owner) (*token.Owner, error) { never(); return o, nil })
	got("UpdateOwner", err)
	got("DeleteOwner", s.DeleteOwner(ctx, "alice"))
	_, err = s.Store.Status(ctx)
	got("Status", err)
}

// marks says of a store that it keeps marks.
func marks(s *suite) {
	for _, c := range []struct{ name, mark, before string }{
		{"a", "one\x00", ""}, {"b", "other", ""}, {"a", "one\x00", "one\x00"}, {"a", "two", "one\x00"}, {"b", "x", "other"},
	} {
		before, err := s.Mark(s.ctx, c.name, []byte(c.mark))
		if err != nil || string(before) != c.before || (before == nil) != (c.before == "") {
			s.Errorf("Mark(%s, %q) = %q, %v, want %q", c.name, c.mark, before, err, c.before)
		}
	}
}

// marksAtOnce says of a store that of several who set a mark at once each is told of the
// one before: otherwise those who don't agree wouldn't know.
func marksAtOnce(s *suite) {
	const n = 8
	var all sync.WaitGroup
	befores := make([]string, n)
	for i := range n {
		all.Go(func() {
			before, err := s.Mark(s.ctx, "at once", []byte{byte('a' + i)})
			if err != nil {
				s.Errorf("Mark: %v", err)
			}
			befores[i] = string(before)
		})
	}
	all.Wait()
	slices.Sort(befores)
	if again := slices.Compact(slices.Clone(befores)); len(again) < n {
		s.Errorf("%d who set a mark at once were told of %q before, want each of another", n, befores)
	}
}
