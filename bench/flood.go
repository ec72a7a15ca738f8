package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

const (
	normalRate  = 1000 // requests with held tokens a second
	normalConns = 8
)

// floodAnswer has plain Caddy answer the garbage by itself: what it costs to read
// a request and say no is there without patgate, too.
const floodAnswer = "@garbage header X-Garbage *\n\trespond @garbage 401\n"

// measureFlood shows what garbage takes from those who belong here: how long
// requests with held tokens take, alone and beside a flood, for patgate and for a
// plain Caddy that is told which requests are garbage.
func measureFlood(ctx context.Context, o options, dir string, out io.Writer) error {
	w := newWorkload(o.tokens)
	up, err := startUpstream(ctx)
	if err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	defer up.stop()
	plain, err := startGateway(ctx, o.binary, filepath.Join(dir, "plain"), up.addr, floodAnswer, "")
	if err != nil {
		return fmt.Errorf("starting plain Caddy: %w", err)
	}
	defer plain.stop()
	gate, err := startGateway(ctx, o.binary, filepath.Join(dir, "gate"), up.addr, w.policy(), "\tunknown_token_limit 20 60s\n")
	if err != nil {
		return fmt.Errorf("starting patgate: %w", err)
	}
	defer gate.stop()
	if err := gate.importTokens(ctx, w.export()); err != nil {
		return fmt.Errorf("importing the tokens: %w", err)
	}
	held, garbage := ask(http.MethodGet, w.tokens), floodBatches(w)
	if err := use(ctx, gate, held); err != nil {
		return fmt.Errorf("using every token: %w", err)
	}
	before, err := gate.cacheFigures(ctx)
	if err != nil {
		return err
	}
	sides := []*floodSide{{name: "plain Caddy, told what is garbage", gateway: plain}, {name: "patgate", gateway: gate}}
	for round := range o.rounds {
		for i := range sides {
			s := sides[(i+round)%len(sides)]
			progress("round %d of %d: %s", round+1, o.rounds, s.name)
			if err := s.measure(ctx, held, garbage, o.duration); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	after, err := gate.cacheFigures(ctx)
	if err != nil {
		return err
	}
	setting, err := o.setting()
	if err != nil {
		return err
	}
	progress("")
	printFlood(out, sides)
	fmt.Fprintf(out, "The store was asked %d times during the floods; %d held tokens were pushed out.\n\n%s\n", after.StoreReads-before.StoreReads, after.Evicted-before.Evicted, setting)
	return nil
}

// floodSide is a gateway and how long requests with held tokens took there.
type floodSide struct {
	name    string
	gateway *gateway
	rounds  []floodRound
}

// floodRound is how long requests took, the shortest first, and how much garbage
// was answered.
type floodRound struct {
	alone, beside []time.Duration
	garbage       float64 // a second
	cpu           float64 // of the gateway meanwhile, in cores
}

func (s *floodSide) measure(ctx context.Context, held, garbage [][]byte, d time.Duration) (err error) {
	var r floodRound
	if r.alone, err = normalTraffic(ctx, s.gateway.addr, held, d); err != nil {
		return err
	}
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var answered atomic.Int64
	var failed error
	var running sync.WaitGroup
	running.Go(func() { failed = flood(flooding, s.gateway.addr, garbage, &answered) })
	sleep(ctx, d/5) // until it is at its height
	before, noClock := cpuTime(s.gateway.pid())
	n, began := answered.Load(), time.Now()
	r.beside, err = normalTraffic(ctx, s.gateway.addr, held, d)
	after, ended := cpuTime(s.gateway.pid())
	took := time.Since(began).Seconds()
	r.garbage, r.cpu = float64(answered.Load()-n)/took, (after-before).Seconds()/took
	stop()
	running.Wait()
	s.rounds = append(s.rounds, r)
	return cmp.Or(err, failed, noClock, ended, ctx.Err())
}

// printFlood prints what the rounds have shown. A machine that has more to do is
// slower for everybody: what the gate adds is the ratio to the first side, which
// has as much to do.
func printFlood(out io.Writer, sides []*floodSide) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "%d requests/s with held tokens, %d/s of garbage sent\talone: p50, p99\tbeside: p50, p99\tbeside to alone, p50\tgarbage/s answered\tcores busy\n", normalRate, floodRate)
	for _, s := range sides {
		at := func(times func(floodRound) []time.Duration, p int) float64 {
			return spanOf(s.rounds, func(r floodRound) float64 { return milliseconds(percentile(times(r), p)) }).median
		}
		fmt.Fprintf(w, "%s\t%.2f, %.2f ms\t%.2f, %.2f ms\t%s\t%.0f\t%.2f\n", s.name, at(floodRound.quiet, 50), at(floodRound.quiet, 99), at(floodRound.flooded, 50), at(floodRound.flooded, 99),
			spanOf(s.rounds, func(r floodRound) float64 { return ratio(r.beside, r.alone, 50) }),
			spanOf(s.rounds, func(r floodRound) float64 { return r.garbage }).median,
			spanOf(s.rounds, func(r floodRound) float64 { return r.cpu }).median)
	}
	fmt.Fprint(w, "\npatgate to that plain Caddy, median (min–max)\tp50\tp90\tp99\n")
	type pair struct{ plain, gate floodRound }
	var pairs []pair
	for i, r := range sides[0].rounds {
		pairs = append(pairs, pair{r, sides[1].rounds[i]})
	}
	for _, row := range []struct {
		name  string
		times func(floodRound) []time.Duration
	}{{"alone", floodRound.quiet}, {"beside garbage", floodRound.flooded}} {
		fmt.Fprint(w, row.name)
		for _, p := range []int{50, 90, 99} {
			fmt.Fprintf(w, "\t%s", spanOf(pairs, func(of pair) float64 { return ratio(row.times(of.gate), row.times(of.plain), p) }))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

func (r floodRound) quiet() []time.Duration   { return r.alone }
func (r floodRound) flooded() []time.Duration { return r.beside }

// ratio compares a percentile of two sorted lists.
func ratio(a, b []time.Duration, p int) float64 {
	return float64(percentile(a, p)) / float64(percentile(b, p))
}

// use sends each request once: then all tokens are held.
func use(ctx context.Context, g *gateway, requests [][]byte) error {
	progress("using every token")
	_, err := once(ctx, g.addr, min(len(requests), normalConns), requests, served)
	return err
}

// normalTraffic sends requests with held tokens for a time and returns how long
// each took, the shortest first.
func normalTraffic(ctx context.Context, addr string, requests [][]byte, d time.Duration) (took []time.Duration, err error) {
	began := time.Now()
	var mu sync.Mutex
	var running sync.WaitGroup
	errs := make([]error, normalConns)
	conns, err := dial(ctx, addr, normalConns)
	if err != nil {
		return nil, err
	}
	defer conns.close()
	const pause = normalConns * time.Second / normalRate // between two requests of a connection
	for c, conn := range conns.list {
		running.Go(func() {
			buf := make([]byte, 4096)
			next := began.Add(pause * time.Duration(c) / normalConns)
			for n := c * len(requests) / normalConns; next.Before(began.Add(d)); n++ {
				if errs[c] = sleep(ctx, time.Until(next)); errs[c] != nil {
					return
				}
				next = next.Add(pause)
				sent := time.Now()
				answer, err := exchange(conn, requests[n%len(requests)], buf)
				if err == nil {
					err = served(n, answer)
				}
				if errs[c] = err; err != nil {
					return
				}
				mu.Lock()
				took = append(took, time.Since(sent))
				mu.Unlock()
			}
		})
	}
	running.Wait()
	slices.Sort(took)
	return took, cmp.Or(errs...)
}

// cacheFigures are some of what the status says.
type cacheFigures struct {
	StoreReads uint64 `json:"store_reads"`
	Evicted    uint64 `json:"evicted"`
}

func (g *gateway) cacheFigures(ctx context.Context) (cacheFigures, error) {
	answer, err := g.admin(ctx, http.MethodGet, "/patgate/status", nil)
	if err != nil {
		return cacheFigures{}, err
	}
	defer answer.Close()
	var status struct{ Cache cacheFigures }
	err = json.NewDecoder(answer).Decode(&status)
	return status.Cache, err
}
