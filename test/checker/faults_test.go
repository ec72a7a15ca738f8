package checker

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// recovery is how long after a fault a gateway may still answer that the
	// store is unavailable, and not follow: its connections may be dead without
	// a sign of it, and each shows that only when it isn't answered in time.
	recovery = 2 * time.Second
	// stall is how long what takes a millisecond may take before that is noted
	// as a fault: the machine is busy with something else.
	stall = 100 * time.Millisecond

	killed = "the gateway is killed and started again"
)

// fault notes a fault from now until end is called.
func (w *world) fault(gateway int, recovery time.Duration, what string) (end func()) {
	f := Fault{From: w.now(), Gateway: gateway, Recovery: recovery, What: what, Dead: what == killed}
	return func() {
		f.To = w.now()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.faults = append(w.faults, f)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

// disturb puts faults between a gateway and the store until ctx ends: each alone,
// or one right after another.
func (g *gateway) disturb(ctx context.Context, w *world, r *rand.Rand) {
	for sleep(ctx, between(r, 500*time.Millisecond, 7*time.Second)) {
		g.disturbOnce(ctx, w, r)
		for r.IntN(3) == 0 {
			g.disturbOnce(ctx, w, r)
		}
	}
}

func (g *gateway) disturbOnce(ctx context.Context, w *world, r *rand.Rand) {
	share := []float64{0.5, 1}[r.IntN(2)]
	first, last := false, r.IntN(2) == 0 // are connections cut at the beginning, and what was held lost at the end
	var m manner
	switch r.IntN(9) {
	case 0:
		m.delay = between(r, 20*time.Millisecond, 400*time.Millisecond)
	case 1:
		m.jitter = between(r, 20*time.Millisecond, 600*time.Millisecond)
	case 2:
		m.rate = 500 + r.IntN(10_000)
	case 3:
		m.holdUp = true
	case 4:
		m.holdDown = true
	case 5:
		m.holdUp, m.holdDown = true, true
	case 6:
		m.refuse, first = true, true
	case 7:
		first = true
	case 8:
		end := w.fault(g.number, recovery, killed)
		g.kill(w, between(r, 0, 1500*time.Millisecond))
		end()
		return
	}
	what := fmt.Sprintf("%.0f%% of the connections: %s", 100*share, m)
	if first {
		what += ", cut before"
	}
	if last {
		what += ", cut afterwards"
	}
	end := w.fault(g.number, recovery, what)
	if first {
		g.proxy.cut(share)
	}
	g.proxy.be(m, share)
	sleep(ctx, between(r, 100*time.Millisecond, 4*time.Second))
	if last {
		g.proxy.cut(1)
	}
	g.proxy.be(manner{}, 1)
	end()
}

// disturbStore stops the store, or kills it and starts it again, until ctx ends.
func (w *world) disturbStore(ctx context.Context, r *rand.Rand) {
	for sleep(ctx, between(r, 3*time.Second, 10*time.Second)) {
		if r.IntN(3) == 0 {
			end := w.fault(AllGateways, recovery, "the store is killed and started again")
			w.redis.Kill()
			sleep(ctx, between(r, 0, 2*time.Second))
			w.redis.Start()
			end()
			continue
		}
		end := w.fault(AllGateways, recovery, "the store is frozen")
		w.redis.Freeze()
		sleep(ctx, between(r, 50*time.Millisecond, 3*time.Second))
		w.redis.Thaw()
		end()
	}
}

// watch notes when a gateway can't answer at once though it need not ask the
// store, and that it always does answer, unless it is dead.
func (g *gateway) watch(ctx context.Context, w *world) {
	client := &http.Client{Transport: new(http.Transport), Timeout: patience}
	defer client.CloseIdleConnections()
	w.stalls(ctx, g.number, "the machine stalls", func() {
		life := g.life()
		var status int
		var body []byte
		resp, err := client.Get("http://" + g.addr + "/public")
		if err == nil {
			status = resp.StatusCode
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if isDead := life%2 == 1 || g.life() != life; (err != nil || status != 200) && !(isDead && err != nil) {
			w.Errorf("gateway %d, a public route: %d %s, %v", g.number, status, body, err)
		}
	})
}

// watchStore notes when the store can't answer at once, asked directly.
func (w *world) watchStore(ctx context.Context) {
	w.stalls(ctx, AllGateways, "the store stalls", func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		w.redis.Client().Incr(ctx, "canary") // it may be down
	})
}

// stalls calls f every 20 ms until ctx ends, and notes when it comes or ends
// late.
func (w *world) stalls(ctx context.Context, gateway int, what string, f func()) {
	const every = 20 * time.Millisecond
	for {
		end := w.fault(gateway, 3*stall, what)
		from := w.now()
		if !sleep(ctx, every) {
			return
		}
		f()
		if w.now()-from > every+stall {
			end()
		}
	}
}
