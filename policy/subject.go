package policy

import (
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/token"
)

// Subject is a token in the form decisions read: what it is, never what it was
// last allowed to do. A gateway holds many of them, so it is small and shares
// what repeats: Grants and Owner are meant to be interned.
type Subject struct {
	Owner   *Owner          // never nil
	Grants  *Grants         // never nil
	Allowed *[]netip.Prefix // nil: from everywhere
	// Expires and SecretUntil are Unix times in nanoseconds, 0 for never: when
	// the token expires, and when the secret that was presented stops working, if it
	// is a retired one.
	Expires     int64
	SecretUntil int64
	Revoked     bool
	ID          ID
}

// NewSubject returns a token whose current secret was presented.
func NewSubject(t *token.Token, owner *Owner, grants *Grants) Subject {
	s := Subject{ID: NewID(t.ID), Owner: owner, Grants: grants, Expires: UnixNano(t.ExpiresAt), Revoked: !t.RevokedAt.IsZero()}
	if len(t.AllowedIPs) > 0 {
		s.Allowed = &t.AllowedIPs
	}
	return s
}

// SetRetired says that a retired secret was presented, which works until then. Without
// a time it never works.
func (s *Subject) SetRetired(until time.Time) {
	s.SecretUntil = max(UnixNano(until), 1) // 0 would be for ever
}

// Ends returns when the token, or the secret that was presented, stops working, as a
// Unix time in nanoseconds; 0: never.
func (s *Subject) Ends() int64 {
	if s.Expires == 0 || s.SecretUntil != 0 && s.SecretUntil < s.Expires {
		return s.SecretUntil
	}
	return s.Expires
}

// ID is a token's id without a pointer, for the garbage collector's sake.
type ID struct {
	n uint8
	b [token.MaxIDLength]byte
}

// NewID returns id as an ID. Bytes over token.MaxIDLength are dropped; stores
// hold no such ids.
func NewID(id string) (i ID) {
	i.n = uint8(copy(i.b[:], id))
	return i
}

// String returns the id's text.
func (i ID) String() string { return string(i.b[:i.n]) }

// UnixNano returns t in the form Subject keeps times in. A time out of its range
// becomes the nearest within it: an imported token may well expire in 9999, and one
// that expired in 1970 doesn't last for ever.
func UnixNano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() < 1:
		return 1
	case t.Unix() >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Owner is what decisions need to know of a token's owner. All tokens of an
// owner share one, so that a change of the owner's record reaches every token
// at once. Safe for concurrent use.
type Owner struct {
	id    string
	state atomic.Pointer[ownerState] // nil: no record
	// Stale says that the record has changed since the last Set, for whoever keeps owners.
	// Decisions don't look at it.
	Stale atomic.Bool
}

type ownerState struct {
	disabled bool
	ceiling  *Grants // nil: none
}

// NewOwner returns the owner with this id, as its record says; nil stands for no
// record.
func NewOwner(id string, record *token.Owner) *Owner {
	o := &Owner{id: id}
	o.Set(record)
	return o
}

// ID returns the owner's id, as token.Token.Owner has it.
func (o *Owner) ID() string { return o.id }

// Set takes over a changed record; nil stands for no record.
func (o *Owner) Set(record *token.Owner) {
	if record == nil {
		o.state.Store(nil)
		return
	}
	state := &ownerState{disabled: !record.Enabled}
	if !slices.ContainsFunc(record.Grants, token.Grant.IsFull) {
		state.ceiling = NewGrants(record.Grants)
	}
	o.state.Store(state)
}
