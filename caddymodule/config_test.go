package caddymodule

import (
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
		"[]":                    ": the whole: a JSON array can't stand here",
		`{"apps": {"http": 5}}`: ": apps.http: a JSON number can't stand here",
		`{"apps": {"http": {"servers": {"a": {"listen": ":80"}}}}}`: ": apps.http.servers.listen: a JSON string can't stand here",
		`{"apps": {"patgate": {"cache": 5}}}`:                       ": cache: a JSON number can't stand here",
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
		{caddyfile, "policy diff - -", "", "- is empty"},
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
