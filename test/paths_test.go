package test

import (
	"strings"
	"testing"
)

const pathSites = `
http://api.test:{$PORT} {
	patgate {
		route GET /v1/spaces/{space}/stories stories:read
		route GET /v1/files/{name...} public
		route GET / public
		route * /v1/admin/* never
		route * /any any
	}
	reverse_proxy {$UPSTREAM}
}
http://slash.test:{$PORT} {
	patgate {
		encoded_slash allow
		semicolon allow
		route GET /v1/files/{name} public
		route GET /v1/admin never
	}
	reverse_proxy {$UPSTREAM}
}
http://data.test:{$PORT} {
	patgate {
		encoded_slash data
		route GET /v1/spaces/{space} any
		route GET /v1/spaces/{space}/{name} any {
			resource path.name
		}
	}
	reverse_proxy {$UPSTREAM}
}`

// A path that different servers read differently never reaches the upstream;
// one that all read alike does, byte for byte.
func TestPaths(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites:  pathSites,
		tokens: []known{{name: "T"}},
	})
	for _, target := range []string{
		// ordinary traffic
		"/", "/v1/spaces/1/stories", "/v1/spaces/1/stories/", "/v1/spaces/1/stories?", "/v1/spaces/1/stories?x=%zz;y=/../&&=#",
		"/v1/spaces/%31/stories", "/v1/spaces/caf%C3%A9/stories", "/v1/spaces/caf%c3%a9/stories", "/v1/spaces/a.b/stories", "/v1/spaces/v1..v2/stories",
		"/v1/spaces/.hidden/stories", "/v1/spaces/...x/stories",
		"/v1/spaces/hello%20world/stories", "/v1/spaces/a@b/stories", "/v1/spaces/a,b/stories", "/v1/spaces/a:b/stories", "/v1/spaces/~a/stories",
		"/v1/spaces/(a)/stories", "/v1/spaces/a+b/stories", "/v1/spaces/a=b/stories", "/v1/spaces/a&b/stories", "/v1/spaces/a'b/stories", "/v1/spaces/!$*/stories",
		"/v1/spaces/%E6%97%A5%E6%9C%AC/stories", "/v1/spaces/-/stories", "/v1/spaces/_/stories", "/v1/spaces/%22x%22/stories", "/v1/spaces/%3Cx%3E/stories", "/v1/spaces/%7Bx%7D/stories",
		"/%761/spaces/1/stories", "/v1/files/a/b/c", "/v1/files/a/", "/v1/files/a[1].pdf", "/v1/spaces/[x]%20%7B/stories", "/v1/spaces/1/stories?a=/v1/admin/x",
	} {
		for _, v := range g.versions() {
			a := v.send(t, request{target: target}.with(g.bearer("T")))
			got := g.upstream.take()
			if a.status != 200 || len(got) != 1 || got[0].target != target {
				t.Errorf("%s %s: %s (%s), upstream got %v; want it as it is", v.name, target, a, a.problem.Detail, targets(got))
			}
		}
	}
	for _, target := range []string{
		// dot segments, raw and encoded
		"/v1/files/../admin/x", "/v1/files/./x", "/v1/files/..", "/v1/files/.", "/v1/files/%2e%2e/admin/x", "/v1/files/%2E%2e/admin/x", "/v1/files/.%2e/admin/x", "/../v1/files/x", "/v1/files/...",
		"/v1/files/x./y", "/v1/files/x../y", "/v1/files/..%20/y", "/v1/files/%20../y", "/v1/files/x%20/y", "/v1/files/%20x", "/v1/files/%2e", "/v1/files/%2e%2e",
		// slashes and backslashes under other names
		"//v1/files/x", "/v1//files/x", "/v1/files//x", "/v1/files/x//", "//", "/v1/files/%2fx", "/v1/files/..%2fadmin/x", "/v1/files/..%2Fadmin%2fx", "/v1/spaces/1%2F..%2F2/stories", "/v1/spaces/1%2f/stories",
		`/v1/files/..\admin\x`, "/v1/files/..%5cadmin", "/v1/files/..%5Cadmin", "/v1/files/%5c", "/v1/files/a%E2%88%95b", "/v1/files/a%EF%BC%8Fb", "/v1/files/a%E2%81%84b", "/v1/files/%EF%BC%8E%EF%BC%8E/admin",
		// encoded twice
		"/v1/files/%252e%252e/admin", "/v1/files/%25", "/v1/files/%252f", "/v1/files/%2525", "/v1/files/%25%32%66",
		// cut by someone
		"/v1/files/x;y", "/v1/files/x;/../admin", "/v1/files/..;/admin", "/v1/files/x%3by", "/v1/files/x%3By", "/v1/files/x%00", "/v1/files/x%00.png", "/v1/files/x%0a", "/v1/files/x%0d%0ay", "/v1/files/x%09", "/v1/files/x%7f", "/v1/files/x%1f",
		"/v1/files/x%3fy", "/v1/files/x%3Fy", "/v1/files/x%23y", "/v1/files/x#y", "/v1/files#/x", "/#/../v1/admin",
		// not UTF-8, or another character to some
		"/v1/files/%c0%ae%c0%ae/admin", "/v1/files/%c0%af", "/v1/files/%e0%80%af", "/v1/files/%ff", "/v1/files/%C3", "/v1/files/a%ED%A0%80b", "/v1/files/%EF%BC%A1", "/v1/files/a%E2%80%8Bb", "/v1/files/%E2%80%AEtxt", "/v1/files/%EF%BB%BFx", "/v1/files/x%C2%85", "/v1/files/x%C2%A0",
		"/v1/files/\xc3\xa9", "/v1/files/\xff", "/v1/files/\x80",
		// what Go would encode anew, and then the slashes with it
		"/v1/spaces/1%2F..%2F2/s|x", "/v1/files/x|y", `/v1/files/"x"`, "/v1/files/<x>", "/v1/files/x^y", "/v1/files/{x}", "/v1/files/`x`", "/v1/files/[x]^", "/v1/files/x^/..%2f..%2fadmin",
		// broken
		"/v1/files/%", "/v1/files/%zz", "/v1/files/%2", "/v1/files/x%", "/v1/files/%u002e", "/v1/files/%u2215x",
		// long and deep
		"/v1/files/" + strings.Repeat("x", 9000), "/v1/files" + strings.Repeat("/x", 100),
		// not a path
		"x:v1/admin/x", "x:/v1/admin/x", "x:%2fv1/admin/x", "x:?y", "v1/files/x", "*", "?x", "http:v1/admin/x", "javascript:x", "", "api.test:80", "/v1/files/x HTTP/1.1 y",
	} {
		for _, v := range g.versions() {
			a := v.send(t, request{target: target}.with(g.bearer("T")))
			if got := g.upstream.take(); len(got) != 0 || a.status != 0 && a.status < 400 {
				t.Errorf("%s %q: %s, upstream got %v; want it refused", v.name, target, a, targets(got))
			}
		}
	}
	// Case and prefixes: the upstream's routes aren't the gate's.
	for target, want := range map[string]string{
		"/V1/spaces/1/stories": "route_unknown", "/v1/spaces/1/Stories": "route_unknown", "/v1/spaces/1/stories/x": "route_unknown", "/v1/spaces/1/storiesx": "route_unknown",
		"/v1/spaces/1": "route_unknown", "/v1/files": "route_unknown", "/v1/files/": "route_unknown", "/v1/admin/x": "route_never", "/v1/admi%6e/x": "route_never", "/index.html": "route_unknown",
	} {
		for _, v := range g.versions() {
			a := v.send(t, request{target: target}.with(g.bearer("T")))
			if got := g.upstream.take(); len(got) != 0 || a.verdict() != want {
				t.Errorf("%s %s: %s, upstream got %v; want %s", v.name, target, a.verdict(), targets(got), want)
			}
		}
	}
	// encoded_slash allow and semicolon allow don't open what they hide.
	for target, want := range map[string]string{
		"/v1/files/a%2Fb": "forward", "/v1/files/a%2fb%2Fc": "forward", "/v1/files/a;v=1": "forward", "/v1/files/a%3Bv=1": "forward",
		"/v1/files/..%2Fadmin": "ambiguous_request", "/v1/files/%2e%2e%2fadmin": "ambiguous_request", "/v1/files/a%2F..%2F..%2Fadmin": "ambiguous_request", "/v1/files/a%2F.": "ambiguous_request",
		"/v1/files/..;x": "ambiguous_request", "/v1/files/..;/admin": "ambiguous_request", "/v1/files/;x": "ambiguous_request", "/v1/files/%3bx": "ambiguous_request", "/v1/files/.%3b": "ambiguous_request",
		"/v1/files/%2F": "forward", "/v1/files/%2Fb": "forward", "/v1/files/%2F..%2Fadmin": "ambiguous_request", "/%2Fv1/files/x": "ambiguous_request",
		"/v1/files/a%252Fb": "ambiguous_request", "/v1/files/a%5Cb": "ambiguous_request", "/v1%2Ffiles/x": "route_unknown", "/v1/files%2Fx": "route_unknown", "/v1%2Fadmin": "route_unknown",
	} {
		for _, v := range g.versions() {
			a := v.send(t, request{host: "slash.test", target: target})
			got := g.upstream.take()
			if a.verdict() != want || (len(got) == 1) != (want == "forward") || len(got) == 1 && got[0].target != target {
				t.Errorf("%s %s, encoded_slash and semicolon allow: %s (%s), upstream got %v; want %s", v.name, target, a.verdict(), a.problem.Detail, targets(got), want)
			}
		}
	}
}

