// Package keyring has the keys that identities are signed with. They are in Caddy's
// storage: gateways that share it share them. A new key is made when the last one is 30
// days old, shown to those who verify before it is used, and the old one for a while after.
package keyring

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/go-jose/go-jose/v4"
)

// Keyring is the keys in a storage. Safe for concurrent use.
type Keyring struct {
	storage certmagic.Storage

	mu     sync.Mutex
	ring   *ring         // what was read last; nil: nothing yet
	flight chan struct{} // closed when the reading under way ends; nil: none is
}

// ring is what a reading of the storage has brought. It doesn't change.
type ring struct {
	keys []storedKey // the oldest first
	read time.Time   // when
	err  error       // why there are no keys
}

// storedKey is a key and its age.
type storedKey struct {
	Created time.Time       `json:"created"`
	Key     jose.JSONWebKey `json:"key"`

	signer jose.Signer // signs with Key
}

const (
	file = "patgate/identity_keys.json"
	// life is how long a key is the newest.
	life = 30 * 24 * time.Hour
	// Lead is how long a new key is shown to those who verify before it is used.
	Lead = time.Hour
	// rest is how long a key is still shown after it was used last.
	rest = 24 * time.Hour
	// readEvery is how often the storage is looked at: another gateway may have
	// made a key. It must be well below Lead.
	readEvery = 10 * time.Minute
	// retryAfter is how long after a failure the storage is asked again where there
	// are no keys.
	retryAfter = time.Second
	// budget is how long the storage may take.
	budget = 15 * time.Second
)

// New returns the keys of a storage, which is first read when one is asked for.
func New(storage certmagic.Storage) *Keyring { return &Keyring{storage: storage} }

// Signer returns what signs with the key that is in use at a time.
func (k *Keyring) Signer(ctx context.Context, now time.Time) (jose.Signer, error) {
	r, err := k.current(ctx, now)
	if err != nil {
		return nil, err
	}
	return r.keys[inUse(r.keys, now)].signer, nil
}

// Public returns the public keys, to be kept for well below Lead.
func (k *Keyring) Public(ctx context.Context, now time.Time) (jose.JSONWebKeySet, error) {
	r, err := k.current(ctx, now)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	var set jose.JSONWebKeySet
	for _, key := range r.keys {
		set.Keys = append(set.Keys, key.Key.Public())
	}
	return set, nil
}

// current returns the keys, which are read again when it is time to. Requests wait
// for that only where there are none, or none that were looked at for so long that
// others may not show them any more.
func (k *Keyring) current(ctx context.Context, now time.Time) (*ring, error) {
	for {
		k.mu.Lock()
		if k.ring.outdated(now) && k.flight == nil {
			k.flight = make(chan struct{})
			go k.refresh(now)
		}
		r, flight := k.ring, k.flight
		k.mu.Unlock()
		if flight == nil || r != nil && r.err == nil && now.Sub(r.read) < Lead {
			return r, r.err
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, fmt.Errorf("reading the identity keys: %w", ctx.Err())
		}
	}
}

// outdated reports whether it is time to read the storage again.
func (r *ring) outdated(now time.Time) bool {
	switch {
	case r == nil:
		return true
	case r.err != nil:
		return now.Sub(r.read) >= retryAfter
	}
	return now.Sub(r.read) >= readEvery
}

// inUse returns which key signs: the newest that has been shown for long enough,
// or else the oldest.
func inUse(keys []storedKey, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if now.Sub(keys[i].Created) >= Lead {
			return i
		}
	}
	return 0
}

// refresh reads the keys, and makes one when that is due. Keys that were read once
// go on when the storage fails.
func (k *Keyring) refresh(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	next := new(ring)
	next.keys, next.err = k.load(ctx)
	if next.err == nil && due(next.keys, now) {
		next.keys, next.err = k.renew(ctx, now)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if next.err != nil && k.ring != nil && k.ring.err == nil {
		*next = *k.ring
	}
	next.read = now
	k.ring = next
	close(k.flight)
	k.flight = nil
}

// newSigner returns what signs with a key, and has done so once: jose takes keys that
// can't, or whose public part is another's.
func newSigner(key jose.JSONWebKey) (jose.Signer, error) {
	sign, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	signed, err := sign.Sign(nil)
	if err != nil {
		return nil, err
	}
	_, err = signed.Verify(key.Public())
	return sign, err
}

// due reports whether a new key is to be made.
func due(keys []storedKey, now time.Time) bool {
	return len(keys) == 0 || now.Sub(keys[len(keys)-1].Created) >= life
}

func (k *Keyring) load(ctx context.Context) (keys []storedKey, err error) {
	text, err := k.storage.Load(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the identity keys: %w", err)
	}
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, errors.New("reading the identity keys: " + file + " in Caddy's storage is damaged") // err may quote it
	}
	for i := range keys {
		if keys[i].signer, err = newSigner(keys[i].Key); err != nil {
			return nil, errors.New("reading the identity keys: " + file + " in Caddy's storage has a damaged key, or one of another kind")
		}
	}
	return keys, nil
}

// renew makes a key, unless another gateway has, and drops those long out of use.
func (k *Keyring) renew(ctx context.Context, now time.Time) ([]storedKey, error) {
	if err := k.storage.Lock(ctx, file); err != nil {
		return nil, fmt.Errorf("locking the identity keys: %w", err)
	}
	defer k.storage.Unlock(context.WithoutCancel(ctx), file)
	keys, err := k.load(ctx)
	if err != nil || !due(keys, now) {
		return keys, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an identity key: %w", err)
	}
	made := storedKey{Created: now.UTC().Truncate(time.Second), Key: jose.JSONWebKey{
		Key: private, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig",
	}}
	if made.signer, err = newSigner(made.Key); err != nil {
		return nil, fmt.Errorf("making an identity key: %w", err)
	}
	keys = append(keys, made)
	for len(keys) > 1 && now.Sub(keys[1].Created) >= Lead+rest {
		keys = slices.Delete(keys, 0, 1)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("writing the identity keys: %w", err)
	}
	if err := k.storage.Store(ctx, file, text); err != nil {
		return nil, fmt.Errorf("writing the identity keys: %w", err)
	}
	return keys, nil
}
