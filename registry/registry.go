// Package registry says what may be done to tokens and their owners: create,
// list, change, revoke, regenerate, delete, verify, import, export. The command
// line, the admin API and the console all go through it, so every rule about
// lifetimes, grants and owners lives here once.
//
// There are two doors to tokens. An [Account] is the registry as a signed-in owner may
// use it, or an operator. A [Bearer] is a token that was presented by its secret, and may
// manage itself. What a [Registry] does by itself is for operators alone: the records of
// owners, verify, import, export.
//
// A change is durable in the store before the method that makes it returns. The store
// keeps with it an [Event], one for each token, that says who has done what: either both
// are there or neither. The audit function is told of the event when the store has
// answered; it alone may miss one, if the process dies in between or the answer is lost.
//
// # Errors
//
// A request the registry refuses is answered with an error that is one of
// [ErrInvalid], [ErrNotFound], [ErrConflict] and [ErrForbidden] and reads as a
// message to the one who made it; a secret that opens nothing, with an error of
// type [Denied]. Every other error means that the store could not do its work and
// says nothing about the request. No error contains a secret.
package registry

import (
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Registry does what is asked of tokens, by its rules. It holds no state besides
// them, so a new configuration gets a new Registry on the same store. Safe for
// concurrent use.
type Registry struct {
	store store.Store
	rules Rules
	now   func() time.Time
	audit func(Event)
}

// Rules are what a configuration says about tokens.
type Rules struct {
	// Prefix begins the secrets that are made; a token.ValidPrefix.
	Prefix string
	// Hasher makes the digests.
	Hasher *token.Hasher
	// DefaultLifetime is that of a token for which none is asked. Where it is
	// longer than MaxLifetime, MaxLifetime is. 0: as long as MaxLifetime allows.
	DefaultLifetime time.Duration
	// MaxLifetime bounds every lifetime asked for. 0: no bound, and tokens that
	// never expire are allowed.
	MaxLifetime time.Duration
	// Scopes are the names of the operator's catalog, which is complete: a grant
	// of another scope, or of a pattern that matches none, is refused. nil:
	// there is no catalog, and every scope may be granted.
	Scopes []string
	// ImpliedBy names, for a scope, the scopes of the catalog that imply it,
	// directly or not. nil: none do.
	ImpliedBy map[string][]string
	// GrantsImmutable says that a token's grants stay what they were when it was
	// made.
	GrantsImmutable bool
	// Spaces says that the policy has routes in spaces. Then a grant has to say
	// in which it holds; otherwise it holds in all unless it says so.
	Spaces bool
}

// Options are what a Registry needs to know of its surroundings.
type Options struct {
	Now   func() time.Time // the clock; nil: time.Now
	Audit func(Event)      // is told of every change; must be quick, and safe for concurrent use; nil: nobody is
}

// New returns the registry of the tokens in s.
func New(s store.Store, rules Rules, o Options) *Registry {
	r := &Registry{store: s, rules: rules, now: o.Now, audit: o.Audit}
	if r.now == nil {
		r.now = time.Now
	}
	if r.audit == nil {
		r.audit = func(Event) {}
	}
	return r
}

// View returns t as clients see it now.
func (r *Registry) View(t *token.Token) token.View {
	return t.View(r.clock())
}

// clock returns the time as records keep it: in UTC, and no finer than
// milliseconds, which people can read.
func (r *Registry) clock() time.Time {
	return r.now().UTC().Truncate(time.Millisecond)
}

// maxRecordSize bounds one record in its stored form, in bytes. Each of the
// limits in package token is generous; a record that meets all of them at once
// would fill a gateway's memory.
const maxRecordSize = 1 << 20

// noSecret refuses a new text that contains a secret: people read it, and logs have it.
// What is stored already may be changed and ended all the same.
func noSecret(what, text string) error {
	if token.HasSecret(text) {
		return refuseField(ErrInvalid, what, "has a secret in it, which everybody would see")
	}
	return nil
}

// valid returns why t can't be stored, or nil.
func valid(t *token.Token) error {
	if err := asInvalid(t.Validate()); err != nil {
		return err
	}
	if n := len(t.Encode(nil)); n > maxRecordSize {
		return invalid("token: %d bytes with all its grants, at most %d are kept", n, maxRecordSize)
	}
	return nil
}
