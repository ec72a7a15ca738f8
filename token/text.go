package token

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// ValidText returns why s can't be shown to people and put in a log, or nil: valid
// UTF-8 without control characters, at most limit bytes. what names the field in
// the error, a FieldError.
func ValidText(what, s string, limit int) error {
	if len(s) > limit {
		return fieldError(what, "%d bytes long, at most %d are kept", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fieldError(what, "not valid UTF-8")
	}
	if strings.IndexFunc(s, controls) >= 0 {
		return fieldError(what, "contains a control character")
	}
	return nil
}

// controls reports whether a character controls what shows it, if only the direction
// in which what follows is written (Unicode Standard Annex #9, section 2).
func controls(r rune) bool {
	return unicode.IsControl(r) || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// visible reports whether there is a character in s that people see: neither a space nor
// one of those that only say how others are shown, or fill a place with nothing.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		const brailleBlank = '\u2800'
		return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != brailleBlank
	})
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
