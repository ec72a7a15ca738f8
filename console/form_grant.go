package console

import (
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// grantForm is the part of a form that says what a token may do.
type grantForm struct {
	*form
	Groups   []scopeGroup
	Complete bool     // there are no scopes but those in Groups
	Choose   bool     // spaces have to be chosen
	Limited  bool     // the owner may not do everything
	Within   []string // the only spaces in which the owner may do anything; nil: any
}

// scopeGroup is the scopes that begin with the same part.
type scopeGroup struct {
	Name   string // "" for those of one part
	Scopes []policy.Scope
}

// grantForm returns the form's part about a grant.
func (c *call) grantForm(f *form) grantForm {
	rules, limits := c.Rules(), c.Account.Owner().Grants
	g := grantForm{form: f, Complete: c.Catalog.Complete(), Choose: rules.Spaces, Limited: !slices.ContainsFunc(limits, token.Grant.IsFull)}
	if !slices.ContainsFunc(limits, func(limit token.Grant) bool { return all(limit.Spaces) }) {
		for _, limit := range limits {
			g.Within = append(g.Within, limit.Spaces...)
		}
		g.Within = distinct(g.Within)
	}
	for _, s := range rest.NewScopes(c.Catalog).Scopes {
		if !slices.ContainsFunc(limits, func(g token.Grant) bool { return rules.Holds(g.Scopes, s.Name) }) {
			continue
		}
		name, _, parted := strings.Cut(s.Name, ":")
		if !parted {
			name = ""
		}
		i := slices.IndexFunc(g.Groups, func(group scopeGroup) bool { return group.Name == name })
		if i < 0 {
			i = len(g.Groups)
			g.Groups = append(g.Groups, scopeGroup{Name: name})
		}
		g.Groups[i].Scopes = append(g.Groups[i].Scopes, s)
	}
	return g
}

// read returns the grant that was chosen. full says that it is that of
// everything.
func (g *grantForm) read() (grant token.Grant, full bool) {
	if g.Value("access") == "full" {
		if g.Value("sure") == "" {
			g.fail("sure", "Confirm that the token may do everything, or choose single permissions.")
		}
		return token.Full(), true
	}
	grant.Scopes = append(slices.Clone(g.values["scope"]), strings.Fields(g.Value("more"))...)
	if len(grant.Scopes) == 0 {
		g.fail("scope", "Choose at least one permission.")
	}
	for s := range strings.FieldsSeq(g.Value("more")) {
		if err := token.ValidScopePattern(s); err != nil {
			g.fail("more", "%s", sentence(err.Error()))
		}
	}
	grant.Spaces = g.lines("spaces")
	switch {
	case g.Value("where") == "all" && len(grant.Spaces) > 0:
		g.fail("spaces", "All spaces is chosen, and single spaces are listed. Choose one of the two.")
	case g.Value("where") == "all", g.Value("where") == "" && !g.Choose && len(grant.Spaces) == 0:
		grant.Spaces = []string{token.All}
	case len(grant.Spaces) == 0 && g.Within != nil:
		g.fail("spaces", "Say in which spaces the token works.")
	case len(grant.Spaces) == 0:
		g.fail("spaces", "Say in which spaces the token works: list some, or choose all.")
	}
	if grant.Resources = g.lines("resources"); len(grant.Resources) == 0 {
		grant.Resources = []string{token.All}
	}
	for _, field := range []string{"spaces", "resources"} {
		for _, v := range g.lines(field) {
			g.fits(field, v, token.MaxValueLength)
		}
		g.single(field)
	}
	return grant, false
}
