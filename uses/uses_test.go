package uses

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patgate/patgate/store"
)

// notebook is a store of uses in memory.
type notebook struct {
	mu    sync.Mutex
	noted map[string]store.Use
	most  int // uses told at once
	err   error
	calls chan struct{}
}

func newNotebook() *notebook {
	return &notebook{noted: map[string]store.Use{}, calls: make(chan struct{}, 1000)}
}

func (b *notebook) NoteUses(_ context.Context, uses ...store.Use) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls <- struct{}{}
	if b.err != nil {
		return b.err
	}
	for _, u := range uses {
		b.noted[u.ID] = u
	}
	b.most = max(b.most, len(uses))
	return nil
}

func (b *notebook) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *notebook) of(id string) store.Use {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.noted[id]
}

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	here = netip.MustParseAddr("192.0.2.1")
)

// noter returns a Noter that tells b when it is asked to, or closed.
func noter(b *notebook) *Noter { return newNoter(b, time.Hour, func(error) {}) }

func TestDue(t *testing.T) {
	t.Parallel()
	n := noter(newNotebook())
	defer n.Close()
	now := time.Now()
	for _, c := range []struct {
		name  string
		every time.Duration
		after time.Duration
		want  bool
	}{
		{"the first use", 10 * time.Minute, 0, true},
		{"a second one", 10 * time.Minute, time.Minute, false},
		{"after ten minutes", 10 * time.Minute, 10 * time.Minute, true},
		{"not noted at all", 0, time.Hour, false},
		{"noted more often", time.Minute, 11 * time.Minute, true},
	} {
		n.SetEvery(c.every)
		if got := n.Due(digest(1), now.Add(c.after)); got != c.want {
			t.Errorf("%s: Due = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDueAllocatesNothing(t *testing.T) {
	n := noter(newNotebook())
	defer n.Close()
	n.SetEvery(time.Hour)
	d, now := digest(1), time.Now()
	if got := testing.AllocsPerRun(100, func() { n.Due(d, now) }); got != 0 {
		t.Errorf("Due allocates %v times, want never", got)
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	b := newNotebook()
	n := noter(b)
	defer n.Close()
	n.Note(store.Use{ID: "a", At: noon.Add(time.Second), From: here})
	n.Note(store.Use{ID: "a", At: noon}) // of a request that was slower
	for i := range 2500 {
		n.Note(store.Use{ID: fmt.Sprint(i), At: noon})
	}
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := b.of("a"), (store.Use{ID: "a", At: noon.Add(time.Second), From: here}); got != want {
		t.Errorf("the store is told %+v, want the later use %+v", got, want)
	}
	if len(b.noted) != 2501 || b.most > batch {
		t.Errorf("%d uses told, %d at once; want 2501, at most %d at once", len(b.noted), b.most, batch)
	}
	clear(b.noted)
	if err := n.Flush(t.Context()); err != nil || len(b.noted) > 0 {
		t.Errorf("%d uses told again, error %v; want none", len(b.noted), err)
	}
}

func TestWhatCannotBeToldIsKept(t *testing.T) {
	t.Parallel()
	b := newNotebook()
	n := noter(b)
	down := errors.New("down")
	b.fail(down)
	for i := range 2500 {
		n.Note(store.Use{ID: fmt.Sprint(i), At: noon})
	}
	if err := n.Flush(t.Context()); !errors.Is(err, down) {
		t.Errorf("Flush = %v, want the store's error", err)
	}
	n.Note(store.Use{ID: "7", At: noon.Add(time.Hour)})
	b.fail(nil)
	n.Close() // tells what is left
	if len(b.noted) != 2500 || !b.of("7").At.Equal(noon.Add(time.Hour)) {
		t.Errorf("%d uses told, of 7 the one at %v; want all 2500, and the latest", len(b.noted), b.of("7").At)
	}
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	b := newNotebook()
	n := noter(b)
	b.fail(errors.New("down"))
	for i := range maxPending + 10 {
		n.Note(store.Use{ID: fmt.Sprint(i), At: noon})
	}
	n.Note(store.Use{ID: "0", At: noon.Add(time.Second)}) // is noted already, and stays so
	if len(n.pending) != maxPending || !n.pending["0"].At.Equal(noon.Add(time.Second)) {
		t.Errorf("%d uses are pending, want %d with the latest of each", len(n.pending), maxPending)
	}
	n.Close()
}

func TestFlushInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newNotebook()
		failed := 0
		n := New(b, func(error) { failed++ })
		defer n.Close()
		b.fail(errors.New("down"))
		n.Note(store.Use{ID: "a", At: noon})
		time.Sleep(flushEvery)
		synctest.Wait()
		if failed != 1 {
			t.Errorf("%d failures were told, want one", failed)
		}
		b.fail(nil)
		time.Sleep(flushEvery)
		synctest.Wait()
		if b.of("a").ID == "" {
			t.Error("what couldn't be told wasn't told the next time")
		}
		if failed != 1 {
			t.Errorf("%d failures were told, want none of what was told", failed-1)
		}
	})
}

// A Flush waits for another one, but no longer than its caller does.
func TestFlushBesideAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNoter(hung{}, time.Hour, func(error) {})
		n.Note(store.Use{ID: "a", At: noon})
		go n.flush()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := n.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Flush = %v after %v, want %v after 1s", err, time.Since(start), context.DeadlineExceeded)
		}
		n.Close()
	})
}

// hung is a store that doesn't answer.
type hung struct{}

func (hung) NoteUses(ctx context.Context, _ ...store.Use) error {
	<-ctx.Done()
	return ctx.Err()
}
