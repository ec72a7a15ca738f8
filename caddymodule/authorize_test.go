package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/policy"
)

// authorization is a Caddy server that doesn't listen, with an authorization
// service before each of the handlers given.
func authorization(t *testing.T, asker string, behind ...string) *gated {
	t.Helper()
	handlers := strings.Join(append([]string{fmt.Sprintf(`{"handler": "patgate_authorize", "for": %q}`, asker)}, behind...), ",")
	return gatedBy(t, fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}, "unknown_token_limit": {"tokens": 1}}, "http": {"servers": {"s": {
		"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "trusted_proxies": {"source": "static", "ranges": ["192.0.2.1/32"]},
		"routes": [{"handle": [%s]}]}}}}}`, filepath.Join(t.TempDir(), "tokens.db"), handlers), "s").start(t)
}

const authorizedGate = `{"handler": "patgate", "routes": [
	{"methods": ["GET"], "pattern": "/v1/spaces/{space}/stories", "require": "stories:read"},
	{"methods": ["POST"], "pattern": "/v1/spaces/{space}/stories", "require": "stories:write"},
	{"methods": ["GET"], "pattern": "/v1/spaces/{space}/stories?draft=true", "require": "stories:draft"},
	{"methods": ["GET"], "pattern": "/health", "require": "public"}]}`

// ask sends a question as a proxy does: headers are names and values in turn.
func (g *gated) ask(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil) // from 192.0.2.1
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.server.ServeHTTP(w, r)
	return w
}

func TestAuthorize(t *testing.T) {
	nginx := authorization(t, "nginx", authorizedGate)
	traefik := authorization(t, "traefik", authorizedGate)
	envoy := authorization(t, "envoy", authorizedGate)
	type question struct {
		name, method, target string
		token                bool
		more                 []string
		status               int // in the answer to Traefik and Envoy
	}
	for _, q := range []question{
		{"forwarded", "GET", "/v1/spaces/1/stories", true, nil, 200},
		{"public", "GET", "/health", false, nil, 200},
		{"no token", "GET", "/v1/spaces/1/stories", false, nil, 401},
		{"the method is judged", "POST", "/v1/spaces/1/stories", true, nil, 403},
		{"the query is judged", "GET", "/v1/spaces/1/stories?draft=true", true, nil, 403},
		{"an encoded slash stays one", "GET", "/v1/spaces/1%2Fstories", true, nil, 400},
		{"a step up", "GET", "/v1/spaces/2/../1/stories", true, nil, 400},
		{"a fragment", "GET", "/v1/spaces/1/stories#x", true, nil, 400},
		{"a placeholder", "GET", "/v1/spaces/{env.HOME}/stories", true, nil, 400},
		{"another method for the API", "GET", "/v1/spaces/1/stories", true, []string{"X-Http-Method-Override", "POST"}, 400},
		{"a name that some servers fold", "GET", "/health", false, []string{"X~Patgate~Owner", "root"}, 400},
		{"one behind the prefix", "GET", "/health", false, []string{"X-Patgate-Owner~", "root"}, 400},
		{"an announcement of trailers", "GET", "/health", false, []string{"Trailer", "X-Checksum"}, 200},
		{"a WebSocket", "GET", "/health", false, []string{"Upgrade", "websocket"}, 200},
		{"a WebSocket with another method in its query", "GET", "/health?method=DELETE", false, []string{"Upgrade", "websocket", "Sec-Websocket-Key", "a"}, 400},
		{"another tunnel", "GET", "/health", false, []string{"Upgrade", "h2c"}, 400},
		{"a second tunnel", "GET", "/health", false, []string{"Upgrade", "websocket", "Upgrade", "h2c"}, 400},
		{"a WebSocket by another method", "POST", "/v1/spaces/1/stories", true, []string{"Upgrade", "websocket"}, 400},
	} {
		for asker, g := range map[string]*gated{"nginx": nginx, "traefik": traefik, "envoy": envoy} {
			header := append([]string{"X-Patgate-Owner", "root", "X-Patgate-Other", "1"}, q.more...)
			if q.token {
				header = append(header, "Authorization", "Bearer "+g.create(t))
			}
			method, target := q.method, q.target
			switch asker {
			case "nginx":
				header = append(header, "X-Original-Method", method, "X-Original-Uri", target, "X-Original-Host", "api.example.com")
				method, target = "GET", "/_patgate"
			case "traefik":
				header = append(header, "X-Forwarded-Method", method, "X-Forwarded-Uri", target, "X-Forwarded-Host", "api.example.com")
				method, target = "GET", "/"
			}
			if asker == "envoy" && strings.Contains(target, "{") || strings.Contains(target, "#") && asker == "envoy" {
				continue // net/http would not let it in
			}
			w := g.ask(method, target, header...)
			want, note := q.status, ""
			if asker == "nginx" && want == 400 {
				want, note = 403, "400"
			}
			if w.Code != want || w.Header().Get("X-Patgate-Status") != note {
				t.Errorf("%s asks, %s: %d %v, want %d", asker, q.name, w.Code, w.Header(), want)
				continue
			}
			token, owner, remove := w.Header().Get("X-Patgate-Token"), w.Header()["X-Patgate-Owner"], w.Header().Get("X-Envoy-Auth-Headers-To-Remove")
			if forwarded := want == 200 && q.token; (token != "") != forwarded || owner != nil {
				t.Errorf("%s asks, %s: token %q, owner %q", asker, q.name, token, owner)
			}
			if want == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s asks, %s: no challenge", asker, q.name)
			}
			if asker == "envoy" && want == 200 {
				wantRemoved := "x-patgate-decision,x-patgate-other,x-patgate-owner,x-patgate-space,x-patgate-token"
				if q.token {
					wantRemoved = "x-patgate-decision,x-patgate-other,x-patgate-owner"
				}
				if got := strings.ReplaceAll(remove, ",x-patgate-scopes", ""); got != wantRemoved {
					t.Errorf("envoy asks, %s: remove %q, want %q", q.name, got, wantRemoved)
				}
			}
		}
	}
}

// The proxy that asks passes on the whole answer to a preflight, of which the gate would
// drop the body: only where it is written out does one need no token.
func TestAuthorizePreflight(t *testing.T) {
	for settings, want := range map[string]int{``: 403, `"cors_preflight": "deny", `: 403, `"cors_preflight": "forward", `: 200} {
		gate := strings.Replace(authorizedGate, `"routes"`, settings+`"routes"`, 1)
		for asker, names := range map[string][2]string{"nginx": {"X-Original-Method", "X-Original-Uri"}, "traefik": {"X-Forwarded-Method", "X-Forwarded-Uri"}, "envoy": {}} {
			header := []string{"Origin", "https://b.test", "Access-Control-Request-Method", "GET"}
			method, target := "OPTIONS", "/v1/spaces/1/stories"
			if names[0] != "" {
				header = append(header, names[0], method, names[1], target)
				method, target = "GET", "/"
			}
			if w := authorization(t, asker, gate).ask(method, target, header...); w.Code != want {
				t.Errorf("%s asks, %s: %d, want %d", asker, settings, w.Code, want)
			}
		}
	}
}

// Envoy is told to remove what the gate itself would remove, and Envoy may not.
func TestAuthorizeOriginalPath(t *testing.T) {
	w := authorization(t, "envoy", authorizedGate).ask("GET", "/health", "X-Envoy-Original-Path", "/admin")
	if got := w.Header().Get("X-Envoy-Auth-Headers-To-Remove"); w.Code != 200 || !strings.Contains(got, "x-envoy-original-path") {
		t.Errorf("%d, remove %q, want x-envoy-original-path", w.Code, got)
	}
}

// What is judged is what the proxy says, byte for byte, or is refused.
func FuzzAuthorize(f *testing.F) {
	for _, target := range []string{"/v1/spaces/1/stories?draft=true", "/a%2Fb", "/a/../b", "//a", "/a?b?c", "/a#b", "/%zz", "*", "http://h/p", "/a b", "/ä", "/a?", "/a;b?c;d", "/{env.HOME}"} {
		f.Add("GET", target)
	}
	a := &Authorize{For: "nginx", asker: askers["nginx"]}
	f.Fuzz(func(t *testing.T, method, target string) {
		r := httptest.NewRequest("GET", "/_patgate", nil)
		r.Header["X-Original-Method"], r.Header["X-Original-Uri"] = []string{method}, []string{target}
		if why := a.restore(r); why != "" {
			return
		}
		judged := policy.NewRequest(r)
		if judged.Refused != "" {
			return
		}
		got := judged.Path
		if r.URL.ForceQuery || judged.Query != "" {
			got += "?" + judged.Query
		}
		if got != target || judged.Method != method {
			t.Errorf("%s %q is judged as %s %q", method, target, judged.Method, got)
		}
	})
}

// Whoever isn't a trusted proxy, or asks wrongly, is told nothing.
func TestAuthorizeRefuses(t *testing.T) {
	g := authorization(t, "nginx", authorizedGate)
	original := []string{"X-Original-Method", "GET", "X-Original-Uri", "/health"}
	if w := g.ask("GET", "/", original...); w.Code != 200 {
		t.Errorf("without a host: %d, want 200", w.Code)
	}
	for name, header := range map[string][]string{
		"nothing":     nil,
		"no method":   original[2:],
		"no path":     {"X-Original-Method", "GET", "X-Original-Uri", "http://api/health"},
		"two methods": append([]string{"X-Original-Method", "POST"}, original...),
		"two paths":   append([]string{"X-Original-Uri", "/v1"}, original...),
	} {
		if w := g.ask("GET", "/", header...); w.Code != 403 || w.Header().Get("X-Patgate-Status") != "400" {
			t.Errorf("%s: %d %v, want 403 for 400", name, w.Code, w.Header())
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "192.0.2.2:1"
	r.Header = http.Header{"X-Original-Method": {"GET"}, "X-Original-Uri": {"/health"}}
	w := httptest.NewRecorder()
	if g.server.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("from elsewhere: %d, want 403", w.Code)
	}
	// Too many unknown tokens: nginx would take 429 for a failure.
	for range 2 {
		w = g.ask("GET", "/", "X-Original-Method", "GET", "X-Original-Uri", "/v1/spaces/1/stories", "Authorization", "Bearer no-such-token")
	}
	if w.Code != 403 || w.Header().Get("X-Patgate-Status") != "429" {
		t.Errorf("unknown tokens: %d %v, want 403 that says 429", w.Code, w.Header())
	}
}

// Without a gate nobody is let in, and what another handler answers is left as
// it is.
func TestAuthorizeBehind(t *testing.T) {
	original := []string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/health"}
	if w := authorization(t, "caddy").ask("GET", "/", original...); w.Code != 500 {
		t.Errorf("without a gate: %d, want 500", w.Code)
	}
	if w := authorization(t, "caddy", authorizedGate, `{"handler": "static_response", "status_code": 204}`).ask("GET", "/", original...); w.Code != 204 {
		t.Errorf("with an answer of its own: %d, want 204", w.Code)
	}
	// What the proxy is to remove and to add is said by whoever answers.
	envoy := authorization(t, "envoy", authorizedGate, `{"handler": "static_response", "body": "ok"}`)
	w := envoy.ask("GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+envoy.create(t), "X-Patgate-Other", "1")
	if removed := w.Header().Get("X-Envoy-Auth-Headers-To-Remove"); w.Code != 200 || w.Header().Get("X-Patgate-Token") == "" || !strings.Contains(removed, "x-patgate-other") {
		t.Errorf("with an answer of its own: %d %v", w.Code, w.Header())
	}
	for _, text := range []string{"patgate_authorize", "patgate_authorize apache", "patgate_authorize nginx traefik"} {
		if err := new(Authorize).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
	if err := (&Authorize{For: ""}).Provision(caddy.Context{}); err == nil {
		t.Error("for nobody: no error")
	}
}

// Of a WebSocket over HTTP/2 or 3 Caddy asks with CONNECT, as of a CONNECT over HTTP/1, which
// is no GET.
func TestAuthorizeConnect(t *testing.T) {
	g := authorization(t, "caddy", authorizedGate)
	w := g.ask("GET", "/", "X-Forwarded-Method", "CONNECT", "X-Forwarded-Uri", "/health", "Upgrade", "websocket")
	if w.Code != 400 {
		t.Errorf("%d, want 400", w.Code)
	}
}

// Where a proxy stands behind it, each request that is permitted would be forwarded
// twice: such a configuration isn't loaded.
func TestAuthorizeBeforeProxy(t *testing.T) {
	const service, proxy = "patgate_authorize caddy\npatgate {\ndefault any\n}\n", "reverse_proxy localhost:9000\n"
	const named = "&(auth) {\nheader /v1/* X-Asked yes\n" + service + "}\n"
	for _, row := range []struct {
		sites  string
		loaded bool
	}{
		{"http://:1 {\n" + service + "}", true},
		{"http://:1 {\n" + service + "header X-Asked yes\nrespond 204\n}", true},
		{"http://:1 {\n" + service + "}\nhttp://api.test:1 {\n" + proxy + "}", true},
		{"http://a.test:1 {\n" + service + "}\nhttp://b.test:1 {\n" + proxy + "}", true},
		{"http://:1 {\nhandle /auth {\n" + service + "}\nhandle {\n" + proxy + "}\n}", true},
		{"http://:1 {\nroute {\n" + proxy + service + "}\n}", true},
		{named + "http://:1 {\ninvoke auth\n}", true},
		{named + "http://:1 {\nroute {\n" + proxy + "invoke auth\n}\n}", true},
		{named + "http://:1 {\nhandle /auth {\ninvoke auth\n}\nhandle {\n" + proxy + "}\n}", true},
		{named + "http://a.test:1 {\ninvoke auth\n}\nhttp://b.test:1 {\n" + proxy + "}", true},
		{named + "&(api) {\n" + proxy + "}\nhttp://a.test:1 {\ninvoke auth\n}\nhttp://b.test:1 {\nroute {\ninvoke api\n" + proxy + "}\n}", true},

		{"http://:1 {\n" + service + proxy + "}", false},
		{"http://:1 {\n@ask path /auth\npatgate_authorize @ask caddy\npatgate {\ndefault any\n}\n" + proxy + "}", false},
		{"http://b.test:1 {\nrespond 204\n}\nhttp://a.test:1 {\n" + service + proxy + "}", false},
		{"http://:1 {\n" + service + "handle /x {\nroute {\n" + proxy + "}\n}\n}", false},
		{"http://:1 {\nroute {\n" + service + "}\n" + proxy + "}", false},
		{"http://:1 {\nhandle /auth {\n" + service + proxy + "}\nhandle {\nrespond 204\n}\n}", false},
		{"&(api) {\n" + proxy + "}\nhttp://:1 {\n" + service + "invoke api\n}", false},
		{"&(auth) {\nheader /v1/* X-Asked yes\n" + service + proxy + "}\nhttp://:1 {\ninvoke auth\n}", false},
		{named + "http://:1 {\nroute {\ninvoke auth\n" + proxy + "}\n}", false},
		{named + "http://:1 {\nroute {\ninvoke auth\n}\n" + proxy + "}", false},
		{named + "&(more) {\nheader /v1/* X-More yes\ninvoke auth\n}\nhttp://:1 {\ninvoke more\n}", true},
		{named + "&(more) {\nheader /v1/* X-More yes\nroute {\ninvoke auth\n" + proxy + "}\n}\nhttp://:1 {\ninvoke more\n}", false},
		{named + "http://a.test:1 {\nrespond 204\n}\nhttp://b.test:1 {\nhandle /x {\nroute {\nroute {\ninvoke auth\n}\n" + proxy + "}\n}\n}", false},
	} {
		body, err := adapt("{\nauto_https off\npatgate {\nstore embedded " + t.TempDir() + "/tokens.db\n}\n}\n" + row.sites)
		if err != nil {
			t.Fatal(err)
		}
		var config caddy.Config
		if err := json.Unmarshal([]byte(body), &config); err != nil {
			t.Fatal(err)
		}
		if _, err := caddy.ProvisionContext(&config); row.loaded && err != nil || !row.loaded && (err == nil || !strings.Contains(err.Error(), "a proxy stands behind it")) {
			t.Errorf("%s\n: %v; want it loaded: %v", row.sites, err, row.loaded)
		}
	}
}

// Behind a terminal route nothing stands, wherever it is.
func TestAuthorizeInTerminalRoutes(t *testing.T) {
	const invoke, proxy = `{"handler": "invoke", "name": "auth"}`, `{"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:1"}]}`
	const service = `"handle": [{"handler": "patgate_authorize", "for": "caddy"}, ` + authorizedGate + `]`
	for _, row := range []struct {
		routes, named string
		loaded        bool
	}{
		{`[{"handle": [` + invoke + `, ` + proxy + `]}]`, `{` + service + `}`, false},
		{`[{"handle": [` + invoke + `, ` + proxy + `]}]`, `{"terminal": true, ` + service + `}`, true},
		{`[{"handle": [` + subroute(`[{"handle": [`+invoke+`]}]`, `[]`) + `, ` + proxy + `]}]`, `{` + service + `}`, false},
		{`[{"handle": [` + subroute(`[{"terminal": true, "handle": [`+invoke+`]}]`, `[]`) + `, ` + proxy + `]}]`, `{` + service + `}`, true},
	} {
		server := withErrors(row.routes, `[]`, `{"auth": `+row.named+`}`)
		var config caddy.Config
		if err := json.Unmarshal([]byte(whole(t, server)), &config); err != nil {
			t.Fatal(err)
		}
		if _, err := caddy.ProvisionContext(&config); row.loaded && err != nil || !row.loaded && (err == nil || !strings.Contains(err.Error(), "a proxy stands behind it")) {
			t.Errorf("%s\n: %v; want it loaded: %v", server, err, row.loaded)
		}
	}
}

// However another handler answers, it has answered; but it is no gate, and what it calls
// a success isn't one.
func TestAuthorizeAnswered(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(http.ResponseWriter)
		want   int
	}{
		"WriteHeader":    {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, 403},
		"Write":          {func(w http.ResponseWriter) { w.Write([]byte("x")) }, 403},
		"ReadFrom":       {func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) }, 403},
		"another status": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusFound) }, 302},
		"Flush":          {func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }, 403},
	} {
		a := &Authorize{For: "envoy", names: func() []string { return nil }}
		r := httptest.NewRequest("GET", "/", nil)
		ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: true})
		r = r.WithContext(context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer()))
		w := httptest.NewRecorder()
		err := a.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { row.answer(w); return nil }))
		if err != nil || w.Code != row.want || w.Header().Get("X-Envoy-Auth-Headers-To-Remove") != "" {
			t.Errorf("%s: %d %v, %v, want the handler's own answer alone, %d", name, w.Code, w.Header(), err, row.want)
		}
	}
}

// Error routes, of this site or of the one that the original request is for, don't answer
// in place of the gate: what they call a success would let the request through.
func TestAuthorizeErrors(t *testing.T) {
	const sorry = "handle_errors {\nrespond \"sorry\" 200\n}\n"
	const gate = "patgate {\nroute GET /health public\nroute GET /closed any\n}\n"
	for name, row := range map[string]struct {
		sites  string
		closed int // the answer to what no gate lets through
		health int
	}{
		"of its own":                   {"http://:1 {\npatgate_authorize caddy\n" + gate + sorry + "}", 401, 200},
		"of the other site":            {"http://auth.test:1 {\npatgate_authorize caddy\n" + gate + "}\nhttp://api.test:1 {\nrespond 204\n" + sorry + "}", 401, 200},
		"of both":                      {"http://auth.test:1 {\npatgate_authorize caddy\n" + gate + sorry + "}\nhttp://api.test:1 {\nrespond 204\n" + sorry + "}", 401, 200},
		"without a gate":               {"http://:1 {\npatgate_authorize caddy\n" + sorry + "}", 500, 500},
		"where another handler fails":  {"http://:1 {\npatgate_authorize caddy\n" + gate + "error /closed 418\n" + sorry + "}", 401, 200},
		"where one before it fails":    {"http://:1 {\nroute {\npatgate_authorize caddy\nerror /closed 418\n" + gate + "}\n" + sorry + "}", 418, 200},
		"where one fails with success": {"http://:1 {\nroute {\npatgate_authorize caddy\nerror /closed 200\n" + gate + "}\n" + sorry + "}", 500, 200},
		"where one answers before it":  {"http://:1 {\nroute {\npatgate_authorize caddy\nrespond /closed 200\n" + gate + "}\n}", 403, 200},
	} {
		body, err := adapt("{\nauto_https off\nservers {\ntrusted_proxies static 192.0.2.1/32\n}\npatgate {\nstore embedded " + t.TempDir() + "/tokens.db\n}\n}\n" + row.sites)
		if err != nil {
			t.Fatal(err)
		}
		g := gatedBy(t, string(body), "srv0")
		for path, want := range map[string]int{"/closed": row.closed, "/health": row.health} {
			w := g.ask("GET", "http://auth.test/", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", path, "X-Forwarded-Host", "api.test")
			if w.Code != want || strings.Contains(w.Body.String(), "sorry") {
				t.Errorf("error routes %s: %s: %d %s, want %d", name, path, w.Code, w.Body, want)
			}
		}
	}
}

// The public keys are the gate's own answer to a client, and no permission for
// another proxy's.
func TestAuthorizeAsksForKeys(t *testing.T) {
	signed := strings.Replace(authorizedGate, `"handler": "patgate"`, `"handler": "patgate", "identity_headers": {"signed": {"jwks": "/jwks"}}`, 1)
	if signed == authorizedGate {
		t.Fatal("the gate isn't what it was")
	}
	g := authorization(t, "nginx", signed)
	if w := g.ask("GET", "/_patgate", "X-Original-Method", "GET", "X-Original-Uri", "/jwks?_method=DELETE"); w.Code != 400 && w.Code != 403 {
		t.Errorf("with another method for the API: %d", w.Code)
	}
	if w := g.ask("GET", "/_patgate", "X-Original-Method", "GET", "X-Original-Uri", "/jwks"); w.Code != 403 {
		t.Errorf("the path of the keys, on no route: %d, want 403", w.Code)
	}
}
