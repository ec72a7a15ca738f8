package openapi

import (
	"strconv"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

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
