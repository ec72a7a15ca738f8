package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
)

const lifeSites = `
http://api.test:{$PORT} {
	patgate {
		route GET /any any
		route GET /read stories:read
	}
	reverse_proxy {$UPSTREAM}
}
http://tokens.test:{$PORT} {
	patgate_console {
		owner {http.auth.user.id}
	}
}`

// starter starts a gateway.
type starter func(*testing.T, setup) *gateway

// onBothStores has a test run with tokens in a file, and with tokens in Redis.
func onBothStores(t *testing.T, test func(*testing.T, starter)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, start)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		test(t, func(t *testing.T, s setup) *gateway {
			s.store = "redis redis://" + server.Addr
			return start(t, s)
		})
	})
}

// A token's last use is noted, whether or not it may do what was asked, and that
// is no change: nobody has to read the token again.
func TestLastUsed(t *testing.T) { onBothStores(t, lastUsed) }

func lastUsed(t *testing.T, start starter) {
	g := start(t, setup{options: "last_used 1s", sites: lifeSites})
	used := g.create(t, `{"name":"used","grants":[{"spaces":["1"],"scopes":["other"]}]}`)
	refused := g.create(t, `{"name":"refused","grants":[{"spaces":["1"],"scopes":["other"]}]}`)
	never := g.create(t, `{"name":"never","full":true,"allowed_ips":["192.0.2.1"]}`)
	before, began := g.position(t), time.Now().Add(-time.Second)
	for target, want := range map[string]struct {
		created
		verdict string
	}{
		"/any":   {used, "forward"},
		"/read":  {refused, "scope_missing"},
		"/any?x": {never, "address_not_allowed"},
	} {
		if a := g.send(t, request{target: target}.with(bearerOf(want.Secret))); a.verdict() != want.verdict {
			t.Fatalf("%s: %s, want %s", target, a, want.verdict)
		}
	}
	for _, c := range []created{used, refused} {
		await(t, "the last use", func() bool { return g.token(t, c.Token.ID).LastUsedAt != nil })
		if tok := g.token(t, c.Token.ID); tok.LastUsedAt.Before(began) || tok.LastUsedAt.After(time.Now()) || tok.LastUsedIP == nil || *tok.LastUsedIP != "127.0.0.1" {
			t.Errorf("used %v from %v, want just now from 127.0.0.1", tok.LastUsedAt, tok.LastUsedIP)
		}
	}
	if tok := g.token(t, never.Token.ID); tok.LastUsedAt != nil {
		t.Errorf("a token that wasn't accepted was used %v", tok.LastUsedAt)
	}
	if after := g.position(t); after != before {
		t.Errorf("uses move the position of the store from %d to %d", before, after)
	}
	// A second later the next use is noted.
	first := *g.token(t, used.Token.ID).LastUsedAt
	await(t, "a later use", func() bool {
		g.send(t, request{target: "/any"}.with(bearerOf(used.Secret)))
		return g.token(t, used.Token.ID).LastUsedAt.After(first)
	})
	out, err := g.command("token", "list", "--unused", "1ms", "--sort", "last_used", "--address", "unix/"+g.admin)
	if err != nil || !strings.Contains(out, "ago") {
		t.Errorf("token list: %v\n%s", err, out)
	}
}

// What was noted isn't lost when the gateway ends.
func TestLastUsedAtTheEnd(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: lifeSites})
	c := g.create(t, `{"name":"n","full":true}`)
	if a := g.send(t, request{target: "/any"}.with(bearerOf(c.Secret))); a.verdict() != "forward" {
		t.Fatal(a)
	}
	g.stop()
	if err := g.run(t); err != nil {
		t.Fatal(err)
	}
	if g.token(t, c.Token.ID).LastUsedAt == nil {
		t.Error("the use was forgotten")
	}
	if got := actions(g.events(t, c.Token.ID)); got != "created" {
		t.Errorf("events after a restart: %q, want what there was", got)
	}
}

