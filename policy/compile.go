package policy

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Policy is a compiled policy. Immutable; safe for concurrent use.
type Policy struct {
	Realm        string
	StripToken   bool // forward_token strip
	Catalog      *Catalog
	Own          string // what patgate's secrets begin with: none of them is let through. Set before use
	routes       []*Route
	tree         *node
	fallback     *Route       // what default says for requests no route matches; nil: deny
	credentials  []Credential // all the places where routes take tokens from
	letThrough   []Credential
	preflight    bool
	encodedSlash slashes
	semicolon    bool
	spaces       bool
	shape        *Shape // of the body of rejections on no route
	reports      bool   // mode report, for what no route matches
	enforces     bool   // some route that asks for anything isn't in report mode
	at           string // where it begins: file:line
	unsaid       bool   // default isn't written: deny
}

// Compile checks a configuration and compiles it. Its errors, joined, name the
// places of the mistakes.
func Compile(c Config, catalog *Catalog) (*Policy, error) {
	p := &Policy{Realm: c.Realm, Catalog: catalog, tree: &node{}, at: c.At, unsaid: c.Default == ""}
	if p.Realm == "" {
		p.Realm = "patgate"
	}
	var errs []error
	fail := func(err error) { errs = append(errs, err) } // nil is no failure
	word := func(what, w string, possible ...string) bool {
		got, err := OneOf(what, w, possible...)
		fail(err)
		return got == possible[1]
	}
	if !validRealm(p.Realm) {
		fail(fmt.Errorf("realm %q: want visible ASCII characters without quotes and backslashes", p.Realm))
	}
	p.StripToken = word("forward_token", c.ForwardToken, "keep", "strip")
	p.preflight = !word("cors_preflight", c.CORSPreflight, "forward", "deny")
	slash, err := OneOf("encoded_slash", c.EncodedSlash, slashWords...)
	fail(err)
	p.encodedSlash = slashes(max(0, slices.Index(slashWords, slash)))
	p.semicolon = word("semicolon", c.Semicolon, "reject", "allow")
	for _, text := range c.LetThrough {
		credential, err := parseLetThrough(text)
		fail(err)
		p.letThrough = append(p.letThrough, credential)
	}
	if err := c.Settings.check(); err != nil {
		fail(err)
		return nil, errors.Join(errs...)
	}
	fail(p.setFallback(c))
	p.reports = c.Mode == "report"
	p.shape, err = compileErrorBody(c.ErrorBody)
	fail(err)
	fail(p.add(c.Routes, c.Groups, c.Settings, ""))
	if len(c.OpenAPI) > 0 {
		fail(At(c.OpenAPI[0].At, errNotExpanded))
	}
	fail(At(c.At, p.checkParameters(&c.Settings, 0)))
	fail(p.tree.conflicts())
	fail(p.checkLetThrough())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, r := range p.routes {
		r.beside = p.tree.beside(r)
	}
	p.tree.finish()
	p.credentials = p.allCredentials()
	return p, nil
}

// setFallback compiles what default says.
func (p *Policy) setFallback(c Config) error {
	word, err := OneOf("default", c.Default, "deny", "any", "public")
	if err != nil || word == "deny" {
		return err
	}
	settings := c.Settings
	settings.Optional = false
	p.fallback, err = compileRoute(RouteConfig{Methods: []string{"*"}, Pattern: "/*", Require: word}, settings, "", p.Catalog)
	if err == nil {
		p.spaces = p.fallback.Space.Kind != FromNone
	}
	return err
}

// add compiles the routes of a site or a group and those of the groups in it.
func (p *Policy) add(routes []RouteConfig, groups []GroupConfig, outer Settings, prefix string) error {
	var errs []error
	for _, rc := range routes {
		r, err := compileRoute(rc, outer, prefix, p.Catalog)
		if err != nil {
			errs = append(errs, At(cmp.Or(rc.At, "route "+strings.Join(rc.Methods, ",")+" "+rc.Pattern), err))
			continue
		}
		p.spaces = p.spaces || r.Space.Kind != FromNone
		p.enforces = p.enforces || !r.Report && r.Require.need != needNothing
		p.routes = append(p.routes, r)
		p.tree.insert(r)
	}
	for _, g := range groups {
		errs = append(errs, p.addGroup(g, outer, prefix))
	}
	return errors.Join(errs...)
}

