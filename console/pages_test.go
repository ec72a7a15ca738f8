package console

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// secretIn is what looks like a secret.
var secretIn = regexp.MustCompile(`pat_[0-9A-Za-z]{36}`)

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

// Every page says where in the navigation it is.
func TestNavigation(t *testing.T) {
	d := newDesk(t)
	mine, _ := d.create("root", "mine")
	other, _ := d.create("alice", "of another")
	for target, want := range map[string]string{
		"/": "Yours", "/new": "Yours", "/tokens/" + mine.ID: "Yours", "/tokens/" + mine.ID + "/regenerate": "Yours", "/tokens/" + mine.ID + "/revoke": "Yours",
		"/tokens/" + mine.ID + "/delete": "Yours", "/tokens/" + mine.ID + "/grants/clear": "Yours", "/activity": "Activity",
		"/tokens/" + other.ID: "Everyone’s", "/tokens/" + other.ID + "/revoke": "Everyone’s", "/everyone/revoke?owner=alice": "Everyone’s",
		"/everyone": "Everyone’s", "/everyone/activity": "All activity",
	} {
		_, nav, _ := strings.Cut(d.get("root", target), `<nav aria-label="Main">`)
		nav, _, _ = strings.Cut(nav, "</nav>")
		if current := regexp.MustCompile(`aria-current="true">([^<]*)<`).FindStringSubmatch(nav); current == nil || current[1] != want {
			t.Errorf("%s is at %q, want %q", target, current, want)
		}
	}
	if _, page := d.post("root", "/new", filled()...); !strings.Contains(page, `aria-current="true">Yours<`) {
		t.Error("the page with the secret is nowhere")
	}
}

// A form that is sent again, by a page that is loaded anew, makes no second secret.
func TestFormsAreSentOnce(t *testing.T) {
	d := newDesk(t)
	hidden := regexp.MustCompile(`name="once" value="(\w+)"`)
	once := func(target string) string {
		t.Helper()
		found := hidden.FindStringSubmatch(d.get("alice", target))
		if found == nil {
			t.Fatalf("GET %s has no such field", target)
		}
		return found[1]
	}
	fields := filled("spaces", "1", "once", once("/new"))
	if status, page := d.post("alice", "/new", filled("spaces", "1", "expires", "99999d", "once", fields[len(fields)-1])...); status != 422 {
		t.Fatalf("with a mistake: %d\n%s", status, text(page))
	}
	if status, page := d.post("alice", "/new", fields...); status != 200 {
		t.Fatalf("mended: %d\n%s", status, text(page))
	}
	status, page := d.post("alice", "/new", fields...)
	if status != 409 {
		t.Errorf("again: %d, want 409", status)
	}
	says(t, page, "Sent already", "If you did not see it, open the token and make a new one.")
	tokens, _, err := d.registry.Operator(registry.Actor{}).List(t.Context(), registry.Query{})
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%d tokens were made, %v, want 1", len(tokens), err)
	}
	if link := `href="./tokens/` + tokens[0].ID + `"`; !strings.Contains(page, link) {
		t.Errorf("the page lacks %s", link)
	}
	at := "/tokens/" + tokens[0].ID + "/regenerate"
	fields = []string{"expires", "30d", "once", once(at), "shown", "active " + tokens[0].Hint}
	if status, page := d.post("alice", at, fields...); status != 200 {
		t.Fatalf("regenerating: %d\n%s", status, text(page))
	}
	digest := d.token(tokens[0].ID).Digest
	if status, _ := d.post("alice", at, fields...); status != 409 || d.token(tokens[0].ID).Digest != digest {
		t.Errorf("regenerating again: %d, want 409, and the secret left alone", status)
	}
}

