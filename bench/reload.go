package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

const (
	reloadEvery     = 500 * time.Millisecond
	reloadingFor    = time.Minute // in all rounds
	slowConnections = 8           // for answers that a reload comes in the middle of
)

// reloadBench reloads gateways under full load.
type reloadBench struct {
	options
	workload workload
	upstream *upstream
	redis    *redisServer // nil: not installed
	sides    []*reloadSide
}

// reloadSide is a gateway, what it is asked, and what was found.
type reloadSide struct {
	name    string
	gateway *gateway
	lists   []askedList
	rounds  []reloadRound
	took    []time.Duration // by each reload
	found   findings        // while it was reloaded
	lost    int             // requests the upstream answered, and the gateway didn't, meanwhile
	reads   float64         // of the store meanwhile; the gate only
}

// reloadRound is how many requests a second a gateway answered.
type reloadRound struct{ quiet, reloading float64 }

// measureReloads measures and prints what reloads do to requests.
func measureReloads(ctx context.Context, o options, dir string, out io.Writer) error {
	b := reloadBench{options: o, workload: newWorkload(o.tokens)}
	defer b.stop()
	if err := b.start(ctx, dir); err != nil {
		return err
	}
	for round := range b.rounds {
		for i := range b.sides {
			s := b.sides[(i+round)%len(b.sides)]
			progress("round %d of %d: %s", round+1, b.rounds, s.name)
			if err := b.round(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	o.duration = b.part()
	setting, err := o.setting()
	if err != nil {
		return err
	}
	progress("")
	b.print(out)
	fmt.Fprintln(out, setting)
	return nil
}

func (b *reloadBench) stop() {
	for _, s := range b.sides {
		s.gateway.stop()
	}
	b.redis.stop()
	b.upstream.stop()
}

// start starts everything, and has each gateway answer each request once.
func (b *reloadBench) start(ctx context.Context, dir string) (err error) {
	progress("starting the gateways")
	if b.upstream, err = startSelf(ctx, upstreamRole+"="+echo); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	// What is held stays held: whatever is read from the store, a reload is to blame.
	settings := "\tcache {\n\t\tttl 1h\n\t\tnegative_ttl 1h\n\t}\n"
	switch b.redis, err = startRedis(ctx, filepath.Join(dir, "reload-redis"), "appendonly yes", "appendfsync everysec"); {
	case err == nil:
		// On a busy machine too, no token is to be refused because Redis is slow.
		settings += "\tstore redis {\n\t\taddress " + b.redis.addr + "\n\t\tbudget 10s\n\t}\n"
	case !errors.Is(err, errNoRedis):
		return fmt.Errorf("starting Redis: %w", err)
	}
	for _, side := range []struct{ name, dir, directive, settings string }{
		{"plain Caddy", "reload-plain", "", ""},
		{"patgate", "reload-gate", b.workload.policy(), settings},
	} {
		g, err := startGateway(ctx, b.binary, filepath.Join(dir, side.dir), b.upstream.addr, side.directive, side.settings)
		if err != nil {
			return fmt.Errorf("starting %s: %w", side.name, err)
		}
		b.sides = append(b.sides, &reloadSide{name: side.name, gateway: g})
	}
	progress("importing %d tokens", len(b.workload.tokens))
	if err := b.gate().gateway.importTokens(ctx, b.workload.export()); err != nil {
		return fmt.Errorf("importing the tokens: %w", err)
	}
	for _, s := range b.sides {
		progress("%s: each request once", s.name)
		for _, list := range []askedList{
			{b.requests(), b.connections}, {b.slowRequests(), slowConnections},
		} {
			if err := list.rehearse(ctx, s.gateway.addr, s == b.gate()); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.lists = append(s.lists, list)
		}
	}
	return nil
}

func (b *reloadBench) gate() *reloadSide { return b.sides[1] }

// requests are three that are forwarded for each one that is rejected, of each
// kind in turn.
func (b *reloadBench) requests() (list []asked) {
	held, noScope := ask(http.MethodGet, b.workload.tokens), ask(http.MethodDelete, b.workload.tokens)
	unknown, missing := ask(http.MethodGet, b.workload.unknown), ask(http.MethodGet, []string{""})
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
func (b *reloadBench) slowRequests() (list []asked) {
	for _, r := range ask(http.MethodGet, b.workload.tokens[:min(slowConnections, len(b.workload.tokens))]) {
		r := strings.Replace(string(r), " HTTP/1.1", slowly+" HTTP/1.1", 1)
		list = append(list, asked{request: []byte(r), status: http.StatusOK})
	}
	return list
}

// part is for how long a gateway is reloaded in each round.
func (b *reloadBench) part() time.Duration {
	if b.quick {
		return 2 * reloadEvery
	}
	return max(reloadingFor/time.Duration(b.rounds), 2*reloadEvery)
}

// round measures a gateway left alone, and then reloaded all the time.
func (b *reloadBench) round(ctx context.Context, s *reloadSide) error {
	part := b.part()
	var r reloadRound
	quiet, err := askSteadily(ctx, s.gateway.addr, part/2, s.lists...)
	if err != nil {
		return err
	}
	if quiet.wrong+quiet.broken > 0 {
		return fmt.Errorf("%d wrong and %d broken answers although nothing was reloaded; the first wrong one: %s", quiet.wrong, quiet.broken, quiet.example)
	}
	before, err := b.ledger(ctx, s)
	if err != nil {
		return err
	}
	reloading, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var running sync.WaitGroup
	running.Go(func() { failed = s.keepReloading(reloading) })
	began := time.Now()
	found, err := askSteadily(ctx, s.gateway.addr, part, s.lists...)
	r.quiet, r.reloading = float64(quiet.answers)/(part/2).Seconds(), float64(found.answers)/time.Since(began).Seconds()
	stop()
	running.Wait()
	if err := cmp.Or(err, failed); err != nil {
		return err
	}
	after, err := b.ledger(ctx, s)
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

func (b *reloadBench) ledger(ctx context.Context, s *reloadSide) (l ledger, err error) {
	if l.answered, err = answersOf(b.upstream); err != nil {
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

// reload has the gateway replace its configuration with the same one.
func (g *gateway) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	config, err := os.Open(g.config)
	if err != nil {
		return err
	}
	defer config.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.adminAddr+"/load", config)
	if err != nil {
		return err
	}
	req.Close = true // the admin endpoint is replaced as well
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // although it is the same
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s: %s", resp.Status, text)
	}
	return err
}

func (b *reloadBench) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "reloaded every %s\trequests/s, to quiet: median (min–max)\trequests/s quiet, reloading\treloads\ttaking p50, max\n", reloadEvery)
	for _, s := range b.sides {
		slices.Sort(s.took)
		fmt.Fprintf(w, "%s\t%s\t%.0f, %.0f\t%d\t%s, %s\n", s.name,
			spanOf(s.rounds, func(r reloadRound) float64 { return r.reloading / r.quiet }),
			spanOf(s.rounds, func(r reloadRound) float64 { return r.quiet }).median,
			spanOf(s.rounds, func(r reloadRound) float64 { return r.reloading }).median,
			len(s.took), percentile(s.took, 50).Round(time.Millisecond), percentile(s.took, 100).Round(time.Millisecond))
	}
	fmt.Fprint(w, "\nwhile being reloaded\tanswers\twrong\tbroken\tlost\tconnections closed by Caddy, each reload: announced\tinstead of an answer\n")
	for _, s := range b.sides {
		f, n := s.found, float64(len(s.took))
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\n", s.name, f.answers, f.wrong, f.broken, s.lost, float64(f.announced)/n, float64(f.silent)/n)
	}
	w.Flush()
	for _, s := range b.sides {
		if s.found.example != nil {
			fmt.Fprintf(out, "%s: the first wrong answer: %q\nThe first errors it has logged:\n%s", s.name, s.found.example, first(5, s.gateway.log.String()))
		}
	}
	fmt.Fprintf(out, "Wrong: not what the same request was answered before. Broken: ended in the middle. Lost: the upstream has answered, but nobody got it.\n"+
		"A connection that is closed instead of an answer is opened again, and the request sent again. %d more connections wait for answers\n"+
		"that a reload comes in the middle of. The store was read %.0f times meanwhile.\n\n", slowConnections, b.gate().reads)
}
