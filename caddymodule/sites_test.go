package caddymodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Several gates may stand in one site, and a host may be served on several ports:
// which one is meant has to be said, and what is printed has the same order always.
func TestSeveralGates(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", `http://a.test:8080 {
	handle /a/* {
		patgate {
			default deny
			route GET /a/x any
		}
	}
	patgate {
		default deny
		route GET /a/x public
	}
}
http://b.test:8080 {
	patgate {
		default deny
		mode report
		route GET /b any
	}
}
http://a.test:8081 {
	patgate {
		default deny
		route GET /a/x never
	}
}
`)
	for _, row := range []struct {
		url, site string
		want      string // what the explanation, or the error, says
	}{
		{"http://b.test/b", "", "needs       any"},
		{"/b", "b.test", "needs       any"},
		{"/b", "", "several gates could be meant (a.test on port 8080, "},
		{"http://a.test:8081/a/x", "", "needs       never"},
		{"/a/x", "a.test:8081", "needs       never"},
		{"http://b.test:80/b", "", "needs       any"},
		{"http://a.test:8080/a/x", "", "a.test has several gates (" + caddyfile + ":8; " + caddyfile + ":3)"},
		{"http://a.test/a/x", "", "a.test has several gates (" + caddyfile + ":8; " + caddyfile + ":3; " + caddyfile + ":21)"},
		{"/a/x", "a.test", "a.test has several gates"},
		{"/a/x", caddyfile + ":3", "needs       any"},
		{"http://a.test/a/x", caddyfile + ":8", "needs       public"},
		{"/a/x", caddyfile + ":21", "needs       never"},
		{"/a/x", caddyfile + ":9", "no site with patgate serves"},
	} {
		for range 5 {
			stdout, stderr, _ := runPolicy(t, "explain", "--config", caddyfile, "--site", row.site, "GET", row.url)
			if !strings.Contains(stdout+stderr, row.want) {
				t.Errorf("explain %s, site %q:\n%s%swant %s", row.url, row.site, stdout, stderr, row.want)
			}
		}
	}
	table, stderr, err := runPolicy(t, "routes", "--config", caddyfile)
	for _, want := range []string{"any (report)", "deny (report)", "a.test on port 8080, " + caddyfile + ":3\n", "a.test on port 8080, " + caddyfile + ":8\n"} {
		if err != nil || strings.Count(table, want) != 1 {
			t.Errorf("routes: %v %s\n%swant %s once", err, stderr, table, want)
		}
	}
	asJSON, stderr, err := runPolicy(t, "routes", "--config", caddyfile, "--json")
	for _, want := range []string{
		`"at":"` + caddyfile + `:3","hosts":["a.test"],"ports":["8080"],"default":"deny","routes"`,
		`"at":"` + caddyfile + `:14","hosts":["b.test"],"ports":["8080"],"default":"deny","default_report":true,"routes"`,
		`"at":"` + caddyfile + `:21","hosts":["a.test"],"ports":["8081"],`,
	} {
		if err != nil || strings.Count(asJSON, want) != 1 {
			t.Errorf("routes --json: %v %s\n%swant %s once", err, stderr, asJSON, want)
		}
	}
	for range 5 {
		if again, _, _ := runPolicy(t, "routes", "--config", caddyfile); again != table {
			t.Fatalf("routes prints\n%sand then\n%s", table, again)
		}
	}
}

// A snippet with arguments makes several gates of one place: none of them is taken for another,
// and each can be meant.
func TestGatesOfASnippet(t *testing.T) {
	const snippet = "(gate) {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /x {args[0]}\n\t}\n}\n"
	const handles = "http://a.test {\n\thandle /a/* {\n\t\timport gate a:r\n\t}\n\thandle /b/* {\n\t\timport gate b:r\n\t}\n\timport gate a:r\n}\n"
	file := writeFile(t, "Caddyfile", snippet+handles+"http://b.test {\n\timport gate c:r\n}\n")
	same := writeFile(t, "Caddyfile", snippet+strings.ReplaceAll(handles, "b:r", "a:r")+"http://b.test:81 {\n\timport gate a:r\n}\n")
	for _, row := range []struct{ file, site, url, want string }{
		{file, "", "http://b.test/x", "needs       c:r"},
		{file, "", "http://a.test/x", "a.test has several gates (" + file + ":2#1; " + file + ":2#2)"},
		{file, file + ":2", "/x", "several gates are made of what is written at " + file + ":2 (a.test, " + file + ":2#1; "},
		{file, file + ":2#1", "/x", "needs       a:r"},
		{file, file + ":2#2", "/x", "needs       b:r"},
		{file, file + ":2#3", "/x", "needs       c:r"},
		{file, file + ":2#4", "/x", "no site with patgate serves"},
		{same, "", "http://a.test/x", "needs       a:r"},
		{same, same + ":2", "/x", "needs       a:r"},
	} {
		stdout, stderr, _ := runPolicy(t, "explain", "--config", row.file, "--site", row.site, "GET", row.url)
		if !strings.Contains(stdout+stderr, row.want) {
			t.Errorf("explain %s, site %q:\n%s%swant %s", row.url, row.site, stdout, stderr, row.want)
		}
	}
	if table, stderr, err := runPolicy(t, "routes", "--config", file); err != nil || strings.Count(table, "a.test, "+file+":2#2\n") != 1 {
		t.Errorf("routes: %v %s\n%s", err, stderr, table)
	}
}

// Gates in JSON have a place only if "at" says it. Without, the policy commands name the
// server, and none of them is taken for another.
func TestGatesInJSON(t *testing.T) {
	config := func(at string) string {
		gate := func(path, requirement, at string) string {
			return `{"match":[{"host":["a.test"],"path":["` + path + `"]}],"terminal":true,"handle":[{"handler":"patgate",` + at +
				`"default":"deny","routes":[{"methods":["GET"],"pattern":"/x","require":"` + requirement + `"}]}]}`
		}
		return writeFile(t, "gates.json", `{"apps":{"http":{"servers":{"s":{"listen":[":80"],"routes":[`+gate("/x", "any", at)+","+gate("/y", "public", "")+`]}}}}}`)
	}
	for _, row := range []struct{ file, site, want string }{
		{config(""), "", `a.test has several gates (server s#1; server s#2): say which one`},
		{config(""), "server s#2", "needs       public"},
		{config(`"at":"first:1",`), "", `a.test has several gates (first:1; server s): say which one`},
		{config(`"at":"first:1",`), "first:1", "needs       any"},
	} {
		stdout, stderr, _ := runPolicy(t, "explain", "--config", row.file, "--site", row.site, "GET", "http://a.test/x")
		if !strings.Contains(stdout+stderr, row.want) {
			t.Errorf("explain, site %q:\n%s%swant %s", row.site, stdout, stderr, row.want)
		}
	}
	bare := func(server string) string {
		return `"` + server + `":{"listen":[":80"],"routes":[{"handle":[{"handler":"patgate"}]}]}`
	}
	file := writeFile(t, "servers.json", `{"apps":{"http":{"servers":{`+bare("one")+","+bare("two")+`}}}}`)
	stdout, stderr, err := runPolicy(t, "check", "--config", file)
	for _, want := range []string{"server one: warning: no default is written", "server two: warning: no default is written"} {
		if err != nil || !strings.Contains(stdout, want) {
			t.Errorf("check: %v %s\n%swant %s", err, stderr, stdout, want)
		}
	}
}

// A host is the same in Unicode and in ASCII, as clients send it, and in any case.
func TestInternationalHosts(t *testing.T) {
	file := writeFile(t, "Caddyfile", "http://Bücher.test, http://*.xn--bcher-kva.example {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /x a:r\n\t}\n}\n")
	for _, host := range []string{"bücher.test", "BÜCHER.test", "xn--bcher-kva.test", "api.bücher.example", "api.XN--BCHER-KVA.example"} {
		if got, stderr, err := runPolicy(t, "explain", "--config", file, "GET", "http://"+host+"/x"); err != nil || !strings.Contains(got, "needs       a:r") {
			t.Errorf("explain http://%s/x: %v %s\n%s", host, err, stderr, got)
		}
	}
}

// A gate in a named route is on the sites that invoke it, once on each, and on those alone.
func TestGatesOfNamedRoutes(t *testing.T) {
	const named = "&(gate) {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /x a:r\n\t}\n}\n&(more) {\n\troute {\n\t\turi strip_prefix /v1\n\t\tinvoke gate\n\t}\n}\n"
	const a, b = "http://a.test {\n\tinvoke /a/* gate\n\tinvoke /b/* gate\n}\n", "http://b.test {\n\tinvoke more\n}\n"
	loop := "&(gate) {\n\troute {\n\t\tpatgate {\n\t\t\tdefault deny\n\t\t\troute GET /x a:r\n\t\t}\n\t\tinvoke gate\n\t}\n}\nhttp://c.test {\n\tinvoke gate\n}\n"
	for _, row := range []struct {
		text  string
		sites []string
	}{
		{named + a, []string{"a.test"}},
		{named + a + b, []string{"a.test", "b.test (rewritten)"}},
		{named, nil}, // Caddy leaves out what isn't invoked
		{loop, []string{"c.test"}},
	} {
		c, err := readConfiguration(writeFile(t, "Caddyfile", row.text), "", nil)
		if err != nil {
			t.Fatalf("%s: %v", row.text, err)
		}
		var sites []string
		for _, s := range c.sites {
			name := s.String()
			if s.Rewritten {
				name += " (rewritten)"
			}
			sites = append(sites, name)
		}
		if !slices.Equal(sites, row.sites) {
			t.Errorf("%s\nhas gates on %q, want %q", row.text, sites, row.sites)
		}
	}
	file := writeFile(t, "Caddyfile", named+a)
	for url, want := range map[string]string{"http://a.test/x": "needs       a:r", "http://typo.test/x": "no site with patgate serves typo.test"} {
		if stdout, stderr, _ := runPolicy(t, "explain", "--config", file, "GET", url); !strings.Contains(stdout+stderr, want) {
			t.Errorf("explain %s:\n%s%swant %s", url, stdout, stderr, want)
		}
	}
}

// A gate in error routes is one, and judges what has failed: of requests as they come, the
// others are asked.
func TestGatesInErrorRoutes(t *testing.T) {
	const site = "http://a.test {\n\tFIRST\n\trespond 404\n\thandle_errors {\n\t\tpatgate {\n\t\t\tdefault deny\n\t\t\troute GET /a b:c\n\t\t}\n\t\trespond x\n\t}\n}\n"
	alone := writeFile(t, "Caddyfile", strings.Replace(site, "FIRST\n", "", 1))
	got, stderr, err := runPolicy(t, "check", "--config", alone)
	if err != nil || !strings.HasSuffix(got, "1 site, 1 route, 0 warnings\n") {
		t.Errorf("%v %s\n%s", err, stderr, got)
	}
	both := writeFile(t, "Caddyfile", strings.Replace(site, "FIRST", "patgate {\n\t\tdefault deny\n\t\troute GET /a any\n\t}", 1))
	elsewhere := writeFile(t, "Caddyfile", strings.NewReplacer("FIRST\n", "", "a.test", "a.test:8080").Replace(site)+"http://a.test:8081 {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /a any\n\t}\n}\n")
	for file, want := range map[string]string{alone: "needs       b:c", both: "needs       any", elsewhere: "needs       any"} {
		for _, url := range []string{"http://a.test/a", "/a"} {
			if got, stderr, err := runPolicy(t, "explain", "--config", file, "GET", url); !strings.Contains(got, want) {
				t.Errorf("explain %s: %v %s\n%swant %s", url, err, stderr, got, want)
			}
		}
	}
}

// Behind patgate_authorize, a preflight needs a token, unless that is written out.
func TestAskedAboutPreflights(t *testing.T) {
	const site = "http:// {\n\tpatgate_authorize nginx\n\tpatgate {\n\t\tdefault deny\n\t\troute * /a any\n\t}\n}\n"
	asked := writeFile(t, "Caddyfile", site)
	written := writeFile(t, "Caddyfile", strings.Replace(site, "default deny", "default deny\n\t\tcors_preflight forward", 1))
	alone := writeFile(t, "Caddyfile", strings.Replace(site, "patgate_authorize nginx", "respond x", 1))
	for file, want := range map[string]string{asked: "token_missing", written: "a CORS preflight, which", alone: "a CORS preflight, which"} {
		got, stderr, err := runPolicy(t, "explain", "--config", file, "OPTIONS", "/a", "--header", "Origin: x", "--header", "Access-Control-Request-Method: GET")
		if !strings.Contains(got, want) {
			t.Errorf("explain: %v %s\n%swant %s", err, stderr, got, want)
		}
	}
	const want = "cors_preflight: forward -> deny\n1 difference, 0 changed scopes\n"
	if got, stderr, err := runPolicy(t, "diff", "--adapter", "caddyfile", alone, asked); err != nil || got != want {
		t.Errorf("diff: %v %s\n%swant\n%s", err, stderr, got, want)
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What goes past a route with a matcher is rewritten as it was, also where the
// configuration runs and nothing is known of the matcher.
func TestRewrittenBeforeRunningGates(t *testing.T) {
	g := gatedBy(t, whole(t, `{"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "routes": [
		{"handle": [{"handler": "rewrite", "strip_path_prefix": "/api"}]},
		{"match": [{"path": ["/ping"]}], "handle": [{"handler": "static_response"}]},
		{"handle": [{"handler": "patgate", "default": "any"}]}]}`), "gate")
	sites := runningSites(&caddyhttp.App{Servers: map[string]*caddyhttp.Server{"gate": g.server}})
	if len(sites) != 1 || !sites[0].Rewritten {
		t.Errorf("%+v, want one gate that requests come to rewritten", sites)
	}
}
