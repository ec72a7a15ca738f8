package policy

import (
	"strings"
	"testing"
)

// Every mistake is told with its place and what was expected.
func TestMistakes(t *testing.T) {
	route := func(c RouteConfig) Config {
		c.At = "Caddyfile:7"
		if c.Methods == nil {
			c.Methods = []string{"GET"}
		}
		if c.Pattern == "" {
			c.Pattern = "/x"
		}
		return Config{Routes: []RouteConfig{c}}
	}
	pattern := func(p string) Config { return route(RouteConfig{Pattern: p}) }
	methods := func(m ...string) Config { return route(RouteConfig{Methods: m}) }
	require := func(r string) Config { return route(RouteConfig{Require: r}) }
	settings := func(s Settings) Config { return route(RouteConfig{Pattern: "/x/{id}", Settings: s}) }
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"realm", Config{Realm: `a"b`}, `realm "a\"b": want visible ASCII characters without quotes and backslashes`},
		{"realm", Config{Realm: "a\n"}, "realm"},
		{"default", Config{Default: "allow"}, `default "allow": want deny, any, public`},
		{"forward_token", Config{ForwardToken: "yes"}, `forward_token "yes": want keep, strip`},
		{"cors_preflight", Config{CORSPreflight: "yes"}, `cors_preflight "yes": want forward, deny`},
		{"encoded_slash", Config{EncodedSlash: "keep"}, `encoded_slash "keep": want reject, allow, data`},
		{"semicolon", Config{Semicolon: "keep"}, `semicolon "keep": want reject, allow`},
		{"mode", Config{Settings: Settings{Mode: "off"}, Routes: routes("GET /x any")}, `mode "off": want enforce, report`},
		{"let_through", Config{LetThrough: []string{"bearer"}}, `let_through "bearer": want cookie <name>, header <name>, scheme <word> or bearer <beginning>*`},
		{"let_through twice", Config{LetThrough: []string{"cookie a", "scheme Session", "cookie b", "scheme SESSION"}}, "let_through scheme SESSION: is given twice"},
		{"let_through of one beginning twice", Config{LetThrough: []string{"bearer ab*", "bearer cd*", "bearer ab*"}}, "is given twice"},
		{"let_through and token", Config{LetThrough: []string{"scheme BEARER"}, Routes: routes("GET /x any")}, "Caddyfile:1: let_through scheme BEARER: tokens are taken from there"},
		{"token_from", Config{Settings: Settings{TokenFrom: []string{"beerer"}}}, `token_from "beerer": want one of bearer, bare, basic, scheme <word>, header <name>, query <name> or cookie <name>`},
		{"token_from twice", Config{Settings: Settings{TokenFrom: []string{"bearer", "scheme Bearer"}}}, "token_from scheme Bearer: is given twice"},
		{"token_from folding", Config{Settings: Settings{TokenFrom: []string{"query token", "query Token"}}}, "token_from query Token: is given twice: servers take it for query token"},
		{"token_from of a route", settings(Settings{TokenFrom: []string{"header A_B"}}), `Caddyfile:7: token_from "header A_B": want a header's name of letters, digits and hyphens`},

		{"a route without a place", Config{Routes: []RouteConfig{{Methods: []string{"GET", "PUT"}, Pattern: "/x", Require: "a:*"}}}, `route GET,PUT /x: requirement "a:*"`},
		{"no method", methods([]string{}...), "Caddyfile:7: methods: none given; write * for all"},
		{"lower case", methods("get"), `Caddyfile:7: method "get": want upper-case names separated by commas, or *`},
		{"empty method", methods("GET", ""), `method ""`},
		{"star and more", methods("*", "GET"), "methods *,GET: * can't be combined with others"},
		{"method twice", methods("GET", "PUT", "GET"), "method GET is given twice"},
		{"CONNECT", methods("CONNECT"), "method CONNECT: never let through"},
		{"TRACE", methods("TRACE"), "method TRACE: never let through"},

		{"relative pattern", pattern("x"), `Caddyfile:7: pattern "x": want a path, which begins with /`},
		{"empty segment", pattern("/a//b"), `pattern "/a//b": segment "": no request could match it: the path has an empty segment`},
		{"empty segments only", pattern("//"), `pattern "//": segment ""`},
		{"two trailing slashes", pattern("/a//"), `segment ""`},
		{"dot segment", pattern("/a/../b"), `segment "..": no request could match it`},
		{"encoded dots", pattern("/%2e%2e"), `no request could match it`},
		{"encoded slash", pattern("/a%2Fb"), `no request could match it: the path has an encoded slash`},
		{"broken escape", pattern("/%zz"), `segment "%zz": invalid URL escape "%zz"`},
		{"control", pattern("/a\x00"), "no request could match it"},
		{"fullwidth", pattern("/\uff0e\uff0e"), "no request could match it"},
		{"two parameters in a segment", pattern("/{a}.{b}"), `segment "{a}.{b}": want a text, one {name}, perhaps between texts, or at the end {name...} or *`},
		{"open brace", pattern("/a{x"), `segment "a{x": want a text, one {name}`},
		{"closing brace", pattern("/ax}"), `segment "ax}": want a text, one {name}`},
		{"star in a segment", pattern("/a*"), `segment "a*": want a text, one {name}`},
		{"tail in a part of a segment", pattern("/a{x...}"), `segment "a{x...}": {x...} fills a whole segment`},
		{"dot behind a parameter", pattern("/{x}."), `segment "{x}.": no request could match it: the path has a segment that ends in a dot`},
		{"encoded slash before a parameter", pattern("/a%2F{x}"), `no request could match it: the path has an encoded slash`},
		{"broken escape behind a parameter", pattern("/{x}%zz"), `segment "{x}%zz": invalid URL escape "%zz"`},
		{"two of a name, one in a part", pattern("/{x}/{x}:y"), "{x} is given twice"},
		{"star in the middle", pattern("/*/a"), "nothing can follow the segment that takes all the rest"},
		{"tail in the middle", pattern("/{x...}/a"), "nothing can follow the segment that takes all the rest"},
		{"no name", pattern("/{}"), "{}: a parameter is {name} or {name...}, its name of letters, digits, - and _"},
		{"no name of a tail", pattern("/{...}"), "{...}: a parameter is"},
		{"bad name", pattern("/{a b}"), "{a b}: a parameter is"},
		{"two of a name", pattern("/{x}/{x}"), "{x} is given twice"},
		{"two of a name, one a tail", pattern("/{x}/{x...}"), "{x} is given twice"},
		{"deep", pattern(strings.Repeat("/a", maxSegments+1)), "more than 64 segments"},
		{"no condition", pattern("/x?"), `query condition "": want key or key=value`},
		{"no key", pattern("/x?=v"), `query condition "=v": want key or key=value`},
		{"no letters in a key", pattern("/x?[]=v"), `query condition "[]=v": want key or key=value`},
		{"no value", pattern("/x?k="), `query condition "k=": has no value; write "k" where any will do`},
		{"a key twice", pattern("/x?k=v&k=w"), `query condition "k=w": its key is given twice`},
		{"a key twice, folded", pattern("/x?k=v&K=w"), `query condition "K=w": its key is given twice`},
		{"a key twice, with brackets", pattern("/x?k=v&k[a]=w"), `its key is given twice`},
		{"bad escape in a condition", pattern("/x?k=%zz"), `query condition "k=%zz": invalid URL escape`},

		{"public and a scope", require("public a"), `Caddyfile:7: requirement "public a": "public" can't be combined with others`},
		{"a scope and never", require("a never"), `"never" can't be combined`},
		{"any in an alternative", require("a|any"), `"any" can't be combined`},
		{"an empty alternative", require("a||b"), `requirement "a||b": want a scope on both sides of |, without blanks`},
		{"a wildcard", require("a:*"), `requirement "a:*": scope "a:*"`},

		{"source", settings(Settings{Space: "header.X_Org"}), `Caddyfile:7: space: source "header.X_Org": want a header's name of letters, digits and hyphens`},
		{"source", settings(Settings{Space: "path"}), `Caddyfile:7: space: source "path": want path.<name>, query.<name>, header.<name>, host.<n>, token, all or none`},
		{"source", settings(Settings{Space: "cookie.x"}), `source "cookie.x"`},
		{"source", settings(Settings{Space: "host.x"}), `source "host.x"`},
		{"source", settings(Settings{Space: "host.100"}), `source "host.100"`},
		{"source", settings(Settings{Space: "query."}), `source "query."`},
		{"source", settings(Settings{Space: "header.a b"}), `source "header.a b"`},
		{"a credential as space", settings(Settings{Space: "header.authorization"}), `space: source "header.authorization": this header carries credentials, and spaces and resources are shown to others`},
		{"cookies as resource", settings(Settings{Resource: "header.Cookie"}), `resource: source "header.Cookie": this header carries credentials`},
		{"the header of tokens as space", settings(Settings{TokenFrom: []string{"header X-Api-Key"}, Space: "header.x-api-key"}), "space header.x-api-key: tokens are taken from there"},
		{"the query key of tokens as resource", settings(Settings{TokenFrom: []string{"bearer", "query token"}, Resource: "query.Token"}), "resource query.Token: tokens are taken from there"},
		{"the host's header", settings(Settings{Space: "header.Host"}), `source "header.Host": want host.<n>`},
		{"a header that is removed", settings(Settings{Space: "header.X-Patgate-Space"}), `source "header.X-Patgate-Space": this header is removed from what clients send`},
		{"a header that proxies replace", settings(Settings{Space: "header.x-forwarded-host"}), `source "header.x-forwarded-host": this header is removed`},
		{"a header that proxies drop", settings(Settings{Resource: "header.TE"}), `resource: source "header.TE": this header is removed`},
		{"a header of other proxies", settings(Settings{Space: "header.X-Original-Host"}), `source "header.X-Original-Host": this header is removed`},
		{"source", settings(Settings{Space: "all.x"}), `source "all.x"`},
		{"parameter that isn't there", settings(Settings{Space: "path.org"}), "space path.org: pattern /x/{id} has no {org}"},
		{"resource that isn't there", settings(Settings{Resource: "path.x"}), "resource path.x: pattern /x/{id} has no {x}"},
		{"resource all", settings(Settings{Resource: "all"}), `resource: "all" is for spaces only`},
		{"resource token", settings(Settings{Resource: "token"}), `resource: "token" is for spaces only`},
		{"optional public", route(RouteConfig{Require: "public", Settings: Settings{Optional: true}}), `optional: has no effect with "public"`},
		{"optional never", route(RouteConfig{Require: "never", Settings: Settings{Optional: true}}), `optional: has no effect with "never"`},

		{"group prefix", Config{Groups: []GroupConfig{{Prefix: "v1", At: "Caddyfile:3"}}}, `Caddyfile:3: group "v1": want a path prefix that begins with /, without a query`},
		{"group query", Config{Groups: []GroupConfig{{Prefix: "/v1?a"}}}, `group "/v1?a": want a path prefix`},
		{"group tail", Config{Groups: []GroupConfig{{Prefix: "/v1/*"}}}, `group "/v1/*": a prefix can't end in a segment that takes all the rest`},
		{"group pattern", Config{Groups: []GroupConfig{{Prefix: "/{a}/{a}"}}}, "{a} is given twice"},
		{"parameter of a group again", Config{Groups: []GroupConfig{{Prefix: "/{a}", Routes: routes("GET /{a} any")}}}, "Caddyfile:1: pattern \"/{a}/{a}\": {a} is given twice"},
		{"space of a group that no route has", Config{Groups: []GroupConfig{{Prefix: "/v1", At: "Caddyfile:3", Settings: Settings{Space: "path.wrokspace"}, Routes: routes("GET /{workspace} any")}}},
			`Caddyfile:3: group "/v1": space path.wrokspace: none of the routes has {wrokspace}`},
		{"resource of the site that no route has", Config{Settings: Settings{Resource: "path.id"}, Routes: routes("GET /x any")}, "resource path.id: none of the routes has {id}"},
		{"settings of a group without routes", Config{Groups: []GroupConfig{{Prefix: "/v1", At: "Caddyfile:3", Settings: Settings{Mode: "off", TokenFrom: []string{"x"}, Space: "x"}}}}, `Caddyfile:3: group "/v1": token_from "x"`},
		{"error body of a group without routes", Config{Groups: []GroupConfig{{Prefix: "/v1", At: "Caddyfile:3", Settings: Settings{ErrorBody: &ErrorBody{ContentType: "x"}}}}}, `Caddyfile:3: group "/v1": error_body: "x" is not a media type`},
	} {
		catalog, _ := NewCatalog(nil)
		_, err := Compile(c.config, catalog)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want it to say %s", c.name, err, c.want)
		}
	}
}

