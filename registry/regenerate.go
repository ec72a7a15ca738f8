package registry

import (
	"context"
	"slices"
	"time"

	"github.com/patgate/patgate/token"
)

// Renewal says how a token gets a new secret.
type Renewal struct {
	Lifetime         // of the new secret
	Overlap  *string `json:"overlap,omitempty"` // how long the old secret works on; nil: not at all

	// Same reports whether the token is still as the caller has seen it; if it isn't, the
	// error is ErrConflict. nil: don't check.
	Same func(*token.Token) bool `json:"-"`
}

// Regenerate gives the token a new secret and a new expiry; all else it keeps. A
// token that was revoked or has expired is active again, with the new secret
// only.
//
// An owner who may not make tokens regenerates active ones only, and for no longer a
// life than the secret before had.
//
// Without an overlap the new secret is the only one that works from then on: the overlaps
// of earlier regenerations end, too. With one, they go on, and so does the old secret;
// that is refused for a token that isn't active, for it would bring a dead secret back to
// life. The old secret never works for longer than it would have without the new one.
// token.MaxRetired replaced secrets are remembered, those that still work rather than
// others: while all of them do, another overlap is refused.
func (a *Account) Regenerate(ctx context.Context, id string, n Renewal) (t *token.Token, secret string, err error) {
	if err := a.own(ctx, id); err != nil {
		return nil, "", err
	}
	r := a.registry
	may, _, err := a.mayWiden(ctx)
	if err != nil {
		return nil, "", err
	}
	return r.renew(ctx, a.by, id, n, func(t *token.Token, now time.Time) (time.Time, error) {
		if may {
			return r.expiry(n.Lifetime, now)
		}
		if status := t.Status(now); status != token.Active {
			return time.Time{}, forbidden("token %s is %s: %s", id, status, a.mayNot())
		}
		return r.expiryAsBefore(t, n.Lifetime, now)
	})
}

// expiryAsBefore returns when a secret made now expires, for callers that may not give a
// token a longer life than the secret before had. Without a lifetime, it gets the same
// again, as far as the rules allow.
func (r *Registry) expiryAsBefore(t *token.Token, l Lifetime, now time.Time) (time.Time, error) {
	had := t.Lifetime()
	if had <= 0 && !t.ExpiresAt.IsZero() {
		had = t.ExpiresAt.Sub(now) // imported with an impossible created_at
	}
	if l == (Lifetime{}) {
		return r.rules.end(had, now), nil
	}
	expires, err := r.expiry(l, now)
	if err == nil && had > 0 && (expires.IsZero() || expires.After(now.Add(had))) {
		err = refuseField(ErrForbidden, "lifetime", "the token may be given no longer life than it had, which is %s", FormatDuration(had))
	}
	return expires, err
}

// renew is Account.Regenerate with an expiry of the new secret that depends on the token.
func (r *Registry) renew(ctx context.Context, by Actor, id string, n Renewal, expiry func(*token.Token, time.Time) (time.Time, error)) (t *token.Token, secret string, err error) {
	overlap, err := n.overlap()
	if err != nil {
		return nil, "", err
	}
	secret = token.NewSecret(r.rules.Prefix)
	t, err = r.change(ctx, by, Regenerated, id, func(t *token.Token, now time.Time) (detail string, err error) {
		if n.Same != nil && !n.Same(t) {
			return "", conflict("token %s has changed", id)
		}
		expires, err := expiry(t, now)
		if err != nil {
			return "", err
		}
		until := now.Add(overlap)
		if overlap > 0 {
			if status := t.Status(now); status != token.Active {
				return "", refuseField(ErrConflict, "overlap", "token %s is %s; its old secret can't be kept working", id, status)
			}
			if !expires.IsZero() && until.After(expires) {
				return "", refuseField(ErrInvalid, "overlap", "%q is longer than the new secret lives (until %s)", *n.Overlap, expires.Format(time.RFC3339))
			}
			if !t.ExpiresAt.IsZero() { // no secret outlives what it was made for
				until = earlier(until, t.ExpiresAt)
			}
			detail = "the old secret works until " + moment(until)
		} else {
			for i := range t.Retired {
				t.Retired[i].Until = earlier(t.Retired[i].Until, now)
			}
		}
		if len(t.Retired) >= token.MaxRetired {
			ended := lastEnded(t.Retired, now)
			if ended < 0 {
				return "", refuseField(ErrConflict, "overlap", "%d replaced secrets of token %s still work, and no more can: regenerate it without an overlap, which ends them, or when one has ended", token.MaxRetired, id)
			}
			t.Retired = slices.Delete(t.Retired, ended, ended+1)
		}
		t.Retired = slices.Insert(t.Retired, 0, token.RetiredSecret{Digest: t.Digest, Until: until})
		t.Digest, t.Hint = r.rules.Hasher.Digest(secret), token.HintOf(r.rules.Prefix, secret)
		t.RegeneratedAt, t.ExpiresAt, t.RevokedAt = now, expires, time.Time{}
		return detail, nil
	})
	if err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// lastEnded returns the index of the oldest secret that has stopped working, or -1.
func lastEnded(retired []token.RetiredSecret, now time.Time) int {
	for i, old := range slices.Backward(retired) {
		if !old.Until.After(now) {
			return i
		}
	}
	return -1
}

func (n *Renewal) overlap() (time.Duration, error) {
	if n.Overlap == nil {
		return 0, nil
	}
	d, err := parseDuration("overlap", *n.Overlap)
	if err == nil && d < 0 {
		err = refuseField(ErrInvalid, "overlap", "%q is negative", *n.Overlap)
	}
	return d, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
