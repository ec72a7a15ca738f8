package test

import (
	"testing"

	"github.com/patgate/patgate/token"
)

// What routes ask for, where spaces and resources are found, and what tokens
// hold: each row is a request and what becomes of it. The decisions themselves
// have their tables in package policy; here is what an operator's Caddyfile
// makes of them.
func TestRoutes(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		options: `scopes {
			stories:read
			stories:write implies stories:read
			files:read
			admin
		}`,
		sites: `
http://api.test:{$PORT} {
	patgate {
		let_through cookie session
		let_through scheme Negotiate
		route GET /ping public
		route * /never never
		route GET /any any
		route GET /optional stories:read {
			optional
		}
		route GET,POST /both stories:write files:read
		route GET /either stories:write|files:read
		group /spaces/{space} {
			route GET / stories:read
			route GET,HEAD /stories stories:read
			route POST,DELETE /stories stories:write
			route GET /stories/{id} stories:read {
				resource path.id
			}
			route GET /stories?version=draft stories:write
		}
		route GET /by/query stories:read {
			space query.space
		}
		route GET /by/header stories:read {
			space header.X-Space
		}
		route GET /by/host stories:read {
			space host.1
		}
		route GET /own stories:read {
			space token
		}
		route GET /across stories:read {
			space all
		}
		route GET /tail/{space}/{path...} files:read
		route GET /tail/{space}/special stories:read
	}
	reverse_proxy {$UPSTREAM}
}
http://eu.acme.test:{$PORT} {
	patgate {
		route GET /by/host stories:read {
			space host.2
		}
	}
	reverse_proxy {$UPSTREAM}
}
http://any.test:{$PORT} {
	patgate {
		default any
		route GET /public public
	}
	reverse_proxy {$UPSTREAM}
}
http://public.test:{$PORT} {
	patgate {
		default public
		route GET /private any
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{
			{name: "full"},
			{name: "reader", grants: grant("1", "stories:read", "*")},
			{name: "writer", grants: grant("1 2", "stories:write", "*")},
			{name: "files", grants: grant("1", "files:read", "*")},
			{name: "one story", grants: grant("1", "stories:read", "7")},
			{name: "parts", grants: append(grant("1", "stories:*", "*"), grant("2", "*:read", "*")...)},
			{name: "eu", grants: grant("eu", "stories:read", "*")},
			{name: "everywhere", grants: grant("*", "stories:read", "*")},
			{name: "capped", owner: "bob"},
		},
		owners: []*token.Owner{{ID: "bob", Enabled: true, Grants: grant("1", "stories:read", "*")}},
	})
	for _, row := range []struct {
		token  string // "": none
		method string
		target string
		host   string
		header []string
		want   string
	}{
		{"", "GET", "/ping", "", nil, "forward"},
		{"", "HEAD", "/ping", "", nil, "forward"},
		{"", "POST", "/ping", "", nil, "route_unknown"},
		{"", "GET", "/ping", "", []string{"Authorization: Bearer pat_nonsense"}, "forward"},
		{"full", "GET", "/never", "", nil, "route_never"},
		{"", "GET", "/never", "", nil, "route_never"},
		{"", "GET", "/never", "", []string{"Cookie: session=1"}, "forward"},
		{"", "GET", "/any", "", []string{"Cookie: session=1"}, "forward"},
		{"", "GET", "/any", "", []string{"Cookie: session="}, "token_missing"},
		{"", "GET", "/any", "", []string{"Cookie: sessions=1"}, "token_missing"},
		{"", "GET", "/any", "", []string{"Authorization: Negotiate abc"}, "forward"},
		{"", "GET", "/any", "", []string{"Authorization: Bearer pat_nonsense", "Cookie: session=1"}, "token_malformed"},
		{"", "GET", "/unknown", "", []string{"Cookie: session=1"}, "route_unknown"},
		{"full", "GET", "/unknown", "", nil, "route_unknown"},
		{"", "GET", "/unknown", "", nil, "route_unknown"},
		{"files", "GET", "/any", "", nil, "forward"},
		{"", "GET", "/optional", "", nil, "forward"},
		{"reader", "GET", "/optional", "", nil, "forward"},
		{"files", "GET", "/optional", "", nil, "scope_missing"},
		{"", "GET", "/optional", "", []string{"Authorization: Bearer pat_nonsense"}, "token_malformed"},
		{"full", "GET", "/both", "", nil, "forward"},
		{"writer", "GET", "/both", "", nil, "scope_missing"},
		{"files", "GET", "/both", "", nil, "scope_missing"},
		{"files", "GET", "/either", "", nil, "forward"},
		{"writer", "GET", "/either", "", nil, "forward"},
		{"reader", "GET", "/either", "", nil, "scope_missing"},
		{"reader", "GET", "/spaces/1/stories", "", nil, "forward"},
		{"reader", "GET", "/spaces/1/stories/", "", nil, "forward"},
		{"reader", "HEAD", "/spaces/1/stories", "", nil, "forward"},
		{"reader", "GET", "/spaces/1", "", nil, "forward"},
		{"reader", "GET", "/spaces/2/stories", "", nil, "space_not_granted"},
		{"reader", "GET", "/spaces/01/stories", "", nil, "space_not_granted"},
		{"reader", "GET", "/spaces/%31/stories", "", nil, "forward"},
		{"reader", "GET", "/spaces/%2A/stories", "", nil, "space_not_granted"},
		{"reader", "GET", "/spaces/*/stories", "", nil, "space_not_granted"},
		{"reader", "GET", "/Spaces/1/stories", "", nil, "route_unknown"},
		{"reader", "POST", "/spaces/1/stories", "", nil, "scope_missing"},
		{"writer", "POST", "/spaces/2/stories", "", nil, "forward"},
		{"writer", "GET", "/spaces/2/stories", "", nil, "forward"}, // implied
		{"writer", "PATCH", "/spaces/2/stories", "", nil, "route_unknown"},
		{"reader", "GET", "/spaces/1/stories?version=draft", "", nil, "scope_missing"},
		{"writer", "GET", "/spaces/1/stories?version=draft", "", nil, "forward"},
		{"reader", "GET", "/spaces/1/stories?version=published", "", nil, "forward"},
		{"reader", "GET", "/spaces/1/stories?Version=draft", "", nil, "ambiguous_request"},
		{"reader", "GET", "/spaces/1/stories?version=published&version=draft", "", nil, "scope_missing"}, // the strictest reading
		{"writer", "GET", "/spaces/1/stories?version=published&version=draft", "", nil, "forward"},
		{"one story", "GET", "/spaces/1/stories/7", "", nil, "forward"},
		{"one story", "GET", "/spaces/1/stories/8", "", nil, "resource_not_granted"},
		{"one story", "GET", "/spaces/1/stories", "", nil, "resource_not_granted"},
		{"parts", "POST", "/spaces/1/stories", "", nil, "forward"},
		{"parts", "POST", "/spaces/2/stories", "", nil, "scope_missing"},
		{"parts", "GET", "/spaces/2/stories", "", nil, "forward"},
		{"parts", "GET", "/tail/2/a/b", "", nil, "forward"},
		{"parts", "GET", "/tail/1/a/b", "", nil, "scope_missing"},
		{"parts", "GET", "/tail/1/special", "", nil, "forward"},
		{"reader", "GET", "/by/query?space=1", "", nil, "forward"},
		{"reader", "GET", "/by/query?space=2", "", nil, "space_not_granted"},
		{"reader", "GET", "/by/query", "", nil, "ambiguous_request"},
		{"reader", "GET", "/by/query?space=1&space=1", "", nil, "ambiguous_request"},
		{"reader", "GET", "/by/query?space=1&SPACE=2", "", nil, "ambiguous_request"},
		{"reader", "GET", "/by/header", "", []string{"X-Space: 1"}, "forward"},
		{"reader", "GET", "/by/header", "", []string{"X-Space: 2"}, "space_not_granted"},
		{"reader", "GET", "/by/header", "", []string{"X-Space: 1", "X-Space: 2"}, "ambiguous_request"},
		{"reader", "GET", "/by/header", "", []string{"X-Space: 1, 2"}, "ambiguous_request"},
		{"reader", "GET", "/by/header", "", []string{"X-Space: 1", "Connection: X-Space"}, "ambiguous_request"},
		{"reader", "GET", "/by/header", "", []string{"X_Space: 1"}, "ambiguous_request"},
		{"reader", "GET", "/by/header", "", []string{"X-Space:"}, "ambiguous_request"},
		{"eu", "GET", "/by/host", "eu.acme.test", nil, "forward"},
		{"eu", "GET", "/by/host", "EU.Acme.test", nil, "forward"},
		{"reader", "GET", "/by/host", "eu.acme.test", nil, "space_not_granted"},
		{"reader", "GET", "/own", "", nil, "forward"},
		{"writer", "GET", "/own", "", nil, "space_not_granted"},
		{"everywhere", "GET", "/own", "", nil, "space_not_granted"},
		{"everywhere", "GET", "/across", "", nil, "forward"},
		{"writer", "GET", "/across", "", nil, "space_not_granted"},
		{"capped", "GET", "/spaces/1/stories", "", nil, "forward"},
		{"capped", "POST", "/spaces/1/stories", "", nil, "scope_missing"},
		{"capped", "GET", "/spaces/2/stories", "", nil, "space_not_granted"},

		{"", "GET", "/x", "any.test", nil, "token_missing"},
		{"files", "GET", "/x", "any.test", nil, "forward"},
		{"", "GET", "/public", "any.test", nil, "forward"},
		{"", "POST", "/public", "any.test", nil, "token_missing"},
		{"", "GET", "/x", "public.test", nil, "forward"},
		{"", "GET", "/private", "public.test", nil, "token_missing"},
		{"", "GET", "/private/", "public.test", nil, "token_missing"},
		{"", "GET", "/x//private", "public.test", nil, "ambiguous_request"},
	} {
		r := request{method: row.method, target: row.target, host: row.host, header: row.header}
		if row.token != "" {
			r = r.with(g.bearer(row.token))
		}
		a := g.send(t, r)
		got := g.upstream.take()
		verdict := a.verdict()
		if r.method == "HEAD" && a.status == 200 {
			verdict = "forward"
		}
		if verdict != row.want {
			t.Errorf("token %q: %s: %s (%s), want %s", row.token, r, verdict, a.problem.Detail, row.want)
		}
		if served := len(got) == 1; served != (row.want == "forward") {
			t.Errorf("token %q: %s: %s, and the upstream got %d requests", row.token, r, verdict, len(got))
		} else if served && got[0].target != row.target {
			t.Errorf("%s: the upstream got %s", r, got[0].target)
		}
	}
}

// A CORS preflight carries no credentials, so it needs none; what it asks about
// must be a route.
func TestPreflight(t *testing.T) {
	t.Parallel()
	const policy = `
		route GET,DELETE /x any
		route * /never never
		route OPTIONS /y any
	}
	reverse_proxy {$UPSTREAM}
}`
	g := start(t, setup{sites: "http://api.test:{$PORT} {\n\tpatgate {" + policy + "\nhttp://deny.test:{$PORT} {\n\tpatgate {\n\t\tcors_preflight deny" + policy})
	origin := "Origin: https://app.test"
	asks := func(method string) string { return "Access-Control-Request-Method: " + method }
	for _, row := range []struct {
		host, method, target string
		header               []string
		body                 string
		want                 string
	}{
		{"", "OPTIONS", "/x", []string{origin, asks("GET")}, "", "forward"},
		{"", "OPTIONS", "/x", []string{origin, asks("DELETE"), "Access-Control-Request-Headers: authorization"}, "", "forward"},
		{"", "OPTIONS", "/x", []string{origin, asks("PUT")}, "", "route_unknown"},
		{"", "OPTIONS", "/z", []string{origin, asks("GET")}, "", "route_unknown"},
		{"", "OPTIONS", "/never", []string{origin, asks("GET")}, "", "route_never"},
		{"", "OPTIONS", "/x", []string{origin}, "", "route_unknown"},
		{"", "OPTIONS", "/x", []string{asks("GET")}, "", "route_unknown"},
		{"", "OPTIONS", "/y", []string{origin, asks("GET")}, "", "token_missing"},
		{"", "OPTIONS", "/x", []string{origin, asks("GET"), "Authorization: Bearer x"}, "", "route_unknown"},
		{"", "OPTIONS", "/x", []string{origin, asks("GET"), "Cookie: a=b"}, "", "route_unknown"},
		{"", "OPTIONS", "/x", []string{origin, asks("GET")}, "body", "route_unknown"},
		{"", "GET", "/x", []string{origin, asks("GET")}, "", "token_missing"},
		{"", "OPTIONS", "/./x", []string{origin, asks("GET")}, "", "ambiguous_request"},
		{"deny.test", "OPTIONS", "/x", []string{origin, asks("GET")}, "", "route_unknown"},
	} {
		a := g.send(t, request{method: row.method, host: row.host, target: row.target, header: row.header, body: row.body})
		got := g.upstream.take()
		if a.verdict() != row.want || (len(got) == 1) != (row.want == "forward") {
			t.Errorf("%s %s %v %q: %s, upstream got %d requests; want %s", row.method, row.target, row.header, row.body, a.verdict(), len(got), row.want)
		}
		// The API answers every method alike. What it answers with, only a token opens.
		if row.want == "forward" && (a.status != 200 || a.header.Get("X-Served") != "yes" || a.header.Get("Content-Length") != "0" || a.body != "") {
			t.Errorf("%s %s %v: %d %v %q, want the API's header and no body", row.method, row.target, row.header, a.status, a.header, a.body)
		}
	}
}
