package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/policy/openapi"
)

// TestImportedRoutes: what import prints has the routes that openapi makes.
func TestImportedRoutes(t *testing.T) {
	documents := []string{"testdata/openapi/api.yaml", "../policy/openapi/testdata/stories.yaml"}
	real, _ := filepath.Glob("../../shared/systems/openapi/*.yaml")
	if len(real) == 0 {
		t.Log("the documents of real systems aren't here")
	}
	for _, file := range append(documents, real...) {
		direct := compiled(t, "patgate {\nopenapi "+file+" {\nbase /v9\ndefault some:scope\n}\n}")
		snippet, stderr, err := runPolicy(t, "import", file, "--base", "/v9", "--default", "some:scope")
		if err != nil {
			t.Errorf("%s: %v %s", file, err, stderr)
			continue
		}
		imported := compiled(t, snippet)
		if got, want := tableOf(imported.policy), tableOf(direct.policy); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s: imported:\n%s\nwant:\n%s\nsnippet:\n%s", file, strings.Join(got, "\n"), strings.Join(want, "\n"), snippet)
		}
	}
}

func TestImport(t *testing.T) {
	got, _, err := runPolicy(t, "import", "testdata/openapi/api.yaml", "--ignore", "browser")
	want := `# Library 1 (api.yaml): 7 operations.
# 1 operation is closed (never) until you say what is needed: the document doesn't.
patgate {
	default deny
	group /api {
		# health: Whether it works
		route GET /health public
		group /{space}/books {
			# listBooks: List the books
			route GET / books:read {
				optional
			}
			# addBook
			route POST / books:write
			# readBook
			route GET /{book_id} books:read
			route DELETE /{book_id} books:write|admin books:delete|admin
		}
		# whoAmI
		# EDIT: security scheme key names no scopes
		route GET /me never
		# setPassword
		route PUT /me/password never
	}
}
`
	if got != want || err != nil {
		t.Errorf("import prints (%v):\n%s\nwant:\n%s", err, got, want)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"import"}, "want OPENAPI-FILE, got 0 arguments"},
		{[]string{"import", "none.yaml"}, "reading an OpenAPI document: open none.yaml"},
		{[]string{"import", "testdata/openapi/api.yaml", "--scheme", "key"}, `--scheme "key": want a name and a requirement`},
		{[]string{"import", "testdata/openapi/api.yaml", "--ignore", "kay"}, "ignore kay: the document has no such security scheme"},
	} {
		if out, stderr, err := runPolicy(t, test.args...); err == nil || out != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%v prints %q and %q (%v), want %s", test.args, out, stderr, err, test.want)
		}
	}
	if out, _, err := runPolicy(t, "import", "testdata/openapi/api.yaml", "--json", "--scheme", "key any", "--ignore", "browser"); err != nil ||
		!strings.Contains(out, `"pattern":"/api/me"`) {
		t.Errorf("import --json prints %q (%v)", out, err)
	}
}

// That no route is in a space is said only where none is: {space} needs no word more.
func TestImportOfSpaces(t *testing.T) {
	for path, want := range map[string]bool{"/spaces/{space}/x": false, "/spaces/{id}/x": true, "/x": false} {
		file := writeFile(t, "api.yaml", "openapi: 3.0.0\npaths: {'"+path+"': {get: {}}}\n")
		snippet, stderr, err := runPolicy(t, "import", file, "--default", "some:scope")
		if got := strings.Contains(snippet, "# No route is in a space"); err != nil || got != want {
			t.Errorf("%s: says so: %t, want %t: %v %s\n%s", path, got, want, err, stderr, snippet)
		}
	}
}

// What a document has that no policy can is printed, and told of, also beside
// operations that are closed or can't be a route.
func TestImportSaysMistakes(t *testing.T) {
	for _, others := range []string{"", "  /open: {get: {responses: {}}}\n", "  /b/{x}y{z}: {get: {security: [{o: [r]}], responses: {}}}\n"} {
		file := writeFile(t, "api.yaml", `openapi: 3.0.0
info: {title: x, version: "1"}
components: {securitySchemes: {o: {type: oauth2, flows: {}}}}
paths:
  /a/{x}: {get: {operationId: one, security: [{o: [r]}], responses: {}}}
  /a/{y}: {get: {operationId: two, security: [{o: [w]}], responses: {}}}
  /c: {trace: {operationId: three, security: [{o: [r]}], responses: {}}}
`+others)
		out, stderr, err := runPolicy(t, "import", file)
		const trace = "# three\n\t# EDIT: method TRACE: never let through; a WebSocket over HTTP/2 counts as GET\n\t# TRACE /c\n"
		if err != nil || !strings.Contains(out, "route GET /a/{x} r") || !strings.Contains(out, trace) {
			t.Errorf("with %q, import prints %q (%v)", others, out, err)
		}
		for _, want := range []string{"To be mended before it can be used:\n", "route GET /a/{y} can't be told apart from GET /a/{x}"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("with %q, import says %q, want %q", others, stderr, want)
			}
		}
	}
}

