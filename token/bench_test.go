package token

import (
	"testing"
	"time"
)

func BenchmarkDigest(b *testing.B) {
	for _, c := range []struct{ name, pepper string }{{"plain", ""}, {"pepper", "a pepper of 32 bytes, more or less"}} {
		h, secret := NewHasher(c.pepper), NewSecret("pat")
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Digest(secret)
			}
		})
	}
}

func BenchmarkInspect(b *testing.B) {
	secret := NewSecret("pat")
	b.ReportAllocs()
	for b.Loop() {
		Inspect("pat", secret)
	}
}

func BenchmarkNewSecret(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewSecret("pat")
	}
}

func BenchmarkEncode(b *testing.B) {
	t := usual(time.Now())
	buf := t.Encode(nil)
	b.ReportMetric(float64(len(buf)), "B/record")
	b.ReportAllocs()
	for b.Loop() {
		buf = t.Encode(buf[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := usual(time.Now()).Encode(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// usual is a token as most are: one grant, an expiry, no more.
func usual(now time.Time) *Token {
	return &Token{
		ID: NewID(now), Name: "ci", Owner: "alice", Hint: "pat_3fQ…",
		Grants:    []Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:read"}, Resources: []string{All}}},
		CreatedAt: now, CreatedBy: "cli", ExpiresAt: now.Add(90 * 24 * time.Hour),
		Digest: NewHasher("").Digest(NewSecret("pat")),
	}
}
