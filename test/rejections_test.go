package test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// Every rejection that needs no special circumstances, with all that the client
// is told (RFC 6750 section 3, RFC 9457).
func TestRejections(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
http://api.test:{$PORT} {
	log
	patgate {
		realm stories
		token_from bearer
		token_from basic
		token_from scheme Token
		route GET /spaces/{space}/stories/{id} stories:read stories:list|stories:all {
			resource path.id
		}
		route GET /never never
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{
			{name: "full"}, {name: "expired", expires: time.Now().Add(-time.Hour)}, {name: "revoked", revoked: true},
			{name: "disabled", owner: "mallory"}, {name: "away", ips: []string{"203.0.113.0/24"}},
			{name: "elsewhere", grants: grant("2", "*", "*")}, {name: "other scope", grants: grant("*", "stories:read", "*")},
			{name: "other story", grants: grant("1", "*", "8")},
		},
		owners: []*token.Owner{{ID: "mallory"}},
	})
	const (
		target  = "/spaces/1/stories/7"
		bearer  = `Bearer realm="stories"`
		others  = ` | Basic realm="stories", charset="UTF-8" | Token realm="stories"`
		needs   = "stories:read stories:list|stories:all"
		enough  = `, scope="stories:read stories:list"`
		invalid = bearer + `, error="invalid_token", error_description="`
		lacking = bearer + `, error="insufficient_scope", error_description="`
	)
	unknown := token.NewSecret("pat")
	g.secrets["unknown"] = unknown
	for _, row := range []struct {
		token, target string
		status        int
		reason        string
		challenge     string
		required      string
		space         string
	}{
		{"", target, 401, "token_missing", bearer + others, "", ""},
		{"full", "/spaces//stories/7", 400, "ambiguous_request", bearer + `, error="invalid_request", error_description="the path has an empty segment"`, "", ""},
		{"malformed", target, 401, "token_malformed", invalid + `the token is malformed: it was cut off or mistyped"` + others, "", ""},
		{"unknown", target, 401, "token_unknown", invalid + `the token is not known"` + others, "", ""},
		{"expired", target, 401, "token_expired", invalid + `the token has expired"` + others, "", ""},
		{"revoked", target, 401, "token_revoked", invalid + `the token was revoked"` + others, "", ""},
		{"disabled", target, 401, "owner_disabled", invalid + `the token's owner is disabled"` + others, "", ""},
		{"away", target, 401, "address_not_allowed", invalid + `the token may not be used from this address"` + others, "", ""},
		{"elsewhere", target, 403, "space_not_granted", lacking + `the token is not granted for this space"` + enough, needs, "1"},
		{"other scope", target, 403, "scope_missing", lacking + `the token lacks the scope that is needed"` + enough, needs, "1"},
		{"other story", target, 403, "resource_not_granted", lacking + `the token is not granted for this resource"` + enough, needs, "1"},
		{"full", "/nowhere", 403, "route_unknown", "", "", ""},
		{"full", "/never", 403, "route_never", "", "", ""},
	} {
		r := request{target: row.target}
		switch row.token {
		case "":
		case "malformed":
			r = r.with("Authorization: Bearer pat_short")
		default:
			r = r.with(g.bearer(row.token))
		}
		a := g.send(t, r)
		p := a.problem
		if a.status != row.status || p.Status != row.status || p.Reason != row.reason {
			t.Errorf("%s: %d %+v, want %d %s", row.reason, a.status, p, row.status, row.reason)
		}
		if got := strings.Join(a.header.Values("WWW-Authenticate"), " | "); got != row.challenge {
			t.Errorf("%s: challenge\n %s, want\n %s", row.reason, got, row.challenge)
		}
		if p.Type != "urn:patgate:problem:"+row.reason || p.Title != http.StatusText(row.status) || p.Detail == "" {
			t.Errorf("%s: type %q, title %q, detail %q", row.reason, p.Type, p.Title, p.Detail)
		}
		if p.RequiredScope != row.required || p.Space != row.space {
			t.Errorf("%s: required scope %q in space %q, want %q in %q", row.reason, p.RequiredScope, p.Space, row.required, row.space)
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: header %v", row.reason, a.header)
		}
		for name := range a.header {
			if strings.HasPrefix(name, "X-Patgate") {
				t.Errorf("%s: the client is told %s", row.reason, name)
			}
		}
		if strings.Contains(a.body, "alice") || strings.Contains(a.body, "mallory") {
			t.Errorf("%s: the client is told an owner: %s", row.reason, a.body)
		}
		r.method = "HEAD"
		head := g.send(t, r)
		if head.status != row.status || head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
			t.Errorf("HEAD %s: %d, length %s, body %q; want what GET has, and no body", row.reason, head.status, head.header.Get("Content-Length"), head.body)
		}
		if got := g.upstream.take(); len(got) != 0 {
			t.Errorf("%s: the upstream got %s", row.reason, got[0].raw)
		}
	}
}

