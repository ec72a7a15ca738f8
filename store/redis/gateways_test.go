package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/token"
)

func TestGateways(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "gateways"}
	var all []*Store
	for _, name := range []string{"one", "two", "three"} {
		o.name = name
		all = append(all, open(t, o))
	}
	create(t, all[0], newToken("a"))
	want := func(what string, acknowledged, pending int) {
		t.Helper()
		redistest.Await(t, what, func() error {
			a, p, err := all[0].Acknowledged(t.Context(), 1)
			if err != nil || a != acknowledged || p != pending {
				return fmt.Errorf("Acknowledged = %d, %d, %v, want %d, %d", a, p, err, acknowledged, pending)
			}
			return nil
		})
	}
	want("all to have it", 3, 0)
	if a, p, err := all[1].Acknowledged(t.Context(), 2); a != 0 || p != 3 || err != nil {
		t.Errorf("Acknowledged of a change to come = %d, %d, %v, want 0, 3", a, p, err)
	}
	st, err := all[1].Status(t.Context())
	if err != nil || len(st.Gateways) != 3 || st.Gateways[0].Name != "one" || st.Gateways[0].Follows != 1 || time.Since(st.Gateways[0].LastSeen).Abs() > time.Minute {
		t.Errorf("Status = %+v, %v, want three gateways at position 1", st, err)
	}
	all[2].Close()
	want("one to have left", 2, 0)

	all[1].Holds(time.Hour)
	redistest.Await(t, "a gateway to say how long it holds tokens", func() error {
		gateways, _, err := all[0].gateways(t.Context())
		if err != nil || len(gateways) != 2 || gateways[0].holds != usualHolds || gateways[1].holds != time.Hour {
			return fmt.Errorf("gateways: %+v, %v", gateways, err)
		}
		return nil
	})

	// One that was killed is pending, until it can't hold anything any more.
	ago := func(d, holds time.Duration) string {
		return fmt.Sprint("0 ", time.Now().Add(-d).UnixMilli(), " ", holds.Milliseconds())
	}
	server.Do("hset", "{gateways}:gateways", "killed", ago(time.Minute, time.Minute))
	want("the killed one to be pending", 2, 1)
	server.Do("hset", "{gateways}:gateways", "killed", ago(2*time.Minute, time.Minute))
	want("the killed one not to count", 2, 0)
	server.Do("hset", "{gateways}:gateways", "killed", ago(2*time.Hour, 3*time.Hour))
	want("one that holds tokens for hours to be pending", 2, 1)
	server.Do("hset", "{gateways}:gateways", "killed", ago(-2*time.Minute, time.Minute))
	want("the one killed while the server's clock was ahead not to count", 2, 0)
	for what, at := range map[string]time.Duration{"long ago": 2 * time.Hour, "while the server's clock was far ahead": -2 * time.Hour} {
		server.Do("hset", "{gateways}:gateways", "killed", ago(at, time.Minute))
		all[0].Status(t.Context())
		if server.Do("hexists", "{gateways}:gateways", "killed") != int64(0) {
			t.Errorf("a gateway that was killed %s is still on the list", what)
		}
	}
}

// A gateway that was forgotten, and says something just before it is taken off the list,
// stays on it: others wait for it.
func TestGatewayComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, KeyPrefix: "back"})
	seen := func(at time.Time) { server.Do("hset", s.keys.gateways, "away", fmt.Sprint("0 ", at.UnixMilli(), " 0")) }
	seen(time.Now().Add(-2 * gatewayForgotten))
	back := sync.OnceFunc(func() { seen(time.Now()) })
	s.client.AddHook(answered(map[string]string{s.keys.gateways: "gateways"}, func(string) { back() }))
	if _, err := s.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.Do("hexists", s.keys.gateways, "away") != int64(1) {
		t.Error("a gateway that has come back is taken off the list")
	}
}

// Where the server has lost changes, their positions are used again. Who makes one of
// these knows of it all the same, and a gateway that follows to the lost one hasn't taken
// it in.
func TestPositionUsedAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	heard := listen(t, a)
	for i := range 5 {
		create(t, a, newToken(fmt.Sprint("t", i)))
	}
	redistest.Await(t, "both to say that they follow", func() error {
		n, _, err := a.Acknowledged(t.Context(), a.told.position())
		return errors.Join(err, unless(n == 2))
	})
	before := heard.resets()
	for _, s := range []*Store{a, b} { // neither hears of anything from here on
		deafen(s)
	}
	server.Do("eval", `redis.call('hset', KEYS[1], 'n', '2', 'mark', 'another!') redis.call('del', KEYS[2])`, 2, a.keys.head, a.keys.feed)
	update(t, a, "t0", revoke)
	if heard.resets() == before {
		t.Error("the change is acknowledged, and who has made it isn't told of it")
	}
	if n, pending, err := a.Acknowledged(t.Context(), 3); err != nil || n != 1 || pending != 1 {
		t.Errorf("taken in by %d, not by %d, %v; want 1 and 1: the other one follows to a change that is lost", n, pending, err)
	}
}

// A gateway that is stopped is off the list, whatever it was doing.
func TestNoGhosts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "ghosts"}
	busy := open(t, o)
	create(t, busy, newToken("a"))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			busy.Update(ctx, "a", func(t *token.Token) error { t.Name = fmt.Sprint(i); return nil })
		}
	}()
	for range 40 {
		s := open(t, o)
		awaitHeard(t, s)
		s.Close()
	}
	stop()
	<-done
	if n := server.Do("hlen", busy.keys.gateways); n != int64(1) {
		t.Errorf("%v gateways are on the list, want 1", n)
	}
}
