package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

//go:embed testdata/axe.min.js
var axe string

// violation is something that axe has found.
type violation struct {
	ID    string
	Help  string
	Nodes []struct {
		HTML           string
		FailureSummary string
	}
}

// check has axe look at the page: in the dark at the colors only, which are all
// that is different there.
func (b *tab) check(name string, l look) {
	b.t.Helper()
	if !evaluate[bool](b, `'axe' in window`) {
		evaluate[bool](b, axe+"\n;true")
	}
	rules := "{}"
	if l.dark {
		rules = `{runOnly: ['color-contrast']}`
	}
	var found struct {
		Violations []violation
		Passes     int
	}
	text := evaluate[string](b, `axe.run(`+rules+`).then(r => JSON.stringify({violations: r.violations, passes: r.passes.length}))`)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	if found.Passes == 0 {
		b.t.Errorf("%s: axe has looked at nothing", name)
	}
	for _, v := range found.Violations {
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s (%s): %s\n%s", name, v.Help, v.ID, n.HTML, n.FailureSummary)
		}
	}
	if wide := evaluate[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
		b.t.Errorf("%s: the page is %d pixels too wide", name, wide)
	}
}

// Every page in every look: axe finds nothing, nothing sticks out, and a picture
// is kept to look at.
func TestLooks(t *testing.T) {
	s := start(t, "embedded")
	backup, _ := s.create("erin", "nightly backup", `,"description":"Copies all stories to the archive every night","expires_in":"10d","allowed_ips":["203.0.113.0/24","2001:db8::/32"],
		"grants":[{"spaces":["1","2"],"scopes":["stories:read","assets:read"]},{"spaces":["*"],"scopes":["license"]}]`)
	s.create("erin", "ci", `,"full":true`)
	old, _ := s.create("erin", "website preview", `,"grants":[{"spaces":["7"],"scopes":["stories:read","stories:write","assets:read","assets:write"]}]`)
	s.call("erin", "POST", "tokens/"+old+"/revoke", "", nil)
	s.call("erin", "PATCH", "tokens/"+backup, `{"name":"nightly backup of all stories"}`, nil)
	long, _ := s.create("carol", strings.Repeat("x", 200), fmt.Sprintf(`,"description":%q,"grants":[{"spaces":[%q],"scopes":["stories:read"],"resources":[%[2]q]}]`,
		strings.Repeat("y", 500), strings.Repeat("z", 200)))
	s.create("dave", "deploy", `,"grants":[{"spaces":["*"],"scopes":["stories:write"]}]`)

	open := `document.querySelectorAll('details').forEach(d => d.open = true)`
	for _, p := range []struct {
		name, owner, path string
		prepare           func(*tab) // before it is looked at
	}{
		{"list-empty", "alice", "/", nil},
		{"list", "erin", "/", nil},
		{"list-long-words", "carol", "/", nil},
		{"token-long-words", "carol", "/tokens/" + long, nil},
		{"everyone-long-words", "root", "/everyone?owner=carol", nil},
		{"list-nothing-found", "erin", "/?q=nothing", nil},
		{"new", "erin", "/new", nil},
		{"new-everything", "erin", "/new", func(b *tab) { b.click("Everything") }},
		{"new-mistakes", "erin", "/new", func(b *tab) {
			b.click("Only these")
			b.fill("addresses", "somewhere")
			b.choose("expires", "On a day")
			b.click("Create token")
			b.sees("things need your attention")
		}},
		{"secret", "erin", "/new", func(b *tab) {
			b.fill("name", "shown once")
			b.click("stories:read")
			b.click("All spaces")
			b.click("Create token")
			b.secret()
		}},
		{"token", "erin", "/tokens/" + backup, nil},
		{"token-forms", "erin", "/tokens/" + backup + "?done=saved", func(b *tab) { evaluate[any](b, open) }},
		{"token-revoked", "erin", "/tokens/" + old, nil},
		{"regenerate", "erin", "/tokens/" + backup + "/regenerate", nil},
		{"delete", "erin", "/tokens/" + backup + "/delete", nil},
		{"activity", "erin", "/activity", nil},
		{"everyone", "root", "/everyone", nil},
		{"everyone-owner", "root", "/everyone?owner=erin", nil},
		{"not-found", "erin", "/nothing", nil},
	} {
		t.Run(p.name, func(t *testing.T) {
			b := s.open(t, p.owner)
			b.visit(p.path)
			if p.prepare != nil {
				p.prepare(b)
			}
			for _, l := range []look{desktop, dark, phone} {
				b.look(l)
				name := fmt.Sprintf("%s-%s", p.name, l.name)
				b.shoot(name)
				b.check(name, l)
			}
		})
	}
}
