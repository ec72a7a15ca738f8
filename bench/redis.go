package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// measureRedis measures gateways that keep their tokens in Redis, or returns
// errNoRedis.
func measureRedis(ctx context.Context, b *testbed, out io.Writer) error {
	progress("starting Redis and the gateways")
	if err := b.startRedis(ctx); err != nil {
		return err
	}
	if err := b.startUpstream(ctx, "upstream"); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		measurement
	}{
		{"forwarding from Redis", measureForwarded},
		{"cold start", measureColdStarts},
		{"revocation", measureRevocations},
	} {
		if err := part.measurement(ctx, b, out); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	fmt.Fprintf(out, "\n%s\nRedis %s on the same machine, appendonly yes, appendfsync everysec\n", b.setting(), b.redis.version)
	return nil
}

// startOnRedis starts a patgate on Redis, and waits until it hears the changes that
// others make: until then it trusts nothing it holds.
func (b *testbed) startOnRedis(ctx context.Context, settings string) (*gateway, error) {
	g, err := b.start(ctx, "patgate", b.binary, b.workload.policy(), "\tstore redis redis://"+b.redis.addr+"\n"+settings, usual)
	if err != nil {
		return nil, err
	}
	err = g.await(ctx, func(ctx context.Context) error {
		m, err := g.metrics(ctx)
		if err == nil && m[feedHeard] != 1 {
			err = fmt.Errorf("it hears of no changes\n%s", &g.log)
		}
		return err
	})
	return g, err
}

// measureForwarded compares plain Caddy and a patgate that reads every token
// from Redis.
func measureForwarded(ctx context.Context, b *testbed, out io.Writer) error {
	plain, err := b.startPlain(ctx, usual)
	if err != nil {
		return err
	}
	// With so little room, and all tokens asked in turn, none is held when it
	// comes round again.
	gate, err := b.startOnRedis(ctx, "\tcache {\n\t\tsize 64\n\t}\n")
	if err != nil {
		return err
	}
	if err := b.importTokens(ctx, gate); err != nil {
		return err
	}
	c := besidePlain(b, plain, gate, []scenario{{fmt.Sprintf("forwarded from Redis, %d tokens", len(b.workload.tokens)),
		ask(http.MethodGet, b.workload.tokens), http.StatusOK}})
	before, err := gate.metrics(ctx)
	if err != nil {
		return err
	}
	if err := c.measure(ctx); err != nil {
		return err
	}
	after, err := gate.metrics(ctx)
	if err != nil {
		return err
	}
	if err := c.profile(ctx); err != nil {
		return err
	}
	// The processors are for what comes now.
	gate.stop()
	plain.stop()
	w := newTable(out)
	c.printBesidePlain(w)
	w.Flush()
	hits, misses := after[heldLookups]-before[heldLookups], after[missedLookups]-before[missedLookups]
	fmt.Fprintf(out, "Memory has room for 64 tokens: it held that of %.1f %% of the requests.\n\n", 100*hits/(hits+misses))
	return nil
}
