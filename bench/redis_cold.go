package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// coldStartConnections bounds how many connections all tokens come over at once.
const coldStartConnections = 256

// coldStart is what a gateway did when it held nothing and all tokens came at
// once, and when they came again.
type coldStart struct{ cold, warm pass }

// pass is all requests, each once.
type pass struct {
	took  time.Duration   // from the first request to the last answer
	times []time.Duration // from each request to its answer, the shortest first
	reads float64         // of the store
}

// measureColdStarts starts one gateway after the other.
func (b *redisBench) measureColdStarts(ctx context.Context) error {
	for round := range b.rounds {
		progress("cold start %d of %d", round+1, b.rounds)
		s, err := b.coldStart(ctx, fmt.Sprint("cold-", round+1))
		if err != nil {
			return err
		}
		b.starts = append(b.starts, s)
	}
	return nil
}

// coldStart starts a gateway and asks with all tokens at once, twice.
func (b *redisBench) coldStart(ctx context.Context, name string) (s coldStart, err error) {
	g, err := b.startGate(ctx, name, "")
	if err != nil {
		return s, err
	}
	defer g.stop()
	requests := ask(http.MethodGet, b.workload.tokens)
	for _, p := range []*pass{&s.cold, &s.warm} {
		before, err := g.metrics(ctx)
		if err != nil {
			return s, err
		}
		if *p, err = once(ctx, g.addr, min(len(requests), coldStartConnections), requests, served); err != nil {
			return s, err
		}
		after, err := g.metrics(ctx)
		if err != nil {
			return s, err
		}
		p.reads = after[storeReads] - before[storeReads]
	}
	if s.cold.reads != float64(len(requests)) {
		return s, fmt.Errorf("asking redis: %.0f times for %d tokens", s.cold.reads, len(requests))
	}
	return s, nil
}

// served returns an error for any answer but the upstream's.
func served(_ int, answer []byte) error {
	if !hasStatus(answer, "200") {
		return fmt.Errorf("want status 200, got: %s", answer)
	}
	return nil
}

// once sends each request once, over a number of connections at the same time,
// and has each answer checked.
func once(ctx context.Context, addr string, connections int, requests [][]byte, check func(i int, answer []byte) error) (pass, error) {
	conns, err := dial(ctx, addr, connections)
	if err != nil {
		return pass{}, err
	}
	defer conns.close()
	times, errs := make([]time.Duration, len(requests)), make([]error, connections)
	var running sync.WaitGroup
	began := time.Now()
	for c, conn := range conns.list {
		running.Go(func() {
			buf := make([]byte, 4096)
			for i := c; i < len(requests) && errs[c] == nil; i += connections {
				sent := time.Now()
				answer, err := exchange(conn, requests[i], buf)
				times[i] = time.Since(sent)
				if err == nil {
					err = check(i, answer)
				}
				errs[c] = err
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	slices.Sort(times)
	return pass{took: took, times: times}, errors.Join(errs...)
}

// dialed are connections that are closed together, at the latest when their
// context ends.
type dialed struct {
	list    []net.Conn
	unwatch func() bool
}

func dial(ctx context.Context, addr string, n int) (*dialed, error) {
	c := new(dialed)
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			c.closeAll()
			return nil, err
		}
		c.list = append(c.list, conn)
	}
	c.unwatch = context.AfterFunc(ctx, c.closeAll)
	return c, nil
}

func (c *dialed) close() {
	c.unwatch()
	c.closeAll()
}

func (c *dialed) closeAll() {
	for _, conn := range c.list {
		conn.Close()
	}
}

func (b *redisBench) printColdStarts(out io.Writer) {
	n := len(b.workload.tokens)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "%d tokens at once, %d connections, median (min–max) of %d starts\ttime, ms\tp50, ms\tp99, ms\treads of Redis\terrors\n",
		n, min(n, coldStartConnections), len(b.starts))
	columns := func(value func(s coldStart, of func(pass) float64) float64) (text string) {
		for _, of := range []func(pass) float64{
			func(p pass) float64 { return milliseconds(p.took) },
			func(p pass) float64 { return milliseconds(percentile(p.times, 50)) },
			func(p pass) float64 { return milliseconds(percentile(p.times, 99)) },
		} {
			text += "\t" + spanOf(b.starts, func(s coldStart) float64 { return value(s, of) }).String()
		}
		return text
	}
	fmt.Fprintf(w, "cold, nothing held%s\t%.0f\t0\n",
		columns(func(s coldStart, of func(pass) float64) float64 { return of(s.cold) }),
		spanOf(b.starts, func(s coldStart) float64 { return s.cold.reads }).max)
	fmt.Fprintf(w, "warm, all held%s\t%.0f\t0\n",
		columns(func(s coldStart, of func(pass) float64) float64 { return of(s.warm) }),
		spanOf(b.starts, func(s coldStart) float64 { return s.warm.reads }).max)
	fmt.Fprintf(w, "cold to warm%s\t\t\n",
		columns(func(s coldStart, of func(pass) float64) float64 { return of(s.cold) / of(s.warm) }))
	w.Flush()
	fmt.Fprintln(out)
}

// percentile returns the smallest of the sorted times that p percent of them
// don't exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
