package redis

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// A record of an owner that is kept in memory is as old as the feed: whoever
// holds it must not take it for one that was read just now.
func TestFoundInMemoryIsAsOldAsTheFeed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	heard := listen(t, b)
	create(t, a, newToken("a"))
	heard.await(t, "the token", func(c store.Change) bool { return slices.Contains(c.Digests, digest("a")) })
	if f, err := b.Find(t.Context(), digest("a")); err != nil || !f.AsOf.IsZero() {
		t.Fatalf("read from the server: as of %v, %v, want no time", f.AsOf, err)
	}
	release := make(chan struct{})
	defer b.Watch(func(store.Change) { <-release })()
	defer close(release)
	create(t, a, newToken("b")) // b doesn't get past that
	putOwner(t, a, &token.Owner{ID: "alice"})
	changed := time.Now()
	f, err := b.Find(t.Context(), digest("a"))
	switch {
	case err != nil:
		t.Errorf("Find: %v", err)
	case f.Owner == nil && (f.AsOf.IsZero() || f.AsOf.After(changed)):
		t.Errorf("the owner's record before the change, as of %v, want a time before it", f.AsOf)
	case f.Owner != nil && !f.AsOf.IsZero(): // read again, after a second
		t.Errorf("the record after the change, as of %v, want no time", f.AsOf)
	}
}

// A master that was cut off from the others answers all that it is asked, and
// takes no changes: no beats either. What it says of changes isn't trusted long.
func TestHeardNeedsBeats(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, row := range []struct {
		heard, beaten time.Duration // before now; -1: never
		want          time.Duration
	}{
		{heard: 0, beaten: 0, want: 0},
		{heard: 0, beaten: beatLimit, want: 0},
		{heard: 0, beaten: beatLimit + 1, want: beatLimit + 1},
		{heard: time.Second, beaten: 0, want: time.Second},
		{heard: -1, beaten: 0, want: -1},
		{heard: 0, beaten: -1, want: -1},
	} {
		s := new(Store)
		at := func(before time.Duration) *time.Time { at := now.Add(-before); return &at }
		if row.heard >= 0 {
			s.heard.Store(at(row.heard))
		}
		if row.beaten >= 0 {
			s.beaten.Store(at(row.beaten))
		}
		want := time.Time{}
		if row.want >= 0 {
			want = *at(row.want)
		}
		if got := s.Heard(); !got.Equal(want) {
			t.Errorf("heard %v ago, beaten %v ago: Heard is %v ago, want %v", row.heard, row.beaten, now.Sub(got), row.want)
		}
	}
}

// A gateway whose beats aren't taken doesn't count as one that may hold what was changed:
// what it reads it holds no longer than what it had read when one was taken last.
func TestWithoutBeatsIsAsOldAsTheFeed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "beats"}
	before := open(t, o)
	owned := newToken("a")
	owned.Owner = ""
	create(t, before, owned)
	if f, err := before.Find(t.Context(), owned.Digest); err != nil || !f.AsOf.IsZero() {
		t.Fatalf("as of %v, %v, want no time", f.AsOf, err)
	}
	server.Do("config", "set", "min-replicas-to-write", 1)
	never, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer never.Close()
	redistest.Await(t, "the server to be reached", func() error {
		_, err := never.Find(t.Context(), owned.Digest)
		return err
	})
	if f, err := never.Find(t.Context(), owned.Digest); err != nil || f.AsOf.IsZero() || time.Since(f.AsOf) < time.Hour {
		t.Errorf("of a gateway that was never counted: as of %v, %v, want that it isn't held", f.AsOf, err)
	}
	redistest.Await(t, "the last beat to be out of date", func() error {
		f, err := before.Find(t.Context(), owned.Digest)
		return errors.Join(err, unless(!f.AsOf.IsZero()))
	})
	if f, err := before.Find(t.Context(), owned.Digest); err != nil || f.AsOf.After(before.Heard()) {
		t.Errorf("as of %v, %v, want as of %v", f.AsOf, err, before.Heard())
	}
}

// What a master says that may have been cut off is as old as the last time it was heard
// for certain: nothing that is held on its word is held for longer.
func TestDoubtedIsAsOldAsTheFeed(t *testing.T) {
	t.Parallel()
	r := redistest.StartSentinel(t, "min-replicas-to-write 1", "min-replicas-max-lag 1")
	s := open(t, Options{Addresses: []string{r.Sentinel.Addr}, MasterName: redistest.MasterName, Budget: time.Second})
	owned := newToken("a")
	owned.Owner = ""
	create(t, s, owned)
	r.Replica.Kill()
	r.Sentinel.Kill()
	redistest.Await(t, "the master to be doubted", func() error { return unless(s.cutOff.Load()) })
	found, err := s.Find(t.Context(), digest("a"))
	if err != nil || found.AsOf.IsZero() || found.AsOf.After(s.Heard()) {
		t.Errorf("Find: as of %v, %v, want as of %v", found.AsOf, err, s.Heard())
	}
	asked := make(chan store.Found, 1)
	s.FindAsync(digest("a"), func(f store.Found, _ error) { asked <- f })
	if f := <-asked; f.AsOf.IsZero() || f.AsOf.After(s.Heard()) {
		t.Errorf("FindAsync: as of %v, want as of %v", f.AsOf, s.Heard())
	}
}
