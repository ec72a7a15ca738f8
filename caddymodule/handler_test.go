package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// gated is a Caddy server that doesn't listen, with a gate before a handler that
// answers 200.
type gated struct {
	app    *App
	server *caddyhttp.Server
	plain  *caddyhttp.Server // without the gate
	ctx    caddy.Context
}

// provisioned provisions a configuration, and returns its servers, which don't listen.
// Caddy keeps what it provisions in a global: the tests of this package are not parallel.
func provisioned(t testing.TB, document string) (ctx caddy.Context, servers map[string]*caddyhttp.Server) {
	t.Helper()
	var config caddy.Config
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
	return ctx, web.(*caddyhttp.App).Servers
}

// gatedBy provisions a configuration, of which the server with that name is meant.
func gatedBy(t testing.TB, document, server string) *gated {
	t.Helper()
	ctx, servers := provisioned(t, document)
	app, err := ctx.App("patgate")
	if err != nil {
		t.Fatal(err)
	}
	return &gated{app: app.(*App), server: servers[server], plain: servers["plain"], ctx: ctx}
}

// start starts the app; the test's end undoes it.
func (g *gated) start(t testing.TB) *gated {
	t.Helper()
	if err := g.app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.app.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// provision provisions the server on a store's file. The store is opened later,
// by open if that is set.
func provision(t testing.TB, file string, open func() (store.Store, error)) *gated {
	t.Helper()
	server := `{"listen": ["127.0.0.1:%d"], "automatic_https": {"disable": true}, "routes": [{"handle": [%s{"handler": "static_response"}]}]}`
	gate := `{"handler": "patgate", "routes": [
		{"methods": ["GET"], "pattern": "/v1/spaces/{space}/stories", "require": "stories:read"},
		{"methods": ["POST"], "pattern": "/v1/spaces/{space}/stories", "require": "stories:write"}
	]},`
	document := fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"gate": %s, "plain": %s}}}}`,
		file, fmt.Sprintf(server, 1, gate), fmt.Sprintf(server, 2, ""))
	g := gatedBy(t, document, "gate")
	if open != nil {
		g.app.hub.source.open = open
	}
	return g
}

// startGated is provision, and what Caddy does afterwards; the test's end undoes it.
func startGated(t testing.TB, open func() (store.Store, error)) *gated {
	t.Helper()
	return provision(t, filepath.Join(t.TempDir(), "tokens.db"), open).start(t)
}

// create makes a token that may read in every space.
func (g *gated) create(t testing.TB) (secret string) {
	t.Helper()
	r, err := g.app.registry()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{token.All}
	_, secret, err = r.Operator(registry.Actor{}).Create(t.Context(), registry.NewToken{
		Name: "t", Grants: []token.Grant{{Spaces: all, Scopes: []string{"stories:read"}, Resources: all}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// get has the server serve a request with this token.
func (g *gated) get(secret string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/v1/spaces/1/stories", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	g.server.ServeHTTP(w, r)
	return w
}

// arrived returns a request as one that a connection has brought.
func arrived(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{}))
}

// faulty is a store in which looking up fails while fault is set.
type faulty struct {
	store.Store
	fault atomic.Pointer[error]
	finds atomic.Int64
}

func (f *faulty) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	f.finds.Add(1)
	if err := f.fault.Load(); err != nil {
		return store.Found{}, *err
	}
	return f.Store.Find(ctx, d)
}

// Servers with a gate or a console take no early data over HTTP/3, unless they are
// told to.
func TestEarlyData(t *testing.T) {
	for _, row := range []struct {
		handler, setting, want string
	}{
		{`{"handler": "patgate"}`, "", "false"},
		{`{"handler": "patgate_console", "owner": "{http.auth.user.id}"}`, "", "false"},
		{`{"handler": "patgate"}`, `, "allow_0rtt": true`, "true"},
		{`{"handler": "static_response"}`, "", "null"},
	} {
		_, servers := provisioned(t, fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"one": {"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "routes": [{"handle": [%s]}]%s}}}}}`,
			filepath.Join(t.TempDir(), "tokens.db"), row.handler, row.setting))
		if got, err := json.Marshal(servers["one"].Allow0RTT); err != nil || string(got) != row.want {
			t.Errorf("%s%s: allow_0rtt is %s, want %s", row.handler, row.setting, got, row.want)
		}
	}
}

