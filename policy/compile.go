package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Compile checks a configuration and compiles it. The error joins all mistakes, each with
// its place, and of the settings at one place the first.
func Compile(c Config, catalog *Catalog) (*Policy, error) {
	p := &Policy{Realm: c.Realm, Catalog: catalog, tree: &node{}, at: c.At, noDefault: c.Default == ""}
	if p.Realm == "" {
		p.Realm = "patgate"
	}
	var errs []error
	fail := func(err error) { errs = append(errs, err) } // nil is no failure
	says := func(word, what, said string, possible ...string) bool {
		got, err := OneOf(what, said, possible...)
		fail(err)
		return got == word
	}
	if !validRealm(p.Realm) {
		fail(fmt.Errorf("realm %q: want visible ASCII characters without quotes and backslashes", p.Realm))
	}
	p.StripToken = says("strip", "forward_token", c.ForwardToken, "keep", "strip")
	p.preflight = says("forward", "cors_preflight", c.CORSPreflight, "forward", "deny")
	p.preflightAsked = c.CORSPreflight == "forward"
	p.semicolon = says("allow", "semicolon", c.Semicolon, "reject", "allow")
	slash, err := OneOf("encoded_slash", c.EncodedSlash, slashWords...)
	fail(err)
	p.encodedSlash = slashes(max(0, slices.Index(slashWords, slash)))
	for _, text := range c.LetThrough {
		credential, err := parseLetThrough(text)
		if err == nil && slices.ContainsFunc(p.letThrough, credential.SameAs) {
			err = fmt.Errorf("let_through %s: is given twice", credential)
		}
		fail(err)
		p.letThrough = append(p.letThrough, credential)
	}
	if p.site, err = c.Settings.within(defaults); err != nil {
		fail(err)
		return nil, errors.Join(errs...)
	}
	fail(p.setFallback(c.Default))
	fail(p.add(&GroupConfig{Routes: c.Routes, Groups: c.Groups, OpenAPI: c.OpenAPI}, p.site, ""))
	fail(At(c.At, p.checkParameters(&c.Settings, p.routes)))
	fail(p.tree.conflicts())
	fail(p.checkLetThrough())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.finish()
	return p, nil
}

// setFallback compiles what default says.
func (p *Policy) setFallback(said string) error {
	word, err := OneOf("default", said, "deny", "any", "public")
	if err != nil || word == "deny" {
		return err
	}
	around := p.site
	around.optional = false
	p.fallback, err = p.compileRoute(&RouteConfig{Methods: []string{"*"}, Pattern: "/*", Require: word}, around, "")
	return err
}

// add compiles the routes of a site or a group, with its settings, and those of the
// groups in it.
func (p *Policy) add(g *GroupConfig, in settings, prefix string) error {
	var errs []error
	for i := range g.Routes {
		c := &g.Routes[i]
		r, err := p.compileRoute(c, in, prefix)
		if err != nil {
			errs = append(errs, At(cmp.Or(c.At, "route "+strings.TrimSpace(strings.Join(c.Methods, ",")+" "+strings.TrimSuffix(prefix, "/")+c.Pattern)), err))
			continue
		}
		p.routes = append(p.routes, r)
		p.tree.insert(r)
	}
	for i := range g.Groups {
		errs = append(errs, p.addGroup(&g.Groups[i], in, prefix))
	}
	if len(g.OpenAPI) > 0 {
		errs = append(errs, At(g.OpenAPI[0].At, errNotExpanded))
	}
	return errors.Join(errs...)
}

func (p *Policy) addGroup(g *GroupConfig, outer settings, prefix string) error {
	fail := func(err error) error { return At(g.At, fmt.Errorf("group %q: %w", g.Prefix, err)) }
	if !strings.HasPrefix(g.Prefix, "/") || strings.Contains(g.Prefix, "?") {
		return fail(errors.New("want a path prefix that begins with /, without a query"))
	}
	prefix = join(prefix, g.Prefix)
	parsed, err := parsePattern(prefix, p.encodedSlash)
	switch {
	case err != nil:
		return fail(err)
	case parsed.tail:
		return fail(errors.New("a prefix can't end in a segment that takes all the rest"))
	}
	in, err := g.Settings.within(outer)
	before := len(p.routes)
	inside := p.add(g, in, prefix)
	if err == nil {
		err = p.checkParameters(&g.Settings, p.routes[before:])
	}
	if err != nil {
		err = fail(err)
	}
	return errors.Join(inside, err)
}

// checkParameters refuses a path.<name> of a site or a group that none of its routes has
// a parameter for. With a typing error there, all of them would be in no space, and a
// scope held in any space would be enough.
func (p *Policy) checkParameters(s *Settings, routes []*Route) error {
	for _, said := range [...]struct{ what, text string }{{"space", s.Space}, {"resource", s.Resource}} {
		name, ok := strings.CutPrefix(said.text, "path.")
		if !ok || len(routes) == 0 {
			continue
		}
		if !slices.ContainsFunc(routes, func(r *Route) bool { return (&source{name: name}).isIn(&r.pattern) }) {
			return fmt.Errorf("%s %s: none of the routes has {%s}", said.what, said.text, name)
		}
	}
	return nil
}

// checkLetThrough refuses credentials that are to be let through and taken for
// tokens at once.
func (p *Policy) checkLetThrough() error {
	for _, c := range p.letThrough {
		for r := range p.all() {
			if slices.ContainsFunc(r.from, c.SameAs) {
				return At(r.At, fmt.Errorf("let_through %s: tokens are taken from there", c))
			}
		}
	}
	return nil
}

// finish works out what depends on all the routes.
func (p *Policy) finish() {
	for r := range p.all() {
		p.Catalog.note(&r.space)
		for _, c := range r.from {
			if !slices.Contains(p.credentials, c) {
				p.credentials = append(p.credentials, c)
			}
		}
	}
	for _, r := range p.routes {
		p.enforces = p.enforces || !r.report && r.Require.need != needNothing
		r.beside = p.tree.beside(r)
	}
	p.tree.finish()
	p.mounts = map[string]bool{}
	p.tree.each(func(n *node) {
		for _, e := range n.edges {
			if len(e.to.tails)+len(e.to.edges)+len(e.to.partial) > 0 || e.to.parameter != nil {
				p.mounts[e.literal] = true
			}
		}
	})
}

func validRealm(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return len(s) <= 200
}

// errNotExpanded is for documents whose routes would be missing.
var errNotExpanded = errors.New("openapi: the document wasn't turned into routes")
