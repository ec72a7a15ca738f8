package policy

import (
	"strings"
	"testing"
)

// Where the query begins at the first semicolon (Fastify), neither the path that
// ends there nor a key behind it is another's.
func TestSemicolonsThatBeginTheQuery(t *testing.T) {
	at := func(line, space string) RouteConfig {
		r := routes(line)[0]
		r.Space = space
		return r
	}
	p := compile(t, Config{Semicolon: "allow", Routes: append(routes(
		"GET /users admin", "GET /users/{id} read", "GET /{kind}/{id} read", "GET /x/{id}?draft=true admin", "GET /x/{id} read"), at("GET /q/{id} read", "query.space"))}, "read", "admin > read")
	for target, want := range map[string]Reason{
		"/users/7;v=1": Forward, "/users;v=1/7": AmbiguousRequest, "/Users;/7": AmbiguousRequest, "/others;v=1/7": Forward,
		"/q/7;v=2?space=1": Forward, "/q/7;space=2?space=1": AmbiguousRequest, "/q/7;v=1&space=2&x?space=1": AmbiguousRequest, "/q/7;Sp%61ce[]=2?space=1": AmbiguousRequest,
		"/x/7;v=1": Forward, "/x/7;draft=true": AmbiguousRequest, "/x/7;v=1;draft=true?draft=false": AmbiguousRequest, "/x/7;draft": AmbiguousRequest,
	} {
		if m := p.matched(request("GET "+target, "Authorization: Bearer S")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Where encoded delimiters are data, a server that cuts at one must not find more than is
// asked for; and a name with a slash may be a route of its own (CouchDB).
func TestDelimitersThatAreDataOnRoutes(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "data", Routes: routes("PUT /{db}/_design%2F{view} admin", "PUT /{db}/_design/{view} admin", "PUT /{db}/{doc} write", "PUT /x%2Fy/me admin", "PUT /{db}/secret admin", "PUT /users never", "PUT /a%3Fb/{x} admin")}, "write", "admin > write")
	for path, want := range map[string]string{
		"/db/_design%2Fapp": "admin", "/db/_design%2fapp": "admin", "/db/_design/app": "admin", "/db/_designer": "write", "/db/_design%2F": "", "/db/a%2Fb": "write",
		"/x%2Fy/me": "admin", "/x%2Fy/you": "write", "/x/me": "write", "/db/%23a": "write", "/db/a%3Fb": "write", "/a%3Fb/c": "admin", "/db/secret%3Fx": "", "/db/secret%23": "", "/users%3F/x": "", "/users%23x/x": "", "/users/.%3Fx": "", "/users/x%2F..%3F": "write", "/db/_Design%2Fapp": "",
	} {
		m := p.matched(&Request{Method: "PUT", Path: path})
		if want == "" && m.Reason != AmbiguousRequest || want != "" && (m.Reason != TokenMissing || m.Route.Require.String() != want) {
			t.Errorf("%s: %v (%s) on %v, want %q", path, m.Reason, m.Detail, m.Route, want)
		}
	}
	for _, slash := range []string{"", "allow"} {
		if _, err := Compile(Config{EncodedSlash: slash, Routes: routes("GET /a%2Fb any")}, nil); err == nil || !strings.Contains(err.Error(), "no request could match it: the path has an encoded slash") {
			t.Errorf("encoded_slash %s: %v", slash, err)
		}
	}
}

// A path is cut off with its encoded slashes where they are, as well as split at them: at
// a semicolon (Fastify, which cuts at those that aren't encoded), an ampersand or a blank,
// and before what says that the data of a page is asked for.
func TestCutBesideEncodedSlashes(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Semicolon: "allow", Default: "public", Routes: routes("GET /{x}/me never", "GET /a/b/c never", "GET /only never", "GET /{x}/{y}/z{w} public", "GET /s/{x}/t/me never")})
	for _, target := range []string{
		"GET /2%2F1/me;x", "GET /2%2F1/me/;x", "GET /a%2Fb/c;x", "GET /a%2Fb%2Fc;x", "GET /s/a%3Bb/t/me;x", "GET /s/a%3Bb/t/me;x/y",
		"GET /a%2Fme&x", "GET /a%2Fme%20x", "GET /a%2Fb%2Fc&x/z", "GET /only%2F/__data.json", "GET /a%2Fm=65", "GET /a%2Fb/me/__data.json", "GET /a%2Fb/c/__data.json", "GET /only%2Fx%2F..&y", "GET /a%2Fme%2F.%20x",
	} {
		if m := p.matched(request(target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s: %v, want ambiguous_request", target, m.Reason)
		}
	}
	for _, target := range []string{"GET /2%2F1/you;x", "GET /s/a%3Bb/t/you;x", "GET /a%2Fyou&x", "GET /a%2Fyou/__data.json"} {
		if m := p.matched(request(target)); m.Reason != Forward {
			t.Errorf("%s, on no other route: %v (%s)", target, m.Reason, m.Detail)
		}
	}
}

