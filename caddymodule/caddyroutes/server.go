package caddyroutes

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/policy"
)

// Server is a server of Caddy's HTTP app, as far as it matters here. It is decoded from
// Caddy's JSON.
type Server struct {
	Listen      []string         `json:"listen"`
	Routes      []route          `json:"routes"`
	NamedRoutes map[string]route `json:"named_routes"`
	Errors      routeList        `json:"errors"`

	Logs *caddyhttp.ServerLogConfig `json:"logs"`

	EnableFullDuplex bool           `json:"enable_full_duplex"`
	TrustedProxies   map[string]any `json:"trusted_proxies"` // nil: none, so clients come themselves

	Sites []Site `json:"-"` // once ReadGates has found them
}

// Gate is the handler patgate, as far as it matters to what surrounds it.
type Gate interface {
	// Place returns where it is written, as file:line; "": that isn't known.
	Place() string
	// Policy returns what it judges requests by.
	Policy() *policy.Policy
	// IdentityNames returns the headers in which it tells the upstream who is asking.
	IdentityNames() []string
}

// Site is a gate with the hosts whose requests come to it.
type Site struct {
	Gate  Gate
	Hosts []string // empty: all
	Ports []string // of the server it is on
	// Failed says that it is in error routes, and judges what has failed.
	Failed bool
	// Asked says that patgate_authorize comes before it.
	Asked bool
	// Matcher is what requests must match besides the host to come to the gate, in
	// Caddy's JSON; others pass it by. Of running sites it isn't known.
	Matcher string
	// Rewritten says that something before the gate rewrites requests, or some of them.
	Rewritten bool
}

// ports returns the ports of a server's addresses.
func ports(listen []string) (all []string) {
	for _, address := range listen {
		if a, err := caddy.ParseNetworkAddress(address); err == nil && a.StartPort > 0 {
			if port := strconv.Itoa(int(a.StartPort)); !slices.Contains(all, port) {
				all = append(all, port)
			}
		}
	}
	return all
}

// FromServer returns a server that Caddy has provisioned, or is provisioning, as it is
// decoded: with the handlers that are made as far as they matter to ReadGates and the
// search for proxies, and of matchers with the hosts.
func FromServer(server *caddyhttp.Server) *Server {
	s := &Server{Listen: server.Listen, Routes: fromRoutes(server.Routes), NamedRoutes: map[string]route{}, Logs: server.Logs}
	for name, r := range server.NamedRoutes {
		s.NamedRoutes[name] = fromRoutes(caddyhttp.RouteList{*r})[0]
	}
	if server.Errors != nil {
		s.Errors.Routes = fromRoutes(server.Errors.Routes)
	}
	return s
}

func fromRoutes(routes caddyhttp.RouteList) (all []route) {
	for _, r := range routes {
		read := route{Group: r.Group, Terminal: r.Terminal}
		for _, set := range r.MatcherSets {
			match := matcherSet{} // of others it is known only that they are there
			for _, m := range set {
				if hosts, ok := m.(*caddyhttp.MatchHost); ok {
					match["host"] = listed(*hosts...)
				}
			}
			read.Match = append(read.Match, match)
		}
		for _, raw := range r.HandlersRaw { // which Caddy forgets when it has made them
			var h handler
			_ = json.Unmarshal(raw, &h) // what is wrong with it, Caddy says
			read.Handle = append(read.Handle, h)
		}
		for _, made := range r.Handlers {
			var h handler
			if module, is := made.(caddy.Module); is {
				h.Handler = module.CaddyModule().ID.Name()
			}
			switch made := made.(type) {
			case Gate:
				h.gate = made
			case *caddyhttp.Invoke:
				h.Name = made.Name
			case *caddyhttp.Subroute:
				h.Routes = fromRoutes(made.Routes)
				if made.Errors != nil {
					h.Errors = &routeList{fromRoutes(made.Errors.Routes)}
				}
			}
			read.Handle = append(read.Handle, h)
		}
		all = append(all, read)
	}
	return all
}

// routeList is routes in an object of their own, as error routes are.
type routeList struct {
	Routes []route `json:"routes"`
}

// route is a route of Caddy's HTTP app, as far as it matters here.
type route struct {
	Group    string       `json:"group"`
	Match    []matcherSet `json:"match"`
	Handle   []handler    `json:"handle"`
	Terminal bool         `json:"terminal"`
}

// group returns a name for the route's group, "" for none. No name is a substring of
// another, or of two in a row, whatever the groups are called.
func (r *route) group() string {
	if r.Group == "" {
		return ""
	}
	return "[" + hex.EncodeToString([]byte(r.Group)) + "]"
}

// besidesHosts returns what the route matches requests by besides their hosts, ""
// for nothing.
func (r *route) besidesHosts() string {
	var sets []string
	for _, m := range r.Match {
		if m = m.without("host"); len(m) == 0 {
			return ""
		}
		sets = append(sets, m.String())
	}
	return strings.Join(sets, " or ")
}
