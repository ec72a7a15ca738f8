package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what a comparison has shown.
type report struct {
	setting   string
	rows      []row
	plainSize int64 // bytes resident
	gateSize  int64
}

// row is what the rounds of one scenario have shown.
type row struct {
	name                string
	rate, cpu           span // patgate to plain Caddy
	plainRate, gateRate span // requests per second
	plainCPU, gateCPU   span // microseconds per request
}

// span is the middle and the extremes of what the rounds have shown.
type span struct{ min, median, max float64 }

func spanOf[T any](rounds []T, value func(T) float64) span {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	slices.Sort(values)
	n := len(values)
	return span{min: values[0], median: (values[(n-1)/2] + values[n/2]) / 2, max: values[n-1]}
}

func (b *bench) report(scenarios []scenario) (*report, error) {
	setting, err := b.setting()
	if err != nil {
		return nil, err
	}
	t := tunings[b.tuning]
	r := &report{setting: fmt.Sprintf("%s; both with format %s and transport %s", setting, t.format, t.transport)}
	if r.plainSize, err = residentSize(b.plain.pid()); err != nil {
		return nil, err
	}
	if r.gateSize, err = residentSize(b.gate.pid()); err != nil {
		return nil, err
	}
	for i, s := range scenarios {
		r.rows = append(r.rows, rowOf(s.name, b.results[i]))
	}
	return r, nil
}

func rowOf(name string, pairs []pair) row {
	of := func(value func(pair) float64) span { return spanOf(pairs, value) }
	return row{
		name:      name,
		rate:      of(func(p pair) float64 { return p.gate.rate / p.plain.rate }),
		cpu:       of(func(p pair) float64 { return p.gate.cpu / p.plain.cpu }),
		plainRate: of(func(p pair) float64 { return p.plain.rate }),
		gateRate:  of(func(p pair) float64 { return p.gate.rate }),
		plainCPU:  of(func(p pair) float64 { return p.plain.cpu }),
		gateCPU:   of(func(p pair) float64 { return p.gate.cpu }),
	}
}

// setting says on what machine, with what program and how this was measured.
func (o options) setting() (string, error) {
	info, err := buildinfo.ReadFile(o.binary)
	if err != nil {
		return "", fmt.Errorf("reading how patgate was built: %w", err)
	}
	caddy := "unknown"
	for _, m := range info.Deps {
		if m.Path == "github.com/caddyserver/caddy/v2" {
			caddy = m.Version
		}
	}
	return fmt.Sprintf("%s, %d cores, shared with upstream and load; %s/%s, %s, Caddy %s\n"+
		"%d connections, %d tokens, %d routes; %d rounds of %s a gateway and line",
		cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, info.GoVersion, caddy,
		o.connections, o.tokens, 4*kinds, o.rounds, o.duration), nil
}

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	printRows(w, r.rows)
	fmt.Fprintf(w, "resident memory at the end\t%d MB, %d MB\t\n", r.plainSize>>20, r.gateSize>>20)
	w.Flush()
	fmt.Fprintf(out, "\nPlain Caddy forwards everything, also what patgate rejects.\n%s\n", r.setting)
}

func printRows(w io.Writer, rows []row) {
	fmt.Fprint(w, "patgate to plain Caddy, median (min–max)\trequests/s\tCPU per request\n")
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", row.name, row.rate, row.cpu)
	}
	fmt.Fprint(w, "\nplain Caddy, patgate: medians\trequests/s\tCPU µs per request\n")
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%.0f, %.0f\t%.1f, %.1f\n", row.name,
			row.plainRate.median, row.gateRate.median, row.plainCPU.median, row.gateCPU.median)
	}
}

func (s span) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.min, s.max) }

// heldTokens prints what tokens held in memory cost: the benchmark of package
// cache says.
func heldTokens(ctx context.Context, dir string, out io.Writer) error {
	progress("filling the cache with 1,000,000 tokens")
	defer progress("")
	// Not in one go: when the go command is stopped, what it runs goes on.
	binary := filepath.Join(dir, "cache.test")
	var all []byte
	for _, cmd := range []*exec.Cmd{
		goCommand(ctx, dir, "test", "-c", "-o", binary, "github.com/patgate/patgate/cache"),
		interruptible(exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", "^BenchmarkMemory$", "-test.benchtime", "1x")),
	} {
		var err error
		if all, err = cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running the memory benchmark: %w\n%s", err, all)
		}
	}
	progress("")
	fmt.Fprint(out, "\nTokens held in memory: bytes each, and how long a garbage collection takes\n")
	for line := range strings.Lines(string(all)) {
		if rest, ok := strings.CutPrefix(line, "BenchmarkMemory/"); ok {
			fmt.Fprint(out, rest)
		}
	}
	return nil
}