// Where encoded slashes are data, they are in the space, and go upstream as they came.
func TestSlashesThatAreData(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: pathSites,
		tokens: []known{
			{name: "root", grants: grant("/", "*", "q1 a/b")},
			{name: "prod", grants: grant("/prod", "*", "*")},
		},
	})
	for _, row := range []struct{ token, target, want string }{
		{"root", "/v1/spaces/%2F/q1", "/"}, {"root", "/v1/spaces/%2f/a%2Fb", "/"}, {"root", "/v1/spaces/%2F/a/b", "route_unknown"}, {"root", "/v1/spaces/%2F/b", "resource_not_granted"}, {"root", "/v1/spaces/%2Fprod/q1", "space_not_granted"},
		{"prod", "/v1/spaces/%2Fprod", "/prod"}, {"prod", "/v1/spaces/%2Fprod/x%2F", "/prod"}, {"prod", "/v1/spaces/prod", "space_not_granted"}, {"prod", "/v1/spaces/%2F/q1", "space_not_granted"}, {"prod", "/v1/spaces/%2Fprod/%2F..%2Fq1", "ambiguous_request"},
	} {
		for _, v := range g.versions() {
			a := v.send(t, request{host: "data.test", target: row.target}.with(g.bearer(row.token)))
			got, said := g.upstream.take(), a.verdict()
			if len(got) == 1 && got[0].target == row.target {
				said = got[0].header.Get("X-Patgate-Space")
			}
			if said != row.want {
				t.Errorf("%s %s with token %s: %s (%s), upstream got %v; want %s", v.name, row.target, row.token, said, a.problem.Detail, targets(got), row.want)
			}
		}
	}
}

