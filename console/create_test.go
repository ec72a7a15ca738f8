package console

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// filled is a form for a new token without mistakes, with fields changed: a field
// and its value in turn.
func filled(changes ...string) []string {
	fields := []string{"name", "ci", "description", "for the build", "expires", "30d", "access", "chosen",
		"scope", "stories:read", "where", "some", "spaces", "1\r\n 2 \r\n", "addresses", "10.0.0.0/8, 203.0.113.7"}
	for i := 0; i < len(changes); i += 2 {
		n := 0
		for n < len(fields) && fields[n] != changes[i] {
			n += 2
		}
		fields = append(slices.Delete(fields, n, min(n+2, len(fields))), changes[i], changes[i+1])
	}
	return fields
}

func TestCreate(t *testing.T) {
	d := newDesk(t)
	says(t, d.get("alice", "/"), "You have no tokens yet", "Make your first token")
	form := d.get("alice", "/new")
	says(t, form, "stories", "Read stories", "Includes stories:read", "General", "license", "admin Includes everything", "After 90 days – 20 February 2027")
	lacks(t, form, "Never", "Caddyfile:7", "After 400 days")

	status, page := d.post("alice", "/new", filled()...)
	if status != 200 {
		t.Fatalf("POST /new: %d\n%s", status, text(page))
	}
	says(t, page, "Token created", "You won’t see this again", "until 22 December 2026, 12:00 UTC")
	secret := secretIn.FindString(page)
	made, err := d.registry.Verify(t.Context(), secret)
	if err != nil {
		t.Fatalf("the secret on the page: %v", err)
	}
	want := []token.Grant{{Spaces: []string{"1", "2"}, Scopes: []string{"stories:read"}, Resources: []string{"*"}}}
	if made.Name != "ci" || made.Description != "for the build" || made.Owner != "alice" || made.CreatedBy != "alice" ||
		!slices.EqualFunc(made.Grants, want, token.EqualGrant) || !made.ExpiresAt.Equal(noon.AddDate(0, 0, 30)) {
		t.Errorf("made: %+v", made)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("203.0.113.7/32")}; !slices.Equal(made.AllowedIPs, want) {
		t.Errorf("allowed addresses: %v, want %v", made.AllowedIPs, want)
	}
	for _, target := range []string{"/", "/tokens/" + made.ID, "/activity", "/api/tokens"} {
		lacks(t, d.get("alice", target), secret, secret[8:])
	}
	_, page = d.post("alice", "/new", filled("name", "single", "resources", "7")...)
	says(t, page, "May do: stories:read in spaces 1, 2 on resource 7.")
}

func TestLifetimes(t *testing.T) {
	unlimited := func(r *registry.Rules) { r.MaxLifetime, r.DefaultLifetime = 0, 0 }
	short := func(r *registry.Rules) { r.MaxLifetime = 20 * day }
	for _, row := range []struct {
		name   string
		rules  func(*registry.Rules)
		fields []string
		want   time.Time
	}{
		{"a week", nil, []string{"expires", "7d"}, noon.AddDate(0, 0, 7)},
		{"a year", nil, []string{"expires", "365d"}, noon.AddDate(0, 0, 365)},
		{"a day means its end", nil, []string{"expires", "date", "date", "2026-12-31"}, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"today", nil, []string{"expires", "date", "date", "2026-11-22"}, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)},
		{"the last day that is allowed", short, []string{"expires", "date", "date", "2026-12-11"}, time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC)},
		{"nothing said", short, []string{"expires", ""}, noon.AddDate(0, 0, 20)},
		{"never", unlimited, []string{"expires", "never"}, time.Time{}},
		{"nothing said, where nothing limits it", unlimited, []string{"expires", ""}, time.Time{}},
	} {
		d := newDesk(t)
		if row.rules != nil {
			d = newDesk(t, row.rules)
		}
		status, page := d.post("alice", "/new", filled(row.fields...)...)
		made, err := d.registry.Verify(t.Context(), secretIn.FindString(page))
		if status != 200 || err != nil {
			t.Errorf("%s: %d, %v\n%s", row.name, status, err, text(page))
			continue
		}
		if !made.ExpiresAt.Equal(row.want) {
			t.Errorf("%s: expires %v, want %v", row.name, made.ExpiresAt, row.want)
		}
	}
	says(t, newDesk(t, unlimited).get("alice", "/new"), "Never")
	says(t, newDesk(t, short).get("alice", "/new"), "After 7 days", "After 20 days – 12 December 2026")
	lacks(t, newDesk(t, short).get("alice", "/new"), "30 days")

	hours := newDesk(t, func(r *registry.Rules) { r.MaxLifetime = 6 * time.Hour })
	form := hours.get("alice", "/new")
	says(t, form, "After 6 hours")
	lacks(t, form, "On a day I choose", "Last day") // today ends in 12 hours
	status, page := hours.post("alice", "/new", filled("expires", "date", "date", "2026-11-22")...)
	if status != 422 {
		t.Errorf("a day that ends too late: %d, want 422", status)
	}
	says(t, page, "Tokens live for 6 hours at most here, and no day ends so soon.")
}

