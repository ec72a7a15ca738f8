package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

// compiled adapts the block of a site's directive and returns its gate.
func compiled(t *testing.T, block string) *Handler {
	t.Helper()
	body, err := adapt("http://api.example.com {\n" + block + "\n}\n")
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, block)
	}
	c, err := parseConfiguration([]byte(body))
	if err != nil || len(c.sites) != 1 {
		t.Fatalf("reading what was adapted: %v, %d sites", err, len(c.sites))
	}
	return c.sites[0].gate
}

// tableOf returns a policy's routes, sorted, without the places they are written, and those
// of tokens, of which import says more than openapi.
func tableOf(p *policy.Policy) []string {
	var lines []string
	for _, r := range p.Routes() {
		info := r.Info()
		info.At, info.From = "", nil
		info.Pattern = strings.TrimSuffix(info.Pattern, "/")
		lines = append(lines, fmt.Sprint(info))
	}
	slices.Sort(lines)
	return lines
}

// runPolicy runs a policy command and returns what it prints.
func runPolicy(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return told(t, "", append([]string{"policy"}, args...)...)
}

// TestCheckComparesDocuments: what check says of policies beside documents.
func TestCheckComparesDocuments(t *testing.T) {
	file, err := filepath.Abs("testdata/openapi/api.yaml")
	if err != nil {
		t.Fatal(err)
	}
	byHand := `patgate {
	group /api {
		route GET /health public
		route * /{space}/books/* any
		route GET /{space}/book any
		route GET /me? any
	}
	route GET /elsewhere any
}`
	whole := "patgate {\nopenapi " + file + " {\ndefault any\nskip health\n}\nroute GET /api/me/passwords any\nroute GET /api/me?full any\n}"
	opened := "patgate {\nopenapi " + file + " {\ndefault any\noperation health public\noperation listBooks public\n}\n}"
	for _, test := range []struct {
		block string
		args  []string
		want  []string
		not   string
	}{
		{opened, nil, nil, "listBooks"},
		{opened, []string{"--openapi", file}, nil, "listBooks"},
		{opened, []string{"--openapi", file, "--base", "/v2"}, []string{
			"operation listBooks (GET /v2/{space}/books) of api.yaml: no route covers it\n",
		}, "the document asks for a token"},
		{whole, nil, []string{
			file + ":9: warning: operation health (GET /api/health) of api.yaml: no route covers it\n",
			"Caddyfile:7: warning: route GET /api/me/passwords: no operation of api.yaml has it\n",
		}, "/me?full"},
		{strings.Replace(byHand, "/me? ", "/me ", 1), []string{"--openapi", file}, []string{
			file + ":11: warning: operation listBooks (GET /api/{space}/books) of api.yaml: no route covers it\n",
			file + ":23: warning: operation setPassword (PUT /api/me/password) of api.yaml: no route covers it\n",
			"warning: route GET /api/{space}/book: no operation of api.yaml has it\n",
		}, "elsewhere"},
		{strings.Replace(byHand, "/me? ", "/me ", 1), []string{"--openapi", file, "--base", "/v2"}, []string{
			"operation health (GET /v2/health) of api.yaml: no route covers it\n",
		}, "no operation"},
		{strings.Replace(byHand, "/me? ", "/me ", 1), nil, nil, "api.yaml"},
	} {
		caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(caddyfile, []byte("http://api.example.com {\n"+test.block+"\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, stderr, err := runPolicy(t, append([]string{"check", "--config", caddyfile}, test.args...)...)
		if err != nil {
			t.Errorf("check %v: %v %s", test.args, err, stderr)
		}
		for _, line := range test.want {
			if !strings.Contains(out, line) {
				t.Errorf("check %v prints\n%swant %s", test.args, out, line)
			}
		}
		if test.not != "" && strings.Contains(out, test.not) {
			t.Errorf("check %v prints\n%swithout %s", test.args, out, test.not)
		}
	}
}

// What would be passed over isn't taken.
func TestCheckWithoutDocuments(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /a any\n\t}\n}\n")
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--site", "bogus"}, "--site: only with --openapi"},
		{[]string{"--site", "a.test"}, "--site: only with --openapi"},
		{[]string{"--base", "/x", "--site", "a.test"}, "--base and --site: only with --openapi"},
	} {
		out, stderr, err := runPolicy(t, append([]string{"check", "--config", caddyfile}, test.args...)...)
		if refused := test.want != ""; (err != nil) != refused || (out == "") != refused || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "--help") != refused {
			t.Errorf("check %v: %v, prints %q and %q, want %s", test.args, err, out, stderr, test.want)
		}
	}
}

// Where the servers of a document say no base, check says how to.
func TestCheckWithoutBase(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /a any\n\t}\n}\n")
	file := writeFile(t, "api.yaml", "openapi: 3.0.0\nservers: [{url: 'https://api.example.com/{account}'}]\npaths: {/a: {get: {operationId: a}}}\n")
	args := []string{"check", "--config", caddyfile, "--openapi", file}
	want := file + `:3: operation a: server "https://api.example.com/{account}": want a path whose variables have defaults: write --base <path>`
	if _, stderr, err := runPolicy(t, args...); err == nil || !strings.Contains(stderr, want) {
		t.Errorf("check prints %q (%v), want %s", stderr, err, want)
	}
	if out, stderr, err := runPolicy(t, append(args, "--base", "/")...); err != nil || strings.Contains(out, "no route") {
		t.Errorf("check --base prints %q and %q (%v)", out, stderr, err)
	}
}

// TestDocumentBesideTheCaddyfile: the file is found wherever the server is
// started, and so it is after a reload from elsewhere.
func TestDocumentBesideTheCaddyfile(t *testing.T) {
	for caddyfile, want := range map[string]string{
		"/etc/caddy/Caddyfile":                      "/etc/caddy/sub/api.yaml",
		"/etc/caddy/Caddyfile:7 (import snippet)":   "/etc/caddy/sub/api.yaml",
		"/etc/caddy/sites/a:3 (import ../a/b.x)":    "/etc/caddy/sites/sub/api.yaml",
		"/etc/caddy/sites/../other/Caddyfile":       "/etc/caddy/other/sub/api.yaml",
		"/etc/caddy/Caddyfile (import and/slashes)": "/etc/caddy/sub/api.yaml",
	} {
		if got, err := beside(caddyfile, "sub/api.yaml"); got != filepath.FromSlash(want) || err != nil {
			t.Errorf("beside(%s) = %s, %v, want %s", caddyfile, got, err, want)
		}
	}
	if got, err := beside("/etc/caddy/Caddyfile", "/srv/../api.yaml"); got != "/api.yaml" || err != nil {
		t.Errorf("beside of an absolute name = %s, %v", got, err)
	}
}
