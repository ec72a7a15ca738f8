package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/patgate/patgate/internal/keyring"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

func newKeyring(t testing.TB) *keyring.Keyring {
	return keyring.New(&certmagic.FileStorage{Path: t.TempDir()})
}

// An identity says what was judged, is verified with the public keys, is used
// again, and another one is made when anything it says changes.
func TestSignedIdentity(t *testing.T) {
	config, err := SignedIdentity{Lifetime: Duration(time.Hour)}.check("my-api")
	if err != nil {
		t.Fatal(err)
	}
	s := newIdentitySigner(config)
	s.keys = newKeyring(t)
	identity := func(what statement) string {
		h := http.Header{}
		o := &outcome{tokenID: what.token, owner: what.owner, space: what.space, subject: &policy.Subject{Expires: what.ends}}
		if err := s.identify(t.Context(), h, o, what.scopes); err != nil {
			t.Fatal(err)
		}
		return h.Get("X-Patgate-Identity")
	}
	base := statement{token: "t1", owner: "Zoë <x>", space: "1", scopes: "a b"}
	text := identity(base)
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	set, err := s.keys.Public(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var got claims
	if err := parsed.Claims(set, &got); err != nil {
		t.Fatal(err)
	}
	life := got.Expires.Time().Sub(got.IssuedAt.Time())
	if got.Issuer != "patgate" || got.Audience != "my-api" || got.Subject != "Zoë <x>" || got.Token != "t1" || got.Space != "1" || got.Scope != "a b" || life != time.Hour {
		said, _ := json.Marshal(got)
		t.Errorf("the identity says %s", said)
	}
	if identity(base) != text {
		t.Error("an identity is signed for each request")
	}
	seen := map[string]bool{text: true}
	for _, other := range []statement{
		{"t2", base.owner, "1", "a b", 0}, {"t1", "y", "1", "a b", 0}, {"t1", base.owner, "2", "a b", 0}, {"t1", base.owner, "1", "a", 0},
		{"t1", base.owner, "1", "a b", time.Now().Add(time.Minute).UnixNano()},
	} {
		text := identity(other)
		if seen[text] {
			t.Errorf("%+v has the identity of another", other)
		}
		seen[text] = true
	}
	// A token for all spaces could have as many kept as it likes, and as long ones.
	long := statement{token: "t1", space: strings.Repeat("x", token.MaxValueLength+1)}
	if identity(long) == "" || s.made.Contains(long) {
		t.Error("an identity for a space that is too long for a grant is kept, or isn't made")
	}
}

// The keys are at one path, in one spelling, and nothing is done to them.
func TestSignedIdentityServesKeys(t *testing.T) {
	s := newIdentitySigner(SignedIdentity{JWKS: "/a keys"})
	for request, want := range map[string]bool{"GET /a%20keys": true, "HEAD /a%20keys?x": true, "POST /a%20keys": false, "GET /%61%20keys": false, "GET /a%20keys/": false} {
		method, target, _ := strings.Cut(request, " ")
		if got := s.serves(httptest.NewRequest(method, target, nil)); got != want {
			t.Errorf("%s: %t, want %t", request, got, want)
		}
	}
}

// An identity outlives neither its token nor the secret that was shown, and is not
// used again when that has been given another end.
func TestSignedIdentityEndsWithToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config, err := SignedIdentity{}.check("my-api")
		if err != nil {
			t.Fatal(err)
		}
		s := newIdentitySigner(config)
		s.keys = newKeyring(t)
		start := time.Now()
		at := func(after time.Duration) int64 { return start.Add(after).UnixNano() }
		for _, c := range []struct {
			name    string
			subject policy.Subject
			want    time.Duration // how long it is valid
		}{
			{"a token that never expires", policy.Subject{}, time.Minute},
			{"one that lives longer", policy.Subject{Expires: at(time.Hour)}, time.Minute},
			{"one that is about to expire", policy.Subject{Expires: at(5 * time.Second)}, 5 * time.Second},
			{"a replaced secret", policy.Subject{SecretUntil: at(4 * time.Second)}, 4 * time.Second},
			{"a replaced secret of a token that expires", policy.Subject{Expires: at(time.Hour), SecretUntil: at(3 * time.Second)}, 3 * time.Second},
			{"a replaced secret that goes on longer", policy.Subject{Expires: at(2 * time.Second), SecretUntil: at(time.Hour)}, 2 * time.Second},
			{"the token, renewed", policy.Subject{Expires: at(2 * time.Hour)}, time.Minute},
		} {
			h := http.Header{}
			if err := s.identify(t.Context(), h, &outcome{tokenID: "t1", subject: &c.subject}, "a"); err != nil {
				t.Fatal(err)
			}
			parsed, err := jwt.ParseSigned(h.Get("X-Patgate-Identity"), []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			var got claims
			if err := parsed.UnsafeClaimsWithoutVerification(&got); err != nil || got.Expires.Time().Sub(start) != c.want {
				t.Errorf("%s: valid until %v, %v, want for %s", c.name, got.Expires.Time(), err, c.want)
			}
		}
		time.Sleep(time.Minute) // until nobody looks after the storage's lock any more
	})
}

// An identity is valid by the clock on the wall, and is used again by that: when it was
// set, or the machine was suspended, one that was made before is none.
func TestSignedIdentityClockSet(t *testing.T) {
	config, err := SignedIdentity{}.check("my-api")
	if err != nil {
		t.Fatal(err)
	}
	s := newIdentitySigner(config)
	s.keys = newKeyring(t)
	what := statement{token: "t1"}
	identity := func() string {
		h := http.Header{}
		if err := s.identify(t.Context(), h, &outcome{tokenID: what.token, subject: new(policy.Subject)}, ""); err != nil {
			t.Fatal(err)
		}
		return h.Get("X-Patgate-Identity")
	}
	identity()
	now, _ := s.made.Get(what)
	if now.from != now.from.Round(0) || now.until != now.until.Round(0) {
		t.Errorf("used from %v until %v, by a clock that isn't set", now.from, now.until)
	}
	for _, c := range []struct {
		ahead time.Duration // how far the clock was ahead when it was made
		want  bool
	}{
		{0, true}, {-20 * time.Second, true}, {-time.Minute, false}, {-time.Hour, false}, {20 * time.Second, false}, {time.Hour, false},
	} {
		before := signature{jwt: "made before", from: now.from.Add(c.ahead), until: now.until.Add(c.ahead)}
		s.made.Add(what, before)
		if used := identity() == before.jwt; used != c.want {
			t.Errorf("made by a clock that was %v ahead: used again: %v, want %v", c.ahead, used, c.want)
		}
	}
}

func BenchmarkSignedIdentity(b *testing.B) {
	config, err := SignedIdentity{}.check("my-api")
	if err != nil {
		b.Fatal(err)
	}
	s := newIdentitySigner(config)
	s.keys = newKeyring(b)
	o := &outcome{tokenID: "t1", owner: "alice", space: "1", subject: &policy.Subject{Expires: time.Now().Add(time.Hour).UnixNano()}}
	b.Run("again", func(b *testing.B) {
		h := http.Header{}
		b.ReportAllocs()
		for b.Loop() {
			if err := s.identify(b.Context(), h, o, "a b"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("anew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.sign(b.Context(), statement{token: "t1", owner: "alice", space: "1", scopes: "a b"}, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