// A second click is answered when the first one is dealt with: by then it is known
// whether there is a secret.
func TestSecondClickWaits(t *testing.T) {
	d := newDesk(t)
	c := &call{Console: d.Console, Call: rest.Call{R: httptest.NewRequest("POST", "/new", nil), W: httptest.NewRecorder()}}
	f := &form{values: url.Values{"once": {"x"}}}
	failed := errors.New("gone")
	second, begun := make(chan error), make(chan bool)
	err := c.makeSecret(f, nil, "", func() (*token.Token, string, error) {
		go func() {
			close(begun)
			second <- c.makeSecret(f, nil, "", func() (*token.Token, string, error) { return nil, "", io.EOF })
		}()
		<-begun
		return nil, "", failed
	})
	if err != failed {
		t.Errorf("the first: %v", err)
	}
	if err := <-second; err != io.EOF {
		t.Errorf("the second: %v; want it to make what the first could not", err)
	}
}

func TestList(t *testing.T) {
	d := newDesk(t)
	deploy, _ := d.create("alice", "deploy")
	d.create("alice", "Backup")
	d.create("bob", "of another")
	d.now = noon.AddDate(0, 0, 80)
	fresh, _ := d.create("alice", "fresh")
	if _, err := d.registry.Operator(registry.Actor{}).Revoke(t.Context(), deploy.ID); err != nil {
		t.Fatal(err)
	}
	all := d.get("alice", "/")
	says(t, all, "Your tokens", "deploy", "revoked just now", "Backup", "in 10 days", "Expires soon", "fresh", "in 90 days", "never", "stories:read in space 1")
	lacks(t, all, "of another", "bob")
	for target, want := range map[string][]string{
		"/?status=active":   {"fresh", "Backup"},
		"/?status=revoked":  {"deploy"},
		"/?status=expiring": {"Backup"},
		"/?status=unused":   {"Backup"},
		"/?status=expired":  nil,
		"/?q=back":          {"Backup"},
		"/?sort=name":       {"Backup", "deploy", "fresh"},
		"/?sort=expires":    {"Backup", "deploy", "fresh"},
	} {
		page := d.get("alice", target)
		var got []string
		for _, m := range regexp.MustCompile(`<a href="./tokens/[^"]*">([^<]*)</a>`).FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
		}
		if strings.Contains(target, "expires") { // the first two expire at the same moment
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("GET %s: %q, want %q", target, got, want)
		}
		if want == nil {
			says(t, page, "No tokens like that.", "Show all")
		}
	}
	d.now = fresh.ExpiresAt
	says(t, d.get("alice", "/?status=expired"), "fresh", "expired just now", "Backup", "expired 80 days ago")
}

func TestPages(t *testing.T) {
	d := newDesk(t)
	for i := range pageSize + 1 {
		d.create("alice", "token "+string(rune('A'+i)))
	}
	first := d.get("alice", "/?sort=name")
	says(t, first, "token A", "token Y", "Next page")
	lacks(t, first, "token Z")
	next := regexp.MustCompile(`<a href="([^"]*)" rel="next"`).FindStringSubmatch(first)
	second := d.get("alice", "/"+strings.ReplaceAll(next[1], "&amp;", "&"))
	says(t, second, "token Z", "First page")
	lacks(t, second, "token Y", "Next page")
}

func TestEdit(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	was := []string{"was-name", "ci"}
	status, to := d.post("alice", at+"/edit", append(was, "name", "build", "description", "on every push", "addresses", "10.0.0.0/8")...)
	if want := at + "?done=saved"; status != 303 || to != want {
		t.Fatalf("%d to %s, want 303 to %s", status, to, want)
	}
	says(t, d.get("alice", to), "build", "on every push", "10.0.0.0/8", "Saved.", "changed · name: ci → build")
	for _, row := range [][]string{
		{"name", "", "Give the token a name"},
		{"addresses", "nowhere", "Number 1 is not an address"},
	} {
		fields := append([]string{"name", "other", "description", "", "addresses", ""}, row[:2]...)
		for i := range 3 {
			if fields[2*i] == row[0] {
				fields[2*i+1] = row[1]
			}
		}
		status, page := d.post("alice", at+"/edit", fields[:6]...)
		if status != 422 {
			t.Errorf("%q: %d, want 422", row, status)
		}
		says(t, page, row[2])
	}
	if got := d.token(made.ID); got.Name != "build" {
		t.Errorf("a form with mistakes has changed the token: %+v", got)
	}
}

