package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
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

// Several gates on a host are compared with those of the same requests, wherever a new one stands.
func TestDiffOfSeveralGates(t *testing.T) {
	handle := func(name string) string {
		return "\thandle /" + name + "/* {\n\t\tpatgate {\n\t\t\tdefault deny\n\t\t\troute GET /" + name + " " + name + ":r\n\t\t}\n\t}\n"
	}
	const rest = "\thandle {\n\t\tpatgate {\n\t\t\tdefault deny\n\t\t\troute GET /z z:r\n\t\t}\n\t}\n}\n"
	before := "http://a.test {\n" + handle("a") + handle("c") + rest
	for after, want := range map[string]string{
		before: "0 differences, 0 changed scopes\n",
		"http://a.test {\n" + handle("a") + handle("bb") + handle("c") + rest: `a.test {"path":["/bb/*"]}: only the new configuration has it` + "\n1 difference, 0 changed scopes\n",
		"http://a.test {\n" + handle("c") + rest:                              `a.test {"path":["/a/*"]}: only the old configuration has it` + "\n1 difference, 0 changed scopes\n",
		strings.Replace(before, "/c c:r", "/c any", 1):                        `a.test {"path":["/c/*"]}` + "\nGET /c: c:r -> any\n1 difference, 0 changed scopes\n",
		strings.Replace(before, "handle /c/*", "handle /d/*", 1):              `a.test {"path":["/d/*"]}` + "\n" + `matcher: {"path":["/c/*"]} -> {"path":["/d/*"]}` + "\n1 difference, 0 changed scopes\n",
	} {
		got, stderr, err := runPolicy(t, "diff", "--adapter", "caddyfile", writeFile(t, "Caddyfile", before), writeFile(t, "Caddyfile.new", after))
		if err != nil || got != want {
			t.Errorf("%v %s\n%swant\n%s", err, stderr, got, want)
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

func TestDiffOfConfigurations(t *testing.T) {
	const before = `http://a.test {
	patgate {
		default deny
		route GET /a a:b|c:d
	}
}
`
	site := func(settings string) string {
		return strings.Replace(before, "default deny", "default deny\n"+settings, 1)
	}
	for _, row := range []struct{ name, after, want string }{
		{"nothing", before, "0 differences, 0 changed scopes\n"},
		{"an order", strings.Replace(before, "a:b|c:d", "c:d|a:b", 1), "0 differences, 0 changed scopes\n"},
		{"other credentials", site("let_through cookie s\nlet_through scheme X"), "let_through: nothing -> cookie s, scheme X\n1 difference, 0 changed scopes\n"},
		{"how strict it is", site("encoded_slash allow\nsemicolon allow\ncors_preflight deny"),
			"cors_preflight: forward -> deny\nencoded_slash: reject -> allow\nsemicolon: reject -> allow\n3 differences, 0 changed scopes\n"},
		{"what becomes of tokens", site("unknown_token forward until 2031-01-01\nforward_token strip\nstream_check off"),
			"unknown_token: reject -> forward until 2031-01-01\nforward_token: keep -> strip\nstream_check: on -> off\n3 differences, 0 changed scopes\n"},
		{"what the upstream is told", site("identity_headers off"),
			"identity_headers: X-Patgate-Owner, X-Patgate-Token, X-Patgate-Space, X-Patgate-Scopes -> off\n1 difference, 0 changed scopes\n"},
		{"how it is signed", site("identity_headers signed {\naudience x\n}"),
			"identity_headers: X-Patgate-Owner, X-Patgate-Token, X-Patgate-Space, X-Patgate-Scopes -> signed in X-Patgate-Identity, from patgate to x, for 1m\n1 difference, 0 changed scopes\n"},
		{"a limit of all sites", "{\npatgate {\nunknown_token_limit off\n}\n}\n" + before, "unknown_token_limit: 20 1m -> off\n1 difference, 0 changed scopes\n"},
		{"a limit that is the default", "{\npatgate {\nunknown_token_limit 20 1m\n}\n}\n" + before, "0 differences, 0 changed scopes\n"},
		{"a default that is written", site("encoded_slash reject"), "0 differences, 0 changed scopes\n"},
		{"a matcher", strings.Replace(before, "patgate {", "patgate /a* {", 1), `matcher: none -> {"path":["/a*"]}` + "\n1 difference, 0 changed scopes\n"},
		{"a further site", before + strings.Replace(before, "a.test", "b.test", 1),
			"b.test: only the new configuration has it\n1 difference, 0 changed scopes\n"},
		{"a further port", strings.Replace(before, "a:b|c:d", "any", 1) + strings.Replace(before, "a.test", "a.test:81", 1),
			"a.test on port 80\nGET /a: a:b|c:d -> any\na.test on port 81: only the new configuration has it\n2 differences, 0 changed scopes\n"},
		{"another host", strings.Replace(before, "a.test", "b.test", 1),
			"b.test: the old configuration has it as a.test\n1 difference, 0 changed scopes\n"},
	} {
		file := writeFile(t, "Caddyfile", before)
		got, stderr, err := runPolicy(t, "diff", "--adapter", "caddyfile", file, writeFile(t, "Caddyfile.new", row.after))
		if err != nil || got != row.want {
			t.Errorf("%s: %v %s\n%swant\n%s", row.name, err, stderr, got, row.want)
		}
	}
}

// Which label of a host names the tenant is a matter of opinion where a host may have
// any number of them.
func TestCheckLabelOfAnyHost(t *testing.T) {
	for _, c := range []struct {
		site, settings string
		line           int // of the warning; 0: there is none
	}{
		{":8080", "route GET /a any {\n\t\t\tspace host.2\n\t\t}", 4}, {"http://", "route GET /a any {\n\t\t\tresource host.0\n\t\t}", 4},
		{"http://*.api.test", "route GET /a any {\n\t\t\tspace host.2\n\t\t}", 0}, {":8080", "route GET /a any", 0},
		{":8080", "default any\n\t\tspace host.2", 2},
	} {
		text := c.site + " {\n\tpatgate {\n\t\t" + "realm x\n\t\t" + c.settings + "\n\t}\n}\n"
		caddyfile := writeFile(t, "Caddyfile", text)
		got, stderr, err := runPolicy(t, "check", "--config", caddyfile)
		warned := strings.Contains(got, fmt.Sprintf("%s:%d: warning: route", caddyfile, c.line)) && strings.Contains(got, "this site is for every host")
		if err != nil || warned != (c.line > 0) {
			t.Errorf("%s: %v %s\n%s", text, err, stderr, got)
		}
	}
}

// Signed identities of two sites are told apart by what the sites say they are for.
func TestCheckAudiences(t *testing.T) {
	const site = "http://NAME.test {\n\tpatgate {\n\t\tSAID\n\t\tdefault deny\n\t\troute GET /a any\n\t}\n}\n"
	const signed = "identity_headers signed"
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{signed, signed, true},
		{signed, "", false},
		{signed, "realm b\n\t\t" + signed, false},
		{"realm a\n\t\t" + signed, "realm a\n\t\t" + signed, false}, // on purpose
		{signed + " {\n\t\t\taudience a\n\t\t}", signed, false},
	} {
		caddyfile := writeFile(t, "Caddyfile",
			strings.NewReplacer("NAME", "a", "SAID", c.a).Replace(site)+strings.NewReplacer("NAME", "b", "SAID", c.b).Replace(site))
		got, stderr, err := runPolicy(t, "check", "--config", caddyfile)
		if err != nil || strings.Contains(got, "warning: identities signed here are for the same audience as those of a.test, patgate") != c.want {
			t.Errorf("%q and %q: %v %s\n%swant a warning: %v", c.a, c.b, err, stderr, got, c.want)
		}
	}
}

// A case that can't be read is named by its line and its key.
func TestCasesOfOtherTypes(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\troute GET /a any\n\t}\n}\n")
	for text, want := range map[string]string{
		`{"method":"GET","path":"/a","scope":"any","space":1}`: "line 1: space: a JSON number doesn't belong here",
		`[]`: "line 1: a case: a JSON array doesn't belong here",
		`{"method":"GET","path":"/a","scope":"any"}` + "\n" + `{"method":"GET","path":"/a","scope":"any","scope":"any"}`: "line 2: scope is given twice",
		`{"method":"GET","path":"/a","scope":"any","note":{"scope":"x"},"scope":["b"]}`:                                  "line 1: scope is given twice",
	} {
		if _, stderr, err := runPolicy(t, "test", "--config", caddyfile, writeFile(t, "cases.jsonl", text)); err == nil || !strings.Contains(stderr, want) {
			t.Errorf("%s: %v %s, want %s", text, err, stderr, want)
		}
	}
}

