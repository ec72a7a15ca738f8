package caddyroutes

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// handler is a handler of Caddy's HTTP app: what of all kinds matters here.
type handler struct {
	Handler string     `json:"handler"`
	Routes  []route    `json:"routes"`
	Errors  *routeList `json:"errors"`
	Name    string     `json:"name"` // of the route that invoke means
	For     string     `json:"for"`  // who asks patgate_authorize
	// Of those that answer.
	HandleResponse   []routeList          `json:"handle_response"`
	Upstreams        []upstream           `json:"upstreams"`
	DynamicUpstreams json.RawMessage      `json:"dynamic_upstreams"`
	Rewrite          struct{ URI string } `json:"rewrite"`
	Root             string               `json:"root"` // of vars, too
	PassThru         bool                 `json:"pass_thru"`
	Hide             []string             `json:"hide"`
	Status           caddyhttp.WeakString `json:"status_code"` // to answer; as a number, a placeholder is 0
	// Of those that change requests.
	URI      string                      `json:"uri"`
	Strip    string                      `json:"strip_path_prefix"`
	Request  headerOps                   `json:"request"`
	Headers  struct{ Request headerOps } `json:"headers"`
	Response struct {
		Deferred bool            `json:"deferred"`
		Require  json.RawMessage `json:"require"`
	} `json:"response"`

	raw  json.RawMessage
	gate Gate // if it is one
}

type upstream struct {
	Dial string `json:"dial"`
}

// UnmarshalJSON implements json.Unmarshaler. A key that is of another type means something
// else to a handler that isn't known here.
func (h *handler) UnmarshalJSON(raw []byte) error {
	type plain handler
	h.raw = bytes.Clone(raw)
	err := json.Unmarshal(raw, (*plain)(h))
	if _, mistyped := errors.AsType[*json.UnmarshalTypeError](err); mistyped {
		return nil
	}
	return err
}

// below returns the routes in the handler that requests may come to.
func (h *handler) below() (lists [][]route) {
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
func (h *handler) failed() []route {
	if h.Errors == nil {
		return nil
	}
	return h.Errors.Routes
}

// answers reports whether no request that comes to the handler goes on to the next.
func (h *handler) answers() bool {
	switch h.Handler {
	case "reverse_proxy":
		return len(h.below()) == 0
	case "file_server":
		return !h.PassThru
	case "static_response":
		return h.Status.Int() != http.StatusEarlyHints
	case "error", "patgate_console", "patgate_health", "metrics":
		return true
	}
	return false
}

// fails returns statuses that a handler fails with.
func (h *handler) fails() []int {
	switch h.Handler {
	case "reverse_proxy":
		return []int{502, 503, 504}
	case "file_server":
		return []int{400, 403, 404, 405, 500}
	case "error":
		return []int{h.Status.Int()}
	}
	return nil
}

// eager returns the part of the handler in which placeholders are replaced when a request
// comes to it.
func (h *handler) eager() string {
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
func (h *handler) forwards() bool {
	return h.Handler == "reverse_proxy" || h.Handler == "file_server"
}

// upstreams returns what requests come to through the handler: addresses, or the root
// of files.
func (h *handler) upstreams(root string) (all []string) {
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
func (h *handler) hides(folder, below string) bool {
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

// headerOps is what is done to headers.
type headerOps struct {
	Add     map[string]json.RawMessage `json:"add,omitempty"`
	Set     map[string]json.RawMessage `json:"set,omitempty"`
	Replace map[string]json.RawMessage `json:"replace,omitempty"`
	Delete  []string                   `json:"delete,omitempty"`
}

// gives reports whether the header gets another value.
func (o *headerOps) gives(name string) bool {
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
func (o *headerOps) removes(name string) bool {
	return slices.ContainsFunc(o.Delete, func(pattern string) bool {
		matches, _ := path.Match(strings.ToLower(pattern), strings.ToLower(name)) // an asterisk at an end, or at both
		return matches
	})
}