// A mistake in the settings of a site or a group is told once, where it stands, and not
// of each of its routes.
func TestMistakesInSettingsAreToldOnce(t *testing.T) {
	t.Parallel()
	two := routes("GET /a any", "GET /b any")
	for _, s := range []Settings{{ErrorBody: &ErrorBody{ContentType: "x"}}, {Resource: "all"}, {Mode: "off"}} {
		group := GroupConfig{Prefix: "/v1", At: "Caddyfile:9", Settings: s, Routes: two}
		for where, c := range map[string]Config{"site": {Settings: s, Routes: two}, "group": {Groups: []GroupConfig{group}}} {
			catalog, _ := NewCatalog(nil)
			_, err := Compile(c, catalog)
			if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "Caddyfile:1") || strings.Contains(err.Error(), "Caddyfile:9: ") != (where == "group") {
				t.Errorf("%+v of a %s: error %v, want a single one with its place", s, where, err)
			}
		}
	}
}

func TestScopeCatalog(t *testing.T) {
	for _, c := range []struct {
		scopes []Scope
		want   string
	}{
		{[]Scope{{Name: "a b", At: "Caddyfile:2"}}, "Caddyfile:2: scope"},
		{[]Scope{{Name: "a"}, {Name: "a", At: "Caddyfile:3"}}, "Caddyfile:3: scope a is declared twice"},
		{[]Scope{{Name: "stories:read"}, {Name: "b", Implies: []string{"storys:read"}, At: "Caddyfile:3"}},
			"Caddyfile:3: scope b implies storys:read, which is not declared; did you mean stories:read?"},
		{[]Scope{{Name: "any", At: "Caddyfile:2"}}, "Caddyfile:2: scope any: in a policy this word means something else"},
		{[]Scope{{Name: "a", Aliases: []string{"deny"}}}, "alias of a: scope deny: in a policy"},
		{[]Scope{{Name: "a"}, {Name: "b", Description: "a"}}, "scope b has the name of a scope as its description: write implies a, if that is meant"},
		{[]Scope{{Name: "a", Implies: []string{"a"}}}, "scope a implies itself"},
		{[]Scope{{Name: "a", Implies: []string{"b"}}, {Name: "b", Implies: []string{"c"}}, {Name: "c", Implies: []string{"a"}}}, "scope a implies itself, by way of b"},
		{[]Scope{{Name: "a", Implies: []string{"*", "b"}}, {Name: "b"}}, "scope a implies * b: * can't be combined with others"},
		{[]Scope{{Name: "a"}, {Name: "b", Aliases: []string{"a"}, At: "Caddyfile:3"}}, "Caddyfile:3: alias of b: scope a is declared twice"},
		{[]Scope{{Name: "a", Aliases: []string{"old"}}, {Name: "b", Aliases: []string{"old"}}}, "alias of b: scope old is declared twice"},
		{[]Scope{{Name: "a", Aliases: []string{"a"}}}, "alias of a: scope a is declared twice"},
		{[]Scope{{Name: "a", Aliases: []string{"b c"}}}, "alias of a: scope \"b c\""},
		{[]Scope{{Name: "a", Aliases: []string{"old"}, Implies: []string{"old"}}}, "scope a implies itself"},
		{[]Scope{{Name: "a", Aliases: []string{"older"}}, {Name: "b", Implies: []string{"oldre"}}}, "did you mean older?"},
	} {
		if _, err := NewCatalog(c.scopes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewCatalog(%v): error %v, want it to say %s", c.scopes, err, c.want)
		}
	}

	complete, _ := NewCatalog(declared([]string{"stories:read", "stories:write"}))
	_, err := Compile(Config{Routes: routes("GET /x stories:raed")}, complete)
	if want := "Caddyfile:1: requirement \"stories:raed\": scope stories:raed is not in the catalog; did you mean stories:read?"; err == nil || err.Error() != want {
		t.Errorf("a scope that isn't declared: error %v, want %s", err, want)
	}
	if _, err = Compile(Config{Routes: routes("GET /x entirely:different")}, complete); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a scope like no other: error %v, want no suggestion", err)
	}
	open, _ := NewCatalog(nil)
	if _, err := Compile(Config{Routes: routes("GET /x b a|c")}, open); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(open.Names(), " "); got != "a b c" || open.Complete() {
		t.Errorf("a catalog without declarations knows %q, complete %v, want what routes mention", got, open.Complete())
	}
}

