package policy

import (
	"fmt"
	"strings"
	"testing"
)

// Each row is a policy, a route a line, and what is to be said of it: the line,
// the kind of the warning, and words that stand in it.
func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name   string
		routes string
		want   string
	}{
		{"nothing", "GET /a/{id} a:read\nPUT /a/{id} a:write\nGET /a/* never\nGET /b/* any\n* /c public", ""},

		// Routes that no request can be on.
		{"the rest of a path, in two pieces", "GET /a/* any\nGET /a/{x} read\nGET /a/{x}/* read", "1 shadowed_route all are on GET /a/{x} (Caddyfile:2) or GET /a/{x}/* (Caddyfile:3)"},
		{"for all methods", "* /a/* never\n* /a/{x} read\n* /a/{x}/* read", "1 shadowed_route no request can be on it"},
		{"for its methods", "GET,PUT /a/* never\nGET,PUT,POST /a/{x} read\nGET,PUT /a/{x}/* read", "1 shadowed_route"},
		{"not for one of them", "GET,PUT /a/* never\nGET /a/{x} read\nGET /a/{x}/* read", ""},
		{"not for methods that nobody lists", "* /a/* never\nGET /a/{x} read\nGET /a/{x}/* read", ""},
		{"not at one depth", "GET /a/* never\nGET /a/{x} read\nGET /a/{x}/{y} read", ""},
		{"not without the query", "GET /a/* never\nGET /a/{x}?k read\nGET /a/{x}/*?k read", ""},
		{"HEAD by way of GET isn't shadowed by it", "HEAD /a any\nGET /a read", ""},
		{"literals never shadow a parameter", "GET /a/{x} read\nGET /a/b read\nGET /a/{x}.zip read", ""},
		{"not by one value of its key", "GET /a?draft=true write\nGET /a?draft read", ""},
		{"by both that there are", "GET /a?draft=true write\nGET /a?draft=false read\nGET /a?draft any", "3 shadowed_route all are on GET /a?draft=false (Caddyfile:2) or GET /a?draft=true (Caddyfile:1)"},
		{"a semicolon that the site rejects", "GET /a;b any", "1 shadowed_route semicolon"},
		{"keys that some servers take for one", "GET /a?key=1 any\nGET /a?Key=2&x any", "1 shadowed_route in another spelling"},

		// Wildcards that ask for less than what is below them.
		{"below a public one", "GET /a/* public\nGET /a/b/c read",
			"1 open_wildcard\n1 wildcard_over_route route GET /a/* asks for less (public) than what is below it, and takes what isn't on that: GET /a/b/c (read) (Caddyfile:2)"},
		{"below a weaker scope", "GET /a/{x...} read\nGET /a/b write", "1 wildcard_over_route"},
		{"by a method that both have", "GET,PUT /a/* read\nPUT,DELETE /a/b write", "1 wildcard_over_route"},
		{"not by another one", "GET /a/* read\nPUT /a/b write", ""},
		{"many", "* /* any\nGET /a r\nGET /b r\nGET /c r\nGET /d r\nGET /e r", "1 wildcard_over_route GET /c (r) (Caddyfile:4); and 2 more"},
		{"not below a stricter one", "GET /a/* write\nGET /a/b read", ""}, // write implies read
		{"not below never", "* /a/* never\nGET /a/b write", ""},
		{"beside it", "GET /a/* public\nGET /b/c write", "1 open_wildcard"},
		{"above it", "GET /a/{x}/* read\nGET /a/{x} write", ""},
		{"below a parameter", "GET /{x}/* read\nGET /a/b/c write", "1 wildcard_over_route"},
		{"a space that it doesn't have", "GET /s/* read\nGET /s/{space}/x read", "1 wildcard_over_route (read, space path.space)"},

		// What is mounted at a path takes the path itself as well.
		{"a path on a wildcard that asks for less", "GET /{x} any\n* /a/* never", "2 path_above_route /a is refused: it is on GET /{x} (Caddyfile:1), and route * /a/* asks for more"},
		{"above a parameter", "GET /a/{x} read\nGET /a/b/* write", "2 path_above_route /a/b is refused"},
		{"on a route of its own", "GET /{x} any\nGET /a any\nGET /a/* read", ""},
		{"on one that asks for as much", "GET /{x} write\nGET /a/* read", ""},
		{"on none", "GET /a/* read", ""},

		// Methods that nobody sends.
		{"methods mistyped", "DELTE,PSOT /a read\nGET,GTE /b any\nPUTT,PROFIND /c any\nDELTE /d any",
			"1 misspelt_method route DELTE,PSOT /a: DELTE looks like the method DELETE\n1 misspelt_method PSOT looks like the method POST\n2 misspelt_method GTE looks like the method GET\n3 misspelt_method PUTT looks like the method PUT\n3 misspelt_method PROFIND looks like the method PROPFIND"},
		{"for all methods", "ALL,ANY /a any", "1 misspelt_method ALL is a method of that name; * stands for all\n1 misspelt_method ANY"},
		{"methods of one API", "PURGE,LIST,BAN,NOTIFY,SUBSCRIBE,M-SEARCH,UPSERT,IMPORT,REMOVE /a any", ""},
		{"registered methods", "GET,HEAD,PUT,UPDATE,BIND,REBIND,UNBIND,LINK,LOCK,UNLINK,UNLOCK,PROPFIND,PROPPATCH,CHECKOUT,UNCHECKOUT,ACL /a any", ""},

		// Segments that differ in case only.
		{"literals alike", "GET /a/Users any\nPOST /a/users any", "2 literals_alike users and Users"},
		{"in other places", "GET /a/Users any\nPOST /b/users any", ""},

		// Parameters as other routers write them.
		{"of Express", "GET /a/:id any\nGET /a/:user-id/x any", "1 literal_like_parameter :id stands for itself; a parameter is written {id}\n2 literal_like_parameter {user-id}"},
		{"of Flask", "GET /a/<id> any\nGET /b/<int:id> any\nGET /c/%3Cpath:p%3E any", "1 literal_like_parameter written {id}\n2 literal_like_parameter written {id}\n3 literal_like_parameter written {p}"},
		{"what is no parameter elsewhere", "GET /a/{id}:go any\nGET /b/a:b any\nGET /c/: any\nGET /d/%3Cx any\nGET /e/x%3E any\nGET /f/%3C%3E any\nGET /g/:a.b any", ""},

		{"no requirement", "GET /a", "1 no_requirement write any to say so"},
		{"a public wildcard", "GET /a/* public", "1 open_wildcard"},
		{"every path of a length", "GET /{x}/{y} public\nGET /{x} public", "1 open_wildcard every path of 2 segments\n2 open_wildcard every path of one segment"},
		{"not every path", "GET /{x}.json public\nGET /{x}/y public\nGET /{x}?k public\nGET / public\nPUT /{x} any", ""},

		// What no token opens.
		{"a second path", "GET,MOVE,COPY /a/{x} any\nCOPY /b public", "1 second_path MOVE and COPY with Destination, as in WebDAV, is refused whatever the token\n2 second_path"},
		{"a second path that isn't meant to be", "* /a/{x} any\nMOVE /b never", ""},
	} {
		p := compile(t, Config{Default: "deny", Routes: routes(strings.Split(c.routes, "\n")...)},
			"a:read", "a:write", "read", "write > read", "r")
		compareWarnings(t, c.name, warningsOf(p), c.want)
	}
}

