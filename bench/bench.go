package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bench is a comparison under way.
type bench struct {
	options
	workload workload
	upstream *upstream
	plain    *gateway
	gate     *gateway
	results  [][]pair // by scenario, then round
}

// pair is what both gateways did with the same requests in one round.
type pair struct{ plain, gate figures }

// figures are what a gateway did in one measurement.
type figures struct {
	rate float64 // requests per second
	cpu  float64 // of the gateway, in microseconds per request
}

// start starts the upstream and both gateways.
func (b *bench) start(ctx context.Context, dir string) (err error) {
	progress("starting the gateways")
	if b.upstream, err = startUpstream(ctx); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	if b.plain, err = startTuned(ctx, b.binary, filepath.Join(dir, "plain"), b.upstream.addr, "", "", tunings[b.tuning]); err != nil {
		return fmt.Errorf("starting plain Caddy: %w", err)
	}
	if b.gate, err = startTuned(ctx, b.binary, filepath.Join(dir, "gate"), b.upstream.addr, b.workload.policy(), "", tunings[b.tuning]); err != nil {
		return fmt.Errorf("starting patgate: %w", err)
	}
	progress("importing %d tokens", len(b.workload.tokens))
	if err := b.gate.importTokens(ctx, b.workload.export()); err != nil {
		return fmt.Errorf("importing the tokens: %w", err)
	}
	return nil
}

// warm uses every token, so that all are held in memory.
func (b *bench) warm(ctx context.Context) error {
	progress("using every token")
	requests := ask(http.MethodGet, b.workload.tokens)
	l, err := startLoad(ctx, b.gate.addr, b.connections, requests, http.StatusOK)
	if err != nil {
		return err
	}
	for l.answered() < 2*uint64(len(requests)) && l.wait(ctx, 10*time.Millisecond) {
	}
	return cmp.Or(l.stop(), ctx.Err())
}

func (b *bench) stop() {
	b.gate.stop()
	b.plain.stop()
	b.upstream.stop()
}

// measure makes the rounds. Who comes first changes from round to round.
func (b *bench) measure(ctx context.Context, scenarios []scenario) error {
	b.results = make([][]pair, len(scenarios))
	for round := range b.rounds {
		for i, s := range scenarios {
			progress("round %d of %d: %s", round+1, b.rounds, s.name)
			var p pair
			plain := func() (err error) {
				p.plain, err = b.figures(ctx, b.plain, s.requests, http.StatusOK)
				return err
			}
			gate := func() (err error) {
				p.gate, err = b.figures(ctx, b.gate, s.requests, s.status)
				return err
			}
			first, second := plain, gate
			if round%2 == 1 {
				first, second = gate, plain
			}
			if err := cmp.Or(first(), second()); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			b.results[i] = append(b.results[i], p)
		}
	}
	return nil
}

// figures measures one gateway.
func (b *bench) figures(ctx context.Context, g *gateway, requests [][]byte, status int) (figures, error) {
	l, err := startLoad(ctx, g.addr, b.connections, requests, status)
	if err != nil {
		return figures{}, err
	}
	defer l.stop()
	l.wait(ctx, b.duration/5) // until both sides are warm
	n, began := l.answered(), time.Now()
	before, err := cpuTime(g.pid())
	if err != nil {
		return figures{}, err
	}
	l.measure(ctx, b.duration, n)
	after, err := cpuTime(g.pid())
	if err != nil {
		return figures{}, err
	}
	answered, took := float64(l.answered()-n), time.Since(began)
	if err := cmp.Or(l.stop(), ctx.Err()); err != nil {
		return figures{}, err
	}
	if answered == 0 {
		return figures{}, fmt.Errorf("no answer within %s", took)
	}
	return figures{rate: answered / took.Seconds(), cpu: float64((after - before).Nanoseconds()) / 1000 / answered}, nil
}

// profile writes a CPU profile of each gateway in each scenario, if it is asked
// to.
func (b *bench) profile(ctx context.Context, scenarios []scenario) error {
	if b.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	for _, s := range scenarios {
		progress("profiling: %s", s.name)
		for _, p := range []struct {
			of      string
			gateway *gateway
			status  int
		}{{"plain", b.plain, http.StatusOK}, {"patgate", b.gate, s.status}} {
			file := filepath.Join(b.profiles, strings.NewReplacer(" ", "-", ",", "").Replace(s.name)+"."+p.of+".pprof")
			if err := b.profileTo(ctx, file, p.gateway, s.requests, p.status); err != nil {
				return fmt.Errorf("%s: writing a profile: %w", s.name, err)
			}
		}
	}
	return nil
}

func (b *bench) profileTo(ctx context.Context, file string, g *gateway, requests [][]byte, status int) (err error) {
	l, err := startLoad(ctx, g.addr, b.connections, requests, status)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, l.stop()) }()
	profile, err := g.admin(ctx, http.MethodGet, "/debug/pprof/profile?seconds=5", nil)
	if err != nil {
		return err
	}
	defer profile.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	_, err = io.Copy(f, profile)
	return err
}
