package mask

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/patgate/patgate/policy"
)

// plain is a text without its percent-encoding, however often it was encoded.
type plain struct {
	text   string
	starts []int32 // where its bytes begin in what was given, and where that ends; nil: nothing was encoded
}

// decode decodes until nothing changes, in one pass: an escape ends where its last
// digit is read or decoded. What is broken stays as it is.
func decode(s string) plain {
	if strings.IndexByte(s, '%') < 0 {
		return plain{text: s}
	}
	text, starts := make([]byte, 0, len(s)), make([]int32, 0, len(s)+1)
	for i := range len(s) {
		text, starts = append(text, s[i]), append(starts, int32(i))
		for {
			char, size := lastEscape(text)
			if size == 0 {
				break
			}
			n := len(text) - size
			if text, starts = text[:n], starts[:n+1]; size == 3 {
				text = append(text, byte(char))
			} else {
				text = utf8.AppendRune(text, char)
			}
			for len(starts) < len(text) {
				starts = append(starts, starts[n])
			}
		}
	}
	return plain{string(text), append(starts, int32(len(s)))}
}

// lastEscape returns the character that the escape at the end of a text means, and its
// size: 0 where there is none. ASP.NET knows %u0061 as well.
func lastEscape(text []byte) (char rune, size int) {
	n := len(text)
	switch {
	case n >= 3 && text[n-3] == '%':
		size, text = 3, text[n-2:]
	case n >= 6 && text[n-6] == '%' && text[n-5]|0x20 == 'u':
		size, text = 6, text[n-4:]
	default:
		return 0, 0
	}
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			char = char<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			char = char<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, 0
		}
	}
	return char, size
}

// width returns how many bytes of the given text the byte at i took: 1 where it wasn't
// encoded.
func (p *plain) width(i int) int {
	if p.starts == nil {
		return 1
	}
	return int(p.starts[i+1] - p.starts[i])
}

// raw reports whether the byte at i is one of these characters and was given unencoded.
func (p *plain) raw(i int, chars string) bool {
	return strings.IndexByte(chars, p.text[i]) >= 0 && p.width(i) == 1
}

// span is a part of a plain text.
type span struct{ from, to int }

// given returns the span as a part of the text that was given.
func (p *plain) given(s span) span {
	if p.starts == nil {
		return s
	}
	return span{int(p.starts[s.from]), int(p.starts[s.to])}
}

// What ends the value of a key.
const (
	endsInURL   = "&" // in what is all of a URL
	endsInQuery = "&;"
	endsInText  = "&;#\"'<>\\ \t\n\v\f\r"
)

// keyed returns the values of the keys that tokens are taken from, also in a query that is
// encoded inside another.
func (m *Mask) keyed(p *plain, ends string) (all []span) {
	if len(m.keys) == 0 || strings.IndexByte(p.text, '=') < 0 {
		return nil
	}
	// Where a key begins for those who split a query before they decode it, as the gate
	// does; and (inner) for those who decode it first, as with a query inside another
	// one. -1: nowhere.
	key, inner, inQuery := 0, 0, false
	for i := 0; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '=':
			raw := p.width(i) == 1
			if m.isKey(p.text, inner, i) || raw && key != inner && m.isKey(p.text, key, i) {
				s := span{i + 1, i + 1}
				for s.to < len(p.text) && !p.raw(s.to, ends) {
					s.to++
				}
				if s.from < s.to {
					all = append(all, s)
				}
				i, raw = s.to-1, true
			}
			if inner = -1; raw {
				key = -1
			}
		case '&', ';', '?', '#', '/':
			inner = i + 1
			if p.raw(i, "&;") || p.raw(i, "?") && !inQuery {
				key, inQuery = i+1, inQuery || c == '?'
			}
		case ' ', '\t', '\n', '\r', '"', '\'', '(', ',', '<', '>':
			if p.width(i) == 1 {
				if inner = i + 1; ends == endsInText {
					key, inQuery = i+1, false
				}
			}
		}
	}
	return all
}

// isKey reports whether tokens are taken from under the key that text has between from
// and to.
func (m *Mask) isKey(text string, from, to int) bool {
	return from >= 0 && slices.ContainsFunc(m.keys, func(key policy.Credential) bool { return key.TakesKey(text[from:to]) })
}

