package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// withErrorRoutes returns the server of the request, if it has error routes.
func withErrorRoutes(r *http.Request) *caddyhttp.Server {
	s, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || s == nil || s.Errors == nil || len(s.Errors.Routes) == 0 {
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
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.URL, r.RequestURI = original.Method, original.URL, original.RequestURI
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
			if below, ok := handler.(*caddyhttp.Subroute); !ok || take(below.Routes, r) {
				return true
			}
		}
		if routes[i].Terminal {
			return false
		}
	}
	return false
}
