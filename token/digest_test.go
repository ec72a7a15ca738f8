package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
)

func TestDigest(t *testing.T) {
	plain, peppered := NewHasher(""), NewHasher("pepper")

	// Made apart from Go, with Python's hashlib and hmac.
	secret := knownSecrets[0].secret
	for _, c := range []struct {
		h    *Hasher
		want string
	}{
		{plain, "sha256:5f25655634a3d0afab2ba183e7b4bf31c0e28c0a6d3019b5cdaec2ef66b095e1"},
		{peppered, "hmac-sha256:5db1cfd9cab1e674e996b0deff167018acd8b00f06e71948dd3ead7597cc0187"},
	} {
		if got := c.h.Format(c.h.Digest(secret)); got != c.want {
			t.Errorf("digest of %q = %s, want %s", secret, got, c.want)
		}
	}

	for _, n := range []int{0, 1, 40, 55, 56, 64, 127, 128, 129, MaxSecretLength} {
		s := strings.Repeat("x", n)
		if got, want := plain.Digest(s), Digest(sha256.Sum256([]byte(s))); got != want {
			t.Errorf("plain digest of %d bytes = %x, want %x", n, got, want)
		}
		mac := hmac.New(sha256.New, []byte("pepper"))
		mac.Write([]byte(s))
		if got, want := peppered.Digest(s), Digest(mac.Sum(nil)); got != want {
			t.Errorf("peppered digest of %d bytes = %x, want %x", n, got, want)
		}
	}
}

func TestDigestConcurrently(t *testing.T) {
	h := NewHasher("pepper")
	var wg sync.WaitGroup
	for i := range 8 {
		secret := strings.Repeat("s", i+1)
		want := NewHasher("pepper").Digest(secret)
		wg.Go(func() {
			for range 200 {
				if got := h.Digest(secret); got != want {
					t.Errorf("Digest(%q) = %x, want %x", secret, got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The peppered digest allocates nothing either, as the benchmark shows; under the
// race detector sync.Pool forgets at random, so it isn't tested here.
func TestDigestAllocatesNothing(t *testing.T) {
	h, secret := NewHasher(""), NewSecret("pat")
	if n := testing.AllocsPerRun(100, func() { h.Digest(secret) }); n != 0 {
		t.Errorf("Digest allocates %v times, want 0", n)
	}
}

func TestFormatAndParse(t *testing.T) {
	plain, peppered := NewHasher(""), NewHasher("pepper")
	d := Digest{0: 0xab, 31: 0x01}
	digits := hex.EncodeToString(d[:])
	for _, h := range []*Hasher{plain, peppered} {
		if got, err := h.Parse(h.Format(d)); err != nil || got != d {
			t.Errorf("Parse(%q) = %x, %v, want %x", h.Format(d), got, err, d)
		}
	}
	if got, err := plain.Parse("sha256:" + strings.ToUpper(digits)); err != nil || got != d {
		t.Errorf("Parse in capitals = %x, %v, want %x", got, err, d)
	}
	for _, c := range []struct {
		name string
		h    *Hasher
		in   string
		want string
	}{
		{"made under a pepper, none here", plain, "hmac-sha256:" + digits, "set the pepper it was made with"},
		{"made without, one here", peppered, "sha256:" + digits, "could never be found"},
		{"no scheme", plain, digits, `want "sha256:"`},
		{"another scheme", peppered, "md5:" + digits, `want "hmac-sha256:"`},
		{"nothing", plain, "", `want "sha256:"`},
		{"too short", plain, "sha256:" + digits[2:], "want 64 hex digits"},
		{"too long", plain, "sha256:" + digits + "00", "want 64 hex digits"},
		{"more behind it", plain, "sha256:" + digits + "-", "want 64 hex digits"},
		{"not hex", plain, "sha256:" + strings.Repeat("g", 64), "want 64 hex digits"},
		{"blank in front", plain, "sha256: " + digits, "want 64 hex digits"},
	} {
		_, err := c.h.Parse(c.in)
		wantError(t, c.name, err, c.want)
	}
}
