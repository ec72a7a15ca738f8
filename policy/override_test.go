package policy

import (
	"strings"
	"testing"
)

// A parameter that some framework takes for the method is refused, on every route,
// unless it says what the method is anyway.
func TestMethodOverrideParameters(t *testing.T) {
	for _, c := range []struct {
		query string
		want  bool
	}{
		{"", false}, {"a=b", false}, {"method=DELETE", false}, {"my_method=DELETE", false}, {"a_method=x&b=_method", false}, {"_methods=x", false}, {"_m=x", false},
		{"payment_method=card", false}, {"x=_method=DELETE", false}, {"_method=POST", false}, {"_method=post", false}, {"x-request-id=1", false}, {"%5fa=b", false},
		{"filter[method]=DELETE", false}, {"_=1690000000", false}, {"&&", false},

		{"_method=DELETE", true}, {"_method=delete", true}, {"a=b&_method=PUT", true}, {"a=b;_method=PUT", true}, {"_method", true}, {"_method=", true},
		{"_METHOD=PUT", true}, {"_Method=PUT", true}, {"%5Fmethod=PUT", true}, {"_m%65thod=PUT", true}, {"%255fmethod=PUT", true}, {"_method[]=PUT", true},
		{"_method%00=PUT", true}, {"%0A_method=PUT", true}, {"%00_method=PUT", true}, {"a=1&;&_method=PUT", true}, {".method=PUT", true}, {"[method=PUT", true}, {"+_method=PUT", true}, {"%20_method=PUT", true}, {"?_method=PUT", true}, {"[_method]=PUT", true},
		{"_method=POST&_method=PUT", true}, {"%EF%BC%BFmethod=PUT", true},
		{"X-HTTP-Method-Override=PUT", true}, {"x_http_method_override=PUT", true}, {"x-method-override=PUT", true}, {"X-HTTP-Method=PUT", true}, {"x%2dhttp-method-override=PUT", true},
		{"_HttpMethod=PATCH", true}, {"x-tunneled-method=PUT", true}, {"_httpmethods=PUT", false},
		// What is no escape hides none of the others (PHP), and IIS knows %u.
		{"%u005fmethod=PUT", true}, {"_m%U0065thod=PUT", true}, {"X-HTTP-%u004dethod-Override=PUT", true}, {"_%6dethod[%zz]=PUT", true}, {"%5fmethod%00%=PUT", true},
		{"%25u005fmethod=PUT", true}, {"%u00zzmethod=PUT", false}, {"%u5fmethod=PUT", false}, {"_method%=PUT", true}, {strings.Repeat("%EF%BB%BF", 600) + "_method=PUT", true}, {"_method[" + strings.Repeat("%", 2000) + "]=PUT", true},
	} {
		if got := overrides(c.query, "POST"); got != c.want {
			t.Errorf("?%s overrides POST: %v, want %v", c.query, got, c.want)
		}
	}
	p := compile(t, Config{Default: "public", Routes: routes("GET /x public", "POST /y any")})
	for _, target := range []string{"GET /x?_method=DELETE", "POST /y?_method=DELETE", "GET /z?_method=DELETE", "HEAD /x?_method=GET"} {
		if m := p.matched(request(target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s: %v, want ambiguous_request", target, m.Reason)
		}
	}
}

// To Fastify, the query begins at a semicolon.
func TestOverrideBehindSemicolon(t *testing.T) {
	p := compile(t, Config{Semicolon: "allow", Routes: routes("* /u/{id} any")})
	for target, want := range map[string]Reason{
		"POST /u/7;_method=DELETE": AmbiguousRequest, "POST /u/7;a=1&_method=PUT": AmbiguousRequest, "POST /u/7;x/_method=PUT": RouteUnknown,
		"POST /u/7;_method=POST": Forward, "POST /u/7;v=1": Forward,
	} {
		m := p.matched(request(target, "Authorization: Bearer s"))
		if m.Reason != want {
			t.Errorf("%s: %v, want %v", target, m.Reason, want)
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