// The protocol of an extended CONNECT goes no further with another method: a proxy
// that can't send it would take the upstream for down.
func TestProtocolOfConnectOnly(t *testing.T) {
	g := startErrors(t, withErrors(gatedJSON, `[]`, "{}"))
	secret, _ := g.token(t)
	for method, want := range map[string]int{"GET": 0, "CONNECT": 1} {
		served := false
		probes["fail"] = func(_ http.ResponseWriter, r *http.Request) error {
			served = true
			if got := r.Header[policy.ExtendedConnect]; len(got) != want {
				t.Errorf("%s goes on with the protocol %q, want %d of them", method, got, want)
			}
			return nil
		}
		r := streamWith(secret)
		r.Method, r.Header[policy.ExtendedConnect] = method, []string{"websocket"}
		if g.server.ServeHTTP(httptest.NewRecorder(), r); !served {
			t.Errorf("%s isn't forwarded", method)
		}
	}
}

// While the store can't be asked, the tokens held serve and all others are
// answered 503: nothing is taken for unknown, and nothing is remembered.
func TestStoreUnavailable(t *testing.T) {
	f := new(faulty)
	where, err := (&StoreConfig{File: filepath.Join(t.TempDir(), "tokens.db")}).source()
	if err != nil {
		t.Fatal(err)
	}
	g := startGated(t, func() (s store.Store, err error) {
		f.Store, err = where.open()
		return f, err
	})
	held, other := g.create(t), g.create(t)
	if w := g.get(held); w.Code != 200 {
		t.Fatalf("before: %d", w.Code)
	}
	broken := errors.New("disk on fire at /var/lib/secret-place")
	f.fault.Store(&broken)
	if w := g.get(held); w.Code != 200 {
		t.Errorf("a held token: %d, want 200", w.Code)
	}
	for range 30 { // more than an address may send of unknown ones
		w := g.get(other)
		var p rest.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 503 || p.Reason != "store_unavailable" {
			t.Fatalf("a token not held: %d %s, want 503 store_unavailable", w.Code, w.Body)
		}
		if w.Header().Get("Retry-After") != "1" || w.Header().Get("WWW-Authenticate") != "" || strings.Contains(w.Body.String(), "fire") {
			t.Fatalf("503 with %v %s", w.Header(), w.Body)
		}
	}
	f.fault.Store(nil)
	if w := g.get(other); w.Code != 200 {
		t.Errorf("when the store is back: %d, want 200", w.Code)
	}

	// A store that can't even be opened, before the app has started.
	closed := provision(t, filepath.Join(t.TempDir(), "tokens.db"), func() (store.Store, error) { return nil, broken })
	if w := closed.get(held); w.Code != 503 {
		t.Errorf("a store that can't be opened: %d, want 503", w.Code)
	}
	if err := closed.app.Start(); !errors.Is(err, broken) {
		t.Errorf("starting with it: %v, want %v", err, broken)
	}
	if err := closed.app.Cleanup(); err != nil {
		t.Error(err)
	}
}

// Configurations with the same store share what is open and held. It is closed
// with the last of them, and a request that still comes then is refused.
func TestSharedStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.db")
	references := func(key string) int {
		n, _ := hubs.References(key)
		return n
	}
	first := provision(t, file, nil)
	key := first.app.hub.source.key
	if err := first.app.Start(); err != nil {
		t.Fatal(err)
	}
	secret := first.create(t)
	if w := first.get(secret); w.Code != 200 {
		t.Fatalf("first: %d", w.Code)
	}
	second := provision(t, file, nil)
	if n := references(key); n != 2 {
		t.Errorf("%d references with two configurations", n)
	}
	if second.app.hub != first.app.hub {
		t.Error("two hubs for one file")
	}
	if err := second.app.Start(); err != nil {
		t.Fatal(err)
	}
	before := first.app.hub.opened.Load().cache.Stats()
	for range 2 { // once too often does no harm: Caddy cleans up after failures too
		if err := first.app.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	if n := references(key); n != 1 {
		t.Errorf("%d references with one configuration", n)
	}
	for name, g := range map[string]*gated{"the old configuration": first, "the new one": second} {
		if w := g.get(secret); w.Code != 200 {
			t.Errorf("%s: %d, want 200", name, w.Code)
		}
	}
	after := second.app.hub.opened.Load().cache.Stats()
	if after.Found != before.Found || after.Hits != before.Hits+2 {
		t.Errorf("the store was read again: %+v, before %+v", after, before)
	}
	if err := second.app.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if n := references(key); n != 0 {
		t.Errorf("%d references without a configuration", n)
	}
	if w := second.get(secret); w.Code != 503 {
		t.Errorf("with the store closed: %d, want 503", w.Code)
	}
}

