package token

import (
	"slices"
	"strings"
	"testing"
)

func TestMatchScope(t *testing.T) {
	covers := func(pattern, name string) {
		t.Helper()
		if !MatchScope(pattern, name) {
			t.Errorf("MatchScope(%q, %q) = false, want true", pattern, name)
		}
	}
	misses := func(pattern, name string) {
		t.Helper()
		if MatchScope(pattern, name) {
			t.Errorf("MatchScope(%q, %q) = true, want false", pattern, name)
		}
	}

	// A name covers itself and nothing else, to the letter.
	covers("stories:read", "stories:read")
	covers("MANAGE_LIBRARY", "MANAGE_LIBRARY")
	misses("stories:read", "stories:write")
	misses("stories:read", "Stories:read")
	misses("stories:read", "stories:reads")
	misses("stories:reads", "stories:read")

	// Parts are not prefixes: a longer or a shorter name is another one.
	misses("stories", "stories:read")
	misses("stories:read", "stories")
	misses("stories:read", "stories:read:own")

	// A star stands for exactly one whole part.
	covers("stories:*", "stories:read")
	covers("*:read", "stories:read")
	covers("*:*", "stories:read")
	covers("a:*:c", "a:b:c")
	misses("stories:*", "stories")
	misses("stories:*", "stories:read:own")
	misses("stories:*", "story:read")
	misses("*:read", "read")
	misses("*:read", "a:b:read")
	misses("*:*", "MANAGE_LIBRARY")
	misses("sto*:read", "stories:read")

	// Alone it covers every scope.
	covers("*", "MANAGE_LIBRARY")
	covers("*", "stories:read")
	covers("*", "a:b:c")

	// What is asked for is a name; a star in it is not granted by anything narrower.
	misses("stories:read", "*")
	misses("stories:read", "stories:*")
	misses("", "stories:read")
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		list  []string
		value string
		want  bool
	}{
		{[]string{"1", "2"}, "2", true},
		{[]string{"1", "2"}, "3", false},
		{[]string{"1"}, "01", false},
		{[]string{"1"}, "", false},
		{[]string{All}, "anything", true},
		{[]string{"1", All}, "anything", true},
		{[]string{"1*"}, "12", false},
		{[]string{"1"}, All, false},
		{nil, "1", false},
		{nil, "", false},
	} {
		if got := Covers(c.list, c.value); got != c.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", c.list, c.value, got, c.want)
		}
	}
}

func TestScopeNamesAndPatterns(t *testing.T) {
	for _, c := range []struct {
		scope         string
		name, pattern bool // whether it can be one
	}{
		{"stories:read", true, true},
		{"MANAGE_LIBRARY", true, true},
		{"https://example.com/read", true, true},
		{"a.b-c/d;e=f", true, true},
		{strings.Repeat("s", 256), true, true},
		{"*", false, true},
		{"stories:*", false, true},
		{"*:read", false, true},
		{"*:*:*", false, true},
		{"sto*:read", false, false},
		{"stories:**", false, false},
		{"", false, false},
		{":", false, false},
		{"stories:", false, false},
		{":read", false, false},
		{"a::b", false, false},
		{"stories read", false, false},
		{"a|b", false, false},
		{"a,b", false, false},
		{`a"b`, false, false},
		{`a\b`, false, false},
		{"a\nb", false, false},
		{"a\x7fb", false, false},
		{"störies:read", false, false},
		{strings.Repeat("s", 257), false, false},
	} {
		if err := ValidScopeName(c.scope); (err == nil) != c.name {
			t.Errorf("ValidScopeName(%q) = %v, want valid %v", c.scope, err, c.name)
		}
		if err := ValidScopePattern(c.scope); (err == nil) != c.pattern {
			t.Errorf("ValidScopePattern(%q) = %v, want valid %v", c.scope, err, c.pattern)
		}
	}
}

func TestValidGrants(t *testing.T) {
	all := []string{All}
	for _, c := range []struct {
		name  string
		grant Grant
		want  string // in the error; "": valid
	}{
		{"everything", Full(), ""},
		{"some of each", Grant{[]string{"1", "Zoë/2"}, []string{"stories:read"}, []string{"7"}}, ""},
		{"no scopes: for routes that take any token", Grant{all, nil, all}, ""},
		{"no spaces", Grant{nil, all, all}, "spaces: empty"},
		{"no resources", Grant{all, all, nil}, "resources: empty"},
		{"an empty space", Grant{[]string{""}, all, all}, "spaces: an empty name"},
		{"an empty resource", Grant{all, all, []string{"7", ""}}, "resources: an empty name"},
		{"a control character", Grant{[]string{"a\x00"}, all, all}, "spaces: contains a control"},
		{"a long resource", Grant{all, all, []string{strings.Repeat("r", 257)}}, "resources: 257 bytes"},
		{"a piece of a scope", Grant{all, []string{"sto*"}, all}, "stands for a whole part"},
		{"two scopes in one", Grant{all, []string{"a b"}, all}, `scope "a b": " " can't be part of a scope's name`},
		{"an empty scope", Grant{all, []string{""}, all}, "not a scope's name"},
		{"too many", Grant{all, slices.Repeat([]string{"s"}, 1001), all}, "1001 values"},
	} {
		wantError(t, c.name, validGrants([]Grant{c.grant}), c.want)
	}
	wantError(t, "the second of two", validGrants([]Grant{Full(), {}}), "grants: number 2: ")
}

func TestEqualGrant(t *testing.T) {
	g := Grant{[]string{"1"}, []string{"s"}, []string{"r"}}
	for _, c := range []struct {
		other Grant
		want  bool
	}{
		{CloneGrants([]Grant{g})[0], true},
		{Grant{[]string{"2"}, []string{"s"}, []string{"r"}}, false},
		{Grant{[]string{"1"}, []string{"s", "t"}, []string{"r"}}, false},
		{Grant{[]string{"1"}, []string{"s"}, nil}, false},
	} {
		if got := EqualGrant(g, c.other); got != c.want {
			t.Errorf("EqualGrant(%v, %v) = %v, want %v", g, c.other, got, c.want)
		}
	}
}

func TestMeetScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"a:r", "a:r", "a:r"}, {"*", "*", "*"}, {"*", "a:r", "a:r"}, {"a:*", "a:r", "a:r"}, {"a:*", "*", "a:*"}, {"a:*", "*:*", "a:*"},
		{"a:*", "*:r", "a:r"}, {"a:*:c", "*:b:*", "a:b:c"}, {"a:b:*", "a:*:c", "a:b:c"}, {"a:*", "a:*", "a:*"},
		{"a:r", "a:w", ""}, {"a:*", "b:*", ""}, {"a:*", "a", ""}, {"a:*", "a:b:c", ""}, {"*:r", "a:w", ""}, {"*:b:c", "a:*:d", ""},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got, ok := MeetScopes(pair[0], pair[1]); got != c.want || ok != (c.want != "") {
				t.Errorf("MeetScopes(%q, %q) = %q, %v, want %q", pair[0], pair[1], got, ok, c.want)
			}
		}
	}
}
