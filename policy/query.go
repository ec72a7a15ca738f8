package policy

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxQueryPairs bounds the query of a request whose route depends on it.
const maxQueryPairs = 500

// Servers read query strings differently: which of two equal keys counts,
// whether ; separates, whether Version, version[] or ver%73ion is the same key.
// Where a route depends on a key, everything but its one plain spelling is
// refused; queries that no route depends on pass untouched.

// judgeQuery returns why a query that a route depends on is refused, or "".
func judgeQuery(raw string, allowSemicolon bool) string {
	pairs := 1
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '&':
			if pairs++; pairs > maxQueryPairs {
				return "the query has too many parameters"
			}
		case ';':
			if !allowSemicolon {
				return "the query has a semicolon, which some servers split at"
			}
		case '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "the query has a broken percent-encoding"
			}
		}
	}
	return ""
}

// queryValue finds the value of key in a query that judgeQuery accepts. why says
// what makes the key readable in two ways.
func queryValue(raw, key string) (value string, found bool, why string) {
	for pair := range splitQuery(raw) {
		name, v, _ := strings.Cut(pair, "=")
		decoded, err := unescapeQuery(name)
		switch {
		case err != nil:
			return "", false, "the query has a broken percent-encoding"
		case decoded == key && found:
			return "", false, "the query has " + key + " twice"
		case decoded == key:
			if value, err = unescapeQuery(v); err != nil {
				return "", false, "the query has a broken percent-encoding"
			}
			found = true
		case sameKey(decoded, key):
			return "", false, "the query has " + key + " in another spelling"
		}
	}
	return value, found, ""
}

// splitQuery yields the parameters of a query, as split at & and, where one was
// let through, at ; as well.
func splitQuery(raw string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for start, i := 0, 0; i <= len(raw); i++ {
			if i < len(raw) && raw[i] != '&' && raw[i] != ';' {
				continue
			}
			if start < i && !yield(raw[start:i]) {
				return
			}
			start = i + 1
		}
	}
}

// unescapeQuery is url.QueryUnescape, without its cost where there is nothing
// to do.
func unescapeQuery(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// sameKey reports whether some server takes name for key: it folds case, drops
// or replaces what is not alphanumeric, cuts at [, decodes once more or
// normalizes.
func sameKey(name, key string) bool {
	i, j := 0, 0
	for {
		var a, b byte
		if i, a = nextOfKey(name, i); a >= utf8.RuneSelf || a == '%' {
			return foldKey(name) == foldKey(key)
		}
		if j, b = nextOfKey(key, j); b >= utf8.RuneSelf || b == '%' {
			return foldKey(name) == foldKey(key)
		}
		if a != b {
			// The rest of name may still fold to something else.
			return strings.ContainsFunc(name, func(r rune) bool { return r == '%' || r >= utf8.RuneSelf }) && foldKey(name) == foldKey(key)
		}
		if a == 0 {
			return true
		}
	}
}

// nextOfKey returns the first byte from i on that counts in a key, in lower
// case, and the index behind it; 0 at the end.
func nextOfKey(s string, i int) (int, byte) {
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z':
			return i + 1, c + 'a' - 'A'
		case isAlnum(c), c >= utf8.RuneSelf, c == '%':
			return i + 1, c
		case c == '[' && i > 0:
			return len(s), 0
		}
	}
	return i, 0
}

// foldKey reduces a key to what all the spellings have in common that some
// server takes for the same.
func foldKey(s string) string {
	if again, err := url.QueryUnescape(s); err == nil {
		s = again
	}
	s = strings.ToLower(norm.NFKC.String(s))
	if i := strings.IndexByte(s, '['); i > 0 {
		s = s[:i]
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && !isAlnum(byte(r)) {
			return -1
		}
		return r
	}, s)
}

// holds reports whether the query meets the condition; why says what makes that
// a matter of opinion.
func (c *condition) holds(raw string) (met bool, why string) {
	value, found, why := queryValue(raw, c.key)
	switch {
	case why != "":
		return false, why
	case !found:
		return false, ""
	case c.anyValue || value == c.value:
		return true, ""
	case sameValue(value, c.value):
		return false, "the query has " + c.key + "=" + c.value + " in another spelling"
	}
	return false, ""
}

// sameValue reports whether some server takes got for want, which it is not.
func sameValue(got, want string) bool {
	return foldValue(got) == foldValue(want)
}

// foldValue is foldKey for values: yes and no have many names, and numbers may
// begin with zeros. A key without a value is a yes to some.
func foldValue(s string) string {
	s = foldKey(s)
	if trimmed := strings.TrimLeft(s, "0"); trimmed != "" {
		s = trimmed
	} else if s != "" {
		s = "0"
	}
	switch s {
	case "", "1", "true", "t", "yes", "y", "on", "enabled":
		return "true"
	case "0", "false", "f", "no", "n", "off", "disabled":
		return "false"
	}
	return s
}
