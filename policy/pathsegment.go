package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	endsInDot   = "the path has a segment that ends in a dot"
	hiddenEmpty = "the path has a hidden empty segment"
)

// judgePlain returns why a segment of plain characters is refused, or "".
// Windows drops dots and spaces at a name's end, so those are dot segments too.
func judgePlain(s string) string {
	if s == "" {
		return "the path has an empty segment"
	}
	if s[len(s)-1] == '.' {
		return endsInDot
	}
	return ""
}

// judgeSegment returns why a decoded segment is refused, or "". Where encoded slashes are
// data, so are other delimiters, and percent signs that no second decoding makes anything of.
func judgeSegment(s string, encoded slashes, allowSemicolon bool) string {
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
		case c == '/' && encoded == slashesRefused:
			return encodedSlash
		case c == '\\':
			return "the path has an encoded backslash"
		case c == '%' && beginsEscape(s[i:]):
			return "the path is encoded twice"
		case c == '%' && encoded != slashesData:
			return encodedPercent
		case c == ';' && !allowSemicolon:
			return pathSemicolon
		case (c == '?' || c == '#') && encoded != slashesData:
			return encodedDelimiter
		}
	}
	if !ascii {
		if why := judgeUnicode(s); why != "" {
			return why
		}
	}
	if encoded != slashesRefused || allowSemicolon {
		return judgePieces(s)
	}
	return ""
}

// beginsEscape reports whether a text that begins with a percent sign begins with an escape
// to some decoder: %41, or %u0041 (IIS).
func beginsEscape(s string) bool {
	_, plain := escaped(s)
	return plain || len(s) > 2 && s[1]|0x20 == 'u'
}

// judgePieces applies the rules for segments to the pieces that are left where a server
// splits or cuts a segment at a slash or a semicolon.
func judgePieces(s string) string {
	if s[0] == ';' || strings.Contains(s, "/;") {
		return hiddenEmpty
	}
	for piece := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '/' || r == ';' }) {
		switch {
		case piece[len(piece)-1] == '.':
			return "the path has a hidden dot segment"
		case piece[0] == ' ' || piece[len(piece)-1] == ' ':
			return "the path has a hidden segment that begins or ends with a space"
		}
	}
	return ""
}

// judgeUnicode refuses what lenient decoders turn into ASCII or drop.
func judgeUnicode(s string) string {
	if !utf8.ValidString(s) {
		return "the path is not valid UTF-8"
	}
	before := 'a'
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
		case isJoiner(r) && before >= utf8.RuneSelf && !isJoiner(before):
			// Scripts and emoji need them; among ASCII they hide.
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z):
			return "the path has an invisible character"
		case looksASCII(r):
			return "the path has a character that some servers take for an ASCII one"
		}
		before = r
	}
	return ""
}

// isJoiner reports whether r is the zero-width joiner or non-joiner.
func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// looksASCII reports whether a normalizer (NFKC) or a best-fit mapping turns r
// into something with ASCII in it.
func looksASCII(r rune) bool {
	switch r {
	case '\u2044', '\u2215', '\u29f8', // slashes of other names
		'\u2216', '\u29f5', '\u00a5', '\u20a9': // backslashes; of these the last two on Japanese and Korean Windows
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