// manyLines returns n different lines.
func manyLines(n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintln(&lines, i)
	}
	return lines.String()
}

// A form with a mistake comes back with what was filled in, and says at the field
// what is wrong. Nothing is made.
func TestMistakes(t *testing.T) {
	for _, row := range []struct {
		fields []string // against the form without mistakes
		at     string   // the field
		says   string
	}{
		{[]string{"name", ""}, "name", "Give the token a name"},
		{[]string{"name", strings.Repeat("x", 201)}, "name", "Name: Too long: of its 201 characters, 200 fit. Shorten it."},
		{[]string{"name", strings.Repeat("漢", 67)}, "name", "Name: Too long: of its 67 characters, 66 fit. Shorten it."},
		{[]string{"description", "a\x01b"}, "description", "Description: Contains a control character."},
		{[]string{"expires", "400d"}, "expires", `"400d" is too long; at most 366d is allowed here.`},
		{[]string{"expires", "soon"}, "expires", `"soon" is not a duration`},
		{[]string{"expires", "never"}, "expires", "Tokens that never expire are not allowed here"},
		{[]string{"expires", "date"}, "date", "Choose the last day on which the token works."},
		{[]string{"expires", "date", "date", "31.12.2026"}, "date", "Write the day like 2027-01-31."},
		{[]string{"expires", "date", "date", "2026-11-21"}, "date", "This day is over."},
		{[]string{"expires", "date", "date", "2030-01-01"}, "date", "Tokens live for 366 days at most here. Choose a day up to 2027-11-22."},
		{[]string{"scope", ""}, "scope", "Scope \"\": not a scope's name or pattern."},
		{[]string{"scope", "stories:rite"}, "scope", "Scope \"stories:rite\": the catalog has none like it; the nearest: stories:write"},
		{[]string{"access", "full"}, "sure", "Confirm that the token may do everything"},
		{[]string{"where", "all"}, "spaces", "Choose one of the two."},
		{[]string{"spaces", " \r\n"}, "spaces", "Say in which spaces the token works"},
		{[]string{"spaces", strings.Repeat("x", 300)}, "spaces", "Spaces: Too long: of its 300 characters, 256 fit."},
		{[]string{"addresses", "10.0.0.0/8 here"}, "addresses", "Allowed addresses: Number 2 is not an address or a range"},
		{[]string{"spaces", manyLines(1001)}, "spaces", "Spaces: 1001 values in one list, at most 1000 are kept."},
		{[]string{"resources", manyLines(1001)}, "resources", "1001 values in one list, at most 1000 are kept."},
	} {
		d := newDesk(t)
		fields := filled(row.fields...)
		status, page := d.post("alice", "/new", fields...)
		if status != 422 {
			t.Errorf("%q: %d, want 422\n%s", row.fields, status, text(page))
			continue
		}
		says(t, page, "One thing needs your attention", row.says)
		link := row.at
		if slices.Equal(row.fields, []string{"where", "all"}) {
			link = "where" // the field isn't shown
		}
		for _, markup := range []string{`<a href="#` + link + `">`, `id="` + row.at + `-mistake">`} {
			if !strings.Contains(page, markup) {
				t.Errorf("%q: the page lacks %s", row.fields, markup)
			}
		}
		for field, kept := range map[string]string{"name": `name="name" value="ci"`, "description": "for the build", "addresses": ">10.0.0.0/8, 203.0.113.7<"} {
			if row.at != field && !strings.Contains(page, kept) {
				t.Errorf("%q: the form has lost its %s", row.fields, field)
			}
		}
		if tokens, _, err := d.registry.Operator(registry.Actor{}).List(t.Context(), registry.Query{}); err != nil || len(tokens) > 0 {
			t.Errorf("%q: %d tokens were made, %v", row.fields, len(tokens), err)
		}
	}
}

