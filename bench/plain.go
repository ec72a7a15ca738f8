package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// comparePlain compares patgate, with its own store, with plain Caddy, which forwards
// everything.
func comparePlain(ctx context.Context, b *testbed, out io.Writer) error {
	t := tunings[b.tuning]
	progress("starting the gateways")
	if err := b.startUpstream(ctx, "upstream"); err != nil {
		return err
	}
	plain, err := b.startPlain(ctx, t)
	if err != nil {
		return err
	}
	gate, err := b.startPatgate(ctx, "", t)
	if err != nil {
		return err
	}
	if err := gate.use(ctx, ask(http.MethodGet, b.workload.tokens)); err != nil {
		return err
	}
	c := besidePlain(b, plain, gate, b.workload.scenarios())
	c.scenarios = slices.DeleteFunc(c.scenarios, func(s scenario) bool { return !strings.Contains(s.name, b.only) })
	if len(c.scenarios) == 0 {
		return fmt.Errorf("-only %q: nothing that is compared has this in its name", b.only)
	}
	if err := c.measure(ctx); err != nil {
		return err
	}
	if err := c.profile(ctx); err != nil {
		return err
	}
	plainSize, err := c.sides[0].memory()
	if err != nil {
		return err
	}
	gateSize, err := c.sides[1].memory()
	if err != nil {
		return err
	}
	w := newTable(out)
	c.printBesidePlain(w)
	fmt.Fprintf(w, "resident memory at the end\t%d MB, %d MB\t\n", plainSize>>20, gateSize>>20)
	w.Flush()
	fmt.Fprintf(out, "\nPlain Caddy forwards everything, also what patgate rejects.\n%s; both with format %s and transport %s\n", b.setting(), t.format, t.transport)
	return nil
}

// besidePlain compares patgate with plain Caddy.
func besidePlain(b *testbed, plain, gate *gateway, scenarios []scenario) *comparison {
	return &comparison{
		testbed: b, scenarios: scenarios,
		sides: []*side{caddySide("plain", plain, true), caddySide("patgate", gate, false)},
	}
}

// printBesidePlain prints the ratios, and then the figures.
func (c *comparison) printBesidePlain(w io.Writer) {
	fmt.Fprint(w, "patgate to plain Caddy, median (min–max)\trequests/s\tCPU per request\n")
	for i, s := range c.scenarios {
		plain, gate := c.results[i][0], c.results[i][1]
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.name, ratioOf(gate, plain, figures.perSecond), ratioOf(gate, plain, figures.cpuEach))
	}
	fmt.Fprint(w, "\nplain Caddy, patgate: medians\trequests/s\tCPU µs per request\n")
	for i, s := range c.scenarios {
		plain, gate := c.results[i][0], c.results[i][1]
		fmt.Fprintf(w, "%s\t%.0f, %.0f\t%.1f, %.1f\n", s.name, median(plain, figures.perSecond), median(gate, figures.perSecond),
			median(plain, figures.cpuEach), median(gate, figures.cpuEach))
	}
}

// heldTokens prints what tokens held in memory cost: the benchmark of package
// cache says.
func heldTokens(ctx context.Context, b *testbed, out io.Writer) error {
	progress("filling the cache with 1,000,000 tokens")
	// Not in one go: when the go command is stopped, what it runs goes on.
	binary := filepath.Join(b.dir, "cache.test")
	var all []byte
	for _, cmd := range []*exec.Cmd{
		goCommand(ctx, b.dir, "test", "-c", "-o", binary, "github.com/patgate/patgate/cache"),
		interruptible(exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", "^BenchmarkMemory$", "-test.benchtime", "1x")),
	} {
		var err error
		if all, err = cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running the memory benchmark: %w\n%s", err, all)
		}
	}
	fmt.Fprint(out, "\nTokens held in memory: bytes each, and how long a garbage collection takes\n")
	for line := range strings.Lines(string(all)) {
		if rest, ok := strings.CutPrefix(line, "BenchmarkMemory/"); ok {
			fmt.Fprint(out, rest)
		}
	}
	return nil
}
