package openapi

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/patgate/patgate/policy"
)

// Compare says where a policy and OpenAPI documents differ: operations that no route covers,
// or that need a token by the document and none by the policy; routes below a document's base
// that no operation has; and documents whose tokens are in places where the policy takes none
// from. The documents are those that the policy's configuration names, and further ones.
func Compare(c policy.Config, p *policy.Policy, further ...policy.OpenAPIConfig) ([]policy.Warning, error) {
	all := comparison{bases: map[string][]string{}, configs: map[string]policy.OpenAPIConfig{}}
	if err := all.add("", c.OpenAPI, c.Groups, ""); err != nil {
		return nil, err
	}
	for _, of := range further {
		// A document that the configuration names is compared under what it says of it.
		if named, is := all.configs[of.File]; is && (of.Base == "" || of.Base == named.Base) {
			continue
		} else if is {
			named.Base = of.Base
			of = named
		}
		if err := all.add("", []policy.OpenAPIConfig{of}, nil, "--"); err != nil {
			return nil, err
		}
	}
	return slices.Concat(all.ofTokens(p), all.ofOperations(p), all.ofRoutes(p)), nil
}

// comparison is the operations of documents, as a policy sees them.
type comparison struct {
	operations []comparedOperation
	bases      map[string][]string // the segments of each path that a document is below
	files      []string
	configs    map[string]policy.OpenAPIConfig // by their files
	tokens     []comparedTokens
}

// comparedTokens is what the operations of a document ask for.
type comparedTokens struct {
	file    string
	schemes []*scheme
}

type comparedOperation struct {
	*operation
	file    string
	pattern string // whole
	parts   []string
	asked   []*scheme // one of them is needed; nil where none is, or the configuration says what is
}

// add adds the documents of a site or a group, and of the groups in it. The mark is that of
// rules.
func (c *comparison) add(prefix string, documents []policy.OpenAPIConfig, groups []policy.GroupConfig, mark string) error {
	for _, config := range documents {
		d, err := Read(config.File)
		if err != nil {
			return policy.At(config.At, err)
		}
		c.configs[config.File] = config
		file := filepath.Base(d.file)
		if !slices.Contains(c.files, file) {
			c.files = append(c.files, file)
		}
		c.tokens = append(c.tokens, comparedTokens{file, d.used(&config)})
		for i := range d.operations {
			o := &d.operations[i]
			base, err := o.base.or(config.Base)
			if err != nil {
				return policy.At(o.at, fmt.Errorf("operation %s: %w: write %sbase <path>", o.name(), err, mark))
			}
			base = below(prefix, base)
			c.bases[base] = segments(base)
			whole := below(base, pattern(o.path))
			c.operations = append(c.operations, comparedOperation{o, file, whole, segments(whole), d.asked(o, &config)})
		}
	}
	for _, g := range groups {
		if err := c.add(below(prefix, g.Prefix), g.OpenAPI, g.Groups, mark); err != nil {
			return err
		}
	}
	return nil
}

// asked returns the security schemes of which an operation needs one, nil where it
// does without, and where the configuration itself says what it needs.
func (d *Document) asked(o *operation, c *policy.OpenAPIConfig) (all []*scheme) {
	if slices.ContainsFunc(c.Operations, func(rule policy.OverrideConfig) bool { return o.named(rule.Name) }) ||
		slices.ContainsFunc(c.Tags, func(rule policy.OverrideConfig) bool { return slices.Contains(o.tags, rule.Name) }) ||
		slices.ContainsFunc(c.Routes, func(rule policy.RouteConfig) bool { return replaces(&rule, o) }) {
		return nil
	}
	for _, a := range o.security {
		if len(a) == 0 {
			return nil
		}
		for _, s := range a {
			if !slices.Contains(c.Ignore, s.scheme) {
				all = append(all, d.scheme(s.scheme))
			}
		}
	}
	return all
}

