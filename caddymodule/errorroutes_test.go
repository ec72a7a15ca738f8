package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func init() { caddy.RegisterModule(probe{}) }

// probe is a handler that does what probes has for its name.
type probe struct {
	Name string `json:"name"`
}

var probes map[string]func(http.ResponseWriter, *http.Request) error

func (probe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.probe", New: func() caddy.Module { return new(probe) }}
}

func (p *probe) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if f := probes[p.Name]; f != nil {
		return f(w, r)
	}
	return next.ServeHTTP(w, r)
}

// The parts of the configurations below. What stands behind a gate fails.
const (
	gateJSON  = `{"handler": "patgate", "token_from": ["bearer", "query tok"], "routes": [{"methods": ["GET"], "pattern": "/x", "require": "any"}]}`
	failJSON  = `{"handler": "probe", "name": "fail"}, {"handler": "error", "status_code": 502}`
	madeJSON  = `[{"handle": [{"handler": "probe", "name": "made up for"}]}]`
	gatedJSON = `[{"handle": [` + gateJSON + `, ` + failJSON + `]}]`
)

// withErrors is a server with routes, routes for their errors, and named routes.
func withErrors(routes, failed, named string) string {
	return fmt.Sprintf(`{"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "routes": %s, "errors": {"routes": %s}, "named_routes": %s}`, routes, failed, named)
}

// subroute is a handler with routes, and routes for their errors.
func subroute(routes, failed string) string {
	return fmt.Sprintf(`{"handler": "subroute", "routes": %s, "errors": {"routes": %s}}`, routes, failed)
}

