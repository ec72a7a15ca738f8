package caddyroutes

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// MayForward reports whether a proxy may be among the handlers of routes.
func MayForward(routes caddyhttp.RouteList) bool {
	var s proxySearch
	s.routes(fromRoutes(routes), true)
	return s.found
}

// ProxyBehindAuthorize reports whether a proxy may follow patgate_authorize.
func (s *Server) ProxyBehindAuthorize() bool {
	behind := proxySearch{named: s.NamedRoutes}
	behind.routes(s.Routes, false)
	return behind.found
}

// proxySearch goes through routes as requests may, and looks for proxies that follow an
// authorization service. What invoke leads to may be one.
type proxySearch struct {
	named   map[string]route
	invoked []string // the named routes that it is in
	found   bool
}

// routes goes through routes. asked says that all requests have come to patgate_authorize
// before. It reports whether some that leave the routes have.
func (s *proxySearch) routes(routes []route, asked bool) bool {
	var groups []string // of the routes where they were
	for _, r := range routes {
		// Of a group, such as that of handle blocks, a request comes to one route.
		here := asked || slices.ContainsFunc(groups, func(group string) bool { return group == "" || group != r.Group })
		for i := range r.Handle {
			here = s.handler(&r.Handle[i], here)
		}
		if here && !r.Terminal {
			groups = append(groups, r.Group)
		}
	}
	return asked || len(groups) > 0
}

// handler does for a handler what routes does for routes.
func (s *proxySearch) handler(h *handler, asked bool) bool {
	s.found = s.found || asked && (h.Handler == "reverse_proxy" || h.Handler == "invoke")
	lists := append(h.below(), h.failed())
	if r, known := s.named[h.Name]; h.Handler == "invoke" && known && !slices.Contains(s.invoked, h.Name) {
		lists = append(lists, []route{r})
		s.invoked = append(s.invoked, h.Name)
		defer func() { s.invoked = s.invoked[:len(s.invoked)-1] }()
	}
	after := asked || h.Handler == "patgate_authorize"
	for _, routes := range lists {
		after = s.routes(routes, asked) || after
	}
	return after
}
