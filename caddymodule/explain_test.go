package caddymodule

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
)

// policy check's lines, and what it is to machines.
func TestFindings(t *testing.T) {
	warnings := []policy.Warning{{At: "Caddyfile:3", Kind: "shadowed_route", Text: "a", Error: true}, {Kind: "x", Text: "b"}}
	f := &findings{Sites: 1, Routes: 2, Errors: 1, Warnings: warnings}
	var out bytes.Buffer
	cmd := new(cobra.Command)
	cmd.SetOut(&out)
	if err := f.print(cmd, false); fmt.Sprint(err) != "1 error in the policies" || out.String() != "Caddyfile:3: error: a\nwarning: b\n1 site, 2 routes, 1 error, 1 warning\n" {
		t.Errorf("print: %v, %q", err, &out)
	}
	out.Reset()
	want := `{"sites":1,"routes":2,"errors":1,"warnings":[{"at":"Caddyfile:3","kind":"shadowed_route","text":"a","error":true},{"kind":"x","text":"b"}]}` + "\n"
	if err := f.print(cmd, true); fmt.Sprint(err) != "1 error in the policies" || out.String() != want {
		t.Errorf("print as JSON: %v, %q, want %q", err, &out, want)
	}
	out.Reset()
	if err := (&findings{Sites: 1, Warnings: warnings[1:]}).print(cmd, false); err != nil || out.String() != "warning: b\n1 site, 0 routes, 1 warning\n" {
		t.Errorf("without errors: %v, %q", err, &out)
	}
}

// A request that no server would take apart so isn't explained.
func TestExplainRefusesHeaders(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\troute GET /a any\n\t}\n}\n")
	for header, want := range map[string]string{
		"X: a\nb":      "header X: want a value in one line",
		"X: a\x00b":    "header X: want a value in one line",
		"Host: a\r\nb": "header Host: want a value in one line",
		"X Y: a":       "want a name without blanks",
		": a":          "want a name without blanks",
		"X_Y: a":       "",
		"X":            "want 'Name: value', with a colon",
		"X: a\tb":      "",
		"X: ä":         "",
	} {
		_, stderr, err := runPolicy(t, "explain", "--config", caddyfile, "GET", "/a", "--header", header)
		if (err == nil) != (want == "") || !strings.Contains(stderr, want) || want != "" && !strings.Contains(stderr, "--help") {
			t.Errorf("--header %q: %v %s, want %s", header, err, stderr, want)
		}
	}
}

// What the gate removes is said, for the API doesn't get it, and the gate finds nothing
// in it.
func TestExplainRemoved(t *testing.T) {
	caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n\tpatgate {\n\t\troute GET /a a:b {\n\t\t\tspace header.X-Org\n\t\t}\n\t}\n}\n")
	out, stderr, err := runPolicy(t, "explain", "--config", caddyfile, "GET", "/a", "--header", "X_Org: 2", "--header", "X-Other: 1", "--header", "X-Patgate-Owner: root")
	if err != nil || !strings.Contains(out, "removed   X-Patgate-Owner, X_org\n") {
		t.Errorf("%v %s\n%s", err, stderr, out)
	}
}