// credentials returns the names and passwords in URLs and in Basic authentication.
func (p *plain) credentials() (all []span) {
	userinfo := 0 // where the one before ends
	for i := range len(p.text) {
		var s span
		switch p.text[i] {
		case '/':
			// Or right behind others: browsers take any number of slashes for two.
			if i+1 >= userinfo && strings.HasPrefix(p.text[i:], "//") {
				s, userinfo = p.userinfo(i)
			}
		case 'b', 'B':
			s = basic(p.text, i)
		}
		if s.from < s.to {
			all = append(all, s)
		}
	}
	return all
}

// userinfo returns what is between the slashes at i and the last @ of a URL's authority,
// and where the authority ends: at a character that is encoded no more often than the
// slashes.
func (p *plain) userinfo(i int) (s span, end int) {
	s = span{i + 2, i + 2}
	for end = s.from; end < len(p.text); end++ {
		switch c := p.text[end]; {
		case c == '@':
			s.to = end
		case strings.IndexByte("/?#"+endsInText, c) >= 0 && p.width(end) <= p.width(i):
			return s, end
		}
	}
	return s, end
}

// basic returns the credentials of Basic authentication whose word begins at i.
func basic(text string, i int) (s span) {
	const word = "basic"
	if len(text)-i < len(word) || !strings.EqualFold(text[i:i+len(word)], word) {
		return s
	}
	rest := text[i+len(word):]
	encoded := strings.TrimLeft(rest, " +")
	if len(encoded) == len(rest) {
		return s
	}
	s.from = len(text) - len(encoded)
	for s.to = s.from; s.to < len(text) && (isAlnum(text[s.to]) || strings.IndexByte("+/-_=", text[s.to]) >= 0); s.to++ {
	}
	encoded = urlAlphabet.Replace(strings.TrimRight(text[s.from:s.to], "="))
	if pair, err := base64.RawStdEncoding.DecodeString(encoded); err != nil || !strings.Contains(string(pair), ":") {
		return span{}
	}
	return s
}

var urlAlphabet = strings.NewReplacer("-", "+", "_", "/")

// minOwn is how many characters after its prefix make a secret: one that was cut short is
// still somebody's.
const minOwn = 12

// own returns the parts of a text that are patgate's own secrets, each without its prefix,
// which may be in another case: names of headers are folded.
func (m *Mask) own(text string) (all []span) {
	for i := strings.IndexByte(text, '_'); i >= 0; {
		s := span{i + 1, i + 1}
		if m.prefixBefore(text[:i]) > 0 {
			for s.to < len(text) && isAlnum(text[s.to]) {
				s.to++
			}
			if s.to-s.from >= minOwn {
				// With what follows at once: it may be a second secret.
				for s.to < len(text) && (isAlnum(text[s.to]) || text[s.to] == '_') {
					s.to++
				}
				all = append(all, s)
			}
		}
		next := strings.IndexByte(text[s.to:], '_')
		if next < 0 {
			break
		}
		i = s.to + next
	}
	return all
}

// prefixBefore returns how long the prefix is that a text ends in, 0 where it ends in
// none.
func (m *Mask) prefixBefore(text string) int {
	for _, prefix := range m.prefixes {
		if begin := len(text) - len(prefix); begin >= 0 && strings.EqualFold(text[begin:], prefix) {
			return len(prefix)
		}
	}
	return 0
}

// InQuery returns what may be tokens in a query, decoded: the values of the keys that
// tokens are taken from, and what has the prefix and the length of patgate's own.
func (m *Mask) InQuery(query string) (values, own []string) {
	p := decode(query)
	for _, s := range m.keyed(&p, endsInQuery) {
		values = append(values, p.text[s.from:s.to])
	}
	for _, s := range m.own(p.text) {
		begin := s.from - len("_")
		own = append(own, p.text[begin-m.prefixBefore(p.text[:begin]):s.to])
	}
	return values, own
}

// Decoded returns a text without its percent-encoding, however often it was encoded.
func Decoded(text string) string { return decode(text).text }

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
