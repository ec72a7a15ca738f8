package registry

import (
	"context"
	"net/netip"

	"github.com/patgate/patgate/token"
)

// Account is the registry as an owner who is signed in may use it, or an operator.
//
// An operator may do everything. An owner sees and changes the owner's own tokens; others'
// are ErrNotFound, as if they weren't there. An admin sees every owner's and may revoke
// them; anything else that is done to another's token is ErrForbidden.
type Account struct {
	registry *Registry
	by       Actor
	owner    *token.Owner // nil: an operator, who may do everything
}

// Operator returns the registry as an operator may use it, who may do everything.
func (r *Registry) Operator(by Actor) *Account { return &Account{registry: r, by: by} }

// Account returns the registry as this owner may use it; from is the address that the
// owner asks from. admin makes the owner an admin, whatever the record says. A disabled
// owner is ErrForbidden. What the record says is read now: an Account is for one request.
func (r *Registry) Account(ctx context.Context, owner string, from netip.Addr, admin bool) (*Account, error) {
	if owner == "" {
		return nil, forbidden("owner: nobody is signed in")
	}
	if err := token.ValidText("owner", owner, token.MaxOwnerLength); err != nil {
		return nil, invalid("%w", err)
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

// Owner returns the owner's record; where there is none, and of an operator, one that
// changes nothing. Its Admin says whether the owner is an admin here.
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

// sees returns whose tokens or events are listed where those of an owner are asked for;
// nil: everyone's, as far as the account may see them.
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

// Own is Get for what only the owner of a token may do: an admin may look at the tokens
// of others and revoke them, no more.
func (a *Account) Own(ctx context.Context, id string) (*token.Token, error) {
	t, err := a.Get(ctx, id)
	if err == nil && a.owner != nil && t.Owner != a.by.Name {
		return nil, forbidden("token %s: belongs to %q: you can look at it and revoke it, no more", id, t.Owner)
	}
	return t, err
}

// own refuses a token that isn't there for the owner, or is another's.
func (a *Account) own(ctx context.Context, id string) error {
	if a.owner == nil {
		return nil // what isn't there at all, the change refuses
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
