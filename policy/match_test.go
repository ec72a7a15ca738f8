package policy

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
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

func TestMethods(t *testing.T) {
	p := compile(t, Config{Routes: routes("* /all public", "GET,PROPFIND,M-SEARCH /some public")})
	for _, c := range []struct{ method, all, some string }{
		{"GET", "forward", "forward"}, {"HEAD", "forward", "forward"}, {"PROPFIND", "forward", "forward"}, {"M-SEARCH", "forward", "forward"},
		{"POST", "forward", "route_unknown"}, {"OPTIONS", "forward", "route_unknown"}, {"PURGE", "forward", "route_unknown"},
		{"CONNECT", "ambiguous_request", "ambiguous_request"}, {"TRACE", "ambiguous_request", "ambiguous_request"}, {"TRACK", "ambiguous_request", "ambiguous_request"},
		{"get", "ambiguous_request", "ambiguous_request"}, {"Get", "ambiguous_request", "ambiguous_request"}, {"", "ambiguous_request", "ambiguous_request"},
		{"GET\x00", "ambiguous_request", "ambiguous_request"}, {"G_T", "ambiguous_request", "ambiguous_request"}, {"-GET", "ambiguous_request", "ambiguous_request"},
		{strings.Repeat("A", 33), "ambiguous_request", "ambiguous_request"}, {"*", "ambiguous_request", "ambiguous_request"},
	} {
		for path, want := range map[string]string{"/all": c.all, "/some": c.some} {
			if got := answer(p.matched(&Request{Method: c.method, Path: path})); got != want {
				t.Errorf("%q %s: %s, want %s", c.method, path, got, want)
			}
		}
	}
}

