package policy

import (
	"cmp"
	"fmt"
)

// settings are compiled Settings: of the site, a group or a route, which inherit what they
// don't say.
type settings struct {
	from            []Credential
	report          bool   // mode report
	space, resource source // without a text if nothing is said, which means none to a route
	shape           *Shape
	optional        bool
}

// defaults are the settings around a site.
var defaults = settings{from: defaultCredentials, shape: problemBody}

// within compiles settings inside of others. Its error is the first mistake.
func (s *Settings) within(outer settings) (settings, error) {
	in := outer
	in.optional = outer.optional || s.Optional
	var errs [5]error
	if len(s.TokenFrom) > 0 {
		in.from, errs[0] = ParseCredentials(s.TokenFrom)
	}
	if s.Mode != "" {
		var mode string
		mode, errs[1] = OneOf("mode", s.Mode, "enforce", "report")
		in.report = mode == "report"
	}
	if s.Space != "" {
		in.space, errs[2] = sourceOf("space", s.Space)
	}
	if s.Resource != "" {
		in.resource, errs[3] = sourceOf("resource", s.Resource)
	}
	if s.ErrorBody != nil {
		in.shape, errs[4] = compileErrorBody(s.ErrorBody)
	}
	return in, cmp.Or(errs[:]...)
}

// sourceOf reads where the space or the resource is.
func sourceOf(what, text string) (source, error) {
	s, err := parseSource(text)
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", what, err)
	case what == "resource" && (s.kind == fromToken || s.kind == fromAll):
		err = fmt.Errorf("resource: %q is for spaces only", text)
	}
	return s, err
}
