package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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

// Create makes a token and returns its secret, which is kept nowhere. A token that an
// owner makes is the owner's own, and n.Owner may be empty. Of the limits in the owner's
// record, max_tokens holds for everybody; may_create and the ceiling of grants hold for
// the owner, and not for operators.
func (a *Account) Create(ctx context.Context, n NewToken) (t *token.Token, secret string, err error) {
	if n.Owner == "" && a.owner != nil {
		n.Owner = a.by.Name
	}
	r := a.registry
	now := r.clock()
	if r.rules.Spaces && len(n.Grants) == 0 && !n.Full {
		return nil, "", refuseField(ErrInvalid, "grants", "none given, and patgate does not guess a space: say which spaces the token is for "+
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
		ID: token.NewID(r.now()), Name: n.Name, Description: n.Description, Owner: n.Owner,
		Grants: grants, AllowedIPs: ranges,
		CreatedAt: now, CreatedBy: a.by.Name, ExpiresAt: expires,
		Hint: token.HintOf(r.rules.Prefix, secret), Digest: r.rules.Hasher.Digest(secret),
	}
	err = cmp.Or(valid(t), a.fits(t), noSecret("name", t.Name), noSecret("description", t.Description), noSecret("owner", t.Owner))
	if err != nil {
		return nil, "", err
	}
	limit, err := a.mayCreate(ctx, t.Owner, t.Grants)
	if err == nil && limit > 0 {
		err = r.createWithin(ctx, a.by, t, limit)
	} else if err == nil {
		err = r.create(ctx, a.by, t)
	}
	if err != nil {
		return nil, "", err
	}
	return t, secret, nil
}

// create stores a new token.
func (r *Registry) create(ctx context.Context, by Actor, t *token.Token) error {
	events := []Event{r.event(by, Created, nil, t, "")}
	if err := r.store.Create(recording(ctx, &events), t); err != nil {
		return fmt.Errorf("creating token: %w", err)
	}
	r.tell(events)
	return nil
}

// get returns the token with this id.
func (r *Registry) get(ctx context.Context, id string) (*token.Token, error) {
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

	// Seen is the token as the caller has seen it: to change a field that somebody else
	// has changed since is ErrConflict. nil: don't check.
	Seen *token.Token `json:"-"`
}

// Update changes what a token is called and where it may be used from.
func (a *Account) Update(ctx context.Context, id string, c Changes) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	given := c.AllowedIPs
	if given == nil {
		given = new([]string)
	}
	ranges, err := parseRanges(*given)
	if err != nil {
		return nil, err
	}
	may, _, err := a.mayWiden(ctx)
	if err != nil {
		return nil, err
	}
	return a.registry.change(ctx, a.by, Updated, id, func(t *token.Token, _ time.Time) (string, error) {
		was := *t
		set(&t.Name, c.Name)
		set(&t.Description, c.Description)
		if c.AllowedIPs != nil {
			if !may && !narrower(ranges, t.AllowedIPs) {
				return "", refuseField(ErrForbidden, "allowed_ips", "more addresses than token %s has: %s", id, a.mayNot())
			}
			t.AllowedIPs = ranges
		}
		if t.Name == was.Name && t.Description == was.Description && slices.Equal(t.AllowedIPs, was.AllowedIPs) {
			return "", store.ErrUnchanged
		}
		err := overtaken(c.Seen, &was, t)
		if t.Name != was.Name {
			err = cmp.Or(err, noSecret("name", t.Name))
		}
		if t.Description != was.Description {
			err = cmp.Or(err, noSecret("description", t.Description))
		}
		return "", err
	})
}

// Mistakes returns why Update would refuse the new values, whatever the token is: for
// each field, the first reason.
func (c *Changes) Mistakes() (mistakes []error) {
	note := func(errs ...error) {
		if err := cmp.Or(errs...); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if c.Name != nil {
		note(asInvalid(token.ValidName(*c.Name)), noSecret("name", *c.Name))
	}
	if c.Description != nil {
		note(asInvalid(token.ValidText("description", *c.Description, token.MaxDescriptionLength)), noSecret("description", *c.Description))
	}
	if c.AllowedIPs != nil {
		_, err := parseRanges(*c.AllowedIPs)
		note(err)
	}
	return mistakes
}

// overtaken refuses to change a field that is no longer as it was seen. seen may be nil.
func overtaken(seen, from, to *token.Token) error {
	switch {
	case seen == nil:
	case from.Name != to.Name && from.Name != seen.Name:
		return refuseField(ErrConflict, "name", "has been changed meanwhile")
	case from.Description != to.Description && from.Description != seen.Description:
		return refuseField(ErrConflict, "description", "has been changed meanwhile")
	case !slices.Equal(from.AllowedIPs, to.AllowedIPs) && !slices.Equal(from.AllowedIPs, seen.AllowedIPs):
		return refuseField(ErrConflict, "allowed_ips", "have been changed meanwhile")
	}
	return nil
}

// change has f change the token with this id, and records it. f is given the time, and
// returns what the event is to say besides the changes, or store.ErrUnchanged: then
// nothing is changed or recorded, and the token is returned as it is. f may run more than
// once.
func (r *Registry) change(ctx context.Context, by Actor, a Action, id string, f func(*token.Token, time.Time) (detail string, err error)) (*token.Token, error) {
	if err := r.validID(id); err != nil {
		return nil, err
	}
	var events []Event
	var before *token.Token
	t, err := r.store.Update(recording(ctx, &events), id, func(t *token.Token) error {
		events = nil // of an attempt before
		before = t.Clone()
		detail, err := f(t, r.clock())
		if err != nil {
			return err
		}
		events = []Event{r.event(by, a, before, t, detail)}
		if a == Revoked || a == OverlapEnded || a == Ungranted {
			return nil // a token that is kept can always be limited and ended, even if the rules would refuse a new one
		}
		return valid(t)
	})
	if errors.Is(err, store.ErrUnchanged) {
		return before, nil
	}
	if err != nil {
		return nil, noToken(id, "changing", err)
	}
	r.tell(events)
	return t, nil
}

// validID refuses what can't be an id. It keeps a secret that was given as one
// out of every message that names the token.
func (r *Registry) validID(id string) error {
	if token.Inspect(r.rules.Prefix, id) == token.WellMade {
		return refuseField(ErrInvalid, "id", "this is a secret, not an id; \"token verify\" tells the id of its token")
	}
	return asInvalid(token.ValidID(id))
}