// What import says names its flags, not the words of a Caddyfile, and a scheme's
// name may have blanks.
func TestImportFlags(t *testing.T) {
	file := writeFile(t, "api.yaml", `openapi: 3.0.0
info: {title: x, version: "1"}
servers: [{url: /a}, {url: /b}]
security: [{API key: []}]
paths: {/a: {get: {operationId: a}}, /b: {get: {}}}
`)
	for _, test := range []struct{ flags, want string }{
		{"", "operation a (" + file + ":5) and 1 other: its servers have different paths (/a, /b): write --base <path>\n"},
		{"--base=a", "import: --base a: want a path"},
		{"--default=a||b", `import: --default: requirement "a||b"`},
		{"--ignore=API keys", "import: --ignore API keys: the document has no such security scheme; did you mean API key?"},
		{"--scheme=API key any", "import: --scheme API: the document has no such security scheme"},
		{`--scheme="API key"`, "want a name and a requirement"},
	} {
		args := []string{"import", file}
		if test.flags != "" {
			args = append(args, test.flags)
		}
		if out, stderr, err := runPolicy(t, args...); err == nil || out != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s prints %q and %q (%v), want %s", test.flags, out, stderr, err, test.want)
		}
	}
	for _, scheme := range []string{`"API key" a b|c`, "`API key`  a b|c"} {
		if out, stderr, err := runPolicy(t, "import", file, "--base", "/", "--scheme", scheme); err != nil || stderr != "" || !strings.Contains(out, "route GET /b a b|c\n") {
			t.Errorf("--scheme '%s' prints %q and %q (%v)", scheme, out, stderr, err)
		}
	}
}

// Where the default takes a token in place of another credential of the document, import
// says so at the operation, and how many there are.
func TestImportDoubts(t *testing.T) {
	file := writeFile(t, "api.yaml", `openapi: 3.0.0
info: {title: x, version: "1"}
components:
  securitySchemes:
    session: {type: apiKey, in: cookie, name: sid}
    client cert: {type: mutualTLS}
    key: {type: apiKey, in: header, name: Authorization}
    oauth: {type: oauth2, flows: {}}
    host: {type: apiKey, in: header, name: Host}
    proof: {type: http, scheme: Digest}
paths:
  /h: {get: {operationId: h, security: [{host: []}], responses: {}}}
  /i: {get: {operationId: i, security: [{proof: []}], responses: {}}}
  /a: {post: {operationId: a, security: [{session: []}], responses: {}}}
  /b: {get: {operationId: b, security: [{client cert: []}, {session: []}, {oauth: [w]}], responses: {}}}
  /c: {get: {operationId: c, security: [{lost: []}], responses: {}}}
  /d: {get: {operationId: d, security: [{session: [], oauth: [w]}], responses: {}}}
  /e: {get: {operationId: e, security: [{session: []}, {key: []}], responses: {}}}
  /f: {get: {operationId: f, security: [{key: []}, {oauth: [w]}], responses: {}}}
  /g: {get: {operationId: g, security: [{session: []}, {}], responses: {}}}
`)
	const doubt = "\t# EDIT: the document asks for %s, for which --default takes a token; %s makes this %s\n\troute %s any\n"
	want := []string{
		fmt.Sprintf(doubt, "session (a cookie)", "--ignore session", "never", "POST /a"),
		fmt.Sprintf(doubt, "client cert (a client certificate) or session (a cookie)", "--ignore `client cert` --ignore session", "w", "GET /b"),
		fmt.Sprintf(doubt, "lost (declared nowhere)", "--ignore lost", "never", "GET /c"),
		fmt.Sprintf(doubt, "host (header Host, where no token can be)", "--ignore host", "never", "GET /h"),
		fmt.Sprintf(doubt, "proof (a proof that is made for each request)", "--ignore proof", "never", "GET /i"),
		"\t# d\n\troute GET /d w\n\t# e\n\troute GET /e any\n\t# f\n\troute GET /f any\n\t# g\n\troute GET /g any {\n",
	}
	out, stderr, err := runPolicy(t, "import", file, "--default", "any")
	for _, text := range want {
		if !strings.Contains(out, text) {
			t.Errorf("import prints\n%swant %s", out, text)
		}
	}
	if said := "5 routes: --default takes a token where the document asks for another credential; see EDIT\n"; err != nil || stderr != said || strings.Contains(out, "closed") || strings.Contains(out, "token_from") {
		t.Errorf("import (%v) prints %q and says %q, want %q", err, out, stderr, said)
	}
	// What is said of a scheme is meant.
	out, stderr, err = runPolicy(t, "import", file, "--default", "any", "--scheme", "session any", "--ignore", "client cert", "--ignore", "lost", "--ignore", "host", "--ignore", "proof")
	if err != nil || strings.Contains(out+stderr, "another credential") || strings.Contains(out, "for which --default") {
		t.Errorf("import with --scheme and --ignore (%v) prints\n%sand says %q", err, out, stderr)
	}
	if out, _, err := runPolicy(t, "import", file, "--default", "any", "--json"); err != nil || !strings.Contains(out, "--ignore session makes this never") {
		t.Errorf("import --json prints %s (%v)", out, err)
	}
}

