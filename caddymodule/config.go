package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/patgate/patgate/policy"
)

// configuration is what of a configuration concerns patgate.
type configuration struct {
	app     *App
	sites   []site
	servers []gatedServer

	warnings []policy.Warning // see check
}

// gatedServer is a server, and which of the sites are its.
type gatedServer struct {
	server   *jsonServer
	from, to int
}

// readConfiguration reads a Caddyfile, or another configuration file with the
// adapter for it, and compiles the policies in it. An empty name means the
// Caddyfile in the current directory.
func readConfiguration(name, adapter string, stdin io.Reader) (*configuration, error) {
	file, err := readFile(cmp.Or(name, "Caddyfile"), stdin)
	if err != nil {
		return nil, err
	}
	adapter = file.adapter(adapter)
	body, err := file.adapted(adapter)
	if err != nil {
		return nil, err
	}
	c, err := parseConfiguration(body)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return nil, fmt.Errorf("reading configuration: %s: %s: a JSON %s can't stand here", file.name, cmp.Or(mistyped.Field, "the whole"), mistyped.Value)
	}
	if err != nil && adapter == "" {
		return nil, fmt.Errorf("%s: %w", file.name, err) // what is wrong in a Caddyfile says its line
	}
	return c, err
}

// parseConfiguration reads what concerns patgate out of Caddy's JSON.
func parseConfiguration(body []byte) (*configuration, error) {
	var config struct {
		Apps struct {
			Patgate json.RawMessage `json:"patgate"`
			HTTP    struct {
				Servers map[string]jsonServer `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(caddy.RemoveMetaFields(body), &config); err != nil { // "@id" may stand everywhere
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
		if err := c.addServer(&server); err != nil {
			return nil, err
		}
	}
	tellApart(c.sites)
	return c, nil
}

// addServer adds a server and its gates.
func (c *configuration) addServer(server *jsonServer) error {
	before, within := len(c.sites), site{ports: ports(server.Listen)}
	if err := c.add(server.Routes, within); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
		if err := c.add([]jsonRoute{server.NamedRoutes[name]}, within); err != nil {
			return err
		}
	}
	within.failed = true
	if err := c.add(server.Errors.Routes, within); err != nil {
		return err
	}
	c.servers = append(c.servers, gatedServer{server, before, len(c.sites)})
	return nil
}

// configFile is a configuration file as it was read.
type configFile struct {
	name string
	body []byte
}

// readFile reads a configuration file; - is standard input.
func readFile(name string, stdin io.Reader) (file configFile, err error) {
	file.name = name
	if name == "-" {
		file.body, err = io.ReadAll(stdin)
	} else {
		file.body, err = os.ReadFile(name)
	}
	if err == nil && len(bytes.TrimSpace(file.body)) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	if err != nil {
		return file, fmt.Errorf("reading configuration: %w", err)
	}
	return file, nil
}

// adapter returns the adapter for the file: the one given, or that of Caddyfiles; "" for
// JSON.
func (f *configFile) adapter(given string) string {
	if given == "" && filepath.Ext(f.name) != ".json" && !json.Valid(f.body) {
		return "caddyfile"
	}
	return given
}

// adapted returns the file as Caddy's JSON. Unlike Caddy's own function it logs nothing.
func (f *configFile) adapted(adapter string) ([]byte, error) {
	if adapter == "" {
		return f.body, f.validJSON()
	}
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, usageError(fmt.Errorf("there is no config adapter %q in this build", adapter))
	}
	body, _, err := a.Adapt(f.body, map[string]any{"filename": f.name})
	return body, err
}

// validJSON says where the file isn't JSON, if it isn't.
func (f *configFile) validJSON() error {
	var wrong *json.SyntaxError
	if err := json.Unmarshal(f.body, new(json.RawMessage)); errors.As(err, &wrong) {
		return fmt.Errorf("reading configuration: %s:%d: %w", f.name, 1+bytes.Count(f.body[:wrong.Offset], []byte{'\n'}), err)
	}
	return nil
}

// add adds the gates of routes within a site.
func (c *configuration) add(routes []jsonRoute, within site) error {
	for i := range routes {
		r, within := &routes[i], within
		for _, m := range r.Match {
			if hosts := m.hosts(); len(hosts) > 0 {
				within.hosts = hosts
			}
		}
		if also := r.besidesHosts(); within.matcher == "" {
			within.matcher = also
		} else if also != "" {
			within.matcher += " and " + also
		}
		for n := range r.Handle {
			h := &r.Handle[n]
			if h.Handler == "patgate" {
				if err := c.readGate(h); err != nil {
					return err
				}
				within.gate = h.gate
				c.sites = append(c.sites, within)
				continue
			}
			for _, below := range h.below() {
				if err := c.add(below, within); err != nil {
					return err
				}
			}
			failed := within
			failed.failed = true
			if err := c.add(h.failed(), failed); err != nil {
				return err
			}
		}
	}
	return nil
}

// readGate reads a gate as Caddy would, which takes no key that it doesn't know. One that
// runs is there already.
func (c *configuration) readGate(h *jsonHandler) error {
	if h.gate != nil {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(h.raw, &keys); err != nil {
		return fmt.Errorf("reading a gate: %w", err)
	}
	delete(keys, "handler")
	raw, _ := json.Marshal(keys) // was JSON: never fails
	h.gate = new(Handler)
	if err := caddy.StrictUnmarshalJSON(raw, h.gate); err != nil {
		return fmt.Errorf("reading a gate: %w", err)
	}
	if err := h.gate.compile(c.app.catalog); err != nil {
		return err
	}
	h.gate.policy.Own = ownSecrets(c.app.Token.Prefix)
	return nil
}
