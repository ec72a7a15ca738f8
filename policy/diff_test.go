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
		{[]string{"* /a read"}, []string{"GET,POST,PUT,PATCH,DELETE,OPTIONS /a read"}, []string{"PROPFIND /a: read -> no route"}},
		{[]string{"* /a read"}, []string{"GET,POST,PUT,PATCH,DELETE,OPTIONS,PROPFIND /a read"}, []string{"REPORT /a: read -> no route"}},
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
		{[]string{"GET /a?draft=true read", "GET /a?draft write"}, []string{"GET /a?draft=true read", "GET /a?draft public"}, []string{"GET /a?draft: write -> public"}},
		{[]string{"GET /a?draft=true read", "GET /a?draft write"}, []string{"GET /a?draft=true public", "GET /a?draft write"}, []string{"GET /a?draft=true: read -> public"}},
		{[]string{"GET /a?draft=false read", "GET /a?draft write"}, []string{"GET /a?draft=false read", "GET /a?draft public"}, []string{"GET /a?draft: write -> public"}},
		{[]string{"GET /{a}/{b} any", "GET /* never"}, []string{"GET /{a}/{b} any", "GET /* public"}, []string{"GET /*: never -> public"}},
		{[]string{"GET /{a} any", "GET /{a}/{b} any", "GET /{a}/{b}/{c} any", "GET /* never"}, []string{"GET /{a} any", "GET /{a}/{b} any", "GET /{a}/{b}/{c} any", "GET /* public"}, []string{"GET /*: never -> public"}},
		{[]string{"GET /* any", "GET /{a}/{b}/* read"}, []string{"GET /* public", "GET /{a}/{b}/* read"}, []string{"GET /*: any -> public"}},
		{[]string{"GET /* any", "GET /{a}/{b}/* read"}, []string{"GET /* any", "GET /{a}/{b}/* write"}, []string{"GET /{a}/{b}/*: read -> write"}},
		{[]string{"GET /* public"}, []string{"GET /* public", "GET /a/* read"}, []string{
			"GET /a: public -> refused: some servers find the path on another route, for what is mounted at a path takes the path itself there", "GET /a/*: public -> read"}},
		{[]string{"GET /* public", "GET /a/* public"}, []string{"GET /* any", "GET /a/* public"}, []string{"GET /*: public -> any"}},
		{[]string{"GET /a public"}, []string{"GET /a never"}, []string{"GET /a: public -> never"}},
		{[]string{"GET /a c|b a"}, []string{"GET /a a b|c"}, nil},
		{[]string{"GET /a b c|a"}, []string{"GET /a b a|d"}, []string{"GET /a: a|c b -> a|d b"}},
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
	for _, row := range []struct {
		before, after        string
		oldSource, newSource string
		oldPlaces, newPlaces []string
		want                 string
	}{
		{before: "/a/{x}", after: "/a/{y}", oldSource: "path.x", newSource: "path.y"},
		{before: "/a/{x...}", after: "/a/{y...}", oldSource: "path.x", newSource: "path.y"},
		{before: "/{x}/{y}", after: "/{y}/{x}", oldSource: "path.x", newSource: "path.x",
			want: "/{x}/{y}: read, space path.x, on /{x}/{y} -> read, space path.x, on /{y}/{x}"},
		{before: "/{x}/{y}", after: "/{x}/{y}", oldSource: "path.x", newSource: "path.y",
			want: "/{x}/{y}: read, space path.x -> read, space path.y"},
		{before: "/a", after: "/a", oldSource: "header.x-org", newSource: "header.X-Org"},
		{before: "/a", after: "/a", oldPlaces: []string{"scheme Token"}, newPlaces: []string{"scheme token"}},
		{before: "/a", after: "/a", oldPlaces: []string{"scheme Token"}, newPlaces: []string{"scheme Key"},
			want: "/a: read, token_from scheme Token -> read, token_from scheme Key"},
	} {
		of := func(pattern, source string, places []string) *Policy {
			r := RouteConfig{Methods: []string{"GET"}, Pattern: pattern, Require: "read", Settings: Settings{Space: source, TokenFrom: places}}
			return compile(t, Config{Routes: []RouteConfig{r}})
		}
		var got []string
		for _, d := range Diff(of(row.before, row.oldSource, row.oldPlaces), of(row.after, row.newSource, row.newPlaces)) {
			got = append(got, d.Pattern+": "+d.Old+" -> "+d.New)
		}
		if strings.Join(got, "\n") != row.want {
			t.Errorf("%+v: %q", row, got)
		}
	}
	// / is above /*, and isn't on it: no other path tells what it is answered.
	root := func(c Config, pattern, require string) *Policy {
		c.Routes = append(c.Routes, RouteConfig{Methods: []string{"POST"}, Pattern: pattern, Require: require})
		return compile(t, c)
	}
	of := Config{Default: "any", Routes: []RouteConfig{{Methods: []string{"*"}, Pattern: "/*", Require: "never"}}}
	if d := Diff(root(of, "/*?k=1", "public"), root(Config{}, "/*", "read")); !slices.ContainsFunc(d, func(d Difference) bool {
		return d.Pattern == "/?k=1" && d.Old == "any" && d.New == "no route" && slices.Equal(d.Methods, []string{"POST"})
	}) {
		t.Errorf("what is at / with a query: %v", d)
	}
	before, after := compile(t, Config{}), compile(t, Config{Default: "public"})
	if d := Diff(before, after); len(d) == 0 || d[len(d)-1].New != "public" {
		t.Errorf("a default that changes: %v", d)
	}
	reports := compile(t, Config{Settings: Settings{Mode: "report"}})
	if d := Diff(before, reports); len(d) == 0 || d[0].Old != "no route" || d[0].New != "no route, mode report" {
		t.Errorf("what no route matches, reported: %v", d)
	}
	from := func(places ...string) *Policy {
		return compile(t, Config{Settings: Settings{TokenFrom: places}, Routes: routes("GET /a read")})
	}
	if d := Diff(from("bare", "bearer"), compile(t, Config{Routes: routes("GET /a read")})); len(d) != 0 {
		t.Errorf("the default places in another order: %v", d)
	}
	if d := Diff(from("basic", "cookie c"), from("cookie c", "basic")); len(d) != 0 {
		t.Errorf("the same places in another order: %v", d)
	}
	if d := Diff(from("basic"), from("cookie c")); len(d) != 1 || d[0].New != "read, token_from cookie c" {
		t.Errorf("other places: %v", d)
	}
}

