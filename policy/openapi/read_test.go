package openapi

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

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
		{paths("  /a:\n    $ref: '%zz'\n"), head + `:4: #/paths/~1a: $ref "%zz": want a file beside the document, #/a/b, or both`},
		{paths("  /a:\n    $ref: ''\n"), head + `:4: #/paths/~1a: $ref "": want a file beside the document`},
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