// What failed is counted on standard error, too, as everything is that a command
// ends with.
func TestFailedCases(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\troute GET /a any\n\t}\n}\n")
	const good, bad = `{"method":"GET","path":"/a","scope":"any"}` + "\n", `{"method":"GET","path":"/a","scope":"public"}` + "\n"
	for _, test := range []struct{ cases, last, stderr string }{
		{good, "1 passed, 0 failed\n", ""},
		{bad, "0 passed, 1 failed\n", "patgate policy test: 1 of 1 case failed\n"},
		{bad + good + bad, "1 passed, 2 failed\n", "patgate policy test: 2 of 3 cases failed\n"},
	} {
		for _, asJSON := range []bool{false, true} {
			stdout, stderr, err := runPolicy(t, "test", "--config", caddyfile, writeFile(t, "cases.jsonl", test.cases), fmt.Sprint("--json=", asJSON))
			if (err == nil) != (test.stderr == "") || stderr != test.stderr || !asJSON && !strings.HasSuffix(stdout, test.last) {
				t.Errorf("test of %s: %v, %q and\n%swant %q and %s", test.cases, err, stderr, stdout, test.stderr, test.last)
			}
		}
	}
}

// Keys that say nothing may be there as often as they like.
func TestCasesWithNotes(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\troute GET /a any\n\t}\n}\n")
	cases := writeFile(t, "cases.jsonl", `{"method":"GET","path":"/a","scope":"any","note":{"scope":"x"},"Note":1,"note":[]}`)
	if _, stderr, err := runPolicy(t, "test", "--config", caddyfile, cases); err != nil {
		t.Errorf("%v %s", err, stderr)
	}
}