// All that is wrong with a form is said at once.
func TestMistakesAreSaidAtOnce(t *testing.T) {
	d := newDesk(t, func(r *registry.Rules) { r.Spaces = true })
	status, page := d.post("alice", "/new", "name", "\u202e", "description", strings.Repeat("漢", 1000), "access", "chosen", "resources", strings.Repeat("x", 257), "addresses", "foo")
	if status != 422 {
		t.Errorf("a new token: %d, want 422", status)
	}
	says(t, page, "6 things need your attention", "Name: Contains a character that can't be seen", "Description: Too long: of its 1000 characters, 666 fit.", "Permissions: Choose at least one",
		"Spaces: Say in which spaces", "Resources: Too long", "Allowed addresses: Number 1 is not an address")
	if link := `<a href="#where">Spaces: `; !strings.Contains(page, link) {
		t.Errorf("the page lacks %s", link)
	}
	made, secret := d.create("alice", "ci")
	status, page = d.post("alice", "/tokens/"+made.ID+"/edit", "was-name", "ci", "name", secret, "description", secret, "addresses", "foo")
	if status != 422 {
		t.Errorf("an edit: %d, want 422", status)
	}
	says(t, page, "3 things need your attention", "Name: Has a secret in it", "Description: Has a secret in it", "Allowed addresses: Number 1 is not an address")
}

// What looks like several ids in one line is asked about once, and shown as one.
func TestIdsWithCommas(t *testing.T) {
	for _, field := range []string{"spaces", "resources"} {
		d := newDesk(t)
		fields := filled(field, "7\r\n1, 2")
		status, page := d.post("alice", "/new", fields...)
		if status != 422 {
			t.Fatalf("%s: %d, want 422", field, status)
		}
		says(t, page, "One thing needs your attention", "Write one id per line. If “1, 2” is a single id, send the form again as it is.")
		sure := fieldsOf(page, `method="post`).Get("sure-" + field)
		if status, _ := d.post("alice", "/new", append(filled(field, "7\r\n1,2"), "sure-"+field, sure)...); status != 422 {
			t.Errorf("%s that are others: %d, want 422", field, status)
		}
		status, page = d.post("alice", "/new", append(fields, "sure-"+field, sure)...)
		if status != 200 {
			t.Fatalf("%s sent again: %d\n%s", field, status, text(page))
		}
		says(t, page, field+" “1, 2”, 7")
		made, err := d.registry.Verify(t.Context(), secretIn.FindString(page))
		if err != nil {
			t.Fatal(err)
		}
		says(t, d.get("alice", "/tokens/"+made.ID), "7, “1, 2”")
	}
}

func TestFullAccess(t *testing.T) {
	d := newDesk(t)
	status, page := d.post("alice", "/new", filled("access", "full", "sure", "yes")...)
	made, err := d.registry.Verify(t.Context(), secretIn.FindString(page))
	if status != 200 || err != nil || !slices.EqualFunc(made.Grants, []token.Grant{token.Full()}, token.EqualGrant) {
		t.Errorf("%d, %v: %+v", status, err, made)
	}
	says(t, d.get("alice", "/"), "Everything")
}

// Without a catalog, other permissions can be named than those that are offered.
func TestOpenCatalog(t *testing.T) {
	d := newDesk(t, func(r *registry.Rules) { r.Scopes = nil })
	open, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Catalog = open
	says(t, d.get("alice", "/new"), "Names of permissions")
	status, page := d.post("alice", "/new", filled("scope", "license", "more", " books:* read ")...)
	made, err := d.registry.Verify(t.Context(), secretIn.FindString(page))
	if err != nil || status != 200 || !slices.Equal(made.Grants[0].Scopes, []string{"license", "books:*", "read"}) {
		t.Errorf("%d, %v: %+v", status, err, made)
	}
	status, page = d.post("alice", "/new", filled("more", "books:r*")...)
	if status != 422 {
		t.Errorf("a pattern that can't be: %d, want 422", status)
	}
	says(t, page, `"*" stands for a whole part`)
}

