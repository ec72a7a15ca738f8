package caddymodule

import (
	"strings"
	"testing"
)

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
