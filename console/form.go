package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// maxForm bounds a form, in bytes.
const maxForm = 1 << 20

// form is what was filled in, and what is wrong with it.
type form struct {
	values   url.Values
	Mistakes []mistake
	outdated bool // what it is about has changed since it was shown
}

// mistake is what is wrong with a field.
type mistake struct {
	Field string // "" for the form as a whole
	Text  string
}

// readForm reads the form that was sent.
func (c *call) readForm() (*form, error) { return readForm(c.W, c.R) }

func readForm(w http.ResponseWriter, r *http.Request) (*form, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, rest.BodyProblem(err)
		}
		return nil, rest.Refuse(http.StatusBadRequest, "the form can't be read")
	}
	return &form{values: r.PostForm}, nil
}

// Value is what a field holds.
func (f *form) Value(field string) string { return f.values.Get(field) }

// Is reports whether a field holds value: for boxes and choices.
func (f *form) Is(field, value string) bool { return slices.Contains(f.values[field], value) }

// Mistake is what is wrong with a field, nil if nothing is.
func (f *form) Mistake(field string) *mistake {
	for i := range f.Mistakes {
		if f.Mistakes[i].Field == field {
			return &f.Mistakes[i]
		}
	}
	return nil
}

// fail notes what is wrong with a field. Of several mistakes, the first is said.
func (f *form) fail(field, format string, args ...any) {
	if f.Mistake(field) == nil {
		f.Mistakes = append(f.Mistakes, mistake{field, fmt.Sprintf(format, args...)})
	}
}

// Label is what a mistake's field is called; "" for that of the form as a whole.
func (m mistake) Label() string {
	return map[string]string{
		"name": "Name", "description": "Description", "expires": "Expires", "date": "Last day", "overlap": "Old secret",
		"sure": "Everything", "scope": "Permissions", "more": "Permissions", "spaces": "Spaces", "resources": "Resources", "addresses": "Allowed addresses",
	}[m.Field]
}

// At is the id of the element to go to for a mistake in a field, which must be visible.
func (f *form) At(field string) string {
	if field == "spaces" && !f.Is("where", "some") {
		return "where"
	}
	return field
}

// check notes what is wrong with a token's settings.
func (f *form) check(c registry.Changes) {
	f.fits("name", f.Value("name"), token.MaxNameLength)
	f.fits("description", f.Value("description"), token.MaxDescriptionLength)
	for _, err := range c.Mistakes() {
		f.refused(err) // each of them is one
	}
}

// fits notes that a text is longer than what is kept of it. What is counted are
// characters: people know nothing of bytes.
func (f *form) fits(field, text string, limit int) {
	if len(text) > limit {
		f.fail(field, "Too long: of its %d characters, %d fit. Shorten it.", utf8.RuneCountInString(text), utf8.RuneCountInString(strings.ToValidUTF8(text[:limit], "")))
	}
}

// refused notes a refusal of the registry, if err is one, at the field it is about, and
// returns any other error.
func (f *form) refused(err error) error {
	if !errors.Is(err, registry.ErrInvalid) && !errors.Is(err, registry.ErrConflict) && !errors.Is(err, registry.ErrForbidden) {
		return err
	}
	field, text := "", err.Error()
	if wrong, ok := errors.AsType[*token.FieldError](err); ok {
		if at, ours := fieldOf[wrong.Field]; ours {
			field, text = at, wrong.Why
		}
	}
	if field == "scope" && f.Value("access") == "full" {
		field = "sure"
	}
	f.fail(field, "%s", sentence(text))
	return nil
}

// fieldOf has the fields of forms for those of a token.FieldError. A form is about one
// grant: what is wrong with that as a whole is wrong with the form.
var fieldOf = map[string]string{
	"name": "name", "description": "description", "allowed_ips": "addresses",
	"expires_in": "expires", "expires_at": "expires", "no_expiry": "expires", "lifetime": "expires", "overlap": "overlap",
	"grant": "", "grants": "scope", "scope": "scope", "spaces": "spaces", "resources": "resources",
}

// sentence makes a sentence of an error.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:] + "."
}