// Of a token's settings, a form changes those that were changed in it, and none that
// somebody else has changed since it was shown.
func TestEditOfAnOldPage(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	change := func(c registry.Changes) {
		t.Helper()
		if _, err := d.registry.Operator(registry.Actor{}).Update(t.Context(), made.ID, c); err != nil {
			t.Fatal(err)
		}
	}
	old := fieldsOf(d.get("alice", at), "edit")
	change(registry.Changes{AllowedIPs: &[]string{"10.0.0.0/8", "203.0.113.7"}})
	old.Set("description", "for the build")
	if status, to := d.post("alice", at+"/edit", inTurn(old)...); status != 303 {
		t.Fatalf("the description: %d\n%s", status, text(to))
	}
	if got := d.token(made.ID); len(got.AllowedIPs) != 2 || got.Description != "for the build" {
		t.Fatalf("a form about the description has made it %q, from %v", got.Description, got.AllowedIPs)
	}
	if status, to := d.post("alice", at+"/edit", inTurn(old)...); status != 303 {
		t.Errorf("once more: %d\n%s", status, text(to))
	}

	// Of a field that both have changed, the later one learns what it is now.
	old = fieldsOf(d.get("alice", at), "edit")
	change(registry.Changes{AllowedIPs: &[]string{"192.0.2.0/24"}, Name: new("build")})
	old.Set("addresses", "10.0.0.0/8")
	status, page := d.post("alice", at+"/edit", inTurn(old)...)
	if got := d.token(made.ID).AllowedIPs; status != 409 || len(got) != 1 || got[0].String() != "192.0.2.0/24" {
		t.Errorf("addresses that somebody else has changed: %d, now %v", status, got)
	}
	says(t, page, "Somebody has changed this since the page was shown. It is now: 192.0.2.0/24. Save again to replace that.")
	again := fieldsOf(page, "edit")
	if again.Get("name") != "build" || again.Get("addresses") != "10.0.0.0/8" {
		t.Errorf("the form has %q", again)
	}
	if status, _ := d.post("alice", at+"/edit", inTurn(again)...); status != 303 || d.token(made.ID).AllowedIPs[0].String() != "10.0.0.0/8" {
		t.Errorf("saved again: %d, %v", status, d.token(made.ID).AllowedIPs)
	}
	d.post("alice", at+"/edit", "name", "build", "description", "", "addresses", "")
	if got := d.token(made.ID).AllowedIPs; len(got) != 1 {
		t.Errorf("a form that doesn't say what it has shown: %v", got)
	}
}

func TestGrants(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	add := func(fields ...string) (int, string) { return d.post("alice", at+"/grants", fields...) }
	if status, to := add("access", "chosen", "scope", "assets:read", "scope", "license", "where", "all", "resources", "7\n8"); status != 303 || to != at+"?done=granted" {
		t.Fatalf("adding: %d %s", status, to)
	}
	page := d.get("alice", at+"?done=granted")
	says(t, page, "Permission added.", "assets:read", "In all spaces, only 7, 8", "permission added · may do: stories:read in space 1; assets:read, license on resources 7, 8")
	says(t, d.get("alice", "/"), "stories:read in space 1; assets:read, license on resources 7, 8")
	if status, page := add("access", "chosen", "where", "all"); status != 422 {
		t.Errorf("adding nothing: %d, want 422", status)
	} else {
		says(t, page, "Choose at least one permission.")
	}

	asks := regexp.MustCompile(`href="\.\./(tokens/\w+/grants/remove\?[^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(asks) != 2 {
		t.Fatalf("%d grants to remove, want 2", len(asks))
	}
	ask := "/" + strings.ReplaceAll(asks[0][1], "&amp;", "&")
	question := d.get("alice", ask)
	says(t, question, "Remove a permission of “ci”?", "stories:read in space 1.", "Remove permission")
	var remove []string
	for _, field := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="(\w*)">`).FindAllStringSubmatch(question, -1) {
		remove = append(remove, field[1:]...)
	}
	if got := d.token(made.ID).Grants; len(got) != 2 {
		t.Fatalf("the question has removed one: %+v", got)
	}
	if status, to := d.post("alice", at+"/grants/remove", remove...); status != 303 || to != at+"?done=removed" {
		t.Fatalf("removing: %d %s", status, to)
	}
	if got := d.token(made.ID).Grants; len(got) != 1 || got[0].Scopes[0] != "assets:read" {
		t.Fatalf("left: %+v", got)
	}
	// The same click once more is about a grant that is gone: another has its number.
	status, page := d.post("alice", at+"/grants/remove", remove...)
	if status != 409 || len(d.token(made.ID).Grants) != 1 {
		t.Errorf("a click on an old page: %d, %d grants left; want 409 and 1", status, len(d.token(made.ID).Grants))
	}
	says(t, page, "The permissions have changed since this page was shown.")
	if w := d.do("GET", ask, "", "User", "alice"); w.Code != 409 {
		t.Errorf("a click on an old page, that asks: %d, want 409", w.Code)
	}

	says(t, d.get("alice", at+"/grants/clear"), "Remove all permissions of “ci”?")
	if status, to := d.post("alice", at+"/grants/clear"); status != 303 || len(d.token(made.ID).Grants) != 0 {
		t.Errorf("removing all: %d %s, left %+v", status, to, d.token(made.ID).Grants)
	}
	says(t, d.get("alice", at), "No permissions: the token can’t do anything that needs one.")
	if status, _ := add("access", "full", "sure", "yes"); status != 303 || !d.token(made.ID).Grants[0].IsFull() {
		t.Errorf("everything: %d, %+v", status, d.token(made.ID).Grants)
	}
}

