package caddymodule

import (
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

func TestImpliedBy(t *testing.T) {
	by := impliedBy([]policy.Scope{
		{Name: "read", Aliases: []string{"view"}},
		{Name: "write", Implies: []string{"view"}, Aliases: []string{"change"}},
		{Name: "publish", Implies: []string{"write"}},
		{Name: "bill"},
		{Name: "admin", Implies: []string{"*"}},
	})
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
