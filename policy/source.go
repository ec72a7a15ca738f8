package policy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/patgate/patgate/token"
)

// sourceKind says where a space or a resource is found.
type sourceKind uint8

// The kinds of sources.
const (
	fromNone  sourceKind = iota
	fromAll              // the request is about all spaces
	fromToken            // the one space that the token is limited to
	fromPath
	fromQuery
	fromHeader
	fromHost
)

// source is where the space or the resource of a request is found.
type source struct {
	kind  sourceKind
	name  string // of the path parameter, query key or header
	label int    // which of the host's, from the right, from 0
	text  string // as the Caddyfile has it

	// Where a path parameter is in the pattern of its route (isIn).
	segment       int
	before, after int  // bytes of the segment that aren't the parameter's
	tail          bool // the parameter takes all from the segment on
}

// String returns the source as the Caddyfile has it.
func (s *source) String() string { return s.text }

// shortened returns a value as servers see it that drop the end of it: of a path segment a
// dot, of the rest of a path its slash.
func (s *source) shortened(value string) string {
	switch {
	case s.kind != fromPath || s.after > 0:
		return value
	case s.tail && strings.HasSuffix(value, "/"):
		return value[:len(value)-1]
	}
	return strings.TrimSuffix(value, ".")
}

// ValidSource returns what is wrong with the text of a source, or nil.
func ValidSource(text string) error {
	_, err := parseSource(text)
	return err
}

// parseSource reads a source.
func parseSource(text string) (source, error) {
	if err := RefusePlaceholder(text); err != nil {
		return source{}, fmt.Errorf("source %q: %w", text, err)
	}
	s := source{text: text}
	kind, name, dotted := strings.Cut(text, ".")
	switch {
	case !dotted && text == "none":
		s.kind = fromNone
	case !dotted && text == "all":
		s.kind = fromAll
	case !dotted && text == "token":
		s.kind = fromToken
	case dotted && kind == "path" && validParameter(name):
		s.kind, s.name = fromPath, name
	case dotted && kind == "query" && validQueryKey(name):
		s.kind, s.name = fromQuery, name
	case dotted && kind == "header" && PlainHeaderName(name):
		s.kind, s.name = fromHeader, http.CanonicalHeaderKey(name)
		switch {
		case s.name == "Authorization", s.name == "Proxy-Authorization", s.name == "Cookie":
			return s, fmt.Errorf("source %q: this header carries credentials, and spaces and resources are shown to others", text)
		case s.name == "Host":
			return s, fmt.Errorf("source %q: want host.<n>, a label from the right, from 0", text)
		case isRemoved(s.name):
			return s, fmt.Errorf("source %q: this header is removed from what clients send", text)
		}
	case dotted && kind == "host" && name != "" && len(name) <= 2 && allDigits(name):
		s.kind = fromHost
		s.label, _ = strconv.Atoi(name)
	case dotted && kind == "header" && name != "":
		return s, fmt.Errorf("source %q: want a header's name of letters, digits and hyphens", text)
	default:
		return s, fmt.Errorf("source %q: want path.<name>, query.<name>, header.<name>, host.<n>, token, all or none", text)
	}
	return s, nil
}

// validParameter reports whether a parameter can have this name.
func validParameter(name string) bool {
	return name != "" && len(name) <= 64 && plainBytes(name, "-_")
}

// isIn reports whether the pattern has the source's path parameter, and notes where.
func (s *source) isIn(p *pattern) bool {
	for i, segment := range p.segments {
		if segment.parameter == s.name {
			s.segment, s.before, s.after = i, len(segment.before), len(segment.after)
			return true
		}
	}
	s.segment, s.tail = len(p.segments), true
	return p.tail && p.tailName == s.name
}

// locate finds the space and the resource of the request. With lenient, nothing is decided by
// them, and mistakes in them are ignored.
func (m *Match) locate(lenient bool) {
	var why string
	if m.Space, why = m.value(&m.Route.space, lenient); why != "" && !lenient {
		m.refuse("the space (" + m.Route.space.text + ") " + why)
	} else if m.Resource, why = m.value(&m.Route.resource, lenient); why != "" && !lenient {
		m.refuse("the resource (" + m.Route.resource.text + ") " + why)
	}
}

