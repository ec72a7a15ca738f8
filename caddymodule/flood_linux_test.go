package caddymodule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patgate/patgate/token"
)

// BenchmarkFlood is what a request with a held token costs by itself and while
// 20,000 others a second, with garbage for tokens, pass the same pipeline: in CPU
// time of its own, which locks, caches and the garbage collector make longer, and
// in time on the clock, in which the flood also takes its share of the machine.
// What reading a flood's bytes from sockets takes is Caddy's, and not in it.
func BenchmarkFlood(b *testing.B) {
	const rate, slice = 20_000, 50 * time.Millisecond
	g := startGated(b, nil)
	serve := serving(g.server, "GET", "/v1/spaces/1/stories", g.create(b))
	serve()
	flood := startFlood(g, rate)
	defer flood.stop()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var cpu, clock [2]time.Duration
	var served [2]int
	round := func(i int) {
		began, used := time.Now(), threadTime(b)
		for time.Since(began) < slice {
			for range 10 {
				serve()
				served[i]++
			}
		}
		cpu[i] += threadTime(b) - used
		clock[i] += time.Since(began)
	}
	var flooded time.Duration
	for b.Loop() {
		flood.on.Store(false)
		round(0)
		began := time.Now()
		flood.on.Store(true)
		round(1)
		flooded += time.Since(began)
	}
	flood.on.Store(false)
	per := func(took [2]time.Duration, i int) float64 { return float64(took[i]) / float64(served[i]) }
	b.ReportMetric(per(cpu, 0), "cpu-ns/alone")
	b.ReportMetric(per(cpu, 1)/per(cpu, 0), "cpu-ratio")
	b.ReportMetric(per(clock, 1)/per(clock, 0), "clock-ratio")
	b.ReportMetric(float64(flood.sent.Load())/flooded.Seconds(), "garbage/s")
}

// threadTime returns the CPU time that this thread has used.
func threadTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// flood sends garbage while it is on.
type flood struct {
	on   atomic.Bool
	sent atomic.Int64
	stop func()
}

// startFlood starts a flood of so many requests a second, which is off at first:
// unknown tokens, malformed ones and none, from a thousand addresses.
func startFlood(g *gated, rate int) *flood {
	var garbage []func()
	for i := range 3000 {
		secret := []string{token.NewSecret("pat"), token.NewSecret("pat") + "x", ""}[i%3]
		r := arrived(httptest.NewRequest("GET", "/v1/spaces/1/stories", nil))
		r.RemoteAddr = fmt.Sprintf("[2001:db8:0:%x::1]:1", i%1000)
		w := &quiet{header: http.Header{}}
		garbage = append(garbage, func() {
			clear(r.Header)
			clear(w.header)
			r.Header["Authorization"] = []string{"Bearer " + secret}
			g.server.ServeHTTP(w, r)
		})
	}
	f, stop, stopped := new(flood), make(chan struct{}), make(chan struct{})
	f.stop = func() {
		close(stop)
		<-stopped
	}
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		last := time.Now()
		for n, due := 0, 0.0; ; {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				due += now.Sub(last).Seconds() * float64(rate)
				if last = now; !f.on.Load() {
					due = 0
				}
			}
			for ; due >= 1; due-- {
				garbage[n%len(garbage)]()
				n++
				f.sent.Add(1)
			}
		}
	}()
	return f
}
