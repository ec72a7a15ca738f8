package main

import (
	"context"
	"fmt"
	"io"
)

// compareSettings measures as Caddyfile.example has it meant to be run, and with each of the
// settings undone that make it faster.
func compareSettings(ctx context.Context, o options, dir string, out io.Writer) error {
	b := peerBench{options: o, workload: newWorkload(o.tokens), dir: dir, base: "as Caddyfile.example has it"}
	b.starts = []func(context.Context) (*peer, error){
		b.setting(b.base, lean),
		b.setting("GOGC=100, Go's own", tuning{lean.format, lean.transport, "100"}),
		b.setting("transport http, Caddy's own", tuning{lean.format, usual.transport, ""}),
		b.setting("format json, Caddy's own", tuning{usual.format, lean.transport, ""}),
		b.setting("both, Caddy's own", usual),
	}
	return b.run(ctx, out)
}

// setting returns what starts patgate with settings.
func (b *peerBench) setting(name string, t tuning) func(context.Context) (*peer, error) {
	return func(ctx context.Context) (*peer, error) {
		return b.patgate(ctx, name, fmt.Sprint("setting-", len(b.peers)), t)
	}
}
