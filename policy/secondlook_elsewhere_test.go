package policy

import (
	"strings"
	"testing"
)

// Elysia finds the path from the eleventh byte of the URL on: where the host is short,
// at a later slash than the first.
func TestPathsBehindShortHosts(t *testing.T) {
	p := compile(t, Config{ForwardToken: "strip", Settings: Settings{TokenFrom: []string{"query key"}}, Routes: routes(
		"GET /admin/* never", "GET /x/* public", "GET /y public", "GET /z/{id} public", "GET /{id}/{any}/x public", "GET / never", "GET /caf%C3%A9 never")})
	long, deep := "/x"+strings.Repeat("a", maxPathLength), strings.Repeat("/x", maxSegments+1)
	for target, want := range map[string]map[string]Reason{
		"/x/admin/users/7":    {"abcd": Forward, "a:80": Forward, "abc": AmbiguousRequest, "ab": AmbiguousRequest, "a": AmbiguousRequest, "": Forward},
		"/x/a/admin/x":        {"abc": Forward, "ab": Forward, "a": AmbiguousRequest},
		"/y?q=/admin/users/7": {"abcd": Forward, "abc": AmbiguousRequest, "ab": AmbiguousRequest, "a": AmbiguousRequest},
		"/y?q=/admin?/y":      {"a": AmbiguousRequest}, "/y?q=/adm?/y": {"a": Forward},
		"/y?q=/":               {"a": AmbiguousRequest},
		"/y?q=/caf%C3%A9":      {"a": AmbiguousRequest},
		"/y?q=/Admin/x":        {"a": AmbiguousRequest},
		"/y?q=/adm%69n/x":      {"a": AmbiguousRequest},
		"/y?q=https://a.b//c":  {"a": Forward, "api": Forward},
		"/y?q=/%zz":            {"a": Forward},
		"/y?key=/y&q=/admin/x": {"a": AmbiguousRequest, "abcd": Forward},
		"/y?q=" + deep:         {"a": AmbiguousRequest, "abcd": Forward},
		"/y?q=" + long:         {"a": AmbiguousRequest, "abcd": Forward},
		"/x/users/7":           {"api": Forward, "gw": Forward, "a": Forward},
		"/z/7?page=2":          {"api": Forward, "gw": Forward, "a": Forward},
		"/z/7/":                {"api": Forward, "gw": Forward, "a": AmbiguousRequest},
		"/y":                   {"api": Forward, "gw": Forward, "a": Forward},
	} {
		for host, want := range want {
			r := request("GET " + target)
			r.Host = host
			if m := p.matched(r); m.Reason != want {
				t.Errorf("%.30s at %q: %v (%s), want %v", target, host, m.Reason, m.Detail, want)
			}
		}
	}
}

// CodeIgniter routes by a query that begins with a path: alone, or below the directory
// that it is in.
func TestPathInQuery(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET / public", "GET /index.php public", "GET /todos public", "GET /admin/* never", "GET /open public", "POST /x/{a} any",
		"GET /app public", "GET /app/index.php public", "GET /app/open public", "GET /app/closed/* never", "GET /app/half public", "GET /closed/x public", "GET /half2 public")})
	for target, want := range map[string]Reason{
		"GET /?/admin/users": AmbiguousRequest, "GET /index.php?/admin/users": AmbiguousRequest, "GET /?/admin%2Fusers": AmbiguousRequest, "GET /?/adm%69n/users": AmbiguousRequest,
		"GET /?/other": AmbiguousRequest, "GET /?/open/../admin/x": AmbiguousRequest, "GET /?//admin/x": AmbiguousRequest, "GET /?/admin/x?y=1": AmbiguousRequest, "GET /?/admin/x&y=1": AmbiguousRequest,
		"GET /?/open": Forward, "GET /index.php?/open": Forward, "GET /?/open&a=%2Fb": Forward, "GET /?a=/admin/users": Forward,

		"GET /app/?/admin/x": AmbiguousRequest, "GET /app/index.php?/admin/x": AmbiguousRequest, "GET /app?/admin/x": AmbiguousRequest, "GET /app/?/closed/x": AmbiguousRequest,
		"GET /app/index.php?/closed/x": AmbiguousRequest, "GET /app?/closed/x": AmbiguousRequest, "GET /app/?/other": AmbiguousRequest, "GET /app/index.php?/other": AmbiguousRequest,
		"GET /app/?/open": Forward, "GET /app/index.php?/open": Forward, "GET /app/?/half": AmbiguousRequest, "GET /app/?/half2": AmbiguousRequest,

		// the actions of a SvelteKit page
		"GET /todos?/create": Forward, "GET /todos?/create&next=%2Ftodos": Forward, "GET /todos?/admin/x": AmbiguousRequest, "GET /todos?/create&x=//admin/x": AmbiguousRequest,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	p = compile(t, Config{Default: "public", Routes: routes("GET /admin/* never")})
	if m := p.matched(request("GET /?/admin/users")); m.Reason != AmbiguousRequest {
		t.Errorf("by default public: %v, want ambiguous_request", m.Reason)
	}
	p = compile(t, Config{Default: "any", Routes: routes("GET / public")})
	if m := p.matched(request("GET /?/users")); m.Reason != AmbiguousRequest {
		t.Errorf("by default any: %v, want ambiguous_request", m.Reason)
	}
}

// What counts is the query as it goes upstream.
func TestPathInQueryBehindToken(t *testing.T) {
	for _, c := range []struct {
		query         string
		keep, without Reason // with forward_token keep, and with strip
	}{
		{"key=T&/admin/x", Forward, AmbiguousRequest}, {"k%65y=T&/admin/x", Forward, AmbiguousRequest}, {"key=T;/admin/x", Forward, AmbiguousRequest},
		{"key=T&key=T&/admin/x", Forward, AmbiguousRequest}, {"key&/admin/x", Forward, AmbiguousRequest}, {"key=T&/admin&key=/x", Forward, AmbiguousRequest},
		{"/admin/x&key=T", AmbiguousRequest, AmbiguousRequest}, {"/ad&key=/min", Forward, Forward}, {"/admin;key=T", AmbiguousRequest, AmbiguousRequest}, {"/y&key=x/y;/z", AmbiguousRequest, AmbiguousRequest},
		{"key=T", Forward, Forward}, {"key=T&a=/admin/x", Forward, Forward}, {"key=T&a=1&/admin/x", Forward, Forward}, {"a=1&/admin/x", Forward, Forward}, {"keys=T&/admin/x", Forward, Forward},
	} {
		for forward, want := range map[string]Reason{"keep": c.keep, "strip": c.without} {
			p := compile(t, Config{ForwardToken: forward, Routes: routes("GET /todos public", "GET /admin never", "GET /admin/* never"), Settings: Settings{TokenFrom: []string{"query key"}}})
			if m := p.matched(request("GET /todos?" + c.query)); m.Reason != want {
				t.Errorf("?%s with forward_token %s: %v (%s), want %v", c.query, forward, m.Reason, m.Detail, want)
			}
		}
	}
	p := compile(t, Config{ForwardToken: "strip", Routes: routes("GET /todos public", "GET /b&/c never"), Settings: Settings{TokenFrom: []string{"query key"}}})
	if m := p.matched(request("GET /todos?/b&key=x/y&/c")); m.Reason != AmbiguousRequest {
		t.Errorf("a token in the middle of it: %v, want ambiguous_request", m.Reason)
	}
}
