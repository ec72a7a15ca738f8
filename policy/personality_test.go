package policy

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/personality"
)

// frontedAPI is a policy and the same routes as an upstream has them.
type frontedAPI struct {
	name   string
	policy *Policy
	routes []personality.Route
}

// frontedAPIs are policies with weak routes beside strong ones, in every way in
// which a server could take one for the other.
func frontedAPIs(t testing.TB) (all []frontedAPI) {
	stories := append(routes(
		"GET /v1/spaces/{space}/stories read", "GET /v1/spaces/{space}/stories?version=draft admin", "GET /v1/spaces/{space}/stories/drafts admin",
		"GET /v1/spaces/{space}/stories/{id}/publish admin", "GET /v1/spaces/{space}/stories/{id}/{action} read", "GET /v1/spaces/me any",
		"* /v1/spaces/{space}/settings/* admin", "GET /v1/spaces/{space}/{kind}/{id} read", "DELETE,PUT /v1/spaces/{space}/stories/{id} admin",
		"GET /v1/admin/users never", "GET /v1/{kind}/users any", "GET /v1/{kind}/{id...} public",
		"GET /caf%C3%A9/{id} any", "GET /caf%C3%A9/a%20b admin", "* /* public", "GET / admin", "DELETE,PATCH /* admin",
	), routeAt("GET,POST /v1/spaces/{space}/stories/{id} read", "", "path.id"))
	users := append(routes(
		"GET /users/me any", "GET /users/{id} admin", "POST /users/{id} read", "POST /users/delete_all admin", "GET /users any", "POST /users/{id}:cancel admin", "POST /users/{id}.zip admin",
		"GET /admin.php admin", "GET /Admin never", "GET /files/{name...} public", "GET /files/secret/{name} admin", "GET /files/administration/{name} admin",
		"GET /x/{y}/z any", "GET /{x}/y/z admin", "GET /v{n}/list admin", "GET /{v}/list public", "GET /a/b%3Ac any", "GET /a/{b}%3Ac admin", "GET /a/{b} public",
	), routeAt("GET /o/{space}/{id} read", "", "path.id"), routeAt("DELETE /o/{space}/{id} admin", "", "path.id"))
	sources := []RouteConfig{
		routeAt("GET,POST /q read", "query.space", "query.id"), routeAt("GET,POST /q?version=draft admin", "query.space", "query.id"), routeAt("DELETE,PATCH /q admin", "query.space", "none"),
		routeAt("GET /h read", "header.X-Org", "header.X-Item"), routeAt("GET /host read", "host.2", "none"), routeAt("GET /t read", "query.org[id]", "none"),
	}
	for _, c := range []struct {
		name   string
		config Config
	}{
		{"stories", Config{Routes: stories}},
		{"users, and everything else public", Config{Routes: users, Default: "public"}},
		{"sources", Config{Routes: sources}},
		{"stories, semicolons allowed", Config{Routes: stories, Semicolon: "allow"}},
		{"users, semicolons and encoded slashes allowed", Config{Routes: users, Semicolon: "allow", EncodedSlash: "allow"}},
		{"users, encoded slashes as data", Config{Routes: users, EncodedSlash: "data"}},
	} {
		all = append(all, fronted(c.name, compile(t, c.config, "read", "admin > read")))
	}
	return all
}

// fronted returns a policy with the routes of its upstream.
func fronted(name string, p *Policy) frontedAPI {
	f := frontedAPI{name: name, policy: p}
	for _, r := range p.routes {
		source := func(s source) string { return strings.TrimSuffix(s.String(), "none") }
		pattern, _ := url.PathUnescape(r.Pattern) // as the upstream would write it
		f.routes = append(f.routes, personality.Route{Methods: r.Methods, Pattern: pattern, Space: source(r.space), Resource: source(r.resource)})
	}
	return f
}

// reader may read in one space, and only two things where routes name things.
func reader() *Subject { return holder("1,acme read 1,7,a", "1,acme read *") }

