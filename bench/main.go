// Command bench shows what patgate costs: it runs plain Caddy's reverse_proxy,
// and the same with patgate before it, side by side, and compares requests per
// second and CPU time per request.
//
// Both gateways are the same binary with the same settings, in front of the same
// upstream, and get the same requests in turn, in many short rounds. What is
// printed is the ratio of one to the other, round by round: the speed of the
// machine, and most of what else it is doing, cancels out. Absolute figures follow.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	rounds      int
	duration    time.Duration // of each measurement
	tokens      int
	connections int
	quick       bool
	binary      string // patgate, where it is built already
	profiles    string // the directory that CPU profiles are written to
}

func main() {
	if os.Getenv(upstreamRole) != "" {
		serveUpstream()
		return
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 10, "how often each comparison is made")
	flag.DurationVar(&o.duration, "duration", time.Second, "how long a gateway is measured at a time")
	flag.IntVar(&o.tokens, "tokens", 10_000, "tokens in use")
	flag.IntVar(&o.connections, "connections", 64, "connections that send requests at the same time")
	flag.BoolVar(&o.quick, "quick", false, "only see that everything works: one short round, few tokens")
	flag.StringVar(&o.binary, "binary", "", "the patgate to measure (default: built from this module)")
	flag.StringVar(&o.profiles, "profiles", "", "also write CPU profiles of both gateways to this directory")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: what is %q? It takes flags only\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and prints.
func run(ctx context.Context, o options, out io.Writer) error {
	if o.quick {
		o.rounds, o.duration, o.tokens = 1, 100*time.Millisecond, min(o.tokens, 100)
	}
	if o.rounds < 1 || o.duration <= 0 || o.tokens < 1 || o.connections < 1 {
		return errors.New("want at least one round, token and connection, and a positive duration")
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		return err
	}
	r, err := compare(ctx, o)
	progress("")
	if err != nil {
		return err
	}
	r.print(out)
	if o.quick {
		return nil
	}
	return heldTokens(ctx, out)
}

// compare measures both gateways. It leaves no process and no file behind.
func compare(ctx context.Context, o options) (r *report, err error) {
	dir, err := os.MkdirTemp("", "patgate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		o.binary = filepath.Join(dir, "patgate")
		progress("building patgate")
		if err := build(ctx, o.binary); err != nil {
			return nil, err
		}
	}
	b := bench{options: o, workload: newWorkload(o.tokens)}
	defer b.stop()
	if err := b.start(ctx, dir); err != nil {
		return nil, err
	}
	if err := b.warm(ctx); err != nil {
		return nil, fmt.Errorf("using every token: %w", err)
	}
	if err := b.measure(ctx); err != nil {
		return nil, err
	}
	if o.profiles != "" {
		if err := b.profile(ctx); err != nil {
			return nil, err
		}
	}
	return b.report()
}

// progress shows on a terminal what is being done.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
