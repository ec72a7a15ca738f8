package openapi

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/patgate/patgate/policy"
)

// snippet is the routes of a document as the part of a Caddyfile.
type snippet struct {
	lines  strings.Builder
	closed int // operations closed until somebody says what they need
	left   int // operations that can't be a route
}

// item is an operation and what becomes of it.
type item struct {
	operation *operation
	route     policy.RouteConfig
	parts     []string // of the pattern, below the groups it is in
	note      string   // what there is to edit
	closed    bool     // until that is edited
	doubtful  bool     // it needs a token, but the document asks for another credential
	several   bool     // it needs several tokens, but the gate takes one
}

// WriteSnippet writes the routes that a configuration makes of the document as
// the part of a Caddyfile, to be edited by hand: in groups, with operationIds and
// summaries. Where the document doesn't say what an operation needs, nor the
// configuration, its route is closed (never). It returns what it wrote.
func (d *Document) WriteSnippet(w io.Writer, c policy.OpenAPIConfig) (*Draft, error) {
	items, draft, err := d.draft(c)
	if err != nil {
		return nil, err
	}
	var s snippet
	for _, place := range draft.TokenFrom {
		fmt.Fprintf(&s.lines, "\ttoken_from %s\n", words(place))
	}
	s.write(items, 1)
	name := filepath.Base(d.file)
	if title := comment(strings.TrimSpace(d.title + " " + d.version)); title != "" {
		name = title + " (" + name + ")"
	}
	fmt.Fprintf(w, "# %s: %s.\n", name, counted(len(d.operations), "operation", "operations"))
	if s.closed > 0 {
		fmt.Fprintf(w, "# %s closed (never) until you say what is needed: the document doesn't.\n", counted(s.closed, "operation is", "operations are"))
	}
	if s.left > 0 {
		fmt.Fprintf(w, "# %s be written as a route: see the comments.\n", counted(s.left, "operation can't", "operations can't"))
	}
	has := func(text string) bool {
		return slices.ContainsFunc(draft.Routes, func(r policy.RouteConfig) bool { return strings.Contains(r.Pattern, text) })
	}
	if has("{") && !has("{space}") { // which is the space of its route
		fmt.Fprintln(w, "# No route is in a space yet: where a parameter names one, add space path.<parameter>.")
	}
	_, err = fmt.Fprintf(w, "patgate {\n\tdefault deny\n%s}\n", s.lines.String())
	return draft, err
}

// Draft is the routes of a document, to be edited by hand.
type Draft struct {
	Notes  []Note               `json:"edit"`
	Routes []policy.RouteConfig `json:"routes"`
	// TokenFrom lists where tokens are taken from, where that isn't the default.
	TokenFrom []string `json:"token_from,omitempty"`
	// Doubtful counts the routes that ask for a token by the default, where the document
	// asks for another credential.
	Doubtful int `json:"-"`
	// Several counts the routes for which the document asks for several tokens in one request.
	Several int `json:"-"`
}

// Note says what is to be edited of an operation's route, or why it has none.
type Note struct {
	At        string `json:"at,omitempty"` // file:line
	Operation string `json:"operation"`
	Text      string `json:"note"`
}

// Draft returns what WriteSnippet writes.
func (d *Document) Draft(c policy.OpenAPIConfig) (*Draft, error) {
	_, draft, err := d.draft(c)
	return draft, err
}

// draft works out what becomes of the document.
func (d *Document) draft(c policy.OpenAPIConfig) ([]item, *Draft, error) {
	r, err := newRules(d, c, "--")
	if err != nil {
		return nil, nil, err
	}
	items, err := r.items()
	if err != nil {
		return nil, nil, err
	}
	draft := &Draft{Routes: []policy.RouteConfig{}, Notes: []Note{}}
	for _, it := range items {
		if it.route.Pattern != "" {
			draft.Routes = append(draft.Routes, it.route)
		}
		if it.note != "" {
			draft.Notes = append(draft.Notes, Note{At: it.operation.at, Operation: it.operation.name(), Text: it.note})
			if it.doubtful {
				draft.Doubtful++
			} else if it.several {
				draft.Several++
			}
		}
	}
	places := tokenFrom(slices.DeleteFunc(d.used(&c), func(s *scheme) bool { return !r.takesToken(s) }))
	if slices.ContainsFunc(places, func(c policy.Credential) bool { return c.Kind != policy.Bearer && c.Kind != policy.Bare }) {
		for _, place := range places {
			draft.TokenFrom = append(draft.TokenFrom, place.String())
		}
	}
	return items, draft, nil
}

