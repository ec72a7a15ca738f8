package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"

	"github.com/patgate/patgate/policy"
)

// site is a gate with the hosts whose requests come to it.
type site struct {
	hosts []string // empty: all
	ports []string // of the server it is on
	named bool     // its name has the ports: another site is on the same hosts
	gate  *Handler
	// matcher is what requests must match besides the host to come to the gate, in
	// Caddy's JSON; others pass it by. Of running sites it isn't known.
	matcher string
}

// String names the site.
func (s site) String() string {
	name := "(any host)"
	if len(s.hosts) > 0 {
		name = strings.Join(s.hosts, ", ")
	}
	if s.named {
		name += " on port " + strings.Join(s.ports, ", ")
	}
	return name
}

// tellApart has sites that differ only in their ports be named with these.
func tellApart(sites []site) []site {
	for i := range sites {
		sites[i].named = slices.ContainsFunc(sites, func(other site) bool {
			return slices.Equal(other.hosts, sites[i].hosts) && !slices.Equal(other.ports, sites[i].ports)
		})
	}
	return sites
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

// serves reports whether requests to the host, without a port, come to the site.
func (s site) serves(host string) bool {
	for _, pattern := range s.hosts {
		if certmagic.MatchWildcard(strings.ToLower(host), strings.ToLower(pattern)) {
			return true
		}
	}
	return len(s.hosts) == 0
}

// siteFor returns the site that requests to host come to, which may have a port
// behind it, or whose gate is written at the place that host is, as file:line.
// Without a host it must be the only one. A port tells sites on the same host
// apart; where none has it, something before Caddy may have another.
func siteFor(sites []site, host string) (site, error) {
	if len(sites) == 0 {
		return site{}, errNoSites
	}
	if host == "" && len(sites) == 1 {
		return sites[0], nil
	}
	var names, places []string
	for _, s := range sites {
		if s.gate.At != "" && s.gate.At == host {
			return s, nil
		}
		name := s.String()
		if s.gate.At != "" {
			name += ", " + s.gate.At
		}
		names = append(names, name)
	}
	u := url.URL{Host: host}
	name, port := u.Hostname(), u.Port()
	onPort := func(s site) bool { return slices.Contains(s.ports, port) }
	if port != "" && slices.ContainsFunc(sites, func(s site) bool { return onPort(s) && s.serves(name) }) {
		sites = slices.DeleteFunc(slices.Clone(sites), func(s site) bool { return !onPort(s) })
	}
	var found site
	for _, s := range sites {
		// Caddy has the more specific of a server's sites first.
		if name != "" && s.serves(name) && (found.gate == nil || slices.Equal(found.hosts, s.hosts)) {
			found = s
			places = append(places, s.gate.At)
		}
	}
	switch {
	case len(places) == 1:
		return found, nil
	case len(places) > 1:
		return site{}, fmt.Errorf("%s has several gates (%s): say which one is meant with --site and its port or its place",
			name, strings.Join(places, "; "))
	case host == "":
		return site{}, fmt.Errorf("several gates could be meant (%s): say which one with the whole URL, or with --site and its host or its place", strings.Join(names, "; "))
	}
	return site{}, fmt.Errorf("no site with patgate serves %s; those that do: %s", host, strings.Join(names, "; "))
}

// configuration is a configuration that was read, but isn't running.
type configuration struct {
	app      *App
	sites    []site
	warnings []policy.Warning // of what stands beside the gates
}

// readConfiguration reads a Caddyfile, or another configuration file with the
// adapter for it, and compiles the policies in it. An empty file means the
// Caddyfile in the current directory.
func readConfiguration(file, adapter string) (*configuration, error) {
	if file == "" {
		file = "Caddyfile"
	}
	body, err := adaptedConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	return parseConfiguration(body)
}

// parseConfiguration reads what concerns patgate out of Caddy's JSON.
func parseConfiguration(body []byte) (*configuration, error) {
	var config struct {
		Apps struct {
			Patgate json.RawMessage `json:"patgate"`
			HTTP    struct {
				Servers map[string]struct {
					Listen      []string             `json:"listen"`
					Routes      []jsonRoute          `json:"routes"`
					NamedRoutes map[string]jsonRoute `json:"named_routes"`
					Errors      struct {
						Routes []jsonRoute `json:"routes"`
					} `json:"errors"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &configuration{app: new(App)}
	if len(config.Apps.Patgate) > 0 {
		if err := caddy.StrictUnmarshalJSON(config.Apps.Patgate, c.app); err != nil {
			return nil, fmt.Errorf("reading the patgate app: %w", err)
		}
	}
	var err error
	if c.app.catalog, err = policy.NewCatalog(c.app.Scopes); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(config.Apps.HTTP.Servers)) {
		server := config.Apps.HTTP.Servers[key]
		routes := server.Routes
		for _, name := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			routes = append(routes, server.NamedRoutes[name])
		}
		before := len(c.sites)
		if err := c.add(routes, site{ports: ports(server.Listen)}); err != nil {
			return nil, err
		}
		c.checkErrorRoutes(server.Errors.Routes, c.sites[before:])
	}
	tellApart(c.sites)
	c.checkAudiences()
	return c, nil
}

// checkAudiences warns of gates on different hosts whose signed identities nothing
// tells apart, for they name neither an audience nor a realm.
func (c *configuration) checkAudiences() {
	var first *site
	for i, s := range c.sites {
		if signed := s.gate.signed; signed == nil || s.gate.Realm != "" || s.gate.IdentityHeaders.Signed.Audience != "" {
			continue
		}
		if first == nil {
			first = &c.sites[i]
		} else if !slices.Equal(first.hosts, s.hosts) {
			c.warn(s.gate, warnAudience, "identities signed here are for the same audience as those of "+first.String()+", "+s.gate.signed.Audience+
				", and the API of one site takes those of the other: give each a realm, or an audience")
		}
	}
}

// jsonRoute is a route of Caddy's HTTP app, as far as it matters here.
type jsonRoute struct {
	Match  []jsonMatch       `json:"match"`
	Handle []json.RawMessage `json:"handle"`
}

// jsonMatch is a set of Caddy's matchers by their names.
type jsonMatch map[string]json.RawMessage

// hosts returns those that the set is for; none: all.
func (m jsonMatch) hosts() (hosts []string) {
	json.Unmarshal(m["host"], &hosts) // anything else Caddy will refuse
	return hosts
}

// besidesHosts returns what the route matches requests by besides their hosts, ""
// for nothing.
func (r *jsonRoute) besidesHosts() string {
	var sets []string
	for _, m := range r.Match {
		m = maps.Clone(m)
		delete(m, "host")
		if len(m) == 0 {
			return ""
		}
		text, _ := json.Marshal(m) // was JSON: never fails
		sets = append(sets, string(text))
	}
	return strings.Join(sets, " or ")
}

// jsonHandler is a handler of Caddy's HTTP app, as far as it matters here.
type jsonHandler struct {
	Handler string      `json:"handler"`
	Routes  []jsonRoute `json:"routes"`
}

// checkErrorRoutes warns of error routes, at the sites of a server, that forward
// what the gate has turned away.
func (c *configuration) checkErrorRoutes(routes []jsonRoute, sites []site) {
	for _, s := range sites {
		if slices.ContainsFunc(routes, func(r jsonRoute) bool { return r.takesHosts(s.hosts) && r.forwardsRejections() }) {
			c.warn(s.gate, warnPassedBy, "handle_errors forwards requests that this gate turns away, unjudged: "+
				"say which errors it is for, and none that the gate answers (400, 401, 403, 429, 503), as in handle_errors 502 504")
		}
	}
}

// takesHosts reports whether the route takes requests to one of the hosts.
func (r *jsonRoute) takesHosts(hosts []string) bool {
	if len(r.Match) == 0 || len(hosts) == 0 {
		return true
	}
	for _, m := range r.Match {
		if of := m.hosts(); len(of) == 0 || slices.ContainsFunc(of, func(host string) bool { return slices.Contains(hosts, host) }) {
			return true
		}
	}
	return false
}

// forwardsRejections reports whether the route proxies requests that a gate has
// turned away, as far as can be told, and has no gate of its own.
func (r *jsonRoute) forwardsRejections() bool {
	for _, m := range r.Match {
		if m["vars"] != nil || m["expression"] != nil && !takesRejections(m["expression"]) {
			return false
		}
	}
	for _, raw := range r.Handle {
		var h jsonHandler
		switch {
		case json.Unmarshal(raw, &h) != nil:
		case h.Handler == "patgate":
			return false
		case h.Handler == "reverse_proxy", slices.ContainsFunc(h.Routes, func(below jsonRoute) bool { return below.forwardsRejections() }):
			return true
		}
	}
	return false
}

// statusTest is how an expression asks for the status, as handle_errors writes it.
var statusTest = regexp.MustCompile(`status_code\} (?:in \[([\d, ]+)\]|== (\d+)|>= (\d+) && \{[\w.]+\} <= (\d+))`)

// takesRejections reports whether an expression is true of a status that gates
// answer. One that can't be read is taken to be the operator's own business.
func takesRejections(expression json.RawMessage) bool {
	var text string
	if json.Unmarshal(expression, &text) != nil {
		var named struct{ Expr string }
		if json.Unmarshal(expression, &named) != nil {
			return false
		}
		text = named.Expr
	}
	for _, test := range statusTest.FindAllStringSubmatch(text, -1) {
		for _, reason := range policy.Reasons() {
			status := strconv.Itoa(reason.Status())
			if reason == policy.Forward {
				continue
			}
			if slices.Contains(strings.Split(test[1], ", "), status) || test[2] == status || test[3] != "" && test[3] <= status && status <= test[4] {
				return true
			}
		}
	}
	return false
}

// answering are the handlers of Caddy that pass no request on.
var answering = []string{"reverse_proxy", "static_response", "error", "patgate_console", "patgate_health"}

// add adds the gates of routes within a site.
func (c *configuration) add(routes []jsonRoute, within site) error {
	answered := "" // by this handler, all requests before they come to what follows
	for _, r := range routes {
		within, before := within, answered
		for _, m := range r.Match {
			if hosts := m.hosts(); len(hosts) > 0 {
				within.hosts = hosts
			}
		}
		for i, raw := range r.Handle {
			var h jsonHandler
			if err := json.Unmarshal(raw, &h); err != nil || h.Handler != "patgate" {
				if slices.Contains(answering, h.Handler) && before == "" {
					before = h.Handler
				}
				if err := c.add(h.Routes, within); err != nil { // none, but for subroutes
					return err
				}
				continue
			}
			gate, err := c.readGate(raw)
			if err != nil {
				return err
			}
			within.gate = gate
			if i == len(r.Handle)-1 {
				within.matcher = r.besidesHosts()
			}
			c.sites = append(c.sites, within)
			if r := gate.policy.ByHost(); r != nil && len(within.hosts) == 0 {
				c.warnings = append(c.warnings, policy.Warning{At: cmp.Or(r.At, gate.At), Kind: warnAnyHost, Text: r.String() +
					" is in the space or about the resource that a label of the host names, and this site is for every host: in one with more labels, frameworks take another label for it; name the hosts, as in *.api.example.com"})
			}
			if before != "" {
				c.warn(gate, warnPassedBy, "no request comes to this gate: "+before+" stands before it and answers; in a route block, and by the option order, what is written first comes first")
			} else if within.matcher != "" {
				c.warn(gate, warnPassedBy, "this gate judges only requests that match "+within.matcher+": all others pass it by, unjudged")
			}
		}
		if len(r.Match) == 0 {
			answered = before
		}
	}
	return nil
}

// readGate reads a gate as Caddy would, which takes no key that it doesn't know.
func (c *configuration) readGate(raw json.RawMessage) (*Handler, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("reading a gate: %w", err)
	}
	delete(keys, "handler")
	raw, _ = json.Marshal(keys) // was JSON: never fails
	gate := new(Handler)
	if err := caddy.StrictUnmarshalJSON(raw, gate); err != nil {
		return nil, fmt.Errorf("reading a gate: %w", err)
	}
	if err := gate.compile(c.app.catalog); err != nil {
		return nil, err
	}
	gate.policy.Own = ownSecrets(c.app.Token.Prefix)
	return gate, nil
}

func (c *configuration) warn(gate *Handler, kind, text string) {
	c.warnings = append(c.warnings, policy.Warning{At: gate.At, Kind: kind, Text: text})
}

// The kinds of warnings.
const (
	warnPassedBy = "passed_by"     // what comes past a gate
	warnAudience = "same_audience" // of signed identities
	warnAnyHost  = "label_of_any_host"
)

// runningSites returns the gates of a running configuration.
func runningSites(app *caddyhttp.App) (sites []site) {
	for _, key := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[key]
		within := site{ports: ports(server.Listen)}
		sites = appendSites(sites, server.Routes, within)
		for _, name := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			sites = appendSites(sites, caddyhttp.RouteList{*server.NamedRoutes[name]}, within)
		}
	}
	return tellApart(sites)
}

func appendSites(sites []site, routes caddyhttp.RouteList, within site) []site {
	for _, r := range routes {
		within := within
		for _, set := range r.MatcherSets {
			for _, m := range set {
				if match, ok := m.(*caddyhttp.MatchHost); ok {
					within.hosts = *match
				}
			}
		}
		for _, h := range r.Handlers {
			switch h := h.(type) {
			case *Handler:
				within.gate = h
				sites = append(sites, within)
			case *caddyhttp.Subroute:
				sites = appendSites(sites, h.Routes, within)
			}
		}
	}
	return sites
}