// A space that the site or a group says, and that a route's pattern doesn't have,
// leaves the route in no space.
func TestWarningsOfRoutesInNoSpace(t *testing.T) {
	c := Config{Default: "deny", Settings: Settings{Space: "path.ws"}, Routes: routes("GET /{ws}/a read", "GET /b read", "GET /c public", "GET /d never", "GET /s/{space} any")}
	c.Routes = append(c.Routes, RouteConfig{Methods: []string{"GET"}, Pattern: "/e", Require: "any", Settings: Settings{Space: "none"}, At: "Caddyfile:6"})
	compareWarnings(t, "inherited", warningsOf(compile(t, c, "read")), "2 no_space route GET /b is in no space, for its pattern has no {ws}")
}

// A path on no route, in report mode above one that isn't, is refused; but nobody meant to
// have it served.
func TestWarningsAboveRoutesInReportMode(t *testing.T) {
	c := Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: routes("GET /a/* any")}
	c.Routes[0].Mode = "enforce"
	compareWarnings(t, "on no route", warningsOf(compile(t, c)), "")
}

// warningsOf returns what is to be said of a policy, but for its scopes.
func warningsOf(p *Policy) []Warning {
	var w warnings
	w.of(p)
	return w
}

// compareWarnings compares warnings with lines of their line, kind and words.
func compareWarnings(t *testing.T, name string, got []Warning, want string) {
	t.Helper()
	lines := strings.Split(want, "\n")
	if want == "" {
		lines = nil
	}
	if len(got) != len(lines) {
		t.Errorf("%s: %d warnings, want %d: %+v", name, len(got), len(lines), got)
		return
	}
	for i, line := range lines {
		at, rest, _ := strings.Cut(line, " ")
		kind, words, _ := strings.Cut(rest, " ")
		w := got[i]
		if w.At != strings.TrimSuffix("Caddyfile:"+at, "Caddyfile:-") || w.Kind != kind || !strings.Contains(w.Text, words) {
			t.Errorf("%s: %+v, want %s", name, w, line)
		}
		if w.Error != (kind == WarnShadowed) {
			t.Errorf("%s: %s is an %s", name, kind, w.Severity())
		}
	}
}

