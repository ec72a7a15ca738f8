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
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/patgate/patgate/caddymodule/caddyroutes"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
)

// configuration is the part of a Caddy configuration that concerns patgate.
type configuration struct {
	app     *App
	servers []*caddyroutes.Server
	sites   []site                      // of all of them
	logs    map[string]*caddy.CustomLog // by their names
	keys    []policy.Warning            // of keys that Caddy takes, and that are hardly meant
}

// readConfiguration reads a Caddyfile, or another configuration file with the
// adapter for it, and compiles the policies in it. An empty name means the
// Caddyfile in the current directory.
func readConfiguration(name, adapter string, stdin io.Reader) (*configuration, error) {
	file, err := readFile(cmp.Or(name, "Caddyfile"), adapter, stdin)
	if err != nil {
		return nil, err
	}
	c, err := parseConfiguration(file.json)
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what := strings.TrimPrefix(strings.TrimSuffix(err.Error(), mistyped.Error()), "reading configuration: ")
		return nil, fmt.Errorf("reading configuration: %s: %s%s: a JSON %s doesn't belong here", file.name, what, cmp.Or(fieldInJSON(mistyped.Field), "the whole"), mistyped.Value)
	}
	if err != nil && file.adapter == "" {
		return nil, fmt.Errorf("%s: %w", file.name, err) // errors in a Caddyfile name the line
	}
	return c, err
}

// fieldInJSON returns the path to a field without the names of embedded structs, which are
// not in JSON.
func fieldInJSON(path string) string {
	embedded := func(name string) bool { return name != "" && 'A' <= name[0] && name[0] <= 'Z' }
	return strings.Join(slices.DeleteFunc(strings.Split(path, "."), embedded), ".")
}

