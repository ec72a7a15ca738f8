package redis

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// findAsync is FindAsync, waited for.
func findAsync(s *Store, d token.Digest) (f store.Found, err error) {
	done := make(chan struct{})
	s.FindAsync(d, func(found store.Found, e error) {
		f, err = found, e
		close(done)
	})
	<-done
	return f, err
}

// FindAsync answers as Find does, whatever must be read for that.
func TestFindAsync(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *Store) {
		s.patience = time.Hour
		a, changing, owned := newToken("a"), newToken("changing"), newToken("owned")
		a.Retired = []token.RetiredSecret{{Digest: digest("retired"), Until: time.Unix(9, 0)}}
		owned.Owner = "bob"
		create(t, s, a, changing, owned, newToken("lost"))
		putOwner(t, s, &token.Owner{ID: "bob"})
		r, err := s.byID(t.Context(), "changing", s.settle)
		if err != nil {
			t.Fatal(err)
		}
		c := newChange(r.version)
		c.set(digest("changing"), r.raw, "")
		s.stopAfter(t, "intents", c)
		floorOf := digest("lost")
		s.floors.raise(string(floorOf[:]), floor{version: 1 << 62})
		s.client.Set(t.Context(), s.keys.token(digest("damaged")), "L", 0)
		for _, secret := range []string{"a", "retired", "changing", "owned", "unknown", "lost", "damaged"} {
			s.owners.dropAll(true) // first as when the owner isn't known, then as when it is
			for range 2 {
				got, err := findAsync(s, digest(secret))
				want, wantErr := s.Find(t.Context(), digest(secret))
				if wantErr != nil || err != nil {
					if err == nil || wantErr == nil || err.Error() != wantErr.Error() || errors.Is(err, store.ErrNotFound) != errors.Is(wantErr, store.ErrNotFound) {
						t.Errorf("FindAsync by %q = %+v, %v, and Find = %+v, %v", secret, got, err, want, wantErr)
					}
					continue
				}
				if !bytes.Equal(got.Token.Encode(nil), want.Token.Encode(nil)) || got.Current != want.Current || !got.Until.Equal(want.Until) || (got.Owner == nil) != (want.Owner == nil) || got.Position != want.Position {
					t.Errorf("FindAsync by %q = %+v, and Find = %+v", secret, got, want)
				}
			}
		}
		s.Close()
		if f, err := findAsync(s, digest("a")); !errors.Is(err, errClosed) {
			t.Errorf("FindAsync after Close = %+v, %v, want %v", f, err, errClosed)
		}
	})
}

// Of a server that doesn't answer, FindAsync says so in time.
func TestFindAsyncOfFrozenServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, Budget: 300 * time.Millisecond})
	server.Freeze()
	for range 100 {
		s.FindAsync(digest("a"), func(store.Found, error) {})
	}
	if f, err := findAsync(s, digest("a")); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("FindAsync = %+v, %v, want that it isn't known", f, err)
	}
	server.Thaw()
	redistest.Await(t, "the server to answer", func() error {
		if _, err := findAsync(s, digest("a")); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	})
}