// status is that of the page with the form.
func (f *form) status() int {
	if f.outdated {
		return http.StatusConflict
	}
	if len(f.Mistakes) > 0 {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// lines returns what a field holds line by line, without empty ones.
func (f *form) lines(field string) (lines []string) {
	for line := range strings.Lines(f.Value(field)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// single asks whether lines that look like several ids are one each. Ids may have any
// characters, so such a line is taken when the form is sent again with it.
func (f *form) single(field string) {
	lines := f.lines(field)
	i := slices.IndexFunc(lines, token.LikeSeveral)
	if i < 0 || f.Mistake(field) != nil || slices.Equal(lines, f.lines("sure-"+field)) {
		return
	}
	f.fail(field, "Write one id per line. If “%s” is a single id, send the form again as it is.", lines[i])
	f.values.Set("sure-"+field, f.Value(field))
}

// addresses returns the addresses that a field holds.
func (f *form) addresses() []string {
	return strings.FieldsFunc(f.Value("addresses"), func(r rune) bool { return strings.ContainsRune(" ,;\r\n\t", r) })
}

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

// lifetimeForm is the part of a form that says how long a secret lives.
type lifetimeForm struct {
	*form
	Choices []choice
	First   string // the first day that can be chosen, as 2006-01-02
	Last    string // the last one; "" if there is none
	now     time.Time
	max     time.Duration
}

// choice is an entry of a list to choose from.
type choice struct{ Value, Label string }

// What can be chosen besides durations.
const (
	onDate = "date"
	never  = "never"
)

// lifetimeForm returns the form's part about a lifetime.
func (c *call) lifetimeForm(f *form) lifetimeForm {
	rules := c.Rules()
	l := lifetimeForm{form: f, now: c.now, max: rules.MaxLifetime, First: c.now.UTC().Format(time.DateOnly)}
	if l.max > 0 {
		// A day means its end, which has to be in bounds as well.
		l.Last = c.now.UTC().Add(l.max - day).Format(time.DateOnly)
	}
	usual := rules.Capped(rules.DefaultLifetime)
	presets := []time.Duration{7 * day, 30 * day, 90 * day, 365 * day}
	if usual > 0 && !slices.Contains(presets, usual) {
		presets = append(presets, usual)
		slices.Sort(presets)
	}
	for _, d := range presets {
		if l.max == 0 || d <= l.max {
			l.Choices = append(l.Choices, choice{registry.FormatDuration(d), "After " + days(d) + " – " + c.now.Add(d).UTC().Format("2 January 2006")})
		}
	}
	if l.AnyDay() {
		l.Choices = append(l.Choices, choice{onDate, "On a day I choose"})
	}
	if l.max == 0 {
		l.Choices = append(l.Choices, choice{never, "Never"})
	}
	if f.Value("expires") == "" {
		f.values.Set("expires", never)
		if usual > 0 {
			f.values.Set("expires", registry.FormatDuration(usual))
		}
	}
	return l
}

// AnyDay reports whether there is a day that can be chosen: today ends too late where
// secrets live for hours only.
func (l lifetimeForm) AnyDay() bool { return l.Last == "" || l.First <= l.Last }

// read returns the lifetime that was chosen.
func (l *lifetimeForm) read() registry.Lifetime {
	switch chosen := l.Value("expires"); chosen {
	case never:
		return registry.Lifetime{NoExpiry: true}
	case onDate:
		on, err := time.Parse(time.DateOnly, l.Value("date"))
		switch {
		case !l.AnyDay():
			l.fail("expires", "Tokens live for %s at most here, and no day ends so soon.", days(l.max))
		case l.Value("date") == "":
			l.fail("date", "Choose the last day on which the token works.")
		case err != nil:
			l.fail("date", "Write the day like 2027-01-31.")
		case l.Value("date") < l.First:
			l.fail("date", "This day is over. Choose one that isn't.")
		case l.Last != "" && l.Value("date") > l.Last:
			l.fail("date", "Tokens live for %s at most here. Choose a day up to %s.", days(l.max), l.Last)
		}
		at := on.AddDate(0, 0, 1).Format(time.DateOnly) // the end of that day
		return registry.Lifetime{ExpiresAt: &at}
	default:
		return registry.Lifetime{ExpiresIn: &chosen}
	}
}
