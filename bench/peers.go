package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// peerBench measures patgate beside what could be used instead.
type peerBench struct {
	options
	workload workload
	dir      string
	base     string // the name of the first peer, which the others are compared with
	starts   []func(context.Context) (*peer, error)
	upstream *upstream
	redis    *redisServer // nil: not installed
	peers    []*peer
	skipped  []error
	results  map[string]map[*peer][]peerFigures // by scenario
	memory   map[*peer]int64
}

// peer is a running gateway, with all that it needs but Redis and the upstream.
type peer struct {
	name string
	addr string
	pids func() []int
	stop func()
	open bool // forwards everything
}

// peerFigures are what a peer did in one measurement.
type peerFigures struct {
	figures
	took spread
}

// errMissing is the error of a peer that isn't installed here.
type errMissing struct{ peer, program string }

func (e errMissing) Error() string { return e.peer + ": " + e.program + " is not installed" }

// comparePeers measures all peers that there are, and prints what that has shown.
func comparePeers(ctx context.Context, o options, dir string, out io.Writer) error {
	b := peerBench{options: o, workload: newWorkload(o.tokens), dir: dir, base: "plain Caddy"}
	b.starts = []func(context.Context) (*peer, error){
		b.startPlain, b.startStock, b.startPatgate, b.startLeanPatgate, b.startForwardAuth, b.startForwardAuthCached, b.startNginx, b.startHAProxy,
	}
	if err := b.run(ctx, out); err != nil {
		return err
	}
	fmt.Fprint(out, "\nPlain Caddy forwards everything, also what the others reject. The others compare a token and its space; only\n"+
		"patgate also judges routes, scopes, expiry, owners and addresses, and hears of revocations.\n")
	return nil
}

// run starts all, measures them, and prints what that has shown.
func (b *peerBench) run(ctx context.Context, out io.Writer) error {
	defer b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	setting, err := b.options.setting()
	if err != nil {
		return err
	}
	progress("")
	b.print(out)
	fmt.Fprintln(out, setting)
	return nil
}

func (b *peerBench) start(ctx context.Context) (err error) {
	progress("starting the upstream and Redis")
	if b.upstream, err = startUpstream(ctx); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	if b.redis, err = startRedis(ctx, filepath.Join(b.dir, "peers-redis"), "appendonly yes", "appendfsync everysec"); err == nil {
		err = b.fillRedis(ctx)
	}
	if err != nil && !errors.Is(err, errNoRedis) {
		return fmt.Errorf("starting Redis: %w", err)
	}
	for _, start := range b.starts {
		p, err := start(ctx)
		var missing errMissing
		switch {
		case errors.As(err, &missing):
			b.skipped = append(b.skipped, err)
		case err != nil:
			return err
		default:
			b.peers = append(b.peers, p)
		}
	}
	return nil
}

func (b *peerBench) stop() {
	for _, p := range b.peers {
		p.stop()
	}
	b.redis.stop()
	b.upstream.stop()
}

// scenarios are those that all peers have in common.
func (b *peerBench) scenarios() []scenario {
	all := b.workload.scenarios()
	return []scenario{all[0], all[1], all[3]}
}

// measure makes the rounds. Who comes first changes from round to round.
func (b *peerBench) measure(ctx context.Context) error {
	b.results = map[string]map[*peer][]peerFigures{}
	for _, s := range b.scenarios() {
		b.results[s.name] = map[*peer][]peerFigures{}
	}
	for round := range b.rounds {
		for _, s := range b.scenarios() {
			for i := range b.peers {
				p := b.peers[(i+round)%len(b.peers)]
				progress("round %d of %d: %s: %s", round+1, b.rounds, s.name, p.name)
				status := s.status
				if p.open {
					status = http.StatusOK // everything is forwarded
				}
				f, err := b.figures(ctx, p, s.requests, status)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.name, p.name, err)
				}
				b.results[s.name][p] = append(b.results[s.name][p], f)
			}
		}
	}
	b.memory = map[*peer]int64{}
	for _, p := range b.peers {
		for _, pid := range p.pids() {
			size, err := residentSize(pid)
			if err != nil {
				return err
			}
			b.memory[p] += size
		}
	}
	return nil
}

// figures measures one peer. The CPU time of Redis counts: in each measurement
// it works for this peer only.
func (b *peerBench) figures(ctx context.Context, p *peer, requests [][]byte, status int) (peerFigures, error) {
	l, err := startLoad(ctx, p.addr, b.connections, requests, status)
	if err != nil {
		return peerFigures{}, err
	}
	defer l.stop()
	l.wait(ctx, b.duration/5) // until both sides are warm
	n, took, began := l.answered(), l.took(), time.Now()
	before, err := b.cpu(p)
	if err != nil {
		return peerFigures{}, err
	}
	l.measure(ctx, b.duration, n)
	after, err := b.cpu(p)
	if err != nil {
		return peerFigures{}, err
	}
	answered, elapsed := float64(l.answered()-n), time.Since(began)
	f := peerFigures{took: l.took().since(took)}
	if err := cmp.Or(l.stop(), ctx.Err()); err != nil {
		return peerFigures{}, err
	}
	if answered == 0 {
		return peerFigures{}, fmt.Errorf("no answer within %s", elapsed)
	}
	f.rate, f.cpu = answered/elapsed.Seconds(), float64((after-before).Nanoseconds())/1000/answered
	return f, nil
}

func (b *peerBench) cpu(p *peer) (sum time.Duration, err error) {
	pids := p.pids()
	if b.redis != nil {
		pids = append(pids, b.redis.pid())
	}
	for _, pid := range pids {
		t, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

func (b *peerBench) print(out io.Writer) {
	for _, s := range b.scenarios() {
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		fmt.Fprintf(w, "%s: ratios to %s, median (min–max)\trequests/s\tCPU per request\trequests/s\tCPU µs\tp50\tp99\tp99.9\n", s.name, b.base)
		base := b.results[s.name][b.peers[0]]
		for _, p := range b.peers {
			rounds := b.results[s.name][p]
			rate, cpu := make([]float64, len(rounds)), make([]float64, len(rounds))
			var took spread
			for i, f := range rounds {
				rate[i], cpu[i] = f.rate/base[i].rate, f.cpu/base[i].cpu
				for n := range took {
					took[n] += f.took[n]
				}
			}
			same := func(v float64) float64 { return v }
			fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%.1f\t%s\t%s\t%s\n", p.name, spanOf(rate, same), spanOf(cpu, same),
				spanOf(rounds, func(f peerFigures) float64 { return f.rate }).median, spanOf(rounds, func(f peerFigures) float64 { return f.cpu }).median,
				took.quantile(0.5), took.quantile(0.99), took.quantile(0.999))
		}
		w.Flush()
		fmt.Fprintln(out)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprint(w, "resident memory at the end, without Redis\tMB\n")
	for _, p := range b.peers {
		fmt.Fprintf(w, "%s\t%d\n", p.name, b.memory[p]>>20)
	}
	w.Flush()
	for _, err := range b.skipped {
		fmt.Fprintf(out, "skipped: %v\n", err)
	}
	fmt.Fprint(out, "CPU includes Redis.\n\n")
}
