package registry

import (
	"context"
	"net/netip"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// Bearer is a token that was presented, by its secret. It may describe, regenerate and
// revoke itself, and nothing else: a token never makes, widens or lists tokens.
type Bearer struct {
	registry *Registry
	by       Actor
	token    *token.Token
	digest   token.Digest // of the secret that was presented
}

// Bearer returns the token of a secret that was presented from an address. A secret that
// isn't accepted, or not from there, is an error of type *Denied.
func (r *Registry) Bearer(ctx context.Context, secret string, from netip.Addr) (*Bearer, error) {
	found, digest, err := r.find(ctx, secret)
	if err != nil {
		return nil, err
	}
	subject := policy.NewSubject(found.Token, policy.NewOwner(found.Token.Owner, found.Owner), policy.NewGrants(found.Token.Grants))
	if !found.Current {
		subject.SetRetired(found.Until)
	}
	switch reason := subject.Serves(r.clock(), from); {
	case reason == policy.TokenRevoked && !subject.Revoked:
		return nil, ErrRetired
	case reason != policy.Forward:
		return nil, &Denied{Reason: reason}
	}
	t, err := r.withUse(ctx, found.Token)
	if err != nil {
		return nil, err
	}
	return &Bearer{r, byToken(t.ID, from), t, digest}, nil
}

// Token returns the token.
func (b *Bearer) Token() *token.Token { return b.token.Clone() }

// View is Registry.View, of the token as it was found or as Regenerate returned it.
func (b *Bearer) View(t *token.Token) token.View { return b.registry.View(t) }

// Regenerate is Account.Regenerate for the token itself. It may not ask for a longer life
// than its secret was given; without a lifetime, it gets the same again, as far as the
// rules allow. An overlap doesn't take the old secret past its expiry. A secret that has
// been replaced can't regenerate: only the newest can.
func (b *Bearer) Regenerate(ctx context.Context, n Renewal) (t *token.Token, secret string, err error) {
	return b.registry.renew(ctx, b.by, b.token.ID, n, func(t *token.Token, now time.Time) (time.Time, error) {
		switch {
		case t.Status(now) != token.Active:
			return time.Time{}, &Denied{Reason: policy.TokenRevoked}
		case t.Digest != b.digest:
			return time.Time{}, forbidden("the secret has been replaced: only the newer one regenerates the token")
		}
		return b.registry.expiryAsBefore(t, n.Lifetime, now)
	})
}

// Revoke ends the token.
func (b *Bearer) Revoke(ctx context.Context) error {
	return b.registry.revoke(ctx, b.by, b.token.ID, "")
}
