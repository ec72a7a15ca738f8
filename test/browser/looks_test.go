package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
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

	s.create("bob", "the only one", `,"full":true`)
	s.limit("bob", "--scope", "stories:read", "--space", "1", "--space", "2", "--max-tokens", "1")

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
		{"new-limited", "bob", "/new", func(b *tab) {
			b.sees("You have as many tokens as you may have.", "Your account is limited to these: 1, 2.")
			b.fill("spaces", "1") // which is shown
		}},
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

// Whatever the width, what a token may do is read in one piece, and nothing sticks out of
// its box.
func TestWidths(t *testing.T) {
	s := start(t, "embedded")
	for i, spaces := range []string{"*", "production", "1"} {
		s.create("erin", fmt.Sprintf("token %d", i), fmt.Sprintf(`,"grants":[{"spaces":[%q],"scopes":["stories:write","assets:write","members:read"]}]`, spaces))
	}
	b := s.open(t, "root")
	// The pieces of text that match, and are out of their box or, if whole, in several lines.
	broken := func(selector, box, words string, whole bool) string {
		return evaluate[string](b, fmt.Sprintf(`[...document.querySelectorAll(%s)].flatMap(e => {
			const edge = e.closest(%s).getBoundingClientRect().right;
			const text = [...e.childNodes].find(n => n.nodeType == 3);
			return [...text.textContent.matchAll(%s)].filter(m => {
				const range = document.createRange();
				range.setStart(text, m.index);
				range.setEnd(text, m.index + m[0].length);
				return range.getBoundingClientRect().right > edge || %t && range.getClientRects().length > 1;
			}).map(m => m[0]);
		}).join(' ')`, quote(selector), quote(box), words, whole))
	}
	for _, width := range []int64{320, 360, 700, 720, 768, 769, 800, 820, 1024} {
		b.look(look{width: width, height: 800})
		b.visit("/everyone")
		if cut := broken(`td[data-label="May do"]`, "td", "/[a-z]+:[a-z]+/g", true); cut != "" {
			t.Errorf("%d pixels: cut in two: %s", width, cut)
		}
		if wide := evaluate[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("%d pixels: the list is %d too wide", width, wide)
		}
		b.visit("/new")
		if out := broken(".group code", ".group", "/.+/g", false); out != "" {
			t.Errorf("%d pixels: sticks out: %s", width, out)
		}
	}
	b.look(look{width: 360, height: 800})
	b.visit("/everyone")
	if lacks := evaluate[float64](b, `document.querySelector('.filter').getBoundingClientRect().width - document.getElementById('q').getBoundingClientRect().width`); lacks != 0 {
		t.Errorf("the field to search by is %g pixels narrower than what is below it", lacks)
	}
}

// Readers' own settings hold: the size of their text, and high contrast, in which a
// border is seen whatever its color.
func TestReadersSettings(t *testing.T) {
	s := start(t, "embedded")
	b := s.open(t, "alice")
	call(b, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: 32, Fixed: 26}})
	b.visit("/")
	if got := evaluate[string](b, `getComputedStyle(document.body).fontSize`); got != "30px" {
		t.Errorf("where text is twice as large, it is %s, want 30px", got)
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	if got := evaluate[int](b, `[...document.querySelectorAll('header nav a')].filter(a => parseFloat(getComputedStyle(a).borderBottomWidth) > 0).length`); got != 1 {
		t.Errorf("%d entries of the navigation are underlined, want that of the page", got)
	}
}
