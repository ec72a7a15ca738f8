package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// coldStartConnections bounds how many connections all tokens come over at once.
const coldStartConnections = 256

// readingPass is a pass, and how often the store was read meanwhile.
type readingPass struct {
	pass
	reads float64
}

// measureColdStarts starts one gateway after the other, which hold nothing, and asks
// each with all tokens at once, and then with all of them again.
func measureColdStarts(ctx context.Context, b *testbed, out io.Writer) error {
	var cold, warm []readingPass
	for round := range b.rounds {
		progress("cold start %d of %d", round+1, b.rounds)
		first, second, err := coldStart(ctx, b)
		if err != nil {
			return err
		}
		cold, warm = append(cold, first), append(warm, second)
	}
	n := len(b.workload.tokens)
	w := newTable(out)
	fmt.Fprintf(w, "%d tokens at once, %d connections, median (min–max) of %d starts\ttime, ms\tp50, ms\tp99, ms\treads of Redis\terrors\n",
		n, min(n, coldStartConnections), b.rounds)
	columns := func(span func(func(readingPass) float64) span) string {
		return fmt.Sprintf("%s\t%s\t%s",
			span(func(p readingPass) float64 { return milliseconds(p.took) }),
			span(func(p readingPass) float64 { return milliseconds(percentile(p.times, 50)) }),
			span(func(p readingPass) float64 { return milliseconds(percentile(p.times, 99)) }))
	}
	reads := func(p readingPass) float64 { return p.reads }
	ofCold := func(value func(readingPass) float64) span { return spanOf(cold, value) }
	ofWarm := func(value func(readingPass) float64) span { return spanOf(warm, value) }
	ratio := func(value func(readingPass) float64) span { return ratioOf(cold, warm, value) }
	fmt.Fprintf(w, "cold, nothing held\t%s\t%.0f\t0\n", columns(ofCold), ofCold(reads).max)
	fmt.Fprintf(w, "warm, all held\t%s\t%.0f\t0\n", columns(ofWarm), ofWarm(reads).max)
	fmt.Fprintf(w, "cold to warm\t%s\t\t\n", columns(ratio))
	w.Flush()
	fmt.Fprintln(out)
	return nil
}

// coldStart starts a gateway and asks with all tokens at once, twice.
func coldStart(ctx context.Context, b *testbed) (cold, warm readingPass, err error) {
	g, err := b.startOnRedis(ctx, "")
	if err != nil {
		return cold, warm, err
	}
	defer g.stop()
	requests := ask(http.MethodGet, b.workload.tokens)
	for _, p := range []*readingPass{&cold, &warm} {
		before, err := g.metrics(ctx)
		if err != nil {
			return cold, warm, err
		}
		if p.pass, err = once(ctx, g.addr, coldStartConnections, requests, served); err != nil {
			return cold, warm, err
		}
		after, err := g.metrics(ctx)
		if err != nil {
			return cold, warm, err
		}
		p.reads = after[storeReads] - before[storeReads]
	}
	if cold.reads != float64(len(requests)) {
		err = fmt.Errorf("asking redis: %.0f times for %d tokens", cold.reads, len(requests))
	}
	return cold, warm, err
}
