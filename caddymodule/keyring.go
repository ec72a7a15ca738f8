package caddymodule

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

// keyring is the keys that identities are signed with. They are in Caddy's
// storage, so that gateways that share it share them, and change by themselves.
type keyring struct {
	storage certmagic.Storage

	mu     sync.Mutex
	ring   *ring         // what was read last; nil: nothing yet
	flight chan struct{} // closed when the reading under way ends; nil: none is
}

// ring is what a reading of the storage has brought. It doesn't change.
type ring struct {
	keys    []identityKey // the oldest first
	signers []jose.Signer // of each of them
	read    time.Time     // when
	err     error         // why there are no keys
}

// identityKey is a key and its age.
type identityKey struct {
	Created time.Time       `json:"created"`
	Key     jose.JSONWebKey `json:"key"`
}

const (
	keyFile = "patgate/identity_keys.json"
	// keyLife is how long a key is the newest.
	keyLife = 30 * 24 * time.Hour
	// keyLead is how long a new key is shown to those who verify before it is used.
	keyLead = time.Hour
	// keyRest is how long a key is still shown after it was used last.
	keyRest = 24 * time.Hour
	// keyReading is how often the storage is looked at: another gateway may have
	// made a key. It must be well below keyLead.
	keyReading = 10 * time.Minute
	// keyRetry is how long after a failure the storage is asked again where there
	// are no keys.
	keyRetry = time.Second
	// keyBudget is how long the storage may take.
	keyBudget = 15 * time.Second
)

// signer returns what signs with the key that is in use at a time.
func (k *keyring) signer(ctx context.Context, now time.Time) (jose.Signer, error) {
	r, err := k.current(ctx, now)
	if err != nil {
		return nil, err
	}
	return r.signers[inUse(r.keys, now)], nil
}

// public returns the public keys.
func (k *keyring) public(ctx context.Context, now time.Time) (jose.JSONWebKeySet, error) {
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
func (k *keyring) current(ctx context.Context, now time.Time) (*ring, error) {
	for {
		k.mu.Lock()
		if k.ring.outdated(now) && k.flight == nil {
			k.flight = make(chan struct{})
			go k.refresh(now)
		}
		r, flight := k.ring, k.flight
		k.mu.Unlock()
		if flight == nil || r != nil && r.err == nil && now.Sub(r.read) < keyLead {
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
		return now.Sub(r.read) >= keyRetry
	}
	return now.Sub(r.read) >= keyReading
}

// inUse returns which key signs: the newest that has been shown for long enough,
// or else the oldest.
func inUse(keys []identityKey, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if now.Sub(keys[i].Created) >= keyLead {
			return i
		}
	}
	return 0
}

// refresh reads the keys, and makes one when that is due. Keys that were read once
// go on when the storage fails.
func (k *keyring) refresh(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), keyBudget)
	defer cancel()
	next := new(ring)
	next.keys, next.err = k.load(ctx)
	if next.err == nil && due(next.keys, now) {
		next.keys, next.err = k.renew(ctx, now)
	}
	if next.err == nil {
		next.signers, next.err = signers(next.keys)
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

// signers returns what signs with each of the keys.
func signers(keys []identityKey) (all []jose.Signer, err error) {
	for _, key := range keys {
		sign, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Key}, new(jose.SignerOptions).WithType("JWT"))
		if err != nil {
			return nil, fmt.Errorf("preparing the identity key: %w", err)
		}
		all = append(all, sign)
	}
	return all, nil
}

// due reports whether a new key is to be made.
func due(keys []identityKey, now time.Time) bool {
	return len(keys) == 0 || now.Sub(keys[len(keys)-1].Created) >= keyLife
}

func (k *keyring) load(ctx context.Context) (keys []identityKey, err error) {
	text, err := k.storage.Load(ctx, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the identity keys: %w", err)
	}
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, errors.New("reading the identity keys: " + keyFile + " in Caddy's storage is damaged") // err may quote it
	}
	for _, key := range keys {
		if _, ok := key.Key.Key.(*ecdsa.PrivateKey); !ok || !key.Key.Valid() {
			return nil, errors.New("reading the identity keys: " + keyFile + " in Caddy's storage has another kind of key")
		}
	}
	return keys, nil
}

// renew makes a key, unless another gateway has, and drops those long out of use.
func (k *keyring) renew(ctx context.Context, now time.Time) ([]identityKey, error) {
	if err := k.storage.Lock(ctx, keyFile); err != nil {
		return nil, fmt.Errorf("locking the identity keys: %w", err)
	}
	defer k.storage.Unlock(context.WithoutCancel(ctx), keyFile)
	keys, err := k.load(ctx)
	if err != nil || !due(keys, now) {
		return keys, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an identity key: %w", err)
	}
	keys = append(keys, identityKey{Created: now.UTC().Truncate(time.Second), Key: jose.JSONWebKey{
		Key: private, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig",
	}})
	for len(keys) > 1 && now.Sub(keys[1].Created) >= keyLead+keyRest {
		keys = slices.Delete(keys, 0, 1)
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("writing the identity keys: %w", err)
	}
	if err := k.storage.Store(ctx, keyFile, text); err != nil {
		return nil, fmt.Errorf("writing the identity keys: %w", err)
	}
	return keys, nil
}
