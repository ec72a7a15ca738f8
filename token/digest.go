package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// Digest is what is kept of a secret: its SHA-256, or its HMAC-SHA-256 under the
// operator's pepper. A fast hash is enough for 178 random bits; a pepper is for
// operators who must assume that the store leaks.
type Digest [sha256.Size]byte

// Hasher makes digests. Safe for concurrent use.
type Hasher struct {
	scheme string
	macs   *sync.Pool // of *keyed; nil without a pepper
}

type keyed struct {
	mac hash.Hash
	in  []byte
	out []byte
}

// The schemes of a digest, as they are written before its hex digits.
const (
	schemeSHA256 = "sha256"
	schemeHMAC   = "hmac-sha256"
)

// NewHasher returns the hasher for pepper; empty means plain SHA-256.
func NewHasher(pepper string) *Hasher {
	if pepper == "" {
		return &Hasher{scheme: schemeSHA256}
	}
	key := []byte(pepper)
	return &Hasher{scheme: schemeHMAC, macs: &sync.Pool{New: func() any {
		return &keyed{mac: hmac.New(sha256.New, key), in: make([]byte, 0, 128), out: make([]byte, 0, sha256.Size)}
	}}}
}

// Digest returns the digest of secret. It allocates nothing for secrets of
// usual length.
func (h *Hasher) Digest(secret string) Digest {
	if h.macs == nil {
		var buf [128]byte
		return sha256.Sum256(append(buf[:0], secret...))
	}
	k := h.macs.Get().(*keyed)
	k.mac.Reset()
	k.in = append(k.in[:0], secret...)
	k.mac.Write(k.in)
	d := Digest(k.mac.Sum(k.out))
	clear(k.in)
	h.macs.Put(k)
	return d
}

// Format writes a digest as imports and exports carry it: "sha256:<hex>", or
// "hmac-sha256:<hex>" under a pepper.
func (h *Hasher) Format(d Digest) string {
	return h.scheme + ":" + hex.EncodeToString(d[:])
}

// Parse reads what Format writes. A digest of the other scheme is refused: no
// secret could ever be found by it here.
func (h *Hasher) Parse(s string) (Digest, error) {
	scheme, digits, ok := strings.Cut(s, ":")
	if !ok || scheme != schemeSHA256 && scheme != schemeHMAC {
		return Digest{}, fmt.Errorf("digest: want %q and 64 hex digits", h.scheme+":")
	}
	if scheme != h.scheme {
		if h.macs == nil {
			return Digest{}, fmt.Errorf("digest: made under a pepper (%s), but this server has none: set the pepper it was made with", scheme)
		}
		return Digest{}, fmt.Errorf("digest: made without a pepper (%s), but this server has one: its secret could never be found", scheme)
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != sha256.Size {
		return Digest{}, fmt.Errorf("digest: want 64 hex digits after %q", h.scheme+":")
	}
	return Digest(b), nil
}
