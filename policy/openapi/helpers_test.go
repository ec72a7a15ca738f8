package openapi

import (
	"os"
	"strings"
	"testing"

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