func targets(requests []received) (targets []string) {
	for _, r := range requests {
		targets = append(targets, r.method+" "+r.target)
	}
	return targets
}

// The absolute form is the same request, for the host it names. What HTTP/2 and HTTP/3 have
// of forms is in TestMalformedFields.
func TestTargetForms(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites:  pathSites,
		tokens: []known{{name: "T"}},
	})
	for _, row := range []struct {
		method, target, host string
		want                 string // what the upstream gets; "": nothing
	}{
		{"GET", "http://api.test/v1/files/x", "api.test", "GET /v1/files/x"},
		{"GET", "http://api.test/v1/files/x", "slash.test", "GET /v1/files/x"},
		{"GET", "http://api.test/v1/admin/x", "slash.test", ""},
		{"GET", "http:/v1/files/x", "api.test", "GET /v1/files/x"},
		{"GET", "http:/v1/admin/x", "api.test", ""},
		{"GET", "http://api.test/v1/files/../admin/x", "api.test", ""},
		{"GET", "http://api.test/v1/files/..%2fadmin/x", "slash.test", ""},
		{"GET", "http://user:pass@api.test/v1/admin/x", "api.test", ""},
		{"GET", "http://api.test", "api.test", "GET /"},
		{"GET", "http://api.test?x=y", "api.test", "GET /?x=y"},
		{"GET", "http://slash.test", "api.test", ""}, // its root is on no route
		{"OPTIONS", "*", "api.test", ""},
		{"CONNECT", "api.test:443", "api.test:443", ""},
		{"CONNECT", "/v1/files/x", "api.test", ""},
		{"CONNECT", "/any", "api.test", ""},
		{"TRACE", "/any", "api.test", ""},
		{"TRACK", "/any", "api.test", ""},
		{"get", "/any", "api.test", ""},
		{"Get", "/any", "api.test", ""},
		{"G*T", "/any", "api.test", ""},
		{"GET1", "/any", "api.test", ""},
		{"-GET", "/any", "api.test", ""},
		{strings.Repeat("A", 33), "/any", "api.test", ""},
		{"PRI", "/any", "api.test", "PRI /any"},
		{"BREW", "/any", "api.test", "BREW /any"},
		{"M-SEARCH", "/any", "api.test", "M-SEARCH /any"},
		{"PATCH", "/any", "api.test", "PATCH /any"},
	} {
		a := g.send(t, request{method: row.method, target: row.target, host: row.host}.with(g.bearer("T")))
		if got := strings.Join(targets(g.upstream.take()), " "); got != row.want {
			t.Errorf("%s %s, Host %s: %s %s, upstream got %q, want %q", row.method, row.target, row.host, a, a.problem.Detail, got, row.want)
		}
	}
}

