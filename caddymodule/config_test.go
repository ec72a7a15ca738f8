package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadConfigurationSaysWhere: a file that can't be read as a configuration is
// named, with the line or the key, and in no words of Go's types.
func TestReadConfigurationSaysWhere(t *testing.T) {
	for body, want := range map[string]string{
		"":                      " is empty",
		"{}\n\nx":               ":3: invalid character 'x' after top-level value",
		"{\n\"apps\": {":        ":2: unexpected end of JSON input",
		"[]":                    ": the whole: a JSON array doesn't belong here",
		`{"apps": {"http": 5}}`: ": apps.http: a JSON number doesn't belong here",
		`{"apps": {"http": {"servers": {"a": {"listen": ":80"}}}}}`:                                                         ": apps.http.servers.listen: a JSON string doesn't belong here",
		`{"apps": {"patgate": {"cache": 5}}}`:                                                                               ": reading the patgate app: cache: a JSON number doesn't belong here",
		`{"apps": {"patgate": {"cache": {"ttl": "60"}}}}`:                                                                   `: reading the patgate app: cache.ttl: a JSON string "60" (time: missing unit in duration "60") doesn't belong here`,
		`{"apps": {"patgate": {"events": {"keep": true}}}}`:                                                                 ": reading the patgate app: events.keep: a JSON bool doesn't belong here",
		`{"apps": {"patgate": {"store": {"redis": {"db": "1"}}}}}`:                                                          ": reading the patgate app: store.redis.db: a JSON string doesn't belong here",
		`{"apps": {"http": {"servers": {"a": {"routes": [{"handle": [{"handler": "patgate", "token_from": "basic"}]}]}}}}}`: ": reading a gate: token_from: a JSON string doesn't belong here",
	} {
		file := writeFile(t, "config.json", body)
		_, err := readConfiguration(file, "", nil)
		if want = "reading configuration: " + file + want; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", strings.ReplaceAll(body, "\n", " "), err, want)
		}
	}
}

