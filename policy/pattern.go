package policy

import (
	"errors"
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

// segment is a literal, decoded, or a parameter.
type segment struct {
	literal   string
	parameter string // its name; "" for a literal
}

// condition is one on a query key: that it is present, or has this value.
type condition struct {
	key      string
	value    string
	anyValue bool
	others   []string // values that other routes of the place want of the key
}

// String returns the condition as the Caddyfile has it.
func (c condition) String() string {
	if c.anyValue {
		return c.key
	}
	return c.key + "=" + c.value
}

// parsePattern reads a pattern such as /v1/spaces/{space}/files/{name...}?draft=true.
func parsePattern(text string) (pattern, error) {
	var p pattern
	path, query, hasQuery := strings.Cut(text, "?")
	if !strings.HasPrefix(path, "/") {
		return p, fmt.Errorf("pattern %q: begins with /", text)
	}
	names := map[string]bool{}
	for rest, more := strings.CutPrefix(strings.TrimSuffix(path, "/"), "/"); more; {
		if p.tail {
			return p, fmt.Errorf("pattern %q: nothing can follow the segment that takes all the rest", text)
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		name, err := p.addSegment(part)
		if err == nil && name != "" && names[name] {
			err = fmt.Errorf("{%s} stands twice", name)
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
func (p *pattern) addSegment(part string) (name string, err error) {
	switch {
	case part == "*":
		p.tail = true
		return "", nil
	case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}"):
		name, p.tail = strings.CutSuffix(part[1:len(part)-1], "...")
		if !validParameter(name) {
			return "", fmt.Errorf("%s: a parameter is {name} or {name...}, its name of letters, digits, - and _", part)
		}
		if p.tail {
			p.tailName = name
		} else {
			p.segments = append(p.segments, segment{parameter: name})
		}
		return name, nil
	case strings.ContainsAny(part, "{}*"):
		return "", fmt.Errorf("segment %q: a parameter fills a whole segment, and * only the last", part)
	}
	literal, err := url.PathUnescape(part)
	if err != nil {
		return "", fmt.Errorf("segment %q: %w", part, err)
	}
	if why := judgeSegment(literal, false, true); why != "" {
		return "", fmt.Errorf("segment %q: no request could match it: %s", part, why)
	}
	p.segments = append(p.segments, segment{literal: literal})
	return "", nil
}

func parseConditions(query string) ([]condition, error) {
	var conditions []condition
	for part := range strings.SplitSeq(query, "&") {
		key, value, hasValue := strings.Cut(part, "=")
		k, err := url.QueryUnescape(key)
		v, verr := url.QueryUnescape(value)
		if err := errors.Join(err, verr); err != nil {
			return nil, fmt.Errorf("query condition %q: %w", part, err)
		}
		switch {
		case !validQueryKey(k):
			return nil, fmt.Errorf("query condition %q: want key or key=value", part)
		case hasValue && v == "":
			return nil, fmt.Errorf("query condition %q: has no value; write %q where any will do", part, key)
		case slices.ContainsFunc(conditions, func(c condition) bool { return sameKey(c.key, k) || sameKey(k, c.key) }):
			return nil, fmt.Errorf("query condition %q: its key stands twice", part)
		}
		conditions = append(conditions, condition{key: k, value: v, anyValue: !hasValue})
	}
	return conditions, nil
}

// join returns the pattern of a route below a group's prefix.
func join(prefix, pattern string) string {
	if pattern == "/" || strings.HasPrefix(pattern, "/?") {
		pattern = pattern[1:]
	}
	if joined := strings.TrimSuffix(prefix, "/") + pattern; joined != "" && joined[0] == '/' {
		return joined
	} else {
		return "/" + joined
	}
}
