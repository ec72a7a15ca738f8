package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

const (
	floodRate   = 20_000 // requests with garbage a second
	floodConns  = 64
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
	held, garbage := ask(http.MethodGet, w.tokens), floodRequests(w)
	if _, err := normalTraffic(ctx, gate.addr, held, o.duration); err != nil { // so that they are held
		return err
	}
	before, err := gate.cacheFigures(ctx)
	if err != nil {
		return err
	}
	results := map[*gateway]*floodResult{plain: {}, gate: {}}
	for round := range o.rounds {
		progress("flood: round %d of %d", round+1, o.rounds)
		for g, r := range results {
			if err := r.measure(ctx, g.addr, held, garbage, o.duration); err != nil {
				return err
			}
		}
	}
	after, err := gate.cacheFigures(ctx)
	if err != nil {
		return err
	}
	progress("")
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "%d requests/s with held tokens\talone: median, p99\tbeside garbage\tratio\tgarbage/s\n", normalRate)
	for _, row := range []struct {
		name string
		g    *gateway
	}{{"plain Caddy, told what is garbage", plain}, {"patgate", gate}} {
		fmt.Fprintf(t, "%s\t%s\n", row.name, results[row.g])
	}
	t.Flush()
	fmt.Fprintf(out, "The store was asked %d times during the floods; %d held tokens were pushed out.\n", after.StoreReads-before.StoreReads, after.Evicted-before.Evicted)
	return nil
}

// floodRequests returns requests with unknown tokens, malformed ones and none.
func floodRequests(w workload) [][]byte {
	var secrets []string
	for i, secret := range w.unknown {
		secrets = append(secrets, []string{secret, secret + "x", ""}[i%3])
	}
	requests := ask(http.MethodGet, secrets)
	for i, r := range requests {
		requests[i] = []byte(strings.Replace(string(r), "\r\n\r\n", "\r\nX-Garbage: 1\r\n\r\n", 1))
	}
	return requests
}

// floodResult is how long requests with held tokens took, in all rounds.
type floodResult struct {
	alone, beside []time.Duration
	garbage       float64 // requests
	took          time.Duration
}

func (r *floodResult) measure(ctx context.Context, addr string, held, garbage [][]byte, d time.Duration) error {
	alone, err := normalTraffic(ctx, addr, held, d)
	if err != nil {
		return err
	}
	r.alone = append(r.alone, alone...)
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var answered atomic.Int64
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed = paced(flooding, addr, garbage, floodConns, floodRate, func(time.Duration) { answered.Add(1) })
	}()
	time.Sleep(d / 5) // until it is at its height
	n, began := answered.Load(), time.Now()
	beside, err := normalTraffic(ctx, addr, held, d)
	r.garbage += float64(answered.Load() - n)
	r.took += time.Since(began)
	r.beside = append(r.beside, beside...)
	stop()
	<-done
	return cmp.Or(err, failed, ctx.Err())
}

func (r *floodResult) String() string {
	slices.Sort(r.alone)
	slices.Sort(r.beside)
	at := func(list []time.Duration, part float64) time.Duration { return list[int(part*float64(len(list)-1))] }
	us := func(d time.Duration) int64 { return d.Microseconds() }
	a, b := at(r.alone, .5), at(r.beside, .5)
	return fmt.Sprintf("%d, %d µs\t%d, %d µs\t%.2f\t%.0f", us(a), us(at(r.alone, .99)), us(b), us(at(r.beside, .99)), float64(b)/float64(a), r.garbage/r.took.Seconds())
}

// normalTraffic sends requests with held tokens for a time and returns how long
// each took.
func normalTraffic(ctx context.Context, addr string, requests [][]byte, d time.Duration) (took []time.Duration, err error) {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	var mu sync.Mutex
	err = paced(ctx, addr, requests, normalConns, normalRate, func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		took = append(took, d)
	})
	if err == nil && len(took) == 0 {
		err = fmt.Errorf("no answer from %s", addr)
	}
	return took, err
}

// paced sends requests at a rate, over connections that take turns, until ctx
// ends. A connection that falls behind makes up for it.
func paced(ctx context.Context, addr string, requests [][]byte, connections, rate int, answered func(time.Duration)) error {
	pause := time.Duration(connections) * time.Second / time.Duration(rate)
	errs := make([]error, connections)
	var running sync.WaitGroup
	began := time.Now()
	for i := range connections {
		running.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close()
			buf := make([]byte, 4096)
			next := began.Add(pause * time.Duration(i) / time.Duration(connections))
			for n := i * len(requests) / connections; ctx.Err() == nil; n++ {
				if wait := time.Until(next); wait > 0 {
					time.Sleep(wait)
				}
				next = next.Add(pause)
				sent := time.Now()
				if _, err := exchange(conn, requests[n%len(requests)], buf); err != nil {
					errs[i] = err
					return
				}
				answered(time.Since(sent))
			}
		})
	}
	running.Wait()
	return cmp.Or(errs...)
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
