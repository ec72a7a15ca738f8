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
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fieldError(what, "contains a control character")
	}
	if hasControl(s) {
		return fieldError(what, "contains a character that can't be seen, such as a soft hyphen or a mark of direction")
	}
	return nil
}

// hasControl reports whether a text without control characters has another one that controls
// what shows it: if only where lines and words end, or the direction in which text is
// written. Joiners and variation selectors are none, for scripts and emoji need them, and
// neither are the tags behind a black flag that make it that of a region (Unicode Technical
// Standard #51).
func hasControl(s string) bool {
	inFlag := false
	for _, r := range s {
		tag := r >= '\U000e0000' && r <= '\U000e007f'
		if tag && !inFlag || controls(r) {
			return true
		}
		inFlag = r == '\U0001f3f4' || inFlag && tag
	}
	return false
}

func controls(r rune) bool {
	const softHyphen = '\u00ad'
	return r == softHyphen || r > unicode.MaxLatin1 && unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
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

// LikeSeveral reports whether the id of a space or a resource looks like several: like a
// list, or like a pattern. It stands for one all the same, as the only pattern for ids is
// All.
func LikeSeveral(id string) bool {
	return id != All && strings.ContainsFunc(id, func(r rune) bool { return strings.ContainsRune(",;*", r) || unicode.IsSpace(r) })
}
