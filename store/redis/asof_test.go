package redis

import (
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
	if _, err := a.UpdateOwner(t.Context(), "alice", func(*token.Owner) (*token.Owner, error) { return &token.Owner{ID: "alice"}, nil }); err != nil {
		t.Fatal(err)
	}
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
