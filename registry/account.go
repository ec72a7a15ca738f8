package registry

import (
	"context"

	"github.com/patgate/patgate/token"
)

// Account is the registry as the owner who is signed in may use it.
//
// An owner sees and changes the owner's own tokens; others' are ErrNotFound, as
// if they weren't there. An admin sees every owner's and may revoke them; anything
// else that is done to another's token is ErrForbidden. Everything is done by the
// rules of the Registry, with the owner as the actor.
type Account struct {
	registry *Registry
	by       Actor
	owner    *token.Owner // nil: an operator, who may do everything
}

// Operator returns the registry as who reaches it without an account may use it:
// nothing is closed to them.
func (r *Registry) Operator(by Actor) *Account { return &Account{registry: r, by: by} }

// Account returns the registry as an owner may use it who asks from an address.
// admin makes the owner one whatever the record says. A disabled owner is
// ErrForbidden. What the record says is read now: an Account is for one request.
func (r *Registry) Account(ctx context.Context, owner, address string, admin bool) (*Account, error) {
	if owner == "" {
		return nil, forbidden("owner: nobody is signed in")
	}
	if err := token.ValidText("owner", owner, token.MaxOwnerLength); err != nil {
		return nil, invalid("%v", err)
	}
	o, err := r.ownerRecord(ctx, owner)
	if err != nil {
		return nil, err
	}
	if !o.Enabled {
		return nil, forbidden("owner %q is disabled", owner)
	}
	o.Admin = o.Admin || admin
	return &Account{r, Actor{Kind: OwnerActor, Name: owner, Address: address}, o}, nil
}

// Owner returns the owner's record; where there is none, and of an operator, one that
// changes nothing. Its Admin says whether the owner is one here.
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

// Create is Registry.Create for a token of the owner's own; n.Owner may be empty.
func (a *Account) Create(ctx context.Context, n NewToken) (t *token.Token, secret string, err error) {
	if n.Owner == "" && a.owner != nil {
		n.Owner = a.by.Name
	}
	return a.registry.Create(ctx, a.by, n)
}

// List is Registry.List. Without an Owner in q, an admin's list is of all owners.
func (a *Account) List(ctx context.Context, q Query) (tokens []*token.Token, next string, err error) {
	if q.Owner, err = a.sees(q.Owner); err != nil {
		return nil, "", err
	}
	return a.registry.List(ctx, q)
}

// Events is Registry.Events. Without an Owner in q, an admin's are of all owners.
func (a *Account) Events(ctx context.Context, q EventQuery) (events []Event, next string, err error) {
	if q.Owner, err = a.sees(q.Owner); err != nil {
		return nil, "", err
	}
	return a.registry.Events(ctx, q)
}

// sees returns whose things are listed when those of an owner are asked for, nil:
// of all whom the owner sees.
func (a *Account) sees(owner *string) (*string, error) {
	switch {
	case a.Admin(), owner != nil && *owner == a.by.Name:
		return owner, nil
	case owner == nil:
		return &a.by.Name, nil
	}
	return nil, forbidden("owner: only an admin sees what is others'")
}

// Get is Registry.Get.
func (a *Account) Get(ctx context.Context, id string) (*token.Token, error) {
	t, err := a.registry.Get(ctx, id)
	if err == nil && t.Owner != a.by.Name && !a.Admin() {
		return nil, notFound("token %s: not found", id)
	}
	return t, err
}

// Own is Get, of the owner's own tokens: of others', an admin may do no more than
// look at them and revoke them.
func (a *Account) Own(ctx context.Context, id string) (*token.Token, error) {
	t, err := a.Get(ctx, id)
	if err == nil && a.owner != nil && t.Owner != a.by.Name {
		return nil, forbidden("token %s: belongs to %q: you can look at it and revoke it, no more", id, t.Owner)
	}
	return t, err
}

// own refuses ids of which one isn't there for the owner, or is another's.
func (a *Account) own(ctx context.Context, ids ...string) error {
	if a.owner == nil {
		return nil // what isn't there at all, the registry refuses
	}
	for _, id := range distinct(ids) {
		if _, err := a.Own(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Update is Registry.Update, of the owner's own tokens.
func (a *Account) Update(ctx context.Context, id string, c Changes) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	return a.registry.Update(ctx, a.by, id, c)
}

// AddGrant is Registry.AddGrant, to the owner's own tokens.
func (a *Account) AddGrant(ctx context.Context, id string, g token.Grant) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	return a.registry.AddGrant(ctx, a.by, id, g)
}

// RemoveGrant is Registry.RemoveGrant, from the owner's own tokens.
func (a *Account) RemoveGrant(ctx context.Context, id string, n int, same func(token.Grant) bool) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	return a.registry.RemoveGrant(ctx, a.by, id, n, same)
}

// RemoveAllGrants is Registry.RemoveAllGrants, from the owner's own tokens.
func (a *Account) RemoveAllGrants(ctx context.Context, id string) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	return a.registry.RemoveAllGrants(ctx, a.by, id)
}

// Regenerate is Registry.Regenerate, of the owner's own tokens.
func (a *Account) Regenerate(ctx context.Context, id string, n Renewal) (t *token.Token, secret string, err error) {
	if err := a.own(ctx, id); err != nil {
		return nil, "", err
	}
	return a.registry.Regenerate(ctx, a.by, id, n)
}

// Revoke is Registry.Revoke, of the owner's own tokens or, for an admin, anybody's.
func (a *Account) Revoke(ctx context.Context, ids ...string) ([]string, error) {
	if !a.Admin() {
		if err := a.own(ctx, ids...); err != nil {
			return nil, a.registry.orUnconfirmed(ctx, err)
		}
	}
	return a.registry.Revoke(ctx, a.by, ids...)
}

// RevokeOwner is Registry.RevokeOwner, for an admin or the owner.
func (a *Account) RevokeOwner(ctx context.Context, owner string) ([]string, error) {
	if _, err := a.sees(&owner); err != nil {
		return nil, err
	}
	return a.registry.RevokeOwner(ctx, a.by, owner)
}

// Delete is Registry.Delete, of the owner's own tokens.
func (a *Account) Delete(ctx context.Context, ids ...string) ([]string, error) {
	if err := a.own(ctx, ids...); err != nil {
		return nil, a.registry.orUnconfirmed(ctx, err)
	}
	return a.registry.Delete(ctx, a.by, ids...)
}

// DeleteOwnerTokens is Registry.DeleteOwnerTokens, of the owner.
func (a *Account) DeleteOwnerTokens(ctx context.Context, owner string) ([]string, error) {
	if a.owner != nil && owner != a.by.Name {
		return nil, forbidden("owner: you can delete your own tokens; an admin can revoke others', no more")
	}
	return a.registry.DeleteOwnerTokens(ctx, a.by, owner)
}