// Two routes that some request matches equally well are a mistake, and no
// others.
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		routes string // separated by ;
		want   string // "": none
	}{
		{"GET /a x; GET /a y", "Caddyfile:2: route GET /a can't be told apart from GET /a (Caddyfile:1): the same path for GET"},
		{"GET /a x; GET /a/ y", "Caddyfile:2: "},
		{"GET /a/{x} x; GET /a/{y} y", "Caddyfile:2: route GET /a/{y} can't be told apart from GET /a/{x} (Caddyfile:1): the same path for GET"},
		{"GET /a/* x; GET /a/{y...} y", "Caddyfile:2: "},
		{"GET /caf%C3%A9 x; GET /café y", "Caddyfile:2: "},
		{"GET,PUT,POST /a x; POST,DELETE,GET /a y", "the same path for GET,POST"},
		{"* /a x; * /a y", "the same path for *"},
		{"GET /a?k x; GET /a?k y", "the same path for GET"},
		{"GET /a?k=v x; GET /a?%6b=%76 y", "the same path for GET"},
		{"GET /a?k&l x; GET /a?l&k y", "the same path for GET"},
		{"GET /a?k x; GET /a?l y", "a request with ?k&l is on both; add a route for that"},
		{"GET /a?k=v x; GET /a?l y", "a request with ?k=v&l is on both; add a route for that"},
		{"GET /a?k=v&l x; GET /a?k&l=w y", "a request with ?k=v&l=w is on both; add a route for that"},
		{"GET /a?k x; GET /a?l y; PUT /a?k&l z", "?k&l is on both"},
		{"GET,PUT /a?k x; GET,PUT /a?l y; PUT /a?k&l z", "?k&l is on both"},
		{"* /a?k x; * /a?l y; GET /a?k&l z", "?k&l is on both"},
		{"GET /a?k x; GET /a?l y; GET /a?k&m z", "is on both"},
		{"GET /a?k x; GET /a?l y; GET /a?k&l=v z", "?k&l is on both"},

		{"GET /a?k=v&l x; GET /a?k&l=w y; * /a?k=v&l=w z", ""}, // a listed method counts first

		{"GET /{x}:c x; GET /{y}:c y", "Caddyfile:2: route GET /{y}:c can't be told apart from GET /{x}:c (Caddyfile:1): the same path for GET"},
		{"GET /v{x} x; GET /{x}.zip y", `Caddyfile:2: route GET /{x}.zip can't be told apart from GET /v{x} (Caddyfile:1): the segment "v….zip" is on both`},
		{"GET /v{x}/a x; PUT /{x}.zip/b y", `the segment "v….zip" is on both`},
		{"GET /v{x}.gz x; GET /va{x} y", `the segment "va….gz" is on both`},

		{"GET /{x}:cancel x; GET /{x} y; GET /1:cancel z; GET /* w", ""},
		{"GET /{x}.gz x; GET /{x}.tar.gz y; GET /a{x}.tar.gz z", ""},
		{"GET /{x}:a x; GET /{x}:b y", ""},
		{"GET /a{x} x; GET /b{x}:c y", ""},
		{"GET /a x; PUT /a y", ""},
		{"GET /a x; * /a y", ""},
		{"GET /a x; HEAD /a y", ""},
		{"GET /a x; GET /A y", ""},
		{"GET /a x; GET /{a} y; GET /* z", ""},
		{"GET /a/{x}/c x; GET /a/b/{y} y; GET /{z}/b/c z", ""},
		{"GET /a x; GET /a?k y; GET /a?k=v z", ""},
		{"GET /a?k=v x; GET /a?k=w y", ""},
		{"GET /a?k=v&l x; GET /a?k=w&m y", ""},
		{"GET /a?k x; * /a?l y", ""},
		{"* /a?k=v x; GET /a?k y", ""},
		{"GET /a?k x; GET /a?l y; GET /a?k&l z", ""},
		{"GET /a?k x; GET /a?l y; * /a?k&l z", ""},
		{"GET,PUT /a?k x; GET,PUT /a?l y; PUT /a?k&l z; GET /a?l&k z", ""},
		{"GET /a?k=v&l x; GET /a?k&l=w y; GET /a?k=v&l=w z", ""},
	} {
		catalog, _ := NewCatalog(nil)
		_, err := Compile(Config{Routes: routes(strings.Split(c.routes, ";")...)}, catalog)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.routes, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want it to say %s", c.routes, err, c.want)
		}
	}
	// One mistake is told once.
	catalog, _ := NewCatalog(nil)
	_, err := Compile(Config{Routes: routes(strings.Split(strings.Repeat("GET /a x;", 50), ";")[:50]...)}, catalog)
	if got := strings.Count(err.Error(), "\n") + 1; got != 49 {
		t.Errorf("50 equal routes: %d errors, want 49", got)
	}
}

