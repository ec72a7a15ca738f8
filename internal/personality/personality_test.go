package personality

import (
	"net/http"
	"strings"
	"testing"
)

// What each server is known to read differently from the others: a route, a
// request that it finds there, and one that it doesn't.
func TestReadings(t *testing.T) {
	for _, c := range []struct {
		server, pattern string
		finds, doesnt   string // requests: "METHOD /path?query|Name: value"
	}{
		{"Express", "/users/me", "GET /USERS/Me", "GET /users/m%65"},
		{"Express", "/users/me", "GET /users/me/", "GET /users/me.json"},
		{"Express", "/x?a=1", "GET /x?a[]=1", "GET /x?A=1"},
		{"Express", "/x?a=1", "GET /x?a[0]=1", "GET /x?a[b]=1"},
		{"Rails", "/users/me", "GET /users/me.json", "GET /users/ME"},
		{"Rails", "/users/me", "GET //users//me", "GET /users/m%65"},
		{"Rails", "/x?a=1", "GET /x?b;a=1", "GET /x?A=1"},
		{"Spring", "/users/me", "GET /users/me;v=1", "GET /users/ME"},
		{"Spring", "/users/me", "GET /x/..;/users/me", "GET /x/%2e%2e%2fusers/mee"},
		{"Spring", "/users/me", "GET /users/m%65.json", "GET /users/mejson"},
		{"nginx", "/users/me", "GET /x/..%2fusers/ME", "GET /users/me.json"},
		{"nginx", "/x?a=1", "GET /x?A=1", "GET /x?%61=1"},
		{"PHP", "/users/me", "GET /index.php/users/me", "GET /users/ME"},
		{"PHP", "/a b", "GET /a+b", "GET /a-b"},
		{"PHP", "/admin", "GET /admin/index.php", "GET /admin/other.php"},
		{"PHP", "/x?a_b=1", "GET /x?a.b=1", "GET /x?A_b=1"},
		{"PHP", "/x?a=1", "GET /x?a%00b=1", "GET /x?ab=1"},
		{"PHP", "/users/me", "GET /x|X-Original-URL: /users/me", "GET /x|X-Other: /users/me"},
		{"IIS", "/users/me", `GET /x\..\Users\me`, "GET /users/me.json"},
		{"IIS", "/users/me", "GET /users/me.%20/", "GET /users/you"},
		{"IIS", "/users/me", "GET /(S(abc))/users/me::$DATA", "GET /(S/users/me"},
		{"IIS", "/administration", "GET /admini~1", "GET /other~1"},
		{"IIS", "/users/me", "GET /users/%u006de", "GET /users/%u00e9e"},
		{"IIS", "/x?a=1", "GET /x?A=1", "GET /x?a[]=1"},
		{"IIS", "/x/{id}", "GET /x?ID=7", "GET /x?ids=7"},
		{"IIS", "/x/{id}/{part}", "GET /x/1?part=7", "GET /x?part=7"},
		{"Flask", "/users/me", "GET /users%2Fme", "GET /users/ME"},
		{"Flask", "/x?a=1", "GET /x?a=1&a=2", "GET /x?A=1"},
		{"CherryPy", "/users/delete_all", "GET /users/delete-all/index", "GET /users/DELETE_ALL"},
		{"MediaWiki", "/page/A_b", "GET /page/_:A__b_", "GET /page/A_c"},
		{"lists", "/users/me", "GET /users/7,me", "GET /users/7,m"},
		{"OData", "/users/me", "GET /users/me(7)", "GET /users/me(7"},
		{"Pyramid", "/users/me", "GET /users/@@me", "GET /users/@me"},
		{"Netty", "/x?a=1", "GET /x?b&==a=1", "GET /x?b=a=1"},
		{"Go", "/users/me", "GET /x/../users/me", "GET /users%2Fme"},
		{"Go", "/x?a=1", "GET /x?a=1", "GET /x?b;a=1"},
	} {
		for request, want := range map[string]bool{c.finds: true, c.doesnt: false} {
			if got := len(read(t, c.server, []Route{{Methods: []string{"*"}, Pattern: c.pattern}}, request)) > 0; got != want {
				t.Errorf("%s finds %s on %s: %v, want %v", c.server, request, c.pattern, got, want)
			}
		}
	}
}

