package policy

import (
	"fmt"
	"strings"
	"testing"
)

// Some servers prefer the query's value of a parameter to the path's: where there is
// another route for that.
func TestParametersOfPathInQuery(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Routes: routes("* /posts/{id} public", "GET /posts/4 never", "GET /posts/{id}/x public", "GET /posts/{id}.secret never", "GET /posts/list public", "DELETE /posts/7 never",
		"GET /users/{id} never", "GET /users/me public", "GET /{kind}/{id}/y public", "GET /{kind}/4/y never", "GET /pages/9/y never", "GET /pages/{page}/y public", "GET /v{n}/list public", "GET /v1/list never",
		"GET /files/{path...} public", "GET /files/secret/* never", "GET /files/{dir}/meta never", "GET /alone/{id} public", "GET /{a}/{b}/{c}/{d} public", "GET /a/b/c/d/{e...} public", "GET /a/{b}/c public", "GET /{a}/b/{c}/z never", "GET /{a}/{b}/c/z never", "GET /x/{b}/{c}/{d} never",
		"GET /any/* public", "GET /any/4 never")})
	many := func(key string, n int) (query string) {
		for i := range n {
			query += fmt.Sprintf("&%s=v%d", key, i)
		}
		return query
	}
	for target, want := range map[string]Reason{
		"/posts/1?id=4": AmbiguousRequest, "/posts/1?a=b&ID=4": AmbiguousRequest, "/posts/1?%69d=4": AmbiguousRequest, "/posts/1?id[]=4": AmbiguousRequest, "/posts/1?id=%34": AmbiguousRequest, "/posts/1?id=04": AmbiguousRequest, "/posts/1?id=4/x": AmbiguousRequest,
		"/posts/1?x=y;id=4": AmbiguousRequest, "/posts/1?id=5&id=4": AmbiguousRequest, "/posts/1?id=4&id=5": AmbiguousRequest, "/posts/1?id=5&Id=4&iD=6": AmbiguousRequest, "/posts/1?id=x.secret": AmbiguousRequest, "/posts/1/?id=4": AmbiguousRequest,
		"/posts/1?id=5": Forward, "/posts/1?id=1": Forward, "/posts/1?id=list": Forward, "/posts/1?id=": Forward, "/posts/1?id": Forward, "/posts/1?ids=4": Forward, "/posts/1?id.gt=4": Forward, "/posts/1?filter[id]=4": Forward, "/posts/1?post=4": Forward, "/posts/1?id=7": Forward, "/posts/1?id=5/4": Forward,
		"/posts/list?id=4": Forward, "/posts/1/x?id=4": Forward, "/any/1?id=4": Forward,
		"/posts/1?q=a" + many("id", 5): Forward, "/posts/1?id=4" + many("id", 5): AmbiguousRequest, "/posts/1?q=a" + many("id", 50): AmbiguousRequest, "/posts/1?id=" + strings.Repeat("4", maxPathLength): AmbiguousRequest, "/posts/1?q=" + strings.Repeat("4", maxPathLength): Forward,
		"/posts/1?" + strings.Repeat(strings.Repeat("%C3%A9", 100)+"=1&", 20): AmbiguousRequest,
		"/users/7?id=8": RouteNever, "/users/me?id=8": Forward,
		"/things/1/y?id=4": AmbiguousRequest, "/things/9/y?kind=pages": AmbiguousRequest, "/things/1/y?kind=pages&id=9": AmbiguousRequest, "/things/1/y?kind=pages&id=8": Forward, "/things/4/y?id=5": RouteNever, "/things/9/y?kind=pages&id=8": AmbiguousRequest, "/pages/1/y?id=4": Forward, "/pages/1/y?page=9": AmbiguousRequest,
		"/v2/list?n=1": AmbiguousRequest, "/v2/list?n=3": Forward,
		"/files/x?path=secret/y": AmbiguousRequest, "/files/x/y?path=secret": AmbiguousRequest, "/files/x?path=a/meta": AmbiguousRequest, "/files/x?path=a/b": Forward, "/files/x?path=/": Forward, "/files/x?path=" + strings.Repeat("/y", maxSegments): AmbiguousRequest,
		"/alone/1?id=" + strings.Repeat("4", maxPathLength): Forward,
		"/files/x%2Fy?path=secret%2Fz":                      AmbiguousRequest,
	} {
		if m := p.matched(request("GET "+target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%.60s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	// One that is replaced is another look at the path as it is judged, not at one that is
	// split elsewhere.
	p = compile(t, Config{EncodedSlash: "allow", Routes: routes("GET /repos/{name}/posts/{id} public", "GET /repos/{name}/posts/4 never")})
	if m := p.matched(request("GET /repos/a%2Fb/posts/1?id=4")); m.Reason != AmbiguousRequest {
		t.Errorf("beside an encoded slash: %v, want ambiguous_request", m.Reason)
	}
	// Nor is one that is in report mode let through to one that isn't.
	report := routes("GET /posts/{id} any")
	report[0].Mode = "report"
	p = compile(t, Config{Routes: append(report, routes("GET /posts/4 never")...)})
	if m := p.matched(request("GET /posts/1?id=4")); m.Reason != AmbiguousRequest || m.Reports() {
		t.Errorf("in report mode: %v, reported: %v", m.Reason, m.Reports())
	}
}

// Some servers complete the path with what the query has for parameters at its end.
func TestMissingParametersInQuery(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /posts public", "GET /posts/{id} never", "PUT /posts/{id} public", "DELETE /posts/{id} never", "* /posts public", "GET /posts/{id}/{part} never",
		"GET /open public", "GET /open/{id} public", "GET /open/{id}/{part} never", "GET /open/{id}/x/{part} never", "GET /open/{id}/{part}/z never",
		"GET /list public", "GET /list?id public", "GET /list?draft=true&id public", "GET /list/{id} never", "GET /list/{id}?draft=true public",
		"GET /alone/{id}.zip never", "GET /alone public", "GET /tail public", "GET /tail/{rest...} never", "GET /a/* public", "GET /a/b/{id} never", "GET /x.php public", "GET /{top} never", "GET / public")})
	for target, want := range map[string]Reason{
		"GET /posts": Forward, "GET /posts?page=2": Forward, "GET /posts?ids=4": Forward, "GET /posts?id.gt=4": Forward, "GET /posts?part=4": Forward, "GET /posts?filter[id]=4": Forward,
		"GET /posts?id=4": AmbiguousRequest, "GET /posts/?id=4": AmbiguousRequest, "GET /posts?ID=4": AmbiguousRequest, "GET /posts?page=1&i%64=4": AmbiguousRequest, "GET /posts?id[]=4": AmbiguousRequest, "GET /posts?id=": AmbiguousRequest, "GET /posts?id": AmbiguousRequest, "GET /posts?x=y;id=4": AmbiguousRequest,
		"DELETE /posts?id=4": AmbiguousRequest, "PUT /posts?id=4": Forward, "POST /posts?id=4": Forward, "HEAD /posts?id=4": AmbiguousRequest,
		"GET /open?id=4": Forward, "GET /open?part=4": Forward, "GET /open?id=4&part=5": AmbiguousRequest, "GET /open?part=4&id=5": AmbiguousRequest, "GET /open/1?part=4": AmbiguousRequest, "GET /open/1?id=1": Forward,
		"GET /list?id=4": Forward, "GET /list?ID=4": AmbiguousRequest, "GET /list?draft=true&id=4": Forward, "GET /list?page=1": Forward,
		"GET /alone?id=4": Forward, "GET /a/b?id=4": AmbiguousRequest, "GET /a/c?id=4": Forward, "GET /a/b/?q=4": Forward,
		"GET /?top=4": AmbiguousRequest, "GET /?q=4": Forward, "GET /x.php?top=4": Forward,
		"GET /posts?" + strings.Repeat(strings.Repeat("%C3%A9", 100)+"=1&", 20): AmbiguousRequest,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%.60s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	// A space that is missing in the path could be another one than any the token has.
	p = compile(t, Config{Routes: routes("GET /spaces read", "GET /spaces/{space} read", "GET /spaces/{space}/posts read", "GET /spaces/{space}/posts/{id} read", "GET /all/posts any", "GET /all/posts/{id} any")}, "read")
	for target, want := range map[string]Reason{
		"GET /spaces?space=2": AmbiguousRequest, "GET /spaces?limit=2": Forward, "GET /spaces/1/posts?id=4": Forward, "GET /all/posts?id=4": Forward,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%.60s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	// A route may have its space or resource there itself.
	all := routes("GET /pages read", "GET /pages/{space} read", "GET /books read", "GET /books/{id} admin")
	all[0].Space, all[2].Resource = "query.space", "query.id"
	p = compile(t, Config{Routes: all}, "read", "admin")
	for target, want := range map[string]Reason{"GET /pages?space=2": Forward, "GET /pages?space=2&Space=3": AmbiguousRequest, "GET /books?id=4": Forward, "GET /books?id=4&ID=5": AmbiguousRequest} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// A token that is enough for a route without a resource, or for all spaces, is enough for one
// resource and one space. One for which any token will do asks for none of them.
func TestRoutesForAllSpacesAndResources(t *testing.T) {
	all := routes("GET /books read", "GET /books/{id} read", "GET /any any", "GET /any/{id} read", "GET /own any", "GET /own/{id} any", "GET /spaces read", "GET /spaces/{space} read",
		"GET /{space}/pages any", "GET /{space}/pages/{id} any", "GET /token read", "GET /token/{id} read", "GET /tree/{id} read", "GET /tree/{id}/leaf read", "GET /tree/{id}/bud read",
		"GET /leaf/* read", "GET /leaf/{id}/x read", "GET /pair/{a} read", "GET /pair/{a}/{id} read")
	for i, r := range all {
		switch {
		case r.Pattern == "/spaces" || r.Pattern == "/token":
			all[i].Space = "all"
		case r.Pattern == "/token/{id}":
			all[i].Space = "token"
		case strings.HasSuffix(r.Pattern, "{id}") || r.Pattern == "/tree/{id}/leaf" || r.Pattern == "/leaf/{id}/x":
			all[i].Resource = "path.id"
		}
	}
	p := compile(t, Config{EncodedSlash: "allow", Routes: all}, "read")
	for target, want := range map[string]Reason{
		"GET /books?id=4": Forward, "GET /any?id=4": AmbiguousRequest, "GET /own?id=4": AmbiguousRequest, "GET /spaces?space=2": Forward, "GET /1/pages?id=4": Forward, "GET /token?id=4": AmbiguousRequest,
		"GET /tree/1/bu%64": Forward, "GET /tree/1/BUD": RouteUnknown, "GET /tree/1%2Fleaf": AmbiguousRequest, "GET /tree/1%2Fbud": AmbiguousRequest, "GET /leaf/1%2Fx": Forward, "GET /pair/v%2F7": Forward, "GET /pair/v?id=7": Forward,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}
