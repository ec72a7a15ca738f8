package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	reloadEvery     = 500 * time.Millisecond
	reloadingFor    = time.Minute // in all rounds
	slowConnections = 8           // for answers that a reload comes in the middle of
)

// reloadSide is a gateway, what it is asked, and what was found.
type reloadSide struct {
	name    string
	gateway *gateway
	open    bool // forwards everything
	lists   []askedList
	rounds  []reloadRound
	took    []time.Duration // by each reload
	found   findings        // while it was reloaded
	lost    int             // requests the upstream answered, and the gateway didn't, meanwhile
	reads   float64         // of the store meanwhile; the gate only
}

// reloadRound is how many requests a second a gateway answered.
type reloadRound struct{ quiet, reloading float64 }

// measureReloads shows what reloads do to requests under full load.
func measureReloads(ctx context.Context, b *testbed, out io.Writer) error {
	sides, err := startReloaded(ctx, b)
	if err != nil {
		return err
	}
	if b.duration = max(reloadingFor/time.Duration(b.rounds), 2*reloadEvery); b.quick {
		b.duration = 2 * reloadEvery
	}
	for round := range b.rounds {
		for i := range sides {
			s := sides[(i+round)%len(sides)]
			progress("round %d of %d: %s", round+1, b.rounds, s.name)
			if err := s.round(ctx, b.duration, b.upstream); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	printReloads(out, sides)
	fmt.Fprintln(out, b.setting())
	return nil
}

// startReloaded starts plain Caddy and patgate, and asks each request of each once.
func startReloaded(ctx context.Context, b *testbed) (sides []*reloadSide, err error) {
	progress("starting the gateways")
	if err := b.startUpstream(ctx, "echo"); err != nil {
		return nil, err
	}
	// What is held stays held: whatever is read from the store, a reload is to blame.
	settings := "\tcache {\n\t\tttl 1h\n\t\tnegative_ttl 1h\n\t}\n"
	switch err := b.startRedis(ctx); {
	case err == nil:
		// On a busy machine too, no token is to be refused because Redis is slow.
		settings += "\tstore redis {\n\t\taddress " + b.redis.addr + "\n\t\tbudget 10s\n\t}\n"
	case !errors.Is(err, errNoRedis):
		return nil, err
	}
	plain, err := b.startPlain(ctx, usual)
	if err != nil {
		return nil, err
	}
	gate, err := b.startPatgate(ctx, settings, usual)
	if err != nil {
		return nil, err
	}
	sides = []*reloadSide{{name: "plain Caddy", gateway: plain, open: true}, {name: "patgate", gateway: gate}}
	for _, s := range sides {
		progress("%s: each request once", s.name)
		for _, list := range []askedList{
			{reloadRequests(b.workload), b.connections}, {slowRequests(b.workload), slowConnections},
		} {
			if err := list.rehearse(ctx, s.gateway.addr, s.open); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			s.lists = append(s.lists, list)
		}
	}
	return sides, nil
}

// reloadRequests are three that are forwarded for each one that is rejected, of each
// kind in turn.
func reloadRequests(w workload) (list []asked) {
	held, noScope := ask(http.MethodGet, w.tokens), ask(http.MethodDelete, w.tokens)
	unknown, missing := ask(http.MethodGet, w.unknown), ask(http.MethodGet, []string{""})
	for i, r := range held {
		list = append(list, asked{request: r, status: http.StatusOK})
		switch i % 9 {
		case 2:
			list = append(list, asked{request: noScope[i], status: http.StatusForbidden})
		case 5:
			list = append(list, asked{request: unknown[i%len(unknown)], status: http.StatusUnauthorized})
		case 8:
			list = append(list, asked{request: missing[0], status: http.StatusUnauthorized})
		}
	}
	return list
}

// slowRequests are forwarded, and take longer than it is to the next reload.
func slowRequests(w workload) (list []asked) {
	for _, r := range ask(http.MethodGet, w.tokens[:min(slowConnections, len(w.tokens))]) {
		r := strings.Replace(string(r), " HTTP/1.1", slowly+" HTTP/1.1", 1)
		list = append(list, asked{request: []byte(r), status: http.StatusOK})
	}
	return list
}

// round measures a gateway left alone, and then for a time reloaded over and over.
func (s *reloadSide) round(ctx context.Context, d time.Duration, upstream *service) error {
	quiet, err := askSteadily(ctx, s.gateway.addr, d/2, s.lists...)
	if err != nil {
		return err
	}
	if quiet.wrong+quiet.broken > 0 {
		return fmt.Errorf("%d wrong and %d broken answers although nothing was reloaded; the first wrong one: %s", quiet.wrong, quiet.broken, quiet.example)
	}
	before, err := s.ledger(ctx, upstream)
	if err != nil {
		return err
	}
	reloading, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var running sync.WaitGroup
	running.Go(func() { failed = s.keepReloading(reloading) })
	began := time.Now()
	found, err := askSteadily(ctx, s.gateway.addr, d, s.lists...)
	r := reloadRound{float64(quiet.answers) / (d / 2).Seconds(), float64(found.answers) / time.Since(began).Seconds()}
	stop()
	running.Wait()
	if err := cmp.Or(err, failed); err != nil {
		return err
	}
	after, err := s.ledger(ctx, upstream)
	if err != nil {
		return err
	}
	s.rounds = append(s.rounds, r)
	s.found.add(found)
	s.lost += after.answered - before.answered - found.forwarded
	s.reads += after.reads - before.reads
	return nil
}

// ledger is what others than the load have counted.
type ledger struct {
	answered int     // by the upstream
	reads    float64 // of the store
}

func (s *reloadSide) ledger(ctx context.Context, upstream *service) (l ledger, err error) {
	if l.answered, err = answersOf(upstream); err != nil {
		return l, fmt.Errorf("asking the upstream: %w", err)
	}
	m, err := s.gateway.metrics(ctx)
	l.reads = m[storeReads]
	return l, err
}

// keepReloading reloads until its context ends, and at least once.
func (s *reloadSide) keepReloading(ctx context.Context) error {
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		began := time.Now()
		if err := s.gateway.reload(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("reloading: %w", err)
		}
		s.took = append(s.took, time.Since(began))
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func printReloads(out io.Writer, sides []*reloadSide) {
	w := newTable(out)
	fmt.Fprintf(w, "reloaded every %s\trequests/s, to quiet: median (min–max)\trequests/s quiet, reloading\treloads\ttaking p50, max\n", reloadEvery)
	for _, s := range sides {
		slices.Sort(s.took)
		fmt.Fprintf(w, "%s\t%s\t%.0f, %.0f\t%d\t%s, %s\n", s.name,
			spanOf(s.rounds, func(r reloadRound) float64 { return r.reloading / r.quiet }),
			median(s.rounds, func(r reloadRound) float64 { return r.quiet }), median(s.rounds, func(r reloadRound) float64 { return r.reloading }),
			len(s.took), percentile(s.took, 50).Round(time.Millisecond), percentile(s.took, 100).Round(time.Millisecond))
	}
	fmt.Fprint(w, "\nwhile being reloaded\tanswers\twrong\tbroken\tlost\tconnections closed by Caddy, each reload: announced\tinstead of an answer\n")
	for _, s := range sides {
		f, n := s.found, float64(len(s.took))
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\n", s.name, f.answers, f.wrong, f.broken, s.lost, float64(f.announced)/n, float64(f.silent)/n)
	}
	w.Flush()
	for _, s := range sides {
		if s.found.example != nil {
			logged := strings.SplitAfterN(s.gateway.log.String(), "\n", 6)
			fmt.Fprintf(out, "%s: the first wrong answer: %q\nThe first errors it has logged:\n%s", s.name, s.found.example, strings.Join(logged[:min(5, len(logged))], ""))
		}
	}
	fmt.Fprintf(out, "Wrong: not what the same request was answered before. Broken: ended in the middle. Lost: the upstream has answered, but nobody got it.\n"+
		"A connection that is closed instead of an answer is opened again, and the request sent again. %d more connections wait for answers\n"+
		"that a reload comes in the middle of. The store was read %.0f times meanwhile.\n\n", slowConnections, sides[1].reads)
}
