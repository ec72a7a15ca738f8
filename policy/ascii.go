package policy

import (
	"strings"
	"unicode/utf8"
)

// isAlnum reports whether c is an ASCII letter or digit.
func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isHex reports whether c is a hexadecimal digit.
func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// escaped returns the byte whose percent-encoding a text begins with, if it begins with one.
func escaped(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return unhex(s[1])<<4 | unhex(s[2]), true
}

// lower returns c, an ASCII capital as a small letter.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// isASCII reports whether s has ASCII characters only.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// equalFold is strings.EqualFold for an ASCII t, which no other letters fold to.
func equalFold(s, t string) bool { return len(s) == len(t) && strings.EqualFold(s, t) }

// plainBytes reports whether a text is of letters, digits and these bytes.
func plainBytes(text, others string) bool {
	for i := 0; i < len(text); i++ {
		if !isAlnum(text[i]) && strings.IndexByte(others, text[i]) < 0 {
			return false
		}
	}
	return true
}

// digits returns how many digits of a base s begins with.
func digits(s string, base int) (n int) {
	for n < len(s) && isHex(s[n]) && int(unhex(s[n])) < base {
		n++
	}
	return n
}

// allDigits reports whether s has decimal digits only; "" has.
func allDigits(s string) bool { return digits(s, 10) == len(s) }

// escapes reports whether an encoded text has one of these bytes percent-encoded.
func escapes(raw string, these func(byte) bool) bool {
	for i := range len(raw) {
		if c, ok := escaped(raw[i:]); ok && these(c) {
			return true
		}
	}
	return false
}
