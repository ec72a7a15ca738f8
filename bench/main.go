// Command bench shows what patgate costs: it runs plain Caddy's reverse_proxy,
// and the same with patgate before it, side by side, and compares requests per
// second and CPU time per request.
//
// Both gateways are the same binary with the same settings, in front of the same
// upstream, and get the same requests in turn, in many short rounds. What is
// printed is the ratio of one to the other, round by round: the speed of the
// machine, and most of what else it is doing, cancels out. Absolute figures follow.
//
// Where redis-server is installed it then shows what it means to keep tokens in
// Redis: reading every token from there, starting with an empty memory, and revoking
// through another gateway.
//
// With -peers it measures what could be used instead in the same way: Caddy's
// forward_auth with a small service on Redis, nginx with Lua, HAProxy with a map.
//
// Each measurement has files of its own: plain.go, peers*.go (-settings too),
// redis*.go, flood*.go, reload*.go and scale*.go. They stand on a testbed
// (testbed.go) of gateways and other processes (gateway.go, process.go, upstream.go,
// redis_server.go, redis_storage.go), send requests (workload.go, load.go), most of
// them to several gateways in turn (comparison.go), and print what came of it
// (figures.go, latency.go).
package main

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
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
	measure     measurement // only this one; nil: the comparison with plain Caddy, and what is measured with Redis
	tuning      string      // of both sides of the comparison with plain Caddy: a key of tunings
	only        string      // only the scenarios whose names contain this
	redisTokens int         // up to how many are put into Redis to see how cost grows
	binary      string      // patgate, where it is built already
	profiles    string      // the directory that CPU profiles are written to
}

// measurement measures on a testbed, and prints what that has shown.
type measurement func(ctx context.Context, b *testbed, out io.Writer) error

// measurements are those that a flag can choose.
var measurements = []struct {
	flag, usage string
	measurement
}{
	{"peers", "only measure patgate beside what could be used instead: Caddy's forward_auth, nginx with Lua, HAProxy", comparePeers},
	{"settings", "only measure what each of the settings is worth that make patgate faster", compareSettings},
	{"scale", "only measure how cost grows with tokens in Redis (up to -redis-tokens), and with gateways", measureScale},
	{"flood", "only measure requests with held tokens beside 20,000 a second with garbage", measureFlood},
	{"reload", "only measure what becomes of requests while the configuration is reloaded every half second for a minute", measureReloads},
	{"redis", "only measure what is measured with Redis", measureRedis},
}

func main() {
	if serveRole() {
		return
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 10, "how often each comparison is made")
	flag.DurationVar(&o.duration, "duration", time.Second, "how long a gateway is measured at a time")
	flag.IntVar(&o.tokens, "tokens", 10_000, "tokens in use")
	flag.IntVar(&o.connections, "connections", 64, "connections that send requests at the same time")
	flag.BoolVar(&o.quick, "quick", false, "only see that everything works: one short round, few tokens")
	chosen := make([]bool, len(measurements))
	for i, m := range measurements {
		flag.BoolVar(&chosen[i], m.flag, false, m.usage)
	}
	flag.StringVar(&o.tuning, "tuning", "usual", "how both sides of the comparison with plain Caddy are set: usual (Caddy's defaults), log (with format patgate) or lean (with transport patgate as well)")
	flag.StringVar(&o.only, "only", "", "only compare with plain Caddy, and only what has this `text` in its name, as \"10000 tokens\"")
	flag.IntVar(&o.redisTokens, "redis-tokens", 200_000, "with -scale, the most tokens that are put into Redis")
	flag.StringVar(&o.binary, "binary", "", "the patgate to measure (default: built from this module)")
	flag.StringVar(&o.profiles, "profiles", "", "only compare with plain Caddy, and write CPU profiles of both gateways to this directory")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: what is %q? It takes flags only\n", flag.Arg(0))
		os.Exit(2)
	}
	if i := slices.Index(chosen, true); i >= 0 {
		o.measure = measurements[i].measurement
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

// run measures and prints. It leaves no process and no file behind.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if err := o.complete(); err != nil {
		return err
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "patgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	defer progress("")
	if o.binary == "" {
		o.binary = filepath.Join(dir, "patgate")
		progress("building patgate")
		if err := build(ctx, patgateCommand, o.binary); err != nil {
			return err
		}
	}
	info, err := buildinfo.ReadFile(o.binary)
	if err != nil {
		return fmt.Errorf("reading how patgate was built: %w", err)
	}
	measure := func(m measurement) error {
		b := &testbed{options: o, build: info, workload: newWorkload(o.tokens), dir: dir}
		defer b.stop()
		var text bytes.Buffer
		if err := m(ctx, b, &text); err != nil {
			return err
		}
		progress("")
		_, err := text.WriteTo(out)
		return err
	}
	if o.measure != nil {
		return measure(o.measure)
	}
	return measureUsual(o, out, measure)
}

// complete puts in what -quick and the defaults say, and refuses what can't be measured.
func (o *options) complete() error {
	if o.quick {
		o.rounds, o.duration, o.tokens, o.redisTokens = 1, 100*time.Millisecond, min(o.tokens, 100), 1000
	}
	if o.rounds < 1 || o.duration <= 0 || o.tokens < 1 || o.connections < 1 || o.redisTokens < 1 {
		return errors.New("want at least one round, token and connection, and a positive duration")
	}
	o.tuning = cmp.Or(o.tuning, "usual")
	if _, ok := tunings[o.tuning]; !ok {
		return fmt.Errorf("-tuning %s: want usual, log or lean", o.tuning)
	}
	return nil
}

// measureUsual measures what is measured unless a flag chooses something else.
func measureUsual(o options, out io.Writer, measure func(measurement) error) error {
	if err := measure(comparePlain); err != nil || o.only != "" || o.profiles != "" {
		return err
	}
	if !o.quick {
		if err := measure(heldTokens); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	if err := measure(measureRedis); !errors.Is(err, errNoRedis) {
		return err
	}
	fmt.Fprintf(out, "%v: the figures with Redis are left out\n", errNoRedis)
	return nil
}

// The commands that are measured.
const (
	patgateCommand = "github.com/patgate/patgate/cmd/patgate"
	caddyCommand   = "github.com/caddyserver/caddy/v2/cmd/caddy"
)

// build builds a command, with the tags of Caddy's own releases.
func build(ctx context.Context, command, binary string) error {
	cmd := goCommand(ctx, filepath.Dir(binary), "build", "-tags", "nobadger,nomysql,nopgx", "-o", binary, command)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", command, err, out)
	}
	return nil
}

// goCommand returns a command of Go's. Its temporary files are in dir: where it is
// interrupted, it leaves them.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := interruptible(exec.CommandContext(ctx, "go", args...))
	cmd.Env = append(os.Environ(), "GOTMPDIR="+dir)
	return cmd
}

// progress shows on a terminal what is being done.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
