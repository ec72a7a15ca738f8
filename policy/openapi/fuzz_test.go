package openapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

// bombs are documents that would become huge, or go on for ever.
var bombs = map[string]string{
	"aliases of aliases": "openapi: 3.0.0\nx: &a [1,1,1,1,1,1,1,1]\n" + func() (s string) {
		for c := 'b'; c < 'q'; c++ {
			s += "x" + string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
		}
		return s
	}() + "paths: {/a: {get: {tags: *p}}}\n",
	"aliases of lists": "openapi: 3.0.0\nx: &t [" + strings.Repeat("a,", 2000) + "]\ny: &i {get: {tags: *t}, put: {tags: *t}, post: {tags: *t}}\npaths:\n" + func() (s string) {
		for i := range 1000 {
			s += "  /" + strings.Repeat("a", i+1) + ": *i\n"
		}
		return s
	}(),
	"merges of merges": "openapi: 3.0.0\nx0: &x0 {get: {}}\n" + func() (s string) {
		for i := range 20 {
			from, to := string(rune('a'+i)), string(rune('a'+i+1))
			if i == 0 {
				from = "x0"
			}
			s += "m" + to + ": &" + to + " {<<: [" + strings.Repeat("*"+from+",", 9) + "]}\n"
		}
		return s
	}() + "paths: {/a: *u}\n",
	"a merge of itself":       "openapi: 3.0.0\npaths: &p {<<: *p}\n",
	"an alias in itself":      "openapi: 3.0.0\npaths: {/a: {get: &g {tags: [*g]}}}\n",
	"references in a circle":  "openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1b'}, /b: {$ref: '#/paths/~1a'}}\n",
	"a reference to itself":   "openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}}\n",
	"a reference to the file": "openapi: 3.0.0\npaths: {/a: {$ref: 'api.yaml'}}\n",
	"schemas in a circle":     "openapi: 3.0.0\npaths: {}\ncomponents: {schemas: {A: {properties: {b: {$ref: '#/components/schemas/A'}}}}}\n",
	"deep lists":              "openapi: 3.0.0\nx: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "\n",
	"deep lists in JSON":      `{"openapi":"3.0.0","x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}",
	"deep mappings":           "openapi: 3.0.0\nx: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000) + "\n",
	"many keys":               "openapi: 3.0.0\npaths: {}\nx:\n" + lines(300000, func(i string) string { return "  k" + i + ": 1\n" }),
	"many keys in JSON":       `{"openapi":"3.0.0","paths":{` + lines(100000, func(i string) string { return `"/` + i + `":{},` }) + `"/":{}}}`,
	"references into many keys": "openapi: 3.0.0\npaths:\n" + lines(100000, func(i string) string { return "  /" + i + ": {$ref: '#/x/k" + i + "'}\n" }) +
		"x:\n" + lines(100000, func(i string) string { return "  k" + i + ": {get: {}}\n" }),
	"many servers": "openapi: 3.0.0\nservers:\n" + lines(100000, func(i string) string { return "- {url: /" + i + "}\n" }) + "paths:\n" +
		lines(10000, func(i string) string { return "  /" + i + ": {get: {}}\n" }),
	"variables of variables": "openapi: 3.0.0\npaths: {/a: {get: {}}}\nservers: [{url: '/{v0}', variables: {" + func() (s string) {
		for i := range 40 {
			s += fmt.Sprintf("v%d: {default: '{v%d}{v%[2]d}'}, ", i, i+1)
		}
		return s
	}() + "}}]\n",
	"a variable many times":         "openapi: 3.0.0\npaths: {/a: {get: {}}}\nservers: [{url: '/" + strings.Repeat("{v}", 1e6) + "', variables: {v: {default: '" + strings.Repeat("x", 1e6) + "'}}}]\n",
	"a parameter that isn't closed": "openapi: 3.0.0\npaths: {'/" + strings.Repeat("{a", 1e6) + "': {get: {}}}\n",
	"alternatives": "openapi: 3.0.0\npaths: {/a: {get: {security: [" +
		strings.Repeat("{o: [a,b,c,d,e,f,g,h]}, {o: [i,j,k,l,m,n,o,p]}, {o: [q,r,s,t,u,v,w,x]},", 100) + "]}}}\n",
}

// lines returns a line for each number, which is given as a text.
func lines(n int, line func(i string) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(strconv.Itoa(i)))
	}
	return b.String()
}

// readAndExpand does with a document what a gate does. It takes for ever if the
// test does.
func readAndExpand(t *testing.T, spec []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "api.yaml")
	if err := os.WriteFile(file, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Read(file)
	if err == nil {
		_, err = d.routes(policy.OpenAPIConfig{File: file, Base: "/", Default: "any"})
	}
	if err != nil && strings.TrimSpace(err.Error()) == "" {
		t.Error("an error without a text")
	}
}

func TestBombs(t *testing.T) {
	for name, spec := range bombs {
		t.Run(name, func(t *testing.T) { readAndExpand(t, []byte(spec)) })
	}
}

// FuzzRead: no document makes the reader panic or takes it for ever, and what it
// reads becomes routes or errors.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"stories.yaml", "parts/assets.yaml"} {
		spec, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(spec)
	}
	for _, spec := range bombs {
		if len(spec) < 4096 {
			f.Add([]byte(spec))
		}
	}
	f.Add([]byte(`{"openapi":"3.2.0","$self":"http://x","paths":{"/a":{"query":{"security":[{"a":["b"]},{}]},"additionalOperations":{"COPY":{}}}}}`))
	f.Fuzz(readAndExpand)
}
