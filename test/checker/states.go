package checker

import (
	"fmt"
	"time"
)

// State is a state of a token. The zero State is that there is none.
type State struct {
	Exists  bool
	Revoked bool
	Grants  Grants
	Secret  int // the number of the current one, from 1; 0: one that nobody has seen
	Retired [maxRetired]Retired
}

// maxRetired is how many replaced secrets a token remembers (token.MaxRetired).
const maxRetired = 4

// Retired is a secret that was replaced and works on until some time between
// From and To.
type Retired struct {
	Secret   int // 0: none, or one that nobody has seen
	From, To Time
}

// tick is how exact the times are that gateways keep: they cut off what is below
// a millisecond, and run on the computer's clock, which may be set a little.
const tick = 20 * time.Millisecond

// answers returns what r is answered by a gateway that has a token in this state,
// depending on the owner.
func (s *State) answers(disabled bool, r *Request) Answer {
	if !s.Exists {
		return Unknown
	}
	if r.Secret == s.Secret {
		return s.live(disabled, r.Needs)
	}
	for _, old := range s.Retired {
		if old.Secret != r.Secret {
			continue
		}
		var a Answer
		if r.Start < old.To+tick {
			a |= s.live(disabled, r.Needs)
		}
		if r.End >= old.From-tick {
			a |= Revoked
		}
		return a
	}
	return Unknown
}

// live returns what is answered to a secret that is the token's.
func (s *State) live(disabled bool, needs Grants) Answer {
	inSpace := Read1 | Write1
	if needs&inSpace == 0 {
		inSpace = Read2 | Write2
	}
	switch {
	case s.Revoked:
		return Revoked
	case disabled:
		return OwnerDisabled
	case s.Grants&needs != 0:
		return Forwarded
	case s.Grants&inSpace == 0:
		return SpaceNotGranted
	}
	return ScopeMissing
}

func (s State) String() string {
	if !s.Exists {
		return "absent"
	}
	text := fmt.Sprintf("secret %d, %s", s.Secret, s.Grants)
	if s.Revoked {
		text = "revoked, " + text
	}
	for _, r := range s.Retired {
		if r.Secret != 0 {
			text += fmt.Sprintf(", secret %d until %s–%s", r.Secret, stamp(r.From), stamp(r.To))
		}
	}
	return text
}

// OwnerState is a state of an owner.
type OwnerState uint8

// The states of an owner.
const (
	NoRecord OwnerState = iota
	OwnerEnabledState
	OwnerDisabledState
)

func (o OwnerState) String() string { return [...]string{"no record", "enabled", "disabled"}[o] }

// state is a state of a token or an owner.
type state[S any] interface {
	comparable
	fmt.Stringer
	// after returns the state after a change; ok is false if in s it can't be done.
	after(c *Change) (next S, ok bool)
	// timeless returns the state without times, and merge a state with the times
	// of either of two that are the same without: so that what may be doesn't
	// double with each change that was lost.
	timeless() S
	merge(S) S
	// fits reports whether the answer to a change may have described s.
	fits(c *Change) bool
}

func (s State) after(c *Change) (State, bool) {
	switch c.Kind {
	case Import:
		return State{Exists: true, Secret: c.Secret, Grants: c.Grants}, !s.Exists
	case ImportSame:
		return s, s.Exists && s.Secret == c.Secret
	case Revoke:
		next := s
		next.Revoked = true
		return next, s.Exists
	case Regenerate:
		return s.regenerated(c), s.Exists && (c.Overlap == 0 || !s.Revoked)
	case AddGrant:
		next := s
		next.Grants |= c.Grants
		return next, s.Exists
	case RemoveGrants:
		next := s
		next.Grants = 0
		return next, s.Exists
	case Delete:
		return State{}, s.Exists
	}
	return s, false
}

// regenerated returns s with a new secret. Without an overlap, those of the
// secrets replaced earlier end as well.
func (s State) regenerated(c *Change) State {
	old := Retired{}
	if s.Secret != 0 {
		old = Retired{s.Secret, c.Call + c.Overlap, c.Ack + c.Overlap}
	}
	if c.Overlap == 0 {
		for i := range s.Retired {
			if s.Retired[i].Secret == 0 {
				continue
			}
			s.Retired[i].From = min(s.Retired[i].From, c.Call)
			s.Retired[i].To = min(s.Retired[i].To, c.Ack)
		}
	}
	copy(s.Retired[1:], s.Retired[:])
	s.Retired[0] = old
	s.Secret, s.Revoked = c.Secret, false
	return s
}

func (s State) fits(c *Change) bool {
	return !c.Shown.Given || s.Exists && s.Revoked == c.Shown.Revoked && s.Grants == c.Shown.Grants
}

func (s State) timeless() State {
	for i := range s.Retired {
		s.Retired[i].From, s.Retired[i].To = 0, 0
	}
	return s
}

func (s State) merge(other State) State {
	for i, o := range other.Retired {
		r := &s.Retired[i]
		r.From, r.To = min(r.From, o.From), max(r.To, o.To)
	}
	return s
}

func (o OwnerState) after(c *Change) (OwnerState, bool) {
	switch c.Kind {
	case EnableOwner:
		return OwnerEnabledState, true
	case DisableOwner:
		return OwnerDisabledState, true
	case DeleteOwner:
		return NoRecord, o != NoRecord
	}
	return o, false
}

func (o OwnerState) fits(*Change) bool { return true }

func (o OwnerState) timeless() OwnerState { return o }

func (o OwnerState) merge(OwnerState) OwnerState { return o }
