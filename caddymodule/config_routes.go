package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/certmagic"
)

// jsonServer is a server of Caddy's HTTP app, as far as it matters here.
type jsonServer struct {
	Listen      []string             `json:"listen"`
	Routes      []jsonRoute          `json:"routes"`
	NamedRoutes map[string]jsonRoute `json:"named_routes"`
	Errors      jsonErrors           `json:"errors"`
}

// asRead returns a server that Caddy has provisioned, or is provisioning, as it is read
// from a configuration: with the handlers that are made as far as they matter to
// authorize and sites, and of matchers with the hosts.
func asRead(server *caddyhttp.Server) *jsonServer {
	s := &jsonServer{Listen: server.Listen, Routes: routesAsRead(server.Routes), NamedRoutes: map[string]jsonRoute{}}
	for name, r := range server.NamedRoutes {
		s.NamedRoutes[name] = routesAsRead(caddyhttp.RouteList{*r})[0]
	}
	if server.Errors != nil {
		s.Errors.Routes = routesAsRead(server.Errors.Routes)
	}
	return s
}

func routesAsRead(routes caddyhttp.RouteList) (all []jsonRoute) {
	for _, r := range routes {
		read := jsonRoute{Group: r.Group, Terminal: r.Terminal}
		for _, set := range r.MatcherSets {
			for _, m := range set {
				if hosts, ok := m.(*caddyhttp.MatchHost); ok {
					read.Match = append(read.Match, jsonMatch{"host": listed(*hosts...)})
				}
			}
		}
		for _, raw := range r.HandlersRaw { // which Caddy forgets when it has made them
			var h jsonHandler
			_ = json.Unmarshal(raw, &h) // what is wrong with it, Caddy says
			read.Handle = append(read.Handle, h)
		}
		for _, made := range r.Handlers {
			var h jsonHandler
			switch made := made.(type) {
			case *Handler:
				h = jsonHandler{Handler: "patgate", gate: made}
			case *Authorize:
				h.Handler = "patgate_authorize"
			case *reverseproxy.Handler:
				h.Handler = "reverse_proxy"
			case *caddyhttp.Invoke:
				h = jsonHandler{Handler: "invoke", Name: made.Name}
			case *caddyhttp.Subroute:
				h = jsonHandler{Handler: "subroute", Routes: routesAsRead(made.Routes)}
				if made.Errors != nil {
					h.Errors = &jsonErrors{routesAsRead(made.Errors.Routes)}
				}
			}
			read.Handle = append(read.Handle, h)
		}
		all = append(all, read)
	}
	return all
}

// jsonErrors are error routes.
type jsonErrors struct {
	Routes []jsonRoute `json:"routes"`
}

// jsonRoute is a route of Caddy's HTTP app, as far as it matters here.
type jsonRoute struct {
	Group    string        `json:"group"`
	Match    []jsonMatch   `json:"match"`
	Handle   []jsonHandler `json:"handle"`
	Terminal bool          `json:"terminal"`
}

// besidesHosts returns what the route matches requests by besides their hosts, ""
// for nothing.
func (r *jsonRoute) besidesHosts() string {
	var sets []string
	for _, m := range r.Match {
		if m = m.without("host"); len(m) == 0 {
			return ""
		}
		sets = append(sets, m.String())
	}
	return strings.Join(sets, " or ")
}

// jsonMatch is a set of Caddy's matchers by their names.
type jsonMatch map[string]jsonMatcher

// jsonMatcher is what a matcher is to match.
type jsonMatcher struct {
	json.RawMessage          // without blanks
	list            []string // if it is one of strings
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *jsonMatcher) UnmarshalJSON(raw []byte) error {
	var b bytes.Buffer
	json.Compact(&b, raw) // is JSON: never fails
	*m = jsonMatcher{RawMessage: b.Bytes()}
	json.Unmarshal(raw, &m.list) // anything else is none
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. An expression that is nothing but a call of
// another matcher, as in path('/a/*'), is that matcher.
func (m *jsonMatch) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, (*map[string]jsonMatcher)(m)); err != nil {
		return err
	}
	call := loneCall.FindStringSubmatch(expression((*m)["expression"].RawMessage))
	if call == nil {
		return nil
	}
	name, list := call[1], []string(nil)
	if _, has := (*m)[name]; has {
		return nil // both must match
	}
	for _, arg := range quotedIn.FindAllString(call[2], -1) {
		list = append(list, arg[1:len(arg)-1])
	}
	*m = m.without("expression")
	(*m)[name] = listed(list...)
	return nil
}

// Strings that are what they seem: without escapes or placeholders.
const plainString = `(?:'[^'\\{]*'|"[^"\\{]*")`

var (
	loneCall = regexp.MustCompile(`^\s*(host|method|path)\s*\(\s*(` + plainString + `(?:\s*,\s*` + plainString + `)*)\s*\)\s*$`)
	quotedIn = regexp.MustCompile(plainString)
)

