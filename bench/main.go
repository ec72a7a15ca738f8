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
// Redis: reading every token from there, starting with an empty memory, revoking
// through another gateway, and the memory that a token takes.
//
// With -peers it measures what could be used instead in the same way: Caddy's
// forward_auth with a small service on Redis, nginx with Lua, HAProxy with a map.
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
	"slices"
	"strings"
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
	peers       bool   // only the comparison with other gateways
	settings    bool   // only what the settings are worth that make patgate faster
	scale       bool   // only how cost grows
	redis       bool   // only what is measured with Redis
	flood       bool   // only what garbage takes from held tokens
	reload      bool   // only what reloads do to requests
	tuning      string // of both sides of the comparison with plain Caddy: a key of tunings
	only        string // only the scenarios whose names contain this
	redisTokens int    // how many are put into Redis to see what they take
	binary      string // patgate, where it is built already
	profiles    string // the directory that CPU profiles are written to
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
	flag.BoolVar(&o.peers, "peers", false, "only measure patgate beside what could be used instead: Caddy's forward_auth, nginx with Lua, HAProxy")
	flag.BoolVar(&o.settings, "settings", false, "only measure what each of the settings is worth that make patgate faster")
	flag.BoolVar(&o.scale, "scale", false, "only measure how cost grows with tokens in Redis (up to -redis-tokens) and with gateways")
	flag.BoolVar(&o.redis, "redis", false, "only measure what is measured with Redis")
	flag.BoolVar(&o.flood, "flood", false, "only measure requests with held tokens beside 20,000 a second with garbage")
	flag.BoolVar(&o.reload, "reload", false, "only measure what becomes of requests while the configuration is reloaded every half second for a minute")
	flag.StringVar(&o.tuning, "tuning", "usual", "how both sides of the comparison with plain Caddy are set: usual (Caddy's defaults), log (with format patgate) or lean (with transport patgate as well)")
	flag.StringVar(&o.only, "only", "", "only compare with plain Caddy, and only what has this `text` in its name, as \"10000 tokens\"")
	flag.IntVar(&o.redisTokens, "redis-tokens", 200_000, "tokens put into Redis to see how much memory each takes")
	flag.StringVar(&o.binary, "binary", "", "the patgate to measure (default: built from this module)")
	flag.StringVar(&o.profiles, "profiles", "", "only compare with plain Caddy, and write CPU profiles of both gateways to this directory")
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

// serveRole serves, where this program was started again for that.
func serveRole() bool {
	switch {
	case os.Getenv(upstreamRole) != "":
		serveUpstream()
	case os.Getenv(authzRole) != "":
		serveAuthz()
	default:
		return false
	}
	return true
}

// run measures and prints.
// It leaves no process and no file behind.
func run(ctx context.Context, o options, out io.Writer) (err error) {
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
	if o.peers {
		return comparePeers(ctx, o, dir, out)
	}
	if o.settings {
		return compareSettings(ctx, o, dir, out)
	}
	if o.scale {
		return measureScale(ctx, o, dir, out)
	}
	if o.flood {
		return measureFlood(ctx, o, dir, out)
	}
	if o.reload {
		return measureReloads(ctx, o, dir, out)
	}
	if o.redis {
		return withRedis(ctx, o, dir, out)
	}
	r, err := compare(ctx, o, dir)
	if err != nil {
		return err
	}
	progress("")
	r.print(out)
	if o.only != "" || o.profiles != "" {
		return nil
	}
	if !o.quick {
		if err := heldTokens(ctx, dir, out); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	if err := withRedis(ctx, o, dir, out); !errors.Is(err, errNoRedis) {
		return err
	}
	fmt.Fprintf(out, "%v: the figures with Redis are left out\n", errNoRedis)
	return nil
}

// compare measures plain Caddy and patgate with the embedded store.
func compare(ctx context.Context, o options, dir string) (*report, error) {
	b := bench{options: o, workload: newWorkload(o.tokens)}
	defer b.stop()
	if err := b.start(ctx, dir); err != nil {
		return nil, err
	}
	if err := b.warm(ctx); err != nil {
		return nil, fmt.Errorf("using every token: %w", err)
	}
	scenarios := slices.DeleteFunc(b.workload.scenarios(), func(s scenario) bool { return !strings.Contains(s.name, o.only) })
	if len(scenarios) == 0 {
		return nil, fmt.Errorf("-only %q: nothing that is compared has this in its name", o.only)
	}
	if err := b.measure(ctx, scenarios); err != nil {
		return nil, err
	}
	if err := b.profile(ctx, scenarios); err != nil {
		return nil, err
	}
	return b.report(scenarios)
}

// progress shows on a terminal what is being done.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
