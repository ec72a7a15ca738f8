package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// NewToken describes a token to be made.
type NewToken struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Owner       string        `json:"owner,omitempty"`
	Grants      []token.Grant `json:"grants,omitempty"` // a list that is nil or absent is completed, an empty one is refused
	Full        bool          `json:"full,omitempty"`   // the grant of everything, and no other
	AllowedIPs  []string      `json:"allowed_ips,omitempty"`
	Lifetime
}

// Create makes a token and its secret, which is nowhere else from then on.
func (r *Registry) Create(ctx context.Context, by Actor, n NewToken) (t *token.Token, secret string, err error) {
	now := r.clock()
	if r.rules.Spaces && len(n.Grants) == 0 && !n.Full {
		return nil, "", invalid("grants: none given, and patgate does not guess a space: say which spaces the token is for " +
			"(--space ID or --all-spaces), or give --full, or --grant; in JSON, \"grants\" or \"full\"")
	}
	grants, err := r.newGrants(n.Grants, n.Full)
	if err != nil {
		return nil, "", err
	}
	ranges, err := parseRanges(n.AllowedIPs)
	if err != nil {
		return nil, "", err
	}
	expires, err := r.expiry(n.Lifetime, now)
	if err != nil {
		return nil, "", err
	}
	secret = token.NewSecret(r.rules.Prefix)
	t = &token.Token{
		ID: token.NewID(now), Name: n.Name, Description: n.Description, Owner: n.Owner,
		Grants: grants, AllowedIPs: ranges,
		CreatedAt: now, CreatedBy: by.Name, ExpiresAt: expires,
		Hint: token.HintOf(r.rules.Prefix, secret), Digest: r.rules.Hasher.Digest(secret),
	}
	if err := valid(t); err != nil {
		return nil, "", err
	}
	if err := r.store.Create(ctx, t); err != nil {
		return nil, "", fmt.Errorf("creating token: %w", err)
	}
	r.report(by, Created, t, expiry(t))
	return t, secret, nil
}

// Limits of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Query selects tokens. The zero Query selects the first page of all.
type Query struct {
	Owner  *string // of this owner; nil: of any
	Status string  // "active", "expired" or "revoked"; "" or "all": any
	Space  string  // with a grant that covers this space; "": any
	Scope  string  // with a grant that covers this scope; "": any
	Limit  int     // at most so many, up to MaxLimit; 0: DefaultLimit
	Cursor string  // what the page before returned; "": from the start
}

// List returns the tokens that q selects, newest first, and the cursor of the
// next page ("" after the last).
func (r *Registry) List(ctx context.Context, q Query) (tokens []*token.Token, next string, err error) {
	limit, err := pageSize(q.Limit)
	if err != nil {
		return nil, "", err
	}
	status := token.Status(q.Status)
	switch status {
	case "all":
		status = ""
	case "", token.Active, token.Expired, token.Revoked:
	default:
		return nil, "", invalid("status: %q is none; want active, expired, revoked or all", q.Status)
	}
	tokens, next, err = r.store.Tokens(ctx, store.Query{
		Owner: q.Owner, Status: status, Space: q.Space, Scope: q.Scope,
		Now: r.clock(), Cursor: q.Cursor, Limit: limit,
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing tokens: %w", err)
	}
	return tokens, next, nil
}

func pageSize(limit int) (int, error) {
	if limit < 0 || limit > MaxLimit {
		return 0, invalid("limit: %d; want 1 to %d", limit, MaxLimit)
	}
	if limit == 0 {
		limit = DefaultLimit
	}
	return limit, nil
}

// Get returns the token with this id.
func (r *Registry) Get(ctx context.Context, id string) (*token.Token, error) {
	if err := r.validID(id); err != nil {
		return nil, err
	}
	t, err := r.store.Token(ctx, id)
	return t, noToken(id, "reading", err)
}

// Changes are what Update does to a token. What is nil stays.
type Changes struct {
	Name        *string   `json:"name,omitempty"`
	Description *string   `json:"description,omitempty"`
	AllowedIPs  *[]string `json:"allowed_ips,omitempty"` // empty: everywhere
}

// Update changes what a token is called and where it may be used from.
func (r *Registry) Update(ctx context.Context, by Actor, id string, c Changes) (*token.Token, error) {
	given := c.AllowedIPs
	if given == nil {
		given = new([]string)
	}
	ranges, err := parseRanges(*given)
	if err != nil {
		return nil, err
	}
	return r.change(ctx, by, Updated, id, func(t *token.Token) (string, error) {
		var changed []string
		if c.Name != nil && *c.Name != t.Name {
			t.Name = *c.Name
			changed = append(changed, "name")
		}
		if c.Description != nil && *c.Description != t.Description {
			t.Description = *c.Description
			changed = append(changed, "description")
		}
		if c.AllowedIPs != nil && !slices.Equal(ranges, t.AllowedIPs) {
			t.AllowedIPs = ranges
			changed = append(changed, "allowed_ips")
		}
		if changed == nil {
			return "", errUnchanged
		}
		return strings.Join(changed, ", "), nil
	})
}

// errUnchanged ends a change that would change nothing.
var errUnchanged = errors.New("unchanged")

// change has f change the token with this id, and reports it. f returns what the
// event is to say of it, or errUnchanged: then nothing is stored or reported,
// and the token is returned as it is. f may run more than once.
func (r *Registry) change(ctx context.Context, by Actor, a Action, id string, f func(*token.Token) (detail string, err error)) (*token.Token, error) {
	if err := r.validID(id); err != nil {
		return nil, err
	}
	var detail string
	var same *token.Token
	t, err := r.store.Update(ctx, id, func(t *token.Token) (err error) {
		if detail, err = f(t); errors.Is(err, errUnchanged) {
			same = t.Clone()
		}
		if err != nil {
			return err
		}
		return valid(t)
	})
	if errors.Is(err, errUnchanged) {
		return same, nil
	}
	if err != nil {
		return nil, noToken(id, "changing", err)
	}
	r.report(by, a, t, detail)
	return t, nil
}

// validID refuses what can't be an id. It keeps a secret that was given as one
// out of every message that names the token.
func (r *Registry) validID(id string) error {
	if token.Inspect(r.rules.Prefix, id) == token.WellMade {
		return invalid("id: this is a secret, not an id; \"token verify\" tells the id of its token")
	}
	if err := token.ValidID(id); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// noToken turns a store's answer about the token with this id into the
// registry's. It leaves refusals as they are.
func noToken(id, doing string, err error) error {
	var refused *refusal
	switch {
	case err == nil || errors.As(err, &refused):
		return err
	case errors.Is(err, store.ErrNotFound):
		return notFound("token %s: not found", id)
	}
	return fmt.Errorf("%s token %s: %w", doing, id, err)
}