// listed returns a matcher that is a list.
func listed(patterns ...string) jsonMatcher {
	text, _ := json.Marshal(patterns) // never fails
	return jsonMatcher{text, patterns}
}

// String returns it as it is written, without blanks.
func (m jsonMatch) String() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(m) // was JSON: never fails
	return strings.TrimSpace(b.String())
}

// without returns the others of the set.
func (m jsonMatch) without(name string) jsonMatch {
	if _, has := m[name]; has {
		m = maps.Clone(m)
		delete(m, name)
	}
	return m
}

// hosts returns those that the set is for; none: all.
func (m jsonMatch) hosts() []string { return m["host"].list }

// not returns the sets that must not match.
func (m jsonMatch) not() (sets []jsonMatch) {
	if not, has := m["not"]; has {
		json.Unmarshal(not.RawMessage, &sets) // anything else Caddy will refuse
	}
	return sets
}

// coverers are the matchers that are lists, and whether a pattern in one takes all that
// another does.
var coverers = map[string]func(wide, narrow string) bool{
	"host":   coversHost,
	"method": func(wide, narrow string) bool { return wide == narrow },
	"path":   coversPath,
}

// covers reports whether all that one matcher takes is taken by another of that name, as
// far as can be told.
func covers(name string, wide, narrow jsonMatcher) bool {
	takes, known := coverers[name]
	return bytes.Equal(wide.RawMessage, narrow.RawMessage) || known && len(narrow.list) > 0 && !slices.ContainsFunc(narrow.list, func(n string) bool {
		return !slices.ContainsFunc(wide.list, func(w string) bool { return takes(w, n) })
	})
}

// overlap reports whether a request may match both sets, as far as can be told.
func overlap(a, b jsonMatch) bool {
	for name, takes := range coverers {
		all, others := a[name].list, b[name].list
		if !share(all, others, func(one, other string) bool {
			return takes(one, other) || takes(other, one) || name == "path" && !(plainPath(one) && plainPath(other))
		}) {
			return false
		}
	}
	return true
}

// share reports whether a request may match patterns of both lists; an empty one matches
// all, and what a placeholder stands for isn't known.
func share(all, others []string, overlap func(one, other string) bool) bool {
	return len(all) == 0 || len(others) == 0 || slices.ContainsFunc(all, func(one string) bool {
		return slices.ContainsFunc(others, func(other string) bool {
			return strings.Contains(one+other, "{") || overlap(one, other)
		})
	})
}

func coversHost(wide, narrow string) bool {
	if !strings.Contains(wide, "*") {
		return strings.EqualFold(wide, narrow)
	}
	return certmagic.MatchWildcard(strings.ToLower(narrow), strings.ToLower(wide))
}

func coversPath(wide, narrow string) bool {
	wide, narrow = strings.ToLower(wide), strings.ToLower(narrow)
	prefix, open := strings.CutSuffix(wide, "*")
	return wide == narrow || open && plainPath(wide) && strings.HasPrefix(narrow, prefix)
}

// plainPath reports whether a pattern for paths is a path, or what paths begin with.
func plainPath(pattern string) bool {
	return !strings.ContainsAny(strings.TrimSuffix(pattern, "*"), "*?[\\%{") && !strings.Contains(pattern, "//")
}

// jsonHandler is a handler of Caddy's HTTP app: what of all kinds matters here.
type jsonHandler struct {
	Handler string      `json:"handler"`
	Routes  []jsonRoute `json:"routes"`
	Errors  *jsonErrors `json:"errors"`
	Name    string      `json:"name"` // of the route that invoke means
	For     string      `json:"for"`  // who asks patgate_authorize
	// Of those that answer.
	HandleResponse   []jsonErrors         `json:"handle_response"`
	Upstreams        []jsonUpstream       `json:"upstreams"`
	DynamicUpstreams json.RawMessage      `json:"dynamic_upstreams"`
	Rewrite          struct{ URI string } `json:"rewrite"`
	Root             string               `json:"root"` // of vars, too
	PassThru         bool                 `json:"pass_thru"`
	Hide             []string             `json:"hide"`
	StatusCode       any                  `json:"status_code"`
	// Of those that change requests.
	URI      string                        `json:"uri"`
	Request  jsonHeaders                   `json:"request"`
	Headers  struct{ Request jsonHeaders } `json:"headers"`
	Response struct {
		Deferred bool            `json:"deferred"`
		Require  json.RawMessage `json:"require"`
	} `json:"response"`

	raw  json.RawMessage
	gate *Handler // if it is one
}

type jsonUpstream struct {
	Dial string `json:"dial"`
}

