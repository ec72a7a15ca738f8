package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// sharingCost is what so many gateways cost their Redis, and what a change does.
type sharingCost struct {
	gateways int
	idleCPU  float64 // microseconds of Redis per second
	idleOut  float64 // bytes sent per second
	// Of a change, beyond what idling costs meanwhile.
	changeCPU float64 // microseconds of Redis
	changeOut float64 // bytes sent
	answered  []time.Duration
}

// measureScale shows how cost grows with the tokens in Redis, and with the gateways
// that share it, or returns errNoRedis.
func measureScale(ctx context.Context, b *testbed, out io.Writer) error {
	if err := measureStored(ctx, b, out); err != nil {
		return fmt.Errorf("tokens in Redis: %w", err)
	}
	if err := measureSharing(ctx, b, out); err != nil {
		return fmt.Errorf("gateways: %w", err)
	}
	fmt.Fprintln(out, b.setting())
	return nil
}

// measureSharing has ever more gateways follow one Redis.
func measureSharing(ctx context.Context, b *testbed, out io.Writer) error {
	if err := b.startRedis(ctx); err != nil {
		return err
	}
	if err := b.startUpstream(ctx, "upstream"); err != nil {
		return err
	}
	changes := 100
	if b.quick {
		changes = 5
	}
	b.workload = newWorkload(4 * changes)
	var all []*gateway
	var costs []sharingCost
	for n := 1; n <= 8; n *= 2 {
		for len(all) < n {
			progress("starting gateway %d", len(all)+1)
			g, err := b.startOnRedis(ctx, "")
			if err != nil {
				return err
			}
			if all = append(all, g); len(all) == 1 {
				if err := b.importTokens(ctx, g); err != nil {
					return err
				}
			}
		}
		cost := sharingCost{gateways: n}
		progress("%d gateways", n)
		cpu, sent, took, err := b.redis.spent(ctx, func() error { return sleep(ctx, max(b.duration, 100*time.Millisecond)) })
		if err != nil {
			return err
		}
		cost.idleCPU, cost.idleOut = cpu/took, sent/took
		cpu, sent, took, err = b.redis.spent(ctx, func() error {
			for i := range changes {
				began := time.Now()
				id := tokenID(len(costs)*changes + i)
				if _, err := all[0].admin(ctx, http.MethodPost, "/patgate/tokens/"+id+"/revoke?wait=10s", nil); err != nil {
					return err
				}
				cost.answered = append(cost.answered, time.Since(began))
			}
			return nil
		})
		if err != nil {
			return err
		}
		cost.changeCPU = (cpu - cost.idleCPU*took) / float64(changes)
		cost.changeOut = (sent - cost.idleOut*took) / float64(changes)
		slices.Sort(cost.answered)
		costs = append(costs, cost)
	}
	printSharing(out, costs)
	return nil
}

// spent returns what the server spends while f runs: CPU time in microseconds, bytes
// sent, and for how many seconds.
func (s *redisServer) spent(ctx context.Context, f func() error) (cpu, sent, took float64, err error) {
	figures := func() (cpu time.Duration, sent float64, err error) {
		if cpu, err = cpuTime(s.pid()); err != nil {
			return 0, 0, err
		}
		sent, err = s.number(ctx, "stats", "total_net_output_bytes")
		return cpu, sent, err
	}
	began := time.Now()
	cpu0, sent0, err := figures()
	if err != nil {
		return 0, 0, 0, err
	}
	if err := f(); err != nil {
		return 0, 0, 0, err
	}
	cpu1, sent1, err := figures()
	return float64((cpu1 - cpu0).Microseconds()), sent1 - sent0, time.Since(began).Seconds(), err
}

func printSharing(out io.Writer, costs []sharingCost) {
	w := newTable(out)
	fmt.Fprint(w, "gateways\tRedis idle: CPU µs/s\tbytes/s\ta change: CPU µs\tbytes\theard by all, p50\tp99\n")
	for _, c := range costs {
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\n", c.gateways, c.idleCPU, c.idleOut, c.changeCPU, c.changeOut, micros(c.answered, 50), micros(c.answered, 99))
	}
	first, last := costs[0], costs[len(costs)-1]
	per := func(of func(sharingCost) float64) (fixed, each float64) {
		each = (of(last) - of(first)) / float64(last.gateways-first.gateways)
		return of(first) - each, each
	}
	fmt.Fprint(w, "\nfixed + for each gateway\tRedis idle: CPU µs/s\tbytes/s\ta change: CPU µs\tbytes\n")
	var cells, thousand []string
	for _, of := range []func(sharingCost) float64{
		func(c sharingCost) float64 { return c.idleCPU }, func(c sharingCost) float64 { return c.idleOut },
		func(c sharingCost) float64 { return c.changeCPU }, func(c sharingCost) float64 { return c.changeOut },
	} {
		fixed, each := per(of)
		cells = append(cells, fmt.Sprintf("%.0f + %.0f", fixed, each))
		thousand = append(thousand, fmt.Sprintf("%.0f", fixed+1000*each))
	}
	fmt.Fprintf(w, "\t%s\n1000 gateways, by calculation\t%s\n", strings.Join(cells, "\t"), strings.Join(thousand, "\t"))
	w.Flush()
	fmt.Fprintln(out)
}
