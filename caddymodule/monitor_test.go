package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// follower is an empty store that other processes change.
type follower struct {
	store.Store
	store.Shared
	heard atomic.Pointer[time.Time] // nil: it hears all there is
	fault atomic.Pointer[error]     // of being asked
	apart atomic.Pointer[error]     // of one of its servers
}

func (f *follower) Heard() time.Time {
	if t := f.heard.Load(); t != nil {
		return *t
	}
	return time.Now()
}

func (f *follower) Holds(time.Duration) {}

func (f *follower) Find(context.Context, token.Digest) (store.Found, error) {
	if err := f.fault.Load(); err != nil {
		return store.Found{}, *err
	}
	return store.Found{}, store.ErrNotFound
}

func (f *follower) Reach(context.Context) error {
	if err := f.apart.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *follower) Watch(func(store.Change)) func() { return func() {} }

// deafen has f hear nothing from now on and, with an error, answer nothing.
func (f *follower) deafen(err error) {
	now := time.Now()
	f.heard.Store(&now)
	if err != nil {
		f.fault.Store(&err)
	}
}

func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, gone := new(follower), errors.New("connection refused")
		f.heard.Store(new(time.Time)) // not heard at all
		f.fault.Store(&gone)
		began := time.Now()
		m := newMonitor(f, slog.New(slog.DiscardHandler))
		defer m.close()

		check := func(when string, heard bool, wantErr error, since time.Time) {
			t.Helper()
			time.Sleep(2 * time.Second) // of the bubble: the monitor has looked
			synctest.Wait()
			got := m.seen.Load()
			if got.heard != heard || !errors.Is(got.err, wantErr) || got.since.Sub(since).Abs() > monitorInterval {
				t.Errorf("%s: heard %v, error %v, since %s; want %v, %v, %s", when, got.heard, got.err, got.since, heard, wantErr, since)
			}
		}
		check("before it was heard", false, gone, began)
		f.heard.Store(nil)
		f.fault.Store(nil)
		now := time.Now()
		check("heard", true, nil, now)
		check("still heard", true, nil, now)
		f.apart.Store(&gone)
		now = time.Now()
		check("a part is gone", true, gone, now)
		check("the part is still gone", true, gone, now)
		f.apart.Store(nil)
		now = time.Now()
		check("all of it is back", true, nil, now)
		f.deafen(nil)
		now = time.Now()
		check("it can be asked, but others are not heard", false, nil, now)
		f.deafen(gone)
		now = time.Now()
		check("gone", false, gone, now)
		check("still gone", false, gone, now)
	})
}

// alone is an empty store that no other process changes.
type alone struct{ follower }

func (a *alone) Heard() {} // not that of store.Shared

// A store that no other process changes is heard as long as it can be asked. Where it fails,
// one line of the log says so, and another one that it is over, though nobody asks it.
func TestMonitorAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gone := new(alone), errors.New("input/output error")
		core, lines := observer.New(zapcore.InfoLevel)
		m := newMonitor(s, slog.New(storeLogTo(core)))
		defer m.close()
		check := func(when string, heard bool, wantErr error, line string) {
			t.Helper()
			time.Sleep(4 * time.Second) // of the bubble: the monitor has looked, more than once
			synctest.Wait()
			if got := m.seen.Load(); got.heard != heard || !errors.Is(got.err, wantErr) {
				t.Errorf("%s: heard %v, error %v; want %v, %v", when, got.heard, got.err, heard, wantErr)
			}
			logged := lines.TakeAll()
			if line == "" && len(logged) == 0 {
				return
			}
			if len(logged) != 1 || !strings.Contains(logged[0].Message, line) || wantErr != nil && logged[0].ContextMap()["error"] != wantErr.Error() {
				t.Errorf("%s: logged %+v, want one line with %q and the error", when, logged, line)
			}
		}
		check("at first", true, nil, "")
		s.apart.Store(&gone)
		check("its file is replaced", true, gone, "not all of the token store can be used")
		unreadable := fmt.Errorf("its file %w", store.ErrUnreadable)
		s.apart.Store(&unreadable)
		check("it can't be read", false, unreadable, "can't be asked")
		s.apart.Store(nil)
		check("it is back", true, nil, "can be used again")
	})
}