// parseConfiguration reads what concerns patgate out of Caddy's JSON.
func parseConfiguration(body []byte) (*configuration, error) {
	var config struct {
		Logging caddy.Logging `json:"logging"`
		Apps    struct {
			Patgate json.RawMessage `json:"patgate"`
			HTTP    struct {
				Servers map[string]caddyroutes.Server `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(caddy.RemoveMetaFields(body), &config); err != nil { // "@id" may be anywhere
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &configuration{app: newApp(), logs: config.Logging.Logs}
	if len(config.Apps.Patgate) > 0 {
		if err := caddy.StrictUnmarshalJSON(config.Apps.Patgate, c.app); err != nil {
			return nil, fmt.Errorf("reading the patgate app: %w", err)
		}
		c.checkKeys("", config.Apps.Patgate)
	}
	if err := c.app.check(); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(config.Apps.HTTP.Servers)) {
		server := config.Apps.HTTP.Servers[key]
		if err := c.add(key, &server); err != nil {
			return nil, err
		}
	}
	tellApart(c.sites)
	return c, nil
}

// add adds a server and its gates. key is its name in the configuration.
func (c *configuration) add(key string, server *caddyroutes.Server) error {
	read := func(raw json.RawMessage) (caddyroutes.Gate, error) { return c.readGate(raw, "server "+key) }
	if err := server.ReadGates(read); err != nil {
		return err
	}
	c.servers = append(c.servers, server)
	for _, s := range server.Sites {
		c.sites = append(c.sites, site{Site: s, gate: s.Gate.(*Handler)})
	}
	return nil
}

// configFile is a configuration file, read but not run.
type configFile struct {
	name    string
	adapter string // by which it is JSON; "": it was
	json    []byte
}

// readFile reads a configuration file, by the adapter given or, unless it is JSON, by that
// of Caddyfiles; - is standard input.
func readFile(name, adapter string, stdin io.Reader) (configFile, error) {
	var body []byte
	var err error
	if name == "-" {
		body, err = io.ReadAll(stdin)
	} else {
		body, err = os.ReadFile(name)
	}
	if err == nil && len(bytes.TrimSpace(body)) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	if err != nil {
		return configFile{}, fmt.Errorf("reading configuration: %w", err)
	}
	if adapter == "" && filepath.Ext(name) != ".json" && !json.Valid(body) {
		adapter = "caddyfile"
	}
	file := configFile{name, adapter, body}
	err = file.adapt()
	return file, err
}

// adapt makes the file JSON, or says where it isn't. Unlike Caddy's own function it logs
// nothing.
func (f *configFile) adapt() (err error) {
	if f.adapter == "" {
		err = json.Unmarshal(f.json, new(json.RawMessage))
		if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fmt.Errorf("reading configuration: %s:%d: %w", f.name, 1+bytes.Count(f.json[:wrong.Offset], []byte{'\n'}), err)
		}
		return nil
	}
	a := caddyconfig.GetAdapter(f.adapter)
	if a == nil {
		return usageErrorf("there is no config adapter %q in this build", f.adapter)
	}
	f.json, _, err = a.Adapt(f.json, map[string]any{"filename": f.name})
	return err
}

// readGate reads a gate as Caddy would, which takes no key that it doesn't know. JSON that
// no adapter has made may not say where the gate is written: then it is at place.
func (c *configuration) readGate(raw json.RawMessage, place string) (caddyroutes.Gate, error) {
	whole := raw
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("reading a gate: %w", err)
	}
	delete(keys, "handler")
	raw, _ = json.Marshal(keys) // was JSON: never fails
	h := new(Handler)
	if err := caddy.StrictUnmarshalJSON(raw, h); err != nil {
		return nil, fmt.Errorf("reading a gate: %w", err)
	}
	h.At = cmp.Or(h.At, place)
	c.checkKeys(h.At, whole)
	if err := h.compile(c.app.catalog); err != nil {
		return nil, err
	}
	h.policy.Prefix = c.app.rules.Prefix
	return h, nil
}

// checkKeys notes a key of a module that is given twice, or in other letters than its field.
func (c *configuration) checkKeys(at string, module []byte) {
	if err := registry.CheckKeys(module); err != nil {
		c.keys = append(c.keys, policy.Warning{At: at, Kind: warnKeys, Text: "in JSON, " + err.Error() + ": Caddy takes keys in any case, and of the same the last"})
	}
}

// The kinds of warnings, besides those of packages policy and caddyroutes.
const (
	warnAudience = "same_audience" // of signed identities
	warnAnyHost  = "label_of_any_host"
	warnPlain    = "plain_secret"
	warnOver     = "unknown_token_over"
	warnInClear  = "token_in_log"
	warnKeys     = "odd_key" // in JSON

	warnUnreadable = "unreadable" // an error: nothing was checked, for the configuration or a document can't be read, or there is no gate
)

// check returns warnings of what is probably a mistake, but for the policies.
func (c *configuration) check() (warnings []policy.Warning) {
	warnings = slices.Clone(c.keys)
	warn := func(at, kind, text string) {
		if w := (policy.Warning{At: at, Kind: kind, Text: text}); !slices.Contains(warnings, w) {
			warnings = append(warnings, w)
		}
	}
	c.checkHostLabels(warn)
	c.checkUnknownTokens(warn)
	c.checkLogs(warn)
	warnings = append(warnings, caddyroutes.Check(c.servers)...)
	c.checkAudiences(warn)
	for _, option := range c.app.plainSecrets() {
		warn("", warnPlain, option+": "+plainSecret)
	}
	return warnings
}

// warn adds a warning of what is written at a place, unless it is there already.
type warn func(at, kind, text string)

// checkHostLabels warns of gates that read a label of the host on a site for every host.
func (c *configuration) checkHostLabels(warn warn) {
	for _, s := range c.sites {
		if r := s.gate.policy.ByHost(); r != nil && len(s.Hosts) == 0 {
			warn(cmp.Or(r.At, s.gate.At), warnAnyHost, r.String()+
				" is in the space or about the resource that a label of the host names, and this site is for every host: in one with more labels, frameworks take another label for it; name the hosts, as in *.api.example.com")
		}
	}
}

// checkUnknownTokens warns of gates that no longer forward unknown tokens.
func (c *configuration) checkUnknownTokens(warn warn) {
	for _, s := range c.sites {
		if s.gate.forwardingOver(time.Now()) {
			warn(s.gate.At, warnOver, "unknown_token forward until "+s.gate.UnknownTokenUntil+": that time is over, and unknown tokens are rejected")
		}
	}
}

// checkAudiences warns of sites whose signed identities nothing tells apart: neither an
// audience nor a realm is configured for them.
func (c *configuration) checkAudiences(warn warn) {
	var first *site
	for i, s := range c.sites {
		if s.gate.signed == nil || s.gate.Realm != "" || s.gate.IdentityHeaders.Signed.Audience != "" {
			continue
		}
		if first == nil {
			first = &c.sites[i]
		} else if !slices.Equal(first.Hosts, s.Hosts) {
			warn(s.gate.At, warnAudience, "identities signed here are for the same audience as those of "+first.String()+", "+s.gate.signed.Audience+
				", and the API of one site takes those of the other: give each a realm, or an audience")
		}
	}
}
