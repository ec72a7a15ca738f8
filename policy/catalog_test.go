package policy

import (
	"slices"
	"strings"
	"testing"
)

// What scopes imply, and the other names they have.
func TestScopesHeld(t *testing.T) {
	scopes := []Scope{
		{Name: "read"},
		{Name: "write", Implies: []string{"read"}},
		{Name: "template:write", Aliases: []string{"temaplate:write", "policy:write"}},
		{Name: "template:read", Aliases: []string{"policy:read"}},
		{Name: "ADMINISTRATOR", Implies: []string{"*"}},
		{Name: "OWNER", Implies: []string{"ADMINISTRATOR"}},
		{Name: "moderator", Implies: []string{"policy:write"}},
	}
	catalog, err := NewCatalog(scopes)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ held, want string }{
		{"read", "read"},
		{"write", "read write"},
		{"ADMINISTRATOR", "read write template:write template:read ADMINISTRATOR OWNER moderator"},
		{"OWNER", "read write template:write template:read ADMINISTRATOR OWNER moderator"},
		{"*", "read write template:write template:read ADMINISTRATOR OWNER moderator"},
		{"temaplate:write", "template:write"},
		{"policy:write", "template:write"},
		{"policy:*", "template:write template:read"},
		{"*:read", "template:read"},
		{"moderator", "template:write moderator"},
		{"administrator", ""},
	} {
		held := catalog.holdings(grants("* " + c.held + " *"))
		var got []string
		for n, name := range catalog.all() {
			if held.has(0, n) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s holds %q, want %q", c.held, got, c.want)
		}
	}
	want := "ADMINISTRATOR OWNER moderator policy:read policy:write read temaplate:write template:read template:write write"
	if got := strings.Join(catalog.Names(), " "); got != want {
		t.Errorf("names that can be granted: %s, want %s", got, want)
	}
}

// A route, a token and a case may call a scope by an alias; clients are told its
// name.
func TestAliases(t *testing.T) {
	catalog, err := NewCatalog([]Scope{{Name: "new:write", Aliases: []string{"old:write"}}, {Name: "read"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(Config{Routes: routes("PUT /a old:write", "PUT /b new:write", "PUT /c old:write|new:write read")}, catalog)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"PUT /a", "PUT /b", "PUT /c"} {
		for held, want := range map[string]Reason{"old:write,read": Forward, "new:write,read": Forward, "read": ScopeMissing} {
			if got := decide(t, p, request(target), holder("* "+held+" *")); got != want {
				t.Errorf("%s with %s: %v, want %v", target, held, got, want)
			}
		}
	}
	for _, c := range []struct {
		path, scope string
		ok          bool
	}{
		{"/a", "new:write", true}, {"/a", "old:write", true}, {"/b", "old:write|new:write", true}, {"/c", "read old:write", true}, {"/b", "read", false},
	} {
		if err := p.Check(Case{Method: "PUT", Path: c.path, Scope: scopeText(c.scope)}); (err == nil) != c.ok {
			t.Errorf("case %s needs %s: %v, want it to pass: %v", c.path, c.scope, err, c.ok)
		}
	}
	if got := p.Routes()[2].Require.Enough(); got != "new:write read" {
		t.Errorf("scopes that are enough: %q, want the names, not aliases", got)
	}
}

func TestImpliedBy(t *testing.T) {
	catalog, err := NewCatalog([]Scope{
		{Name: "read", Aliases: []string{"view"}},
		{Name: "write", Implies: []string{"view"}, Aliases: []string{"change"}},
		{Name: "publish", Implies: []string{"write"}},
		{Name: "bill"},
		{Name: "admin", Implies: []string{"*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	by := catalog.ImpliedBy()
	for scope, want := range map[string]string{
		"read":    "admin change publish read view write",
		"view":    "admin change publish read view write",
		"write":   "admin change publish write",
		"change":  "admin change publish write",
		"publish": "admin publish",
		"bill":    "admin bill",
		"admin":   "admin",
		"unknown": "",
	} {
		got := slices.Clone(by[scope])
		slices.Sort(got)
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s is implied by %q, want %q", scope, text, want)
		}
	}
}
