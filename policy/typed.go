package policy

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Some frameworks read a parameter as what it is declared to be (FastAPI, NestJS,
// Spring): numbers, booleans and UUIDs.
//
// They read numbers leniently: 2abc, 2.9, 0x2, 02, 2_0 and the Arabic ٢ are all 2 to one
// or another, and so is 2^32+2 where it overflows. So where a value is compared with a
// number, only the plain spelling of another number is certainly another one.

// isNumber reports whether s is a whole number in its plain spelling.
func isNumber(s string) bool {
	unsigned := strings.TrimPrefix(s, "-")
	return unsigned != "" && allDigits(unsigned) && (unsigned[0] != '0' || s == "0")
}

// longNumber is how many digits a number needs to overflow 32 bits.
const longNumber = 10

// mayBeNumber reports whether some server reads a value as the number want, which
// it isn't. What has no digit is no number but 0, to PHP and Ruby.
func mayBeNumber(got, want string) bool {
	if isNumber(got) {
		value, err := strconv.ParseFloat(want, 64)
		return err == nil && slices.Contains(numbersIn(got), value)
	}
	return want == "0" || strings.IndexFunc(got, func(r rune) bool { return unicode.IsNumber(r) || r == '#' || r == '&' }) >= 0
}

// equalNumbers reports whether both are numbers, and the same: so PHP compares the values of
// a query, as 1.0 and 1.
func equalNumbers(got, want string) bool {
	w, err := strconv.ParseFloat(want, 64)
	if err != nil {
		return false
	}
	g, err := strconv.ParseFloat(strings.TrimSpace(got), 64)
	return err == nil && g == w
}

// readsAs reports whether some server reads the segment, or the number that it begins with, as
// the number that a literal is or begins with. What follows the numbers must be alike. A
// segment with digits is more often a name than not, so the numbers in it are read closely,
// once for all literals with the same end.
func (s *spelled) readsAs(literal string) bool {
	n := signedDigits(literal)
	want, rest := literal[:n], literal[n:]
	if !isNumber(want) {
		return false
	}
	end := len(s.text) - len(rest)
	if end <= 0 || !equalFold(s.text[end:], rest) {
		return false
	}
	value, err := strconv.ParseFloat(want, 64)
	if err != nil {
		return false
	}
	if end != s.numbersTo {
		s.numbersTo, s.numbers = end, numbersIn(s.text[:end])
	}
	return slices.Contains(s.numbers, value)
}

// numbersIn returns the numbers that some server reads in a text: where that is a number
// itself, those that it may overflow to.
func numbersIn(text string) (all []float64) {
	if isNumber(text) {
		if len(text) < longNumber {
			return nil
		}
		return appendNumbers(nil, text)
	}
	for _, drop := range [...]string{"", "_", " ", "_ "} {
		t := strings.Map(func(r rune) rune {
			if strings.ContainsRune(drop, r) || drop != "" && unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, text)
		all = appendNumbers(appendNumbers(all, t), plainDigits(t))
	}
	return all
}

// signedDigits returns the length of the whole number that s begins with.
func signedDigits(s string) int {
	sign := len(s) - len(strings.TrimPrefix(s, "-"))
	return sign + digits(s[sign:], 10)
}

// appendNumbers appends the numbers that a text begins with, in all notations.
func appendNumbers(all []float64, text string) []float64 {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return r == '+' || r == '(' || unicode.IsSpace(r) })
	sign := 1.0
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		text, sign = rest, -1
	}
	add := func(v float64, err error) {
		if err == nil {
			all = append(all, sign*v, math.Trunc(sign*v))
		}
	}
	if d := digits(text, 10); d > 0 {
		add(strconv.ParseFloat(text[:d], 64))
		if d >= longNumber {
			n := wrapped(text[:d])
			all = append(all, sign*float64(n), sign*float64(int64(n)), sign*float64(uint32(n)), sign*float64(int32(n)))
		}
	}
	if d := float(text); d > 0 {
		add(strconv.ParseFloat(text[:d], 64))
	}
	for _, b := range bases {
		if len(text) <= len(b.prefix) || !equalFold(text[:len(b.prefix)], b.prefix) {
			continue
		}
		rest := text[len(b.prefix):]
		v, err := strconv.ParseUint(rest[:digits(rest, b.base)], b.base, 64)
		add(float64(v), err)
	}
	return all
}

// wrapped returns a number modulo 2^64, which is what it overflows to in 64 bits; the last
// 32 of them are what it overflows to in 32.
func wrapped(number string) (n uint64) {
	for _, digit := range []byte(number) {
		n = n*10 + uint64(digit-'0')
	}
	return n
}

// bases are the prefixes that say the base of a number.
var bases = []struct {
	prefix string
	base   int
}{{"0x", 16}, {"#", 16}, {"0o", 8}, {"0", 8}, {"0b", 2}, {"0d", 10}}

// float returns how much of s is a number with a fraction or an exponent.
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

// plainDigits returns s with the digits of all scripts in ASCII.
func plainDigits(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
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

// booleans are the words that servers read as true and as false.
var booleans = map[string][]string{
	"true":  {"1", "t", "yes", "y", "on"},
	"false": {"0", "f", "no", "n", "off"},
}

// readsAsBool reports whether some server reads the text as the boolean that a literal is.
func readsAsBool(text, literal string) bool {
	if len(text) > len("yes") {
		return false
	}
	return slices.ContainsFunc(booleans[literal], func(word string) bool { return equalFold(text, word) })
}

// sameUUID reports whether both are UUIDs, and the same (RFC 9562 section 4).
func sameUUID(text, literal string) bool {
	got, ok := uuidDigits(text) // few are, of all that clients send
	if !ok {
		return false
	}
	want, ok := uuidDigits(literal)
	return ok && got == want
}

// uuidDigits returns the digits of a UUID, however it is written: as a URN, in braces,
// with hyphens or without.
func uuidDigits(s string) (digits [32]byte, ok bool) {
	const longest = len("urn:uuid:{00000000-0000-0000-0000-000000000000}")
	if len(s) < len(digits) || len(s) > longest {
		return digits, false
	}
	if n := len("urn:uuid:"); equalFold(s[:n], "urn:uuid:") {
		s = s[n:]
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	n := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '-':
		case n == len(digits) || !isHex(s[i]):
			return digits, false
		default:
			digits[n] = lower(s[i])
			n++
		}
	}
	return digits, n == len(digits)
}

// cutsNumber reports whether an encoded text is another number to a server that reads the
// digits it begins with before decoding: 7%30 is 70, but may be read as 7.
func cutsNumber(raw string) bool {
	digits := strings.TrimLeft(raw, "+-")
	return digits != "" && '0' <= digits[0] && digits[0] <= '9' && escapes(digits, isAlnum)
}
