package checker

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/patgate/patgate/internal/redistest"
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

// recovery is that of all gateways from a fault of the servers. One that comes
// back to a Cluster takes a few seconds until it serves, and until the others
// send clients there.
func (w *world) recovery() time.Duration {
	if len(w.before) > 0 {
		return recovery + 6*time.Second
	}
	return recovery
}

// disturb puts faults between a gateway and the store, and kills it now and then,
// until ctx ends: each alone, or one right after another. In a Cluster it kills
// it only; without a gateway, it puts the faults between all gateways and one of
// the servers.
func (w *world) disturb(ctx context.Context, r *rand.Rand, g *gateway) {
	once := func() {
		switch kill := r.IntN(9) == 0; {
		case g == nil:
			w.disturbProxy(ctx, r, w.before[r.IntN(len(w.before))], AllGateways, w.recovery())
		case kill:
			end := w.fault(g.number, recovery, killed)
			g.kill(w, between(r, 0, 1500*time.Millisecond))
			end()
		case g.proxy != nil:
			w.disturbProxy(ctx, r, g.proxy, g.number, recovery)
		}
	}
	for sleep(ctx, between(r, 500*time.Millisecond, 7*time.Second)) {
		once()
		for r.IntN(3) == 0 {
			once()
		}
	}
}

func (w *world) disturbProxy(ctx context.Context, r *rand.Rand, p *proxy, gateway int, recovery time.Duration) {
	share := []float64{0.5, 1}[r.IntN(2)]
	first, last := false, r.IntN(2) == 0 // are connections cut at the beginning, and what was held lost at the end
	var m manner
	switch r.IntN(8) {
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
	}
	what := fmt.Sprintf("%.0f%% of the connections: %s", 100*share, m)
	if first {
		what += ", cut before"
	}
	if last {
		what += ", cut afterwards"
	}
	end := w.fault(gateway, recovery, what)
	if first {
		p.cut(share)
	}
	p.be(m, share)
	sleep(ctx, between(r, 100*time.Millisecond, 4*time.Second))
	if last {
		p.cut(1)
	}
	p.be(manner{}, 1)
	end()
}

// disturbServers stops a server, or kills it and starts it again, until ctx ends.
func (w *world) disturbServers(ctx context.Context, r *rand.Rand) {
	for sleep(ctx, between(r, 3*time.Second, 10*time.Second)) {
		s := w.servers[r.IntN(len(w.servers))]
		if r.IntN(3) == 0 {
			end := w.fault(AllGateways, w.recovery(), "a server is killed and started again")
			s.Kill()
			sleep(ctx, between(r, 0, 2*time.Second))
			s.Start()
			end()
			continue
		}
		end := w.fault(AllGateways, w.recovery(), "a server is frozen")
		s.Freeze()
		sleep(ctx, between(r, 50*time.Millisecond, 3*time.Second))
		s.Thaw()
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

// watchServer notes when a server can't answer at once, asked directly.
func (w *world) watchServer(ctx context.Context, s *redistest.Server) {
	w.stalls(ctx, AllGateways, "a server stalls", func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		s.Client().Incr(ctx, "canary") // it may be down, or not the one that has it
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