// Where tokens are elsewhere than the gate expects them, import says where.
func TestImportTokenFrom(t *testing.T) {
	file := writeFile(t, "api.yaml", `openapi: 3.0.0
info: {title: x, version: "1"}
components: {securitySchemes: {key: {type: apiKey, in: header, name: x-api-key}, old: {type: apiKey, in: query, name: key}}}
paths: {/a: {get: {security: [{key: []}, {old: []}], responses: {}}}}
`)
	out, _, err := runPolicy(t, "import", file, "--default", "any")
	if want := "\tdefault deny\n\ttoken_from header X-Api-Key\n\ttoken_from query key\n\troute GET /a any\n"; err != nil || !strings.Contains(out, want) {
		t.Errorf("import prints %q (%v), want %q in it", out, err, want)
	}
	out, _, err = runPolicy(t, "import", file, "--default", "any", "--json")
	if want := `"token_from":["header X-Api-Key","query key"]`; err != nil || !strings.Contains(out, want) {
		t.Errorf("import --json prints %s (%v), want %s in it", out, err, want)
	}
}

// A request carries one token: import says where a document asks for several.
func TestImportSeveralTokens(t *testing.T) {
	file := writeFile(t, "api.yaml", `openapi: 3.0.0
info: {title: x, version: "1"}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
    app: {type: apiKey, in: header, name: X-App}
    sid: {type: apiKey, in: cookie, name: sid}
    oauth: {type: oauth2, flows: {}}
    jwt: {type: http, scheme: bearer}
paths:
  /a: {get: {security: [{key: [], app: []}], responses: {}}}
  /b: {get: {security: [{key: []}, {app: []}], responses: {}}}
  /c: {get: {security: [{oauth: [w], jwt: []}], responses: {}}}
  /d: {get: {security: [{oauth: [w], sid: []}], responses: {}}}
`)
	const note = "\t# EDIT: the document asks for key and app in one request, and a request with two tokens is refused; --ignore says which is none\n"
	out, stderr, err := runPolicy(t, "import", file, "--default", "any")
	if want := note + "\troute GET /a any\n\troute GET /b any\n\troute GET /c w\n\troute GET /d w\n"; err != nil || !strings.Contains(out, want) {
		t.Errorf("import (%v) prints\n%swant\n%s", err, out, want)
	}
	if want := "1 route: the document asks for several tokens in one request, which is refused; see EDIT\n"; stderr != want {
		t.Errorf("import says %q, want %q", stderr, want)
	}
	out, stderr, err = runPolicy(t, "import", file, "--default", "any", "--ignore", "app")
	if err != nil || stderr != "" || strings.Contains(out, "EDIT") || strings.Contains(out, "X-App") {
		t.Errorf("import --ignore app (%v) prints\n%sand says %q", err, out, stderr)
	}
}

