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

// coldStart is what a gateway did when it held nothing and all tokens came at
// once, and when they came again.
type coldStart struct {
	tokens, connections int
	cold, warm          pass
}

// pass is all requests, each once.
type pass struct {
	took  time.Duration   // from the first request to the last answer
	times []time.Duration // from each request to its answer, the shortest first
	reads float64         // of the store
}

// measureColdStart asks with all tokens at once, twice.
func (b *redisBench) measureColdStart(ctx context.Context) error {
	g, err := b.startGate(ctx, "cold", "")
	if err != nil {
		return err
	}
	defer g.stop()
	requests := ask(http.MethodGet, b.workload.tokens)
	b.cold = coldStart{tokens: len(requests), connections: min(len(requests), 256)}
	for _, p := range []*pass{&b.cold.cold, &b.cold.warm} {
		progress("%d tokens at once", len(requests))
		before, err := g.metrics(ctx)
		if err != nil {
			return err
		}
		if *p, err = once(ctx, g.addr, b.cold.connections, requests); err != nil {
			return err
		}
		after, err := g.metrics(ctx)
		if err != nil {
			return err
		}
		p.reads = after[storeReads] - before[storeReads]
	}
	if n := b.cold.cold.reads; n != float64(len(requests)) {
		return fmt.Errorf("Redis was asked %.0f times for %d tokens", n, len(requests))
	}
	return nil
}

// once sends each request once, over a number of connections at the same time.
// Any answer but the upstream's is an error.
func once(ctx context.Context, addr string, connections int, requests [][]byte) (pass, error) {
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
				if err == nil && !hasStatus(answer, "200") {
					err = fmt.Errorf("want status 200, got: %s", answer)
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

func (s *coldStart) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "%d tokens at once, %d connections\ttime\tp50\tp99\tmax\treads of Redis\terrors\n", s.tokens, s.connections)
	for _, p := range []struct {
		name string
		pass
	}{{"cold, nothing held", s.cold}, {"warm, all held", s.warm}} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.0f\t0\n", p.name, milliseconds(p.took),
			milliseconds(percentile(p.times, 50)), milliseconds(percentile(p.times, 99)), milliseconds(percentile(p.times, 100)), p.reads)
	}
	w.Flush()
	fmt.Fprintf(out, "Cold to warm: p99 %.2f, time %.2f\n\n",
		float64(percentile(s.cold.times, 99))/float64(percentile(s.warm.times, 99)), float64(s.cold.took)/float64(s.warm.took))
}

// percentile returns the smallest of the sorted times that p percent of them
// don't exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