// counted writes a number with the words for one or for several.
func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// items works out what becomes of the operations.
func (r *rules) items() ([]item, error) {
	var items []item
	for o := range r.operations() {
		base, err := o.base.or(r.config.Base)
		var why gap
		if errors.As(err, &why) {
			r.open.add(why, o)
			continue
		}
		it := item{operation: o}
		route, err := r.route(o)
		if err == nil && route != nil && strings.Contains(route.Require, "{$") {
			err = noRequirement(fmt.Errorf("requirement %q: %w", route.Require, errVariable))
		}
		if err == nil && route != nil {
			it.note = r.doubt(o)
			it.doubtful = it.note != ""
			if !it.doubtful && route.Require != "never" {
				it.note = r.several(o)
				it.several = it.note != ""
			}
		}
		if errors.As(err, &why) {
			it.note, it.closed = err.Error(), true
			if route, err = o.closed(base); err != nil {
				route, err = new(policy.RouteConfig), nil
			}
		}
		if err != nil {
			return nil, policy.At(o.at, fmt.Errorf("operation %s: %w", o.name(), err))
		}
		if route == nil { // it is on one that is there already
			continue
		}
		if strings.Contains(route.Pattern, "{$") {
			it.note = noPattern(fmt.Errorf("pattern %q: %w", route.Pattern, errVariable)).Error()
			route, it.doubtful, it.several = new(policy.RouteConfig), false, false
		}
		it.route, it.parts = *route, segments(route.Pattern)
		items = append(items, it)
	}
	r.reportGaps()
	return items, errors.Join(r.errs...)
}

// errVariable is for what a Caddyfile can't have.
var errVariable = errors.New("{$ has a meaning of its own in a Caddyfile")

// maxGroups is how deep groups are nested, minGroup how many routes are worth
// one.
const (
	maxGroups = 3
	minGroup  = 3
)

// write writes the routes, those that begin with the same segments in a group.
func (s *snippet) write(items []item, depth int) {
	indent := strings.Repeat("\t", depth)
	byFirst := map[string][]item{}
	for _, it := range items {
		byFirst[it.first()] = append(byFirst[it.first()], it)
	}
	written := map[string]bool{}
	for _, it := range items {
		first := it.first()
		together := byFirst[first]
		if first == "" || depth > maxGroups || len(together) < minGroup {
			s.route(it, indent)
			continue
		}
		if written[first] {
			continue
		}
		written[first] = true
		n := common(together)
		fmt.Fprintf(&s.lines, "%sgroup %s {\n", indent, quoted("/"+strings.Join(it.parts[:n], "/")))
		inner := make([]item, len(together))
		for i, it := range together {
			it.parts = it.parts[n:]
			inner[i] = it
		}
		s.write(inner, depth+1)
		fmt.Fprintf(&s.lines, "%s}\n", indent)
	}
}

// first returns the segment by which the route can be grouped, or "".
func (it *item) first() string {
	if len(it.parts) == 0 || tail(it.parts[0]) || strings.Contains(it.route.Pattern, "?") {
		return ""
	}
	return it.parts[0]
}

// common returns how many segments all the patterns begin with.
func common(items []item) int {
	for n := 0; ; n++ {
		for _, it := range items {
			if n == len(it.parts) || it.parts[n] != items[0].parts[n] || tail(it.parts[n]) {
				return n
			}
		}
	}
}

// route writes one route.
func (s *snippet) route(it item, indent string) {
	o := it.operation
	title := comment(o.id)
	if summary := comment(o.summary); title != "" && summary != "" {
		title += ": " + summary
	} else if title == "" {
		title = summary
	}
	if title != "" {
		fmt.Fprintf(&s.lines, "%s# %s\n", indent, title)
	}
	if it.note != "" {
		fmt.Fprintf(&s.lines, "%s# EDIT: %s\n", indent, comment(it.note))
	}
	if it.route.Pattern == "" {
		fmt.Fprintf(&s.lines, "%s# %s %s\n", indent, o.method, comment(o.path))
		s.left++
		return
	}
	if it.closed {
		s.closed++
	}
	pattern := "/" + strings.Join(it.parts, "/")
	if strings.Contains(it.route.Pattern, "?") {
		pattern = it.route.Pattern
	}
	fmt.Fprintf(&s.lines, "%sroute %s %s %s", indent, strings.Join(it.route.Methods, ","), quoted(pattern), words(it.route.Require))
	if it.route.Optional {
		fmt.Fprintf(&s.lines, " {\n%s\toptional\n%s}", indent, indent)
	}
	s.lines.WriteByte('\n')
}

// words returns words as the Caddyfile has them.
func words(text string) string {
	all := strings.Fields(text)
	for i, word := range all {
		all[i] = quoted(word)
	}
	return strings.Join(all, " ")
}

// comment returns a text that can be in a comment: in one line, without what a terminal
// would obey, or Caddy take for a variable of the environment.
func comment(text string) string {
	words := strings.FieldsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) })
	return strings.ReplaceAll(strings.Join(words, " "), "{$", "{ $")
}

// quoted returns a word as the Caddyfile has it.
func quoted(word string) string {
	special := func(c rune) bool {
		return c < '!' || c > '~' || strings.ContainsRune("\"`\\#<", c)
	}
	if word != "" && word != "{" && word != "}" && !strings.ContainsFunc(word, special) {
		return word
	}
	if !strings.Contains(word, "`") {
		return "`" + word + "`"
	}
	return `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
}
