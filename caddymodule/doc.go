// Package caddymodule is patgate's Caddy module: the glue between the gate and
// Caddy, one file for each face.
//
//	app.go        the app: what is configured once for the whole server
//	hub.go        the store and the cache, which outlive configurations
//	handler.go    the gate: the way of a request
//	reject.go     how a request is turned away
//	outcome.go    placeholders, access-log fields and identity headers
//	limiter.go    how many unknown tokens an address may send
//	caddyfile*.go what operators write
//	admin*.go     the management API on Caddy's admin endpoint
//	command*.go   the command line
//	metrics.go    counters
//
// It is the only package that knows Caddy.
package caddymodule
