package openapi

import (
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

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
		{"operation beside one that is skipped", func(c *policy.OpenAPIConfig) {
			c.Operations, c.Skip = rule("readStory", "stories:see"), []string{"health"}
		}, []string{"stories:see"}, []string{"health"}},
		{"a space that is the rest of a path", func(c *policy.OpenAPIConfig) { c.Space = "path.path" }, []string{"{path...}"}, nil},
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
			[]string{"never", "stories:admin assets", "Caddyfile:3\nPUT"}},
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
		{func(c *policy.OpenAPIConfig) { c.Base = "/api/*" }, "Caddyfile:1: " + head + "base /api/*: want a path"},
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
	c := policy.OpenAPIConfig{File: "api.yaml", Skip: []string{id}, Operations: []policy.OverrideConfig{{Name: "same", Require: "any"}}}
	if _, err := d.routes(c); err == nil || !strings.Contains(err.Error(), "operation same: several operations have this name") {
		t.Errorf("a line for two operations: %v", err)
	}
	// A line for an operation that another line skips by its other name.
	c = policy.OpenAPIConfig{Skip: []string{id, "GET /a{x}-{y}"}, Operations: []policy.OverrideConfig{{Name: id, Require: "any"}}}
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
