package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		before, after []string
		want          []string
	}{
		{[]string{"GET /a read"}, []string{"GET /a read"}, nil},
		{[]string{"GET /a read"}, []string{"GET /a/ read"}, nil},
		{[]string{"GET /a/{x} read"}, []string{"GET /a/{y} read"}, nil},
		{[]string{"GET /a read"}, []string{"GET /a write"}, []string{"GET /a: read -> write"}},
		{[]string{"GET /a read"}, []string{"GET,POST /a read"}, []string{"POST /a: no route -> read"}},
		{[]string{"* /a read"}, []string{"GET /a read"}, []string{"POST,PUT,PATCH,DELETE,OPTIONS /a: read -> no route"}},
		{[]string{"GET /a/{x} read"}, []string{"GET /a/{x} read", "GET /a/b write"}, []string{"GET /a/b: read -> write"}},
		{[]string{"GET /a/* read"}, []string{"GET /a/{x} read"}, []string{"GET /a/*: read -> no route"}},
		{[]string{"GET /{x}/b read", "GET /a/{y} write"}, []string{"GET /{x}/b read", "GET /a/{y} write", "GET /a/b any"}, []string{"GET /a/b: write -> any"}},
		{[]string{"GET /a/{x}/c read"}, []string{"GET /a/b/{y} write"}, []string{
			"GET /a/b/c: read -> write", "GET /a/b/{y}: no route -> write", "GET /a/{x}/c: read -> no route"}},
		{[]string{"GET /a read"}, []string{"GET /a read", "GET /a?draft=true write"}, []string{"GET /a?draft=true: read -> write"}},
		{[]string{"GET /s/{space} read"}, []string{"GET /s/{id} read"}, []string{"GET /s/{space}: read, space path.space -> read"}},
		{[]string{"GET /{x} read"}, []string{"GET /{x} read", "GET /{x}:end write"}, []string{"GET /{x}:end: read -> write"}},
		{[]string{"GET /a{x} read"}, []string{"GET /{x}b write"}, []string{
			"GET /a{x}: read -> no route", "GET /a{x}b: read -> write", "GET /{x}b: no route -> write"}},
		{[]string{"GET /a public"}, []string{"GET /a never"}, []string{"GET /a: public -> never"}},
	} {
		before, after := compile(t, Config{Routes: routes(row.before...)}), compile(t, Config{Routes: routes(row.after...)})
		var got []string
		for _, d := range Diff(before, after) {
			got = append(got, strings.Join(d.Methods, ",")+" "+d.Pattern+": "+d.Old+" -> "+d.New)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("from %q to %q:\n\t%s\nwant\n\t%s", row.before, row.after, strings.Join(got, "\n\t"), strings.Join(row.want, "\n\t"))
		}
	}
	before, after := compile(t, Config{}), compile(t, Config{Default: "public"})
	if d := Diff(before, after); len(d) == 0 || d[len(d)-1].New != "public" {
		t.Errorf("a default that changes: %v", d)
	}
}