// find returns what servers make of a request that the gate forwards, if that is
// more than its token may do.
func (f *frontedAPI) find(method, target, host, fields string) error {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil // Go answers 400 by itself
	}
	r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{}}
	if u.Host != "" {
		r.Host = u.Host
	}
	for _, field := range splitFields(fields) {
		name, value, ok := strings.Cut(field, ":")
		if ok && name != "" && !strings.ContainsAny(field, "\r\n\x00") {
			name = textproto.CanonicalMIMEHeaderKey(name)
			r.Header[name] = append(r.Header[name], strings.TrimSpace(value))
		}
	}
	CleanHeader(r.Header)
	req := NewRequest(r)
	var m Match
	f.policy.Match(&req, &m)
	s := reader()
	if m.Reason != Forward || m.NeedsDecision() && m.Decide(s, now, netip.Addr{}) != Forward {
		return nil
	}
	forwarded := &personality.Request{Method: method, Path: req.Path, Query: req.Query, Host: r.Host, Header: r.Header}
	for _, p := range personality.All {
		if f.policy.encodedSlash == slashesData && !p.Apart {
			continue // none of these is what that is for
		}
		for _, reading := range p.Read(f.routes, forwarded) {
			if err := f.allows(&reading, m.NeedsDecision(), s); err != nil {
				return fmt.Errorf("%s: %s %s (Host %s, %s) is on %v, space %q: %s %w", f.name, method, target, host, fields, m.Route, m.Space, p.Name, err)
			}
		}
	}
	return nil
}

// allows returns an error unless the token, or no token at all, may do what a
// server reads.
func (f *frontedAPI) allows(reading *personality.Reading, known bool, s *Subject) error {
	r := f.policy.routes[reading.Route]
	m := Match{Route: r, Space: reading.Space, Resource: reading.Resource, policy: f.policy}
	switch {
	case r.Require.need == needNothing:
		return nil
	case r.space.kind >= fromPath && reading.Space == "", r.resource.kind >= fromPath && reading.Resource == "":
		return nil // there is nothing of which it could be about
	case known && r.Require.need != needNever && m.Decide(s, now, netip.Addr{}) == Forward:
		return nil
	}
	return fmt.Errorf("(%s) reads %v, space %q, resource %q", reading.How, r, reading.Space, reading.Resource)
}

// Pieces of which requests are made that servers read differently.
var (
	oddPieces = strings.Fields(`v1 V1 v%31 %761 spaces Spaces %73paces spaces.json 1 %31 2 acme ACME stories storie%73 STORIES stories.json drafts Drafts
		drafts.xml draft%73 publish Publish publish.json publish;x me Me m%65 me.json me; me;v=1 settings Settings settings. 1. acme. me. stories. admin.php. delete-all delete.all DELETE~all delete_all delete__all _delete_all :me me_ a__b a%20%20b index Index admin Admin ADMIN ADMIN~1 admin.php
		admin.php/x admin%20 admin+ admin::$DATA admin:$i30:$INDEX_ALLOCATION adm%C4%B1n %C3%A0dmin index.php Index.PHP index.html default.aspx users Users users.json
		(S(x)) (A(b)F(c)) . .. %2e%2e ..; ..;/ %2f %2F %5c %252f %00 %20 caf%C3%A9 cafe CAF%C3%89 caf%c3%a9 cafe%CC%81 a%20b a+b a%2bb A%20B 7 7.json 7:cancel
		7%3Acancel 7:CANCEL 7:cancel.json 7.zip 7.ZIP 7.zip;x files secret Secret secret;x secret%2fx secret%2Fx%2Fy %2Fsecret %2F administration admini~1 ADMINI~12.X list x y z a b:c
		me,7 7,me drafts,x x%2Cadmin drafts(7) users(1) admin%28x%29 @@me @@publish ++view++drafts %40%40admin b%3Ac b:C b%3AC v2 V2 o q h host t %EF%BD%81dmin %u0061dmin a;b a%3bb a%2Fb /`)
	oddQueries = strings.Fields(`version=draft Version=draft version[]=draft version=published VERSION=draft ver%73ion=draft space=1 Space=2 space=2 space[]=2
		.space=2 id=1 id=2 ID=2 id[0]=2 org[id]=1 org[id]=2 org.id=2 _method=DELETE _method=PATCH _METHOD=DELETE .method=DELETE [method=DELETE %5fmethod=DELETE
		_method[]=DELETE method=DELETE x-http-method-override=DELETE X_HTTP_METHOD_OVERRIDE=PATCH ;space=2 a=b;space=2 sp%61ce=2 =space=2 =version=draft space%00=2 %EF%BB%BFspace=2 +space=2
		_method=GET %255fmethod=DELETE`)
	oddFields = strings.Split(`X-Org: 1|X-Org: 2|X-Org: 1, 2|X-Org: =?utf-8?q?2?=|X_Org: 2|X-Item: 1|X-Item: 2|X.Item: 2|X-HTTP-Method-Override: DELETE|X_HTTP_METHOD_OVERRIDE: DELETE|X-HTTP-Method: PATCH|
		X-Method-Override: DELETE|X-Original-URL: /v1/admin/users|X-Rewrite-URL: /admin.php|X-Original-URI: /users/7|X-Forwarded-Uri: /users/7|X-Forwarded-Path: /users/7|
		Forwarded: host=b.tenant.test.example|X-Host: x.b.c|X-Forwarded-Server: x.b.c|Connection: X-Org|Connection: close, x-item|X-Host: 9.b.c`, "|")
	oddHosts = []string{"1.example.test", "2.example.test", "acme.example.test", "ACME.example.test", "1.example.test:80", "1.example.test.", "example.test"}
)

