package openapi

import (
	"regexp"
	"strings"
)

// pattern returns the path of an operation as policies have it. Names of
// parameters may be any text in a document: a character that a pattern can't have
// becomes _, and what follows a colon, as in {id:[0-9]+}, is left out. What takes the
// rest of a path becomes {name...}: {name+} (Amazon's gateways), {+name} (RFC 6570
// section 3.2.3), {name*}, {*name} and {**name} (ASP.NET, Spring), {name:path}
// (Starlette). A query that may have any value, as in ?key={value},
// becomes ?key.
func pattern(path string) string {
	path, query, hasQuery := strings.Cut(path, "?")
	last := strings.LastIndexByte(path, '/') + 1
	if name, ok := rest(path[last:]); ok {
		path = parameters(path[:last], plain) + "{" + name + "...}"
	} else {
		path = parameters(path, plain)
	}
	if !hasQuery {
		return path
	}
	conditions := strings.Split(query, "&")
	for i, c := range conditions {
		key, value, _ := strings.Cut(c, "=")
		if inner, ok := strings.CutPrefix(value, "{"); ok && strings.IndexByte(inner, '}') == len(inner)-1 {
			conditions[i] = key
		}
	}
	return path + "?" + strings.Join(conditions, "&")
}

// rest returns the name in a segment that takes the rest of a path.
func rest(segment string) (name string, ok bool) {
	m := restSegment.FindStringSubmatch(segment)
	if m == nil {
		return "", false
	}
	return m[1] + m[2], true
}

var restSegment = regexp.MustCompile(`^\{(?:(?:\+|\*\*?)([-0-9_a-zA-Z]+)|([-0-9_a-zA-Z]+)(?:\+|\*|:path))\}$`)

// parameters returns the text with each {name} replaced by change(name).
func parameters(text string, change func(name string) string) string {
	var b strings.Builder
	for {
		start := strings.IndexByte(text, '{')
		if start < 0 {
			break
		}
		end, depth := start, 0
		for ; end < len(text); end++ {
			if text[end] == '{' {
				depth++
			} else if text[end] == '}' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		if end == len(text) {
			break
		}
		b.WriteString(text[:start] + change(text[start+1:end]))
		text = text[end+1:]
	}
	b.WriteString(text)
	return b.String()
}

// noNameCharacter matches a character that can't be in a parameter's name.
var noNameCharacter = regexp.MustCompile("[^-_0-9A-Za-z]")

// plain returns the parameter with a name that a pattern can have. A name that begins with
// an operator of RFC 6570, or has several segments, is left for the policy to refuse.
func plain(name string) string {
	if name != "" && strings.ContainsRune("+#./;?&*", rune(name[0])) || strings.Contains(name, "/") {
		return "{" + name + "}"
	}
	name, _, _ = strings.Cut(name, ":")
	return "{" + noNameCharacter.ReplaceAllString(name, "_") + "}"
}

// samePath reports whether two paths differ in nothing but the names of their
// parameters and a trailing slash.
func samePath(a, b string) bool { return nameless(a) == nameless(b) }

// nameless returns a path without the names of its parameters.
func nameless(path string) string {
	return strings.TrimSuffix(parameters(path, func(string) string { return "{}" }), "/")
}