func (p *Policy) addGroup(g GroupConfig, outer Settings, prefix string) error {
	fail := func(err error) error { return At(g.At, fmt.Errorf("group %q: %w", g.Prefix, err)) }
	if !strings.HasPrefix(g.Prefix, "/") || strings.Contains(g.Prefix, "?") {
		return fail(errors.New("want a path prefix that begins with /, without a query"))
	}
	prefix = join(prefix, g.Prefix)
	parsed, err := parsePattern(prefix)
	switch {
	case err != nil:
		return fail(err)
	case parsed.tail:
		return fail(errors.New("a prefix can't end in a segment that takes all the rest"))
	}
	if err := g.Settings.check(); err != nil {
		return fail(err)
	}
	if len(g.OpenAPI) > 0 {
		err = At(g.OpenAPI[0].At, errNotExpanded)
	}
	first := len(p.routes)
	err = errors.Join(err, p.add(g.Routes, g.Groups, g.Settings.within(outer), prefix))
	if missing := p.checkParameters(&g.Settings, first); missing != nil {
		err = errors.Join(err, fail(missing))
	}
	return err
}

// check returns what is wrong with settings, whether there are routes for them
// or not.
func (s *Settings) check() error {
	_, err := parseCredentials(s.TokenFrom)
	_, modeErr := OneOf("mode", s.Mode, "enforce", "report")
	errs := []error{err, modeErr}
	for what, text := range s.sources() {
		if _, err := ParseSource(cmp.Or(text, "none")); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	return errors.Join(errs...)
}

// sources returns what is said of where the space and the resource are.
func (s *Settings) sources() iter.Seq2[string, string] {
	return func(yield func(what, text string) bool) { _ = yield("space", s.Space) && yield("resource", s.Resource) }
}

// checkParameters refuses a path.<name> of a site or a group that none of its
// routes, those from first on, has a parameter for. With a slip of the pen there,
// all of them would be in no space, and a scope would be enough in whichever
// space it is held.
func (p *Policy) checkParameters(s *Settings, first int) error {
	for what, text := range s.sources() {
		name, ok := strings.CutPrefix(text, "path.")
		if !ok || first == len(p.routes) {
			continue
		}
		if !slices.ContainsFunc(p.routes[first:], func(r *Route) bool { return (&Source{Name: name}).standsIn(&r.pattern) }) {
			return fmt.Errorf("%s %s: none of the routes has {%s}", what, text, name)
		}
	}
	return nil
}

// checkLetThrough refuses credentials that are to be let through and taken for
// tokens at once.
func (p *Policy) checkLetThrough() error {
	for _, c := range p.letThrough {
		for r := range p.all() {
			if slices.ContainsFunc(r.from, c.sameAs) {
				return At(r.At, fmt.Errorf("let_through %s: tokens are taken from there", c))
			}
		}
	}
	return nil
}

// Routes returns the compiled routes in the order they are written.
func (p *Policy) Routes() []*Route { return p.routes }

// all returns the routes, and the one for requests that none of them matches.
func (p *Policy) all() iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, r := range p.routes {
			if !yield(r) {
				return
			}
		}
		if p.fallback != nil {
			yield(p.fallback)
		}
	}
}

// Credentials returns all the places where routes take tokens from. They aren't to
// be changed.
func (p *Policy) Credentials() []Credential { return p.credentials }

func (p *Policy) allCredentials() (all []Credential) {
	for r := range p.all() {
		for _, c := range r.from {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// JudgedHeaders returns the headers in which routes find tokens, spaces and resources,
// or other credentials of the API.
func (p *Policy) JudgedHeaders() (names []string) {
	for _, c := range slices.Concat(p.credentials, p.letThrough) {
		names = append(names, c.header())
	}
	names = append(names, p.SourceHeaders()...)
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// SourceHeaders returns the headers in which routes find spaces and resources.
func (p *Policy) SourceHeaders() (names []string) {
	for r := range p.all() {
		for _, s := range []Source{r.Space, r.Resource} {
			if s.Kind == FromHeader && !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// Spaces reports whether some route is in a space. Then a new token must say
// which spaces it is for.
func (p *Policy) Spaces() bool { return p.spaces }

// Reporting returns how many routes are in report mode. What no route matches counts as
// one.
func (p *Policy) Reporting() (n int) {
	for _, r := range p.routes {
		if r.Report {
			n++
		}
	}
	if p.reports {
		n++
	}
	return n
}

// ReportsDefault reports whether what no route matches is in report mode.
func (p *Policy) ReportsDefault() bool { return p.reports }

// Default returns what a request needs that no route matches: "deny", "any" or
// "public".
func (p *Policy) Default() string {
	if p.fallback == nil {
		return "deny"
	}
	return p.fallback.Require.text
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
