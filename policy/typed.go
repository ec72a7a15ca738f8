package policy

import "strings"

// Some frameworks read a parameter as what it is declared to be (FastAPI, NestJS,
// Spring): numbers, see number.go, booleans and UUIDs.

// booleans are the words that are read as those that literals may be.
var booleans = map[string][]string{
	"true":  {"1", "t", "yes", "y", "on"},
	"false": {"0", "f", "no", "n", "off"},
}

// readsAsBool reports whether some server reads the text as the boolean that a literal is.
func readsAsBool(text, literal string) bool {
	if len(text) > len("yes") {
		return false
	}
	for _, word := range booleans[literal] {
		if equalFold(text, word) {
			return true
		}
	}
	return false
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
