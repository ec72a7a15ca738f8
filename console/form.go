package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/patgate/patgate/internal/rest"
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
