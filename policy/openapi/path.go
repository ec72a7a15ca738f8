package openapi

import "strings"

// pattern returns the path of an operation as policies have it. Names of
// parameters may be any text in a document: what can't stand in a pattern
// becomes _. {name+} and {+name}, which take the rest of a path (Amazon's
// gateways, RFC 6570 section 3.2.3), become {name...}.
func pattern(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = parameters(s, plain)
		name, opens := strings.CutPrefix(s, "{")
		name, closes := strings.CutSuffix(name, "}")
		rest, plus := strings.CutSuffix(name, "+")
		if !plus {
			rest, plus = strings.CutPrefix(name, "+")
		}
		if opens && closes && plus && i == len(segments)-1 {
			segments[i] = "{" + plain(rest) + "...}"
		}
	}
	return strings.Join(segments, "/")
}

// parameters returns the text with the names in {} changed.
func parameters(text string, change func(string) string) string {
	var b strings.Builder
	for {
		before, rest, opens := strings.Cut(text, "{")
		name, after, closes := strings.Cut(rest, "}")
		if !opens || !closes {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before + "{" + change(name) + "}")
		text = after
	}
}

// plain returns the name of a parameter with _ for what can't stand in one. A
// name that begins with an operator of RFC 6570 is left for the policy to refuse.
func plain(name string) string {
	if name != "" && strings.ContainsRune("+#./;?&*", rune(name[0])) {
		return name
	}
	return strings.Map(func(c rune) rune {
		if c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '_'
	}, name)
}

// samePath reports whether two paths differ in nothing but the names of their
// parameters and a trailing slash.
func samePath(a, b string) bool { return nameless(a) == nameless(b) }

// nameless returns a path without the names of its parameters.
func nameless(path string) string {
	return strings.TrimSuffix(parameters(path, func(string) string { return "" }), "/")
}
