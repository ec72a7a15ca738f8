package caddymodule

import (
	"fmt"
	"net/http"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// ownerPage is the answer to a list.
type ownerPage struct {
	Owners []*token.Owner `json:"owners"`
	Next   string         `json:"next"` // the cursor of the next page; empty after the last
}

func listOwners(c *adminCall) (any, error) {
	limit, cursor, err := rest.Page(c.Params)
	if err != nil {
		return nil, err
	}
	owners, next, err := c.registry.Owners(c.R.Context(), cursor, limit)
	if err != nil {
		return nil, err
	}
	page := ownerPage{Owners: make([]*token.Owner, len(owners)), Next: next}
	for i, o := range owners {
		page.Owners[i] = ownerView(o)
	}
	return page, nil
}

// ownerView returns o as clients see it: lists are never null.
func ownerView(o *token.Owner) *token.Owner {
	o = o.Clone()
	o.Grants = token.ViewGrants(o.Grants)
	return o
}

func showOwner(c *adminCall) (any, error) {
	o, err := c.registry.Owner(c.R.Context(), c.R.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return ownerView(o), nil
}

// ownerRecord is the body of PUT /patgate/owners/{id}: changes, or a record as it
// was read, and perhaps edited.
type ownerRecord struct {
	registry.OwnerChanges
	ID        *string    `json:"id"`
	CreatedAt *time.Time `json:"created_at"` // not to be changed
	UpdatedAt *time.Time `json:"updated_at"` // likewise
}

// setOwner changes an owner's record, and makes it if there is none. What the
// request doesn't mention stays as it is.
func setOwner(c *adminCall) (any, error) {
	var in ownerRecord
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	id := c.R.PathValue("id")
	if in.ID != nil && *in.ID != id {
		return nil, rest.Refuse(http.StatusBadRequest, "id: %q isn't the owner of the path, %q; a record keeps its id", *in.ID, id)
	}
	o, err := c.registry.SetOwner(c.R.Context(), c.by, id, in.OwnerChanges)
	if err != nil {
		return nil, err
	}
	warnings := c.ownerWarnings(o)
	if in.Spaces != nil || in.Grants != nil {
		warnings = append(warnings, registry.HardlyMeant(o.Grants)...)
	}
	return ownerSet{*ownerView(o), warnings}, nil
}

// ownerSet is the answer with an owner's record that was changed or made.
type ownerSet struct {
	token.Owner
	Warnings []string `json:"warnings,omitempty"` // of what was hardly meant
}

// ownerWarnings says so where a disabled owner is perhaps another than was meant: nothing
// was known of this one before, and there is nothing that it disables.
func (c *adminCall) ownerWarnings(o *token.Owner) []string {
	if o.Enabled || !o.CreatedAt.Equal(o.UpdatedAt) {
		return nil
	}
	tokens, _, err := c.Account.List(c.R.Context(), registry.Query{Owner: &o.ID, Limit: 1})
	if err != nil || len(tokens) > 0 { // the record is there all the same
		return nil
	}
	return []string{fmt.Sprintf("owner %q had no record and has no tokens: so far, this disables nothing", o.ID)}
}

func deleteOwner(c *adminCall) (any, error) {
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	id := c.R.PathValue("id")
	if err := c.registry.DeleteOwner(c.R.Context(), c.by, id); err != nil {
		return nil, err
	}
	return rest.Deletion{Deleted: []string{id}, Gateways: c.acknowledged()}, nil
}
