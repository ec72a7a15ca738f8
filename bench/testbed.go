package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"
)

// testbed is what a measurement stands on: the options, the tokens in use, and what
// runs for it, which ends with it.
type testbed struct {
	options
	build    *buildinfo.BuildInfo // of the patgate that is measured
	workload workload
	dir      string
	upstream *service
	redis    *redisServer // nil: not started, or not installed
	running  []interface{ stop() }
}

// stop ends all that runs, what was started last first.
func (b *testbed) stop() {
	for _, r := range slices.Backward(b.running) {
		r.stop()
	}
}

// startUpstream starts what all gateways forward to, in a role of this program.
func (b *testbed) startUpstream(ctx context.Context, role string) (err error) {
	if b.upstream, err = startService(ctx, role); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	b.running = append(b.running, b.upstream)
	return nil
}

// startRedis starts the Redis that all gateways share, or returns errNoRedis.
func (b *testbed) startRedis(ctx context.Context) error {
	r, err := startRedis(ctx, b.dir, "appendonly yes", "appendfsync everysec")
	if err != nil {
		return fmt.Errorf("starting Redis: %w", err)
	}
	b.redis = r
	b.running = append(b.running, r)
	return nil
}

// start starts a gateway in front of the upstream.
func (b *testbed) start(ctx context.Context, name, binary, directive, settings string, t tuning) (*gateway, error) {
	g, err := startGateway(ctx, binary, b.dir, b.upstream.addr, directive, settings, t)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	b.running = append(b.running, g)
	return g, nil
}

func (b *testbed) startPlain(ctx context.Context, t tuning) (*gateway, error) {
	return b.start(ctx, "plain Caddy", b.binary, "", "", t)
}

// startPatgate starts a gate with settings of its app, and the tokens in its store.
func (b *testbed) startPatgate(ctx context.Context, settings string, t tuning) (*gateway, error) {
	g, err := b.start(ctx, "patgate", b.binary, b.workload.policy(), settings, t)
	if err != nil {
		return nil, err
	}
	return g, b.importTokens(ctx, g)
}

// importTokens puts the tokens in use into a gate's store.
func (b *testbed) importTokens(ctx context.Context, gate *gateway) error {
	progress("importing %d tokens", len(b.workload.tokens))
	if _, err := gate.admin(ctx, http.MethodPost, "/patgate/import", strings.NewReader(b.workload.export())); err != nil {
		return fmt.Errorf("importing the tokens: %w", err)
	}
	return nil
}

// setting says on what machine, with what program and how this was measured.
func (b *testbed) setting() string {
	caddy := "unknown"
	for _, m := range b.build.Deps {
		if m.Path == "github.com/caddyserver/caddy/v2" {
			caddy = m.Version
		}
	}
	return fmt.Sprintf("%s, %d cores, shared with upstream and load; %s/%s, %s, Caddy %s\n"+
		"%d connections, %d tokens, %d routes; %d rounds of %s a gateway and line",
		cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, b.build.GoVersion, caddy,
		b.connections, b.tokens, 4*kinds, b.rounds, b.duration)
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
