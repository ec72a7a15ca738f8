// Package caddymodule is patgate's Caddy module: the glue between the gate and
// Caddy, one file for each face. With caddyroutes below it, it is the only package that
// knows Caddy.
//
// # The way of a request
//
//	handler.go      the gate: the way of a request
//	lookup.go       its token, found and judged
//	clientaddr.go   the address it comes from
//	identity.go     headers that tell the upstream who is asking
//	signed.go       one signed token that says so instead; its keys are in internal/keyring
//	reject.go       how a request is turned away
//	errorroutes.go  whether error routes turn it away instead, and what they serve
//	preflight.go    answers to CORS preflights
//	upload.go       a body that is still read when the answer begins
//	answer*.go      what of an answer is changed before it is sent: where the token is in
//	                the query of the URL, and cookies that would stand in for it
//	authorize.go    the gate of another proxy
//	transport.go    a leaner way to the API
//	fastcgi.go      whether programs may be told the URL as the client sent it
//
// How many unknown tokens an address may send is in internal/limiter.
//
// # Requests under way
//
//	stream.go       a request under way, and how it is cut
//	streams.go      which of them end, and when
//	websocket.go    WebSockets, and the close frame that ends them
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
//	app_check.go    mistakes in that
//	duration.go     a duration in it
//	store.go        which store a configuration means
//	hub.go          the store and the cache, which outlive configurations
//	hub_linger.go   a store that is closed only after the requests under way
//	pepper.go       the pepper, and whether the store was used with another
//	background.go   last uses, and what else requests leave for later
//	monitor.go      whether the store is heard, and can be asked
//	health.go       what load balancers are told of that
//	version.go      which version of patgate runs
//
// # The command line
//
//	command.go           its commands, how they run and how they fail
//	command_flags.go     flags and arguments, and what is refused of them
//	command_asking.go    commands that ask the running server
//	command_client.go    how they reach it
//	command_list.go      what it lists, page by page
//	command_print.go     how answers are printed
//	command_progress.go  how far a command has come, also where it is interrupted
//	command_secret.go    a secret read from standard input
//	command_token*.go    patgate token: one file for all but list, import and pattern
//	command_owner.go     patgate owner
//	command_policy*.go   patgate policy: routes and test in the first
//	command_store.go     patgate store
//	command_events.go    patgate events
//	command_report.go    patgate report
//	command_status.go    patgate status
//	command_demo.go      patgate demo
//
// # The management API
//
//	admin.go          its routes on Caddy's admin endpoint
//	admin_call.go     a request to it, until it is answered
//	admin_tokens.go   tokens: verify, import and export; the others are in internal/rest
//	admin_owners.go   owners
//	admin_events.go   the audit trail
//	admin_explain.go  what a request would be answered
//	admin_status.go   the store, the cache and the gateways
//	admin_store.go    check and backup
//
// # What people see
//
//	caddyfile*.go   what operators write
//	console.go      the page for the owners of tokens
//	explain.go      what the gate makes of a request, without serving it
//	sites.go        the gates of a configuration, running or not
//	config.go       a configuration file, read but not run, and what is probably a mistake in it
//
// Package caddyroutes, below this one, follows requests through the routes of such a
// configuration.
package caddymodule