// Error routes get patgate's rejections as they get those of Caddy's handlers.
func TestErrorRoutes(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
http://api.test:{$PORT} {
	patgate {
		route GET /spaces/{space}/stories/{id} stories:read {
			resource path.id
		}
	}
	reverse_proxy {$UPSTREAM}
	handle_errors {
		header X-Placeholders "{http.patgate.decision} {http.patgate.token_id} {http.patgate.owner} {http.patgate.space} {http.patgate.resource} {http.patgate.required_scope}"
		respond "{err.status_code}: {err.message}"
	}
}`,
		tokens: []known{{name: "files", owner: "alice", grants: grant("1", "files:read", "*")}},
	})
	a := g.send(t, request{target: "/spaces/1/stories/7"}.with(g.bearer("files")))
	if a.status != 403 || a.body != "403: the token lacks the scope that is needed" || a.header.Get("Content-Type") == "application/problem+json" {
		t.Errorf("got %d %q %v", a.status, a.body, a.header)
	}
	placeholders := strings.Fields(a.header.Get("X-Placeholders"))
	if len(placeholders) != 6 || len(placeholders[1]) != 26 {
		t.Fatalf("placeholders: %q", placeholders)
	}
	placeholders[1] = "ID"
	if got, want := strings.Join(placeholders, " "), "scope_missing ID alice 1 7 stories:read"; got != want {
		t.Errorf("placeholders: %s, want %s", got, want)
	}
	if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) {
		t.Errorf("challenge %q", got)
	}
	if a := g.send(t, request{target: "/spaces/1/stories/7"}); a.status != 401 || a.header.Get("X-Placeholders") != "token_missing   1 7 stories:read" {
		t.Errorf("without a token: %d %q", a.status, a.header.Get("X-Placeholders"))
	}
	if got := g.upstream.take(); len(got) != 0 {
		t.Errorf("the upstream got %s", got[0].raw)
	}
}

// Sites on one port share their error routes in Caddy's JSON. What none of them is
// for, the gate answers itself.
func TestErrorRoutesOfOthers(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
(gate) {
	patgate {
		default deny
		route GET /x any
		route GET /old/new/x any
	}
	reverse_proxy {$UPSTREAM}
}
http://api.test:{$PORT} {
	import gate
}
http://other.test:{$PORT} {
	import gate
	handle_errors {
		respond "other: {err.status_code}"
	}
}
http://some.test:{$PORT} {
	rewrite /new/* /old{uri}
	import gate
	handle_errors 404 5xx {
		respond "some: {err.status_code}"
	}
	handle_errors {
		@forbidden expression {err.status_code} == 403
		respond @forbidden "forbidden"
		respond /new/* "as it came in: {uri}"
	}
}`,
	})
	for _, row := range []struct{ host, target, want string }{
		{"api.test", "/x", "token_missing"},
		{"api.test", "/y", "route_unknown"},
		{"other.test", "/x", "other: 401"},
		{"other.test", "/y", "other: 403"},
		{"some.test", "/x", "token_missing"},
		{"some.test", "/y", "forbidden"},
		{"some.test", "/new/x", "as it came in: /new/x"},
		{"some.test", "/new/y", "forbidden"},
		{"some.test", "/x//", "ambiguous_request"},
	} {
		a := g.send(t, request{host: row.host, target: row.target})
		got := a.body
		if a.header.Get("Content-Type") == "application/problem+json" {
			got = a.verdict()
		}
		if got != row.want {
			t.Errorf("%s%s: %d %q, want %q", row.host, row.target, a.status, got, row.want)
		}
	}
}

