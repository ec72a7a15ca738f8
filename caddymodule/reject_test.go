package caddymodule

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
