package openapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

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

// TestCompareRoutes: a route below the base of a document is one that the document doesn't
// know only if it has nothing in common with any operation.
func TestCompareRoutes(t *testing.T) {
	if _, err := read(t, "security: [{o: [read]}]\n"+paths("  /things/{id}: {get: {}}\n  /files/{path+}: {get: {}}\n")); err != nil {
		t.Fatal(err)
	}
	document := policy.OpenAPIConfig{File: "api.yaml", Base: "/api"}
	for _, test := range []struct {
		method, pattern string
		unknown         bool
	}{
		{"GET", "/api/things/{other}", false},
		{"GET", "/api/things/7", false},
		{"GET", "/api/*", false},
		{"GET", "/{any}/things/7", false},
		{"GET", "/api/files/a/b", false},
		{"GET", "/elsewhere", false},
		{"POST", "/api/things/7", true},
		{"GET", "/api/thing/7", true},
		{"GET", "/api/things/7/parts", true},
		{"GET", "/api", true},
	} {
		c := policy.Config{Routes: []policy.RouteConfig{{Methods: []string{test.method}, Pattern: test.pattern, Require: "any"}}}
		unknown := slices.ContainsFunc(compared(t, c, c, document), func(w policy.Warning) bool { return w.Kind == policy.WarnUnknown })
		if unknown != test.unknown {
			t.Errorf("%s %s: unknown is %v, want %v", test.method, test.pattern, unknown, test.unknown)
		}
	}
	// A document that the configuration names stands where that says, and isn't compared again.
	config := policy.Config{OpenAPI: []policy.OpenAPIConfig{document}}
	expanded, err := Expand(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"", "/api"} {
		if got := compared(t, config, expanded, policy.OpenAPIConfig{File: "api.yaml", Base: base}); got != nil {
			t.Errorf("with the document again, below %q: %+v, want no warnings", base, got)
		}
	}
}
