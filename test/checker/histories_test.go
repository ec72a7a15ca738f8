package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d: go test ./test/checker -run TestHistories -seed %[1]d", s)
	w := newWorld(t, os.Args[0], s)
	w.populate(24, 6)
	w.live(duration())
	w.report()
	w.wantSound()
}

// live has all happen: for a time with faults, then without, until the gateways
// must have recovered, and each is asked for everything.
func (w *world) live(faultsFor time.Duration) {
	calm, calmDown := context.WithCancel(context.Background())
	ctx, stop := context.WithTimeout(context.Background(), faultsFor)
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

// violations judges the history.
func (w *world) violations() (*History, []Violation) {
	h := w.history()
	return h, append(Check(h), w.atOdds...)
}

// report says what there was, and fails the test with the violations and the
// histories of the tokens that the first are about.
func (w *world) report() {
	h, violations := w.violations()
	w.Log(summary(h))
	printed := map[int]bool{}
	for i, v := range violations {
		if i == 50 {
			w.Errorf("… and %d more", len(violations)-i)
			break
		}
		w.Errorf("%s", v.Text)
		if v.Token >= 0 && !printed[v.Token] && len(printed) < 3 {
			printed[v.Token] = true
			var b strings.Builder
			Print(&b, h, v.Token)
			w.Logf("seed %d\n%s", w.seed, &b)
		}
	}
	if len(violations) > 0 {
		for _, g := range w.gateways {
			log := g.log.String()
			w.Logf("gateway %d ends its log with\n%s", g.number, log[max(0, len(log)-3000):])
		}
	}
}

// summary counts what there was.
func summary(h *History) string {
	answers := map[Answer]int{}
	for _, r := range h.Requests {
		answers[r.Answer]++
	}
	outcomes, everywhere := map[Outcome]int{}, 0
	count := func(changes []Change) {
		for _, c := range changes {
			outcomes[c.Outcome]++
			if c.Everywhere {
				everywhere++
			}
		}
	}
	for _, t := range h.Tokens {
		count(t.Changes)
	}
	for _, o := range h.Owners {
		count(o.Changes)
	}
	var made, stalls int
	for _, f := range h.Faults {
		if f.Recovery < recovery {
			stalls++
		} else {
			made++
		}
	}
	q := h.quietTimes()
	var inQuiet int
	for _, r := range h.Requests {
		if q.from(r.Gateway, r.Start, r.End) {
			inQuiet++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d of them in quiet times:", len(h.Requests), inQuiet)
	for i, name := range answerNames {
		fmt.Fprintf(&b, " %s %d,", name, answers[1<<i])
	}
	fmt.Fprintf(&b, " changes: %d done (%d known to be so everywhere), %d refused, %d lost; %d faults, %d stalls\n",
		outcomes[Done], everywhere, outcomes[Refused], outcomes[Lost], made, stalls)
	b.WriteString(lags(h))
	return b.String()
}

// lags says how long after a change was answered others still answered as
// before: of what each gateway did with each change, the latest.
func lags(h *History) string {
	var late []time.Duration
	for i := range h.Requests {
		r := &h.Requests[i]
		t := h.Tokens[r.Token]
		if r.Answer&(Unavailable|Unexpected|NoAnswer) != 0 {
			continue
		}
		disabled := false
		for o := range h.Owners[t.Owner].timeline.met(r, 0, 0) {
			disabled = disabled || o == OwnerDisabledState
		}
		var now Answer
		for s := range t.timeline.met(r, 0, 0) {
			now |= s.answers(disabled, r) | s.answers(false, r)
		}
		if now&r.Answer != 0 {
			continue
		}
		last := Time(-1)
		for _, changes := range [][]Change{t.Changes, h.Owners[t.Owner].Changes} {
			for _, c := range changes {
				if c.Outcome == Done && c.Ack < r.Start {
					last = max(last, c.Ack)
				}
			}
		}
		if last >= 0 {
			late = append(late, r.Start-last)
		}
	}
	if len(late) == 0 {
		return "no answer was late"
	}
	slices.Sort(late)
	return fmt.Sprintf("%d answers were late: by %v (median), %v (99 of 100), %v (all)",
		len(late), late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
}
