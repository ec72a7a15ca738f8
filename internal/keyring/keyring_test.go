package keyring

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func inDirectory(dir string) *Keyring { return New(&certmagic.FileStorage{Path: dir}) }

// settle waits for a reading of the storage that is due at a time.
func settle(t *testing.T, k *Keyring, now time.Time) {
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
func keyIDs(t *testing.T, k *Keyring, now time.Time) (ids []string) {
	t.Helper()
	settle(t, k, now)
	set, err := k.Public(t.Context(), now)
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
func signedBy(t *testing.T, k *Keyring, now time.Time) string {
	t.Helper()
	settle(t, k, now)
	s, err := k.Signer(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(jwt.Claims{Issuer: "x"}).Serialize()
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
	a, b := inDirectory(dir), inDirectory(dir)
	start := time.Now().Truncate(time.Second)
	first := signedBy(t, a, start)
	if got := signedBy(t, b, start); got != first {
		t.Fatalf("two gateways on one storage sign with %s and %s", first, got)
	}
	renewed := start.Add(life)
	if got := signedBy(t, a, renewed); got != first {
		t.Error("a new key is used before it was shown")
	}
	ids := keyIDs(t, b, renewed.Add(readEvery))
	if len(ids) != 2 || ids[0] != first {
		t.Fatalf("after %s the other gateway shows %v, want the old key and a new one", life, ids)
	}
	second := ids[1]
	for _, k := range []*Keyring{a, b, inDirectory(dir)} {
		if got := signedBy(t, k, renewed.Add(Lead)); got != second {
			t.Errorf("after %s, %s is used, want the new key", Lead, got)
		}
	}
	if ids := keyIDs(t, a, renewed.Add(Lead+rest-time.Minute)); len(ids) != 2 {
		t.Errorf("the old key is gone while identities signed with it may be about: %v", ids)
	}
	third := renewed.Add(life + Lead + rest)
	signedBy(t, a, third)
	if ids := keyIDs(t, a, third); len(ids) != 2 || ids[0] != second {
		t.Errorf("after the next rotation the keys are %v, want %s and a new one", ids, second)
	}
	info, err := os.Stat(filepath.Join(dir, file))
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
		starting.Go(func() { ids[i] = signedBy(t, inDirectory(dir), now) })
	}
	starting.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("keys %v, want one", ids)
		}
	}
}

// hookedStorage calls before with the name of each method, and fails if that does.
type hookedStorage struct {
	certmagic.FileStorage
	before func(method string) error
}

func (s *hookedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.before("Load"); err != nil {
		return nil, err
	}
	return s.FileStorage.Load(ctx, key)
}

func (s *hookedStorage) Store(ctx context.Context, key string, value []byte) error {
	if err := s.before("Store"); err != nil {
		return err
	}
	return s.FileStorage.Store(ctx, key, value)
}

func (s *hookedStorage) Lock(ctx context.Context, key string) error {
	if err := s.before("Lock"); err != nil {
		return err
	}
	return s.FileStorage.Lock(ctx, key)
}

// Keys once read go on without the storage; without any, nothing is signed.
func TestKeyringWithoutStorage(t *testing.T) {
	var broken error
	s := &hookedStorage{certmagic.FileStorage{Path: t.TempDir()}, func(string) error { return broken }}
	k := New(s)
	now := time.Now()
	id := signedBy(t, k, now)
	broken = errors.New("no storage")
	if got := signedBy(t, k, now.Add(2*readEvery)); got != id {
		t.Errorf("without the storage, %s signs, want %s", got, id)
	}
	none := New(s)
	if _, err := none.Signer(t.Context(), now); !errors.Is(err, broken) {
		t.Errorf("a gateway that has no key signs: %v", err)
	}
	broken = errors.New("still none")
	if set, err := none.Public(t.Context(), now.Add(retryAfter)); !errors.Is(err, broken) {
		t.Errorf("a gateway that has no key shows %v: %v", set, err)
	}
}

// A key that can't be kept isn't used, and keys that can't be read are not replaced: others
// may sign with them.
func TestKeyNotKept(t *testing.T) {
	broken := errors.New("broken")
	for _, method := range []string{"Lock", "Store", "Load"} {
		locked, failing := false, true
		s := &hookedStorage{certmagic.FileStorage{Path: t.TempDir()}, func(called string) error {
			locked = locked || called == "Lock"
			if failing && called == method && locked {
				return broken
			}
			return nil
		}}
		now := time.Now()
		if _, err := New(s).Signer(t.Context(), now); !errors.Is(err, broken) {
			t.Errorf("%s fails: the first key signs: %v", method, err)
		}
		if s.Exists(t.Context(), file) {
			t.Errorf("%s fails: keys are stored", method)
		}
		locked, failing = false, false
		k := New(s)
		first := signedBy(t, k, now)
		locked, failing = false, true
		if ids := keyIDs(t, k, now.Add(life)); len(ids) != 1 || ids[0] != first {
			t.Errorf("%s fails: the keys are %v, want %s alone", method, ids, first)
		}
	}
}

