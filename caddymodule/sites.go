package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"

	"github.com/patgate/patgate/policy"
)

// site is a gate with the hosts whose requests come to it.
type site struct {
	hosts []string // empty: all
	gate  *Handler
}

// String names the site.
func (s site) String() string {
	if len(s.hosts) == 0 {
		return "(any host)"
	}
	return strings.Join(s.hosts, ", ")
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

// siteFor returns the site that requests to host come to, or whose gate is
// written at the place that host is, as file:line. Without a host it must be the
// only one.
func siteFor(sites []site, host string) (site, error) {
	if len(sites) == 0 {
		return site{}, fmt.Errorf("no site of the configuration uses patgate")
	}
	if host == "" && len(sites) == 1 {
		return sites[0], nil
	}
	var names, places []string
	var found site
	for _, s := range sites {
		if s.gate.At != "" && s.gate.At == host {
			return s, nil
		}
		names = append(names, s.String())
		// Caddy has the more specific of a server's sites first.
		if host != "" && s.serves(host) && (found.gate == nil || found.String() == s.String()) {
			found = s
			places = append(places, s.gate.At)
		}
	}
	switch {
	case len(places) == 1:
		return found, nil
	case len(places) > 1:
		return site{}, fmt.Errorf("%s has several gates (%s): which one a request comes to, only the running server knows; --site says which one is meant, by its place",
			found, strings.Join(places, "; "))
	case host == "":
		return site{}, fmt.Errorf("several sites use patgate (%s): say which one by its host", strings.Join(names, "; "))
	}
	return site{}, fmt.Errorf("no site with patgate serves %s; those that do: %s", host, strings.Join(names, "; "))
}

// configuration is a configuration that was read, but isn't running.
type configuration struct {
	app   *App
	sites []site
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
					Routes      []jsonRoute          `json:"routes"`
					NamedRoutes map[string]jsonRoute `json:"named_routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &configuration{app: new(App)}
	if len(config.Apps.Patgate) > 0 {
		if err := json.Unmarshal(config.Apps.Patgate, c.app); err != nil {
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
		if err := c.add(routes, nil); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// jsonRoute is a route of Caddy's HTTP app, as far as it matters here.
type jsonRoute struct {
	Match []struct {
		Host []string `json:"host"`
	} `json:"match"`
	Handle []json.RawMessage `json:"handle"`
}

func (c *configuration) add(routes []jsonRoute, hosts []string) error {
	for _, r := range routes {
		within := hosts
		for _, m := range r.Match {
			if len(m.Host) > 0 {
				within = m.Host
			}
		}
		for _, raw := range r.Handle {
			var h struct {
				Handler string      `json:"handler"`
				Routes  []jsonRoute `json:"routes"`
			}
			if err := json.Unmarshal(raw, &h); err != nil || h.Handler != "patgate" {
				if err := c.add(h.Routes, within); err != nil { // none, but for subroutes
					return err
				}
				continue
			}
			gate := new(Handler)
			if err := json.Unmarshal(raw, gate); err != nil {
				return fmt.Errorf("reading a gate: %w", err)
			}
			if err := gate.compile(c.app.catalog); err != nil {
				return err
			}
			gate.policy.Own = ownSecrets(c.app.Token.Prefix)
			c.sites = append(c.sites, site{hosts: within, gate: gate})
		}
	}
	return nil
}

// runningSites returns the gates of a running configuration.
func runningSites(app *caddyhttp.App) (sites []site) {
	for _, key := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[key]
		sites = appendSites(sites, server.Routes, nil)
		for _, name := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			sites = appendSites(sites, caddyhttp.RouteList{*server.NamedRoutes[name]}, nil)
		}
	}
	return sites
}

func appendSites(sites []site, routes caddyhttp.RouteList, hosts []string) []site {
	for _, r := range routes {
		within := hosts
		for _, set := range r.MatcherSets {
			for _, m := range set {
				if match, ok := m.(*caddyhttp.MatchHost); ok {
					within = *match
				}
			}
		}
		for _, h := range r.Handlers {
			switch h := h.(type) {
			case *Handler:
				sites = append(sites, site{hosts: within, gate: h})
			case *caddyhttp.Subroute:
				sites = appendSites(sites, h.Routes, within)
			}
		}
	}
	return sites
}