// Methods, spaces and resources that one of a server's ways finds.
func TestValues(t *testing.T) {
	routes := []Route{
		{Methods: []string{"GET"}, Pattern: "/s/{space}/{id}", Space: "path.space", Resource: "path.id"},
		{Methods: []string{"DELETE"}, Pattern: "/s/{space}/{id}", Space: "path.space", Resource: "path.id"},
		{Methods: []string{"GET"}, Pattern: "/s/{space}/{id}:cancel", Space: "path.space", Resource: "path.id"},
		{Methods: []string{"GET"}, Pattern: "/q", Space: "query.a", Resource: "header.X-Org"},
		{Methods: []string{"GET"}, Pattern: "/host", Space: "host.1"},
		{Methods: []string{"GET"}, Pattern: "/f/{rest...}", Resource: "path.rest"},
	}
	for _, c := range []struct {
		server, request string
		route           int
		space, resource string
	}{
		{"Go", "GET /s/a/b", 0, "a", "b"},
		{"Go", "HEAD /s/a/b%20c", 0, "a", "b c"},
		{"Rails", "GET /s/a/b.json", 0, "a", "b"},
		{"Spring", "GET /s/a;x=1/b;y", 0, "a", "b"},
		{"Flask", "GET /s/a%2Fb", 0, "a", "b"},
		{"IIS", "GET /s/a./b::$DATA", 0, "a", "b"},
		{"IIS", "GET /s/a?id=b", 0, "a", "b"},
		{"IIS", "GET /s?Id=b&space=a", 0, "a", "b"},
		{"Express", "GET /s/a/b:CANCEL", 2, "a", "b"},
		{"Express", "GET /s/a/b%3Acancel", 0, "a", "b:cancel"},
		{"Go", "GET /f/x/y%2Fz", 5, "", "x/y/z"},
		{"Spring", "POST /s/a/b|X-HTTP-Method-Override: delete", 1, "a", "b"},
		{"Flask", "POST /s/a/b|X_HTTP_METHOD_OVERRIDE: DELETE", 1, "a", "b"},
		{"PHP", "POST /s/a/b?.method=DELETE", 1, "a", "b"},
		{"Express", "POST /s/a/b?_method=DELETE", 1, "a", "b"},
		{"Go", "GET /q?a=1&a=2|X-Org: 7", 3, "1", "7"},
		{"PHP", "GET /q?a=1&a=2|X_Org: 7", 3, "2", "7"},
		{"IIS", "GET /q?a=1&A=2|X-Org: 7", 3, "1,2", "7"},
		{"CherryPy", "GET /q?a=1|X-Org: =?utf-8?q?7?=", 3, "1", "7"},
		{"Rails", "GET /host|Forwarded: for=x;host=\"b.test\"", 4, "b", ""},
		{"Go", "GET /host|X-Host: b.test", 4, "api", ""},
	} {
		readings := read(t, c.server, routes, c.request)
		found := false
		for _, r := range readings {
			found = found || r.Route == c.route && r.Space == c.space && r.Resource == c.resource
		}
		if !found {
			t.Errorf("%s reads %s as %+v, want route %d, space %q, resource %q among them", c.server, c.request, readings, c.route, c.space, c.resource)
		}
	}
}

// The most specific route is the one that is found.
func TestSpecificity(t *testing.T) {
	var routes []Route
	for _, pattern := range []string{"/a/*", "/a/{x}", "/a/b", "/a/{x}:c", "/a/{x}?k=v", "/{x}/b", "/*"} {
		routes = append(routes, Route{Methods: []string{"GET"}, Pattern: pattern})
	}
	for request, want := range map[string]string{
		"GET /a/b": "/a/b", "GET /a/x": "/a/{x}", "GET /a/x:c": "/a/{x}:c", "GET /a/x?k=v": "/a/{x}?k=v", "GET /a/x/y": "/a/*", "GET /c/b": "/{x}/b", "GET /c": "/*",
	} {
		readings := read(t, "Go", routes, request)
		if len(readings) != 1 || routes[readings[0].Route].Pattern != want {
			t.Errorf("%s is on %+v, want %s", request, readings, want)
		}
	}
}

// read has a server read a request.
func read(t *testing.T, server string, routes []Route, text string) []Reading {
	t.Helper()
	line, field, _ := strings.Cut(text, "|")
	method, target, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(target, "?")
	r := &Request{Method: method, Path: path, Query: query, Host: "api.test", Header: http.Header{}}
	if name, value, ok := strings.Cut(field, ": "); ok {
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	for _, p := range All {
		if p.Name == server {
			return p.Read(routes, r)
		}
	}
	t.Fatalf("no personality %s", server)
	return nil
}
