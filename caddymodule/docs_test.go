package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

const docs = "../docs/"

func readDocs(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(docs + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns what stands below a heading, up to the next one of the same or
// a higher level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	level, _, _ := strings.Cut(heading, " ")
	_, rest, ok := strings.Cut("\n"+text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("reference.md has no %q", heading)
	}
	if end := regexp.MustCompile(`(?m)^#{1,` + fmt.Sprint(len(level)) + `} `).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// compareLists reports what is in the code and not in the reference, and the
// other way round.
func compareLists(t *testing.T, what string, code, documented []string) {
	t.Helper()
	for _, word := range code {
		if !slices.Contains(documented, word) {
			t.Errorf("docs/reference.md doesn't have %s %s", what, word)
		}
	}
	for _, word := range documented {
		if !slices.Contains(code, word) {
			t.Errorf("docs/reference.md has %s %s, which there is not", what, word)
		}
	}
}

// firstCells returns what stands in backticks at the beginning of the rows of
// the tables in a section, up to the first blank.
func firstCells(text string) (cells []string) {
	for _, m := range regexp.MustCompile("(?m)^\\| `([^` ]+)").FindAllStringSubmatch(text, -1) {
		cells = append(cells, m[1])
	}
	return cells
}

// Every word that may stand in a block of a Caddyfile is in the reference, below
// the heading of the block. The parser itself says which there are.
func TestReferenceWords(t *testing.T) {
	text := readDocs(t, "reference.md")
	for heading, caddyfile := range map[string]string{
		"## Global option":                 "{\npatgate {\n%s\n}\n}",
		"### `store redis`":                "{\npatgate {\nstore redis {\n%s\n}\n}\n}",
		"### `cache`":                      "{\npatgate {\ncache {\n%s\n}\n}\n}",
		"### `events`":                     "{\npatgate {\nevents {\n%s\n}\n}\n}",
		"### `token`":                      "{\npatgate {\ntoken {\n%s\n}\n}\n}",
		"## Directive `patgate`":           "http://a {\npatgate {\n%s\n}\n}",
		"### `route`":                      "http://a {\npatgate {\nroute GET / any {\n%s\n}\n}\n}",
		"### `group`":                      "http://a {\npatgate {\ngroup /x {\n%s\n}\n}\n}",
		"### `openapi`":                    "http://a {\npatgate {\nopenapi x.yaml {\n%s\n}\n}\n}",
		"## Directive `patgate_console`":   "http://a {\npatgate_console {\n%s\n}\n}",
		"#### `tls`":                       "{\npatgate {\nstore redis {\ntls {\n%s\n}\n}\n}\n}",
		"### `identity_headers`":           "http://a {\npatgate {\nidentity_headers {\n%s\n}\n}\n}",
		"### `identity_headers signed`":    "http://a {\npatgate {\nidentity_headers signed {\n%s\n}\n}\n}",
		"## Directive `patgate_authorize`": "http://a {\npatgate_authorize %s\n}",
	} {
		_, err := adapt(fmt.Sprintf(caddyfile, "nosuchword"))
		if err == nil {
			t.Fatalf("%s takes any word", heading)
		}
		m := regexp.MustCompile(`(?:want|wants) (?:the proxy that asks, )?(?:one of )?([a-z_]+(?:, [a-z_]+)*)(?:, at |$)`).FindStringSubmatch(err.Error())
		if m == nil {
			t.Fatalf("%s: the error says no words: %v", heading, err)
		}
		own, _, _ := strings.Cut(section(t, text, heading), "\n#")
		compareLists(t, "the word, below "+heading+",", strings.Split(m[1], ", "), firstCells(own))
	}
}

// Every route of the management API is in the reference, with its parameters.
func TestReferenceEndpoints(t *testing.T) {
	text := section(t, readDocs(t, "reference.md"), "## Management API")
	documented := map[string]string{}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /patgate/[^`]*)` \\|([^|]*)\\|").FindAllStringSubmatch(text, -1) {
		documented[m[1]] = m[2]
		rows = append(rows, m[1])
	}
	var code []string
	for _, r := range adminRoutes() {
		code = append(code, r.pattern)
		for _, p := range strings.Fields(r.params) {
			if p = strings.TrimSuffix(p, "+"); !strings.Contains(documented[r.pattern], "`"+p+"`") {
				t.Errorf("docs/reference.md doesn't have the parameter %s of %s", p, r.pattern)
			}
		}
	}
	compareLists(t, "the endpoint", code, rows)
}

// TestReferenceBodies compares the keys of bodies with what is read.
func TestReferenceBodies(t *testing.T) {
	rows := map[string]string{}
	for line := range strings.Lines(section(t, readDocs(t, "reference.md"), "## Bodies of requests")) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			rows[strings.Trim(cells[1], " `")] = cells[2]
		}
	}
	for request, body := range map[string]any{
		"POST /patgate/tokens":                 registry.NewToken{},
		"PATCH /patgate/tokens/{id}":           registry.Changes{},
		"POST /patgate/tokens/{id}/regenerate": registry.Renewal{},
		"POST /patgate/tokens/{id}/grants":     token.Grant{},
		"POST /patgate/explain":                explainRequest{},
		"PUT /patgate/owners/{id}":             registry.OwnerChanges{},
	} {
		var documented []string
		for _, word := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(rows[request], -1) {
			documented = append(documented, word[1])
		}
		compareLists(t, "in the body of "+request+" the key", jsonKeys(reflect.TypeOf(body)), documented)
	}
}