// Whatever is forwarded, no server finds it where its token mayn't go: on random
// requests made of awkward pieces.
func TestPersonalities(t *testing.T) {
	t.Parallel()
	rnd := seeded(t, 2)
	one := func(of []string) string { return strings.TrimSpace(of[rnd.IntN(len(of))]) }
	apis := frontedAPIs(t)
	for range 6_000 {
		f := &apis[rnd.IntN(len(apis))]
		target := ""
		route := f.routes[rnd.IntN(len(f.routes))]
		pattern, query, _ := strings.Cut(route.Pattern, "?")
		for part := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
			if strings.ContainsAny(part, "{*") || rnd.IntN(3) == 0 {
				part = one(oddPieces)
			} else {
				part = url.PathEscape(part)
			}
			target += "/" + part
		}
		for range rnd.IntN(3) / 2 {
			target += "/" + one(oddPieces)
		}
		var pairs []string
		if query != "" && rnd.IntN(2) == 0 {
			pairs = append(pairs, query)
		}
		for range rnd.IntN(4) {
			pairs = append(pairs, one(oddQueries))
		}
		if len(pairs) > 0 {
			target += "?" + strings.Join(pairs, "&")
		}
		fields := []string{"X-Org: 1", "X-Item: 1"}[:rnd.IntN(3)]
		for range rnd.IntN(3) {
			fields = append(fields, one(oddFields))
		}
		if rnd.IntN(4) > 0 {
			fields = append(fields, "Authorization: Bearer S")
		}
		if err := f.find(one([]string{"GET", "GET", "POST", "HEAD", "PUT"}), target, one(oddHosts), strings.Join(fields, "|")); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzPersonalities looks for a request that the gate forwards and a server finds
// where its token mayn't go.
func FuzzPersonalities(f *testing.F) {
	apis := frontedAPIs(f)
	for i, api := range apis {
		for _, r := range api.routes {
			target, query, _ := strings.Cut(r.Pattern, "?")
			target = strings.NewReplacer("{space}", "1", "{id}", "7", "{kind}", "Admin", "{name...}", "b/c", "{id...}", "b", "*", "x/y", "{", "", "}", "").Replace(target)
			target = (&url.URL{Path: target}).EscapedPath()
			if query != "" {
				target += "?" + query
			}
			f.Add(uint8(i), r.Methods[0], target, "1.example.test", "Authorization: Bearer S|X-Org: 1|X-Item: 1")
			f.Add(uint8(i), "GET", strings.ToUpper(target), "acme.example.test", "Authorization: Bearer S|Forwarded: host=2.x.y")
		}
		for _, piece := range oddPieces {
			f.Add(uint8(i), "GET", "/users/"+piece, "example.test", "Authorization: Bearer S")
			f.Add(uint8(i), "GET", "/v1/"+piece+"/users", "example.test", "Authorization: Bearer S")
		}
		for _, pair := range oddQueries {
			f.Add(uint8(i), "POST", "/q?space=1&id=1&"+pair, "example.test", "Authorization: Bearer S")
		}
	}
	f.Fuzz(func(t *testing.T, api uint8, method, target, host, fields string) {
		if len(target)+len(fields) > 400 {
			return // personalities aren't made for speed
		}
		if err := apis[int(api)%len(apis)].find(method, target, host, fields); err != nil {
			t.Error(err)
		}
	})
}

// The same on random policies, with literals that servers take for others.
func TestPersonalitiesOnRandomPolicies(t *testing.T) {
	t.Parallel()
	rnd := seeded(t, 3)
	one := func(of ...string) string { return of[rnd.IntN(len(of))] }
	segments := []string{"me", "me", "admin", "administration", "a%20b", "caf%C3%A9", "v1.zip", "x.php", "{p}", "{p}", "{p}", "{p}:go", "v{p}", "{p}.zip", "{space}", "do_it", "[x]", "a.b."}
	texts := strings.Fields(`1 1 acme 2 ACME 1.json %31 1;x 2%2F1 %2F %2Fme 1%2F me ME Me m%65 me.json me;x me+ me::$DATA me%2Fadmin x%2Fme admin Admin ADMIN.xml adm%69n administration ADMINI~1 a%20b a+b A%20B caf%C3%A9 CAF%C3%89 cafe
		v1.zip V1.ZIP v1.zip.json do_it do-it do.it DO,IT do__it _do_it_ :me __me_ a_b a__b index x.php X.PHP index.php index.html 7 7:go 7:GO 7%3Ago 7:go.json v7 V7 7.zip 7.ZIP%20 (S(x)) v%37 [x] %5Bx%5D %5bX] [x].json
		7,me x,admin me,1 me(1) admin%281%29 @@me ++view++admin me. Acme%20I. acme. 1. x.php. a%20b. caf%C3%A9. a.b a.b. A.B`)
	tried := 0
	for range 400 {
		var all []RouteConfig
		for range 2 + rnd.IntN(7) {
			pattern := ""
			for range 1 + rnd.IntN(3) {
				pattern += "/" + strings.ReplaceAll(one(segments...), "{p}", fmt.Sprintf("{p%d}", strings.Count(pattern, "/")))
			}
			if strings.Count(pattern, "{space}") > 1 {
				pattern = strings.Replace(pattern, "{space}", "{other}", 1)
			}
			var settings Settings
			switch rnd.IntN(10) {
			case 0, 1:
				pattern += "/*"
			case 2:
				pattern += "/{rest...}"
				settings.Resource = "path.rest"
			}
			if rnd.IntN(6) == 0 {
				pattern += "?k=v"
			}
			r := routes(one("GET", "GET", "GET,DELETE", "*", "POST") + " " + pattern + " " + one("public", "any", "read", "admin", "never"))[0]
			r.Settings = settings
			all = append(all, r)
		}
		catalog, err := NewCatalog(declared([]string{"read", "admin > read"}))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Compile(Config{Routes: all, Default: one("deny", "deny", "any", "public"), EncodedSlash: one("reject", "allow", "data"), Semicolon: one("reject", "allow")}, catalog)
		if err != nil {
			continue
		}
		f := fronted(fmt.Sprint(p.routes), p)
		for range 40 {
			target := ""
			for range 1 + rnd.IntN(3) {
				target += "/" + one(texts...)
			}
			target += one("", "", "/", "?k=v", "?k=w&k=v", "?K=v")
			if err := f.find(one("GET", "GET", "HEAD", "POST"), target, "a.b.c", one("Authorization: Bearer S", "")); err != nil {
				t.Fatalf("default %s: %v", p.Default(), err)
			}
			tried++
		}
	}
	if tried < 4000 {
		t.Errorf("%d requests: most policies don't compile", tried)
	}
}