// The first of two clicks is dealt with while the second is read: what has the number
// then is another permission, and stays.
func TestSecondClickRemovesNothing(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	cli := registry.Actor{Kind: registry.Operator, Name: "cli"}
	if _, err := d.registry.Operator(cli).AddGrant(t.Context(), made.ID, token.Grant{Scopes: []string{"license"}}); err != nil {
		t.Fatal(err)
	}
	fields := strings.NewReader(url.Values{"n": {"1"}, "seal": {seal(d.token(made.ID).Grants[0])}}.Encode())
	first := sync.OnceFunc(func() {
		if _, err := d.registry.Operator(cli).RemoveGrant(t.Context(), made.ID, 1, nil); err != nil {
			t.Error(err)
		}
	})
	r := httptest.NewRequest("POST", "/tokens/"+made.ID+"/grants/remove", readerFunc(func(p []byte) (int, error) {
		first()
		return fields.Read(p)
	}))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User", "alice")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if got := d.token(made.ID).Grants; w.Code != 409 || len(got) != 1 || got[0].Scopes[0] != "license" {
		t.Errorf("the second click: %d, left %+v; want 409, and license", w.Code, got)
	}
	says(t, w.Body.String(), "The permissions have changed since this page was shown.")
	if strings.Count(w.Body.String(), `/grants/remove?`) != 1 {
		t.Error("the page doesn't show the one that is left")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestGrantsImmutable(t *testing.T) {
	d := newDesk(t, func(r *registry.Rules) { r.GrantsImmutable = true })
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	page := d.get("alice", at)
	says(t, page, "permissions can’t be changed here")
	lacks(t, page, "Add a permission", at+"/grants")
	if status, _ := d.post("alice", at+"/grants/clear"); status != 403 {
		t.Errorf("removing all: %d, want 403", status)
	}
	if status, _ := d.post("alice", at+"/grants", "access", "chosen", "scope", "license", "where", "all"); status != 422 {
		t.Errorf("adding: %d, want 422", status)
	}
}

func TestRevokeAndDelete(t *testing.T) {
	d := newDesk(t)
	made, secret := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	says(t, d.get("alice", at+"/revoke"), "Revoke “ci”?", "turned away from that moment on")
	if status, to := d.post("alice", at+"/revoke"); status != 303 || to != at+"?done=revoked" {
		t.Fatalf("revoking: %d %s", status, to)
	}
	page := d.get("alice", at+"?done=revoked")
	says(t, page, "The token no longer works.", "Revoked", "revoked by you from "+address+", just now")
	lacks(t, page, `href="../tokens/`+made.ID+`/revoke"`)
	if _, err := d.registry.Bearer(t.Context(), secret, netip.Addr{}); err == nil {
		t.Error("its secret still opens something")
	}
	if status, page := d.post("alice", at+"/regenerate", "expires", "30d", "shown", "revoked "+made.Hint); status != 200 {
		t.Fatalf("%d\n%s", status, text(page))
	}
	lacks(t, d.get("alice", at+"?done=revoked"), "The token no longer works.")
	lacks(t, d.get("alice", at+"?done=cleared"), "All permissions removed.")
	says(t, d.get("alice", at+"/delete"), "Delete “ci”?", "gone for good")
	if status, to := d.post("alice", at+"/delete"); status != 303 || to != "/?done=deleted" {
		t.Fatalf("deleting: %d %s", status, to)
	}
	says(t, d.get("alice", "/?done=deleted"), "Deleted.")
	if w := d.do("GET", at, "", "User", "alice"); w.Code != 404 {
		t.Errorf("GET %s: %d, want 404", at, w.Code)
	}
	says(t, d.get("alice", "/activity"), "ci – deleted", "ci – revoked", "ci – made")
}

// unconfirmed is a store that can't say that nothing undoes what was done.
type unconfirmed struct {
	store.Store
	store.Shared // nil: nothing else of it is asked
}

func (unconfirmed) Confirm(context.Context) error { return errors.New("no replica answers") }

// That a token isn't there any more is as good as its end, and so has to be as certain.
func TestWhatIsNotThereIsConfirmed(t *testing.T) {
	d := newDesk(t)
	d.registry = registry.New(unconfirmed{Store: d.store}, d.rules, registry.Options{})
	for _, what := range []string{"revoke", "delete"} {
		if status, page := d.post("alice", "/tokens/gone/"+what); status != 503 {
			t.Errorf("%s: %d, want 503\n%s", what, status, text(page))
		}
	}
}

func TestRegenerate(t *testing.T) {
	d := newDesk(t)
	made, old := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	says(t, d.get("alice", at+"/regenerate"), "New secret for “ci”", "The old secret stops", "In a day")
	shown := func() []string { return []string{"shown", "active " + d.token(made.ID).Hint, "expires", "7d"} }
	status, page := d.post("alice", at+"/regenerate", append(shown(), "overlap", "24h")...)
	secret := secretIn.FindString(page)
	if got, err := d.registry.Verify(t.Context(), secret); status != 200 || err != nil || got.ID != made.ID || !got.ExpiresAt.Equal(noon.AddDate(0, 0, 7)) {
		t.Fatalf("%d: the new secret is that of %+v, %v", status, got, err)
	}
	says(t, page, "New secret made", "You won’t see this again")
	if _, err := d.registry.Bearer(t.Context(), old, netip.Addr{}); err != nil {
		t.Errorf("the old secret: %v, want it to work for a day", err)
	}
	says(t, d.get("alice", at), "Old secret works for another 24 hours")
	status, page = d.post("alice", at+"/regenerate", append(shown(), "overlap", "8d")...)
	if status != 422 {
		t.Errorf("an overlap longer than the new life: %d, want 422", status)
	}
	says(t, page, "is longer than the new secret lives")

	if _, err := d.registry.Operator(registry.Actor{}).Revoke(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	page = d.get("alice", at+"/regenerate")
	says(t, page, "The token works again with the new secret")
	lacks(t, page, "The old secret stops")
	if status, page := d.post("alice", at+"/regenerate", "expires", "30d", "shown", "revoked "+d.token(made.ID).Hint); status != 200 || d.token(made.ID).Status(d.now) != token.Active {
		t.Errorf("a revoked token: %d\n%s", status, text(page))
	}
}

// A page that was opened while a token worked doesn't bring it back after it was revoked.
func TestRegenerateOfAnOldPage(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID + "/regenerate"
	hidden := func(page string) []string { return inTurn(fieldsOf(page, `method="post`)) }
	old := hidden(d.get("alice", at))
	if status, to := d.post("root", "/tokens/"+made.ID+"/revoke"); status != 303 {
		t.Fatalf("revoking: %d %s", status, to)
	}
	status, page := d.post("alice", at, append(old, "expires", "30d", "overlap", "1h")...)
	if got := d.token(made.ID); status != 409 || got.Status(d.now) != token.Revoked || got.Digest != made.Digest {
		t.Fatalf("a token that was revoked meanwhile: %d, and is %s", status, got.Status(d.now))
	}
	says(t, page, "The token has been revoked since this page was shown.", "The token works again with the new secret")
	lacks(t, page, "The old secret stops")
	if status, page := d.post("alice", at, append(hidden(page), "expires", "30d")...); status != 200 || d.token(made.ID).Status(d.now) != token.Active {
		t.Errorf("by the page that says so: %d\n%s", status, text(page))
	}
	digest := d.token(made.ID).Digest
	if status, _ := d.post("alice", at, "expires", "30d", "shown", "active "+made.Hint); status != 409 || d.token(made.ID).Digest != digest {
		t.Errorf("with another secret since: %d, want 409, and the secret left alone", status)
	}
	for _, shown := range [][]string{nil, {"shown", ""}} {
		if status, _ := d.post("alice", at, append(shown, "expires", "30d")...); status != 409 {
			t.Errorf("%q: %d, want 409", shown, status)
		}
	}
}

// What is somebody else's isn't there, whatever is asked of it.
func TestOthersTokens(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	before := d.token(made.ID)
	at := "/tokens/" + made.ID
	for _, r := range pageRoutes() {
		method, pattern, _ := strings.Cut(r.pattern, " ")
		if !strings.Contains(pattern, "{id}") {
			continue
		}
		w := d.do(method, strings.Replace(pattern, "{id}", made.ID, 1), "name=x", "User", "bob", "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != 404 {
			t.Errorf("%s for bob: %d, want 404", r.pattern, w.Code)
		}
		// An admin may look and revoke, no more.
		w = d.do(method, strings.Replace(pattern, "{id}", made.ID, 1), "name=x", "User", "root", "Content-Type", "application/x-www-form-urlencoded")
		want := 403
		switch r.pattern {
		case "GET /tokens/{id}", "GET /tokens/{id}/revoke":
			want = 200
		case "POST /tokens/{id}/revoke":
			want = 303
		}
		if w.Code != want {
			t.Errorf("%s for an admin: %d, want %d", r.pattern, w.Code, want)
		}
	}
	for _, target := range []string{"/everyone", "/everyone/activity", "/everyone/revoke?owner=alice"} {
		if w := d.do("GET", target, "", "User", "bob"); w.Code != 403 {
			t.Errorf("GET %s for bob: %d, want 403", target, w.Code)
		}
	}
	for _, owner := range []string{"alice", "bob"} {
		if status, _ := d.post("bob", "/everyone/revoke", "owner", owner); status != 403 {
			t.Errorf("revoking all of %s's on a page for admins, for bob: %d, want 403", owner, status)
		}
	}
	if after := d.token(made.ID); after.Name != before.Name || !slices.EqualFunc(after.Grants, before.Grants, token.EqualGrant) {
		t.Errorf("the token was changed: %+v", after)
	}
	page := d.get("root", at)
	says(t, page, "Tokens of alice", "revoked by you")
	lacks(t, page, "Delete this token", "Add a permission", "Settings", "New secret")
}

func TestEveryone(t *testing.T) {
	d := newDesk(t)
	d.create("alice", "ci")
	d.create("bob & sons", "deploy")
	lacks(t, d.get("alice", "/"), "Everyone")
	page := d.get("root", "/everyone")
	says(t, page, "Everyone’s tokens", "ci", "alice", "deploy", "bob & sons")
	of := "/everyone?" + url.Values{"owner": {"bob & sons"}}.Encode()
	page = d.get("root", of)
	says(t, page, "All tokens of bob & sons", "deploy", "Revoke all of them")
	lacks(t, page, "tokens of alice", ">ci<")
	says(t, d.get("root", "/everyone/revoke?owner=bob+%26+sons"), "Revoke all tokens of “bob & sons”?")
	status, to := d.post("root", "/everyone/revoke", "owner", "bob & sons")
	if status != http.StatusSeeOther {
		t.Fatalf("revoking all: %d", status)
	}
	says(t, d.get("root", to), "All tokens of this owner are revoked.", "revoked just now")
	d.create("bob & sons", "another")
	lacks(t, d.get("root", to), "All tokens of this owner are revoked.")
	says(t, d.get("alice", "/?status=active"), "ci")
	says(t, d.get("root", "/everyone/activity"), "deploy – revoked by you from "+address, "ci – made")
	lacks(t, d.get("alice", "/activity"), "deploy")
	if status, _ := d.post("root", "/everyone/revoke"); status != 400 {
		t.Errorf("revoking all of nobody: %d, want 400", status)
	}
}

func TestFormsThatCantBeRead(t *testing.T) {
	d := newDesk(t)
	for body, want := range map[string]int{"name=%zz": 400, "name=" + strings.Repeat("x", maxForm): 413} {
		w := d.do("POST", "/new", body, "User", "alice", "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != want {
			t.Errorf("a form of %d bytes: %d, want %d", len(body), w.Code, want)
		}
	}
}

// While the store is down, and after too many changes, nothing that was filled in is lost:
// the page that says so can send it again.
func TestFormsOutliveTheStore(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	for target, fields := range map[string]url.Values{
		"/new":                           {"name": {`"quoted"`}, "scope": {"stories:read", "assets:read"}, "spaces": {"1\n2"}, "where": {"some"}, "expires": {"30d"}, "once": {"x"}},
		"/tokens/" + made.ID + "/edit":   {"name": {"build"}, "was-name": {"ci"}},
		"/tokens/" + made.ID + "/revoke": {},
	} {
		send := func(fields url.Values) *httptest.ResponseRecorder {
			return d.do("POST", target, fields.Encode(), "User", "alice", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
		}
		d.broken = errors.New("down")
		w := send(fields)
		if w.Code != 503 {
			t.Fatalf("POST %s: %d, want 503", target, w.Code)
		}
		says(t, w.Body.String(), "Not now", "try again in a minute", "Try again")
		kept := url.Values{}
		for _, field := range regexp.MustCompile(`(?s)<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(w.Body.String(), -1) {
			kept.Add(field[1], html.UnescapeString(field[2]))
		}
		if kept.Encode() != fields.Encode() {
			t.Errorf("POST %s: kept %q, want %q", target, kept, fields)
		}
		d.broken = nil
		if w := send(kept); w.Code != 200 && w.Code != 303 {
			t.Errorf("POST %s again: %d\n%s", target, w.Code, text(w.Body.String()))
		}
	}
	d.broken = errors.New("down")
	lacks(t, d.do("GET", "/", "", "User", "alice").Body.String(), "Try again")

	d.broken = nil
	for d.pace.Allow("alice", d.now) {
	}
	w := d.do("POST", "/new", "name=slow", "User", "alice", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if w.Code != 429 {
		t.Fatalf("POST /new when there were too many changes: %d, want 429", w.Code)
	}
	says(t, w.Body.String(), "Not now", "one a minute", "Try again")
	if !strings.Contains(w.Body.String(), `<input type="hidden" name="name" value="slow">`) {
		t.Errorf("what was filled in is lost:\n%s", w.Body)
	}
}

// What people write is shown as text.
func TestMarkupIsText(t *testing.T) {
	d := newDesk(t)
	const evil = `"><script>alert(1)</script>`
	status, page := d.post(evil, "/new", filled("name", evil, "description", evil, "spaces", evil)...)
	if status != 200 {
		t.Fatalf("%d\n%s", status, text(page))
	}
	tokens, _, err := d.registry.Operator(registry.Actor{}).List(t.Context(), registry.Query{})
	if err != nil || len(tokens) != 1 {
		t.Fatal(err, len(tokens))
	}
	at := "/tokens/" + tokens[0].ID
	_, mistaken := d.post(evil, "/new", filled("name", evil, "addresses", evil, "more", evil)...)
	for _, page := range []string{page, mistaken, d.get(evil, "/?q="+url.QueryEscape(evil)), d.get(evil, at), d.get(evil, at+"/revoke"), d.get(evil, "/activity"), d.get("root", "/everyone")} {
		if strings.Contains(page, "<script>alert") {
			t.Errorf("the page has markup that somebody wrote:\n%s", page)
		}
	}
}
