package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"

	"github.com/patgate/patgate/store"
)

// One site rewrites headers of answers; another one must not notice.
func TestH4SharedHeaderValues(t *testing.T) {
	var config caddy.Config
	gate := `{"handler": "patgate", "routes": [{"methods": ["GET"], "pattern": "/a", "require": "x"}]}`
	replace := `{"handler": "headers", "response": {"deferred": true, "replace": {
		"Content-Type": [{"search": "application/problem+json", "replace": "application/x+json"}],
		"Cache-Control": [{"search": "no-store", "replace": "no-store, no-store"}],
		"Www-Authenticate": [{"search": "Bearer", "replace": "XBearer"}]}}},`
	server := `{"listen": ["127.0.0.1:%d"], "automatic_https": {"disable": true}, "routes": [{"handle": [%s%s]}]}`
	document := fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"one": %s, "other": %s}}}}`,
		filepath.Join(t.TempDir(), "tokens.db"), fmt.Sprintf(server, 1, replace, gate), fmt.Sprintf(server, 2, "", gate))
	if err := json.Unmarshal([]byte(document), &config); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		t.Fatal(err)
	}
	web, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	servers := web.(*caddyhttp.App).Servers
	get := func(name string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/a", nil)
		r.Header.Set("Authorization", "Bearer pat_mistyped")
		servers[name].ServeHTTP(w, r)
		return w
	}
	before := get("other").Result().Header
	for range 3 {
		t.Logf("one: %v", get("one").Result().Header)
	}
	after := get("other").Result().Header
	for name := range before {
		if fmt.Sprint(before[name]) != fmt.Sprint(after[name]) {
			t.Errorf("%s of the other site: was %q, is %q", name, before[name], after[name])
		}
	}
}

func TestH4PepperOfFailedConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.db")
	start := func(pepper string) *App {
		var config caddy.Config
		if err := json.Unmarshal([]byte(fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}, "token": {"pepper": %q}}}}`, file, pepper)), &config); err != nil {
			t.Fatal(err)
		}
		ctx, err := caddy.ProvisionContext(&config)
		if err != nil {
			t.Fatal(err)
		}
		app, err := ctx.App("patgate")
		if err != nil {
			t.Fatal(err)
		}
		if err := app.(*App).Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		return app.(*App)
	}
	running := start("the pepper that is in force")
	failed := start("a pepper that never comes into force") // another app of this configuration fails to start
	failed.Stop()
	failed.Cleanup()
	digest := running.rules.Hasher.Digest("which pepper is this?")
	before, err := running.hub.opened.Load().store.(store.Marked).Mark(t.Context(), "pepper", digest[:8])
	if string(before) != string(digest[:8]) {
		t.Errorf("the mark is %x, %v, want that of the configuration in force, %x", before, err, digest[:8])
	}
	running.Cleanup()
}
