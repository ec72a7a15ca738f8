package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// SourceKind says where a space or a resource is found.
type SourceKind uint8

// The kinds of sources.
const (
	FromNone SourceKind = iota
	FromAll
	FromToken
	FromPath
	FromQuery
	FromHeader
	FromHost
)

// Source is where the space or the resource of a request is found.
type Source struct {
	Kind  SourceKind
	Name  string // of the path parameter, query key or header
	Label int    // of the host, from the right
	text  string

	segment       int // of a path parameter
	before, after int // bytes of the segment that aren't the parameter's
	tail          bool
}

// String returns the source as the Caddyfile has it.
func (s *Source) String() string { return s.text }

// undotted returns a value without the dot that it may end in, which some servers drop at
// the end of a path's segment.
func (s *Source) undotted(value string) string {
	if s.Kind != FromPath || s.after > 0 {
		return value
	}
	return strings.TrimSuffix(value, ".")
}

// spellings returns a value, and with it the one that it is without the dot at its end.
func (s *Source) spellings(value string) []string {
	return slices.Compact([]string{value, s.undotted(value)})
}

// ParseSource reads a source.
func ParseSource(text string) (Source, error) {
	if err := RefusePlaceholder(text); err != nil {
		return Source{}, fmt.Errorf("source %q: %w", text, err)
	}
	s := Source{text: text}
	kind, name, dotted := strings.Cut(text, ".")
	switch {
	case !dotted && text == "none":
		s.Kind = FromNone
	case !dotted && text == "all":
		s.Kind = FromAll
	case !dotted && text == "token":
		s.Kind = FromToken
	case dotted && kind == "path" && validParameter(name):
		s.Kind, s.Name = FromPath, name
	case dotted && kind == "query" && validQueryKey(name):
		s.Kind, s.Name = FromQuery, name
	case dotted && kind == "header" && PlainHeaderName(name):
		s.Kind, s.Name = FromHeader, http.CanonicalHeaderKey(name)
		switch {
		case s.Name == "Authorization", s.Name == "Proxy-Authorization", s.Name == "Cookie":
			return s, fmt.Errorf("source %q: credentials stand there, which nobody is to be told", text)
		case s.Name == "Host":
			return s, fmt.Errorf("source %q: want host.<n>, a label from the right, from 0", text)
		case isRemoved(s.Name):
			return s, fmt.Errorf("source %q: this header is removed from what clients send", text)
		}
	case dotted && kind == "host" && name != "" && len(name) <= 2 && strings.Trim(name, "0123456789") == "":
		s.Kind = FromHost
		for _, digit := range name {
			s.Label = s.Label*10 + int(digit-'0')
		}
	default:
		return s, fmt.Errorf("source %q: want path.<name>, query.<name>, header.<name>, host.<n>, token, all or none", text)
	}
	return s, nil
}

// validParameter reports whether name can stand in {name}.
func validParameter(name string) bool {
	return name != "" && len(name) <= 64 && plainBytes(name, "-_")
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
