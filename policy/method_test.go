package policy

import (
	"strings"
	"testing"
)

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

// WebDAV's copies and moves are about two paths, of which the gate judges one.
func TestSecondPath(t *testing.T) {
	p := compile(t, Config{Routes: routes("* /x public")})
	for _, c := range []struct {
		method string
		field  string
		want   Reason
	}{
		{"MOVE", "Destination: /y", AmbiguousRequest}, {"COPY", "Destination: http://a/y", AmbiguousRequest},
		{"MOVE", "Accept: */*", Forward}, {"PUT", "Destination: /y", Forward},
	} {
		if m := p.matched(request(c.method+" /x", c.field)); m.Reason != c.want {
			t.Errorf("%s with %s: %v, want %v", c.method, c.field, m.Reason, c.want)
		}
	}
}
