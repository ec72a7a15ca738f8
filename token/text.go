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
	if hasInvisible(s) {
		return fieldError(what, "contains a character that can't be seen, such as a soft hyphen or a mark of direction")
	}
	return nil
}

// hasInvisible reports whether a text without control characters has another character that
// can't be seen and controls how the text is shown: where lines and words end, or its
// direction. Joiners and variation selectors don't count, for scripts and emoji need them.
// Nor do the tags after a black flag that make it the flag of a region (Unicode Technical
// Standard #51).
func hasInvisible(s string) bool {
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
	return r == softHyphen || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// visible reports whether s has a character that people can see: no space, and none that only
// says how others are shown, or is blank.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		const brailleBlank = '\u2800'
		return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != brailleBlank
	})
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// LikeSeveral reports whether the id of a space or a resource looks like a list or a pattern.
// It is a single id all the same: the only pattern for ids is All.
func LikeSeveral(id string) bool {
	return id != All && strings.ContainsFunc(id, func(r rune) bool { return strings.ContainsRune(",;*", r) || unicode.IsSpace(r) })
}
