package personality

import (
	"mime"
	"net/http"
	"strings"
)

// plain reads a query of pairs: with these separators, keys compared so, keys and
// values decoded so.
func plain(separators string, equal func(a, b string) bool, decode func(string) string) func(raw, key string) [][]string {
	return func(raw, key string) [][]string {
		var values []string
		each(raw, separators, func(k, v string) {
			if equal(decode(k), key) {
				values = append(values, decode(v))
			}
		})
		return [][]string{values}
	}
}

// formQuery reads a query as a form that was sent.
var formQuery = plain("&", func(a, b string) bool { return a == b }, percentPlus)

// each calls f for the pairs of a query.
func each(raw, separators string, f func(key, value string)) {
	for pair := range strings.FieldsFuncSeq(raw, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		key, value, _ := strings.Cut(pair, "=")
		f(key, value)
	}
}

// qs reads a query as the package of that name does: a[]=1, a[0]=1 and a=1&a=2
// are lists, of which any element may be taken.
func qs(raw, key string) [][]string {
	var values []string
	each(raw, "&", func(k, v string) {
		k = percentPlus(k)
		if i := strings.IndexByte(k, '['); k != key && i > 0 && strings.HasSuffix(k, "]") {
			inner := k[i+1 : len(k)-1]
			if strings.Trim(inner, "0123456789") == "" {
				k = k[:i]
			}
		}
		if k == key {
			values = append(values, percentPlus(v))
		}
	})
	return [][]string{values}
}

// rack reads a query as Rack does, older ones with semicolons.
func rack(raw, key string) [][]string {
	var all [][]string
	for _, separators := range []string{"&", "&;", "&"} {
		var values []string
		each(raw, separators, func(k, v string) {
			k = strings.TrimLeft(percentPlus(k), " ")
			if strings.TrimSuffix(k, "[]") == key || strings.ReplaceAll(k, "]", "") == strings.ReplaceAll(key, "]", "") {
				values = append(values, percentPlus(v))
			}
		})
		all = append(all, values)
	}
	return all
}

// phpQuery reads a query as PHP does: names are cut at a NUL and at a bracket
// that opens a list, and what can't be in a variable's name becomes an underscore. A
// key in a list (org[id]) is found under its own index only.
func phpQuery(raw, key string) [][]string {
	_, index, _ := strings.Cut(key, "[")
	mangle := func(k string) string {
		k, _, _ = strings.Cut(k, "\x00")
		k = strings.TrimLeft(k, " ")
		if i := strings.IndexByte(k, '['); i > 0 && strings.IndexByte(k[i:], ']') > 0 {
			if !strings.HasPrefix(k[i+1:], index) {
				return ""
			}
			k = k[:i]
		}
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(" .[", r) {
				return '_'
			}
			return r
		}, k)
	}
	var values []string
	each(raw, "&", func(k, v string) {
		k = percentPlus(k)
		if k == key || mangle(k) == mangle(key) {
			values = append(values, percentPlus(v))
		}
	})
	return [][]string{values}
}

// joined returns the values of a header, several joined as one.
func joined(h http.Header, name string) []string { return h.Values(name) }

// folded returns the values of all headers whose names a CGI variable can't tell
// apart.
func folded(h http.Header, name string) (values []string) {
	variable := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' && r < 'A' || r > 'Z' {
				return '_'
			}
			return r
		}, strings.ToUpper(s))
	}
	for n, v := range h {
		if variable(n) == variable(name) {
			values = append(values, v...)
		}
	}
	return values
}

// words is folded, with encoded words decoded (RFC 2047).
func words(h http.Header, name string) []string {
	values := folded(h, name)
	for i, v := range values {
		if text, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
			values[i] = text
		}
	}
	return values
}