// The first lines of a snippet count what is in the document, and what there is to do.
func TestImportCounts(t *testing.T) {
	const some, open, odd = "  /a%d: {get: {security: [{o: [r]}], responses: {}}}\n", "  /b%d: {get: {responses: {}}}\n", "  /c%d{x}y{z}: {get: {security: [{o: [r]}], responses: {}}}\n"
	for _, test := range []struct {
		paths []string
		want  []string
	}{
		{[]string{some}, []string{"# x 1 (api.yaml): 1 operation."}},
		{[]string{open}, []string{"# x 1 (api.yaml): 1 operation.", "# 1 operation is closed (never) until you say what is needed: the document doesn't."}},
		{[]string{some, open, open, odd}, []string{
			"# x 1 (api.yaml): 4 operations.", "# 2 operations are closed (never) until you say what is needed: the document doesn't.",
			"# 1 operation can't be written as a route: see the comments.",
		}},
	} {
		text := "openapi: 3.0.0\ninfo: {title: x, version: \"1\"}\ncomponents: {securitySchemes: {o: {type: oauth2, flows: {}}}}\npaths:\n"
		for i, path := range test.paths {
			text += fmt.Sprintf(path, i)
		}
		out, stderr, err := runPolicy(t, "import", writeFile(t, "api.yaml", text))
		if want := strings.Join(test.want, "\n") + "\npatgate {\n"; err != nil || stderr != "" || !strings.HasPrefix(out, want) {
			t.Errorf("import prints (%v) %q and %q, want it to begin with %q", err, out, stderr, want)
		}
	}
}

// FuzzImport: what import prints of a document is a Caddyfile with the routes
// that openapi makes of it, whatever its names, paths and summaries are.
func FuzzImport(f *testing.F) {
	for _, file := range []string{"testdata/openapi/api.yaml", "../policy/openapi/testdata/stories.yaml"} {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte("openapi: 3.0.0\npaths: {'/a%20b/{c\"d}/`': {get: {operationId: \"x\\n} \\u2028{$HOME}\", summary: '#{', security: [{o: ['#x', '<<a', '`b', '{', '{env.X}']}]}}}\n"))
	f.Add([]byte("openapi: 3.0.0\npaths: {'/a/b?op=list': {get: {}}, /a/b: {get: {}}, /a/c: {get: {}}}\n"))
	f.Fuzz(func(t *testing.T, spec []byte) {
		file := filepath.Join(t.TempDir(), "api.yaml")
		if err := os.WriteFile(file, spec, 0o600); err != nil {
			t.Fatal(err)
		}
		c := policy.OpenAPIConfig{File: file, Base: "/v1", Default: "some:scope"}
		expanded, err := openapi.Expand(policy.Config{OpenAPI: []policy.OpenAPIConfig{c}})
		if err != nil {
			return
		}
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		direct, err := policy.Compile(expanded, catalog)
		if err != nil {
			return
		}
		d, err := openapi.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		var snippet strings.Builder
		if _, err := d.WriteSnippet(&snippet, c); err != nil {
			return
		}
		imported := compiled(t, snippet.String())
		if got, want := tableOf(imported.policy), tableOf(direct); !slices.Equal(got, want) {
			t.Errorf("imported:\n%s\nwant:\n%s\nsnippet:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), &snippet)
		}
	})
}

// As JSON, too, an operation that nothing is said of is closed, and what there is to
// edit is told.
func TestImportAsJSON(t *testing.T) {
	file := writeFile(t, "api.yaml", `openapi: 3.0.0
info: {title: t, version: "1"}
components:
  securitySchemes:
    bearerAuth: {type: http, scheme: bearer}
    oauth: {type: oauth2, flows: {}}
paths:
  /a:
    get: {security: [{oauth: [a:read]}], responses: {}}
  /b:
    get: {security: [{bearerAuth: []}], responses: {}}
`)
	stdout, stderr, err := runPolicy(t, "import", file, "--json")
	want := `{"edit":[{"at":"` + file + `:11","operation":"GET /b","note":"security scheme bearerAuth names no scopes"}],` +
		`"routes":[{"methods":["GET"],"pattern":"/a","require":"a:read","at":"` + file + `:9"},` +
		`{"methods":["GET"],"pattern":"/b","require":"never","at":"` + file + `:11"}]}`
	if strings.TrimSpace(stdout) != want || err != nil {
		t.Errorf("got %s (%v) %s\nwant %s", stdout, err, stderr, want)
	}
}