func TestDiffScopes(t *testing.T) {
	t.Parallel()
	catalog := func(scopes ...Scope) *Catalog {
		c, err := NewCatalog(scopes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := catalog(Scope{Name: "r", Aliases: []string{"read"}}, Scope{Name: "w", Implies: []string{"r", "x"}}, Scope{Name: "x"}, Scope{Name: "gone"})
	for _, row := range []struct {
		name  string
		after *Catalog
		want  []ScopeDifference
	}{
		{"written otherwise", catalog(Scope{Name: "gone"}, Scope{Name: "w", Implies: []string{"x", "read"}}, Scope{Name: "r", Description: "d", Aliases: []string{"read"}}, Scope{Name: "x"}), nil},
		{"changed", catalog(Scope{Name: "r", Aliases: []string{"reed"}}, Scope{Name: "w", Implies: []string{"r"}}, Scope{Name: "x", Implies: []string{"*"}}), []ScopeDifference{
			{"gone", "declared", "not declared"}, {"r", "alias read", "alias reed"}, {"w", "implies r x", "implies r"}, {"x", "declared", "implies *"},
		}},
	} {
		if got := DiffScopes(before, row.after); !slices.Equal(got, row.want) {
			t.Errorf("%s: %+v, want %+v", row.name, got, row.want)
		}
	}
}
