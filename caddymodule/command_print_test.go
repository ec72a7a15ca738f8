package caddymodule

import (
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func TestDistance(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0:                             "now",
		300 * time.Millisecond:        "now",
		time.Second:                   "in 1 second",
		-90 * time.Second:             "90 seconds ago",
		2 * time.Minute:               "in 2 minutes",
		-(3*time.Hour + time.Minute):  "3 hours ago",
		48 * time.Hour:                "in 2 days",
		90*24*time.Hour - time.Second: "in 90 days",
		-366 * 24 * time.Hour:         "366 days ago",
	} {
		if got := distance(now.Add(d), now); got != want {
			t.Errorf("distance of %v = %q, want %q", d, got, want)
		}
	}
	if got := distance(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)); got != "in 2912078 days" {
		t.Errorf("the end of 9999 is %q", got)
	}
}

func TestGrantWords(t *testing.T) {
	long := token.Grant{Spaces: []string{strings.Repeat("ü", 100)}, Scopes: []string{"a"}, Resources: []string{"*"}}
	for _, test := range []struct {
		grant token.Grant
		want  string
	}{
		{token.Full(), "everything"},
		{token.Grant{Spaces: []string{"1"}, Scopes: []string{"a", "b:*"}, Resources: []string{"*"}}, "a b:* in space 1"},
		{token.Grant{Spaces: []string{"1", "2"}, Scopes: []string{"*"}, Resources: []string{"7"}}, "every scope in spaces 1, 2 on resource 7"},
		{token.Grant{Spaces: []string{"*"}, Resources: []string{"7", "8"}}, "no scope in all spaces on resources 7, 8"},
		{token.Grant{Spaces: []string{"1,2", "3"}, Scopes: []string{"a"}, Resources: []string{"7,8"}}, `a in spaces "1,2", 3 on resource "7,8"`},
	} {
		if got := grantWords(test.grant); got != test.want {
			t.Errorf("grantWords(%v) = %q, want %q", test.grant, got, test.want)
		}
	}
	if got, want := grantsShort([]token.Grant{long, long}), "a in space "+strings.Repeat("ü", 48)+"…, and 1 more"; got != want {
		t.Errorf("grantsShort = %q, want %q", got, want)
	}
	if got := grantsShort(nil); got != "none" {
		t.Errorf("grantsShort of no grants = %q, want none", got)
	}
}
