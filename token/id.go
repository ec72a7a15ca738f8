package token

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// ValidID returns why id can't be a token's id, or nil.
func ValidID(id string) error {
	if id == "" || len(id) > MaxIDLength {
		return fieldError("id", "want 1 to %d characters, got %d", MaxIDLength, len(id))
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !isAlnum(c) && c != '-' && c != '_' {
			return fieldError("id", "want letters, digits, %q and %q only", "-", "_")
		}
	}
	return nil
}

// idEncoding is base32 with an alphabet in ASCII order, so that ids sort by the
// time they were made.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns a fresh token id: 26 characters for the time in milliseconds (48
// bits), the fraction of the millisecond (16 bits) and 64 random bits. Ids sort by age,
// even those that are made one right after another.
func NewID(now time.Time) string {
	var b [16]byte
	fraction := now.Nanosecond() % 1e6
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16|uint64(fraction)<<16/1e6)
	rand.Read(b[8:]) // never fails: crypto/rand ends the program instead
	return idEncoding.EncodeToString(b[:])
}
