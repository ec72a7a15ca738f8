package registry

import (
	"context"
	"net/netip"

	"github.com/patgate/patgate/token"
)

// Account is the registry as a signed-in owner may use it, or an operator.
//
// An operator may do everything. An owner sees and changes only the owner's own tokens:
// those of others are ErrNotFound. An admin also sees and revokes the tokens of every
// owner; any other change of them is ErrForbidden.
type Account struct {
	registry *Registry
	by       Actor
	owner    *token.Owner // nil: an operator, who may do everything
}

// Operator returns an Account that may do everything.
func (r *Registry) Operator(by Actor) *Account { return &Account{registry: r, by: by} }

// Account returns the owner's Account; from is the address that the request comes from.
// admin makes the owner an admin, whatever the record says. A disabled owner is
// ErrForbidden. The record is read now: an Account is for one request.
func (r *Registry) Account(ctx context.Context, owner string, from netip.Addr, admin bool) (*Account, error) {
	if owner == "" {
		return nil, forbidden("owner: nobody is signed in")
	}
	if err := token.ValidText("owner", owner, token.MaxOwnerLength); err != nil {
		return nil, asInvalid(err)
	}
	o, err := r.ownerRecord(ctx, owner)
	if err != nil {
		return nil, err
	}
	if !o.Enabled {
		return nil, forbidden("owner %q is disabled", owner)
	}
	o.Admin = o.Admin || admin
	return &Account{r, Actor{Kind: OwnerActor, Name: owner, Address: addressText(from)}, o}, nil
}

// Owner returns the owner's record; for an operator, and where there is none, one that
// limits nothing. Its Admin says whether the owner is an admin here.
func (a *Account) Owner() *token.Owner {
	if a.owner == nil {
		return token.NewOwner("")
	}
	return a.owner.Clone()
}

// Admin reports whether the owner sees every owner's tokens.
func (a *Account) Admin() bool { return a.owner == nil || a.owner.Admin }

// View returns t as clients see it now.
func (a *Account) View(t *token.Token) token.View { return a.registry.View(t) }

// sees returns the owner whose tokens or events to list where owner's are asked for; nil:
// everyone's. It refuses those that the account may not see.
func (a *Account) sees(owner *string) (*string, error) {
	switch {
	case a.Admin(), owner != nil && *owner == a.by.Name:
		return owner, nil
	case owner == nil:
		return &a.by.Name, nil
	}
	return nil, forbidden("owner: only an admin sees what is others'")
}

// Get returns the token with this id.
func (a *Account) Get(ctx context.Context, id string) (*token.Token, error) {
	t, err := a.registry.get(ctx, id)
	if err == nil && t.Owner != a.by.Name && !a.Admin() {
		return nil, notFound("token %s: not found", id)
	}
	return t, err
}

// Own is Get for what only the owner of a token may do: admins may look at the tokens of
// others and revoke them, no more.
func (a *Account) Own(ctx context.Context, id string) (*token.Token, error) {
	t, err := a.Get(ctx, id)
	if err == nil && a.owner != nil && t.Owner != a.by.Name {
		return nil, forbidden("token %s: belongs to %q: you can look at it and revoke it, no more", id, t.Owner)
	}
	return t, err
}

// own returns the error of Own.
func (a *Account) own(ctx context.Context, id string) error {
	if a.owner == nil {
		return nil // the change itself refuses a token that isn't there
	}
	_, err := a.Own(ctx, id)
	return err
}

// all gets the tokens with these ids, each once, or the error of the first that get
// refuses.
func (a *Account) all(ctx context.Context, ids []string, get func(context.Context, string) (*token.Token, error)) ([]*token.Token, error) {
	if len(ids) == 0 {
		return nil, invalid("id: say which tokens")
	}
	var tokens []*token.Token
	for _, id := range distinct(ids) {
		t, err := get(ctx, id)
		if err != nil {
			return nil, a.registry.orUnconfirmed(ctx, err)
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}
