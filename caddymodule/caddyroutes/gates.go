package caddyroutes

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// ReadGates finds the sites of the server. Gates that Caddy hasn't made, read makes of
// their JSON.
func (s *Server) ReadGates(read func(json.RawMessage) (Gate, error)) error {
	g := gateReader{server: s, read: read, invoked: map[string]map[invocation]bool{}}
	within := Site{Ports: ports(s.Listen)}
	if _, err := g.routes(s.Routes, within); err != nil {
		return err
	}
	failed := within
	failed.Failed = true
	if _, err := g.routes(s.Errors.Routes, failed); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.NamedRoutes)) {
		if g.invoked[name] == nil { // by no route
			if _, err := g.invoke(name, within); err != nil {
				return err
			}
		}
	}
	return nil
}

// gateReader goes through the routes of a server, into named routes where they are invoked,
// and finds its sites.
type gateReader struct {
	server *Server
	read   func(json.RawMessage) (Gate, error)
	// invoked are the named routes that were gone through, with the ways to each, and whether
	// some of the requests that leave it were rewritten.
	invoked map[string]map[invocation]bool
}

// invocation is what matters of how requests come to a named route. Each is gone through
// once: the ways through named routes that invoke others can be millions, or have no end.
type invocation struct {
	hosts                    string
	failed, asked, rewritten bool
}

// routes goes through routes within a site. It returns whether some of the requests that
// leave them were rewritten.
func (g *gateReader) routes(routes []route, within Site) (rewritten bool, err error) {
	asked := within.Asked
	rewritten = within.Rewritten
	untaken := map[string]bool{} // the same of those that were on no route of a group
	for i := range routes {
		r, within := &routes[i], within
		if _, begun := untaken[r.Group]; !begun || r.Group == "" {
			untaken[r.Group] = rewritten
		}
		within.Rewritten = untaken[r.Group]
		for _, m := range r.Match {
			if hosts := m.hosts(); len(hosts) > 0 {
				within.Hosts = hosts
			}
		}
		if also := r.besidesHosts(); within.Matcher == "" {
			within.Matcher = also
		} else if also != "" {
			within.Matcher += " and " + also
		}
		for n := range r.Handle {
			h := &r.Handle[n]
			asked = asked || h.Handler == "patgate_authorize"
			within.Asked = asked
			if within.Rewritten, err = g.handler(h, within); err != nil {
				return false, err
			}
		}
		goesOn := within.Rewritten && !r.Terminal
		if r.Group == "" {
			for group := range untaken {
				untaken[group] = untaken[group] || goesOn
			}
		}
		rewritten = goesOn || rewritten && (len(r.Match) > 0 || r.Group != "")
	}
	return rewritten, nil
}

// handler does for a handler what routes does for routes.
func (g *gateReader) handler(h *handler, within Site) (rewritten bool, err error) {
	switch h.Handler {
	case "patgate":
		return within.Rewritten, g.gate(h, within)
	case "invoke":
		return g.invoke(h.Name, within)
	case "rewrite":
		return true, nil
	}
	below, goOn := h.below(), false
	for _, routes := range below {
		out, err := g.routes(routes, within)
		if err != nil {
			return false, err
		}
		goOn = goOn || out
	}
	failed := within
	failed.Failed = true
	if _, err := g.routes(h.failed(), failed); err != nil {
		return false, err
	}
	if h.answers() || len(below) > 0 && h.Handler != "intercept" {
		return goOn, nil
	}
	return within.Rewritten, nil
}

// gate adds the site of a gate. To one in a named route, requests for the same hosts may
// come in several ways.
func (g *gateReader) gate(h *handler, within Site) (err error) {
	if h.gate == nil {
		if h.gate, err = g.read(h.raw); err != nil {
			return err
		}
	}
	within.Gate = h.gate
	for i := range g.server.Sites {
		s := &g.server.Sites[i]
		if s.Gate == within.Gate && s.Failed == within.Failed && slices.Equal(s.Hosts, within.Hosts) {
			s.Asked, s.Rewritten = s.Asked || within.Asked, s.Rewritten || within.Rewritten
			return nil
		}
	}
	g.server.Sites = append(g.server.Sites, within)
	return nil
}

// invoke goes through a named route. Its matcher is the route's own: others may lead
// there as well.
func (g *gateReader) invoke(name string, within Site) (rewritten bool, err error) {
	r, known := g.server.NamedRoutes[name]
	if !known {
		return false, nil // it fails
	}
	by := invocation{strings.Join(within.Hosts, " "), within.Failed, within.Asked, within.Rewritten}
	if rewritten, known := g.invoked[name][by]; known {
		return rewritten, nil
	}
	if g.invoked[name] == nil {
		g.invoked[name] = map[invocation]bool{}
	}
	g.invoked[name][by] = false
	within.Matcher = ""
	rewritten, err = g.routes([]route{r}, within)
	g.invoked[name][by] = rewritten
	return rewritten, err
}