// A WebSocket is a GET, over HTTP/1.1 as over HTTP/2, and nothing else is.
func TestUpgrades(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /ws public", "POST /ws public")})
	for _, c := range []struct{ target, field, want string }{
		{"GET /ws", "Upgrade: websocket", "forward"},
		{"POST /ws", "Upgrade: websocket", "ambiguous_request"},
		{"HEAD /ws", "Upgrade: websocket", "ambiguous_request"},
		{"CONNECT /ws", "", "ambiguous_request"},
		{"CONNECT /else", "websocket", "route_unknown"},
		{"CONNECT /ws", "websocket", "forward"},
		{"CONNECT /ws", "connect-udp", "ambiguous_request"},
		{"CONNECT /ws", "WebSocket", "ambiguous_request"},
	} {
		req := request(c.target)
		if name, value, ok := strings.Cut(c.field, ": "); ok {
			req.Header[name] = []string{value}
		} else if c.field != "" {
			req.Header[ExtendedConnect] = []string{c.field}
		}
		if got := answer(p.matched(req)); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.target, c.field, got, c.want)
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

func TestCORSPreflight(t *testing.T) {
	rs := routes("GET /x read", "* /all read", "GET /never never", "GET /q read", "GET /q?k=v write", "OPTIONS /o public", "* /shut read", "OPTIONS /shut never", "GET,OPTIONS /own read")
	const ok, unknown, missing = "preflight", "route_unknown", "token_missing"
	full := "Origin: https://app.example|Access-Control-Request-Method: GET"
	for _, c := range []struct {
		target, fields string
		body           bool
		want, denied   string // with cors_preflight forward and deny, which is the default where another proxy asks
	}{
		{"OPTIONS /x", full, false, ok, unknown},
		{"OPTIONS /x", full + "|Access-Control-Request-Headers: authorization", false, ok, unknown},
		{"OPTIONS /x", "Origin: null|Access-Control-Request-Method: HEAD", false, ok, unknown},
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: DELETE", false, ok, missing},
		{"OPTIONS /q?k=v", full, false, ok, unknown},
		{"OPTIONS /o", full, false, "forward", "forward"},
		// For what no route is there, there is no question.
		{"OPTIONS /else", full, false, unknown, unknown},
		{"OPTIONS /x", "Origin: a|Access-Control-Request-Method: PUT", false, unknown, unknown},
		{"OPTIONS /x", "Origin: a|Access-Control-Request-Method: get", false, unknown, unknown},
		{"OPTIONS /never", full, false, unknown, unknown},
		// A route that closes the method itself is no question of another one's.
		{"OPTIONS /shut", full, false, "route_never", "route_never"},
		{"OPTIONS /own", full, false, ok, missing},
		// Nor of methods that never pass.
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: TRACE", false, missing, missing},
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: CONNECT", false, missing, missing},
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: ", false, missing, missing},
		// More than the question is a request like any other.
		{"OPTIONS /all", "", false, missing, missing},
		{"OPTIONS /all", "Origin: a", false, missing, missing},
		{"OPTIONS /all", "Access-Control-Request-Method: GET", false, missing, missing},
		{"OPTIONS /all", full + "|Origin: b", false, missing, missing},
		{"OPTIONS /all", full + "|Access-Control-Request-Method: PUT", false, missing, missing},
		{"OPTIONS /all", full + "|Authorization: Bearer S", false, "token", "token"},
		{"OPTIONS /all", full + "|Cookie: a=b", false, missing, missing},
		{"OPTIONS /all", full, true, missing, missing},
		{"GET /x", full, false, missing, missing},
		// It is refused where the question is ambiguous.
		{"OPTIONS /x/..", full, false, "ambiguous_request", "ambiguous_request"},
		{"OPTIONS /q?K=v", full, false, "ambiguous_request", unknown},
	} {
		for _, row := range []struct {
			word  string
			asked bool
			want  string
		}{
			{"", false, c.want}, {"forward", false, c.want}, {"deny", false, c.denied},
			{"", true, c.denied}, {"forward", true, c.want}, {"deny", true, c.denied},
		} {
			p := compile(t, Config{CORSPreflight: row.word, Routes: rs})
			req := request(c.target, splitFields(c.fields)...)
			req.Body, req.Asked = c.body, row.asked
			if got := answer(p.matched(req)); got != row.want {
				t.Errorf("cors_preflight %s, asked %v, %s with %q: %s, want %s", row.word, row.asked, c.target, c.fields, got, row.want)
			}
		}
	}
}

// The path that was sent is judged as FastCGI programs are told it.
func TestJudgeOriginal(t *testing.T) {
	p := compile(t, Config{})
	for _, c := range []struct {
		u       url.URL
		refused bool
	}{
		{url.URL{Path: "/a/b"}, false},
		{url.URL{Path: ""}, false},
		{url.URL{Path: "", RawPath: "/a/../b"}, false}, // not what is told
		{url.URL{Path: "/Acme Inc./b"}, false},
		{url.URL{Path: "/a/../b"}, true},
		{url.URL{Path: "*"}, true},
		{url.URL{Scheme: "x", Opaque: "v1/admin"}, true},
		{url.URL{Scheme: "x"}, true},
		{url.URL{Scheme: "http", Host: "b.test"}, false},
	} {
		if why := p.JudgeOriginal(&c.u); (why != "") != c.refused {
			t.Errorf("%q: refused because %q, want it refused: %v", c.u.RequestURI(), why, c.refused)
		}
	}
}

// What net/http makes of a request line is judged as it would be forwarded.
func TestNewRequest(t *testing.T) {
	for _, c := range []struct{ target, path, why string }{
		{"/a/b?c=d", "/a/b", ""},
		{"/a%2Fb", "/a%2Fb", ""},
		{"/%61", "/%61", ""},
		{"/a;b", "/a;b", ""},
		{"//a", "//a", ""},
		{"/a/../b", "/a/../b", ""},
		{"/caf%C3%A9", "/caf%C3%A9", ""},
		{"http://api.example.com/a%2fb", "/a%2fb", ""},
		{"http://api.example.com", "/", ""},
		{"http://api.example.com?a=b", "/", ""},
		{"x:?a=b", "", ""},
		{"*", "*", ""},
		{"x:v1/admin", "", "not a path"},
		{"http://u:p@api.example.com/a", "", "user name"},
		{"http://u@api.example.com/a", "", "user name"},
		{"/a|b", "", "belongs percent-encoded"},
		{"/a%2F..%2Fb|", "", "belongs percent-encoded"},
		{`/a\b`, "", "belongs percent-encoded"},
		{"/a#b", "", "belongs percent-encoded"},
		{"/caf\xe9", "", "belongs percent-encoded"},
		{"/a\"b", "", "belongs percent-encoded"},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + c.target + " HTTP/1.1\r\nHost: h\r\n\r\n")))
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
			continue
		}
		req := NewRequest(r)
		why := req.Refused
		if (why != "" || req.Path != c.path) && (c.why == "" || !strings.Contains(why, c.why)) || (why == "") != (c.why == "") {
			t.Errorf("%s: path %q, refused because %q, want %q, %q", c.target, req.Path, why, c.path, c.why)
		}
		if sent, _, _ := strings.Cut(r.URL.RequestURI(), "?"); why == "" && req.Path != "" && (r.URL.EscapedPath() != req.Path || sent != req.Path) {
			t.Errorf("%s: path %q is judged, %q is left for others, %q is sent", c.target, req.Path, r.URL.EscapedPath(), sent)
		}
	}
	for body, want := range map[string]bool{
		"Content-Length: 1\r\n\r\nx": true, "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": true, "Content-Length: 0\r\n\r\n": false, "\r\n": false,
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: h\r\n" + body)))
		if err != nil {
			t.Fatal(err)
		}
		if req := NewRequest(r); req.Body != want {
			t.Errorf("%q: Body = %v, want %v", body, req.Body, want)
		}
	}
}
