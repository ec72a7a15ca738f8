package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// MaxLeaked is how many secrets one report may have.
const MaxLeaked = 100

// LeakReport is a report of secrets that were found where they shouldn't be:
// {"secret":"…"}, or a list of these.
type LeakReport []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *LeakReport) UnmarshalJSON(data []byte) error {
	type found struct {
		Secret string `json:"secret"`
	}
	all := make([]found, 1)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		if err := Decode(data, &all); err != nil {
			return err
		}
	} else if err := Decode(data, &all[0]); err != nil {
		return err
	}
	if len(all) == 0 || len(all) > MaxLeaked {
		return invalid("%d secrets; want 1 to %d", len(all), MaxLeaked)
	}
	*l = nil
	for _, f := range all {
		if f.Secret == "" {
			return invalid("secret: missing")
		}
		*l = append(*l, f.Secret)
	}
	return nil
}

// RevokeLeaked ends what the secrets open; having them is the proof that they have
// leaked. A token's current secret revokes the token; one that was replaced and still
// works stops working. Secrets that open nothing are passed over in silence, so that
// nobody learns anything from the answer: the error is always the store's, and the first
// of several. The other secrets are dealt with all the same.
func (r *Registry) RevokeLeaked(ctx context.Context, from netip.Addr, secrets ...string) error {
	var failed error
	unknown := false
	for _, secret := range secrets {
		switch err := r.endLeaked(ctx, from, secret); {
		case errors.Is(err, ErrUnknown):
			unknown = true
		case !errors.Is(err, ErrMalformed):
			failed = cmp.Or(failed, err)
		}
	}
	if failed == nil && unknown { // they may have been ended a moment ago
		return r.confirm(ctx)
	}
	return failed
}

// endLeaked ends what the secret opens, if find finds it.
func (r *Registry) endLeaked(ctx context.Context, from netip.Addr, secret string) error {
	found, d, err := r.find(ctx, secret)
	if err != nil {
		return err
	}
	by := byToken(found.Token.ID, from)
	if found.Current {
		return r.revoke(ctx, by, found.Token.ID, leaked)
	}
	return r.endOverlap(ctx, by, found.Token.ID, d)
}

const leaked = "the secret was reported as leaked"

// endOverlap stops a replaced secret that still works.
func (r *Registry) endOverlap(ctx context.Context, by Actor, id string, d token.Digest) error {
	_, err := r.change(ctx, by, OverlapEnded, id, func(t *token.Token, now time.Time) (string, error) {
		i := slices.IndexFunc(t.Retired, func(old token.RetiredSecret) bool { return old.Digest == d })
		if i < 0 || !now.Before(t.Retired[i].Until) {
			return "", store.ErrUnchanged
		}
		t.Retired[i].Until = now
		return leaked, nil
	})
	if errors.Is(err, ErrNotFound) {
		return r.confirm(ctx)
	}
	return err
}
