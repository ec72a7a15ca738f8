package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// peers are what is compared with patgate, or patgate itself with several settings.
type peers struct {
	comparison
	skipped []error
}

// startPeer starts one of the sides.
type startPeer func(ctx context.Context) (*side, error)

// errMissing is the error of a peer that isn't installed here.
type errMissing struct{ peer, program string }

func (e errMissing) Error() string { return e.peer + ": " + e.program + " is not installed" }

// comparePeers measures patgate beside what could be used instead, as far as that is
// installed.
func comparePeers(ctx context.Context, b *testbed, out io.Writer) error {
	p := newPeers(b)
	if err := p.run(ctx, out,
		p.plain, p.stock, p.patgate("patgate", usual), p.patgate("patgate, its transport and log format", lean),
		p.forwardAuth, p.nginx, p.haproxy); err != nil {
		return err
	}
	fmt.Fprint(out, "\nPlain Caddy forwards everything, also what the others reject. The others compare a token and its space; only\n"+
		"patgate also judges routes, scopes, expiry, owners and addresses, and hears of revocations.\n")
	return nil
}

// compareSettings measures patgate as Caddyfile.example has it meant to be run, and with
// each of the settings undone that make it faster.
func compareSettings(ctx context.Context, b *testbed, out io.Writer) error {
	p := newPeers(b)
	return p.run(ctx, out,
		p.patgate("as Caddyfile.example has it", lean),
		p.patgate("GOGC=100, Go's own", tuning{lean.format, lean.transport, "100"}),
		p.patgate("transport http, Caddy's own", tuning{lean.format, usual.transport, ""}),
		p.patgate("format json, Caddy's own", tuning{usual.format, lean.transport, ""}),
		p.patgate("both, Caddy's own", usual))
}

// newPeers has them measured by the scenarios that all have in common.
func newPeers(b *testbed) *peers {
	all := b.workload.scenarios()
	return &peers{comparison: comparison{testbed: b, scenarios: []scenario{all[0], all[1], all[3]}}}
}

// run starts the sides, measures them, and prints what that has shown.
func (p *peers) run(ctx context.Context, out io.Writer, starts ...startPeer) error {
	progress("starting the upstream and Redis")
	if err := p.startUpstream(ctx, "upstream"); err != nil {
		return err
	}
	switch err := p.startRedis(ctx); {
	case err == nil:
		p.shared = []int{p.redis.pid()} // in each measurement it works for one side only
		if err := p.fillRedis(ctx); err != nil {
			return err
		}
	case !errors.Is(err, errNoRedis):
		return err
	}
	for _, start := range starts {
		s, err := start(ctx)
		switch {
		case errors.As(err, new(errMissing)):
			p.skipped = append(p.skipped, err)
		case err != nil:
			return err
		default:
			p.sides = append(p.sides, s)
		}
	}
	if err := p.measure(ctx); err != nil {
		return err
	}
	return p.print(out)
}

func (p *peers) print(out io.Writer) error {
	for i, s := range p.scenarios {
		w := newTable(out)
		fmt.Fprintf(w, "%s: ratios to %s, median (min–max)\trequests/s\tCPU per request\trequests/s\tCPU µs\tp50\tp99\tp99.9\n", s.name, p.sides[0].name)
		base := p.results[i][0]
		for n, rounds := range p.results[i] {
			var each spread
			for _, f := range rounds {
				each.add(f.each)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%.1f\t%s\t%s\t%s\n", p.sides[n].name,
				ratioOf(rounds, base, figures.perSecond), ratioOf(rounds, base, figures.cpuEach),
				median(rounds, figures.perSecond), median(rounds, figures.cpuEach),
				each.quantile(0.5), each.quantile(0.99), each.quantile(0.999))
		}
		w.Flush()
		fmt.Fprintln(out)
	}
	w := newTable(out)
	fmt.Fprint(w, "resident memory at the end, without Redis\tMB\n")
	for _, s := range p.sides {
		size, err := s.memory()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%d\n", s.name, size>>20)
	}
	w.Flush()
	for _, err := range p.skipped {
		fmt.Fprintf(out, "skipped: %v\n", err)
	}
	fmt.Fprintf(out, "CPU includes Redis.\n\n%s\n", p.setting())
	return nil
}