// jsonKeys returns the keys of a struct in JSON.
func jsonKeys(t reflect.Type) (keys []string) {
	for f := range t.Fields() {
		if f.Anonymous {
			keys = append(keys, jsonKeys(f.Type)...)
			continue
		}
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// Every reason is in the reference with its status.
func TestReferenceReasons(t *testing.T) {
	text := section(t, readDocs(t, "reference.md"), "## Reasons")
	var code []string
	for _, r := range policy.Reasons()[1:] {
		code = append(code, r.String())
		if row := fmt.Sprintf("| `%s` | %d |", r, r.Status()); !strings.Contains(text, row) {
			t.Errorf("docs/reference.md has no row %s", row)
		}
	}
	compareLists(t, "the reason", code, firstCells(text))
}

// Every kind of warning is in the reference. Their packages have no list of them.
func TestReferenceWarnings(t *testing.T) {
	var code, documented []string
	for _, file := range []string{"../policy/warnings.go", "caddyroutes/check.go", "config.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kinds := regexp.MustCompile(`(?m)^	[Ww]arn\w+ += "(\w+)"`).FindAllStringSubmatch(string(source), -1)
		if len(kinds) == 0 {
			t.Errorf("%s has no kinds of warnings", file)
		}
		for _, kind := range kinds {
			code = append(code, kind[1])
		}
	}
	for line := range strings.Lines(section(t, readDocs(t, "reference.md"), "## Warnings")) {
		if cell, _, row := strings.Cut(strings.TrimPrefix(line, "| "), " | "); row {
			for _, kind := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cell, -1) {
				documented = append(documented, kind[1])
			}
		}
	}
	compareLists(t, "the warning", code, documented)
}

// Every metric is in the reference with its labels, and there are no others.
func TestReferenceMetrics(t *testing.T) {
	text := section(t, readDocs(t, "reference.md"), "## Metrics")
	descriptions := make(chan *prometheus.Desc, 1000)
	for _, c := range collectors() {
		c.Describe(descriptions)
	}
	close(descriptions)
	var code []string
	for d := range descriptions {
		m := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`).FindStringSubmatch(d.String())
		if m == nil {
			t.Fatal(d)
		}
		code = append(code, m[1])
		row := regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\|([^|]*)\\|").FindStringSubmatch(text)
		if row == nil {
			continue // compareLists says so
		}
		for label := range strings.SplitSeq(m[2], ",") {
			if label != "" && !strings.Contains(row[1], "`"+label+"`") {
				t.Errorf("docs/reference.md doesn't have the label %s of %s", label, m[1])
			}
		}
	}
	compareLists(t, "the metric", code, firstCells(text))
}

// Every action of the audit trail is in the reference. Its package has no list of
// them.
func TestReferenceActions(t *testing.T) {
	source, err := os.ReadFile("../registry/events.go")
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for _, m := range regexp.MustCompile(`(?m)^	\w+ +Action = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		code = append(code, m[1])
	}
	compareLists(t, "the action", code, firstCells(section(t, readDocs(t, "reference.md"), "## Events")))
}

// Every Caddy module of patgate is in the reference.
func TestReferenceModules(t *testing.T) {
	var code []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "patgate") {
			code = append(code, id)
		}
	}
	compareLists(t, "the module", code, firstCells(section(t, readDocs(t, "reference.md"), "## Modules and environment")))
}

// Every placeholder is in the reference.
func TestReferencePlaceholders(t *testing.T) {
	for _, name := range firstCells(section(t, readDocs(t, "reference.md"), "## Placeholders")) {
		key := strings.Trim(name, "{}")
		o := outcome{subject: new(policy.Subject)}
		if _, ok := o.placeholder(key); !ok {
			t.Errorf("docs/reference.md has the placeholder %s, which there is not", name)
		}
	}
	source, err := os.ReadFile("outcome.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^	case "(\w+)":$`).FindAllStringSubmatch(string(source), -1) {
		if want := "{http.patgate." + m[1] + "}"; !strings.Contains(readDocs(t, "reference.md"), want) {
			t.Errorf("docs/reference.md doesn't have the placeholder %s", want)
		}
	}
}

