package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// OwnerChanges are what SetOwner does to an owner's record. What is nil stays.
type OwnerChanges struct {
	Enabled *bool `json:"enabled,omitempty"`
	Admin   *bool `json:"admin,omitempty"`
	// Grants are the new ceiling. As a ceiling limits only what it names, a list that is
	// nil or absent in one of them means all; one that names neither spaces nor scopes is
	// refused. No grants at all let the owner's tokens do nothing.
	Grants *[]token.Grant `json:"grants,omitempty"`
	Full   bool           `json:"full,omitempty"` // no ceiling
	// Spaces and Scopes are a new part of the ceiling; the rest of it stays. A
	// ceiling of several grants, or of none, has no such parts: there both must be
	// given, and are the new ceiling.
	Spaces *[]string `json:"spaces,omitempty"`
	Scopes *[]string `json:"scopes,omitempty"`

	MayCreate *bool `json:"may_create,omitempty"`
	MaxTokens *int  `json:"max_tokens,omitempty"` // 0: any number
}

// SetOwner changes an owner's record. Where there is none, it makes one that
// changes nothing by itself: enabled, not an admin, without a ceiling.
func (r *Registry) SetOwner(ctx context.Context, by Actor, id string, c OwnerChanges) (*token.Owner, error) {
	switches := c.Enabled != nil && c == OwnerChanges{Enabled: c.Enabled}
	hasTokens := false
	if switches && id != "" && token.NewOwner(id).Validate() != nil { // kept under older rules, then
		var err error
		if hasTokens, err = r.hasMore(ctx, id, 0); err != nil {
			return nil, err
		}
	}
	var events []Event
	var before *token.Owner
	o, err := r.store.UpdateOwner(recording(ctx, &events), id, func(o *token.Owner) (*token.Owner, error) {
		events = nil // of an attempt before
		now, isNew := r.clock(), o == nil
		if isNew {
			if err := noSecret("owner", id); err != nil {
				return nil, err
			}
			o = token.NewOwner(id)
			o.CreatedAt, o.UpdatedAt = now, now
		}
		before = o.Clone()
		set(&o.Enabled, c.Enabled)
		set(&o.Admin, c.Admin)
		set(&o.MayCreate, c.MayCreate)
		set(&o.MaxTokens, c.MaxTokens)
		ceiling, err := r.ceiling(o.Grants, c)
		if err != nil {
			return nil, err
		}
		o.Grants = ceiling
		if !isNew && bytes.Equal(o.Encode(nil), before.Encode(nil)) {
			return nil, store.ErrUnchanged
		}
		if !switches || isNew && !hasTokens { // an owner who is kept can always be disabled and enabled, even if the rules would refuse a new one
			if err := validOwner(o); err != nil {
				return nil, err
			}
		}
		o.UpdatedAt = now
		e := r.newEvent(by, OwnerSet, "")
		e.Owner, e.Changes = id, ownerChanges(before, o)
		events = []Event{e}
		return o, nil
	})
	if errors.Is(err, store.ErrUnchanged) {
		return before, nil
	}
	if err != nil {
		return nil, noOwner(id, "changing", err)
	}
	r.tell(events)
	return o, nil
}

// set changes a field to what was given, if anything was.
func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

func validOwner(o *token.Owner) error {
	if err := o.Validate(); err != nil {
		return asInvalid(err)
	}
	if n := len(o.Encode(nil)); n > maxRecordSize {
		return invalid("owner: %d bytes with all grants, at most %d are kept", n, maxRecordSize)
	}
	return nil
}

// Owner returns the owner's record. Tokens may have an owner without one.
func (r *Registry) Owner(ctx context.Context, id string) (*token.Owner, error) {
	o, err := r.store.Owner(ctx, id)
	return o, noOwner(id, "reading", err)
}

// ownerRecord returns the record of an owner; where there is none, one that
// changes nothing.
func (r *Registry) ownerRecord(ctx context.Context, id string) (*token.Owner, error) {
	o, err := r.store.Owner(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return token.NewOwner(id), nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading owner %q: %w", id, err)
	}
	return o, nil
}

// Owners returns the owners with a record, sorted by id, and the cursor of the next page
// ("" after the last). cursor and limit are those of a Query.
func (r *Registry) Owners(ctx context.Context, cursor string, limit int) (owners []*token.Owner, next string, err error) {
	if limit, err = pageSize(limit); err != nil {
		return nil, "", err
	}
	const list = "owners"
	after, ok := openCursor(list, cursor)
	if !ok && cursor != "" {
		return nil, "", invalid("cursor: want what the page before gave as next")
	}
	owners, next, err = r.store.Owners(ctx, after, limit)
	if err != nil {
		return nil, "", fmt.Errorf("listing owners: %w", err)
	}
	if next != "" {
		next = newCursor(list, next)
	}
	return owners, next, nil
}

// DeleteOwner removes the owner's record. The owner's tokens stay, and with the
// record goes what it limited: the tokens of a disabled owner work again.
func (r *Registry) DeleteOwner(ctx context.Context, by Actor, id string) error {
	e := r.newEvent(by, OwnerDeleted, "")
	e.Owner = id
	events := []Event{e}
	if err := r.store.DeleteOwner(recording(ctx, &events), id); err != nil {
		return noOwner(id, "deleting", err)
	}
	r.tell(events)
	return nil
}
