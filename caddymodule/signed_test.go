package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/patgate/patgate/policy"
)

func newKeyring(dir string) *keyring {
	return &keyring{storage: &certmagic.FileStorage{Path: dir}}
}

// settle waits for a reading of the storage that is due at a time.
func settle(t *testing.T, k *keyring, now time.Time) {
	t.Helper()
	if _, err := k.current(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	flight := k.flight
	k.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// keyIDs returns the ids of the keys that are shown, the oldest first.
func keyIDs(t *testing.T, k *keyring, now time.Time) (ids []string) {
	t.Helper()
	settle(t, k, now)
	set, err := k.public(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			t.Fatal("a private key is shown")
		}
		ids = append(ids, key.KeyID)
	}
	return ids
}

// signedBy returns the id of the key that signs at a time.
func signedBy(t *testing.T, k *keyring, now time.Time) string {
	t.Helper()
	settle(t, k, now)
	s, err := k.signer(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims{Issuer: "x"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// A key is shown before it is used, and after it was used, by every gateway on
// the storage.
func TestKeyRotation(t *testing.T) {
	dir := t.TempDir()
	a, b := newKeyring(dir), newKeyring(dir)
	start := time.Now().Truncate(time.Second)
	first := signedBy(t, a, start)
	if got := signedBy(t, b, start); got != first {
		t.Fatalf("two gateways on one storage sign with %s and %s", first, got)
	}
	renewed := start.Add(keyLife)
	if got := signedBy(t, a, renewed); got != first {
		t.Error("a new key is used before it was shown")
	}
	ids := keyIDs(t, b, renewed.Add(keyReading))
	if len(ids) != 2 || ids[0] != first {
		t.Fatalf("after %s the other gateway shows %v, want the old key and a new one", keyLife, ids)
	}
	second := ids[1]
	for _, k := range []*keyring{a, b, newKeyring(dir)} {
		if got := signedBy(t, k, renewed.Add(keyLead)); got != second {
			t.Errorf("after %s, %s is used, want the new key", keyLead, got)
		}
	}
	if ids := keyIDs(t, a, renewed.Add(keyLead+keyRest-time.Minute)); len(ids) != 2 {
		t.Errorf("the old key is gone while identities signed with it may be about: %v", ids)
	}
	third := renewed.Add(keyLife + keyLead + keyRest)
	signedBy(t, a, third)
	if ids := keyIDs(t, a, third); len(ids) != 2 || ids[0] != second {
		t.Errorf("after the next rotation the keys are %v, want %s and a new one", ids, second)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file of the keys: %v %v, want it readable for the owner only", info.Mode(), err)
	}
}

// Gateways that start at the same time make one key.
func TestKeysAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var ids [3]string
	var starting sync.WaitGroup
	now := time.Now()
	for i := range ids {
		starting.Go(func() { ids[i] = signedBy(t, newKeyring(dir), now) })
	}
	starting.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("keys %v, want one", ids)
		}
	}
}

// brokenStorage fails while broken is set.
type brokenStorage struct {
	certmagic.FileStorage
	broken bool
}

func (s *brokenStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if s.broken {
		return nil, errors.New("no storage")
	}
	return s.FileStorage.Load(ctx, key)
}

// Keys once read go on without the storage; without any, nothing is signed.
func TestKeyringWithoutStorage(t *testing.T) {
	s := &brokenStorage{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
	k := &keyring{storage: s}
	now := time.Now()
	id := signedBy(t, k, now)
	s.broken = true
	if got := signedBy(t, k, now.Add(2*keyReading)); got != id {
		t.Errorf("without the storage, %s signs, want %s", got, id)
	}
	if _, err := (&keyring{storage: s}).signer(t.Context(), now); err == nil {
		t.Error("a gateway that has no key signs")
	}
	s.broken = false
	if err := s.Store(t.Context(), keyFile, []byte(`[{"key":{"kty":"oct","k":"c2VjcmV0LXNlY3JldA"}}]`)); err != nil {
		t.Fatal(err)
	}
	if _, err := (&keyring{storage: s}).signer(t.Context(), now); err == nil || strings.Contains(err.Error(), "c2Vj") {
		t.Errorf("a key of another kind: %v", err)
	}
	if err := s.Store(t.Context(), keyFile, []byte(`[{"d":"c2VjcmV0LXNlY3JldA"`)); err != nil {
		t.Fatal(err)
	}
	if _, err := (&keyring{storage: s}).signer(t.Context(), now); err == nil || strings.Contains(err.Error(), "c2Vj") {
		t.Errorf("a damaged file: %v", err)
	}
}

// hangingStorage doesn't answer while hangs is set.
type hangingStorage struct {
	certmagic.FileStorage
	hangs atomic.Bool
}

func (s *hangingStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if s.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.FileStorage.Load(ctx, key)
}

// Requests don't wait for a storage that hangs: those that have keys not at all,
// the others for as long as their clients do.
func TestKeyringOnHangingStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &hangingStorage{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
		k := &keyring{storage: s}
		id := signedBy(t, k, time.Now())
		s.hangs.Store(true)
		time.Sleep(2 * keyReading)
		start := time.Now()
		for range 3 {
			r, err := k.current(t.Context(), start)
			if err != nil || r.keys[0].Key.KeyID != id || time.Since(start) != 0 {
				t.Errorf("with keys: %v after %s", err, time.Since(start))
			}
		}
		without := &keyring{storage: s}
		for range 3 {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := without.current(ctx, start); err == nil || time.Since(start) > time.Second {
				t.Errorf("without keys: %v after %s, want what the client's time was", err, time.Since(start))
			}
			cancel()
		}
		time.Sleep(2 * keyBudget)
		synctest.Wait()
		s.hangs.Store(false)
		if got := signedBy(t, without, time.Now()); got != id {
			t.Errorf("when the storage is back, %s signs, want %s", got, id)
		}
	})
}

// An identity says what was judged, is verified with the public keys, is used
// again, and another one is made when anything it says changes.
func TestSignedIdentity(t *testing.T) {
	config, err := SignedIdentity{Lifetime: caddy.Duration(time.Hour)}.check("my-api")
	if err != nil {
		t.Fatal(err)
	}
	s := newIdentitySigner(config, newKeyring(t.TempDir()))
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
	set, err := s.keys.public(t.Context(), time.Now())
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
}

// An identity outlives neither its token nor the secret that was shown, and is not
// used again when that has been given another end.
func TestSignedIdentityEndsWithToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config, err := SignedIdentity{}.check("my-api")
		if err != nil {
			t.Fatal(err)
		}
		s := newIdentitySigner(config, newKeyring(t.TempDir()))
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
	s := newIdentitySigner(config, newKeyring(t.TempDir()))
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
	s := newIdentitySigner(config, newKeyring(b.TempDir()))
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