func TestLastUsedOff(t *testing.T) {
	t.Parallel()
	g := start(t, setup{options: "last_used off", sites: lifeSites})
	c := g.create(t, `{"name":"n","full":true}`)
	if a := g.send(t, request{target: "/any"}.with(bearerOf(c.Secret))); a.verdict() != "forward" {
		t.Fatal(a)
	}
	g.stop()
	if err := g.run(t); err != nil {
		t.Fatal(err)
	}
	if at := g.token(t, c.Token.ID).LastUsedAt; at != nil {
		t.Errorf("a use at %v is noted, want none", at)
	}
}

// A replaced secret works for as long as it was to; who uses it later is counted,
// and recorded once.
func TestRetiredSecret(t *testing.T) { onBothStores(t, retiredSecret) }

func retiredSecret(t *testing.T, start starter) {
	g := start(t, setup{sites: lifeSites})
	c := g.create(t, `{"name":"n","full":true}`)
	old := c.Secret
	var renewed created
	if status := g.call(t, "POST", "/patgate/tokens/"+c.Token.ID+"/regenerate", `{"overlap":"1500ms"}`, &renewed); status != http.StatusOK {
		t.Fatalf("regenerating: %d", status)
	}
	if a := g.send(t, request{target: "/any"}.with(bearerOf(renewed.Secret))); a.verdict() != "forward" {
		t.Errorf("the new secret: %s", a)
	}
	await(t, "the end of the overlap", func() bool {
		a := g.send(t, request{target: "/any"}.with(bearerOf(old)))
		return a.verdict() == "token_revoked"
	})
	for range 3 {
		if a := g.send(t, request{target: "/any"}.with(bearerOf(old))); a.verdict() != "token_revoked" || !strings.Contains(a.problem.Detail, "replaced by a newer one") {
			t.Errorf("the old secret: %s", a)
		}
	}
	if a := g.send(t, request{target: "/any"}.with(bearerOf(renewed.Secret))); a.verdict() != "forward" {
		t.Errorf("the new secret: %s", a)
	}
	await(t, "the event", func() bool { return actions(g.events(t, c.Token.ID)) == "retired_secret_used regenerated created" })
	if e := g.events(t, c.Token.ID)[0]; e.ActorKind != "token" || e.Actor != c.Token.ID || e.Address != "127.0.0.1" {
		t.Errorf("the event is %+v, want it of the token, from here", e)
	}
	if n := g.metrics(t)["caddy_patgate_retired_secret_used_total"]; n != "4" {
		t.Errorf("%s uses of the old secret are counted, want 4", n)
	}
}

// A token describes, regenerates and revokes itself.
func TestSelf(t *testing.T) { onBothStores(t, self) }

func self(t *testing.T, start starter) {
	g := start(t, setup{sites: lifeSites})
	c := g.create(t, `{"name":"n","owner":"alice","expires_in":"30d","grants":[{"spaces":["1"],"scopes":["stories:read"]}]}`)
	self := func(method, path, secret, body string) *answer {
		t.Helper()
		return g.send(t, request{method: method, host: "tokens.test", target: path, body: body}.with(bearerOf(secret), "Content-Type: application/json"))
	}
	if a := self("GET", "/self", c.Secret, ""); a.status != 200 || !strings.Contains(a.body, c.Token.ID) {
		t.Errorf("GET /self: %s %s", a, a.body)
	}
	if a := self("POST", "/self/regenerate", c.Secret, `{"expires_in":"31d"}`); a.status != 403 {
		t.Errorf("a longer life: %s", a)
	}
	a := self("POST", "/self/regenerate", c.Secret, `{"overlap":"1h"}`)
	var renewed created
	if err := json.Unmarshal([]byte(a.body), &renewed); err != nil || a.status != 200 || renewed.Secret == "" {
		t.Fatalf("regenerating itself: %s, %v", a, err)
	}
	for _, secret := range []string{c.Secret, renewed.Secret} { // both, during the overlap
		if a := g.send(t, request{target: "/read"}.with(bearerOf(secret))); a.verdict() != "forward" {
			t.Errorf("during the overlap: %s", a)
		}
	}
	if a := self("POST", "/self/regenerate", c.Secret, ""); a.status != 403 {
		t.Errorf("regenerating with the replaced secret: %s", a)
	}
	if a := self("DELETE", "/self", renewed.Secret, ""); a.status != 200 {
		t.Errorf("DELETE /self: %s", a)
	}
	for _, secret := range []string{c.Secret, renewed.Secret} {
		if a := g.send(t, request{target: "/read"}.with(bearerOf(secret))); a.verdict() != "token_revoked" {
			t.Errorf("after DELETE /self: %s", a)
		}
		if a := self("GET", "/self", secret, ""); a.status != 401 || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("GET /self of a revoked token: %s", a)
		}
	}
	events := g.events(t, c.Token.ID)
	if got := actions(events); got != "revoked regenerated created" || events[0].ActorKind != "token" || events[1].ActorKind != "token" || events[2].ActorKind != "operator" {
		t.Errorf("events: %q of %+v, want the first by an operator, the others by the token", got, events)
	}
}

