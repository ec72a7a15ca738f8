package redis

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// failedOver is a fail-over on its way: the feed of a gateway comes from the new master
// already, and its last change has gone to the old one, which took it for nothing.
func failedOver(t *testing.T) (s *Store, fresh *redistest.Server) {
	t.Helper()
	old := redistest.Start(t)
	fresh = redistest.StartReplica(t, old)
	way := newSwitched(t, old.Addr)
	s = open(t, Options{Addresses: []string{way.addr}, KeyPrefix: "again", name: "s", Budget: 300 * time.Millisecond, feedAddr: fresh.Addr})
	create(t, s, newToken("mine"), newToken("x"))
	redistest.Await(t, "the change", func() error { return unless(s.told.position() == 1 && s.passed.at(1) != "-") })
	awaitHeard(t, s)
	fresh.Promote()
	_, err := s.Update(t.Context(), "mine", func(t *token.Token) error { t.Name = "other"; return nil }) // which is lost
	if n := s.told.position(); n != 2 {
		t.Fatalf("told up to %d, want 2: %v", n, err)
	}
	way.to.Store(&fresh.Addr)
	return s, fresh
}

// A position that was told of, and lost, is another change's on the new master. That is
// told of as well, whoever has made it.
func TestPositionIsAnotherChanges(t *testing.T) {
	t.Parallel()
	revoked := func(c store.Change) bool { return c.Reset || slices.Contains(c.Digests, digest("x")) }
	t.Run("of another gateway", func(t *testing.T) {
		t.Parallel()
		s, fresh := failedOver(t)
		other := open(t, Options{Addresses: []string{fresh.Addr}, KeyPrefix: "again", name: "other"})
		awaitHeard(t, other)
		heard := listen(t, s)
		update(t, other, "x", revoke)
		heard.await(t, "the revocation", revoked)
	})
	t.Run("its own", func(t *testing.T) {
		t.Parallel()
		s, _ := failedOver(t)
		heard := listen(t, s)
		redistest.Await(t, "the new master", func() error {
			err := tryRevoke(t, s, "x")
			if errors.Is(err, errNotReplicated) { // of the old master's replica, for a while
				return nil
			}
			return err
		})
		heard.await(t, "the revocation", revoked)
	})
}

// A gateway that follows to a change which its feed never brought doesn't count as one
// that has taken in what is there now.
func TestFollowsToALostChange(t *testing.T) {
	t.Parallel()
	o := Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "lost", name: "a", Budget: 300 * time.Millisecond}
	a := open(t, o)
	o.name = "b"
	b := open(t, o)
	create(t, b, newToken("x"))
	redistest.Await(t, "both to follow", func() error {
		n, _, err := b.Acknowledged(t.Context(), 1)
		return errors.Join(err, unless(n == 2))
	})
	deafen(a)
	a.await(2, "lostlost", nil)
	redistest.Await(t, "the one to say so", func() error {
		all, _, err := b.gateways(t.Context())
		return errors.Join(err, unless(len(all) == 2 && all[0].Follows == 2))
	})
	update(t, b, "x", revoke)
	if n, pending, err := b.Acknowledged(t.Context(), 2); n != 1 || pending != 1 {
		t.Errorf("taken in by %d, not by %d, %v; want 1 and 1", n, pending, err)
	}
}

// What one gateway has deleted, and no replica has confirmed, isn't gone for another that
// looks for it.
func TestGoneForOthers(t *testing.T) {
	t.Parallel()
	s, other, sentinel := openReplicated(t)
	create(t, s, newToken("a"))
	putOwner(t, s, token.NewOwner("alice"))
	sentinel.Replica.Freeze()
	defer sentinel.Replica.Thaw()
	for _, try := range []struct {
		what string
		do   func() error
	}{
		{"Delete", func() error { return s.Delete(t.Context(), "a") }},
		{"Delete, of the other", func() error { return other.Delete(t.Context(), "a") }},
		{"Update, of the other", func() error {
			_, err := other.Update(t.Context(), "a", func(*token.Token) error { return nil })
			return err
		}},
		{"DeleteOwner", func() error { return s.DeleteOwner(t.Context(), "alice") }},
		{"DeleteOwner, of the other", func() error { return other.DeleteOwner(t.Context(), "alice") }},
	} {
		wantUnconfirmed(t, try.what, try.do)
	}
}

// A master that Sentinels know by an IPv6 address.
func TestSentinelNamesIPv6(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("there is no IPv6 here: ", err)
	} else {
		l.Close()
	}
	server := redistest.Start(t, "bind 127.0.0.1 ::1")
	_, port, _ := strings.Cut(server.Addr, ":")
	sentinel := redistest.StartSentinelOf(t, server.Addr)
	sentinel.Do("sentinel", "remove", redistest.MasterName)
	sentinel.Do("sentinel", "monitor", redistest.MasterName, "::1", port, "1")
	s := open(t, Options{Addresses: []string{sentinel.Addr}, MasterName: redistest.MasterName, Budget: time.Second})
	create(t, s, newToken("a"))
	if s.outvoted(t.Context()) {
		t.Error("the master that the only Sentinel names is outvoted")
	}
}
