package openapi

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/patgate/patgate/policy"
)

const shared = "../../../shared/systems/openapi"

// plainConfig is a configuration under which testdata/stories.yaml says everything.
var plainConfig = policy.OpenAPIConfig{
	File: "testdata/stories.yaml", At: "Caddyfile:1", Ignore: []string{"session"},
	Schemes: []policy.SchemeConfig{{Name: "key", Require: "any", At: "Caddyfile:2"}},
}

// table writes routes as the Caddyfile has them, with their settings and places.
func table(routes []policy.RouteConfig) string {
	var b strings.Builder
	for _, r := range routes {
		b.WriteString(strings.Join(r.Methods, ",") + " " + r.Pattern + " " + r.Require)
		if r.Optional {
			b.WriteString(" optional")
		}
		for _, s := range []struct{ name, value string }{{" space ", r.Space}, {" resource ", r.Resource}, {" mode ", r.Mode}} {
			if s.value != "" {
				b.WriteString(s.name + s.value)
			}
		}
		b.WriteString(" " + r.At + "\n")
	}
	return b.String()
}

// routesOf expands a document with a configuration.
func routesOf(t *testing.T, c policy.OpenAPIConfig) (string, error) {
	t.Helper()
	d, err := Read(c.File)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := d.routes(c)
	return table(routes), err
}

func TestRoutes(t *testing.T) {
	got, err := routesOf(t, plainConfig)
	if err != nil {
		t.Fatal(err)
	}
	want := `GET /v2/health public testdata/stories.yaml:13
GET /v2/spaces/{spaceID}/stories stories:read testdata/stories.yaml:19
POST /v2/spaces/{spaceID}/stories stories:write|stories:admin testdata/stories.yaml:25
GET /v2/spaces/{spaceID}/stories/{story_id} stories:read optional testdata/stories.yaml:34
PUT /v2/spaces/{spaceID}/stories/{story_id} stories:write|stories:admin assets:read|stories:admin testdata/stories.yaml:38
DELETE /v2/spaces/{spaceID}/stories/{story_id} never testdata/stories.yaml:44
GET /v2/spaces/{spaceID}/assets/{path...} assets:read testdata/parts/assets.yaml:4
POST /v2/spaces/{spaceID}/assets/{path...} assets:write testdata/parts/assets.yaml:9
GET /v2/me any testdata/stories.yaml:51
`
	if got != want {
		t.Errorf("routes:\n%swant:\n%s", got, want)
	}
}

