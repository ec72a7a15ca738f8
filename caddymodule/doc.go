// Package caddymodule is patgate's Caddy module: the glue between the gate and
// Caddy, one file for each face. It is the only package that knows Caddy.
//
// # The way of a request
//
//	handler.go      the gate: the way of a request
//	client.go       the address it comes from
//	identity.go     headers that tell the upstream who is asking
//	signed.go       one signed token that says so instead
//	keyring.go      the keys it is signed with
//	reject.go       how a request is turned away
//	errorroutes.go  whether error routes turn it away instead, and what they serve
//	limiter.go      how many unknown tokens an address may send
//	discreet.go     answers to requests with a token in the URL
//	preflight.go    answers to CORS preflights
//	headwriter.go   what of an answer is changed before it is sent
//	authorize.go    the gate of another proxy
//	transport.go    a leaner way to the API
//
// # Requests under way
//
//	stream.go       a request under way, and how it is cut
//	streams.go      which of them end, and when
//	websocket.go    WebSockets, and where in them a close frame may stand
//
// # What is said of requests
//
//	outcome.go      placeholders and access-log fields
//	report.go       what report mode has forwarded
//	rejections.go   what is rejected most, for status
//	metrics.go      counters
//	tracing.go      what spans say
//	logencoder.go   a log format that shows no tokens
//	logfields.go    its fields, kept until a line is written
//	logmask.go      what logs are not to show, and a warning where they would
//
// # What lives as long as the server
//
//	app.go          the app: what is configured once for the whole server
//	store.go        which store a configuration means
//	hub.go          the store and the cache, which outlive configurations
//	linger.go       a store that is closed only after the requests under way
//	pepper.go       whether the store was used with another pepper
//	keeper.go       last uses, and what else requests leave for later
//	lookout.go      whether the store is heard, and can be asked
//	health.go       what load balancers are told of that
//
// # What people see
//
//	caddyfile*.go   what operators write
//	command*.go     the command line
//	admin*.go       the management API on Caddy's admin endpoint
//	console.go      the page for the owners of tokens
//	explain.go      what the gate makes of a request, without serving it
//	sites.go        the gates of a configuration, running or not
//	config.go       a configuration file, read but not run
//	config_routes.go    Caddy's routes in one, as far as they matter
//	config_walk.go      the ways of requests through these
//	config_flow.go      what is known of the requests on a way
//	config_status.go    which errors a matcher is for
//	config_warnings.go  what in one is probably a mistake
package caddymodule
