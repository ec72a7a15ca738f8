package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/limiter"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// counting is a store that counts lookups and holds them up while gate isn't
// closed.
type counting struct {
	store.Store
	finds atomic.Int64
	gate  chan struct{} // nil: nothing is held up
}

func (c *counting) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	c.finds.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	return c.Store.Find(ctx, d)
}

// await waits until the store has been asked so often.
func (c *counting) await(t *testing.T, want int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); c.finds.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the store was asked %d times, want %d", c.finds.Load(), want)
		}
	}
}

// startCounting starts a server on a counting store. Caddy provisions one at a
// time, so these tests are not parallel.
func startCounting(t testing.TB, gate chan struct{}) (*gated, *counting) {
	t.Helper()
	c := &counting{gate: gate}
	where, err := (&StoreConfig{File: filepath.Join(t.TempDir(), "tokens.db")}).source()
	if err != nil {
		t.Fatal(err)
	}
	return startGated(t, func() (s store.Store, err error) {
		c.Store, err = where.open()
		return c, err
	}), c
}

// from has the server serve a request from an address.
func (g *gated) from(addr, secret string) int {
	r := httptest.NewRequest("GET", "/v1/spaces/1/stories", nil)
	r.RemoteAddr = addr
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	g.server.ServeHTTP(w, arrived(r))
	return w.Code
}

// An address gets no more unknown tokens looked up by sending them all at once.
func TestFloodAtOnce(t *testing.T) {
	gate := make(chan struct{})
	g, c := startCounting(t, gate)
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	const senders, limit = 300, 20
	var sending sync.WaitGroup
	var answers [600]atomic.Int64
	for range senders {
		sending.Go(func() { answers[g.from("192.0.2.1:1", token.NewSecret("pat"))].Add(1) })
	}
	c.await(t, limit)
	open()
	sending.Wait()
	if n := c.finds.Load(); n != limit {
		t.Errorf("the store was asked %d times, want %d", n, limit)
	}
	if answers[401].Load() != limit || answers[429].Load() != senders-limit {
		t.Errorf("%d requests answered 401, %d 429, want %d and %d", answers[401].Load(), answers[429].Load(), limit, senders-limit)
	}
}

// asyncCounting is a counting store that need not be waited for.
type asyncCounting struct{ *counting }

func (c asyncCounting) FindAsync(d token.Digest, done func(store.Found, error)) {
	go func() { done(c.Find(context.Background(), d)) }()
}

// An address gets no more of them looked up by going away before the answer.
func TestFloodOfAbortedRequests(t *testing.T) {
	gate := make(chan struct{})
	c := &counting{gate: gate}
	where, err := (&StoreConfig{File: filepath.Join(t.TempDir(), "tokens.db")}).source()
	if err != nil {
		t.Fatal(err)
	}
	g := startGated(t, func() (s store.Store, err error) {
		c.Store, err = where.open()
		return asyncCounting{c}, err
	})
	defer close(gate)
	const limit = 20
	aborted, abort := context.WithCancel(t.Context())
	abort()
	status := 0
	for range 5 * limit {
		r := httptest.NewRequestWithContext(aborted, "GET", "/v1/spaces/1/stories", nil)
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set("Authorization", "Bearer "+token.NewSecret("pat"))
		w := httptest.NewRecorder()
		g.server.ServeHTTP(w, arrived(r))
		status = w.Code
	}
	c.await(t, limit) // the last of them is on its way
	if n := c.finds.Load(); n != limit || status != http.StatusTooManyRequests {
		t.Errorf("the store was asked %d times, want %d; the last request was answered %d, want 429", n, limit, status)
	}
}

// Known tokens that aren't in memory yet are served however many come at once.
func TestColdStartFromOneAddress(t *testing.T) {
	g, c := startCounting(t, nil)
	const tokens = 200
	var sending sync.WaitGroup
	for range tokens {
		secret := g.create(t)
		sending.Go(func() {
			if status := g.from("192.0.2.1:1", secret); status != http.StatusOK {
				t.Errorf("a known token is answered %d", status)
			}
		})
	}
	sending.Wait()
	if n := c.finds.Load(); n != tokens {
		t.Errorf("the store was asked %d times, want %d", n, tokens)
	}
}

// From addresses without number, the store is asked as often as limiter.Total
// says, an IPv6 network of 64 bits counts as one address, and what is held
// serves all the while.
func TestFloodFromEverywhere(t *testing.T) {
	g, c := startCounting(t, nil)
	held := g.create(t)
	if status := g.from("192.0.2.1:1", held); status != http.StatusOK {
		t.Fatalf("before: %d", status)
	}
	for i := range 30 {
		want := http.StatusUnauthorized
		if i >= 20 {
			want = http.StatusTooManyRequests
		}
		if got := g.from(fmt.Sprintf("[2001:db8::%x]:1", i+1), token.NewSecret("pat")); got != want {
			t.Errorf("unknown token %d of a network: %d, want %d", i+1, got, want)
		}
	}
	for range 100 {
		if got := g.from("192.0.2.1:1", token.NewSecret("pat")+"x"); got != http.StatusUnauthorized {
			t.Errorf("a malformed token: %d", got)
		}
	}
	if n := c.finds.Load(); n != 21 {
		t.Errorf("the store was asked %d times, want 21", n)
	}
	began := time.Now()
	const flood = 6000
	for i := range flood {
		g.from(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16+1, i&0xffff), token.NewSecret("pat"))
		if i%100 == 0 {
			if status := g.from("192.0.2.1:1", held); status != http.StatusOK {
				t.Fatalf("the held token, during the flood: %d", status)
			}
		}
	}
	most := int64(21 + limiter.Total + int(time.Since(began).Seconds()*limiter.Total) + 1)
	if n := c.finds.Load(); n > most {
		t.Errorf("the store was asked %d times, want at most %d", n, most)
	}
	if n := g.app.hub.opened.Load().cache.Stats(); n.Held != 1 || n.Evicted != 0 || n.Unknown > 10_000 {
		t.Errorf("after the flood, the cache is %+v", n)
	}
}

// Requests that no connection has brought are counted as one address's, and not as that
// of the handler that has made them.
func TestFloodWithoutConnection(t *testing.T) {
	g, _ := startCounting(t, nil)
	const limit = 20
	status := 0
	for i := range limit + 1 {
		r := httptest.NewRequest("GET", "/v1/spaces/1/stories", nil)
		r.RemoteAddr = fmt.Sprintf("127.0.0.%d:10000", i+1)
		r.Header.Set("Authorization", "Bearer "+token.NewSecret("pat"))
		w := httptest.NewRecorder()
		g.server.ServeHTTP(w, r)
		status = w.Code
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("one more than %d unknown tokens: %d, want 429", limit, status)
	}
	if status := g.from("127.0.0.1:1", token.NewSecret("pat")); status != http.StatusUnauthorized {
		t.Errorf("an unknown token over a connection: %d, want 401", status)
	}
}