func TestWarningsOfSettings(t *testing.T) {
	route := routes("GET /a a")
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"all is said", Config{Default: "deny", Routes: route}, ""},
		{"no default", Config{Routes: route}, "7 no_default write default deny to say so"},
		{"a public default", Config{Default: "public", Routes: route}, "7 open_default"},
		{"any token by default", Config{Default: "any", Routes: route}, ""},
		{"no routes", Config{Default: "deny"}, "7 no_routes every request is rejected"},
		{"tokens in URLs, without routes", Config{Default: "any", Settings: Settings{TokenFrom: []string{"query t"}}}, "7 token_in_query"},
		{"tokens in URLs", Config{Default: "deny", Routes: route, Settings: Settings{TokenFrom: []string{"query t"}}}, "7 token_in_query"},
		{"patgate's own tokens, let through", Config{Default: "deny", Routes: route, LetThrough: []string{"bearer pat_*"}}, "7 own_token_let_through"},
		{"other tokens, let through", Config{Default: "deny", Routes: route, LetThrough: []string{"bearer path*", "bearer pa*", "scheme pat"}}, ""},
	} {
		c.config.At = "Caddyfile:7"
		p := compile(t, c.config)
		p.Prefix = "pat"
		compareWarnings(t, c.name, warningsOf(p), c.want)
	}
}

