package policy

import (
	"iter"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds on a query that a route depends on. A longer one is refused.
const (
	maxQueryLength = 16384 // bytes
	maxQueryPairs  = 250
	maxQueryValue  = 1024 // bytes of a value that a condition compares
	maxReadings    = 8    // values of a key that is repeated
	maxOddKeys     = 1024 // bytes of keys that aren't ASCII: folded they are up to 11 times as long
)

// Servers read query strings differently: which of two equal keys counts,
// whether ; separates, whether Version, version[] or ver%73ion is the same key.
// Where a route depends on a key, everything but its one plain spelling is
// refused; queries that no route depends on pass untouched. A repeated key is read in
// each possible way, and the request is judged by the strictest of them
// (Policy.strictest).

// judgeQuery returns why a query that a route depends on is refused, or "".
func judgeQuery(raw string, allowSemicolon bool) string {
	if len(raw) > maxQueryLength {
		return "the query is too long"
	}
	pairs, odd, inValue := 1, 0, false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if !inValue && (c >= utf8.RuneSelf || c == '%' && i+1 < len(raw) && raw[i+1] >= '8') {
			if odd++; odd > maxOddKeys {
				return tooManyOddNames
			}
		}
		switch {
		case c == '&', c == ';' && allowSemicolon:
			inValue = false
			if pairs++; pairs > maxQueryPairs {
				return "the query has too many parameters"
			}
		case c == '=':
			inValue = inValue || i > 0 && strings.IndexByte("&;=", raw[i-1]) < 0 // cutPair
		case c == ';':
			return querySemicolon
		case c == '%':
			if _, whole := escaped(raw[i:]); !whole {
				return "the query has a broken percent-encoding"
			}
		case c == '#':
			return belongsEncoded("query", c)
		}
	}
	return ""
}

// breaksLine returns where a query has a character that a request line can't have, or -1.
// Over HTTP/2 and HTTP/3 it can, and the API would be sent it.
func breaksLine(query string) int {
	for i := 0; i < len(query); i++ {
		if c := query[i]; c <= ' ' || c == 0x7f {
			return i
		}
	}
	return -1
}

// queryValues finds the values of key in a query that judgeQuery accepts: how
// many there are, and the first as many as values has room for. why says what
// makes the key readable in two ways.
func queryValues(raw, key string, values []string) (n int, why string) {
	base, _, inBrackets := strings.Cut(key, "[")
	plain := false
	for more := true; more; {
		var pair string
		pair, raw, more = strings.Cut(raw, "&")
		if strings.IndexByte(pair, ';') >= 0 {
			if hasKey(pair, key) {
				return 0, "the query has " + key + " beside a semicolon"
			}
			continue
		}
		name, v := cutPair(pair)
		name = unescapeQuery(name)
		switch {
		case name == key && pair[0] != '=':
			if n < len(values) {
				values[n] = unescapeQuery(v)
			}
			n++
		case inBrackets && name == base:
			plain = true
		case !utf8.ValidString(name) || strings.IndexByte(name, '%') >= 0:
			return 0, "the query has a name that is encoded twice or not valid UTF-8"
		case sameKey(name, key):
			return 0, "the query has " + key + " in another spelling"
		}
	}
	if plain && n > 0 {
		return 0, "the query has " + base + " beside " + key // one of them replaces the other (PHP)
	}
	return n, ""
}

// cutPair takes a parameter of the query apart. What begins with an equals sign has no
// name to most servers, and to some the name that follows (Netty, Spring WebFlux).
func cutPair(pair string) (name, value string) {
	name, value, _ = strings.Cut(strings.TrimLeft(pair, "="), "=")
	return name, value
}

// pairEnds are the characters at which some server ends a parameter of the query.
const pairEnds = "&;"

// parameters yields the names and values of a query's parameters, still encoded.
func parameters(query string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for query != "" {
			pair := query
			if end := strings.IndexAny(query, pairEnds); end >= 0 {
				pair, query = query[:end], query[end+1:]
			} else {
				query = ""
			}
			if name, value := cutPair(pair); pair != "" && !yield(name, value) {
				return
			}
		}
	}
}

// hasKey reports whether a server that splits a query at its semicolons as well finds key.
func hasKey(query, key string) bool {
	for name := range parameters(query) {
		if sameKey(unescapeQuery(name), key) {
			return true
		}
	}
	return false
}

