package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The most specific route wins, whatever the order.
func TestSpecificity(t *testing.T) {
	lines := []string{
		"GET /                         public", // 1
		"GET /a                        public", // 2
		"GET /{x}                      public", // 3
		"* /{x}                        public", // 4
		"GET /a/b                      public", // 5
		"GET /a/{x}                    public", // 6
		"GET /{x}/b                    public", // 7
		"* /a/*                        public", // 8
		"GET /{x...}                   public", // 9
		"POST /a/b/c                   public", // 10
		"GET /a/{x}/c                  public", // 11
		"GET /a/b?k                    public", // 12
		"GET /a/b?k=v                  public", // 13
		"GET /a/b?k=v&l                public", // 14
		"* /a/b?m&n                    public", // 15
		"HEAD /a/b                     public", // 16
		"DELETE,PATCH /a/b             public", // 17
		"GET /caf%C3%A9                public", // 18
		"GET /v1/x:cancel              public", // 19
		"GET /A                        public", // 20
		"GET /deep/{x}/y/z             public", // 21
		"GET /deep/w/{y}/q             public", // 22
		"POST /v1/{x}:cancel           public", // 23
		"GET /v1/{x}                   public", // 24
		"GET /f/{name}.gz              public", // 25
		"GET /f/{name}.tar.gz          public", // 26
		"GET /f/{name}                 public", // 27
		"GET /g/v{n}                   public", // 28
		"* /f/{name}.tar.gz/x          public", // 29
		"GET /f/%C3%A9{name}%20z       public", // 30
		"* /q?k=v                      public", // 31
		"GET,HEAD /q?k                 public", // 32
	}
	reversed := make([]string, len(lines))
	for i, line := range lines {
		reversed[len(lines)-1-i] = line
	}
	for _, order := range [][]string{lines, reversed} {
		p := compile(t, Config{Routes: routes(order...)})
		for _, c := range []struct {
			target string
			want   int // 0: none
		}{
			{"GET /", 1},
			{"POST /", 0},
			{"GET /a", 2},
			{"GET /a/", 2}, // a trailing slash makes no difference
			{"HEAD /a", 2},
			{"POST /a", 4}, // back from the literal
			{"GET /b", 3},
			{"PUT /b", 4},
			{"GET /A", 20}, // case-sensitive
			{"GET /caf%C3%A9", 18},
			{"GET /c%61f%c3%a9", 18},
			{"GET /a/b", 5},
			{"GET /a/b/", 5},
			{"GET /a/c", 6},
			{"GET /c/b", 7},
			{"GET /c/d", 9},
			{"GET /a/b/c", 11}, // POST /a/b/c is no route for GET
			{"POST /a/b/c", 10},
			{"PUT /a/b/c", 8},
			{"GET /a/b/d", 8},
			{"GET /a/x/y/z", 8},
			{"GET /x/y/z", 9},
			{"POST /x/y/z", 0},
			{"GET /a/b?k=w", 12},
			{"GET /a/b?k", 12},
			{"GET /a/b?k=v", 13},
			{"GET /a/b?l&k=v", 14},
			{"GET /a/b?l", 5},
			{"GET /a/b?m", 5},
			{"GET /a/b?m&n", 15}, // more conditions before a listed method
			{"GET /a/b?m&n&k=w", 15},
			{"PUT /a/b?m&n", 15},
			{"HEAD /a/b", 16}, // listed
			{"HEAD /a/b?k=v", 13},
			{"HEAD /a/c", 6}, // by way of GET
			{"HEAD /b", 3},   // GET counts before *
			{"DELETE /a/b", 17},
			{"PATCH /a/b", 17},
			{"POST /a/b", 8},
			{"GET /v1/x:cancel", 19},
			{"POST /v1/7:cancel", 23},
			{"POST /v1/x:cancel/", 23},
			{"POST /v1/7%3Acancel", 23},
			{"POST /v1/a:b:cancel", 23},
			{"GET /v1/7:cancel", 24}, // back from the partial parameter
			{"POST /v1/:cancel", 0},  // it has at least one character
			{"POST /v1/7:Cancel", 0},
			{"POST /v1/7:cancelled", 0},
			{"GET /f/a.gz", 25},
			{"GET /f/a.tar.gz", 26}, // the narrower
			{"GET /f/.tar.gz", 25},
			{"GET /f/.gz", 27},
			{"GET /f/a.zip", 27},
			{"GET /g/v1", 28},
			{"GET /g/v", 9},
			{"GET /f/a.tar.gz/x", 29},
			{"GET /f/a.gz/x", 9},
			{"GET /f/%C3%A9t%C3%A9%20z", 30},
			{"GET /q?k=v", 31}, // the narrower pattern before a listed method
			{"HEAD /q?k=v", 31},
			{"GET /q?k=w", 32},
			{"POST /q?k=w", 4},
			{"GET /deep/w/y/z", 21}, // back from w
			{"GET /deep/w/y/q", 22},
			{"GET /deep/v/y/z", 21},
			{"GET /deep/v/y/q", 9},
		} {
			m := p.matched(request(c.target))
			got := 0
			if m.Route != nil {
				for i, line := range lines {
					if words := strings.Fields(line); words[1] == m.Route.Pattern && words[0] == strings.Join(m.Route.Methods, ",") {
						got = i + 1
					}
				}
			}
			if got != c.want {
				t.Errorf("%s: route %d (%s), want %d", c.target, got, m.Detail, c.want)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	p := compile(t, Config{
		Settings: Settings{Space: "path.ws", TokenFrom: []string{"bearer"}},
		Routes:   routes("GET /me any", "GET /w/{ws} read", "GET /s/{space} read"),
		Groups: []GroupConfig{{
			Prefix: "/v1/", Settings: Settings{Space: "header.X-Org", Mode: "report", TokenFrom: []string{"header X-Token"}},
			Routes: append(routes("GET / any", "GET /x any"), RouteConfig{
				Methods: []string{"GET"}, Pattern: "/y", Require: "read", Settings: Settings{Space: "none", Mode: "enforce"}}),
			Groups: []GroupConfig{{
				Prefix: "/orgs/{org}", Settings: Settings{Space: "path.org", Resource: "path.id", Optional: true},
				Routes: routes("GET /things/{id} read"),
				Groups: []GroupConfig{{Prefix: "/", Routes: routes("GET / read", "POST /pub public", "GET /no never")}},
			}},
		}},
	})
	for _, c := range []struct{ target, pattern, space, resource, from, mode string }{
		{"GET /me", "/me", "none", "none", "bearer", "enforce"},
		{"GET /w/1", "/w/{ws}", "path.ws", "none", "bearer", "enforce"},
		{"GET /s/1", "/s/{space}", "path.space", "none", "bearer", "enforce"}, // the default, where path.ws isn't there
		{"GET /v1", "/v1", "header.X-Org", "none", "header X-Token", "report"},
		{"GET /v1/x", "/v1/x", "header.X-Org", "none", "header X-Token", "report"},
		{"GET /v1/y", "/v1/y", "none", "none", "header X-Token", "enforce"},
		{"GET /v1/orgs/7/things/9", "/v1/orgs/{org}/things/{id}", "path.org", "path.id", "header X-Token", "report"},
		{"GET /v1/orgs/7", "/v1/orgs/{org}", "path.org", "none", "header X-Token", "report"},
		{"POST /v1/orgs/7/pub", "/v1/orgs/{org}/pub", "path.org", "none", "header X-Token", "report"},
	} {
		r := p.matched(request(c.target)).Route
		if r == nil {
			t.Errorf("%s: no route", c.target)
			continue
		}
		mode := "enforce"
		if r.report {
			mode = "report"
		}
		if r.Pattern != c.pattern || r.space.String() != c.space || r.resource.String() != c.resource || r.from[0].String() != c.from || mode != c.mode {
			t.Errorf("%s: %s, space %s, resource %s, from %s, %s, want %+v", c.target, r, r.space.String(), r.resource.String(), r.from[0], mode, c)
		}
	}
	// optional of a group leaves public and never as they are.
	for target, want := range map[string]string{
		"GET /v1/orgs/7/things/9": "forward", "POST /v1/orgs/7/pub": "forward", "GET /v1/orgs/7/no": "route_never",
	} {
		m := p.matched(request(target))
		if got := answer(m); got != want {
			t.Errorf("%s without a token: %s, want %s", target, got, want)
		}
		if want := m.Route.Require.String() == "read"; m.Route.optional != want {
			t.Errorf("%s: Optional = %v, want %v", target, m.Route.optional, want)
		}
	}
}

// What a request without a store's help is answered.
func TestRequirementWords(t *testing.T) {
	rs := append(routes("GET /public public", "GET /any any", "GET /scope read", "GET /never never"),
		RouteConfig{Methods: []string{"GET"}, Pattern: "/optional", Require: "read", Settings: Settings{Optional: true}},
		RouteConfig{Methods: []string{"GET"}, Pattern: "/space/{space}", Require: "public", Settings: Settings{Space: "query.q"}})
	const token, missing, never, forward, unknown, refused = "token", "token_missing", "route_never", "forward", "route_unknown", "ambiguous_request"
	for _, c := range []struct{ def, target, without, with, twice string }{
		{"deny", "GET /public", forward, forward, forward}, // none needed and none looked at
		{"deny", "GET /space/1", forward, forward, forward},
		{"deny", "GET /space/1?q=%zz;q", forward, forward, forward}, // a space that decides nothing
		{"deny", "GET /any", missing, token, refused},
		{"deny", "GET /scope", missing, token, refused},
		{"deny", "GET /never", never, never, refused},
		{"deny", "GET /optional", forward, token, refused},
		{"deny", "GET /else", unknown, unknown, unknown},
		{"deny", "POST /any", unknown, unknown, unknown},
		{"any", "GET /else", missing, token, refused},
		{"any", "POST /any", missing, token, refused},
		{"any", "GET /", missing, token, refused},
		{"public", "GET /else", forward, forward, forward},
		{"public", "GET /scope", missing, token, refused},
		{"public", "GET /never", never, never, refused},

		// A public or unknown path is judged like any other.
		{"public", "GET /public/..%2f", refused, refused, refused},
		{"deny", "GET //public", refused, refused, refused},
	} {
		p := compile(t, Config{Default: c.def, Routes: rs})
		if p.Default() != c.def {
			t.Errorf("Default() = %s, want %s", p.Default(), c.def)
		}
		for _, v := range []struct {
			name, want string
			fields     []string
		}{
			{"no token", c.without, nil},
			{"a token", c.with, []string{"Authorization: Bearer S"}},
			{"two tokens", c.twice, []string{"Authorization: Bearer S", "Authorization: Bearer T"}},
		} {
			m := p.matched(request(c.target, v.fields...))
			if got := answer(m); got != v.want {
				t.Errorf("default %s, %s with %s: %s (%s), want %s", c.def, c.target, v.name, got, m.Detail, v.want)
			}
			if (m.Secret != "") != (v.want == token || v.want == never && v.fields != nil) {
				t.Errorf("default %s, %s with %s: secret %q taken", c.def, c.target, v.name, m.Secret)
			}
		}
	}
}

// Where default lets requests in that no route matches, the settings of the site hold
// for them as for those on routes.
func TestSettingsOfDefault(t *testing.T) {
	config := Config{Default: "any", Settings: Settings{TokenFrom: []string{"basic", "query key"}, ErrorBody: &ErrorBody{"text/plain", "no"}}}
	p := compile(t, config)
	if got := fmt.Sprint(p.Credentials()); got != "[basic query key]" {
		t.Errorf("tokens are taken from %s, want basic and query key", got)
	}
	if m := p.matched(request("GET /else")); m.Reason != TokenMissing || m.Shape().ContentType() != "text/plain" {
		t.Errorf("without a token: %s as %s, want token_missing as text/plain", m.Reason, m.Shape().ContentType())
	}
	config.LetThrough = []string{"query key"}
	if _, err := Compile(config, nil); err == nil || !strings.Contains(err.Error(), "let_through query key: tokens are taken from there") {
		t.Errorf("let_through of what tokens are taken from: %v, want an error", err)
	}
}

// What no route matches is in the space that the site says.
func TestSpaceOfDefault(t *testing.T) {
	for _, c := range []struct{ source, header, want string }{
		{"header.X-Tenant", "X-Tenant: 1", "forward"}, {"header.X-Tenant", "X-Tenant: 2", "space_not_granted"}, {"header.X-Tenant", "X-Other: 1", "ambiguous_request"},
		{"all", "X-Tenant: 1", "space_not_granted"}, {"token", "X-Tenant: 2", "forward"}, {"none", "X-Tenant: 2", "forward"}, {"", "X-Tenant: 2", "forward"},
		{"path.ws", "X-Tenant: 2", "forward"}, // which no path has that no route matches
	} {
		p := compile(t, Config{Default: "any", Settings: Settings{Space: c.source}, Routes: routes("GET /{ws}/a read")}, "read")
		m := p.matched(request("GET /else", "Authorization: Bearer S", c.header))
		reason := m.Reason
		if m.NeedsDecision() {
			reason = m.Decide(&Subject{Owner: NewOwner("o", nil), Grants: NewGrants(grants("1 read *"))}, time.Now(), netip.Addr{})
		}
		if reason.String() != c.want {
			t.Errorf("space %s, %s: %s, want %s", c.source, c.header, reason, c.want)
		}
	}
}