// To have a secret is the proof that it has leaked.
func TestLeaked(t *testing.T) { onBothStores(t, leaked) }

func leaked(t *testing.T, start starter) {
	g := start(t, setup{sites: lifeSites})
	c := g.create(t, `{"name":"n","full":true}`)
	other := g.create(t, `{"name":"other","full":true}`)
	report := func(body string) int {
		t.Helper()
		return g.send(t, request{method: "POST", host: "tokens.test", target: "/leaked", body: body}.with("Content-Type: application/json")).status
	}
	unknown := report(`{"secret":"pat_000000000000000000000000000000000000"}`)
	if got := report(fmt.Sprintf(`[{"secret":%q},{"secret":"who knows"}]`, c.Secret)); got != unknown || got != http.StatusNoContent {
		t.Errorf("reporting a secret is answered %d, and one that is none %d, want 204 to both", got, unknown)
	}
	if a := g.send(t, request{target: "/any"}.with(bearerOf(c.Secret))); a.verdict() != "token_revoked" {
		t.Errorf("the leaked secret: %s", a)
	}
	if a := g.send(t, request{target: "/any"}.with(bearerOf(other.Secret))); a.verdict() != "forward" {
		t.Errorf("another: %s", a)
	}
	if e := g.events(t, c.Token.ID)[0]; e.Action != "revoked" || e.ActorKind != "token" || !strings.Contains(e.Detail, "leaked") || e.Address != "127.0.0.1" {
		t.Errorf("the event is %+v, want it to say that the secret has leaked", e)
	}
}

// The audit trail keeps what it is to keep, from when the configuration says so.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	s := setup{sites: lifeSites}
	g := start(t, s)
	for range 5 {
		g.create(t, `{"name":"n","full":true}`)
	}
	count := func() int {
		var page struct{ Events []eventJSON }
		if err := json.Unmarshal(g.get(t, "/patgate/events"), &page); err != nil {
			t.Fatal(err)
		}
		return len(page.Events)
	}
	if n := count(); n != 5 {
		t.Fatalf("%d events, want 5", n)
	}
	for _, c := range []struct {
		options string
		want    int
	}{
		{"events {\nmax 3\n}", 3},
		{"events {\nkeep 1ms\n}", 1}, // that of the last token
	} {
		s.options = c.options
		if err := g.reload(t, s); err != nil {
			t.Fatal(err)
		}
		await(t, c.options, func() bool { return count() == c.want })
		g.create(t, `{"name":"later","full":true}`)
	}
}

func TestGrantsImmutable(t *testing.T) {
	t.Parallel()
	g := start(t, setup{options: "grants immutable", sites: lifeSites})
	c := g.create(t, `{"name":"n","full":true}`)
	path := "/patgate/tokens/" + c.Token.ID
	for _, row := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", path + "/grants", `{"spaces":["1"],"scopes":["x"]}`, 403},
		{"DELETE", path + "/grants/1", "", 403},
		{"DELETE", path + "/grants", "", 403},
		{"PATCH", path, `{"name":"m"}`, 200},
		{"POST", path + "/regenerate", "", 200},
		{"POST", path + "/revoke", "", 200},
	} {
		if got := g.call(t, row.method, row.path, row.body, nil); got != row.want {
			t.Errorf("%s %s: %d, want %d", row.method, row.path, got, row.want)
		}
	}
	if got := actions(g.events(t, c.Token.ID)); got != "revoked regenerated updated created" {
		t.Errorf("events: %q", got)
	}
}