// The settings in force are those of the configuration that has been running
// longest: a new one that fails to start leaves no trace.
func TestSettingsInForce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.db")
	configure := func(tokens int) *gated {
		g := provision(t, file, nil)
		g.app.UnknownTokenLimit.Tokens = tokens
		return g
	}
	sender := netip.MustParseAddr("192.0.2.1")
	limit := func(g *gated) (n int) {
		for sender = sender.Next(); g.app.hub.opened.Load().limiter.Add(sender, time.Now()) == 0; n++ {
		}
		return n
	}
	first := configure(7)
	if err := first.app.Start(); err != nil || limit(first) != 7 {
		t.Fatalf("limit %d, %v", limit(first), err)
	}
	failing := configure(8)
	if err := failing.app.Start(); err != nil || limit(first) != 7 {
		t.Errorf("beside the first: limit %d, %v; want 7", limit(first), err)
	}
	if err := failing.app.Cleanup(); err != nil || limit(first) != 7 {
		t.Errorf("after a failure: limit %d, %v; want 7", limit(first), err)
	}
	second := configure(9)
	if err := second.app.Start(); err != nil {
		t.Fatal(err)
	}
	if err := first.app.Cleanup(); err != nil || limit(second) != 9 {
		t.Errorf("after a reload: limit %d, %v; want 9", limit(second), err)
	}
	if err := second.app.Cleanup(); err != nil {
		t.Error(err)
	}
}

// A realm may come from the environment.
func TestRealm(t *testing.T) {
	t.Setenv("PATGATE_TEST_REALM", "api")
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := Handler{Config: policy.Config{Realm: "{env.PATGATE_TEST_REALM}"}}
	if err := h.compile(catalog); err != nil || h.policy.Realm != "api" || h.Realm != "{env.PATGATE_TEST_REALM}" {
		t.Errorf("the realm is %q, %v", h.policy.Realm, err)
	}
	t.Setenv("PATGATE_TEST_REALM", `"`)
	if err := h.compile(catalog); err == nil {
		t.Error("a realm that can't stand in a header is accepted")
	}
}

// Whoever asks the gateway that has served a token sees its last use at once.
func TestLastUseIsKnownAtOnce(t *testing.T) {
	g := startGated(t, nil)
	secret := g.create(t)
	if status := g.from("192.0.2.1:1", secret); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	reg, err := g.app.registry()
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := reg.Operator(registry.Actor{}).List(t.Context(), registry.Query{})
	if err != nil || len(all) != 1 || all[0].LastUsedAt.IsZero() || all[0].LastUsedIP.String() != "192.0.2.1" {
		t.Errorf("%+v, %v, want one token, used just now from 192.0.2.1", all, err)
	}
}

// Programs behind FastCGI are told the URL that the client has sent, whatever else is
// called fastcgi.
func TestMayForwardToFastCGI(t *testing.T) {
	proxy := `{"handler": "reverse_proxy", "transport": {"protocol": "fastcgi"}}`
	for handler, want := range map[string]bool{
		proxy: true,
		`{"handler": "subroute", "routes": [{"handle": [{"handler": "vars"}, ` + proxy + `]}]}`:                    true,
		`{"handler": "subroute", "errors": {"routes": [{"handle": [` + proxy + `]}]}}`:                             true,
		`{"handler": "reverse_proxy", "transport": {"protocol": "fast\u0063gi"}}`:                                  true,
		`{"handler": "reverse_proxy", "handle_response": [{"routes": [{"handle": [` + proxy + `]}]}]}`:             true,
		`{"handler": "reverse_proxy", "transport": {"protocol": "http"}}`:                                          false,
		`{"handler": "headers", "response": {"set": {"X-Kind": ["fastcgi"]}}}`:                                     false,
		`{"handler": "subroute", "routes": [{"match": [{"path": ["fastcgi"]}], "handle": [{"handler": "vars"}]}]}`: false,
	} {
		route := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(handler)}}
		plain := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler": "vars"}`)}}
		for _, server := range []*caddyhttp.Server{{Routes: caddyhttp.RouteList{plain, route}}, {Routes: caddyhttp.RouteList{plain}, NamedRoutes: map[string]*caddyhttp.Route{"n": &route}}} {
			if got := mayForwardToFastCGI(server); got != want {
				t.Errorf("%s: %v, want %v", handler, got, want)
			}
		}
	}
}