// override is a configuration's lines and what becomes of operations by them.
func TestOverrides(t *testing.T) {
	rule := func(name, require string) []policy.OverrideConfig {
		return []policy.OverrideConfig{{Name: name, Require: require, At: "Caddyfile:3"}}
	}
	for _, test := range []struct {
		what   string
		change func(c *policy.OpenAPIConfig)
		want   []string // lines that are there
		gone   []string // and that aren't
	}{
		{"base", func(c *policy.OpenAPIConfig) { c.Base = "/api/" },
			[]string{"GET /api/me any"}, []string{"/v2"}},
		{"base at the root", func(c *policy.OpenAPIConfig) { c.Base = "/" },
			[]string{"\nGET /me any"}, []string{"/v2"}},
		{"skip", func(c *policy.OpenAPIConfig) {
			c.Skip = []string{"health", "DELETE /spaces/{spaceID}/stories/{story.id}"}
		},
			[]string{"GET /v2/me any"}, []string{"health", "DELETE"}},
		{"operation", func(c *policy.OpenAPIConfig) {
			c.Operations = rule("readStory", "stories:see")
			c.Operations[0].Resource = "path.story_id"
		}, []string{"GET /v2/spaces/{spaceID}/stories/{story_id} stories:see resource path.story_id testdata/stories.yaml:34"}, []string{"optional"}},
		{"operation without an operationId", func(c *policy.OpenAPIConfig) {
			c.Operations = rule("DELETE /spaces/{spaceID}/stories/{story.id}", "stories:delete")
		}, []string{"DELETE /v2/spaces/{spaceID}/stories/{story_id} stories:delete"}, []string{"never"}},
		{"tag", func(c *policy.OpenAPIConfig) { c.Tags = rule("stories", "stories") },
			[]string{"POST /v2/spaces/{spaceID}/stories stories ", "DELETE /v2/spaces/{spaceID}/stories/{story_id} stories "}, []string{"stories:"}},
		{"an operation before its tag", func(c *policy.OpenAPIConfig) {
			c.Tags, c.Operations = rule("stories", "stories"), rule("listStories", "any")
		}, []string{"GET /v2/spaces/{spaceID}/stories any", "POST /v2/spaces/{spaceID}/stories stories "}, nil},
		{"route", func(c *policy.OpenAPIConfig) {
			c.Routes = []policy.RouteConfig{{Methods: []string{"PUT", "DELETE"}, Pattern: "/spaces/{space}/stories/{id}", Require: "stories:change",
				At: "Caddyfile:3", Settings: policy.Settings{Resource: "path.id"}}}
		}, []string{"PUT,DELETE /v2/spaces/{space}/stories/{id} stories:change resource path.id Caddyfile:3\n", "GET /v2/spaces/{spaceID}/stories/{story_id}"},
			[]string{"never", "stories:admin assets"}},
		{"route for all methods", func(c *policy.OpenAPIConfig) {
			c.Routes = []policy.RouteConfig{{Methods: []string{"*"}, Pattern: "/me/", Require: "me", At: "Caddyfile:3"}}
		}, []string{"* /v2/me/ me Caddyfile:3\n"}, []string{"GET /v2/me any"}},
		{"scheme", func(c *policy.OpenAPIConfig) { c.Schemes[0].Require = "me:read|me:write admin" },
			[]string{"GET /v2/me me:read|me:write admin", "assets:write me:read|me:write admin"}, nil},
		{"a scheme no token meets", func(c *policy.OpenAPIConfig) { c.Schemes[0].Require = "never" },
			[]string{"GET /v2/me never", "POST /v2/spaces/{spaceID}/assets/{path...} never"}, nil},
		{"default", func(c *policy.OpenAPIConfig) { c.Schemes, c.Default = nil, "members" },
			[]string{"GET /v2/me members"}, nil},
		{"a scheme that isn't ignored", func(c *policy.OpenAPIConfig) { c.Ignore, c.Default = nil, "members" },
			[]string{"GET /v2/me any", "DELETE /v2/spaces/{spaceID}/stories/{story_id} members"}, nil},
	} {
		c := plainConfig
		c.Schemes = append([]policy.SchemeConfig{}, plainConfig.Schemes...)
		test.change(&c)
		got, err := routesOf(t, c)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		for _, line := range test.want {
			if !strings.Contains("\n"+got, line) {
				t.Errorf("%s: no line %q in\n%s", test.what, line, got)
			}
		}
		for _, text := range test.gone {
			if strings.Contains(got, text) {
				t.Errorf("%s: %q is still in\n%s", test.what, text, got)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	const head = "openapi stories.yaml: "
	line := func(name, require string) []policy.OverrideConfig {
		return []policy.OverrideConfig{{Name: name, Require: require, At: "Caddyfile:3"}}
	}
	route := func(methods, pattern, require string) []policy.RouteConfig {
		return []policy.RouteConfig{{Methods: strings.Split(methods, ","), Pattern: pattern, Require: require, At: "Caddyfile:3"}}
	}
	for _, test := range []struct {
		change func(c *policy.OpenAPIConfig)
		want   string
	}{
		{func(c *policy.OpenAPIConfig) { c.Schemes, c.Ignore = nil, nil },
			"Caddyfile:1: " + head + "operation DELETE /spaces/{spaceID}/stories/{story.id} (testdata/stories.yaml:44): security scheme session names no scopes: " +
				"write scheme session <requirement>, ignore session if it isn't a token, or default <requirement>\n" +
				"Caddyfile:1: " + head + "operation putAsset (testdata/parts/assets.yaml:9) and 1 other: security scheme key names no scopes: " +
				"write scheme key <requirement>, ignore key if it isn't a token, or default <requirement>"},
		{func(c *policy.OpenAPIConfig) { c.Schemes, c.Default = nil, "public" },
			"Caddyfile:1: " + head + "operation putAsset (testdata/parts/assets.yaml:9) and 1 other: security scheme key names no scopes: " +
				"write scheme key <requirement>, ignore key if it isn't a token, or default <requirement>"},
		{func(c *policy.OpenAPIConfig) { c.Base = "api" }, "Caddyfile:1: " + head + "base api: want a path"},
		{func(c *policy.OpenAPIConfig) { c.Default = "public any" },
			"Caddyfile:1: " + head + `default: requirement "public any": "public" can't be combined with others`},
		{func(c *policy.OpenAPIConfig) { c.Schemes[0].Require = "public" },
			"Caddyfile:2: " + head + "scheme key: a credential is asked for, so it can't be public"},
		{func(c *policy.OpenAPIConfig) { c.Schemes[0].Name = "kee" },
			"Caddyfile:2: " + head + "scheme kee: the document has no such security scheme; did you mean key?"},
		{func(c *policy.OpenAPIConfig) { c.Ignore = []string{"session", "key"} }, "Caddyfile:2: " + head + "scheme key: is given twice"},
		{func(c *policy.OpenAPIConfig) { c.Ignore = []string{"session", "cookie"} },
			"Caddyfile:1: " + head + "ignore cookie: the document has no such security scheme"},
		{func(c *policy.OpenAPIConfig) { c.Skip = []string{"heatlh"} },
			"Caddyfile:1: " + head + "skip heatlh: the document has no such operation; did you mean health?"},
		{func(c *policy.OpenAPIConfig) { c.Operations = line("listStoriez", "any") },
			"Caddyfile:3: " + head + "operation listStoriez: the document has no such operation; did you mean listStories?"},
		{func(c *policy.OpenAPIConfig) { c.Operations = line("listStories", "a||b") },
			"Caddyfile:3: " + head + `operation listStories: requirement "a||b": want a scope on both sides of |, without blanks`},
		{func(c *policy.OpenAPIConfig) { c.Operations = line("listStories", "") },
			"Caddyfile:3: " + head + "operation listStories: want a requirement"},
		{func(c *policy.OpenAPIConfig) { c.Operations, c.Skip = line("health", "any"), []string{"health"} },
			"Caddyfile:3: " + head + "operation health: is skipped"},
		{func(c *policy.OpenAPIConfig) {
			c.Operations = append(line("health", "any"), line("health", "never")...)
		},
			"testdata/stories.yaml:13: operation health: Caddyfile:3 and Caddyfile:3 both say what it needs"},
		{func(c *policy.OpenAPIConfig) { c.Tags = line("storys", "any") },
			"Caddyfile:3: " + head + "tag storys: the document has no such tag; did you mean stories?"},
		{func(c *policy.OpenAPIConfig) { c.Tags = append(line("stories", "any"), line("reading", "never")...) },
			"testdata/stories.yaml:34: operation readStory: Caddyfile:3 and Caddyfile:3 both say what it needs: write operation readStory"},
		{func(c *policy.OpenAPIConfig) { c.Routes = route("GET", "/mee", "any") },
			"Caddyfile:3: " + head + "route GET /mee: the document has no such path; did you mean /me?"},
		{func(c *policy.OpenAPIConfig) { c.Routes = route("GET,PUT", "/me", "any") },
			"Caddyfile:3: " + head + "route GET,PUT /me: the document has GET there, not PUT"},
		{func(c *policy.OpenAPIConfig) { c.Routes = route("GET", "/me", "") }, "Caddyfile:3: " + head + "route GET /me: want a requirement"},
		{func(c *policy.OpenAPIConfig) { c.Routes = route("GET", "/me?full", "any") },
			"Caddyfile:3: " + head + "route GET /me?full: a route with a query condition stands outside of the openapi block"},
		{func(c *policy.OpenAPIConfig) {
			c.Routes, c.Operations = route("GET", "/me", "any"), line("whoAmI", "any")
		},
			"testdata/stories.yaml:51: operation whoAmI: Caddyfile:3 and Caddyfile:3 both say what it needs"},
		{func(c *policy.OpenAPIConfig) { c.Space = "path.space" },
			"Caddyfile:1: " + head + "space path.space: none of the operations has {space}"},
	} {
		c := plainConfig
		c.Schemes = append([]policy.SchemeConfig{}, plainConfig.Schemes...)
		test.change(&c)
		if _, err := routesOf(t, c); err == nil || err.Error() != test.want {
			t.Errorf("got:  %v\nwant: %s", err, test.want)
		}
	}
}

// read reads a document in a file of its own.
func read(t *testing.T, text string) (*Document, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("api.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read("api.yaml")
}

// paths is a document with these lines below paths.
func paths(lines string) string { return "openapi: 3.0.3\npaths:\n" + lines }

func TestUnreadable(t *testing.T) {
	const head = "reading an OpenAPI document: api.yaml"
	for _, test := range []struct{ text, want string }{
		{"", head + ": it is empty"},
		{"# nothing\n", head + ": it is empty"},
		{"a: [", head + ":2: did not find expected node content"},
		{"\n\na: b: c\n", head + ":3: mapping values are not allowed in this context"},
		{"swagger: '2.0'\n", head + `:1: swagger "2.0": want version 3.0 or later: convert it to OpenAPI 3 first`},
		{"openapi: 4.0.0\n", head + `:1: openapi "4.0.0": want version 3.0 or later, 3.x`},
		{"openapi: 30.1\n", head + `:1: openapi "30.1": want version 3.0 or later, 3.x`},
		{"openapi: 3\n", head + ": it has no operations"},
		{"openapi:\n", head + ": want an OpenAPI document, which has openapi: 3.x"},
		{"title: x\n", head + ": want an OpenAPI document, which has openapi: 3.x"},
		{"[openapi]\n", head + ": want an OpenAPI document, which has openapi: 3.x"},
		{"~", head + ": want an OpenAPI document, which has openapi: 3.x"},
		{paths("  /a: {get: {}}\n---\n" + paths("  /b: {get: {}}\n")), head + ":4: a second document begins; want one in a file"},
		{paths("  /a: {get: {}}\n---\nx: [\n"), head + ":6: did not find expected node content"},
		{"{\"openapi\":\"3.0.0\",\n\"paths\":{\"/a\":{\"get\":{}}}}\n{}", head + ":3: something follows the document"},
		{"{\"openapi\":\n\"3.0.0\",\n\"paths\" 1}", head + ":3: invalid character '1' after object key"},
		{"{\"openapi\":\n\"3.0.0\"", head + ":2: unexpected EOF"},
		{"{\"openapi\":\"3.0.0\",\"paths\":{\"/\xfc\":{\"get\":{}}}}", head + ": it isn't UTF-8"},
		{"{\n\"openapi\":\"3.0.0\",\n\"paths\":\n[]}", head + ":4: #/paths: want a mapping"},
		{"openapi: 3.0.0\npaths: []\n", head + ":2: #/paths: want a mapping"},
		{paths("  /a: x\n"), head + ":3: #/paths/~1a: want a mapping"},
		{paths("  a: {}\n"), head + ":3: #/paths/a: a path begins with /"},
		{paths("  /a:\n    get:\n      tags: x\n"), head + ":5: #/paths/~1a/get/tags: want a list"},
		{paths("  /a:\n    get:\n      operationId: [x]\n"), head + ":5: #/paths/~1a/get/operationId: want a text"},
		{paths("  /a:\n    get: {}\n  /a:\n    get: {}\n"), head + `:5: #/paths: "/a" is given twice, first on line 3`},
		{paths("  /a:\n    get:\n      secuirty: [{o: [admin]}]\n"), head + `:5: #/paths/~1a/get: there is no "secuirty"; did you mean security?`},
		{"Security: []\n" + paths("  /a:\n    get: {}\n"), head + `:1: #/: there is no "Security"; did you mean security?`},
		{`{"openapi":"3.0.0","paths":{"/a":{"get":{"security":[],"security":[{"x":[]}]}}}}`, head + `:1: #/paths/~1a/get: "security" is given twice, first on line 1`},

		// what isn't a list of requirements is not taken for an empty one
		{paths("  /a:\n    get:\n      security:\n"), head + ":5: #/paths/~1a/get/security: want a list"},
		{paths("  /a:\n    get:\n      security: {}\n"), head + ":5: #/paths/~1a/get/security: want a list"},
		{paths("  /a:\n    get:\n      security: [~]\n"), head + ":5: #/paths/~1a/get/security/0: want a mapping"},
		{paths("  /a:\n    get:\n      security: [{x: }]\n"), head + ":5: #/paths/~1a/get/security/0/x: want a list"},
		{paths("  /a:\n    get:\n      security: [{x: read}]\n"), head + ":5: #/paths/~1a/get/security/0/x: want a list"},
		{paths("  /a:\n    get:\n      security: [{x: [~]}]\n"), head + ":5: #/paths/~1a/get/security/0/x/0: want a text"},

		// references
		{paths("  /a:\n    $ref: other.yaml\n"), head + `:4: #/paths/~1a: $ref "other.yaml": open other.yaml: no such file or directory`},
		{paths("  /a:\n    $ref: https://example.com/a.yaml\n"), head + `:4: #/paths/~1a: $ref "https://example.com/a.yaml": only files beside the document are read`},
		{paths("  /a:\n    $ref: //example.com/a.yaml\n"), head + `:4: #/paths/~1a: $ref "//example.com/a.yaml": only files beside the document are read`},
		{paths("  /a:\n    $ref: '#/paths/~1b'\n"), head + `:4: #/paths/~1a: $ref "#/paths/~1b": api.yaml has nothing there`},
		{paths("  /a:\n    $ref: '#paths'\n"), head + `:4: #/paths/~1a: $ref "#paths": want # to be followed by /`},
		{paths("  /a:\n    $ref: '#/openapi'\n"), head + `:4: #/paths/~1a: $ref "#/openapi": want a mapping there, on line 1 of api.yaml`},
		{paths("  /a:\n    $ref: null\n"), head + ":4: #/paths/~1a: $ref: want a text"},
		{paths("  /a:\n    $ref: [x]\n"), head + ":4: #/paths/~1a: $ref: want a text"},
		{paths("  /a:\n    $ref: '#/x/a'\nx:\n  a: {}\n  a: {}\n"), head + `:4: #/paths/~1a: $ref "#/x/a": api.yaml:7: "a" is given twice, first on line 6`},
		{paths("  /a:\n    get:\n      $ref: other.yaml\n"), head + `:5: #/paths/~1a/get: $ref "other.yaml": open other.yaml: no such file or directory`},
		{paths("  /a:\n    $ref: '#/paths/~1b'\n  /b:\n    $ref: '#/paths/~1a'\n"), head + ":4: #/paths/~1a: references or merges never end"},
		{"x: &x {security: []}\ny: &y {security: [{o: [a]}]}\n" + paths("  /a:\n    get:\n      <<: *x\n      <<: *y\n"), head + `:8: #/paths/~1a/get: "<<" is given twice, first on line 7`},
		{paths("  /a:\n    get: &a\n      <<: *a\n"), head + ":4: #/paths/~1a/get: references or merges never end"},
	} {
		if _, err := read(t, test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\n got:  %v\n want: %s", test.text, err, test.want)
		}
	}
}

func TestBases(t *testing.T) {
	for _, test := range []struct{ servers, want string }{
		{"", "/"},
		{"[{url: /}]", "/"},
		{"[{url: /api/}]", "/api"},
		{"[{url: 'https://a.example.com'}]", "/"},
		{"[{url: 'https://a.example.com/v1?x#y'}]", "/v1"},
		{"[{url: //a.example.com/v1}]", "/v1"},
		{"[{url: 'http://a:1/v1'}, {url: 'https://b/v1/'}]", "/v1"},
		{"[{url: 'https://{host}/{v}', variables: {host: {default: a/b}, v: {default: v3, enum: [v3]}}}]", "/b/v3"},
		{"[{url: 'https://a.example.com{base}', variables: {base: {default: /sell/v1}}}]", "/sell/v1"},
		{"[{url: 'https://a.example.com{base}', variables: {base: {default: '', enum: ['', /v1]}}}]", "depends on where the document is"},
		{"[{url: '{scheme}://{host}:{port}/v1', variables: {scheme: {default: https, enum: [http, https]}, host: {default: a, enum: [a, b]}}}]", "/v1"},
		{"[{url: '{endpoint}/v1', variables: {endpoint: {default: 'https://a.example.com/api'}}}]", "/api/v1"},
		{"[{url: 'https://a.example.com?x=/y'}]", "/"},
		{"[{url: /a//b}]", "/a//b"},
		{"[{url: '/{v}', variables: {v: {default: v3, enum: [v2, v3]}}}]", "depends on where the document is"},
		{"[{url: v1}]", "depends on where the document is"},
		{"[{url: /a}, {url: v1}]", "depends on where the document is"},
		{"[{url: /a}, {url: /b}]", "its servers have different paths (/a, /b)"},
		{"[{url: /a}, {url: /b}, {url: /a}, {url: /c}, {url: /d}]", "its servers have different paths (/a, /b, /c)"},
		{"[{url: '/{v}', variables: {v: {default: ''}}}]", "/"},
		{"[{url: '/{v}'}]", `server "/{v}": want a path whose variables have defaults`},
		{"[{url: '/{v}', variables: {v: {}}}]", `server "/{v}": want a path whose variables have defaults`},
		{"[{url: '/{v}', variables: {v: {default: '{w}'}, w: {default: x}}}]", `server "/{v}": want a path whose variables have defaults`},
		{"[{url: https://api.example.com}, {url: '/{v}'}]", `server "/{v}": want a path whose variables have defaults`},
	} {
		text := paths("  /x:\n    get: {operationId: x}\n")
		if test.servers != "" {
			text = "servers: " + test.servers + "\n" + text
		}
		d, err := read(t, text)
		if err != nil {
			t.Errorf("servers %s: %v", test.servers, err)
			continue
		}
		got, err := d.operations[0].base.or("")
		if err != nil {
			got = err.Error()
		}
		if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
			t.Errorf("servers %s: base %s, want %s", test.servers, got, test.want)
		}
		if got, err := d.operations[0].base.or("/set"); got != "/set" || err != nil {
			t.Errorf("servers %s: base %s, %v where it is set, want /set", test.servers, got, err)
		}
	}
	// Those of an operation stand in place of those of its path, and these in
	// place of the document's.
	d, err := read(t, "servers: [{url: /a}]\n"+paths("  /x:\n    servers: [{url: /b}]\n    get: {servers: [{url: /c}]}\n    put: {tags: []}\n  /y:\n    get: {servers: []}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"/c", "/b", "/a"} {
		if got, err := d.operations[i].base.or(""); got != want || err != nil {
			t.Errorf("%s: base %s, %v, want %s", d.operations[i].name(), got, err, want)
		}
	}
}

// TestNoBase: servers that say no path are one mistake of the document, and none
// where base says it.
func TestNoBase(t *testing.T) {
	d, err := read(t, "servers: [{url: 'https://api.example.com/{account}'}]\nsecurity: []\n"+
		paths("  /a: {get: {}, put: {}}\n  /b: {get: {}}\n  /c: {servers: [{url: c}], get: {operationId: c}}\n  /d: {servers: [{url: /}], get: {}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := policy.OpenAPIConfig{File: "api.yaml", At: "Caddyfile:7"}
	const want = "Caddyfile:7: openapi api.yaml: operation GET /a (api.yaml:5) and 2 others: " +
		`server "https://api.example.com/{account}": want a path whose variables have defaults: write base <path>` + "\n" +
		"Caddyfile:7: openapi api.yaml: operation c (api.yaml:7): the path of its server depends on where the document is: write base <path>"
	if _, err := d.routes(c); err == nil || err.Error() != want {
		t.Errorf("without base: %v\nwant: %s", err, want)
	}
	c.Base = "/x"
	if routes, err := d.routes(c); err != nil || len(routes) != 5 || routes[0].Pattern != "/x/a" {
		t.Errorf("with base: %v, %v", routes, err)
	}
}

// TestNames: no name that a document may choose has a meaning of its own.
func TestNames(t *testing.T) {
	const doc = `openapi: 3.2.0
security: []
components: {securitySchemes: {NAME: {type: http}}}
paths:
  /a:
    get: {operationId: NAME, summary: NAME, tags: [NAME, other, NAME], security: [{NAME: [admin, NAME]}], servers: [{url: '/{RAW}', variables: {NAME: {default: v2}}}]}
    additionalOperations: {NAME: {security: [{NAME: [admin]}], servers: [{url: /RAW}]}}
`
	for _, name := range []string{"responses", "externalDocs", "parameters", "security", "servers", "$ref", "tags", "openapi", "paths", "schema", "null", "~", "x-y", "get"} {
		d, err := read(t, strings.NewReplacer("NAME", strconv.Quote(name), "RAW", name).Replace(doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		place := func(line int) string { return "api.yaml:" + strconv.Itoa(line) }
		want := []operation{
			{id: name, method: "GET", path: "/a", summary: name, tags: []string{name, "other", name}, at: place(6), base: basePath{path: "/v2"},
				said: true, security: []alternative{{{scheme: name, scopes: []string{"admin", name}}}}},
			{method: name, path: "/a", at: place(7), base: basePath{path: "/" + name}, said: true, security: []alternative{{{scheme: name, scopes: []string{"admin"}}}}},
		}
		if !reflect.DeepEqual(d.operations, want) || !slices.Equal(d.schemeNames(), []string{name}) {
			t.Errorf("%s:\n got:  %+v %v\n want: %+v", name, d.operations, d.schemes, want)
		}
	}
}

// TestReferredOperation: what stands elsewhere in place of an operation counts.
func TestReferredOperation(t *testing.T) {
	d, err := read(t, "security: []\n"+paths("  /a:\n    get: {$ref: '#/x/read'}\n")+"x: {read: {operationId: read, security: [{o: [a]}]}}\n")
	if err != nil {
		t.Fatal(err)
	}
	routes, err := d.routes(policy.OpenAPIConfig{})
	if got := table(routes); got != "GET /a a api.yaml:5\n" || err != nil {
		t.Errorf("routes: %s%v", got, err)
	}
}

// TestReferredParts: what stands elsewhere in place of all the paths, or of a security
// scheme, counts. A scheme that isn't there is one of which only the name is known.
func TestReferredParts(t *testing.T) {
	d, err := read(t, `openapi: 3.0.0
paths: {$ref: '#/x/paths'}
components:
  securitySchemes:
    here: {$ref: '#/x/key'}
    gone: {$ref: '#/x/none'}
    remote: {$ref: 'https://example.com/key.yaml'}
    aside: {$ref: 'none.yaml'}
x:
  key: {type: apiKey, in: header, name: X-Key}
  paths: {/a: {get: {security: [{here: []}]}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.operations) != 1 || d.operations[0].path != "/a" {
		t.Errorf("operations: %v, want GET /a", d.operations)
	}
	for i, want := range []string{"[header X-Key]", "[]", "[]", "[]"} {
		if got := fmt.Sprint(d.schemes[i].places); got != want || d.schemes[i].at == "" {
			t.Errorf("scheme %s: at %q in %s, want %s", d.schemes[i].name, d.schemes[i].at, got, want)
		}
	}
	for text, want := range map[string]string{
		"paths: {$ref: none.yaml}\n":                `api.yaml:2: #/paths: $ref "none.yaml": open `,
		"paths: {$ref: '#/x'}\nx: {a: {get: {}}}\n": "api.yaml:3: #/paths/a: a path begins with /",
		"paths: {$ref: '#/paths'}\n":                "references or merges never end",
		"components: {securitySchemes: {a: {$ref: '#/components/securitySchemes/a'}}}\npaths: {}\n": "references or merges never end",
	} {
		if _, err := read(t, "openapi: 3.0.0\n"+text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestJSON: all that is valid JSON is read, and has lines.
func TestJSON(t *testing.T) {
	emoji := "\U0001f600"
	for _, test := range []struct{ name, text string }{
		{"surrogates", `"\ud83d\ude00"`},
		{"as it is", `"` + emoji + `"`},
	} {
		for _, around := range []string{"%s", "\ufeff\n%s", "\r\n\t%s\n"} {
			text := fmt.Sprintf(around, "{\n\t\"openapi\": \"3.0.0\", \"x\": \"\x7f\", \""+strings.Repeat("x", 2000)+"\"\n:\n{},\n\t\"paths\":\n{\"\\/a\": {\n\t\"get\": {\"operationId\": "+test.text+", \"tags\": [1.0, true, null]}}}}")
			d, err := read(t, text)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			line := strings.Count(text[:strings.Index(text, "get")], "\n") + 1
			want := operation{id: emoji, method: "GET", path: "/a", tags: []string{"1.0", "true"}, at: "api.yaml:" + strconv.Itoa(line), base: basePath{path: "/"}}
			if !reflect.DeepEqual(d.operations, []operation{want}) {
				t.Errorf("%s: %+v, want %+v", test.name, d.operations, want)
			}
		}
	}
	// What only looks like JSON is YAML.
	if d, err := read(t, "{openapi: 3.0.0, paths: {/a: {get: {}}},} # short\n"); err != nil || len(d.operations) != 1 {
		t.Errorf("a flow mapping: %v, %v", d, err)
	}
}

// TestEncodings: YAML may begin with a byte order mark, and be in UTF-16.
func TestEncodings(t *testing.T) {
	text := paths("  /a: {get: {operationId: \u00fc}}\n")
	wide := []byte("\xff\xfe")
	for _, c := range utf16.Encode([]rune(text)) {
		wide = binary.LittleEndian.AppendUint16(wide, c)
	}
	for _, text := range []string{text, "\ufeff" + text, string(wide)} {
		if d, err := read(t, text); err != nil || d.operations[0].id != "\u00fc" {
			t.Errorf("%q: %v, %v", text[:8], d, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a/{b}": "/a/{b}", "/{a.b}/{c[d]}": "/{a_b}/{c_d_}", "/{proxy+}": "/{proxy...}", "/a/{+rest}": "/a/{rest...}",
		"/a/{p*}": "/a/{p...}", "/a/{*p}": "/a/{p...}", "/a/{**p}": "/a/{p...}", "/a/{p:path}": "/a/{p...}", "/a/{+p*}": "/a/{+p*}", "/a/{p:path}/b": "/a/{p}/b",
		"/{a+}/b": "/{a_}/b", "/{id}.json": "/{id}.json", "/a{;b}": "/a{;b}", "/a{": "/a{", "/{}": "/{}", "/{+}": "/{+}",

		// a regular expression doesn't make a tail
		"/u/{id:[0-9]+}": "/u/{id}", `/u/{id: \d+}`: "/u/{id}", "/u/{id:[a-z]{3}}/x": "/u/{id}/x", "/u/{a.b+}": "/u/{a_b_}", "/{+a:b}": "/{+a:b}",
		"/u/{path:.+}": "/u/{path}", "/v1/{name=shelves/*}": "/v1/{name=shelves/*}", "/{a:b/c}": "/{a:b/c}",

		// conditions on the query
		"/s?query={query}": "/s?query", "/s?op=list": "/s?op=list", "/s?op=list&q={q}&r": "/s?op=list&q&r", "/{a+}?q={b/c}": "/{a...}?q",
		"/s?q=x{q}": "/s?q=x{q}", "/s?q={a}{b}": "/s?q={a}{b}", "/s{?a,b}": "/s{?a,b}",
	} {
		if got := pattern(path); got != want {
			t.Errorf("pattern(%q) = %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"/files/{id}{format}", "/v1/{name=shelves/*}", "/s?q=x{q}", "/s?{q}", "/s{?a,b}", "/s?q=", "/s?policy#id"} {
		d, err := read(t, paths("  '"+path+"':\n    get: {operationId: getFile, security: []}\n"))
		if err != nil {
			t.Fatal(err)
		}
		const want = ": write skip getFile, and a route of your own"
		if _, err := d.routes(policy.OpenAPIConfig{File: "api.yaml"}); err == nil || !strings.HasSuffix(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "openapi api.yaml: operation getFile (api.yaml:4): its path can't be a pattern: ") {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// compared returns what Compare says of a configuration that is compiled as this.
func compared(t *testing.T, c, compiled policy.Config, further ...policy.OpenAPIConfig) []policy.Warning {
	t.Helper()
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(compiled, catalog)
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := Compare(c, p, further...)
	if err != nil {
		t.Fatal(err)
	}
	return warnings
}

// TestCompareQueries: an operation whose path has a query is covered by its route.
func TestCompareQueries(t *testing.T) {
	const doc = "  /search?query={query}: {get: {operationId: search}}\n  /fixed?op=list: {get: {operationId: fixed}}\n"
	if _, err := read(t, "security: [{o: [read]}]\n"+paths(doc)); err != nil {
		t.Fatal(err)
	}
	config := policy.Config{OpenAPI: []policy.OpenAPIConfig{{File: "api.yaml"}}}
	warned := func(c policy.Config) string {
		expanded, err := Expand(c)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, w := range compared(t, config, expanded) {
			texts = append(texts, w.Text)
		}
		return strings.Join(texts, "; ")
	}
	if got := warned(config); got != "" {
		t.Errorf("of the document's own routes: %s", got)
	}
	byHand := policy.Config{Routes: []policy.RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/search?query=fish", Require: "any"},
		{Methods: []string{"GET"}, Pattern: "/fixed?op=list", Require: "any"},
	}}
	if got, want := warned(byHand), "operation search (GET /search?query) of api.yaml: no route covers it"; got != want {
		t.Errorf("of other routes: %s, want %s", got, want)
	}
}

// TestCompareOpened: an operation that needs a token by the document is on no public
// route, unless the configuration says that it is.
func TestCompareOpened(t *testing.T) {
	const doc = `  /files/{name}: {get: {operationId: open, security: []}}
  /files/{name}.{ext}: {get: {operationId: closed, tags: [t], security: [{o: [admin]}]}}
  /files/either: {get: {operationId: either, security: [{}, {o: [admin]}]}}
  /things: {get: {operationId: cookie, security: [{session: []}]}, put: {operationId: key, security: [{key: []}, {session: []}]}}
components:
  securitySchemes:
    session: {type: apiKey, in: cookie, name: sid}
    key: {type: apiKey, in: header, name: X-Api-Key}
`
	if _, err := read(t, paths(doc)); err != nil {
		t.Fatal(err)
	}
	public := []policy.RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/files/{name}", Require: "public", At: "Caddyfile:3"},
		{Methods: []string{"*"}, Pattern: "/things", Require: "public"},
	}
	const closed, key = "operation closed (GET /files/{name}.{ext}) of api.yaml: the document asks for a token, and it is on route GET /files/{name} (Caddyfile:3), which is public",
		"operation key (PUT /things) of api.yaml: the document asks for a token, and it is on route * /things, which is public"
	cookie := strings.NewReplacer("key", "cookie", "PUT", "GET").Replace(key)
	for _, test := range []struct {
		what   string
		change func(c *policy.Config, d *policy.OpenAPIConfig)
		want   []string
	}{
		{"as it is", func(*policy.Config, *policy.OpenAPIConfig) {}, []string{closed, key}},
		{"ignore", func(_ *policy.Config, d *policy.OpenAPIConfig) { d.Ignore = []string{"o", "key"} }, nil},
		{"operation", func(_ *policy.Config, d *policy.OpenAPIConfig) {
			d.Operations = []policy.OverrideConfig{{Name: "closed", Require: "public"}}
		}, []string{key}},
		{"tag", func(_ *policy.Config, d *policy.OpenAPIConfig) {
			d.Tags = []policy.OverrideConfig{{Name: "t", Require: "public"}}
		}, []string{key}},
		{"route", func(_ *policy.Config, d *policy.OpenAPIConfig) {
			d.Routes = []policy.RouteConfig{{Methods: []string{"*"}, Pattern: "/things", Require: "public"}}
		}, []string{closed}},
		{"let_through", func(c *policy.Config, _ *policy.OpenAPIConfig) {
			c.LetThrough = []string{"header X-Api-Key"}
		}, []string{closed}},
		{"token_from", func(c *policy.Config, _ *policy.OpenAPIConfig) {
			c.TokenFrom = []string{"cookie sid"}
		}, []string{closed, cookie, key}},
		{"a route with a token", func(c *policy.Config, _ *policy.OpenAPIConfig) {
			c.Routes = []policy.RouteConfig{public[0], {Methods: []string{"*"}, Pattern: "/things", Require: "other"}}
		}, []string{closed}},
	} {
		c, d := policy.Config{Routes: public}, policy.OpenAPIConfig{File: "api.yaml"}
		test.change(&c, &d)
		var got []string
		for _, w := range compared(t, c, c, d) {
			if w.Kind == policy.WarnOpened {
				got = append(got, w.Text)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}

// TestTokenPlaces: where the tokens of a document are, as import has it, and what is said
// where a policy takes none from there.
func TestTokenPlaces(t *testing.T) {
	for _, test := range []struct {
		schemes, security string
		draft             []string
		takes             []string // token_from, or let_through
		warning           string
	}{
		{"b: {type: http, scheme: Bearer}", "[{b: []}]", nil, nil, ""},
		{"b: {type: http, scheme: bearer}", "[{b: []}]", nil, []string{"header X-Key"}, "token_from bearer"},
		{"b: {type: oauth2}, k: {type: apiKey, in: query, name: key}", "[{k: []}, {b: [r]}]", []string{"query key", "bearer"}, nil, ""},
		{"b: {type: http, scheme: basic}", "[{b: []}]", []string{"basic"}, []string{"basic"}, ""},
		{"b: {type: http, scheme: GenieKey}", "[{b: []}]", []string{"scheme GenieKey"}, []string{"scheme geniekey"}, ""},
		{"k: {type: apiKey, in: header, name: x-api-key}", "[{k: []}]", []string{"header X-Api-Key"}, nil, "token_from header X-Api-Key"},
		{"k: {type: apiKey, in: header, name: x-api-key}", "[{k: []}]", []string{"header X-Api-Key"}, []string{"header X-Api-Key"}, ""},
		{"k: {type: apiKey, in: header, name: x-api-key}", "[{k: []}]", []string{"header X-Api-Key"}, []string{"let header X-Api-Key"}, ""},
		{"k: {type: apiKey, in: header, name: X-Key}, l: {type: apiKey, in: header, name: X-Old}", "[{k: []}, {l: []}]",
			[]string{"header X-Key", "header X-Old"}, nil, "token_from header X-Key and token_from header X-Old"},
		{"k: {type: apiKey, in: header, name: X-Key}, l: {type: apiKey, in: header, name: x-key}", "[{k: []}, {l: []}]", []string{"header X-Key"}, nil, "token_from header X-Key"},
		{"k: {type: apiKey, in: header, name: Authorization}", "[{k: []}]", nil, nil, ""},
		{"k: {type: apiKey, in: cookie, name: sid}", "[{k: []}]", nil, nil, ""},
		{"k: {$ref: 'elsewhere.yaml'}, l: {type: apiKey, in: header, name: X-Key}", "[{l: []}, {k: []}]", []string{"header X-Key", "bearer"}, nil, ""},
		{"k: {type: apiKey, in: header, name: Cookie}", "[{k: []}]", nil, nil, ""},
		{"k: {type: apiKey, in: query, name: '{$X}'}", "[{k: []}]", nil, nil, ""},
		{"unused: {type: apiKey, in: header, name: X-Key}", "[{o: [r]}]", nil, nil, ""},
	} {
		d, err := read(t, paths("  /x: {get: {security: "+test.security+"}}\ncomponents: {securitySchemes: {"+test.schemes+"}}\n"))
		if err != nil {
			t.Errorf("%s: %v", test.schemes, err)
			continue
		}
		draft, err := d.Draft(policy.OpenAPIConfig{Default: "any"})
		if err != nil || !slices.Equal(draft.TokenFrom, test.draft) {
			t.Errorf("%s: draft %q, %v, want %q", test.schemes, draft.TokenFrom, err, test.draft)
		}
		c := policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/x", Require: "any"}}}
		for _, place := range test.takes {
			if other, is := strings.CutPrefix(place, "let "); is {
				c.LetThrough = append(c.LetThrough, other)
			} else {
				c.TokenFrom = append(c.TokenFrom, place)
			}
		}
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Compile(c, catalog)
		if err != nil {
			t.Fatal(err)
		}
		var want []policy.Warning
		if test.warning != "" {
			want = []policy.Warning{{At: "api.yaml:4", Kind: policy.WarnElsewhere, Text: "no token is taken from where those of api.yaml are: write " + test.warning}}
		}
		if got, err := Compare(c, p, policy.OpenAPIConfig{File: "api.yaml"}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s, taken from %q: %+v, %v, want %+v", test.schemes, test.takes, got, err, want)
		}
	}
	// Of what is skipped, ignored, or said to be none, nothing is taken; of a cookie that is
	// said to be a token, it is.
	d, err := read(t, paths("  /x: {get: {operationId: x, security: [{k: []}]}, put: {security: [{s: []}]}}\ncomponents: {securitySchemes: "+
		"{k: {type: apiKey, in: header, name: X-Key}, s: {type: apiKey, in: cookie, name: sid}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    policy.OpenAPIConfig
		want []string
	}{
		{policy.OpenAPIConfig{}, []string{"header X-Key"}},
		{policy.OpenAPIConfig{Skip: []string{"x"}}, nil},
		{policy.OpenAPIConfig{Ignore: []string{"k"}}, nil},
		{policy.OpenAPIConfig{Schemes: []policy.SchemeConfig{{Name: "k", Require: "never"}, {Name: "s", Require: "any"}}}, []string{"cookie sid"}},
	} {
		test.c.Default = "any"
		if draft, err := d.Draft(test.c); err != nil || !slices.Equal(draft.TokenFrom, test.want) {
			t.Errorf("%+v: %q, %v, want %q", test.c, draft.TokenFrom, err, test.want)
		}
	}
}

func TestRequirements(t *testing.T) {
	for _, test := range []struct{ security, want string }{
		{"[]", "public"},
		{"[{}]", "public"},
		{"[{o: [a]}]", "a"},
		{"[{o: [a, b]}]", "a b"},
		{"[{o: [a]}, {o: [b]}]", "a|b"},
		{"[{o: [a], p: [b]}]", "a b"},
		{"[{o: [a, b]}, {p: [c]}]", "a|c b|c"},
		{"[{o: [a, b]}, {o: [a, c]}]", "a b|c"},
		{"[{o: [a, b]}, {o: [a]}]", "a"},
		{"[{o: [a, a]}]", "a"},
		{"[{o: [a]}, {}]", "a optional"},
		{"[{cookie: []}]", "never"},
		{"[{cookie: []}, {}]", "public"},
		{"[{cookie: [], o: [a]}]", "a"},
		{"[{cookie: []}, {o: [a]}]", "a"},
		{"[{bearer: []}, {o: [a]}]", "any"},
		{"[{bearer: [], o: [a]}]", "a"},
		{"[{bearer: []}, {}]", "any optional"},
		{"[{o: [public]}]", `scope "public": is a word of patgate's`},
		{"[{o: ['a|b']}]", `scope "a|b": "|" can't be part of a scope's name`},
		{"[{o: ['']}]", "scope: want 1 to 256 characters, got 0"},
		{"[{o: [a, b, c]}, {o: [d, e, f]}, {o: [g, h, i]}, {o: [j, k, l]}]", "too many alternatives"},
	} {
		d, err := read(t, paths("  /x:\n    get: {operationId: x, security: "+test.security+"}\n"))
		if err != nil {
			t.Errorf("security %s: %v", test.security, err)
			continue
		}
		r := rules{config: policy.OpenAPIConfig{Ignore: []string{"cookie"}}, schemes: map[string]string{"bearer": "any"}}
		got, optional, err := r.requirement(&d.operations[0])
		if optional {
			got += " optional"
		}
		if err != nil {
			got = err.Error()
		}
		if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
			t.Errorf("security %s: %s, want %s", test.security, got, test.want)
		}
	}
}

// TestInexpressible: what can't be a requirement or a route is told of once of its
// kind, with what to write, and is closed in a draft.
func TestInexpressible(t *testing.T) {
	for _, scope := range []string{"public", "any", "never", "deny", "a b", "a,b", "*", "a|b", "{env.X}", "", "a::b", "\u00e9"} {
		d, err := read(t, "security: [{o: ["+strconv.Quote(scope)+"]}]\n"+paths("  /a: {get: {operationId: one}}\n  /b: {get: {}, put: {security: []}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		c := policy.OpenAPIConfig{File: "api.yaml", At: "Caddyfile:7"}
		_, err = d.routes(c)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "Caddyfile:7: openapi api.yaml: operation one (api.yaml:4) and 1 other: ") ||
			!strings.HasSuffix(err.Error(), ": write operation one <requirement>, and so for each") {
			t.Errorf("scope %q: %v", scope, err)
		}
		draft, err := d.Draft(policy.OpenAPIConfig{})
		if got := table(draft.Routes); got != "GET /a never api.yaml:4\nGET /b never api.yaml:5\nPUT /b public api.yaml:5\n" || len(draft.Notes) != 2 || err != nil {
			t.Errorf("scope %q becomes the draft\n%s%v %v", scope, got, draft.Notes, err)
		}
		c.Operations = []policy.OverrideConfig{{Name: "one", Require: "a"}, {Name: "GET /b", Require: "b"}}
		if routes, err := d.routes(c); err != nil || len(routes) != 3 || routes[0].Require != "a" || routes[1].Require != "b" {
			t.Errorf("scope %q with operation lines: %v, %v", scope, routes, err)
		}
	}
	d, err := read(t, "security: [{o: ['{$x}']}]\n"+paths("  /a: {get: {}}\n  /b: {trace: {}, get: {security: []}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := d.Draft(policy.OpenAPIConfig{})
	if got := table(draft.Routes); got != "GET /a never api.yaml:4\nGET /b public api.yaml:5\n" || len(draft.Notes) != 2 || err != nil {
		t.Errorf("the draft is\n%s%v %v", got, draft.Notes, err)
	}
	const want = "operation TRACE /b (api.yaml:5): method TRACE: never let through; a WebSocket over HTTP/2 counts as GET: write skip `TRACE /b`"
	if _, err := d.routes(policy.OpenAPIConfig{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("TRACE: %v, want %s", err, want)
	}
}

// TestOperationsByPath: an operation can be named by its method and path too, and is
// in errors where its operationId looks like a secret.
func TestOperationsByPath(t *testing.T) {
	const id = "SubscriptionUsageManagement_ListByResourceGroupAndSubscription"
	d, err := read(t, "security: [{o: [r]}]\n"+paths("  /a{x}-{y}: {get: {operationId: "+id+"}}\n  /b: {get: {operationId: same}, put: {operationId: same}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		skip []string
		want string
	}{
		{nil, "operation GET /a{x}-{y} (api.yaml:4)"},
		{nil, ": write skip `GET /a{x}-{y}`, and a route of your own"},
		{[]string{id}, ""},
		{[]string{"GET /a{x}-{y}"}, ""},
		{[]string{id, "same"}, "skip same: several operations have this name, at api.yaml:5, api.yaml:5: write the method and path, as in `GET /b`"},
		{[]string{id, "PUT /b"}, ""},
		{[]string{id, "PUT /c"}, "skip PUT /c: the document has no such operation; did you mean PUT /b?"},
	} {
		routes, err := d.routes(policy.OpenAPIConfig{File: "api.yaml", Skip: test.skip})
		if test.want == "" && (err != nil || len(routes) != 4-len(test.skip)-1) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("skip %v: %v, %v, want %s", test.skip, routes, err, test.want)
		}
	}
	// A line for an operation that another line skips by its other name.
	c := policy.OpenAPIConfig{Skip: []string{id, "GET /a{x}-{y}"}, Operations: []policy.OverrideConfig{{Name: id, Require: "any"}}}
	if _, err := d.routes(c); err == nil || !strings.Contains(err.Error(), "operation "+id+": is skipped") {
		t.Errorf("an operation that is skipped: %v", err)
	}
}

// TestOverridesWithoutPlaces: what a configuration in JSON says counts, though it
// doesn't say where it stands.
func TestOverridesWithoutPlaces(t *testing.T) {
	d, err := read(t, "security: []\n"+paths("  /a: {get: {operationId: a, tags: [x]}}\n  /b: {get: {tags: [y]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := d.routes(policy.OpenAPIConfig{
		Operations: []policy.OverrideConfig{{Name: "a", Require: "admin"}}, Tags: []policy.OverrideConfig{{Name: "x", Require: "any"}, {Name: "y", Require: "never"}},
	})
	if got := table(routes); got != "GET /a admin api.yaml:4\nGET /b never api.yaml:5\n" || err != nil {
		t.Errorf("routes:\n%s%v", got, err)
	}
}

// TestMerges checks that what YAML merges, and what aliases stand for, counts.
func TestMerges(t *testing.T) {
	d, err := read(t, `openapi: 3.0.0
x-common: &guarded { security: [{ o: [a] }], tags: &tags [x] }
paths:
  /a:
    get: { <<: *guarded, operationId: merged }
    put: { <<: [*guarded], security: [], operationId: own }
    post: *guarded
  /b:
    $ref: "#/paths/~1a"
    put: { tags: *tags, security: [{ o: [b] }] }
`)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := d.routes(policy.OpenAPIConfig{})
	want := `GET /a a api.yaml:5
POST /a a api.yaml:7
PUT /a public api.yaml:6
GET /b a api.yaml:5
POST /b a api.yaml:7
PUT /b b api.yaml:10
`
	if got := table(routes); got != want || err != nil {
		t.Errorf("routes:\n%s%v\nwant:\n%s", got, err, want)
	}
}

// TestNothingSaid: operations of a document without any security.
func TestNothingSaid(t *testing.T) {
	d, err := read(t, paths("  /a:\n    get: {operationId: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.routes(policy.OpenAPIConfig{File: "api.yaml", At: "Caddyfile:7"})
	if want := "Caddyfile:7: openapi api.yaml: operation x (api.yaml:4): the document says nothing of security: write default <requirement>"; err == nil || err.Error() != want {
		t.Errorf("without default: %v, want %s", err, want)
	}
	for _, require := range []string{"public", "any", "a b|c", "never"} {
		routes, err := d.routes(policy.OpenAPIConfig{Default: require})
		if err != nil || len(routes) != 1 || routes[0].Require != require {
			t.Errorf("default %s: %v, %v", require, routes, err)
		}
	}
}

// TestExpand checks that documents in groups become groups within.
func TestExpand(t *testing.T) {
	c := plainConfig
	c.Space = "path.spaceID"
	config := policy.Config{OpenAPI: []policy.OpenAPIConfig{c}, Groups: []policy.GroupConfig{{Prefix: "/x", OpenAPI: []policy.OpenAPIConfig{c}}}}
	expanded, err := Expand(config)
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Groups) != 1 || len(config.Groups[0].Groups) != 0 {
		t.Error("Expand changed what it was given")
	}
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Compile(config, catalog); err == nil {
		t.Error("a configuration compiles whose documents aren't expanded")
	}
	p, err := policy.Compile(expanded, catalog)
	if err != nil {
		t.Fatal(err)
	}
	spaces := map[string]string{}
	for _, r := range p.Routes() {
		spaces[r.Methods[0]+" "+r.Pattern] = r.Info().Space
	}
	for route, want := range map[string]string{
		"GET /v2/me": "none", "GET /x/v2/me": "none",
		"POST /v2/spaces/{spaceID}/stories": "path.spaceID", "POST /x/v2/spaces/{spaceID}/stories": "path.spaceID",
	} {
		if spaces[route] != want {
			t.Errorf("%s has its space from %q, want %q", route, spaces[route], want)
		}
	}
}

// TestRealDocuments reads those of real systems.
func TestRealDocuments(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared, "*.yaml"))
	if len(files) == 0 {
		t.Skip("the documents of real systems aren't here")
	}
	number := map[string]int{"storyden.yaml": 256, "magistrala-channels.yaml": 16, "magistrala-domains.yaml": 29}
	for _, file := range files {
		d, err := Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		name := filepath.Base(file)
		if want := number[name]; want != 0 && len(d.operations) != want {
			t.Errorf("%s has %d operations, want %d", name, len(d.operations), want)
		}
		routes, err := d.routes(policy.OpenAPIConfig{File: file, Default: "any"})
		if err != nil || len(routes) != len(d.operations) {
			t.Errorf("%s becomes %d routes, %v, want %d", name, len(routes), err, len(d.operations))
		}
	}
}

func BenchmarkRead(b *testing.B) {
	file := filepath.Join(shared, "storyden.yaml")
	if _, err := os.Stat(file); err != nil {
		file = "testdata/stories.yaml"
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(file); err != nil {
			b.Fatal(err)
		}
	}
}
