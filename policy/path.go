package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds on the path of a request. A longer or deeper one is refused.
const (
	maxPathLength = 8192 // bytes, as it stands in the request
	maxSegments   = 64
)

// pathText is a path split into segments, each decoded once.
type pathText struct {
	text   string // the path with its segments decoded
	bounds [maxSegments + 1]uint16
	n      int // segments
}

// segment returns the i-th segment.
func (p *pathText) segment(i int) string { return p.text[p.bounds[i]+1 : p.bounds[i+1]] }

// from returns the segments from the i-th on, joined by slashes.
func (p *pathText) from(i int) string { return p.text[p.bounds[i]+1 : p.bounds[p.n]] }

// Classes of bytes in an escaped path.
const (
	refused = iota
	plain
	slash
	percent
	semicolon
)

// pathBytes classes the bytes of an escaped path. Plain are the unreserved
// characters and the sub-delimiters of RFC 3986 that no server gives a meaning.
var pathBytes = func() (class [256]uint8) {
	for c := range class {
		if isAlnum(byte(c)) || strings.IndexByte("-._~!$&'()*+,=:@", byte(c)) >= 0 {
			class[c] = plain
		}
	}
	class['/'], class['%'], class[';'] = slash, percent, semicolon
	return class
}()

// parse splits an escaped path into segments and decodes each of them once. It
// returns why the path is refused, or "". What it accepts, all servers read
// alike; what is forwarded is the escaped path itself, byte for byte.
func (p *pathText) parse(escaped string, allowSlash, allowSemicolon bool) string {
	if len(escaped) == 0 || escaped[0] != '/' {
		return "the path doesn't begin with /"
	}
	if len(escaped) > maxPathLength {
		return "the path is too long"
	}
	encoded := false
	for i := 0; i < len(escaped); i++ {
		switch pathBytes[escaped[i]] {
		case refused:
			return "the path has a character that belongs percent-encoded"
		case percent:
			encoded = true
		case semicolon:
			if !allowSemicolon {
				return "the path has a semicolon, which some servers cut at"
			}
		}
	}
	p.n = 0
	if !encoded {
		return p.split(escaped, allowSemicolon)
	}
	return p.decode(escaped, allowSlash, allowSemicolon)
}

// split takes a path without escapes apart.
func (p *pathText) split(path string, allowSemicolon bool) string {
	end := len(path)
	p.text = path
	if end == 1 {
		return "" // the root
	}
	if path[end-1] == '/' {
		end-- // one trailing slash makes no difference
	}
	for i := 1; i <= end; i++ {
		if i < end && path[i] != '/' {
			continue
		}
		start := int(p.bounds[p.n]) + 1
		if why := judgePlain(path[start:i]); why != "" {
			return why
		}
		if allowSemicolon {
			if why := judgePieces(path[start:i], ';'); why != "" {
				return why
			}
		}
		if p.n == maxSegments {
			return "the path has too many segments"
		}
		p.n++
		p.bounds[p.n] = uint16(i)
	}
	return ""
}

// decode takes a path with escapes apart.
func (p *pathText) decode(escaped string, allowSlash, allowSemicolon bool) string {
	rest := strings.TrimSuffix(escaped[1:], "/")
	text := make([]byte, 0, len(escaped))
	for more := true; more; {
		var raw string
		raw, rest, more = strings.Cut(rest, "/")
		text = append(text, '/')
		start := len(text)
		for i := 0; i < len(raw); i++ {
			c := raw[i]
			if c == '%' {
				if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
					return "the path has a broken percent-encoding"
				}
				c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
				i += 2
			}
			text = append(text, c)
		}
		if why := judgeSegment(string(text[start:]), allowSlash, allowSemicolon); why != "" {
			return why
		}
		if p.n == maxSegments {
			return "the path has too many segments"
		}
		p.n++
		p.bounds[p.n] = uint16(len(text))
	}
	p.text = string(text)
	return ""
}

// judgePlain returns why a segment of plain characters is refused, or "".
// Windows drops dots and spaces at a name's end, so those are dot segments too.
func judgePlain(s string) string {
	if s == "" {
		return "the path has an empty segment"
	}
	if s[len(s)-1] == '.' {
		return "the path has a segment that ends in a dot"
	}
	return ""
}

// judgeSegment returns why a decoded segment is refused, or "".
func judgeSegment(s string, allowSlash, allowSemicolon bool) string {
	if why := judgePlain(s); why != "" {
		return why
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return "the path has a segment that begins or ends with a space"
	}
	ascii := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ' || c == 0x7f:
			return "the path has an encoded control character"
		case c == '/' && !allowSlash:
			return "the path has an encoded slash"
		case c == '\\':
			return "the path has an encoded backslash"
		case c == '%':
			return "the path is encoded twice"
		case c == ';' && !allowSemicolon:
			return "the path has an encoded semicolon"
		case c == '?' || c == '#':
			return "the path has an encoded ? or #"
		}
	}
	if !ascii {
		if why := judgeUnicode(s); why != "" {
			return why
		}
	}
	if allowSlash {
		if why := judgePieces(s, '/'); why != "" {
			return why
		}
	}
	if allowSemicolon {
		return judgePieces(s, ';')
	}
	return ""
}

// judgePieces applies the rules for segments to what a server would see that
// splits or cuts at sep.
func judgePieces(s string, sep byte) string {
	if strings.IndexByte(s, sep) < 0 {
		return ""
	}
	for piece := range strings.SplitSeq(s, string(rune(sep))) {
		if piece != "" && (piece[len(piece)-1] == '.' || piece[0] == ' ' || piece[len(piece)-1] == ' ') {
			return "the path has a hidden dot segment"
		}
	}
	if sep == ';' && s[0] == ';' {
		return "the path has a hidden empty segment"
	}
	return ""
}

// judgeUnicode refuses what lenient decoders turn into ASCII or drop.
func judgeUnicode(s string) string {
	if !utf8.ValidString(s) {
		return "the path is not valid UTF-8"
	}
	for _, r := range s {
		if r < utf8.RuneSelf {
			continue
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) ||
			unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			return "the path has an invisible character"
		}
		if looksASCII(r) {
			return "the path has a character that some servers take for an ASCII one"
		}
	}
	return ""
}

// looksASCII reports whether a normalizer (NFKC) or a best-fit mapping turns r
// into something with ASCII in it.
func looksASCII(r rune) bool {
	switch r {
	case '\u2044', '\u2215', '\u29f8', '\u2216', '\u29f5': // slashes and backslashes of other names
		return true
	}
	var buf [64]byte
	for _, c := range norm.NFKC.AppendString(buf[:0], string(r)) {
		if c < utf8.RuneSelf {
			return true
		}
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