// TestExplainHeaderTwice explains a request as the gate would judge it: a header
// that is given twice has two values, however its name is written.
func TestExplainHeaderTwice(t *testing.T) {
	caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
	err := os.WriteFile(caddyfile, []byte(`{
	admin off
}
http://a.test {
	patgate {
		default deny
		route GET /x a:b {
			space header.X-Space
		}
	}
}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		headers []string
		want    string
	}{
		{[]string{"x-space: 7"}, "space       7 (header.X-Space)"},
		{[]string{"X-Space: 7", "X-Space: 8"}, "space       (header.X-Space is given twice)"},
		{[]string{"X-Space: 7", "x-space: 7"}, "space       (header.X-Space is given twice)"},
	} {
		args := []string{"explain", "--config", caddyfile, "GET", "/x"}
		for _, h := range row.headers {
			args = append(args, "--header", h)
		}
		if stdout, stderr, _ := runPolicy(t, args...); !strings.Contains(stdout, row.want) {
			t.Errorf("explain with %q:\n%s%swant %s", row.headers, stdout, stderr, row.want)
		}
	}
}

func TestExplainRequestJSON(t *testing.T) {
	for _, row := range []struct{ headers, want, refused string }{
		{`{"X-Space":"7"}`, "map[X-Space:[7]]", ""},
		{`{"X-Space":["7","8"]}`, "map[X-Space:[7 8]]", ""},
		{`{"X-Space":7}`, "", "headers: a JSON number doesn't belong here"},
		{`{"X-Space":[7]}`, "", "a JSON number doesn't belong here"},
	} {
		var in explainRequest
		err := registry.Decode([]byte(`{"method":"GET","url":"/x","headers":`+row.headers+`}`), &in)
		if row.refused != "" {
			if err == nil || !strings.Contains(err.Error(), row.refused) {
				t.Errorf("headers %s: %v, want %s", row.headers, err, row.refused)
			}
		} else if got := fmt.Sprint(in.Headers); err != nil || got != row.want {
			t.Errorf("headers %s are %s, %v, want %s", row.headers, got, err, row.want)
		}
	}
}

// TestExplainSaysWhatIsWrongWithASource: also where a missing token is rejected
// before anybody looks for a space.
func TestExplainSaysWhatIsWrongWithASource(t *testing.T) {
	caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
	err := os.WriteFile(caddyfile, []byte(`:80 {
	patgate {
		route GET /spaces/{space} a:b
		route GET /x a:b {
			space query.space
		}
		route GET /open/{space} public
	}
}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"/spaces/1":          "space       1 (path.space)\n",
		"/spaces/1?space=2":  "space       1 (path.space can be read in two ways: the query has space as well, which some servers prefer)\n",
		"/open/1?space=2":    "space       1 (path.space)\n", // nobody is judged by it
		"/x":                 "space       (query.space is missing)\n",
		"/x?space=1&space=2": "space       (query.space can be read in two ways: the query has space twice)\n",
	} {
		if stdout, stderr, _ := runPolicy(t, "explain", "--config", caddyfile, "GET", url); !strings.Contains(stdout, want) {
			t.Errorf("explain %s:\n%s%swant %s", url, stdout, stderr, want)
		}
	}
}

// The URL is the one that the gate gets: where requests are rewritten before it, explain
// says so.
func TestExplainBehindARewrite(t *testing.T) {
	const gate = "patgate {\n default deny\n route GET /x public\n}\n"
	for _, row := range []struct {
		site string
		want bool
	}{
		{"handle_path /api/* {\n" + gate + "}", true},
		{"rewrite /old /x\n" + gate, true},
		{"route {\n uri strip_prefix /api\n handle {\n" + gate + "}\n}", true},
		{"route {\n route {\n  uri strip_prefix /api\n }\n" + gate + "}", true},
		{"route {\n handle /old/* {\n  uri strip_prefix /old\n }\n" + gate + "}", true},
		{"route {\n handle_path /files/* {\n  respond files\n }\n" + gate + "}", false},
		{"route {\n handle_path /old/* {\n  header X y\n }\n handle {\n" + gate + "}\n}", false},
		{"route {\n handle_path /old/* {\n  header X y\n }\n uri strip_prefix /x\n handle {\n" + gate + "}\n}", true},
		{"handle /api/* {\n" + gate + "}", false},
		{"route {\n" + gate + "rewrite /old /x\n}", false},
		{"handle_path /files/* {\n respond files\n}\n" + gate, false},
	} {
		caddyfile := writeFile(t, "Caddyfile", "http://a.test {\n"+row.site+"\n}\n")
		out, stderr, err := runPolicy(t, "explain", "--config", caddyfile, "GET", "/x")
		if said := strings.Contains(out, "rewritten  not here: ask for the URL that the gate gets"); err != nil || said != row.want {
			t.Errorf("%s: explain prints (%v)\n%s%s", row.site, err, out, stderr)
		}
		out, _, err = runPolicy(t, "explain", "--config", caddyfile, "--json", "GET", "/x")
		if said := strings.Contains(out, `"rewritten":true`); err != nil || said != row.want {
			t.Errorf("%s: explain --json prints (%v) %s", row.site, err, out)
		}
	}
}
