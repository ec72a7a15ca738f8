package policy

import (
	"testing"
)

// A server that splits at any blank finds a token where the scheme ends at none of HTTP's.
func TestOddBlanksInAuthorization(t *testing.T) {
	for _, from := range []string{"bearer", "bare", "basic"} {
		p := compile(t, Config{Settings: Settings{TokenFrom: []string{from}}, Routes: append(routes("GET /any any", "GET /public public"), RouteConfig{Methods: []string{"GET"}, Pattern: "/optional", Require: "any", Settings: Settings{Optional: true}})})
		for _, path := range []string{"/any", "/optional", "/public"} {
			for _, value := range []string{"Bearer\tS", "Bearer\u00a0S", "Bearer\xa0S", "\u2003Bearer S", "Bearer\u0085 S"} {
				want := AmbiguousRequest
				if path == "/public" {
					want = Forward
				}
				if m := p.matched(request("GET "+path, "Authorization: "+value)); m.Reason != want {
					t.Errorf("token_from %s, %s with %q: %v (%s), want %v", from, path, value, m.Reason, m.Detail, want)
				}
			}
		}
	}
}

// What carries another credential of the API and no token is the API's own.
func TestLetThrough(t *testing.T) {
	rs := append(routes("GET /any any", "GET /public public", "GET /never never"),
		RouteConfig{Methods: []string{"GET"}, Pattern: "/optional", Require: "read", Settings: Settings{Optional: true}})
	p := compile(t, Config{LetThrough: []string{"cookie sid", "header X-Session", "scheme AWS4"}, Routes: rs,
		Settings: Settings{TokenFrom: []string{"bearer", "bare", "cookie pat"}}})
	const through, missing = "let through", "token_missing"
	for _, c := range []struct{ target, fields, want string }{
		{"GET /any", "Cookie: sid=1", through},
		{"GET /any", "Cookie: a=b; sid=1", through},
		{"GET /any", "X-Session: 1", through},
		{"GET /any", "Authorization: aws4 Credential=a, Signature=b", through},
		{"GET /optional", "Cookie: sid=1", through},
		{"GET /never", "Cookie: sid=1", through}, // never is about tokens
		{"GET /public", "Cookie: sid=1", "forward"},
		{"GET /else", "Cookie: sid=1", "route_unknown"},
		{"POST /any", "Cookie: sid=1", "route_unknown"},
		{"GET /any", "", missing},
		{"GET /any", "Cookie: sid=", missing},
		{"GET /any", `Cookie: sid=""`, missing},
		{"GET /any", "Cookie: Sid=1; xsid=1; sid", missing},
		{"GET /any", "Cookie: sid=1; sid=2", missing},
		{"GET /any", "Cookie: SID=1; sid=2; sid[]=3", through}, // the API's own, whichever it takes
		{"GET /any", "Cookie: sid=1; Pat=S", "ambiguous_request"},
		{"GET /any", "X-Session:", missing},
		{"GET /any", "X-Session: 1|X-Session: 2", missing},
		{"GET /any", "Authorization: AWS4 ", "token"}, // net/http trims; without more it is a bare token
		{"GET /any", "Authorization: AWS4x y", missing},
		{"GET /any", "Authorization: Basic dTpw", missing},
		// A token, however bad, is judged.
		{"GET /any", "Cookie: sid=1|Authorization: Bearer S", "token"},
		{"GET /any", "Cookie: sid=1|Authorization: Bearer", "token"},
		{"GET /any", "Cookie: sid=1; pat=S", "token"},
		{"GET /never", "Cookie: sid=1; pat=S", "route_never"},
		{"GET /any", "Cookie: sid=1|Authorization: S|Authorization: S", "ambiguous_request"},
		{"GET /any", "Cookie: sid=1|Authorization:|Authorization: Bearer S", "ambiguous_request"},
		{"GET /any", "Cookie: sid=1; pat=S; pat=T", "ambiguous_request"},
	} {
		m := p.matched(request(c.target, splitFields(c.fields)...))
		if got := answer(m); got != c.want {
			t.Errorf("%s with %q: %s (%s), want %s", c.target, c.fields, got, m.Detail, c.want)
		}
		if m.LetThrough && m.Secret != "" {
			t.Errorf("%s with %q: let through with a secret", c.target, c.fields)
		}
	}
	// Placeholders and logs say which space it is about, as without any credential.
	p = compile(t, Config{LetThrough: []string{"cookie sid"}, Routes: []RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/s/{space}/{id}", Require: "read", Settings: Settings{Resource: "path.id"}},
		{Methods: []string{"GET"}, Pattern: "/find", Require: "read", Settings: Settings{Space: "query.space"}},
	}})
	for target, want := range map[string]string{"GET /s/1/7": "1 7", "GET /find?space=1": "1 ", "GET /find": " "} {
		if m := p.matched(request(target, "Cookie: sid=1")); !m.LetThrough || m.Space+" "+m.Resource != want {
			t.Errorf("%s: let through %t, in space and resource %q, want %q", target, m.LetThrough, m.Space+" "+m.Resource, want)
		}
	}
	// With default any there is a route everywhere.
	p = compile(t, Config{Default: "any", LetThrough: []string{"cookie sid"}})
	if got := answer(p.matched(request("GET /else", "Cookie: sid=1"))); got != through {
		t.Errorf("default any with a let_through cookie: %s, want %s", got, through)
	}
}

