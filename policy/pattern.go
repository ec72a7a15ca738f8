package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// pattern is a parsed path pattern with its query conditions.
type pattern struct {
	segments   []segment
	tail       bool   // one or more segments follow
	tailName   string // of {name...}; "" for *
	conditions []condition
}

// String returns the pattern as the Caddyfile has it.
func (p *pattern) String() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		b.WriteString(dataEncoded.Replace(s.with("{" + s.parameter + "}")))
	}
	switch {
	case p.tail && p.tailName != "":
		b.WriteString("/{" + p.tailName + "...}")
	case p.tail:
		b.WriteString("/*")
	case len(p.segments) == 0:
		b.WriteByte('/')
	}
	for i, c := range p.conditions {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(c.String())
	}
	return b.String()
}

// segment is a literal, or a parameter, perhaps with literals before or after it
// ({id}:cancel). Literals are decoded.
type segment struct {
	literal       string
	parameter     string // its name; "" for a literal
	before, after string // the literals around the parameter
}

// partial reports whether the segment is a parameter that doesn't fill it.
func (s *segment) partial() bool { return s.before != "" || s.after != "" }

// with returns the text of the segment with this value for the parameter.
func (s *segment) with(value string) string {
	if s.parameter == "" {
		return s.literal
	}
	return s.before + value + s.after
}

// matches reports whether the segment of a path is one of these.
func (s *segment) matches(text string) bool {
	if s.parameter == "" {
		return text == s.literal
	}
	return len(text) > len(s.before)+len(s.after) && strings.HasPrefix(text, s.before) && strings.HasSuffix(text, s.after)
}

// valueAt returns the parameter at the i-th segment of a path that the pattern matches,
// perhaps the one for all from there on, and the value that it has.
func (p *pattern) valueAt(i int, path *pathText) (name, value string) {
	if i == len(p.segments) {
		return p.tailName, path.from(i)
	}
	s, text := &p.segments[i], path.segment(i)
	return s.parameter, text[len(s.before) : len(text)-len(s.after)]
}

// endsInParameters reports whether all segments from the i-th on are parameters that fill them.
func (p *pattern) endsInParameters(i int) bool {
	return !p.tail && !slices.ContainsFunc(p.segments[i:], func(s segment) bool { return s.parameter == "" || s.partial() })
}

// hasLiteralFrom reports whether one of the segments from the i-th on is a literal.
func (p *pattern) hasLiteralFrom(i int) bool {
	return i < len(p.segments) && slices.ContainsFunc(p.segments[i:], func(s segment) bool { return s.literal != "" })
}

// withValue returns the segments of such a path with another value for that parameter.
func (p *pattern) withValue(path []string, i int, value string) []string {
	if i == len(p.segments) {
		return append(slices.Clone(path[:i]), strings.Split(value, "/")...)
	}
	path = slices.Clone(path)
	path[i] = p.segments[i].with(value)
	return path
}

// within reports whether every text that s matches is matched by t, where both
// are parameters.
func (s *segment) within(t *segment) bool {
	return strings.HasPrefix(s.before, t.before) && strings.HasSuffix(s.after, t.after)
}

// meet returns a segment that matches what both match, and whether there is
// such a thing.
func (s *segment) meet(t *segment) (both segment, ok bool) {
	switch {
	case s.parameter == "":
		return *s, t.matches(s.literal)
	case t.parameter == "":
		return *t, s.matches(t.literal)
	}
	both = *t
	if len(s.before) > len(t.before) {
		both.before = s.before
	}
	if len(s.after) > len(t.after) {
		both.after = s.after
	}
	return both, both.within(s) && both.within(t)
}

// parsePattern reads a pattern such as /v1/spaces/{space}/files/{name...}?draft=true, of
// a policy for which encoded slashes are this.
func parsePattern(text string, encoded slashes) (pattern, error) {
	var p pattern
	if err := RefusePlaceholder(text); err != nil {
		return p, fmt.Errorf("pattern %q: %w", text, err)
	}
	path, query, hasQuery := strings.Cut(text, "?")
	if !strings.HasPrefix(path, "/") {
		return p, fmt.Errorf("pattern %q: want a path, which begins with /", text)
	}
	names := map[string]bool{}
	for rest, more := strings.CutPrefix(strings.TrimSuffix(path, "/"), "/"); more; {
		if p.tail {
			return p, fmt.Errorf("pattern %q: nothing can follow the segment that takes all the rest", text)
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		name, err := p.addSegment(part, encoded)
		if err == nil && name != "" && names[name] {
			err = fmt.Errorf("{%s} is given twice", name)
		}
		if err != nil {
			return p, fmt.Errorf("pattern %q: %w", text, err)
		}
		names[name] = true
	}
	if len(p.segments) > maxSegments {
		return p, fmt.Errorf("pattern %q: more than %d segments", text, maxSegments)
	}
	if hasQuery {
		var err error
		if p.conditions, err = parseConditions(query); err != nil {
			return p, fmt.Errorf("pattern %q: %w", text, err)
		}
	}
	return p, nil
}

// addSegment adds one segment and returns the name of its parameter, if any.
func (p *pattern) addSegment(part string, encoded slashes) (name string, err error) {
	if part == "*" {
		p.tail = true
		return "", nil
	}
	before, rest, opens := strings.Cut(part, "{")
	name, after, closes := strings.Cut(rest, "}")
	if opens != closes || strings.ContainsAny(before+after, "{}*") {
		return "", fmt.Errorf("segment %q: want a text, one {name}, perhaps between texts, or at the end {name...} or *", part)
	}
	var s segment
	if s.before, err = url.PathUnescape(before); err == nil {
		s.after, err = url.PathUnescape(after)
	}
	if err != nil {
		return "", fmt.Errorf("segment %q: %w", part, err)
	}
	value := "" // for the parameter
	if opens {
		value = "x"
		name, p.tail = strings.CutSuffix(name, "...")
		if !validParameter(name) {
			return "", fmt.Errorf("%s: a parameter is {name} or {name...}, its name of letters, digits, - and _", part)
		}
		if p.tail && s.partial() {
			return "", fmt.Errorf("segment %q: {%s...} fills a whole segment", part, name)
		}
	}
	text := s.before + value + s.after
	if !opens {
		text = withoutDot(text)
	}
	if encoded != slashesData {
		encoded = slashesRefused // in a literal, it would be the slash that some servers split at
	}
	if why := judgeSegment(text, encoded, true); why != "" {
		return "", fmt.Errorf("segment %q: no request could match it: %s", part, why)
	}
	s.before, s.after = hideSlashes(s.before), hideSlashes(s.after)
	switch {
	case p.tail:
		p.tailName = name
	case opens:
		s.parameter = name
		p.segments = append(p.segments, s)
	default:
		p.segments = append(p.segments, segment{literal: s.before})
	}
	return name, nil
}

// join returns the pattern of a route below a group's prefix.
func join(prefix, pattern string) string {
	if pattern == "/" || strings.HasPrefix(pattern, "/?") {
		pattern = pattern[1:]
	}
	joined := strings.TrimSuffix(prefix, "/") + pattern
	if !strings.HasPrefix(joined, "/") {
		joined = "/" + joined
	}
	return joined
}

// ValidPattern reports what is wrong with the pattern of a route.
func ValidPattern(text string) error {
	_, err := parsePattern(text, slashesRefused)
	return err
}
