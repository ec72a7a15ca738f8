package caddymodule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

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
