package caddymodule

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// One site rewrites headers of answers; another one must not notice.
func TestRejectionsShareNoHeaderValues(t *testing.T) {
	gate := `{"handler": "patgate", "routes": [{"methods": ["GET"], "pattern": "/a", "require": "x"}]}`
	replace := `{"handler": "headers", "response": {"deferred": true, "replace": {
		"Content-Type": [{"search": "application/problem+json", "replace": "application/x+json"}],
		"Cache-Control": [{"search": "no-store", "replace": "no-store, no-store"}],
		"Www-Authenticate": [{"search": "Bearer", "replace": "XBearer"}]}}},`
	server := `{"listen": ["127.0.0.1:%d"], "automatic_https": {"disable": true}, "routes": [{"handle": [%s%s]}]}`
	document := fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"one": %s, "other": %s}}}}`,
		filepath.Join(t.TempDir(), "tokens.db"), fmt.Sprintf(server, 1, replace, gate), fmt.Sprintf(server, 2, "", gate))
	_, servers := provisioned(t, document)
	get := func(name string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/a", nil)
		r.Header.Set("Authorization", "Bearer pat_mistyped")
		servers[name].ServeHTTP(w, r)
		return w
	}
	before := get("other").Result().Header
	for range 3 {
		get("one")
	}
	after := get("other").Result().Header
	for name := range before {
		if fmt.Sprint(before[name]) != fmt.Sprint(after[name]) {
			t.Errorf("%s of the other site: was %q, is %q", name, before[name], after[name])
		}
	}
}

// A request is told the schemes in which its route takes tokens. One without a token isn't
// told of Bearer on a route for Basic: docker, containerd, skopeo and crane prefer Bearer,
// take the realm for the address of a server of tokens, and never send their password.
func TestChallengesOfRoutes(t *testing.T) {
	route := `{"methods": ["GET"], "pattern": %q, "require": "x", "token_from": [%s]},`
	routes := fmt.Sprintf(route, "/registry", `"basic"`) + fmt.Sprintf(route, "/git", `"basic", "bearer"`) +
		fmt.Sprintf(route, "/forge", `"scheme token"`) + fmt.Sprintf(route, "/keyed", `"header X-Key"`)
	_, servers := provisioned(t, fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"one": {
		"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "routes": [{"handle": [
		{"handler": "patgate", "realm": "r", "routes": [%s{"methods": ["GET"], "pattern": "/api", "require": "x"}]}]}]}}}}}`,
		filepath.Join(t.TempDir(), "tokens.db"), routes))
	const (
		bearer  = `Bearer realm="r"`
		invalid = bearer + `, error="invalid_token", error_description="the token is malformed: it was cut off or mistyped"`
		basic   = `Basic realm="r", charset="UTF-8"`
	)
	for _, row := range []struct{ path, authorization, want string }{
		{"/registry", "", basic},
		{"/registry", "Basic eDpwYXRfbWlzdHlwZWQ=", invalid + " | " + basic},
		{"/git", "", bearer + " | " + basic},
		{"/forge", "", `token realm="r"`},
		{"/keyed", "", bearer},
		{"/api", "", bearer},
		{"/api", "Bearer pat_mistyped", invalid},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", row.path, nil)
		if row.authorization != "" {
			r.Header.Set("Authorization", row.authorization)
		}
		servers["one"].ServeHTTP(w, r)
		if got := strings.Join(w.Result().Header.Values("WWW-Authenticate"), " | "); w.Code != 401 || got != row.want {
			t.Errorf("GET %s with Authorization %q: %d, challenge\n %s, want\n %s", row.path, row.authorization, w.Code, got, row.want)
		}
	}
}

// An answer that another handler keeps is not waited for: it goes out when the gate has
// returned.
func TestBufferedAnswer(t *testing.T) {
	for _, buffers := range []bool{false, true} {
		w := caddyhttp.NewResponseRecorder(httptest.NewRecorder(), new(bytes.Buffer), func(int, http.Header) bool { return buffers })
		w.WriteHeader(401)
		if got := buffered(&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}); got != buffers {
			t.Errorf("an answer that is buffered: %v; taken for one: %v", buffers, got)
		}
	}
}