// What a rewrite has made of a path is judged. Where FastCGI programs are told what it was
// made of, that is, too.
func TestRewrittenPaths(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]struct {
		behind string
		want   map[string]string // what the upstream gets; "": nothing
	}{
		"FastCGI": {"reverse_proxy /never localhost:1 {\n\t\t\ttransport fastcgi\n\t\t}", map[string]string{
			"/php/x": "GET /x", "/php/caf%C3%A9?a=..": "GET /caf%C3%A9?a=..", "/php/admin/x": "",
			"/php/admin/purge/../../x": "", "/php/admin%2f..%2fx": "", "/php//x": "",
			"/php/empty?a=b": "GET /?a=b",
		}},
		"the shorter way": {"reverse_proxy {$UPSTREAM} {\n\t\t\ttransport patgate\n\t\t}", map[string]string{
			"/php/empty": "GET /", "/php/empty?a=b": "GET /?a=b",
		}},
		"no FastCGI": {"", map[string]string{
			"/php/x": "GET /x", "/php/admin/x": "", "/php/admin/purge/../../x": "GET /x", "/php//x": "GET /x",
			"/php/empty": "GET /", "/php/empty?a=b": "GET /?a=b",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, setup{sites: `http://api.test:{$PORT} {
	handle_path /php/* {
		uri path_regexp ^/empty$ ""
		patgate {
			default deny
			route GET / public
			route GET /* public
			route * /admin/* never
		}
		` + site.behind + `
		reverse_proxy {$UPSTREAM}
	}
}`})
			for target, want := range site.want {
				a := g.send(t, request{host: "api.test", target: target})
				if got := strings.Join(targets(g.upstream.take()), " "); got != want {
					t.Errorf("%s: %s %s, upstream got %q, want %q", target, a, a.problem.Detail, got, want)
				}
			}
		})
	}
}

// Some servers find virtual hosts by the very letters.
func TestHostInLowerCase(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: pathSites, tokens: []known{{name: "T"}}})
	a := g.send(t, request{host: "API.test", target: "/v1/files/x"}.with(g.bearer("T")))
	if got := g.upstream.take(); len(got) != 1 || !strings.Contains(got[0].raw, "\r\nHost: api.test\r\n") {
		t.Errorf("%s, upstream got %v, want Host: api.test", a, got)
	}
}
