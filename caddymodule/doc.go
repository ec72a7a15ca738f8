// Package caddymodule is patgate's Caddy module: the glue between the gate and
// Caddy, one file for each face.
//
//	app.go        the app: what is configured once for the whole server
//	hub.go        the store and the cache, which outlive configurations
//	store.go      which store a configuration means
//	handler.go    the gate: the way of a request
//	reject.go     how a request is turned away
//	outcome.go    placeholders, access-log fields and identity headers
//	report.go     what report mode has forwarded
//	limiter.go    how many unknown tokens an address may send
//	caddyfile*.go what operators write
//	admin*.go     the management API on Caddy's admin endpoint
//	command*.go   the command line
//	explain.go    what the gate makes of a request, without serving it
//	sites.go      the gates of a configuration, running or not
//	demo.go       the gate at work
//	metrics.go    counters
//
// It is the only package that knows Caddy.
package caddymodule
