package console

import (
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func TestFromNow(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:            "just now",
		-time.Minute:            "1 minute ago",
		-59 * time.Minute:       "59 minutes ago",
		-61 * time.Minute:       "1 hour ago",
		-35 * time.Hour:         "35 hours ago",
		-37 * time.Hour:         "2 days ago",
		-99 * day:               "99 days ago",
		-400 * day:              "13 months ago",
		-800 * day:              "2 years ago",
		0:                       "just now",
		time.Second:             "in less than a minute",
		90 * time.Second:        "in 2 minutes",
		90*day - time.Second:    "in 90 days",
		366 * day:               "in 12 months",
		59*time.Minute + 40*1e9: "in 1 hour",
	} {
		if got := fromNow(noon.Add(d), noon); got != want {
			t.Errorf("%v from now: %q, want %q", d, got, want)
		}
	}
}

// A token may be made to live longer than a Duration can say.
func TestFromNowFarAway(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC): "in 7978 years",
		time.Date(1026, 11, 22, 0, 0, 0, 0, time.UTC): "1001 years ago",
	} {
		if got := fromNow(at, noon); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
}

func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		day: "1 day", 366 * day: "366 days", 36 * time.Hour: "36 hours",
	} {
		if got := days(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestCan(t *testing.T) {
	grant := func(space, resource string, scopes ...string) token.Grant {
		return token.Grant{Spaces: []string{space}, Scopes: scopes, Resources: []string{resource}}
	}
	for _, row := range []struct {
		want   string
		grants []token.Grant
	}{
		{"No permissions", nil},
		{"No permissions in space 1", []token.Grant{grant("1", "*")}},
		{"Everything", []token.Grant{grant("1", "*", "a"), token.Full()}},
		{"All permissions in space 1", []token.Grant{grant("1", "*", "*")}},
		{"All permissions on resource 7", []token.Grant{grant("*", "7", "*")}},
		{"a, b, c", []token.Grant{grant("*", "*", "c", "a", "b")}},
		{"4 permissions in space 1", []token.Grant{grant("1", "*", "a", "b", "c", "d")}},
		{"a in 4 spaces", []token.Grant{{Spaces: []string{"1", "2", "3", "4"}, Scopes: []string{"a"}, Resources: []string{"*"}}}},
		{"a in space 1 on resource 7", []token.Grant{grant("1", "7", "a")}},
		{"a in space 1 on resources 7, 8", []token.Grant{grant("1", "8", "a"), grant("1", "7", "a")}},
		{"a on 4 resources", []token.Grant{{Spaces: []string{"*"}, Scopes: []string{"a"}, Resources: []string{"1", "2", "3", "4"}}}},
		// Grants that differ in one list only are one: that says no more than they do.
		{"a, b in space 1", []token.Grant{grant("1", "*", "b"), grant("1", "*", "a"), grant("1", "*", "b")}},
		{`a in space “1,2” on resources “3,4”, 5`, []token.Grant{{Spaces: []string{"1,2"}, Scopes: []string{"a"}, Resources: []string{"5", "3,4"}}}},
		{"a in spaces 1, 2", []token.Grant{grant("2", "*", "a"), grant("1", "*", "a")}},
		{"a, b in spaces 1, 2", []token.Grant{grant("1", "*", "a"), grant("2", "*", "b", "a"), grant("1", "*", "b")}},
		{"a in space 1", []token.Grant{grant("1", "7", "a"), grant("1", "*", "a")}},
		// Of others, each is said: none has what only another has.
		{"a in space 1; a, b in space 2", []token.Grant{grant("1", "*", "a"), grant("2", "*", "b", "a")}},
		{"a in space 1 on resource 7; b in space 1", []token.Grant{grant("1", "7", "a"), grant("1", "*", "b")}},
		{"a; All permissions in space 1", []token.Grant{grant("*", "*", "a"), grant("1", "*", "*")}},
		{"a in space 1; b in space 2; c in space 3; and 2 more", []token.Grant{
			grant("1", "*", "a"), grant("2", "*", "b"), grant("3", "*", "c"), grant("4", "*", "d"), grant("5", "*", "e"),
		}},
	} {
		if got := shown(row.grants).Can(); got != row.want {
			t.Errorf("%+v: %q, want %q", row.grants, got, row.want)
		}
	}
}

func shown(grants []token.Grant) row { return row{View: token.View{Grants: grants}} }

// A path as it stands in a request leads back to the console's root.
func TestRoot(t *testing.T) {
	for path, want := range map[string]string{"/": "./", "/new": "./", "/tokens/x": "../", "/tokens/x/grants/clear": "../../../"} {
		if got := root(path); got != want {
			t.Errorf("root(%q) = %q, want %q", path, got, want)
		}
	}
}
