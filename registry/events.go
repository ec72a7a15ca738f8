package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Actor is who asks for a change.
type Actor struct {
	Kind    ActorKind // "": Operator
	Name    string    // "cli" or "admin", the owner who is signed in, or the token's id
	Address string    // where the request came from; may be empty
}

// byToken returns the Actor who presented the secret of the token with this id, from an
// address; the zero address: unknown.
func byToken(id string, from netip.Addr) Actor {
	return Actor{Kind: TokenActor, Name: id, Address: addressText(from)}
}

// The audit trail is kept in the store, and so its types are the store's.
type (
	ActorKind   = store.ActorKind
	Event       = store.Event
	EventQuery  = store.EventQuery
	FieldChange = store.FieldChange
	Action      = store.Action
)

// The kinds of actors.
const (
	Operator   ActorKind = "operator" // who reaches the admin endpoint: may do everything
	OwnerActor ActorKind = "owner"    // who is signed in as an owner
	TokenActor ActorKind = "token"    // who has presented a token's secret
)

// The actions of events.
const (
	Created      Action = "created"
	Imported     Action = "imported"
	Updated      Action = "updated"
	Granted      Action = "granted"
	Ungranted    Action = "ungranted"
	Revoked      Action = "revoked"
	Regenerated  Action = "regenerated"
	OverlapEnded Action = "overlap_ended"       // a replaced secret stopped working before its time
	RetiredUsed  Action = "retired_secret_used" // a replaced secret was used after its overlap
	Deleted      Action = "deleted"
	OwnerSet     Action = "owner_set"
	OwnerDeleted Action = "owner_deleted"
)

// Events returns the events that q selects, newest first or, with an After, oldest first,
// and the cursor to go on from: see store.Journal. q.Limit is that of a Query. Without an
// Owner in q, an admin gets those of all owners.
func (a *Account) Events(ctx context.Context, q EventQuery) (events []Event, next string, err error) {
	if q.Owner, err = a.sees(q.Owner); err != nil {
		return nil, "", err
	}
	if q.Limit, err = pageSize(q.Limit); err != nil {
		return nil, "", err
	}
	if q.Before != "" && q.After != "" {
		return nil, "", invalid("events: give a cursor to go back, or after to go forward, not both")
	}
	if q.After != "" && !q.Since.IsZero() {
		return nil, "", invalid("events: give after, an event, or since, a time, not both")
	}
	for what, id := range map[string]string{"cursor": q.Before, "after": q.After} {
		if id == "" {
			continue
		}
		if _, err := strconv.ParseUint(id, 10, 63); err != nil {
			return nil, "", invalid("%s: not the id of an event", what)
		}
	}
	if q.TokenID != "" {
		if err := a.registry.validID(q.TokenID); err != nil {
			return nil, "", err
		}
	}
	if events, next, err = a.registry.store.Events(ctx, q); err != nil {
		return nil, "", fmt.Errorf("reading events: %w", err)
	}
	return events, next, nil
}

// ReportRetired records that a replaced secret of the token with this id was used after
// its overlap: whoever sent it has either missed the change, or found it where it
// shouldn't have been. For a token that is gone, nothing is recorded.
func (r *Registry) ReportRetired(ctx context.Context, id string, from netip.Addr) error {
	t, err := r.store.Token(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return noToken(id, "reading", err)
	}
	e := r.newEvent(byToken(id, from), RetiredUsed, "a secret that was replaced was used after its overlap")
	e.TokenID, e.TokenName, e.Owner = t.ID, t.Name, t.Owner
	if err := r.store.Record(ctx, e); err != nil {
		return fmt.Errorf("recording an event: %w", err)
	}
	r.audit(e)
	return nil
}

// event returns what is to be told of an action on a token. before is nil for one
// that is new.
func (r *Registry) event(by Actor, a Action, before, after *token.Token, detail string) Event {
	e := r.newEvent(by, a, detail)
	e.TokenID, e.TokenName, e.Owner = after.ID, after.Name, after.Owner
	e.Changes = tokenChanges(before, after)
	return e
}

func (r *Registry) newEvent(by Actor, a Action, detail string) Event {
	if by.Kind == "" {
		by.Kind = Operator
	}
	return Event{Time: r.clock(), ActorKind: by.Kind, Actor: by.Name, Address: by.Address, Action: a, Detail: detail}
}

// recording returns the context for a change of the store that goes with events,
// which may still change until the store asks for them.
func recording(ctx context.Context, events *[]Event) context.Context {
	return store.WithEvents(ctx, func() []Event { return *events })
}

// tell tells the audit function of what has been done.
func (r *Registry) tell(events []Event) {
	for _, e := range events {
		r.audit(e)
	}
}
