// Package token defines what a personal access token is.
//
// A [Token] is the record: who owns it, what it may do, how long it lives. A
// secret is what a client sends. The record never contains the secret, only
// its [Digest]; from a digest nobody gets back to the secret, which is 178
// random bits. The secret is shown once, when it is made.
//
// The package knows the record, its grants, the secret's format, the digest
// and the encoding in which stores keep both. It imports nothing of patgate.
package token

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Limits of a record. They bound the memory that one token can take and the text that
// an operator can be made to read, and are far above what real systems use.
const (
	MaxIDLength          = 36 // a UUID fits
	MaxNameLength        = 200
	MaxDescriptionLength = 2000
	MaxOwnerLength       = 256
	MaxGrants            = 100
	MaxGrantValues       = 1000 // values in one list of one grant
	MaxValueLength       = 256
	MaxAllowedIPs        = 100
	MaxRetired           = 4 // retired secrets remembered with a token
)

// Token is the record of a personal access token.
type Token struct {
	ID          string // unique, 1 to MaxIDLength of [A-Za-z0-9_-]
	Name        string
	Description string
	Owner       string // the account it belongs to; opaque, may be empty
	Hint        string // the first characters of the secret, for people to tell tokens apart
	Grants      []Grant
	AllowedIPs  []netip.Prefix // addresses the token may be used from; empty: everywhere
	CreatedAt   time.Time
	CreatedBy   string
	// RegeneratedAt is when its secret replaced an earlier one; zero: the secret
	// is as old as the token.
	RegeneratedAt time.Time
	ExpiresAt     time.Time // zero: never expires
	RevokedAt     time.Time // zero: not revoked
	LastUsedAt    time.Time // zero: not used yet
	LastUsedIP    netip.Addr

	// Digest finds the token when its secret is presented.
	Digest Digest
	// Retired are the digests of secrets that regeneration has replaced, newest
	// first, at most MaxRetired.
	Retired []RetiredSecret
}

// RetiredSecret is a secret that has been replaced.
type RetiredSecret struct {
	Digest Digest
	Until  time.Time // until then it still works (the overlap of a regeneration)
}

// RetiredUntil returns when a retired secret stops working, or has stopped. ok reports
// whether the secret with digest d is one of the token's.
func (t *Token) RetiredUntil(d Digest) (until time.Time, ok bool) {
	for _, r := range t.Retired {
		if r.Digest == d {
			return r.Until, true
		}
	}
	return time.Time{}, false
}

// Lifetime returns how long the secret was made to live; 0: for ever.
func (t *Token) Lifetime() time.Duration {
	switch {
	case t.ExpiresAt.IsZero():
		return 0
	case t.RegeneratedAt.IsZero():
		return t.ExpiresAt.Sub(t.CreatedAt)
	}
	return t.ExpiresAt.Sub(t.RegeneratedAt)
}

// Status is the state of a token.
type Status string

// The statuses of a token. A token that was revoked and has expired is revoked.
const (
	Active  Status = "active"
	Expired Status = "expired"
	Revoked Status = "revoked"
)

// Status returns the token's status at now.
func (t *Token) Status(now time.Time) Status {
	switch {
	case !t.RevokedAt.IsZero():
		return Revoked
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return Expired
	}
	return Active
}

// Digests returns every digest the token is found by: that of its secret, then
// those of its retired secrets.
func (t *Token) Digests() []Digest {
	ds := make([]Digest, 0, 1+len(t.Retired))
	ds = append(ds, t.Digest)
	for _, r := range t.Retired {
		ds = append(ds, r.Digest)
	}
	return ds
}

// Size returns about how many bytes the record takes.
func (t *Token) Size() int {
	const fixed, each = 200, 8
	size := fixed + len(t.Name) + len(t.Description) + len(t.Owner)
	for _, g := range t.Grants {
		for _, list := range [...][]string{g.Spaces, g.Scopes, g.Resources} {
			for _, v := range list {
				size += each + len(v)
			}
		}
	}
	return size
}

// Clone returns a copy that shares nothing with t.
func (t *Token) Clone() *Token {
	c := *t
	c.Grants = CloneGrants(t.Grants)
	c.AllowedIPs = slices.Clone(t.AllowedIPs)
	c.Retired = slices.Clone(t.Retired)
	return &c
}

// Validate returns why the record can't be kept or shown, or nil: a text that is too
// long or has control characters, an id or a grant of the wrong form. Scope catalogs and
// lifetimes are the registry's to check.
func (t *Token) Validate() error {
	err := cmp.Or(
		ValidID(t.ID),
		ValidName(t.Name),
		ValidText("description", t.Description, MaxDescriptionLength),
		validOwnerID(t.Owner),
		ValidText("created_by", t.CreatedBy, MaxOwnerLength),
		ValidText("hint", t.Hint, MaxNameLength),
	)
	if err != nil {
		return err
	}
	if len(t.Retired) > MaxRetired {
		return fmt.Errorf("retired secrets: %d given, at most %d are kept", len(t.Retired), MaxRetired)
	}
	if err := validGrants(t.Grants); err != nil {
		return err
	}
	if len(t.AllowedIPs) > MaxAllowedIPs {
		return fieldError("allowed_ips", "%d given, at most %d are kept", len(t.AllowedIPs), MaxAllowedIPs)
	}
	for _, p := range t.AllowedIPs {
		if !p.IsValid() {
			return fieldError("allowed_ips", "not an address range")
		}
	}
	return nil
}

// ValidName returns why a token can't be called name, or nil.
func ValidName(name string) error {
	if err := ValidText("name", name, MaxNameLength); err != nil {
		return err
	}
	if !visible(name) {
		return fieldError("name", "a token needs one, so that people can tell it from others")
	}
	return nil
}