// whole is a configuration with the server alone.
func whole(t *testing.T, server string) string {
	return fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"gate": %s}}}}`, filepath.Join(t.TempDir(), "tokens.db"), server)
}

// startErrors starts a server.
func startErrors(t *testing.T, server string) *gated {
	t.Helper()
	probes = map[string]func(http.ResponseWriter, *http.Request) error{}
	t.Cleanup(func() { probes = nil })
	return gatedBy(t, whole(t, server), "gate").start(t)
}

// token makes a token; revoke ends it.
func (g *gated) token(t *testing.T) (secret string, revoke func()) {
	t.Helper()
	r, err := g.app.registry()
	if err != nil {
		t.Fatal(err)
	}
	made, secret, err := r.Operator(registry.Actor{}).Create(t.Context(), registry.NewToken{Name: "t", Owner: "alice", Grants: []token.Grant{{Spaces: []string{token.All}, Scopes: []string{token.All}, Resources: []string{token.All}}}})
	if err != nil {
		t.Fatal(err)
	}
	return secret, func() {
		if _, err := r.Operator(registry.Actor{}).Revoke(t.Context(), made.ID); err != nil {
			t.Error(err)
		}
	}
}

// streamWith returns a request for server-sent events over HTTP/2.
func streamWith(secret string) *http.Request {
	r := httptest.NewRequest("GET", "/x", nil)
	r.ProtoMajor, r.ProtoMinor = 2, 0
	r.Header["Authorization"], r.Header["Accept"] = []string{"Bearer " + secret}, []string{"text/event-stream"}
	return r
}

// isCut waits until a request is cut.
func isCut(t *testing.T, r *http.Request) {
	t.Helper()
	select {
	case <-r.Context().Done():
	case <-time.After(time.Minute):
		t.Error("its token was revoked, and it goes on")
	}
}

// What error routes serve ends with its token, wherever they stand, and is off the
// list when it has been served.
func TestErrorRoutesEndWithTheToken(t *testing.T) {
	const fails = `[{"handle": [` + failJSON + `]}]`
	for name, server := range map[string]string{
		"of the server":          withErrors(gatedJSON, madeJSON, "{}"),
		"of several gates":       withErrors(`[{"handle": [`+gateJSON+`, `+gateJSON+`, `+failJSON+`]}]`, madeJSON, "{}"),
		"of a subroute":          withErrors(`[{"handle": [`+subroute(gatedJSON, madeJSON)+`]}]`, `[]`, "{}"),
		"behind another gate":    withErrors(`[{"handle": [`+gateJSON+`, `+subroute(gatedJSON, madeJSON)+`]}]`, `[]`, "{}"),
		"of error routes":        withErrors(gatedJSON, `[{"handle": [`+subroute(gatedJSON, madeJSON)+`]}]`, "{}"),
		"after a subroute's":     withErrors(`[{"handle": [`+subroute(gatedJSON, fails)+`]}]`, madeJSON, "{}"),
		"beside a named route":   withErrors(gatedJSON, madeJSON, `{"app": {"handle": [`+gateJSON+`]}}`),
		"behind an invoked gate": withErrors(`[{"handle": [`+gateJSON+`, {"handler": "invoke", "name": "app"}]}]`, madeJSON, `{"app": {"handle": [`+gateJSON+`, `+failJSON+`]}}`),
	} {
		t.Run(name, func(t *testing.T) {
			g := startErrors(t, server)
			secret, revoke := g.token(t)
			served := false
			probes["made up for"] = func(w http.ResponseWriter, r *http.Request) error {
				served = true
				revoke()
				isCut(t, r)
				if _, err := io.WriteString(w, "x"); !errors.Is(err, errCut) {
					t.Errorf("writing to what was cut: %v, want %v", err, errCut)
				}
				return nil
			}
			g.server.ServeHTTP(httptest.NewRecorder(), streamWith(secret))
			if !served {
				t.Error("the error routes served nothing")
			}
			if n := g.app.hub.opened.Load().streams.open(); n != 0 {
				t.Errorf("%d streams are left", n)
			}
		})
	}
}

// A request that was cut isn't made up for: whatever its handlers return then.
func TestNothingIsMadeUpForWhatWasCut(t *testing.T) {
	g := startErrors(t, withErrors(gatedJSON, madeJSON, "{}"))
	secret, revoke := g.token(t)
	probes["fail"] = func(_ http.ResponseWriter, r *http.Request) error {
		revoke()
		isCut(t, r)
		return caddyhttp.Error(http.StatusBadGateway, errCut)
	}
	probes["made up for"] = func(http.ResponseWriter, *http.Request) error {
		t.Error("the error routes serve it")
		return nil
	}
	defer func() {
		if broken := recover(); broken != http.ErrAbortHandler {
			t.Errorf("the handler ended with %v, want %v", broken, http.ErrAbortHandler)
		}
	}()
	g.server.ServeHTTP(httptest.NewRecorder(), streamWith(secret))
}

// Error routes answer as what stands behind the gate would: without trailers of the
// request, no body for a preflight, and nothing of a token in the URL for others.
func TestErrorRoutesAreGuarded(t *testing.T) {
	g := startErrors(t, withErrors(`[{"handle": [{"handler": "rewrite", "strip_path_prefix": "/old"}, `+gateJSON+`, `+failJSON+`]}]`, madeJSON, "{}"))
	secret, _ := g.token(t)
	unknown := token.NewSecret("pat")
	for _, row := range []struct {
		name, method, target string
		header               http.Header
		want                 string // status, body, Location, Cache-Control
	}{
		{"a token in a header", "GET", "/x", http.Header{"Authorization": {"Bearer " + secret}}, "302 body https://other.test/? public"},
		{"a token in the query", "GET", "/x?tok=" + secret, nil, "302 body https://other.test/ private"},
		{"the same, rewritten", "GET", "/old/x?tok=" + secret, nil, "302 body https://other.test/ private"},
		{"one that is unknown", "GET", "/x?tok=" + unknown, nil, "302 body https://other.test/ private"},
		{"no token", "GET", "/x", nil, "302 body https://other.test/? public"},
		{"a preflight", "OPTIONS", "/x", http.Header{"Origin": {"https://other.test"}, "Access-Control-Request-Method": {"GET"}}, "302  https://other.test/? public"},
	} {
		served := 0
		probes["made up for"] = func(w http.ResponseWriter, r *http.Request) error {
			served++
			if r.Trailer != nil {
				t.Errorf("%s: the error routes get trailers: %v", row.name, r.Trailer)
			}
			w.Header().Set("Location", "https://other.test/?"+r.URL.RawQuery)
			w.Header().Set("Cache-Control", "public")
			w.WriteHeader(http.StatusFound)
			io.WriteString(w, "body")
			return nil
		}
		r := httptest.NewRequest(row.method, row.target, nil)
		r.Trailer = http.Header{"X-Patgate-Owner": {"root"}}
		for name, values := range row.header {
			r.Header[name] = values
		}
		w := httptest.NewRecorder()
		g.server.ServeHTTP(w, r)
		if got := fmt.Sprint(w.Code, " ", w.Body, " ", w.Header().Get("Location"), " ", w.Header().Get("Cache-Control")); got != row.want || served != 1 {
			t.Errorf("%s: %q, served %d times, want %q", row.name, got, served, row.want)
		}
	}
}

// Error routes for some paths take the rejections of requests that came in with one of
// them, as all of Caddy's error routes do, and leave others to the gate.
func TestErrorRoutesSeeWhatCameIn(t *testing.T) {
	const failed = `[{"match": [{"path": ["/old/*"]}], "handle": [{"handler": "static_response", "body": "made up for"}]}]`
	g := startErrors(t, withErrors(`[{"handle": [{"handler": "rewrite", "strip_path_prefix": "/old"}, `+gateJSON+`]}]`, failed, "{}"))
	for target, want := range map[string]string{"/old/x": "made up for", "/x": `"reason":"token_missing"`} {
		w := httptest.NewRecorder()
		g.server.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("GET %s: %d %q, want %s", target, w.Code, w.Body, want)
		}
	}
}

// Gates in error routes change nothing there. One in a named route comes too late, if
// none stands elsewhere, to guard what they forward.
func TestGuardErrorRoutesInTime(t *testing.T) {
	const open, proxied = `[{"handle": [` + failJSON + `]}]`, `[{"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:1"}]}]}]`
	g := startErrors(t, withErrors(open, `[{"handle": [`+gateJSON+`]}, {"handle": [{"handler": "probe", "name": "made up for"}]}]`, "{}"))
	secret, _ := g.token(t)
	served := 0
	probes["made up for"] = func(http.ResponseWriter, *http.Request) error { served++; return nil }
	g.server.ServeHTTP(httptest.NewRecorder(), streamWith(secret))
	g.server.ServeHTTP(httptest.NewRecorder(), streamWith("no token"))
	if served != 1 {
		t.Errorf("behind a gate in error routes, %d requests were served, want 1", served)
	}
	for _, row := range []struct {
		routes, failed string
		refused        bool
	}{
		{open, madeJSON, false},
		{open, proxied, true},
		{open, `[{"handle": [` + subroute(proxied, `[]`) + `]}]`, true},
		{open, `[{"handle": [{"handler": "invoke", "name": "app"}]}]`, true},
		{open, `[]`, false},
		{gatedJSON, proxied, false},
	} {
		server := withErrors(row.routes, row.failed, `{"app": {"handle": [`+gateJSON+`]}}`)
		var config caddy.Config
		if err := json.Unmarshal([]byte(whole(t, server)), &config); err != nil {
			t.Fatal(err)
		}
		if _, err := caddy.ProvisionContext(&config); (err != nil && strings.Contains(err.Error(), "a gate in a named route")) != row.refused {
			t.Errorf("%s: %v; refused is to be %v", server, err, row.refused)
		}
	}
}

// A gate in error routes answers for itself: Caddy would give its rejection the status of
// the error that has led there.
func TestGateInErrorRoutes(t *testing.T) {
	g := startErrors(t, withErrors(`[{"handle": [`+failJSON+`]}]`, `[{"handle": [`+gateJSON+`]}, {"handle": [{"handler": "probe", "name": "made up for"}]}]`, "{}"))
	probes["made up for"] = func(http.ResponseWriter, *http.Request) error { return nil }
	w := httptest.NewRecorder()
	g.server.ServeHTTP(w, streamWith("no token"))
	if w.Code != 401 || !strings.Contains(w.Body.String(), "token_malformed") {
		t.Errorf("%d %s, want 401", w.Code, w.Body)
	}
}

// What fails before it comes to a gate has no say in who is asking either.
func TestErrorRoutesOfWhatNoGateHasSeen(t *testing.T) {
	g := startErrors(t, withErrors(`[{"handle": [`+failJSON+`, `+gateJSON+`]}]`, madeJSON, "{}"))
	served := false
	probes["made up for"] = func(_ http.ResponseWriter, r *http.Request) error {
		served = true
		for name := range r.Header {
			if name != "Accept" && name != "X-Forwarded-Prefix" {
				t.Errorf("the error routes get the header %s", name)
			}
		}
		return nil
	}
	r := httptest.NewRequest("GET", "/x", nil)
	r.Header = http.Header{"Accept": {"*/*"}, "X-Patgate-Owner": {"root"}, "X~Patgate-Owner": {"root"}, "X-Forwarded-Prefix": {"/y"}}
	g.server.ServeHTTP(httptest.NewRecorder(), r)
	if !served {
		t.Error("the error routes served nothing")
	}
}