// ofOperations warns of operations that no route covers, and of those that ask for a token but
// are on a public route. Such a route is usually meant for other operations, which need none.
func (c *comparison) ofOperations(p *policy.Policy) (warnings []policy.Warning) {
	for _, o := range c.operations {
		var m policy.Match
		p.Match(o.sample(), &m)
		warn := func(kind, text string) {
			warnings = append(warnings, policy.Warning{At: o.at, Kind: kind, Text: "operation " + o.title() + " of " + o.file + ": " + text})
		}
		if m.Route == nil || !slices.Contains(p.Routes(), m.Route) {
			warn(policy.WarnUncovered, "no route covers it")
		} else if m.Route.Require.String() == "public" && slices.ContainsFunc(o.asked, func(s *scheme) bool { return s.isToken(p) }) {
			warn(policy.WarnOpened, "the document asks for a token, and it is on route "+m.Route.Place()+", which is public")
		}
	}
	return warnings
}

// ofTokens warns of documents none of whose tokens are where the policy takes some from.
func (c *comparison) ofTokens(p *policy.Policy) (warnings []policy.Warning) {
	for _, of := range c.tokens {
		schemes := slices.DeleteFunc(slices.Clone(of.schemes), func(s *scheme) bool { return !s.isToken(p) })
		taken := func(s *scheme) bool { return s.places == nil || s.taken(p) }
		if len(schemes) == 0 || len(p.Credentials()) == 0 || slices.ContainsFunc(schemes, taken) {
			continue
		}
		var lines []string
		for _, place := range tokenFrom(schemes) {
			lines = append(lines, "token_from "+place.String())
		}
		warnings = append(warnings, policy.Warning{At: schemes[0].at, Kind: policy.WarnElsewhere, Text: "no token is taken from where those of " + of.file +
			" are: write " + strings.Join(lines, " and ")})
	}
	return warnings
}

// sample returns a request for the operation.
func (o *comparedOperation) sample() *policy.Request {
	const value = "some-value"
	path, query, _ := strings.Cut(parameters(o.pattern, func(string) string { return value }), "?")
	return &policy.Request{Method: o.method, Path: path, Query: query, Header: http.Header{}}
}

// title names the operation with its place in the API.
func (o *comparedOperation) title() string {
	if o.id == "" {
		return o.method + " " + o.pattern
	}
	return o.id + " (" + o.method + " " + o.pattern + ")"
}

// ofRoutes warns of routes below a document's base that no operation has.
func (c *comparison) ofRoutes(p *policy.Policy) (warnings []policy.Warning) {
	// Most routes have the pattern of an operation: the others alone are compared with all.
	same := map[string][]comparedOperation{}
	for _, o := range c.operations {
		key := nameless(strings.Join(o.parts, "/"))
		same[key] = append(same[key], o)
	}
	for _, r := range p.Routes() {
		parts := segments(r.Pattern)
		if slices.ContainsFunc(same[nameless(strings.Join(parts, "/"))], func(o comparedOperation) bool { return r.Methods.Has(o.method) }) {
			continue
		}
		below := false
		for _, base := range c.bases {
			below = below || len(parts) >= len(base) && overlap(parts[:len(base)], base)
		}
		has := func(o comparedOperation) bool { return r.Methods.Has(o.method) && overlap(parts, o.parts) }
		if below && !slices.ContainsFunc(c.operations, has) {
			warnings = append(warnings, policy.Warning{At: r.At, Kind: policy.WarnUnknown, Text: "route " + strings.Join(r.Methods, ",") + " " + r.Pattern +
				": no operation of " + c.documents() + " has it"})
		}
	}
	return warnings
}

// documents names the documents, unless there are many.
func (c *comparison) documents() string {
	if len(c.files) > 3 {
		return "the " + strconv.Itoa(len(c.files)) + " documents"
	}
	return strings.Join(c.files, ", ")
}

// segments returns the segments of a pattern, without its query conditions.
func segments(pattern string) []string {
	pattern, _, _ = strings.Cut(pattern, "?")
	if pattern = strings.Trim(pattern, "/"); pattern == "" {
		return nil
	}
	return strings.Split(pattern, "/")
}

// overlap reports whether some path matches both.
func overlap(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if tail(a[i]) || tail(b[i]) {
			return true
		}
		if a[i] != b[i] && !strings.Contains(a[i], "{") && !strings.Contains(b[i], "{") {
			return false
		}
	}
	return len(a) == len(b)
}

// tail reports whether a segment takes all the rest of a path.
func tail(segment string) bool { return segment == "*" || strings.HasSuffix(segment, "...}") }
