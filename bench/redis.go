package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// redisBench measures gateways that keep their tokens in Redis.
type redisBench struct {
	bench
	dir   string
	redis *redisServer

	held   float64 // share of the forwarded requests whose token was in memory after all
	starts []coldStart
	revoke revocations
	size   float64 // of a token in Redis, in bytes
}

// withRedis measures with Redis and prints what that has shown, or returns
// errNoRedis.
func withRedis(ctx context.Context, o options, dir string, out io.Writer) error {
	b := redisBench{bench: bench{options: o, workload: newWorkload(o.tokens)}, dir: dir}
	defer b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"forwarding from Redis", b.measureForwarded},
		{"cold start", b.measureColdStarts},
		{"revocation", b.measureRevocations},
		{"memory of Redis", b.measureSize},
	} {
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	setting, err := b.setting()
	if err != nil {
		return err
	}
	progress("")
	b.print(out)
	fmt.Fprintf(out, "\n%s\nRedis %s on the same machine, appendonly yes, appendfsync everysec\n", setting, b.redis.version)
	return nil
}

// start starts what all parts need, and puts the tokens into Redis.
func (b *redisBench) start(ctx context.Context) (err error) {
	progress("starting Redis and the gateways")
	if b.redis, err = startRedis(ctx, filepath.Join(b.dir, "redis"), "appendonly yes", "appendfsync everysec"); err != nil {
		return fmt.Errorf("starting Redis: %w", err)
	}
	if b.upstream, err = startUpstream(ctx); err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	if b.plain, err = startGateway(ctx, b.binary, filepath.Join(b.dir, "redis-plain"), b.upstream.addr, "", ""); err != nil {
		return fmt.Errorf("starting plain Caddy: %w", err)
	}
	// With so little room, and all tokens asked in turn, none is held when it
	// comes round again.
	if b.gate, err = b.startGate(ctx, "forgetful", "\tcache {\n\t\tsize 64\n\t}\n"); err != nil {
		return err
	}
	progress("importing %d tokens", len(b.workload.tokens))
	if err := b.gate.importTokens(ctx, b.workload.export()); err != nil {
		return fmt.Errorf("importing the tokens: %w", err)
	}
	return nil
}

// startGate starts a patgate on Redis, and waits until it hears the changes that
// others make: until then it trusts nothing it holds.
func (b *redisBench) startGate(ctx context.Context, name, settings string) (*gateway, error) {
	g, err := startGateway(ctx, b.binary, filepath.Join(b.dir, name), b.upstream.addr, b.workload.policy(),
		"\tstore redis redis://"+b.redis.addr+"\n"+settings)
	if err != nil {
		return nil, fmt.Errorf("starting patgate: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		m, err := g.metrics(ctx)
		if err == nil && m["caddy_patgate_feed_heard"] == 1 {
			return g, nil
		}
		select {
		case <-ctx.Done():
			g.stop()
			return nil, fmt.Errorf("waiting for patgate to hear of changes: %w\n%s", errors.Join(ctx.Err(), err), &g.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *redisBench) stop() {
	b.bench.stop()
	b.redis.stop()
}

// measureForwarded compares plain Caddy and a patgate that reads every token
// from Redis.
func (b *redisBench) measureForwarded(ctx context.Context) error {
	before, err := b.gate.metrics(ctx)
	if err != nil {
		return err
	}
	if err := b.measure(ctx, b.scenarios()); err != nil {
		return err
	}
	after, err := b.gate.metrics(ctx)
	if err != nil {
		return err
	}
	hits, misses := after[heldLookups]-before[heldLookups], after[missedLookups]-before[missedLookups]
	b.held = hits / (hits + misses)
	if err := b.profile(ctx, b.scenarios()); err != nil {
		return err
	}
	// The processors are for what comes now.
	b.gate.stop()
	b.plain.stop()
	return nil
}

func (b *redisBench) scenarios() []scenario {
	return []scenario{{fmt.Sprintf("forwarded from Redis, %d tokens", len(b.workload.tokens)),
		ask(http.MethodGet, b.workload.tokens), http.StatusOK}}
}

func (b *redisBench) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	printRows(w, []row{rowOf(b.scenarios()[0].name, b.results[0])})
	w.Flush()
	fmt.Fprintf(out, "Memory has room for 64 tokens: it held that of %.1f %% of the requests.\n\n", 100*b.held)
	b.printColdStarts(out)
	b.revoke.print(out)
	fmt.Fprintf(out, "Memory of Redis per token: %.0f bytes, with %d tokens of %d owners\n", b.size, b.redisTokens, owners)
}
