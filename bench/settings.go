package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// compareSettings measures patgate as it is meant to be run, and with each of the
// settings undone that make it faster.
func compareSettings(ctx context.Context, o options, dir string, out io.Writer) error {
	b := peerBench{options: o, workload: newWorkload(o.tokens), dir: dir, base: "patgate as it is"}
	b.starts = []func(context.Context) (*peer, error){
		b.setting(b.base, lean),
		b.setting("GOGC=100, Go's own", tuning{lean.format, lean.transport, "100"}),
		b.setting("transport http, Caddy's own", tuning{lean.format, usual.transport, ""}),
		b.setting("format json, Caddy's own", tuning{usual.format, lean.transport, ""}),
		b.startUnprofiled,
	}
	return b.run(ctx, out)
}

// setting returns what starts patgate with settings.
func (b *peerBench) setting(name string, t tuning) func(context.Context) (*peer, error) {
	return func(ctx context.Context) (*peer, error) {
		return b.patgate(ctx, b.binary, name, fmt.Sprint("setting-", len(b.peers)), t)
	}
}

// startUnprofiled starts a patgate that was built without the profile.
func (b *peerBench) startUnprofiled(ctx context.Context) (*peer, error) {
	binary := filepath.Join(b.dir, "patgate-unprofiled")
	progress("building patgate without its profile")
	if err := build(ctx, patgateCommand, binary, "-pgo=off"); err != nil {
		return nil, err
	}
	return b.patgate(ctx, binary, "built with -pgo=off", "setting-unprofiled", lean)
}
