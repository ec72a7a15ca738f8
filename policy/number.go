package policy

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Servers read numbers leniently: 2abc, 2.9, 0x2, 02, 2_ and the Arabic ٢ are all
// 2 to one or another.

// isNumber reports whether s is a whole number in plain digits.
func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// sameNumber reports whether some server reads got as the number want, as a whole
// or up to what isn't part of one. A want that isn't a number is nobody's.
func sameNumber(got, want string) bool {
	if want == "" || !startsNumber(want[0]) {
		return false
	}
	n, err := strconv.ParseFloat(want, 64)
	if err != nil {
		return false
	}
	got = strings.TrimLeftFunc(plainDigits(got), func(r rune) bool { return r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	whole := digits(got, 10)
	if is(got[:whole], n) || is(got[:float(got)], n) {
		return true
	}
	if whole == 0 || got[0] != '0' {
		return false
	}
	base, rest := 8, got[1:]
	if rest != "" {
		switch rest[0] | 0x20 { // in lower case
		case 'x':
			base, rest = 16, rest[1:]
		case 'o':
			rest = rest[1:]
		case 'b':
			base, rest = 2, rest[1:]
		}
	}
	v, err := strconv.ParseUint(rest[:digits(rest, base)], base, 64)
	return err == nil && float64(v) == n
}

func startsNumber(c byte) bool { return '0' <= c && c <= '9' || c == '.' }

// is reports whether text is the number n.
func is(text string, n float64) bool {
	if text == "" {
		return false
	}
	v, err := strconv.ParseFloat(text, 64)
	return err == nil && v == n
}

// digits returns how many digits of a base s begins with.
func digits(s string, base int) (n int) {
	for n < len(s) && isHex(s[n]) && int(unhex(s[n])) < base {
		n++
	}
	return n
}

// float returns for how long s goes on as a number with a fraction or an exponent.
func float(s string) int {
	n := digits(s, 10)
	if n < len(s) && s[n] == '.' {
		n += 1 + digits(s[n+1:], 10)
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		exponent := strings.TrimLeft(s[n+1:], "+-")
		if d := digits(exponent, 10); d > 0 {
			n = len(s) - len(exponent) + d
		}
	}
	return n
}

// plainDigits returns s with the digits of all scripts in ASCII, and without the
// underscores that may stand between them.
func plainDigits(s string) string {
	if isASCII(s) && strings.IndexByte(s, '_') < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || unicode.Is(unicode.Cf, r) {
			return -1
		}
		if d, ok := digitOf(r); ok {
			return d
		}
		return r
	}, norm.NFKC.String(s))
}

// digitOf returns the ASCII digit for a decimal digit of any script.
func digitOf(r rune) (rune, bool) {
	if !unicode.IsDigit(r) {
		return r, false
	}
	// Unicode has the ten digits of a script in a row, the zero first.
	zero := r
	for unicode.IsDigit(zero-1) && r-zero < 9 {
		zero--
	}
	return '0' + r - zero, true
}
