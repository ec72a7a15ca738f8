// Package caddyroutes follows requests through the routes of a Caddy configuration that is
// read and not run, to the gates, and says what is probably a mistake: a gate that no
// request comes to, an upstream that is also reached past its gate, error routes that
// forward what a gate has turned away, judged headers that are changed after it.
//
// A [Server] is decoded from Caddy's JSON, and [Server.ReadGates] finds the gates in it,
// each with the hosts whose requests come to it; what a gate is, package caddymodule knows.
// [Check] goes all ways through the routes at once: a way is given by what is known of the
// requests on it, and splits at each matcher that may match or not. What isn't known of a
// matcher or a handler is taken for possible.
//
//	server.go   servers and their routes
//	gates.go    the gates in them, and the requests that come to each
//	match.go    what matchers match
//	handler.go  what a handler does with requests
//	proxies.go  whether a proxy is among the handlers
//	walk.go     the ways of requests through the routes
//	judge.go    what they meet at a gate, and what is odd before and behind it
//	flow.go     what is known of the requests on a way
//	status.go   which errors a matcher is for
//	check.go    what is warned of
package caddyroutes