// Where another gateway makes a key first, that one is used.
func TestKeyOfAnother(t *testing.T) {
	dir, now, id := t.TempDir(), time.Now(), ""
	s := &hookedStorage{FileStorage: certmagic.FileStorage{Path: dir}}
	s.before = func(method string) error {
		if method == "Lock" {
			id = signedBy(t, inDirectory(dir), now)
		}
		return nil
	}
	if ids := keyIDs(t, New(s), now); len(ids) != 1 || ids[0] != id {
		t.Errorf("the keys are %v, want %s, which another gateway made", ids, id)
	}
}

// Keys that were not looked at for so long that others may not show them any more are
// looked at first.
func TestKeysUnused(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	k := inDirectory(dir)
	signedBy(t, k, now)
	ids := keyIDs(t, inDirectory(dir), now.Add(life))
	r, err := k.current(t.Context(), now.Add(life+Lead))
	if err != nil || len(r.keys) != 2 || r.keys[1].Key.KeyID != ids[1] {
		t.Errorf("after %s, the keys are %v, %v, want %v", life+Lead, r, err, ids)
	}
}

// What is no key to sign with is named when it is read, and not shown to anyone.
func TestDamagedKeys(t *testing.T) {
	own := newKey(t, elliptic.P256())
	mixed := *own
	mixed.PublicKey = newKey(t, elliptic.P256()).PublicKey
	s := &certmagic.FileStorage{Path: t.TempDir()}
	for name, text := range map[string]string{
		"a key of another kind":    `[{"key":{"kty":"oct","k":"c2VjcmV0LXNlY3JldA"}}]`,
		"a damaged file":           `[{"d":"c2VjcmV0LXNlY3JldA"`,
		"no key":                   `[null]`,
		"another curve":            stored(t, newKey(t, elliptic.P384())),
		"only the public part":     stored(t, &own.PublicKey),
		"another key's other part": stored(t, &mixed),
	} {
		if err := s.Store(t.Context(), file, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := New(s).Signer(t.Context(), time.Now())
		if err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "c2Vj") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// stored is the file of a key.
func stored(t testing.TB, key any) string {
	text, err := json.Marshal([]storedKey{{Created: time.Now(), Key: jose.JSONWebKey{Key: key, KeyID: "a", Algorithm: string(jose.ES256)}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// textStorage has one text in every file.
type textStorage struct {
	certmagic.Storage
	text string
}

func (s textStorage) Load(context.Context, string) ([]byte, error) { return []byte(s.text), nil }

// With the keys that are read, signatures are made that those who are shown them verify.
func FuzzKeys(f *testing.F) {
	f.Add(stored(f, newKey(f, elliptic.P256())))
	f.Add(stored(f, newKey(f, elliptic.P384())))
	f.Add(stored(f, &newKey(f, elliptic.P256()).PublicKey))
	f.Add(`[{"created":"2026-12-01T00:00:00Z","key":{"kty":"oct","k":"c2VjcmV0"}},null]`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := New(textStorage{text: text}).load(t.Context())
		if err != nil {
			return
		}
		for _, key := range keys {
			signed, err := key.signer.Sign([]byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := signed.Verify(key.Key.Public()); err != nil {
				t.Error(err)
			}
		}
	})
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
		k := New(s)
		id := signedBy(t, k, time.Now())
		s.hangs.Store(true)
		time.Sleep(2 * readEvery)
		start := time.Now()
		for range 3 {
			r, err := k.current(t.Context(), start)
			if err != nil || r.keys[0].Key.KeyID != id || time.Since(start) != 0 {
				t.Errorf("with keys: %v after %s", err, time.Since(start))
			}
		}
		without := New(s)
		for range 3 {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := without.current(ctx, start); err == nil || time.Since(start) > time.Second {
				t.Errorf("without keys: %v after %s, want what the client's time was", err, time.Since(start))
			}
			cancel()
		}
		time.Sleep(2 * budget)
		synctest.Wait()
		s.hangs.Store(false)
		if got := signedBy(t, without, time.Now()); got != id {
			t.Errorf("when the storage is back, %s signs, want %s", got, id)
		}
	})
}