// What a catalog and the routes of all policies say of each other.
func TestWarningsOfScopes(t *testing.T) {
	for _, c := range []struct {
		name     string
		catalog  string
		policies []string
		want     string
	}{
		{"all are asked for", "a b", []string{"GET /a a\nGET /b b"}, ""},
		{"by another policy", "a b", []string{"GET /a a", "GET /b b"}, ""},
		{"as an alternative", "a b", []string{"GET /a a|b"}, ""},
		{"by none", "a b c", []string{"GET /a a"}, "2 unused_scope scope b\n3 unused_scope scope c"},
		{"by what it implies", "a b>a c>b", []string{"GET /a a"}, ""},
		{"only by what implies it", "a b>a", []string{"GET /a b"}, "1 unused_scope"},

		{"no catalog", "", []string{"GET /a stories:read\nGET /b stories:write\nGET /c assets:read"}, ""},
		{"a letter that is missing", "", []string{"GET /a stories:read\nPUT /b stories:read\nGET /c storis:read"}, "3 misspelt_scope storis:read, which looks like stories:read (Caddyfile:1)"},
		{"a letter too many", "", []string{"GET /a stories:reads\nPUT /b stories:read\nGET /c stories:read"}, "1 misspelt_scope"},
		{"two that changed places", "", []string{"GET /a stories:read\nPUT /b stories:raed|stories:read"}, "2 misspelt_scope"},
		{"another case", "", []string{"GET /a Stories:Read\nPUT /b stories:read\nGET /c stories:read"}, "1 misspelt_scope"},
		{"in another policy", "", []string{"GET /a stories:read\nGET /b stories:read", "GET /a tale:read\nGET /c saga:read\nGET /d stories:red"}, "3 misspelt_scope stories:red, which"},
		{"words that are no scopes", "", []string{"GET /a nevr\nGET /b pubilc\nGET /c Any\nGET /d x|Never\nGET /e x dney\nGET /f optinal"},
			"3 misspelt_scope scope Any, which looks like the word any\n4 misspelt_scope Never, which looks like the word never\n5 misspelt_scope word deny\n1 misspelt_scope word never\n6 misspelt_scope word optional\n2 misspelt_scope scope pubilc, which looks like the word public; declare scopes"},
		{"a second path", "", []string{"GET /a /b stories:read"}, "1 misspelt_scope asks for the scope /b, which looks like a path: a route has one pattern"},
		{"words between scopes", "", []string{"GET /a stories:read or stories:write\nGET /b stories:read & assets:read"},
			"2 misspelt_scope asks for the scope &: scopes that are all needed have only blanks\n1 misspelt_scope asks for the scope or: "},
		{"scopes that are paths", "", []string{"GET /a /read\nPUT /a /activities/update"}, ""},
		{"scopes that aren't like them", "", []string{"GET /a anyone\nGET /b publish\nGET /c many\nGET /d option"}, ""},
		{"numbers are names", "", []string{"GET /a tier1\nGET /b tier2"}, ""},
		{"short ones", "", []string{"GET /a usr\nGET /b use"}, ""},
		{"short parts", "", []string{"GET /a db:read\nGET /b deb:read\nGET /c a:bc:read\nGET /d a:bd:read"}, ""},
		{"short parts in another case", "", []string{"GET /a db:read\nGET /b db:read\nGET /c DB:read"}, "3 misspelt_scope DB:read, which looks like db:read"},
	} {
		var scopes []Scope
		for i, s := range strings.Fields(c.catalog) {
			name, implies, _ := strings.Cut(s, ">")
			scopes = append(scopes, Scope{Name: name, Implies: strings.Fields(implies), At: fmt.Sprintf("Caddyfile:%d", i+1)})
		}
		catalog, err := NewCatalog(scopes)
		if err != nil {
			t.Fatal(err)
		}
		var policies []*Policy
		for _, text := range c.policies {
			p, err := Compile(Config{Default: "deny", Routes: routes(strings.Split(text, "\n")...)}, catalog)
			if err != nil {
				t.Fatal(err)
			}
			policies = append(policies, p)
		}
		compareWarnings(t, c.name, Warnings(policies...), c.want)
	}
}

// A policy of many routes is checked in no time worth the name.
func BenchmarkWarnings(b *testing.B) {
	p := compile(b, Config{Default: "deny", Routes: append(manyRoutes(10_000), routes("* /v1/* never")...)})
	for b.Loop() {
		if w := Warnings(p); len(w) != 0 {
			b.Fatal(w)
		}
	}
}
