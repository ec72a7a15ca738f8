package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// floodAnswer has plain Caddy answer the garbage by itself: what it costs to read
// a request and say no is there without patgate, too.
const floodAnswer = "@garbage header X-Garbage *\n\trespond @garbage 401\n"

// measureFlood shows what garbage takes from those who belong here: how long
// requests with held tokens take, alone and beside a flood, for patgate and for a
// plain Caddy that is told which requests are garbage.
func measureFlood(ctx context.Context, b *testbed, out io.Writer) error {
	if err := b.startUpstream(ctx, "upstream"); err != nil {
		return err
	}
	plain, err := b.start(ctx, "plain Caddy", b.binary, floodAnswer, "", usual)
	if err != nil {
		return err
	}
	gate, err := b.startPatgate(ctx, "\tunknown_token_limit 20 60s\n", usual)
	if err != nil {
		return err
	}
	held, garbage := ask(http.MethodGet, b.workload.tokens), floodBatches(b.workload)
	if err := gate.use(ctx, held); err != nil {
		return err
	}
	before, err := gate.metrics(ctx)
	if err != nil {
		return err
	}
	sides := []*floodSide{{name: "plain Caddy, told what is garbage", gateway: plain}, {name: "patgate", gateway: gate}}
	for round := range b.rounds {
		for i := range sides {
			s := sides[(i+round)%len(sides)]
			progress("round %d of %d: %s", round+1, b.rounds, s.name)
			if err := s.measure(ctx, held, garbage, b.duration); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	after, err := gate.metrics(ctx)
	if err != nil {
		return err
	}
	printFlood(out, sides[0], sides[1])
	fmt.Fprintf(out, "The store was asked %.0f times during the floods; %.0f held tokens were pushed out.\n\n%s\n",
		after[storeReads]-before[storeReads], after[evictions]-before[evictions], b.setting())
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
// slower for everybody: what the gate adds is the ratio to plain Caddy, which has as
// much to do.
func printFlood(out io.Writer, plain, gate *floodSide) {
	alone := func(r floodRound) []time.Duration { return r.alone }
	beside := func(r floodRound) []time.Duration { return r.beside }
	at := func(times func(floodRound) []time.Duration, p int) func(floodRound) float64 {
		return func(r floodRound) float64 { return milliseconds(percentile(times(r), p)) }
	}
	w := newTable(out)
	fmt.Fprintf(w, "%d requests/s with held tokens, %d/s of garbage sent\talone: p50, p99\tbeside: p50, p99\tbeside to alone, p50\tgarbage/s answered\tcores busy\n", normalRate, floodRate)
	for _, s := range []*floodSide{plain, gate} {
		fmt.Fprintf(w, "%s\t%.2f, %.2f ms\t%.2f, %.2f ms\t%s\t%.0f\t%.2f\n", s.name,
			median(s.rounds, at(alone, 50)), median(s.rounds, at(alone, 99)), median(s.rounds, at(beside, 50)), median(s.rounds, at(beside, 99)),
			spanOf(s.rounds, func(r floodRound) float64 { return ratio(r.beside, r.alone, 50) }),
			median(s.rounds, func(r floodRound) float64 { return r.garbage }), median(s.rounds, func(r floodRound) float64 { return r.cpu }))
	}
	fmt.Fprint(w, "\npatgate to that plain Caddy, median (min–max)\tp50\tp90\tp99\n")
	for _, row := range []struct {
		name  string
		times func(floodRound) []time.Duration
	}{{"alone", alone}, {"beside garbage", beside}} {
		fmt.Fprint(w, row.name)
		for _, p := range []int{50, 90, 99} {
			fmt.Fprintf(w, "\t%s", ratioOf(gate.rounds, plain.rounds, at(row.times, p)))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}