// noRoom is an output that takes nothing.
type noRoom struct{}

func (noRoom) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What can't be printed isn't done.
func TestPolicyOutputFails(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /a any\n\t}\n}\n")
	cases := writeFile(t, "cases.jsonl", `{"method":"GET","path":"/a","scope":"any"}`)
	for _, args := range [][]string{
		{"check"}, {"check", "--json"}, {"test", cases}, {"test", cases, "--json"}, {"routes"}, {"routes", "--json"}, {"explain", "GET", "/a"}, {"explain", "GET", "/a", "--json"},
	} {
		root := program("patgate")
		var said strings.Builder
		root.SetOut(noRoom{})
		root.SetErr(&said)
		root.SetArgs(append(append([]string{"policy"}, args...), "--config", caddyfile))
		if err := root.Execute(); err == nil || !strings.Contains(said.String(), "no space left on device") {
			t.Errorf("policy %s: %v, %q, want an error", strings.Join(args, " "), err, &said)
		}
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

// Each case is tested at the site of its URL, or at that of --site.
func TestCasesOfSeveralSites(t *testing.T) {
	const site = "http://NAME {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /a SAID\n\t}\n}\n"
	caddyfile := writeFile(t, "Caddyfile", strings.NewReplacer("NAME", "a.test", "SAID", "read").Replace(site)+
		strings.NewReplacer("NAME", "*.b.test", "SAID", "write {\nspace host.2\n}").Replace(site))
	const (
		a    = `{"method":"GET","path":"http://a.test/a","scope":"read"}` + "\n"
		b    = `{"method":"GET","path":"http://seven.b.test/a","scope":"write","space":"seven"}` + "\n"
		none = `{"method":"GET","path":"/a","scope":"read"}` + "\n"
	)
	for _, test := range []struct {
		cases, site, want, stderr string
	}{
		{a + b, "", "2 passed, 0 failed\n", ""},
		{none, "a.test", "1 passed, 0 failed\n", ""},
		{a + none, "", "1 passed, 1 failed\n", "1 of 2 cases failed"},
		{`{"method":"GET","path":"http://c.test/a","scope":"read"}`, "", "0 passed, 1 failed\n", "1 of 1 case failed"},
		{a, "c.test", "", "no site with patgate serves c.test"},
	} {
		stdout, stderr, err := runPolicy(t, "test", "--config", caddyfile, "--site", test.site, writeFile(t, "cases.jsonl", test.cases))
		if (err == nil) != (test.stderr == "") || !strings.HasSuffix(stdout, test.want) || !strings.Contains(stderr, test.stderr) {
			t.Errorf("test --site %q of %s: %v, %q and %q, want %q and %q", test.site, test.cases, err, stdout, stderr, test.want, test.stderr)
		}
	}
}

// What keeps a configuration from being read is an error in JSON, too.
func TestCheckOfWhatCantBeRead(t *testing.T) {
	type finding struct{ At, Kind string }
	for text, want := range map[string][]finding{
		"http://a.test {\n\tpatgate {\n\t\trouet GET /x\n\t}\n}\n":                     {{"FILE:3", warnUnreadable}},
		"http://a.test {\n\tpatgate {\n\t\troute GET a x\n\t\troute GET b x\n\t}\n}\n": {{"FILE:3", warnUnreadable}, {"FILE:4", warnUnreadable}},
		// Of blocks within others, and of what is imported, the place of the mistake itself.
		"http://a.test {\n\thandle {\n\t\troute {\n\t\t\tpatgate {\n\t\t\t\trouet GET /x\n\t\t\t}\n\t\t}\n\t}\n}\n": {{"FILE:5", warnUnreadable}},
		"http://a.test {\n\thandle {\n\t\tpatgate {\n\t\t\troute GET a x\n\t\t\troute GET b x\n\t\t}\n\t}\n}\n":     {{"FILE:4", warnUnreadable}, {"FILE:5", warnUnreadable}},
		"(gate) {\n\tpatgate {\n\t\trouet GET /x\n\t}\n}\nhttp://a.test {\n\timport gate\n}\n":                      {{"FILE:3", warnUnreadable}},
		"(gate) {\n\tpatgate {\n\t\trouet GET /x\n\t}\n}\nhttp://a.test {\n\thandle {\n\t\timport gate\n\t}\n}\n":   {{"FILE:3", warnUnreadable}},
		"http://a.test {\n": {{"FILE:1", warnUnreadable}},
		"{\n\"apps\": {":    {{"FILE:2", warnUnreadable}},
		`{"apps":{"http":{"servers":{"x":{"routes":[{"handle":[{"handler":"patgate","default":"x"}]}]}}}}}`: {{"", warnUnreadable}},
		"http://a.test {\n\trespond ok\n}\n":                                 {{"", warnUnreadable}}, // no gate
		"http://a.test {\n\tpatgate {\n\t\tdefault deny # OPENAPI\n\t}\n}\n": {{"", warnUnreadable}},
	} {
		caddyfile := writeFile(t, "Caddy file", text)
		for i := range want {
			want[i].At = strings.Replace(want[i].At, "FILE", caddyfile, 1)
		}
		args := []string{"check", "--config", caddyfile, "--json"}
		if strings.Contains(text, "OPENAPI") {
			args = append(args, "--openapi", filepath.Join(t.TempDir(), "none.yaml"))
		}
		stdout, stderr, err := runPolicy(t, args...)
		var got struct {
			Errors   int
			Warnings []finding
		}
		if json.Unmarshal([]byte(stdout), &got) != nil || err == nil || stderr == "" || got.Errors != len(want) || !slices.Equal(got.Warnings, want) {
			t.Errorf("check of %s prints (%v) %s%s", text, err, stdout, stderr)
		}
	}
	if stdout, _, err := runPolicy(t, "check", "--json", "--adapter", "none", "--config", writeFile(t, "Caddyfile", "x")); err == nil || stdout != "" {
		t.Errorf("check with an adapter that isn't there prints (%v) %s", err, stdout)
	}
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
