// Package caddymodule is patgate's Caddy module: the glue between the gate and
// Caddy, one file for each face.
//
//	app.go        the app: what is configured once for the whole server
//	hub.go        the store and the cache, which outlive configurations
//	linger.go     a store that is closed only after the requests under way
//	pepper.go     whether the store was used with another pepper
//	store.go      which store a configuration means
//	handler.go    the gate: the way of a request
//	reject.go     how a request is turned away
//	errorroutes.go whether the server's error routes turn it away instead
//	outcome.go    what became of a request: placeholders and access-log fields
//	identity.go   headers that tell the upstream who is asking
//	report.go     what report mode has forwarded
//	rejections.go what is rejected most, for status
//	keeper.go     last uses, and what else requests leave for later
//	lookout.go    whether the store is heard, and can be asked
//	health.go     what load balancers are told of that
//	authorize.go  the gate of another proxy
//	console.go    the page for the owners of tokens
//	limiter.go    how many unknown tokens an address may send
//	stream.go     a request under way, and how it is cut
//	streams.go    which of them end, and when
//	websocket.go  WebSockets, and where in them a close frame may stand
//	signed.go     one signed token that says who is asking
//	keyring.go    the keys it is signed with
//	discreet.go   answers to requests with a token in the URL
//	preflight.go  answers to CORS preflights
//	logencoder.go a log format that shows no tokens
//	logfields.go  an encoder's fields, kept until a line is written
//	logmask.go    what logs are not to show, and a warning where they would
//	caddyfile*.go what operators write
//	admin*.go     the management API on Caddy's admin endpoint
//	command*.go   the command line
//	explain.go    what the gate makes of a request, without serving it
//	sites.go      the gates of a configuration, running or not
//	configuration.go a configuration file, read but not run
//	configuration_warnings.go what in one is probably a mistake
//	transport.go  a leaner way to the API
//	metrics.go    counters
//	tracing.go    what spans say
//
// It is the only package that knows Caddy.
package caddymodule