// Error routes get a request as it came in. Where that isn't the one that was judged,
// nobody is vouched for.
func TestErrorRoutesThatForward(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
(gate) {
	patgate {
		route POST /a/{x} any
	}
	reverse_proxy 127.0.0.1:1
	handle_errors 502 {
		reverse_proxy {$UPSTREAM}
	}
}
http://api.test:{$PORT} {
	import gate
}
http://stripped.test:{$PORT} {
	uri strip_prefix /v1
	import gate
}
http://method.test:{$PORT} {
	method POST
	import gate
}`,
		tokens: []known{{name: "T", owner: "alice"}},
	})
	for _, row := range []struct{ host, method, target, owner string }{
		{"api.test", "POST", "/a/x", "alice"},
		{"stripped.test", "POST", "/a/x", "alice"},
		{"stripped.test", "POST", "/v1/a/x", ""},
		{"stripped.test", "POST", "/v1/../a/x", ""},
		{"method.test", "GET", "/a/x", ""},
	} {
		a := g.send(t, request{host: row.host, method: row.method, target: row.target}.with(g.bearer("T"), "X-Patgate-Owner: root"))
		got := g.upstream.take()
		if a.status == 400 && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].line("X-Patgate-Owner") != row.owner || (got[0].line("X-Patgate-Token") == "") != (row.owner == "") {
			t.Errorf("%s%s: answered %d, forwarded %v, want by %q", row.host, row.target, a.status, got, row.owner)
		}
	}
}

// Whoever tries many tokens is slowed down; the tokens held in memory still
// serve, also from the same address.
func TestUnknownTokenLimit(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		options: "unknown_token_limit 5 60s",
		global:  "servers {\n\ttrusted_proxies static 127.0.0.1/32\n\ttrusted_proxies_strict\n}",
		sites: `
http://api.test:{$PORT} {
	patgate {
		route GET /x any
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{{name: "held"}, {name: "not held"}},
	})
	get := func(secret, from string) *answer {
		t.Helper()
		return g.send(t, request{target: "/x", header: []string{bearerOf(secret), "X-Forwarded-For: " + from}})
	}
	guess := func() string { return token.NewSecret("pat") }
	const attacker, other = "203.0.113.9", "203.0.113.10"
	if got := get(g.secret("held"), attacker).verdict(); got != "forward" {
		t.Fatalf("the token: %s", got)
	}
	for range 3 { // these cost no lookup and count for nothing
		if got := get("pat_mistyped", attacker).verdict(); got != "token_malformed" {
			t.Errorf("a mistyped token: %s", got)
		}
	}
	same := guess()
	for i := range 5 {
		secret := guess()
		if i > 2 {
			secret = same // remembered as unknown, but sent nevertheless
		}
		if got := get(secret, attacker).verdict(); got != "token_unknown" {
			t.Errorf("guess %d: %s, want token_unknown", i+1, got)
		}
	}
	a := get(guess(), attacker)
	if a.status != 429 || a.problem.Reason != "too_many_unknown_tokens" {
		t.Errorf("one guess more: %s, want 429", a)
	}
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
		t.Errorf("Retry-After: %q, want the seconds left of the window", a.header.Get("Retry-After"))
	}
	if a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("429 with a challenge")
	}
	for _, row := range []struct{ secret, from, want string }{
		{g.secret("held"), attacker, "forward"},
		{g.secret("not held"), attacker, "too_many_unknown_tokens"},
		{g.secret("not held"), other, "forward"},
		{g.secret("not held"), attacker, "forward"}, // held by now
		{guess(), other, "token_unknown"},
		{guess(), "2001:db8:1:2::1", "token_unknown"},
	} {
		if got := get(row.secret, row.from).verdict(); got != row.want {
			t.Errorf("from %s: %s, want %s", row.from, got, row.want)
		}
	}
	for i := range 5 { // a /64 is one customer
		get(guess(), fmt.Sprintf("2001:db8:1:2::%x", i+2))
	}
	if got := get(guess(), "2001:db8:1:2:ffff::1").verdict(); got != "too_many_unknown_tokens" {
		t.Errorf("from another address of the same /64: %s", got)
	}
	if got := get(guess(), "2001:db8:1:3::1").verdict(); got != "token_unknown" {
		t.Errorf("from another /64: %s", got)
	}
}

