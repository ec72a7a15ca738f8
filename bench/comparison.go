package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// comparison measures gateways side by side, with the same requests in turn.
type comparison struct {
	*testbed
	sides     []*side
	scenarios []scenario
	shared    []int         // processes whose CPU time counts for the side that is measured
	results   [][][]figures // by scenario, side and round
}

// side is one of the gateways, with all that it needs but Redis and the upstream.
type side struct {
	name  string
	addr  string
	pids  func() []int
	open  bool     // forwards everything
	caddy *gateway // nil: it is no Caddy
}

// caddySide is a Caddy, and what other processes it needs.
func caddySide(name string, g *gateway, open bool, more ...int) *side {
	return &side{name: name, addr: g.addr, pids: func() []int { return append([]int{g.pid()}, more...) }, open: open, caddy: g}
}

// status is that of the answers to a scenario.
func (s *side) status(of scenario) int {
	if s.open {
		return http.StatusOK
	}
	return of.status
}

// memory returns how much of a side is in memory, in bytes.
func (s *side) memory() (sum int64, err error) {
	for _, pid := range s.pids() {
		size, err := residentSize(pid)
		if err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, nil
}

// figures are what a side did in one measurement.
type figures struct {
	took, cpu time.Duration
	each      spread // how long the answers took
}

func (f figures) answers() float64 { return float64(f.each.total()) }

func (f figures) perSecond() float64 { return f.answers() / f.took.Seconds() }

// cpuEach is the CPU time per request, in microseconds.
func (f figures) cpuEach() float64 { return float64(f.cpu.Nanoseconds()) / 1000 / f.answers() }

// measure makes the rounds. Who comes first changes from round to round.
func (c *comparison) measure(ctx context.Context) error {
	c.results = make([][][]figures, len(c.scenarios))
	for i := range c.results {
		c.results[i] = make([][]figures, len(c.sides))
	}
	for round := range c.rounds {
		for i, s := range c.scenarios {
			for n := range c.sides {
				n := (n + round) % len(c.sides)
				progress("round %d of %d: %s: %s", round+1, c.rounds, s.name, c.sides[n].name)
				f, err := c.figures(ctx, c.sides[n], s)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.name, c.sides[n].name, err)
				}
				c.results[i][n] = append(c.results[i][n], f)
			}
		}
	}
	return nil
}

// figures measures one side.
func (c *comparison) figures(ctx context.Context, of *side, s scenario) (f figures, err error) {
	l, err := startLoad(ctx, of.addr, c.connections, s.requests, of.status(s))
	if err != nil {
		return f, err
	}
	defer l.stop()
	l.wait(c.duration / 5) // until both sides are warm
	each, began := l.took(), time.Now()
	before, err := c.cpuTime(of)
	if err != nil {
		return f, err
	}
	// On a busy machine the first answer may take longer, but not for ever.
	l.wait(c.duration)
	for i := 0; i < 300 && l.took() == each && l.wait(100*time.Millisecond); i++ {
	}
	after, err := c.cpuTime(of)
	if err != nil {
		return f, err
	}
	f = figures{took: time.Since(began), cpu: after - before, each: l.took().since(each)}
	if err := l.stop(); err != nil {
		return f, err
	}
	if f.answers() == 0 {
		return f, fmt.Errorf("no answer within %s", f.took)
	}
	return f, nil
}

func (c *comparison) cpuTime(of *side) (sum time.Duration, err error) {
	for _, pid := range append(of.pids(), c.shared...) {
		t, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// profile writes a CPU profile of each side in each scenario, if it is asked to.
func (c *comparison) profile(ctx context.Context) error {
	if c.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(c.profiles, 0o755); err != nil {
		return err
	}
	for _, s := range c.scenarios {
		progress("profiling: %s", s.name)
		for _, of := range c.sides {
			file := strings.NewReplacer(" ", "-", ",", "").Replace(s.name) + "." + of.name + ".pprof"
			if err := c.profileTo(ctx, filepath.Join(c.profiles, file), of, s); err != nil {
				return fmt.Errorf("%s: writing a profile: %w", s.name, err)
			}
		}
	}
	return nil
}

func (c *comparison) profileTo(ctx context.Context, file string, of *side, s scenario) error {
	l, err := startLoad(ctx, of.addr, c.connections, s.requests, of.status(s))
	if err != nil {
		return err
	}
	defer l.stop()
	profile, err := of.caddy.admin(ctx, http.MethodGet, "/debug/pprof/profile?seconds=5", nil)
	if err != nil {
		return err
	}
	if err := l.stop(); err != nil {
		return err
	}
	return os.WriteFile(file, profile, 0o644)
}