// unescapeQuery is url.QueryUnescape, without its cost where there is nothing to
// do. What has a broken escape stays as it is.
func unescapeQuery(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// sameKey reports whether some server takes name for key: it folds case, drops
// or replaces what is not alphanumeric, cuts at a bracket, a NUL or a separator,
// or normalizes. A key itself may have brackets (filter[status]), which some servers
// replace and others drop.
func sameKey(name, key string) bool { return sameText(name, key, false) }

// sameText is sameKey. folded says that foldKey returned both, which costs much, and
// matters only where one isn't ASCII.
func sameText(name, key string, folded bool) bool {
	i, j := 0, 0
	for {
		for j < len(key) && !counts(key[j]) {
			j++
		}
		for ; i < len(name) && !counts(name[i]); i++ {
			if j == len(key) && endsKey(name[i]) {
				return true
			}
		}
		switch {
		case !folded && (i < len(name) && name[i] >= utf8.RuneSelf || j < len(key) && key[j] >= utf8.RuneSelf):
			return sameText(foldKey(name), foldKey(key), true)
		case i == len(name) || j == len(key):
			return i == len(name) && j == len(key)
		case lower(name[i]) != lower(key[j]):
			return false
		}
		i, j = i+1, j+1
	}
}

// counts reports whether c is part of a query key to every server: none drops it or ends the
// key there.
func counts(c byte) bool { return c >= utf8.RuneSelf || isAlnum(c) }

// endsKey reports whether some server ends a query key before c. After a colon, Zope has the
// type of the value.
func endsKey(c byte) bool { return c < ' ' || strings.IndexByte("[].=&;#?:", c) >= 0 }

// keyEnd marks in a folded key where some server ends it.
const keyEnd = "["

// foldKey reduces a key to what all the spellings have in common that some
// server takes for the same.
func foldKey(s string) string {
	s = strings.ToLower(strings.ToUpper(norm.NFKC.String(s)))
	return strings.Map(func(r rune) rune {
		switch {
		case r >= utf8.RuneSelf && !unicode.Is(unicode.Cf, r), r < utf8.RuneSelf && isAlnum(byte(r)):
			return r
		case r < utf8.RuneSelf && endsKey(byte(r)):
			return rune(keyEnd[0])
		}
		return -1
	}, s)
}

// validQueryKey reports whether an operator can name this key.
func validQueryKey(s string) bool {
	return utf8.ValidString(s) && strings.Trim(foldKey(s), keyEnd) != "" && strings.IndexByte(s, '%') < 0
}

// lookup is what was found of one key of the query.
type lookup struct {
	key    string
	values [1]string
	n      int    // how often the query has the key
	why    string // what makes it readable in two ways
}

// lookUp finds a key in the request's query, which it judges first. A route's
// conditions ask for the same key again and again.
func (m *Match) lookUp(key string) (why string) {
	if !m.judged {
		m.judged, m.badQuery = true, judgeQuery(m.query, m.policy.semicolon)
	}
	if m.badQuery != "" {
		return m.badQuery
	}
	if m.lookedUp.key != key {
		m.lookedUp = lookup{key: key}
		m.lookedUp.why = m.lookedUp.find(m)
	}
	return m.lookedUp.why
}

// find looks for the key in the query, and in the parts of the path that some server takes
// for one. It returns what makes the key readable in two ways, or "".
func (l *lookup) find(m *Match) (why string) {
	switch {
	case hasKey(m.path.afterAmpersand(), l.key):
		return "the path has " + l.key + " behind an ampersand, where some servers have the query begin"
	case m.policy.semicolon && hasKey(strings.ReplaceAll(afterSemicolon(m.path.raw), "/", "&"), l.key):
		return "the path has " + l.key + " behind a semicolon, where some servers have the query begin"
	case m.query == "":
		return ""
	}
	if l.n, why = queryValues(m.query, l.key, l.values[:]); why == "" && !m.charset.keepsValues(m.query, l.key) {
		return badCharset
	}
	return why
}

// cutsValue reports whether cutsNumber holds for a value of a key.
func (m *Match) cutsValue(key string) bool {
	if strings.IndexByte(m.query, '%') < 0 {
		return false
	}
	for name, value := range parameters(m.query) {
		if cutsNumber(value) && unescapeQuery(name) == key {
			return true
		}
	}
	return false
}

// queryValue returns the value of a key that must not be repeated.
func (m *Match) queryValue(key string) (value, why string) {
	if why := m.lookUp(key); why != "" {
		return "", why
	}
	if m.lookedUp.n > 1 {
		return "", "the query has " + key + " twice"
	}
	return m.lookedUp.values[0], ""
}