// UnmarshalJSON implements json.Unmarshaler. A key that is of another type means something
// else to a handler that isn't known here.
func (h *jsonHandler) UnmarshalJSON(raw []byte) error {
	type plain jsonHandler
	h.raw = bytes.Clone(raw)
	var mistyped *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, (*plain)(h)); !errors.As(err, &mistyped) {
		return err
	}
	return nil
}

// below returns the routes in the handler that requests may come to.
func (h *jsonHandler) below() (lists [][]jsonRoute) {
	if h.Handler == "patgate" { // its routes are others
		return nil
	}
	if len(h.Routes) > 0 {
		lists = append(lists, h.Routes)
	}
	for _, answered := range h.HandleResponse {
		if len(answered.Routes) > 0 {
			lists = append(lists, answered.Routes)
		}
	}
	return lists
}

// failed returns the error routes of a subroute.
func (h *jsonHandler) failed() []jsonRoute {
	if h.Errors == nil {
		return nil
	}
	return h.Errors.Routes
}

// answers reports whether no request that comes to the handler goes on to the next.
func (h *jsonHandler) answers() bool {
	switch h.Handler {
	case "reverse_proxy":
		return len(h.below()) == 0
	case "file_server":
		return !h.PassThru
	case "static_response":
		return h.status() != http.StatusEarlyHints
	case "error", "patgate_console", "patgate_health", "metrics":
		return true
	}
	return false
}

// status returns the status that the handler is written to answer; 0: it isn't known.
func (h *jsonHandler) status() int {
	switch status := h.StatusCode.(type) {
	case float64:
		return int(status)
	case string:
		var number int
		json.Unmarshal([]byte(status), &number) // a placeholder stays 0
		return number
	}
	return 0
}

// fails returns statuses that a handler fails with.
func (h *jsonHandler) fails() []int {
	switch h.Handler {
	case "reverse_proxy":
		return []int{502, 503, 504}
	case "file_server":
		return []int{400, 403, 404, 405, 500}
	case "error":
		return []int{h.status()}
	}
	return nil
}

// eager returns the part of the handler in which placeholders are replaced when a request
// comes to it.
func (h *jsonHandler) eager() string {
	switch h.Handler {
	case "patgate", "map", "log_append", "intercept", "templates", "tracing", "encode", "subroute":
		return ""
	case "headers":
		if h.Response.Deferred || len(h.Response.Require) > 0 {
			text, _ := json.Marshal(h.Request) // was JSON: never fails
			return string(text)
		}
	}
	return string(h.raw)
}

// forwards reports whether requests come to an upstream, or to files, through the handler.
func (h *jsonHandler) forwards() bool {
	return h.Handler == "reverse_proxy" || h.Handler == "file_server"
}

// upstreams returns what requests come to through the handler: addresses, or the root
// of files.
func (h *jsonHandler) upstreams(root string) (all []string) {
	switch h.Handler {
	case "reverse_proxy":
		for _, u := range h.Upstreams {
			all = append(all, u.Dial)
		}
		if len(h.DynamicUpstreams) > 0 {
			all = append(all, string(h.DynamicUpstreams))
		}
	case "file_server":
		if h.Root != "" && h.Root != "{http.vars.root}" {
			root = h.Root
		}
		all = append(all, path.Clean(root))
	}
	return all
}

// hides reports whether a file server shows nothing of a folder, which is so far below its
// root: it hides a path, or a name wherever it is in one.
func (h *jsonHandler) hides(folder, below string) bool {
	return slices.ContainsFunc(h.Hide, func(hidden string) bool {
		if !strings.Contains(hidden, "/") {
			return slices.Contains(strings.Split(below, "/"), hidden)
		}
		return strings.HasPrefix(folder+"/", strings.TrimSuffix(hidden, "/")+"/")
	})
}

// sameUpstream returns one name for all that an upstream has: an address of this machine
// has several.
func sameUpstream(upstream string) string {
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return upstream
	}
	host = strings.ToLower(host)
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// jsonHeaders is what is done to headers.
type jsonHeaders struct {
	Add     map[string]json.RawMessage `json:"add,omitempty"`
	Set     map[string]json.RawMessage `json:"set,omitempty"`
	Replace map[string]json.RawMessage `json:"replace,omitempty"`
	Delete  []string                   `json:"delete,omitempty"`
}

// gives reports whether the header gets another value.
func (o *jsonHeaders) gives(name string) bool {
	for _, op := range []map[string]json.RawMessage{o.Add, o.Set, o.Replace} {
		for changed := range op {
			if changed == "*" || http.CanonicalHeaderKey(changed) == name {
				return true
			}
		}
	}
	return false
}

// removes reports whether the header is deleted.
func (o *jsonHeaders) removes(name string) bool {
	return slices.ContainsFunc(o.Delete, func(pattern string) bool {
		matches, _ := path.Match(strings.ToLower(pattern), strings.ToLower(name)) // an asterisk at an end, or at both
		return matches
	})
}
