package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/caddymodule/caddyroutes"
	"github.com/patgate/patgate/policy"
)

// errorGuard is a handler before error routes. Caddy hands these the request and the writer
// as they came in, without what gates have wrapped around them: errorGuard wraps them again.
//
// From requests that failed before they came to a gate, it removes the headers that say who
// is asking.
type errorGuard struct {
	identity []string // the headers of the server's gates, besides those with policy.IdentityPrefix
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (g *errorGuard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if first(r.Context()) == nil {
		for name := range r.Header {
			if strings.HasPrefix(name, policy.IdentityPrefix) || !policy.PlainHeaderName(name) && name != policy.ExtendedConnect || slices.Contains(g.identity, name) {
				delete(r.Header, name)
			}
		}
	}
	closes, answered := false, false
	for o := first(r.Context()); o != nil; o = o.later {
		if o.stream.ended.Load() != 0 {
			panic(http.ErrAbortHandler) // it was cut: nothing may be answered in place of what failed then
		}
		if o.wrapped {
			continue // by a gate before the routes that have failed, or by another errorGuard
		}
		o.secrets = append(o.secrets, o.gate.shown(r.URL.RawQuery, "")...) // of before a rewrite
		w, r = o.wrap(w, r)
		defer func() { o.unwrap(answered) }()
		closes = closes || o.closes
	}
	err := next.ServeHTTP(w, r)
	for o := first(r.Context()); o != nil; o = o.later {
		o.breakOff(r)
	}
	answered = err == nil
	if closes && err == nil {
		drain(w, r)
	}
	return err
}

// guardErrorRoutes puts an errorGuard before the error routes, of the server and of
// subroutes, that requests may come to from the gate that is being provisioned.
func (h *Handler) guardErrorRoutes(ctx caddy.Context, server *caddyhttp.Server) error {
	for _, module := range ctx.Modules() {
		if around, ok := module.(*caddyhttp.Subroute); ok {
			h.guardErrors(around.Routes, around.Errors)
		}
	}
	if !h.guardErrors(server.Routes, server.Errors) && caddyroutes.MayForward(server.Errors.Routes) {
		return errors.New("a gate in a named route can't watch over what the error routes of its server forward, which are made before it: import a snippet in place of invoke")
	}
	return nil
}

// guardErrors puts an errorGuard before the error routes of routes. It reports whether
// those that need one have it: it is too late when Caddy has provisioned them.
func (h *Handler) guardErrors(routes caddyhttp.RouteList, failed *caddyhttp.HTTPErrorConfig) bool {
	if failed == nil || len(failed.Routes) == 0 {
		return true
	}
	if g := errorGuardOf(failed.Routes); g != nil {
		g.identity = append(g.identity, h.remove...)
		return true
	}
	if !beingProvisioned(routes) {
		return beingProvisioned(failed.Routes) // the gate is in one of them
	}
	guard := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{&errorGuard{slices.Clone(h.remove)}}}
	failed.Routes = append(caddyhttp.RouteList{guard}, failed.Routes...)
	return true
}

// errorGuardOf returns the guard of error routes, or nil.
func errorGuardOf(routes caddyhttp.RouteList) *errorGuard {
	for _, handler := range routes[0].Handlers {
		if g, is := handler.(*errorGuard); is {
			return g
		}
	}
	return nil
}

// beingProvisioned reports whether some of the routes still have what their handlers
// are made of, which Caddy forgets when it has made them.
func beingProvisioned(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 })
}

// withErrorRoutes returns the server of the request, if it has error routes that are yet to
// come. An authorization service leaves nothing to them.
func withErrorRoutes(r *http.Request) *caddyhttp.Server {
	s, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || s == nil || s.Errors == nil || len(s.Errors.Routes) == 0 ||
		r.Context().Value(caddyhttp.ErrorCtxKey) != nil || r.Context().Value(authorizing{}) != nil {
		return nil
	}
	return s
}

// leftToErrorRoutes reports whether error routes of the server take the error,
// and so get patgate's rejections as they get those of Caddy's own handlers.
// Sites on one port share a server: error routes of another site, or for another
// status, don't take it, and Caddy would answer with an empty body.
func leftToErrorRoutes(s *caddyhttp.Server, r *http.Request, err error) bool {
	r = s.Errors.WithError(r, err)
	// Error routes see the request as it came in.
	if sent, known := sentRequest(r.Context()); known {
		r.Method, r.URL, r.RequestURI = sent.Method, sent.URL, sent.RequestURI
	}
	return take(s.Errors.Routes, r)
}

// take reports whether one of the routes, or of those below them, has a handler
// for the request. A matcher that fails is for Caddy to report.
func take(routes caddyhttp.RouteList, r *http.Request) bool {
	for i := range routes {
		matches, err := routes[i].MatcherSets.AnyMatchWithError(r)
		if err != nil {
			return true
		}
		if !matches {
			continue
		}
		for _, handler := range routes[i].Handlers {
			switch handler := handler.(type) {
			case *errorGuard:
			case *caddyhttp.Subroute:
				if take(handler.Routes, r) {
					return true
				}
			default:
				return true
			}
		}
		if routes[i].Terminal {
			return false
		}
	}
	return false
}
