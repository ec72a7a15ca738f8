package caddymodule

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
