package caddymodule

import (
	"encoding/json"
	"fmt"
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

// siteFor returns the site that requests to host come to. Without a host it
// must be the only one.
func siteFor(sites []site, host string) (site, error) {
	if len(sites) == 0 {
		return site{}, fmt.Errorf("no site of the configuration uses patgate")
	}
	if host == "" && len(sites) == 1 {
		return sites[0], nil
	}
	var names []string
	for _, s := range sites {
		if host != "" && s.serves(host) {
			return s, nil
		}
		names = append(names, s.String())
	}
	if host == "" {
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
	for _, server := range config.Apps.HTTP.Servers {
		routes := server.Routes
		for _, named := range server.NamedRoutes {
			routes = append(routes, named)
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
	for _, server := range app.Servers {
		sites = appendSites(sites, server.Routes, nil)
		for _, named := range server.NamedRoutes {
			sites = appendSites(sites, caddyhttp.RouteList{*named}, nil)
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
