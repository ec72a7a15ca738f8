package openapi

import (
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

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
		{"[{url: 'https://a.example.com{base}', variables: {base: {default: '', enum: ['', /v1]}}}]", `server "https://a.example.com{base}" has one path for each value of its variables`},
		{"[{url: '{scheme}://{host}:{port}/v1', variables: {scheme: {default: https, enum: [http, https]}, host: {default: a, enum: [a, b]}}}]", "/v1"},
		{"[{url: '{endpoint}/v1', variables: {endpoint: {default: 'https://a.example.com/api'}}}]", "/api/v1"},
		{"[{url: 'https://a.example.com?x=/y'}]", "/"},
		{"[{url: /a//b}]", "/a//b"},
		{"[{url: '/{v}', variables: {v: {default: v3, enum: [v2, v3]}}}]", `server "/{v}" has one path for each value of its variables`},
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
