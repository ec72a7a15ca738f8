package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/patgate/patgate/policy"
)

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
	c, err := parseConfiguration(body)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return nil, fmt.Errorf("reading configuration: %s: %s: a JSON %s can't stand here", file, cmp.Or(mistyped.Field, "the whole"), mistyped.Value)
	}
	return c, err
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

// adaptedConfig reads a configuration file as Caddy's JSON; nil without a file.
// Unlike Caddy's own function it logs nothing.
func adaptedConfig(file, adapter string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, fmt.Errorf("reading configuration: %s is empty", file)
	}
	if adapter == "" && filepath.Ext(file) != ".json" {
		adapter = "caddyfile"
	}
	if adapter == "" {
		return body, validJSON(file, body)
	}
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, usageError(fmt.Errorf("there is no config adapter %q in this build", adapter))
	}
	body, _, err = a.Adapt(body, map[string]any{"filename": file})
	return body, err
}

// validJSON says where a file isn't JSON, if it isn't.
func validJSON(file string, body []byte) error {
	var wrong *json.SyntaxError
	if err := json.Unmarshal(body, new(json.RawMessage)); errors.As(err, &wrong) {
		return fmt.Errorf("reading configuration: %s:%d: %w", file, 1+bytes.Count(body[:wrong.Offset], []byte{'\n'}), err)
	}
	return nil
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
			var err error
			if within.gate, err = c.readGate(raw); err != nil {
				return err
			}
			if i == len(r.Handle)-1 {
				within.matcher = r.besidesHosts()
			}
			c.sites = append(c.sites, within)
			c.checkSite(within, before)
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
