package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// scale is what shows how cost grows: with the tokens in Redis, and with the
// gateways that share it.
type scale struct {
	redisBench
	stored  []storedCost
	sharing []sharingCost
}

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

// measureScale measures and prints how cost grows, or returns errNoRedis.
func measureScale(ctx context.Context, o options, dir string, out io.Writer) error {
	s := scale{redisBench: redisBench{bench: bench{options: o, workload: newWorkload(o.tokens)}, dir: dir}}
	defer s.stop()
	if err := s.measureStored(ctx); err != nil {
		return fmt.Errorf("tokens in Redis: %w", err)
	}
	if err := s.measureSharing(ctx); err != nil {
		return fmt.Errorf("gateways: %w", err)
	}
	setting, err := s.setting()
	if err != nil {
		return err
	}
	progress("")
	s.print(out)
	fmt.Fprintln(out, setting)
	return nil
}

// stop ends what redisBench.start would have started, as far as it is there.
func (s *scale) stop() {
	if s.upstream != nil {
		s.upstream.stop()
	}
	s.redis.stop()
}

// measureSharing has ever more gateways follow one Redis.
func (s *scale) measureSharing(ctx context.Context) (err error) {
	if s.redis, err = startRedis(ctx, filepath.Join(s.dir, "scale-shared"), "appendonly yes", "appendfsync everysec"); err != nil {
		return err
	}
	if s.upstream, err = startUpstream(ctx); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	var all []*gateway
	defer func() {
		for _, g := range all {
			g.stop()
		}
	}()
	revoked, changes := 0, 100
	for n := 1; n <= 8; n *= 2 {
		for len(all) < n {
			progress("starting gateway %d", len(all)+1)
			g, err := s.startGate(ctx, fmt.Sprint("scale-gate-", len(all)+1), "")
			if err != nil {
				return err
			}
			if all = append(all, g); len(all) == 1 {
				if err := g.importTokens(ctx, newWorkload(4*changes).export()); err != nil {
					return fmt.Errorf("importing the tokens: %w", err)
				}
			}
		}
		cost := sharingCost{gateways: n}
		progress("%d gateways", n)
		cpu, sent, took, err := s.spent(ctx, func() error { return sleep(ctx, max(s.duration, 100*time.Millisecond)) })
		if err != nil {
			return err
		}
		cost.idleCPU, cost.idleOut = cpu/took, sent/took
		cpu, sent, took, err = s.spent(ctx, func() error {
			for range changes {
				began := time.Now()
				answer, err := all[0].admin(ctx, http.MethodPost, "/patgate/tokens/"+tokenID(revoked)+"/revoke?wait=10s", nil)
				if err != nil {
					return err
				}
				io.Copy(io.Discard, answer) // or the connection isn't used again
				answer.Close()
				cost.answered = append(cost.answered, time.Since(began))
				revoked++
			}
			return nil
		})
		if err != nil {
			return err
		}
		cost.changeCPU = (cpu - cost.idleCPU*took) / float64(changes)
		cost.changeOut = (sent - cost.idleOut*took) / float64(changes)
		slices.Sort(cost.answered)
		s.sharing = append(s.sharing, cost)
	}
	return nil
}

// spent returns what Redis spends while f runs: CPU time in microseconds, bytes
// sent, and for how many seconds.
func (s *scale) spent(ctx context.Context, f func() error) (cpu, sent, took float64, err error) {
	figures := func() (cpu time.Duration, sent float64, err error) {
		if cpu, err = cpuTime(s.redis.pid()); err != nil {
			return 0, 0, err
		}
		text, err := s.redis.info(ctx, "stats", "total_net_output_bytes")
		if err != nil {
			return 0, 0, err
		}
		sent, err = strconv.ParseFloat(text, 64)
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

// sleep waits, unless it is interrupted.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *scale) print(out io.Writer) {
	s.printStored(out)
	at := func(sorted []time.Duration, p int) time.Duration {
		return percentile(sorted, p).Round(time.Microsecond)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprint(w, "gateways\tRedis idle: CPU µs/s\tbytes/s\ta change: CPU µs\tbytes\theard by all, p50\tp99\n")
	for _, c := range s.sharing {
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\n", c.gateways, c.idleCPU, c.idleOut, c.changeCPU, c.changeOut, at(c.answered, 50), at(c.answered, 99))
	}
	first, last := s.sharing[0], s.sharing[len(s.sharing)-1]
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
