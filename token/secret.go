package token

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"unsafe"
)

// The parts of a secret after its prefix, in characters.
const (
	randomLength   = 30 // of base62: 178 bits
	checksumLength = 6  // of base62: a CRC-32
)

// MaxSecretLength is the longest text that is taken for a secret. The JWTs of existing
// systems fit.
const MaxSecretLength = 4096

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewSecret makes a secret: <prefix>_ and 30 random base62 characters from
// crypto/rand, then the CRC-32 (IEEE) of all that as 6 base62 characters, so
// that scanners and the gate itself know a typo without asking anyone.
func NewSecret(prefix string) string {
	s := make([]byte, 0, len(prefix)+1+randomLength+checksumLength)
	s = append(s, prefix...)
	s = append(s, '_')
	for end := len(s) + randomLength; len(s) < end; {
		var random [randomLength + 10]byte // enough for one round, nearly always
		rand.Read(random[:])               // never fails: crypto/rand ends the program instead
		for _, r := range random {
			// 62*4 = 248 values of a byte are used, the rest passed over: no bias.
			if r < 248 && len(s) < end {
				s = append(s, base62[r%62])
			}
		}
	}
	sum := checksum(string(s))
	return string(append(s, sum[:]...))
}

// Form says what a presented secret looks like, before anything is looked up.
type Form uint8

// The forms of a secret.
const (
	Foreign   Form = iota // without the prefix: of another system, looked up as it is
	WellMade              // with the prefix and the right checksum
	Malformed             // with the prefix and a wrong length, alphabet or checksum; or no secret at all
)

// Inspect returns the form of a presented secret under prefix. It costs a
// CRC-32 and allocates nothing.
func Inspect(prefix, secret string) Form {
	if len(secret) == 0 || len(secret) > MaxSecretLength {
		return Malformed
	}
	for i := 0; i < len(secret); i++ {
		// Visible ASCII without list separators and quotes: a value with
		// these could be read as two.
		if c := secret[i]; c <= ' ' || c > '~' || c == ',' || c == '"' || c == '\\' {
			return Malformed
		}
	}
	if len(secret) <= len(prefix) || secret[len(prefix)] != '_' || secret[:len(prefix)] != prefix {
		return Foreign
	}
	if len(secret) != len(prefix)+1+randomLength+checksumLength {
		return Malformed
	}
	for i := len(prefix) + 1; i < len(secret); i++ {
		if !isAlnum(secret[i]) {
			return Malformed
		}
	}
	sum := checksum(secret[:len(secret)-checksumLength])
	if secret[len(secret)-checksumLength:] != string(sum[:]) {
		return Malformed
	}
	return WellMade
}

// HasSecret reports whether a text contains one of patgate's secrets, under any prefix.
func HasSecret(text string) bool {
	const rest = 1 + randomLength + checksumLength // from the "_" on
	for i := range len(text) - rest + 1 {
		for from := i - 1; text[i] == '_' && from >= max(0, i-maxPrefix); from-- {
			if Inspect(text[from:i], text[from:i+rest]) == WellMade {
				return true
			}
		}
	}
	return false
}

const maxPrefix = 20

// ValidPrefix returns why prefix can't begin patgate's secrets, or nil.
func ValidPrefix(prefix string) error {
	if prefix == "" || len(prefix) > maxPrefix {
		return fmt.Errorf("prefix: want 1 to %d characters, got %d", maxPrefix, len(prefix))
	}
	for i := 0; i < len(prefix); i++ {
		if !isAlnum(prefix[i]) && (prefix[i] != '_' || i == 0 || i == len(prefix)-1) {
			return fmt.Errorf("prefix %q: want letters and digits, and %q only between them", prefix, "_")
		}
	}
	return nil
}

// Pattern returns the regular expression that finds patgate's secrets in a
// text, for secret scanners.
func Pattern(prefix string) string {
	return fmt.Sprintf(`\b%s_[0-9A-Za-z]{%d}\b`, prefix, randomLength+checksumLength)
}

// Masked returns a text without anything that looks like a secret, under any prefix and
// even mistyped: errors quote what was given, and a secret may have been given in the
// wrong place.
func Masked(text string) string { return secretLike.ReplaceAllString(text, "${1}_REDACTED") }

var secretLike = regexp.MustCompile(fmt.Sprintf(`([0-9A-Za-z])_[0-9A-Za-z]{%d,}`, randomLength))

// HintOf returns the start of a secret that may be shown: the prefix and three
// characters. Of a foreign secret, three characters.
func HintOf(prefix, secret string) string {
	n := 3
	if strings.HasPrefix(secret, prefix+"_") {
		n += len(prefix) + 1
	}
	if len(secret) < n+8 {
		return ""
	}
	return secret[:n] + "…"
}

func checksum(s string) [checksumLength]byte {
	// The bytes are only read. Converting would allocate, since crc32 lets its
	// argument escape; every request passes here.
	c := crc32.ChecksumIEEE(unsafe.Slice(unsafe.StringData(s), len(s)))
	var sum [checksumLength]byte
	for i := checksumLength - 1; i >= 0; i-- {
		sum[i] = base62[c%62]
		c /= 62
	}
	return sum
}