// While an API moves behind the gate, tokens patgate doesn't know pass, without
// an identity. They are the API's own, and reach it also where others are taken out.
func TestUnknownTokenForward(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		options: "unknown_token_limit 2 60s",
		sites: fmt.Sprintf(`
http://moving.test:{$PORT} {
	log
	patgate {
		unknown_token forward until %s
		forward_token strip
		route GET /spaces/{space} stories:read
	}
	reverse_proxy {$UPSTREAM}
}
http://moved.test:{$PORT} {
	patgate {
		unknown_token forward until %s
		route GET /spaces/{space} stories:read
	}
	reverse_proxy {$UPSTREAM}
}`, time.Now().AddDate(0, 0, 1).UTC().Format(time.DateOnly), time.Now().AddDate(0, 0, -1).UTC().Format(time.DateOnly)),
		tokens: []known{{name: "known", owner: "alice", grants: grant("1", "stories:read", "*")}, {name: "revoked", revoked: true}},
	})
	for i, row := range []struct{ host, secret, target, want string }{
		{"moving", "the-api's-own-token-0001", "/spaces/1", "forward"},
		{"moving", "the-api's-own-token-0002", "/spaces/1", "forward"},
		{"moving", "the-api's-own-token-0003", "/spaces/2", "forward"}, // no limit meanwhile
		{"moving", "the-api's-own-token-0001", "/spaces/1", "forward"},
		{"moving", "the-api's-own-token-0001", "/spaces/1", "forward"},
		{"moving", "the-api's-own-token-0001", "/spaces/1", "forward"}, // nor of one that is known to be unknown
		{"moving", "the-api's-own-token-0001", "/elsewhere", "route_unknown"},
		{"moving", "pat_mistyped", "/spaces/1", "token_malformed"},
		{"moving", g.secret("revoked"), "/spaces/1", "token_revoked"},
		{"moving", g.secret("known"), "/spaces/1", "forward"},
		{"moving", g.secret("known"), "/spaces/2", "space_not_granted"},
		{"moved", "the-api's-own-token-0001", "/spaces/1", "token_unknown"},
	} {
		a := g.send(t, request{host: row.host + ".test", target: row.target, header: []string{bearerOf(row.secret), "X-Patgate-Owner: root"}})
		got := g.upstream.take()
		if a.verdict() != row.want {
			t.Errorf("%d: %s, want %s", i, a.verdict(), row.want)
		}
		if len(got) == 1 && row.secret == g.secret("known") && got[0].line("Authorization") != "" {
			t.Errorf("%d: forwarded with the token", i)
		}
		if len(got) == 1 && row.secret != g.secret("known") {
			if owner := got[0].line("X-Patgate-Owner"); owner != "" {
				t.Errorf("%d: forwarded with the identity %q", i, owner)
			}
			if got[0].line("Authorization") != "Bearer "+row.secret {
				t.Errorf("%d: forwarded with Authorization %q", i, got[0].line("Authorization"))
			}
		}
	}
	for uri, want := range map[string]any{"/spaces/2": true, "/elsewhere": nil} {
		if entry, ok := g.accessLog(t, uri)["patgate"].(map[string]any); !ok || entry["unknown_token"] != want {
			t.Errorf("access log of %s: %v, want unknown_token %v", uri, entry, want)
		}
	}
	if got := g.metrics(t)["caddy_patgate_unknown_tokens_forwarded_total"]; got != "6" {
		t.Errorf("unknown tokens forwarded: %s, want 6", got)
	}
}