// docs/commands.md is made of what the commands say themselves:
//
//	go test -tags nobadger,nomysql,nopgx ./caddymodule -run TestCommandDocs -update
func TestCommandDocs(t *testing.T) {
	var index, b strings.Builder
	for _, c := range commands() {
		root := &cobra.Command{Use: "patgate"}
		root.AddCommand(c)
		adopt(c)
		documentCommand(&index, &b, c)
	}
	page := commandsPreface + index.String() + b.String()
	file := filepath.Join(docs, "commands.md")
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := strings.Split(readDocs(t, "commands.md"), "\n")
	for i, line := range strings.Split(page, "\n") {
		if i >= len(got) || got[i] != line {
			t.Fatalf("docs/commands.md is not what the commands say, from line %d on, which is to be\n%s\nmake it anew: go test -tags nobadger,nomysql,nopgx ./caddymodule -run TestCommandDocs -update", i+1, line)
		}
	}
}

const commandsPreface = `# Commands

These are the help texts of the commands (` + "`patgate COMMAND --help`" + `).

` + "`patgate`" + ` is Caddy: ` + "`run`, `start`, `stop`, `reload`, `adapt`, `validate`, `fmt`" + ` and the others are [Caddy's own](https://caddyserver.com/docs/command-line). In another Caddy build with the module, patgate's commands are below ` + "`caddy patgate`" + `.

Exit codes:

- 0: done.
- 1: refused or failed, with one line on standard error that says what and why. A command that is interrupted (Ctrl-C, SIGTERM) before it is done also exits with 1, within a second; a second signal ends it at once.
- 2: used wrongly.

Commands that ask the running server have these flags in addition to their own:

| flag | |
|---|---|
| ` + "`--address ADDRESS`" + ` | address of the running server's admin endpoint (default: the environment variable ` + "`CADDY_ADMIN`" + `, else ` + "`localhost:2019`" + `) |
| ` + "`--config FILE`, `--adapter NAME`" + ` | a configuration with that address |
| ` + "`--json`" + ` | print the server's answer as it is |

| command | |
|---|---|
`

// askingFlags are those of every command that asks the running server.
var askingFlags = []string{"address", "config", "adapter", "json"}

// documentCommand appends a row to the index, and a section to b, for a command and
// those below it.
func documentCommand(index, b *strings.Builder, c *cobra.Command) {
	if c.Hidden {
		return
	}
	// Of those that have a policy to read, --config is another one.
	asks := c.Flags().Lookup("address") != nil && !strings.HasPrefix(c.CommandPath(), "patgate policy")
	if below := c.Commands(); len(below) > 0 {
		for _, one := range below {
			documentCommand(index, b, one)
		}
		return
	}
	fmt.Fprintf(index, "| [`%s`](#%s) | %s |\n", strings.TrimPrefix(c.CommandPath(), "patgate "), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "\n## `%s`\n\n%s\n\n```text\n%s\n```\n", c.CommandPath(), text, c.UseLine())
	var rows []string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || asks && slices.Contains(askingFlags, f.Name) {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind != "" {
			name += " " + kind
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			usage += " (default " + f.DefValue + ")"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", name, strings.ReplaceAll(usage, "|", "\\|")))
	})
	if rows != nil {
		fmt.Fprintf(b, "\n| flag | |\n|---|---|\n%s\n", strings.Join(rows, "\n"))
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```text\n%s\n```\n", strings.Join(outdented(c.Example), "\n"))
	}
}

func outdented(text string) (lines []string) {
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSuffix(strings.TrimPrefix(line, "  "), "\n"))
	}
	return lines
}

// The comments of the packages name every file there is, one by one or by what they begin with.
func TestPackageComment(t *testing.T) {
	for _, dir := range []string{"", "caddyroutes/"} {
		text, err := os.ReadFile(dir + "doc.go")
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(dir + "*.go")
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, line := range regexp.MustCompile(`(?m)^//\t(\S+)`).FindAllStringSubmatch(string(text), -1) {
			found, _ := filepath.Glob(dir + line[1])
			if len(found) == 0 {
				t.Errorf("%sdoc.go names %s, which isn't there", dir, line[1])
			}
			named = append(named, found...)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") && file != dir+"doc.go" && !slices.Contains(named, file) {
				t.Errorf("%sdoc.go doesn't name %s", dir, file)
			}
		}
	}
}