// Express compares literals before it decodes, but for what has to be encoded in them,
// and ignores case there.
func TestUndecodedLiterals(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /{x}:go/{y}/z public", "GET /{x}/a%20b/{y} never", "GET /{x}/caf%C3%A9/{y} never")})
	for _, target := range []string{"GET /7%3Ago/A%20B/z", "GET /7%3Ago/a%20b/z", "GET /7%3Ago/CAF%c3%a9/z"} {
		if m := p.matched(request(target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s: %v, want ambiguous_request", target, m.Reason)
		}
	}
	if m := p.matched(request("GET /7%3Ago/a%2Db/z")); m.Reason != AmbiguousRequest {
		t.Errorf("on no route: %v (%s)", m.Reason, m.Detail)
	}
}

// What is on no route to these servers may be on one that the policy doesn't list. There,
// the default asks for a token, or denies.
func TestUndecodedLiteralsOnNoRoute(t *testing.T) {
	at := func(line string, s Settings) RouteConfig {
		r := routes(line)[0]
		r.Settings = s
		return r
	}
	for _, fallback := range []string{"any", "deny", "public"} {
		p := compile(t, Config{Default: fallback, Routes: append(routes("GET /public/* public", "GET /read/* read", "GET /x/{id}:go public", "GET /items[] public", "GET /@me/~x public", "GET /caf%C3%A9/{x} public", "GET /{a}/other/{x} read", "GET /p/{x}?q=1 public"),
			at("GET /optional/* any", Settings{Optional: true}), at("GET /tried/* any", Settings{Mode: "report"}))}, "read")
		for target, refused := range map[string]bool{
			"/publi%63/x": true, "/%70ublic/x": true, "/optional/x": false, "/optiona%6C/x": true, "/trie%64/x": true, "/x/7%3Ago": false, "/x/7%3A%67o": true, "/items[]": false, "/%40me/%7Ex": false, "/publi%63/other/x": true,
			"/public/%78": false, "/public/a%20b": false, "/caf%C3%A9/x": false, "/x/%37:go": false, "/rea%64/x": false, "/p/%31?q=1": false,
		} {
			want := refused && fallback != "public" || target == "/publi%63/other/x"
			if m := p.matched(request("GET " + target)); (m.Reason == AmbiguousRequest) != want || want && m.Reports() {
				t.Errorf("default %s: %s: %v (%s), want it refused: %v", fallback, target, m.Reason, m.Detail, want)
			}
		}
	}
	// Where no request is judged, nothing is refused for the default.
	p := compile(t, Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: append(routes("GET /public/* public"), at("GET /other any", Settings{Mode: "enforce"}))})
	for _, target := range []string{"GET /publi%63/x", "GET /non%65"} {
		if m := p.matched(request(target)); !m.Reports() {
			t.Errorf("%s in report mode: %v (%s), want it forwarded", target, m.Reason, m.Detail)
		}
	}
	p = compile(t, Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: routes("GET /public/* public")})
	if m := p.matched(request("GET /publi%63/x")); m.Reason != AmbiguousRequest || !m.Reports() {
		t.Errorf("in report mode, what enforcing would refuse: %v (%s)", m.Reason, m.Detail)
	}
	p = compile(t, Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: []RouteConfig{at("GET /list public", Settings{Mode: "enforce"})}})
	if m := p.matched(request("GET /%6Cist")); m.Reason != Forward {
		t.Errorf("on a route that is enforced, where the default is not: %v (%s), want it forwarded", m.Reason, m.Detail)
	}
}