// What is wrong in JSON begins with the file's name, as it does in a Caddyfile.
func TestMistakesInJSONNameTheFile(t *testing.T) {
	gate := func(keys string) string {
		return `{"apps": {"http": {"servers": {"a": {"routes": [{"handle": [{"handler": "patgate"` + keys + `}]}]}}}}}`
	}
	for body, want := range map[string]string{
		gate(`, "requires": []`): `: reading a gate: json: unknown field "requires"`,
		gate(`, "routes": [{"methods": ["GET"], "pattern": "/a", "require": "any"}, {"methods": ["GET"], "pattern": "/a", "require": "any"}]`): ": route ",
		gate(`, "stream_check": "perhaps"`):    ": stream_check",
		`{"apps": {"patgate": {"tokens": 5}}}`: `: reading the patgate app: json: unknown field "tokens"`,
	} {
		file := writeFile(t, "config.json", body)
		_, err := readConfiguration(file, "", nil)
		if want = file + want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// A key that Caddy takes although another stands for the same is warned of.
func TestKeysGivenTwice(t *testing.T) {
	t.Parallel()
	config := func(app, gate string) string {
		return `{"apps": {"patgate": {` + app + `}, "http": {"servers": {"a": {"routes": [{"handle": [{"handler": "patgate", "default": "deny",
			"routes": [{"methods": ["GET"], "pattern": "/a", "require": "any"}]` + gate + `}]}]}}}}}`
	}
	for body, want := range map[string]string{
		config("", ""): "",
		config(`"cache": {"size": 1, "size": 2}`, ""):                    `warning: in JSON, key "size" is given twice: `,
		config("", `, "default": "public"`):                              `server a: warning: in JSON, key "default" is given twice: `,
		config("", `, "Default": "public"`):                              `server a: warning: in JSON, key "Default" is given twice: `,
		config("", `, "Realm": "x"`):                                     `server a: warning: in JSON, unknown key "Realm": `,
		config("", `, "groups": [{"prefix": "/g", "prefix": "/h"}]`):     `server a: warning: in JSON, key "prefix" is given twice: `,
		config("", `, "at": "x:1", "identity_headers": {}, "at": "y:2"`): `y:2: warning: in JSON, key "at" is given twice: `,
	} {
		out, _, err := runPolicy(t, "check", "--config", writeFile(t, "config.json", body))
		if err != nil || !strings.Contains(out, want) || strings.Contains(out, "in JSON") != (want != "") {
			t.Errorf("%s: %v\n%swant %s", body, err, out, want)
		}
	}
}

// A configuration on standard input is read as one in a file, whichever it is.
func TestConfigurationOnStandardInput(t *testing.T) {
	t.Parallel()
	const caddyfile = ":8080 {\n\tpatgate {\n\t\troute GET /a any\n\t}\n\trespond ok\n}\n"
	asJSON := `{"apps": {"http": {"servers": {"a": {"listen": [":8080"], "routes": [{"handle": [{"handler": "patgate", "routes": [{"methods": ["GET"], "pattern": "/a", "require": "any"}]}]}]}}}}}`
	file := writeFile(t, "Caddyfile", caddyfile)
	for _, c := range []struct{ stdin, args, stdout, fails string }{
		{caddyfile, "policy routes --config -", "/a", ""},
		{asJSON, "policy routes --config -", "/a", ""},
		{caddyfile, "policy diff - " + file, "0 differences", ""},
		{caddyfile, "policy diff - -", "", "can't both be -"},
		{"", "policy check --config -", "", "- is empty"},
		{":8080 {\n\tpatgate {\n\t\troute GET a any\n\t}\n}\n", "policy check --config -", "", "-:3"},
		{caddyfile, "policy explain GET /a --config -", "token_missing", ""},
		{caddyfile, "policy explain GET /a --token x --config -", "", "--address"},
	} {
		stdout, stderr, err := told(t, c.stdin, strings.Fields(c.args)...)
		if !strings.Contains(stdout, c.stdout) {
			t.Errorf("%s: prints %q, want %q", c.args, stdout, c.stdout)
		}
		if (err != nil) != (c.fails != "") || !strings.Contains(stderr, c.fails) {
			t.Errorf("%s: says %q (%v), want %q", c.args, stderr, err, c.fails)
		}
	}
}

// policy check warns of secrets that are written out, and, at the line of a gate, of what
// stands around it. "@id" may stand wherever Caddy takes it.
func TestCheckConfiguration(t *testing.T) {
	site := func(gate, behind string) string {
		return "http://a.test {\n\tpatgate {\n\t\tdefault deny\n\t\troute GET /a any\n" + gate + "\n\t}\n" + behind + "\n\treverse_proxy a\n}\n"
	}
	asJSON := strings.ReplaceAll(`{"apps": {"patgate": {"store": {"kind": ""}}, "http": {"servers": {"s": {"routes": [{"handle": [
		{"handler": "patgate", "default": "deny", "routes": [{"methods": ["GET"], "pattern": "/a", "require": "any"}]}]}]}}}}}`, "{", `{"@id": "x", `)
	for _, row := range []struct{ text, want string }{
		{"{\npatgate {\ntoken {\npepper 0123456789abcdef\n}\n}\n}\n" + site("", ""), "warning: token pepper: a secret is written out"},
		{"{\npatgate {\nstore redis redis://:secret@h:1\n}\n}\n" + site("", ""), "warning: store redis: a secret is written out"},
		{"{\npatgate {\nstore redis redis://:{env.REDIS_PASSWORD}@h:1\n}\n}\n" + site("", ""), ""},
		{site("space header.X-Tenant", "request_header X-Tenant x"), "FILE:2: warning: request_header behind this gate changes X-Tenant, "},
		{site("", "request_header X-Patgate-Owner x"), "FILE:2: warning: request_header behind this gate sets X-Patgate-Owner, "},
		{site("identity_headers signed", "request_header X-Patgate-Identity x"), "FILE:2: warning: request_header behind this gate sets X-Patgate-Identity, "},
		{site("identity_headers off", "request_header X-Patgate-Owner x"), ""},
		{site("unknown_token forward until 2020-02-29", ""), "FILE:2: warning: unknown_token forward until 2020-02-29: that time is over, "},
		{site("unknown_token forward until 2999-02-28", ""), ""},
		{asJSON, ""},
	} {
		file := writeFile(t, "config", row.text)
		got, stderr, err := runPolicy(t, "check", "--config", file)
		if want := strings.ReplaceAll(row.want, "FILE", file); err != nil || !strings.HasPrefix(got, want) || strings.Contains(got, "warning:") != (want != "") {
			t.Errorf("%s: %v %s\n%swant %s", row.text, err, stderr, got, want)
		}
	}
}

// policy check warns of the access logs of a site that show what its gate takes tokens
// from.
func TestCheckLogs(t *testing.T) {
	const site, global, more = "the log of this site", "the global option log, for", "the global option log more"
	const masked, query = "log {\nformat patgate\n}", "token_from query key"
	for _, row := range []struct{ options, log, from, others, want string }{
		{"", "log", query, "", global},
		{"", "log", "token_from header X-Key", "", global},
		{"", "log", "token_from cookie key", "", ""},
		{"servers {\nlog_credentials\n}", "log", "token_from cookie key", "", global},
		{"", "", query, "", ""},
		{"", masked, query, "", ""},
		{masked, "log", query, "", ""},
		{masked, "log {\noutput stdout\n}", query, "", site},
		{masked, "log {\noutput discard\n}", query, "", ""},
		{"", "log {\noutput discard\n}", query, "", ""},
		{masked, masked + "\nlog another {\nformat json\n}", query, "", site},
		{masked, "log {\nformat append {\nwrap patgate\nx y\n}\n}", query, "", site}, // as at start
		{masked + "\nlog more {\nformat json\n}", "log", query, "", more},
		{masked + "\nlog more {\nformat json\ninclude http.log.access.log0\n}", "log", query, "", ""},
		{masked + "\nlog more {\nformat json\nexclude http.log\n}", "log", query, "", ""},
		{masked + "\nlog more {\nformat json\nexclude *\n}", "log", query, "", ""},
		{masked + "\nlog more {\nformat json\ninclude http\nexclude http.log\n}", "log", query, "", ""},
		{masked + "\nlog more {\nformat json\ninclude http.log.access\nexclude http.log\n}", "log", query, "", more},
		{masked, "log", query, "http://b.test {\nlog {\nformat json\n}\n}", ""}, // it has other requests
		{"", "", query, "http://b.test {\nlog\n}", ""},
		{masked, "log", query, "http://*.test {\nlog {\nformat json\n}\n}", ""},
		{masked, "", query, "http://*.test {\nlog {\nformat json\n}\n}", site},
		{masked, "", query, "http:// {\nlog {\nformat json\n}\n}", ""},
	} {
		text := "{\n" + row.options + "\n}\n" + row.others + "\nhttp://a.test {\n" + row.log + "\npatgate {\ndefault deny\n" + row.from + "\nroute GET /a any\n}\n}\n"
		file := writeFile(t, "Caddyfile", text)
		line := 1 + strings.Count(text[:strings.Index(text, "patgate {\ndefault")], "\n")
		got, stderr, err := runPolicy(t, "check", "--config", file)
		want := fmt.Sprintf("%s:%d: warning: access logs show tokens in clear (%s): write format patgate in %s", file, line, row.from, row.want)
		if err != nil || strings.Contains(got, "in clear") != (row.want != "") || row.want != "" && !strings.Contains(got, want) {
			t.Errorf("%s: %v %s\n%swant %s", text, err, stderr, got, row.want)
		}
	}
}

// Of what operators begin with, nothing is warned of that stands beside gates.
func TestCheckExamples(t *testing.T) {
	files, texts := []string{"../Caddyfile.example"}, map[string]string{}
	for _, pattern := range []string{"../examples/*/Caddyfile", "../examples/recipes/*/*Caddyfile"} {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	documents, _ := filepath.Glob(docs + "*.md")
	for _, file := range append(documents, "../README.md", "../SECURITY.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, rest := range strings.Split(string(text), "```caddyfile\n")[1:] {
			texts[fmt.Sprint(file, " ", i)], _, _ = strings.Cut(rest, "```")
		}
	}
	if len(texts) < 20 {
		t.Errorf("%d Caddyfiles: they aren't found", len(texts))
	}
	for name, text := range texts {
		body, err := adapt(text)
		if err != nil {
			if !regexp.MustCompile("unrecognized|not a registered directive|openapi").MatchString(err.Error()) { // modules of others, and documents
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		c, err := parseConfiguration([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range c.check() {
			if w.Kind == warnAnyHost { // in the rows of ambiguity.md, on purpose
				continue
			}
			t.Errorf("%s: %s: %s", name, w.Kind, w.Text)
		}
	}
}