// A bearer value that begins as the API's own do is none of patgate's; patgate's
// own are never let through, wherever they stand.
func TestLetThroughByBeginning(t *testing.T) {
	p := compile(t, Config{
		LetThrough: []string{"bearer ey*", "bearer pa*", "header X-Session", "scheme Token"},
		Routes: append(routes("GET /any any", "GET /never never", "GET /public public"),
			RouteConfig{Methods: []string{"GET"}, Pattern: "/optional", Require: "read", Settings: Settings{Optional: true}},
			RouteConfig{Methods: []string{"GET"}, Pattern: "/elsewhere", Require: "read", Settings: Settings{TokenFrom: []string{"header X-Key"}}}),
	})
	p.Prefix = "pat"
	const through, missing = "let through", "token_missing"
	for _, c := range []struct{ target, fields, want string }{
		{"GET /any", "Authorization: Bearer eyJhbGciOi", through},
		{"GET /any", "Authorization: bearer  eyJhbGciOi", through},
		{"GET /never", "Authorization: Bearer eyJhbGciOi", through},
		{"GET /optional", "Authorization: Bearer eyJhbGciOi", through},
		{"GET /elsewhere", "Authorization: Bearer eyJhbGciOi", through},
		{"GET /elsewhere", "Authorization: Bearer eyJhbGciOi|X-Key: S", "token"},
		{"GET /public", "Authorization: Bearer eyJhbGciOi", "forward"},
		{"GET /else", "Authorization: Bearer eyJhbGciOi", "route_unknown"},
		{"GET /any", "Authorization: Bearer EYJ", "token"},
		{"GET /any", "Authorization: Bearer e", "token"},
		{"GET /any", "Authorization: eyJhbGciOi", "token"}, // bare
		{"GET /any", "Authorization: Bearer eyJ, x", "ambiguous_request"},
		{"GET /any", "Authorization: Bearer eyJ|Authorization: Bearer S", "ambiguous_request"},

		{"GET /any", "Authorization: Bearer partner", through},
		{"GET /any", "Authorization: Bearer pat_1", "token"},
		{"GET /never", "Authorization: Bearer pat_1", "route_never"},
		{"GET /elsewhere", "Authorization: Bearer pat_1", missing},
		{"GET /any", "X-Session: pat_1", missing},
		{"GET /any", "X-Session: pat-1", through},
		{"GET /any", "Authorization: Token pat_1", missing},
		{"GET /any", "Authorization: Token 1", through},
	} {
		m := p.matched(request(c.target, splitFields(c.fields)...))
		if got := answer(m); got != c.want {
			t.Errorf("%s with %q: %s (%s), want %s", c.target, c.fields, got, m.Detail, c.want)
		}
	}
}