// The data of a page is that page's.
func TestDataOfPages(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET / never", "GET /users/{id} never", "GET /users/{id}/{tab} public", "GET /open/* public", "GET /{any} public", "GET /_next/* public", "GET /page-data/* public", "GET /RSC/* public", "GET /app/RSC/* public",
		"GET /app/users/{id} never", "GET /app/_next/* public", "GET /app/page-data/* public")})
	for target, want := range map[string]Reason{
		"GET /users/7/__data.json": AmbiguousRequest, "GET /users/7/_payload.json": AmbiguousRequest, "GET /users/7/__route.js": AmbiguousRequest, "GET /__data.json": AmbiguousRequest,
		"GET /users/7/data.json": Forward, "GET /open/7/__data.json": Forward,

		// React Router, Qwik City
		"GET /users/7/.data": AmbiguousRequest, "GET /users/7/_.data": AmbiguousRequest, "GET /users/7/q-data.json": AmbiguousRequest, "GET /_root.data": AmbiguousRequest, "GET /q-data.json": AmbiguousRequest,
		"GET /users/7/x.data": Forward, "GET /open/7/_.data": Forward, "GET /root.data": Forward, "GET /users/7/data": Forward,

		// Vike, React Router as a stream, Next.js as files, react-server
		"GET /users/7/index.pageContext.json": AmbiguousRequest, "GET /users/7/_.rsc": AmbiguousRequest, "GET /users/7/__next._full.txt": AmbiguousRequest,
		"GET /users/7/rsc.x-component": AmbiguousRequest, "GET /users/7/@outlet.rsc.x-component": AmbiguousRequest,
		"GET /users/7/pageContext.json": Forward, "GET /users/7/x.rsc": Forward, "GET /users/7/__next.txt.gz": Forward, "GET /open/7/_.rsc": Forward,

		// Waku
		"GET /RSC/R/_root.txt": AmbiguousRequest, "GET /app/RSC/R/_root.txt": Forward,
		"GET /RSC/R/users/7.txt": AmbiguousRequest, "GET /app/RSC/R/users/7.txt": AmbiguousRequest,
		"GET /RSC/R/open/7.txt": Forward, "GET /RSC/X/users/7.txt": Forward,

		// Next.js, Gatsby
		"GET /_next/data/b1/de/users/7.json": AmbiguousRequest, "GET /_next/data/b1/de/open/7.json": Forward,
		"GET /_next/data/b1/users/7.json": AmbiguousRequest, "GET /_next/data/b1/index.json": AmbiguousRequest, "GET /_next/d%61ta/b1/users/7": AmbiguousRequest, "GET /app/_next/data/b1/users/7.json": AmbiguousRequest,
		"GET /_next/static/b1/users/7.json": Forward, "GET /_next/data/b1/open/7.json": Forward, "GET /_next/data/b1": Forward,
		"GET /page-data/users/7/page-data.json": AmbiguousRequest, "GET /page-data/index/page-data.json": AmbiguousRequest, "GET /app/page-data/users/7/page-data.json": AmbiguousRequest,
		"GET /page-data/users/7/other.json": Forward, "GET /page-data/open/7/page-data.json": Forward, "GET /page-data/page-data.json": Forward,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// A version of a file is that file's.
func TestVersionsOfFiles(t *testing.T) {
	p := compile(t, Config{Routes: routes("* /svn/repo/* public", "* /svn/repo/secret/* never", "* /svn/repo never", "* /!svn/* public", "* /top never")})
	for target, want := range map[string]Reason{
		"GET /svn/repo/!svn/rvr/3/secret/s": AmbiguousRequest, "GET /svn/repo/!svn/bc/3/secret/s.txt": AmbiguousRequest, "GET /svn/repo/!svn/ver/3/Secret/s": AmbiguousRequest, "PUT /svn/repo/!svn/txr/4-5/secret/s": AmbiguousRequest,
		"PUT /svn/repo/!svn/vtxr/x/secret": AmbiguousRequest, "PUT /svn/repo/%21svn/wrk/0b1c/secret/s": AmbiguousRequest, "PROPFIND /svn/repo/!svn/rvr/3": AmbiguousRequest, "GET /!svn/bc/3/top": AmbiguousRequest,
		"GET /svn/repo/!svn/rvr/3/open/secret": Forward, "MKACTIVITY /svn/repo/!svn/act/0b1c": Forward, "PROPFIND /svn/repo/!svn/vcc/default": Forward, "POST /svn/repo/!svn/me": Forward, "PROPPATCH /svn/repo/!svn/txn/4-5": Forward, "GET /svn/repo/x!svn/bc/3/secret/s": Forward, "GET /svn/repo/!/bc/3/secret/s": Forward,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// More pieces than are looked at are refused, not passed over.
func TestManyEncodedSlashes(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Routes: routes("GET /{name} public", "GET /admin/* never")})
	for n := range 80 {
		if m := p.matched(request("GET /admin%2Fx" + strings.Repeat("%2Fa", n))); m.Reason != AmbiguousRequest {
			t.Fatalf("%d pieces more: %v, want ambiguous_request", n, m.Reason)
		}
	}
}

// What stands behind the name of a script, with a slash or without, is a path of its own
// or below the script's directory.
func TestPathsBehindScripts(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /* public", "* /admin/* never", "* /app/only/* never", "GET /top.php never", "GET /names/{name} public", "GET /{id}.bak never")})
	for target, want := range map[string]Reason{
		"GET /index.php/admin/x": AmbiguousRequest, "GET /index.phpadmin/x": AmbiguousRequest, "GET /INDEX.PHPadmin/x": AmbiguousRequest, "GET /index.phptop.php": AmbiguousRequest, "GET /app_dev.phpadmin/x": AmbiguousRequest, "GET /index%2Ephp%61dmin/x": AmbiguousRequest,
		"GET /app/index.php/only/x": AmbiguousRequest, "GET /app/index.phponly/x": AmbiguousRequest, "GET /index.php/only/x": Forward, "GET /web/index.phpadmin/x": AmbiguousRequest,
		"GET /index.phpadministration/x": Forward, "GET /index.phpx/admin/x": Forward, "GET /.phpadmin/x": Forward, "GET /xphpadmin/x": Forward, "GET /x.phpadmin/x": Forward, "GET /index.php.dist": Forward, "GET /names/x.php.txt": Forward, "GET /names/index.php7.bak": AmbiguousRequest,
		"GET /x" + strings.Repeat("/x.php", maxScripts): Forward, "GET /x" + strings.Repeat("/app.phpy", maxScripts): Forward, "GET /x" + strings.Repeat("/app.phpy", maxScripts+1): AmbiguousRequest,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Where a path is put into a query, an ampersand in it begins another parameter.
func TestParametersInPath(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: append(routes("GET,POST /files/* public", "* /admin/* never", "GET /stories public", "GET /stories?draft never", "GET /users/{id} public", "GET /users/me never"),
		RouteConfig{Methods: []string{"GET"}, Pattern: "/r/{item}", Require: "read", Settings: Settings{Space: "query.space"}})}, "read")
	for target, want := range map[string]Reason{
		"GET /files/x&_url=/admin/x": AmbiguousRequest, "GET /files/x%26_url%3dadmin/x": AmbiguousRequest, "GET /files/x&a=b&_url=Admin/x&c=d": AmbiguousRequest, "GET /files/x&_url=//admin/x": AmbiguousRequest,
		"GET /users/me&x": AmbiguousRequest, "GET /users/me%26x": AmbiguousRequest, "GET /users/me%20HTTP/1.1": RouteUnknown, "GET /users/me%20x": AmbiguousRequest, "GET /users/you&me": Forward, "GET /users/you%20x": Forward,
		"GET /stories&draft": RouteUnknown, "GET /files/a&b/c=d": Forward,
		"GET /files/AT&T": Forward, "GET /files/a=b": Forward, "GET /files/&": Forward,
		"POST /files/x&_method=DELETE": AmbiguousRequest, "POST /files/x%26X-HTTP-Method=PUT": AmbiguousRequest,
		"GET /r/7?space=1": Forward, "GET /r/7&space=2?space=1": AmbiguousRequest, "GET /r/7%26Space=2?space=1": AmbiguousRequest, "GET /r/7&space?space=1": AmbiguousRequest, "GET /r/7&spaces?space=1": Forward,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// A name is one still where it is cut off at a blank or an ampersand: only what is a
// literal then, which it wasn't, is another path.
func TestNamesThatAreCutOff(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /teams/{team} never", "GET /teams/{team}/members public", "GET /teams/all never", "GET /teams/all/members public",
		"GET /{db} never", "GET /{db}/{doc} public", "GET /wiki/{page} never", "GET /wiki/{page}/history public", "GET /orgs/{org}:close never", "GET /orgs/{org} public", "GET /nets/v{n} never", "GET /nets/{net}/{tab} public",
		"GET /orgs/{org}/{tab} public", "GET /{db}/v1/{doc} never", "GET /{db}/{doc}/{file} public", "GET /deep/* never", "GET /deep/{x}/{y}/z public",
		"GET /s/{space}/* never", "GET /s/{space}/tags/{tag} public", "GET /s/{space}/tags/{tag}/* never", "GET /s/{space}/{kind}/all never", "GET /n/{x}/y public", "GET /{x}/none never")})
	for path, want := range map[string]Reason{
		"/teams/Human%20Resources/members": Forward, "/teams/R%26D/members": AmbiguousRequest, "/teams/AT&T/members": AmbiguousRequest, "/my%20db/doc": Forward, "/wiki/Q&A/history": AmbiguousRequest, "/wiki/Q%20A/history": Forward,
		"/nets/v1%20x/tab": Forward, "/deep/a%20b/c/z": Forward, "/a%20b/c&d": Forward, "/orgs/7%20x": Forward,
		"/s/1/tags/red%20shoes": Forward, "/s/1/tags/all%20x": Forward, "/s/1/tags/a/b&c": RouteNever, "/n/x&y/y": Forward, "/n/none&x/y": AmbiguousRequest,
		"/teams/all%20x/members": AmbiguousRequest, "/teams/ALL&x/members": AmbiguousRequest, "/teams/a%6Cl%26x/members": AmbiguousRequest, "/teams%20x/members": Forward, "/teams%20x/all/members": Forward,
		"/orgs/7:close%20x": AmbiguousRequest, "/orgs/7:close&x/tab": AmbiguousRequest, "/orgs/7:CLOSE&x/tab": AmbiguousRequest,
		"/teams/&x/members": AmbiguousRequest, "/wiki/%26/history": AmbiguousRequest, "/x/v1/y%20z": RouteNever, "/teams/x&y=z/members": AmbiguousRequest,
	} {
		if m := p.matched(request("GET " + path)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", path, m.Reason, m.Detail, want)
		}
	}
}

// What stands before a blank is no name still where the policy has none there.
func TestPathsThatAreCutOff(t *testing.T) {
	for _, c := range []struct{ fallback, lenient, strict, target string }{
		{"public", "", "* /users/{id} never", "DELETE /users/7%20/x"},
		{"public", "", "* /users/{id} never", "DELETE /users/7%20x/y"},
		{"public", "", "* /users/{id} never", "DELETE /users/7&x/y"},
		{"deny", "GET /docs/* public", "GET /docs/{name} never", "GET /docs/secret%20x/y"},
		{"deny", "GET /docs/* public", "GET /docs/{name} never", "GET /docs/secret%26x/y"},
		{"deny", "GET /files/{name}/preview public", "* /files/* never", "GET /files/secret%26x/preview"},
		{"deny", "DELETE /users/{id}/avatar public", "DELETE /users/{id} never", "DELETE /users/7%26x/avatar"},

		// Dots before it are a directory to most, and a name to who only cuts.
		{"deny", "GET /page/{id}/tab public", "GET /page/{id} never", "GET /page/.%26D/tab"},
		{"deny", "GET /page/{id}/tab public", "GET /page/{id} never", "GET /page/..&D/tab"},
		{"deny", "DELETE /users/{id}/{tab} public", "DELETE /users/{id} never", "DELETE /users/7/.%20x"},
		{"deny", "DELETE /users/{id}/{tab} public", "DELETE /users never", "DELETE /users/7/..&x"},
		{"deny", "DELETE /users/{id}/{tab}/x public", "DELETE /users never", "DELETE /users/7/..%20x/x"},
		{"deny", "GET /{name} public", "GET / never", "GET /..&x"},
		{"deny", "GET /{name} public", "GET / never", "GET /.%26x"},
	} {
		lines := []string{c.strict}
		if c.lenient != "" {
			lines = append(lines, c.lenient)
		}
		p := compile(t, Config{Default: c.fallback, Routes: routes(lines...)})
		if m := p.matched(request(c.target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s beside %s: %v (%s), want it refused", c.target, c.strict, m.Reason, m.Detail)
		}
	}
}

// A name may end in a dot where a route has names, and without it is on no other route.
// Where it is a space or a resource, the token decides (TestGrantsForNamesThatEndInADot).
func TestNamesThatEndInADot(t *testing.T) {
	at := func(line, resource string) RouteConfig {
		r := routes(line)[0]
		r.Resource = resource
		return r
	}
	for _, option := range []string{"", "allow"} {
		p := compile(t, Config{Default: "deny", EncodedSlash: option, Semicolon: option, Routes: append(routes("GET /wiki/{page} public", "GET /wiki/{page}/history public", "GET /wiki/Main never", "GET /wiki never",
			"GET /orgs/{space} any", "GET /orgs/{space}/teams/{team} any", "GET /files/* public", "GET /pages/{path...} public", "GET /{x}/{y}/{z} public", "GET /{x}/{y}/edit never", "GET /admin never",
			"GET /{a}/{b}/{c}/{d} public", "GET /{a}/{b} public", "* /core/x never"), at("GET /zones/{zone} any", "path.zone"), at("GET /zones/{zone}/records/{record} any", "path.zone"))})
		for path, want := range map[string]Reason{
			"/wiki/Acme%20Inc.": Forward, "/wiki/A.B.C./history": Forward, "/wiki/caf%C3%A9.": Forward, "/wiki/x./": Forward, "/orgs/1/teams/R.D.": Forward, "/zones/a.org/records/example.org.": Forward, "/a./b.": Forward, "/wiki/%61%2E": Forward,
			"/wiki/Main.": AmbiguousRequest, "/wiki/main.": AmbiguousRequest, "/wiki/x..": AmbiguousRequest, "/wiki/.": AmbiguousRequest, "/wiki/..": AmbiguousRequest, "/wiki/x-.": AmbiguousRequest, "/wiki/x%20.": AmbiguousRequest, "/wiki/x.%20": AmbiguousRequest,
			"/wiki/a.%2Fb": AmbiguousRequest, "/wiki/a.;b": AmbiguousRequest,
			"/a/b/edit%2Findex.": AmbiguousRequest, "/orgs/acme.": Forward, "/orgs/1./teams/a": Forward, "/zones/example.org.": Forward, "/zones/a.org./records/b": Forward, "/orgs/acme..": AmbiguousRequest,
			"/files/x.": AmbiguousRequest, "/files/x./y": AmbiguousRequest, "/pages/x.": AmbiguousRequest, "/none.": AmbiguousRequest, "/wiki./x": Forward,
			"/a/b/edit.": AmbiguousRequest, "/a/index.php./admin.": AmbiguousRequest, "/x.php./core/x": AmbiguousRequest, "/wiki/index.": AmbiguousRequest, "/a.php./b.php./c.php./d.php.": Forward,
		} {
			if m := p.matched(request("GET "+path, "Authorization: Bearer s")); m.Reason != want {
				t.Errorf("options %q: %s: %v (%s), want %v", option, path, m.Reason, m.Detail, want)
			}
		}
	}
}

// Slashes that are encoded, as the clients of RabbitMQ, npm and GitLab send them. These
// take paths apart before they decode them; a gate that isn't told so looks at both ways.
func TestEncodedSlashesInNames(t *testing.T) {
	at := func(line, resource string) RouteConfig {
		r := routes(line)[0]
		r.Resource = resource
		return r
	}
	const allow, data, both = "allow", "data", "allow data"
	rabbit := append(routes("GET /api/vhosts/{space} read", "GET /api/queues/{space} read", "* /api/users/* never"), at("GET,PUT /api/queues/{space}/{name} read", "path.name"), at("GET /api/bindings/{space}/e/{from}/q/{to} read", "path.to"))
	npm := []RouteConfig{at("GET /{pkg} read", "path.pkg"), at("GET /{pkg}/{version} read", "path.pkg"), at("GET /{pkg}/-/{file} read", "path.pkg"), at("PUT /-/all never", "none")}
	gitlab := append(routes("GET /projects/{space}/issues read", "GET /projects/{space} read", "GET /projects/{group}/{space} read", "GET /projects/{space}/repository/files/{file} read", "* /projects/{space}/settings never"), at("GET /tree/{space}/{path...} read", "path.path"))
	for _, c := range []struct {
		routes []RouteConfig
		target string
		pass   string // by which words
		space  string
		thing  string
	}{
		{rabbit, "/api/vhosts/%2F", both, "/", ""},
		{rabbit, "/api/vhosts/%2f/", both, "/", ""},
		{rabbit, "/api/queues/%2F/q1", data, "/", "q1"}, // or the queues of q1
		{rabbit, "/api/queues/%2F", data, "/", ""},      // or a queue without a name
		{rabbit, "/api/queues/%2Fprod", data, "/prod", ""},
		{rabbit, "/api/queues/%2Fprod/a%2Fb", both, "/prod", "a/b"},
		{rabbit, "/api/queues/prod/a%2F", data, "prod", "a/"}, // or a
		{rabbit, "/api/queues/a%2F%2Fb/q%2F1", both, "a//b", "q/1"},
		{rabbit, "/api/bindings/%2F/e/x/q/y", both, "/", "y"},
		{rabbit, "/api/queues/%2F/Acme%20Inc.", data, "/", "Acme Inc."},
		{rabbit, "/api/queues/%2F..%2Fadmin", "", "", ""},
		{rabbit, "/api/queues/%2F/..", "", "", ""},
		{rabbit, "/api/queues/%2F%5C/q", "", "", ""},
		{rabbit, "/api/queues/%2F./q", "", "", ""},
		{rabbit, "/api/queues/%2F%20/q", "", "", ""},
		{rabbit, "/api/queues/%252F/q", "", "", ""},
		{rabbit, "/api/queues//q1", "", "", ""},
		{rabbit, "/api/queues/%2F//q1", "", "", ""},
		{rabbit, "/api/queues/%2F/q1/%2F", "", "", ""}, // no route
		{npm, "/@scope%2fname", data, "", "@scope/name"},
		{npm, "/%40scope%2Fname", data, "", "@scope/name"},
		{npm, "/@scope%2fname/1.0.0", both, "", "@scope/name"},
		{npm, "/@scope%2Fname/-/name-1.0.0.tgz", both, "", "@scope/name"},
		{npm, "/name/-/name-1.0.0.tgz", both, "", "name"},
		{npm, "/%2Fname", "", "", ""},
		{npm, "/%2F", "", "", ""},
		{gitlab, "/projects/group%2Fname/issues", both, "group/name", ""},
		{gitlab, "/projects/group%2Fsub%2Fname", both, "group/sub/name", ""},
		{gitlab, "/projects/group%2Fname", data, "group/name", ""},
		{gitlab, "/projects/group%2Fissues", data, "group/issues", ""},
		{gitlab, "/projects/7/repository/files/lib%2Fclass%2Erb", both, "7", ""},
		{gitlab, "/projects/a%2Fb/settings", "", "", ""}, // never
		{gitlab, "/projects/a%2Fb/Settings", "", "", ""}, // some server's never
		{gitlab, "/tree/7/lib/class.rb", both, "7", "lib/class.rb"},
		{gitlab, "/tree/7/lib%2Fclass.rb", allow, "7", "lib/class.rb"}, // another file than the one before it, where a slash is data
		{gitlab, "/tree/a%2Fb/lib/class.rb", data, "a/b", "lib/class.rb"},
	} {
		for word := range strings.FieldsSeq(both) {
			p := compile(t, Config{Default: "deny", EncodedSlash: word, Routes: c.routes})
			m := p.matched(request("GET "+c.target, "Authorization: Bearer s"))
			if pass := strings.Contains(c.pass, word); m.NeedsDecision() != pass || pass && (m.Space != c.space || m.Resource != c.thing) {
				t.Errorf("encoded_slash %s: %s: %v (%s), space %q, resource %q, want passed %v with %q, %q", word, c.target, m.Reason, m.Detail, m.Space, m.Resource, pass, c.space, c.thing)
			}
		}
	}
}