func TestParseRequirement(t *testing.T) {
	catalog, _ := NewCatalog(nil)
	for _, c := range []struct{ text, want, enough string }{
		{"", "any", ""}, {"any", "any", ""}, {"public", "public", ""}, {"never", "never", ""},
		{" a   b ", "a b", "a b"}, {"a|b c", "a|b c", "a c"}, {"a|b a", "a|b a", "a"},
	} {
		r, err := ParseRequirement(c.text, catalog)
		if err != nil || r.String() != c.want || r.Enough() != c.enough {
			t.Errorf("ParseRequirement(%q) = %q, enough %q, %v, want %q, %q", c.text, r.String(), r.Enough(), err, c.want, c.enough)
		}
	}
}

func TestReasons(t *testing.T) {
	want := map[int]string{
		200: "forward", 400: "ambiguous_request",
		401: "token_missing token_malformed token_unknown token_expired token_revoked owner_disabled address_not_allowed",
		403: "scope_missing space_not_granted resource_not_granted route_unknown route_never",
		429: "too_many_unknown_tokens", 503: "store_unavailable",
	}
	got := map[int]string{}
	for _, r := range Reasons() {
		got[r.Status()] = strings.TrimSpace(got[r.Status()] + " " + r.String())
		if (r.Detail() == "") != (r == Forward) {
			t.Errorf("%v: detail %q", r, r.Detail())
		}
	}
	for status, names := range want {
		if got[status] != names {
			t.Errorf("%d: %q, want %q", status, got[status], names)
		}
	}
	if len(got) != len(want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}
