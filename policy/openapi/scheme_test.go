package openapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

// TestTokenPlaces: where the tokens of a document are, as import has it, and what is said
// where a policy takes none from there.
func TestTokenPlaces(t *testing.T) {
	for _, test := range []struct {
		schemes, security string
		draft             []string
		takes             []string // token_from, or let_through
		warning           string
	}{
		{"b: {type: http, scheme: Bearer}", "[{b: []}]", nil, nil, ""},
		{"b: {type: http, scheme: bearer}", "[{b: []}]", nil, []string{"header X-Key"}, "token_from bearer"},
		{"b: {type: oauth2}, k: {type: apiKey, in: query, name: key}", "[{k: []}, {b: [r]}]", []string{"query key", "bearer"}, nil, ""},
		{"b: {type: http, scheme: basic}", "[{b: []}]", []string{"basic"}, []string{"basic"}, ""},
		{"b: {type: http, scheme: GenieKey}", "[{b: []}]", []string{"scheme GenieKey"}, []string{"scheme geniekey"}, ""},
		{"k: {type: apiKey, in: header, name: x-api-key}", "[{k: []}]", []string{"header X-Api-Key"}, nil, "token_from header X-Api-Key"},
		{"k: {type: apiKey, in: header, name: x-api-key}", "[{k: []}]", []string{"header X-Api-Key"}, []string{"header X-Api-Key"}, ""},
		{"k: {type: apiKey, in: header, name: x-api-key}", "[{k: []}]", []string{"header X-Api-Key"}, []string{"let header X-Api-Key"}, ""},
		{"k: {type: apiKey, in: header, name: X-Key}, l: {type: apiKey, in: header, name: X-Old}", "[{k: []}, {l: []}]",
			[]string{"header X-Key", "header X-Old"}, nil, "token_from header X-Key and token_from header X-Old"},
		{"k: {type: apiKey, in: header, name: X-Key}, l: {type: apiKey, in: header, name: x-key}", "[{k: []}, {l: []}]", []string{"header X-Key"}, nil, "token_from header X-Key"},
		{"k: {type: apiKey, in: header, name: Authorization}", "[{k: []}]", nil, nil, ""},
		{"k: {type: apiKey, in: header, name: Authorization}, l: {type: apiKey, in: header, name: X-Key}", "[{k: []}, {l: []}]", []string{"bearer", "bare", "header X-Key"}, nil, ""},
		{"k: {type: apiKey, in: cookie, name: sid}", "[{k: []}]", nil, nil, ""},
		{"k: {$ref: 'elsewhere.yaml'}, l: {type: apiKey, in: header, name: X-Key}", "[{l: []}, {k: []}]", []string{"header X-Key", "bearer"}, nil, ""},
		{"k: {type: apiKey, in: header, name: Cookie}", "[{k: []}]", nil, nil, ""},
		{"k: {type: apiKey, in: query, name: '{$X}'}", "[{k: []}]", nil, nil, ""},
		{"unused: {type: apiKey, in: header, name: X-Key}", "[{o: [r]}]", nil, nil, ""},
	} {
		d, err := read(t, paths("  /x: {get: {security: "+test.security+"}}\ncomponents: {securitySchemes: {"+test.schemes+"}}\n"))
		if err != nil {
			t.Errorf("%s: %v", test.schemes, err)
			continue
		}
		draft, err := d.Draft(policy.OpenAPIConfig{Default: "any"})
		if err != nil || !slices.Equal(draft.TokenFrom, test.draft) {
			t.Errorf("%s: draft %q, %v, want %q", test.schemes, draft.TokenFrom, err, test.draft)
		}
		c := policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/x", Require: "any"}}}
		for _, place := range test.takes {
			if other, is := strings.CutPrefix(place, "let "); is {
				c.LetThrough = append(c.LetThrough, other)
			} else {
				c.TokenFrom = append(c.TokenFrom, place)
			}
		}
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Compile(c, catalog)
		if err != nil {
			t.Fatal(err)
		}
		var want []policy.Warning
		if test.warning != "" {
			want = []policy.Warning{{At: "api.yaml:4", Kind: policy.WarnElsewhere, Text: "no token is taken from where those of api.yaml are: write " + test.warning}}
		}
		if got, err := Compare(c, p, policy.OpenAPIConfig{File: "api.yaml"}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s, taken from %q: %+v, %v, want %+v", test.schemes, test.takes, got, err, want)
		}
	}
	// Of what is skipped, ignored, or said to be none, nothing is taken; of a cookie that is
	// said to be a token, it is.
	d, err := read(t, paths("  /x: {get: {operationId: x, security: [{k: []}]}, put: {security: [{s: []}]}}\ncomponents: {securitySchemes: "+
		"{k: {type: apiKey, in: header, name: X-Key}, s: {type: apiKey, in: cookie, name: sid}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		c    policy.OpenAPIConfig
		want []string
	}{
		{policy.OpenAPIConfig{}, []string{"header X-Key"}},
		{policy.OpenAPIConfig{Skip: []string{"x"}}, nil},
		{policy.OpenAPIConfig{Ignore: []string{"k"}}, nil},
		{policy.OpenAPIConfig{Schemes: []policy.SchemeConfig{{Name: "k", Require: "never"}, {Name: "s", Require: "any"}}}, []string{"cookie sid"}},
	} {
		test.c.Default = "any"
		if draft, err := d.Draft(test.c); err != nil || !slices.Equal(draft.TokenFrom, test.want) {
			t.Errorf("%+v: %q, %v, want %q", test.c, draft.TokenFrom, err, test.want)
		}
	}
}
