package store

import (
	"cmp"
	"context"
	"strings"
	"time"
)

// Event is something that was done to a token or to an owner's record. It never
// carries a secret, a digest or a hint.
type Event struct {
	ID        string        `json:"id"` // given by the store: digits, more of them or greater ones for what came later
	Time      time.Time     `json:"time"`
	ActorKind ActorKind     `json:"actor_kind"`
	Actor     string        `json:"actor"`             // who did it
	Address   string        `json:"address,omitempty"` // from where
	Action    Action        `json:"action"`
	TokenID   string        `json:"token_id,omitempty"`
	TokenName string        `json:"token_name,omitempty"`
	Owner     string        `json:"owner,omitempty"`
	Changes   []FieldChange `json:"changes,omitempty"`
	Detail    string        `json:"detail,omitempty"` // a remark for people
}

// ActorKind says what kind of actor has done something.
type ActorKind string

// Action is what was done.
type Action string

// FieldChange is what became of one field of a record, in words for people. Long
// values are cut off.
type FieldChange struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Summary returns what changed, and the remark, in one line.
func (e *Event) Summary() string {
	var parts []string
	for _, c := range e.Changes {
		if c.Before == "" {
			parts = append(parts, c.Field+": "+c.After)
		} else {
			parts = append(parts, c.Field+": "+c.Before+" → "+cmp.Or(c.After, "nothing"))
		}
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return strings.Join(parts, "; ")
}

// Journal is the part of a Store that keeps events. They don't count as changes: they
// take no position, and watchers aren't told of them.
//
// Most events are stored together with the change they tell of: see WithEvents.
type Journal interface {
	// Record adds events that go with no change.
	Record(ctx context.Context, events ...Event) error
	// Events returns the events that q selects, and the Before of the next page ("" after
	// the last) or, if q has an After, the next After (never "").
	Events(ctx context.Context, q EventQuery) (events []Event, next string, err error)
	// PruneEvents removes the events that are older than age and, of the others, all
	// but the newest max. Their age is what it was when the newest was recorded, or
	// is now if that is less: a clock that is ahead makes none of them older.
	PruneEvents(ctx context.Context, age time.Duration, max int) error
}

// KeptSince returns the time of the oldest event that is not older than age: see
// Journal.
func KeptSince(now, newest time.Time, age time.Duration) time.Time {
	if newest.Before(now) {
		now = newest
	}
	return now.Add(-age)
}

// EventQuery selects events. The zero EventQuery selects all.
type EventQuery struct {
	TokenID string  // of this token; "": of any
	Owner   *string // of this owner and the owner's tokens; nil: of any
	// Before selects those older than the event with this ID; "": from the
	// newest. They come newest first.
	Before string
	// After, if it isn't "", selects those newer than the event with this ID; "0"
	// is older than all. They come oldest first. Not together with Before.
	After string
	// Since selects those of this time and later; zero: of any. Not together with After.
	Since time.Time
	Limit int // at most so many; 0: no limit
}

// Selects reports whether q selects e, leaving Before and After aside.
func (q *EventQuery) Selects(e *Event) bool {
	return (q.TokenID == "" || e.TokenID == q.TokenID) && (q.Owner == nil || e.Owner == *q.Owner) && !e.Time.Before(q.Since)
}

// eventSkew is more than the clocks of gateways differ by. Apart from that, the times of
// events are in order.
const eventSkew = time.Hour

// Ends reports whether q selects no event older than e.
func (q *EventQuery) Ends(e *Event) bool { return e.Time.Before(q.Since.Add(-eventSkew)) }

// eventsKey is the key of a context's events.
type eventsKey struct{}

// WithEvents returns a context for one change of a Store. The events are stored
// together with it: both or neither. The store calls events once it knows the change,
// and again if the change has to be made anew; a call that changes nothing leaves no
// event.
//
// They travel in the context because they tell of the request, who made it and
// from where, and not of what the store is to do; a store that wraps another
// passes them on without knowing of them.
func WithEvents(ctx context.Context, events func() []Event) context.Context {
	return context.WithValue(ctx, eventsKey{}, events)
}

// EventsOf returns the events to store with the change that ctx is for. Stores call it.
func EventsOf(ctx context.Context) []Event {
	if events, ok := ctx.Value(eventsKey{}).(func() []Event); ok {
		return events()
	}
	return nil
}
