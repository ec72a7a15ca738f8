package checker

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store/redis"
)

// TestHistories lets clients, managers and faults loose on three gateways, and
// judges what comes of it.
func TestHistories(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	w := newWorld(t, os.Args[0], seedOf(t))
	w.live()
	w.report()
	w.wantSound()
}

// live has all happen: for a time with faults, then without, until the gateways
// must have recovered, and each is asked for everything.
func (w *world) live() {
	w.populate()
	calm, calmDown := context.WithCancel(context.Background())
	ctx, stop := context.WithTimeout(context.Background(), cmp.Or(*soak, 20*time.Second))
	defer stop()
	defer calmDown()

	var clients, managers, faults sync.WaitGroup
	for i, g := range w.gateways {
		clients.Go(func() { g.watch(calm, w) })
		for n := range 2 {
			c := w.newClient(g, uint64(200+10*i+n))
			clients.Go(func() { c.run(calm) })
		}
		faults.Go(func() { w.disturb(ctx, w.random(uint64(300+i)), g) })
	}
	if len(w.before) > 0 {
		faults.Go(func() { w.disturb(ctx, w.random(500), nil) })
	}
	for _, s := range w.servers {
		clients.Go(func() { w.watchServer(calm, s) })
	}
	for i, p := range w.places {
		m := w.newManager(uint64(1000 + i))
		managers.Go(func() { m.changeToken(ctx, p) })
	}
	for i, o := range w.owners[1:] { // the first has no record, ever
		m := w.newManager(uint64(2000 + i))
		managers.Go(func() { m.changeOwner(ctx, o) })
	}
	w.disturbServers(ctx, w.random(400))
	faults.Wait()
	managers.Wait()
	time.Sleep(w.recovery() + bounds.Stale)
	calmDown()
	clients.Wait()
	w.askForEverything()
}

// wantSound checks that the store's indexes agree with its records, after all
// changes that were broken off, and that the gateways have tidied up after these.
func (w *world) wantSound() {
	w.Helper()
	o := redis.Options{Cluster: len(w.before) > 0, Budget: patience}
	for _, s := range w.servers {
		o.Addresses = append(o.Addresses, s.Addr)
	}
	s, err := redis.Open(o)
	if err != nil {
		w.Fatal(err)
	}
	defer s.Close()
	redistest.Await(w, "the store to be sound", func() error {
		problems, err := s.Check(w.Context(), false)
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("problems: %+v", problems)
		}
		return err
	})
	redistest.AwaitWithin(w, tidied, "all changes to have ended", func() error {
		var n int64
		for _, s := range w.servers { // all but one know nothing of it
			n += s.Client().HLen(w.Context(), "{patgate}:changes").Val()
		}
		if n > 0 {
			return fmt.Errorf("%d have not", n)
		}
		return nil
	})
}

// tidied is when what is left of changes that were broken off has been cleared
// away. A Cluster remembers them for a minute.
const tidied = 90 * time.Second

// askForEverything has every gateway asked for every token with all its late secrets,
// and compares: what a token is now is for the history to say, as far as it
// knows, but all must agree.
func (w *world) askForEverything() {
	type question struct {
		token, secret int
		needs         Grants
	}
	first := map[question]Answer{}
	for i, g := range w.gateways {
		c := w.newClient(g, 0)
		for number, p := range w.places {
			for n, secret := range p.secrets {
				if n > 0 && n < len(p.secrets)-8 { // of a long run, the last
					continue
				}
				for _, needs := range []Grants{Read1, Write1, Read2} {
					q := question{number, n + 1, needs}
					a := c.send(Request{Gateway: i, Token: number, Secret: n + 1, Needs: needs}, secret)
					if i == 0 {
						first[q] = a
					} else if a != first[q] {
						w.atOdds = append(w.atOdds, Violation{At: w.now(), Token: number, Text: fmt.Sprintf(
							"at the end, token %s, secret %d, %s: gateway 0 answers %s, gateway %d %s", p.Name, n+1, needs, first[q], i, a)})
					}
				}
			}
		}
		c.hand()
	}
}
