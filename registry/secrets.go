package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Denied is the error for a secret that isn't accepted. Its Reason is the gate's.
type Denied struct {
	Reason policy.Reason
	kind   error  // of refusal, where it is no token's secret
	text   string // "": the reason's
}

func (e *Denied) Error() string { return cmp.Or(e.text, e.Reason.Detail()) }
func (e *Denied) Unwrap() error { return e.kind }

// What is said of a secret that is no token's, or isn't any more.
var (
	ErrMalformed error = &Denied{policy.TokenMalformed, ErrInvalid, "the secret is malformed: its length, alphabet or checksum is wrong"}
	ErrUnknown   error = &Denied{policy.TokenUnknown, ErrNotFound, "the secret is unknown: no token has it"}
	ErrRetired   error = &Denied{policy.TokenRevoked, ErrNotFound, "the secret has been replaced by a newer one of its token"}
)

// find looks a secret up, and returns its digest, too. ErrMalformed and ErrUnknown say
// why nothing is found.
func (r *Registry) find(ctx context.Context, secret string) (found store.Found, d token.Digest, err error) {
	if token.Inspect(r.rules.Prefix, secret) == token.Malformed {
		return found, d, ErrMalformed
	}
	d = r.rules.Hasher.Digest(secret)
	found, err = r.store.Find(ctx, d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = ErrUnknown
	case err != nil:
		err = fmt.Errorf("looking the secret up: %w", err)
	}
	return found, d, err
}

// Verify returns the token of a secret, whatever its status is. ErrMalformed,
// ErrUnknown and ErrRetired say why there is none, the last with the token's id; a
// replaced secret still is its token's during the overlap of the regeneration.
func (r *Registry) Verify(ctx context.Context, secret string) (*token.Token, error) {
	found, _, err := r.find(ctx, secret)
	switch {
	case err != nil:
		return nil, err
	case !found.Current && !r.clock().Before(found.Until):
		return nil, fmt.Errorf("%w, %s", ErrRetired, found.Token.ID)
	}
	return r.withUse(ctx, found.Token)
}

// withUse returns a token that was found with its last use, which the store's Find leaves
// out.
func (r *Registry) withUse(ctx context.Context, found *token.Token) (*token.Token, error) {
	t, err := r.store.Token(ctx, found.ID)
	switch {
	case errors.Is(err, store.ErrNotFound): // deleted in between
		return nil, ErrUnknown
	case err != nil:
		return nil, fmt.Errorf("looking the token up: %w", err)
	}
	return t, nil
}