// value returns what the request has at a source; why says what is wrong with it. With
// lenient, the path isn't compared with the rest of the request.
func (m *Match) value(s *source, lenient bool) (value, why string) {
	switch s.kind {
	case fromNone, fromAll, fromToken:
		return "", ""
	case fromPath:
		value, why = m.pathValue(s, lenient)
	case fromQuery:
		if value, why = m.queryValue(s.name); why != "" {
			return "", "can be read in two ways: " + why
		}
		if m.cutsValue(s.name) {
			return "", numberIsCut
		}
	case fromHeader:
		value, why = m.headerValue(s, lenient)
	case fromHost:
		value = hostLabel(m.host, s.label)
	}
	switch {
	case why != "":
		return "", why
	case value == "":
		return "", "is missing"
	case len(value) > token.MaxValueLength:
		return "", "is too long"
	case s.kind != fromPath && token.ValidText("", value, token.MaxValueLength) != nil:
		return "", "is not a plain text" // that of a path has been judged
	case s.kind != fromPath && strings.TrimFunc(value, isTrimmed) != value:
		return "", "can be read in two ways: it begins or ends with a blank, which some servers trim"
	}
	return value, ""
}

// pathValue is value for a parameter of the path.
func (m *Match) pathValue(s *source, lenient bool) (value, why string) {
	value = m.path.at(s)
	value = value[s.before : len(value)-s.after]
	if m.path.marked && strings.IndexByte(value, dataSlash) >= 0 {
		if s.tail && !lenient {
			return "", "can be read in two ways: an encoded slash in it is the same as the others"
		}
		value = withSlashes(value)
	}
	if s.tail && strings.HasSuffix(m.path.raw, "/") {
		value += "/" // a name of its own to some servers
	}
	switch {
	case lenient:
		return value, ""
	case m.path.oddlyEscaped && cutsNumber(m.path.rawAt(s)):
		return "", numberIsCut
	}
	return value, m.otherValue(s.name, value)
}

// headerValue is value for a header.
func (m *Match) headerValue(s *source, lenient bool) (value, why string) {
	values := m.header[s.name]
	if len(values) == 0 {
		return "", ""
	}
	value = values[0]
	switch {
	case len(values) > 1:
		return "", "is given twice"
	case strings.IndexByte(value, ',') >= 0:
		return "", "has a comma in it, by which some servers read several values"
	case strings.Contains(value, "=?"):
		return "", "can be read in two ways: it has =? in it, where an encoded word begins (RFC 2047) to some servers" // CherryPy
	case lenient:
		return value, ""
	}
	return value, m.otherInQuery(s.name, value)
}

const numberIsCut = "can be read in two ways: it begins with a number and has a letter or digit encoded, which some servers don't decode"

// isTrimmed reports whether some server trims r from the ends of a value (Laravel).
func isTrimmed(r rune) bool {
	const brailleBlank = '\u2800'
	return r == ' ' || r >= utf8.RuneSelf && (unicode.In(r, unicode.Z, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) || r == brailleBlank)
}

// hostLabel returns the n-th label of a host name from the right, in lower case,
// or "". An address has no labels, nor has a name that servers read differently.
func hostLabel(host string, n int) string {
	host, port, _ := strings.Cut(host, ":")
	if !allDigits(port) || strings.Trim(host, ".0123456789") == "" {
		return ""
	}
	if !plainBytes(host, ".-_") || host[0] == '.' || host[len(host)-1] == '.' || strings.Contains(host, "..") {
		return ""
	}
	for ; n > 0; n-- {
		dot := strings.LastIndexByte(host, '.')
		if dot < 0 {
			return ""
		}
		host = host[:dot]
	}
	return strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
}

// ByHost reports whether the host of the request says which space or resource it is
// for.
func (m *Match) ByHost() bool { return m.Route != nil && m.Route.byHost() }

func (r *Route) byHost() bool { return r.space.kind == fromHost || r.resource.kind == fromHost }