// Where the policy has spaces, the form doesn't guess.
func TestSpacesHaveToBeChosen(t *testing.T) {
	d := newDesk(t, func(r *registry.Rules) { r.Spaces = true })
	for want, fields := range map[int][]string{422: {"where", "", "spaces", ""}, 200: {"where", "all", "spaces", ""}} {
		if status, page := d.post("alice", "/new", filled(fields...)...); status != want {
			t.Errorf("%q: %d, want %d\n%s", fields, status, want, text(page))
		}
	}
}

// An owner with limits is offered what they may grant, and refused the rest.
func TestLimitedOwner(t *testing.T) {
	d := newDesk(t)
	most := []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:write"}}}
	if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "alice", registry.OwnerChanges{Grants: &most}); err != nil {
		t.Fatal(err)
	}
	form := d.get("alice", "/new")
	says(t, form, "Your account is limited to: stories:write in space 1", "stories:read", "Your account is limited to these: 1.")
	lacks(t, form, "assets:read", "Everything", "license", "Only what I choose", "All spaces", "as many tokens as you may have")
	for _, hidden := range []string{`type="hidden" name="access" value="chosen"`, `type="hidden" name="where" value="some"`} {
		if !strings.Contains(form, hidden) {
			t.Errorf("the form lacks %s", hidden)
		}
	}
	for _, fields := range [][]string{{"scope", "assets:read", "spaces", "1"}, {"spaces", "2"}, {"access", "full", "sure", "yes"}} {
		status, page := d.post("alice", "/new", filled(fields...)...)
		if status != 422 {
			t.Errorf("%q: %d, want 422", fields, status)
		}
		says(t, page, `is more than owner "alice" may do`)
	}
	if status, page := d.post("alice", "/new", filled("spaces", "1")...); status != 200 {
		t.Errorf("within the limits: %d\n%s", status, text(page))
	}

	one := 1
	if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "alice", registry.OwnerChanges{MaxTokens: &one}); err != nil {
		t.Fatal(err)
	}
	says(t, d.get("alice", "/new"), "You have as many tokens as you may have. Delete one that is no longer needed")
	status, page := d.post("alice", "/new", filled("spaces", "1")...)
	if status != 422 {
		t.Errorf("one too many: %d, want 422", status)
	}
	says(t, page, "as many tokens as it may have")
	if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "alice", registry.OwnerChanges{MayCreate: new(bool)}); err != nil {
		t.Fatal(err)
	}
	says(t, d.get("alice", "/"), "You may not make tokens yourself")
	lacks(t, d.get("alice", "/"), "New token")
	if w := d.do("GET", "/new", "", "User", "alice"); w.Code != 403 {
		t.Errorf("GET /new: %d, want 403", w.Code)
	}
	made, _, err := d.registry.Operator(registry.Actor{}).Create(t.Context(), registry.NewToken{Name: "ci", Owner: "bob", Full: true})
	if err != nil {
		t.Fatal(err)
	}
	says(t, d.get("bob", "/tokens/"+made.ID), "Add a permission")
	if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "bob", registry.OwnerChanges{MayCreate: new(bool)}); err != nil {
		t.Fatal(err)
	}
	lacks(t, d.get("bob", "/tokens/"+made.ID), "Add a permission")
}

// The ceiling is many grants, and not all spaces are offered where none has them.
func TestSpacesOfLimitedOwner(t *testing.T) {
	d := newDesk(t)
	for _, row := range []struct {
		most []token.Grant
		only string
		all  bool // all spaces are offered
	}{
		{[]token.Grant{{Spaces: []string{"2", "1"}, Scopes: []string{"license"}}, {Spaces: []string{"2", "a, b"}, Scopes: []string{"stories:read"}}}, "Your account is limited to these: 1, 2, “a, b”.", false},
		{[]token.Grant{{Spaces: []string{"1"}, Scopes: []string{"license"}}, {Spaces: []string{"*"}, Scopes: []string{"stories:read"}}}, "All spaces", true},
	} {
		if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "alice", registry.OwnerChanges{Grants: &row.most}); err != nil {
			t.Fatal(err)
		}
		form := d.get("alice", "/new")
		says(t, form, row.only)
		_, form = d.post("alice", "/new", filled("spaces", "")...)
		if got := strings.Contains(form, "or choose all"); got != row.all {
			t.Errorf("%v: without any, all are offered: %t", row.most, got)
		}
		if got := strings.Contains(form, "All spaces"); got != row.all {
			t.Errorf("%v: all spaces are offered: %t", row.most, got)
		}
	}
}
