// Package checker judges what gateways that share a store have answered, while
// tokens and owners were changed and faults came between the gateways and the
// store. It isn't told what should have happened: it works that out of the
// changes that were made and of what was answered to those who made them.
//
// # What is judged
//
// The promise, as the gateways' users are given it:
//
//	When a revocation has been acknowledged, no gateway that follows the feed
//	serves the token for longer than the feed's delay, and no gateway at all for
//	longer than max_stale.
//
// It is read as one about every change of a token or an owner, and in both
// directions: nothing is served longer, and nothing refused longer.
//
// # Histories
//
// All times are those of one clock, of the process that sends the requests and
// makes the changes: a request's, from before it is sent to when its answer is
// there; a change's, from before it is asked for (Call) to when it is answered
// (Ack). A fault's is from before it is made to after it has been mended.
//
// The changes of one token, and of one owner, are made one after the other,
// through any gateway; those of different ones at the same time.
//
// # States
//
// After each of its changes, a token is in one of a set of states (State):
// absent, or with grants, revoked or not, with its secrets. The set is found
// change by change. In each state s of the set before,
//
//   - done (2xx) leads to what the change makes of s, unless it could not have
//     been done in s (one can't revoke what is absent), or the answer describes
//     another token;
//   - refused (4xx) leaves s;
//   - lost (5xx, or no answer) may have happened or not, or happen later: both s
//     and what the change makes of s are in the set after it.
//
// So what a lost change may have done stays possible until an answer to a later
// one says otherwise. A set without a state is a contradiction between answers,
// and a violation: a change was lost that had been acknowledged. So is a refusal
// where no state of the set gives a reason for one.
//
// # Which states a request may have met
//
// Let c1, c2, … be the changes, and S1, S2, … the sets after them. A request
// from start to end, to the gateway g, may have met the states of Si if
//
//   - ci was asked for before the request's end: ci.Call <= end,
//   - and no later change that was done must have been known to g by the start:
//     start <= cj.Ack + bound(cj, g) for all of these, j > i.
//
// The bound is how stale g may be with regard to a change, and the heart of it:
//
//   - 0 if the answer to the change says that it has been taken in by all
//     gateways, or if g made it, and it did change something;
//   - Bounds.Feed if g was quiet from Ack to Ack + Feed;
//   - Bounds.Stale otherwise. What g doesn't know, it may use only so long.
//
// For the answer that a token is unknown, Bounds.Unknown takes the place of
// Stale: what is remembered is a token, and that none was found only briefly.
//
// The owner's states are found in the same way. A request may have met any of
// the token's together with any of the owner's, and must have been answered as
// one pair of them says. A secret that was replaced works on until a time, which
// is known as an interval: what a request is answered may change within it.
//
// # Quiet times
//
// A gateway is quiet when there has been no fault on its way to the store for
// as long as the fault says that recovery may take. A gateway that is quiet from
// a request's start to its end must not answer that the store is unavailable.
// It may while it isn't quiet. It must always answer something, unless it is
// dead: any other answer, and none, is a violation.
package checker

import (
	"fmt"
	"slices"
	"time"
)

// Time is a time of a history: since its beginning.
type Time = time.Duration

// Bounds are what the gateways are held to.
type Bounds struct {
	Feed    time.Duration // a gateway that follows has taken a change in
	Stale   time.Duration // no gateway answers otherwise any more
	Unknown time.Duration // the same, for answering that a token is unknown
}

// History is what has happened.
type History struct {
	Bounds   Bounds
	Gateways int // their number
	Tokens   []*Token
	Owners   []*Owner
	Requests []Request
	Faults   []Fault
}

// Token is a token, or the place of one: it is absent at first, and may be again.
type Token struct {
	Name    string
	Owner   int // its number in History.Owners
	Changes []Change

	timeline timeline[State]
}

// Owner is an owner, without a record at first.
type Owner struct {
	Name    string
	Changes []Change

	timeline timeline[OwnerState]
}

// Request is a request with a token's secret, and the answer to it.
type Request struct {
	Start, End Time
	Gateway    int
	Token      int // its number in History.Tokens
	Secret     int // its number among the token's secrets, from 1
	Needs      Grants
	Answer     Answer // one
	Other      string // what was answered, where that is Unexpected, or why there is NoAnswer
}

// Fault is something between gateways and the store, or one of them, that isn't
// as it should be.
type Fault struct {
	From, To Time
	Gateway  int // AllGateways, or its number
	Recovery time.Duration
	Dead     bool // the gateway's process is killed, and started again
	What     string
}

// AllGateways stands for all of them.
const AllGateways = -1

// Violation is something that should not have happened.
type Violation struct {
	At    Time
	Token int // -1: no token's
	Text  string
}

// Check returns the violations in h, in the order of time.
func Check(h *History) (all []Violation) {
	quiet := h.quietTimes()
	var wrong []Violation
	for _, o := range h.Owners {
		o.timeline, wrong = newTimeline(h, quiet, Violation{Token: -1, Text: "owner " + o.Name}, o.Changes, NoRecord)
		all = append(all, wrong...)
	}
	for i, t := range h.Tokens {
		t.timeline, wrong = newTimeline(h, quiet, Violation{Token: i, Text: "token " + t.Name}, t.Changes, State{})
		all = append(all, wrong...)
	}
	for i := range h.Requests {
		r := &h.Requests[i]
		if text := h.judge(quiet, r); text != "" {
			all = append(all, Violation{At: r.Start, Token: r.Token, Text: text})
		}
	}
	slices.SortStableFunc(all, func(a, b Violation) int { return int(a.At - b.At) })
	return all
}

// judge returns what is wrong with the answer to r; "" if nothing is.
func (h *History) judge(quiet quiet, r *Request) string {
	switch r.Answer {
	case Unexpected:
		return fmt.Sprintf("%s: answered %s", h.describe(r), r.Other)
	case NoAnswer:
		if h.isDead(r.Gateway, r.Start, r.End) {
			return ""
		}
		return fmt.Sprintf("%s: not answered: %s", h.describe(r), r.Other)
	case Unavailable:
		if quiet.from(r.Gateway, r.Start, r.End) {
			return h.describe(r) + ": the store is unavailable, in quiet times"
		}
		return ""
	}
	if allowed := h.allowed(r); allowed&r.Answer == 0 {
		return fmt.Sprintf("%s: answered %s, want %s", h.describe(r), r.Answer, allowed)
	}
	return ""
}

// isDead reports whether a gateway is dead at some time between two.
func (h *History) isDead(gateway int, from, to Time) bool {
	return slices.ContainsFunc(h.Faults, func(f Fault) bool {
		return f.Dead && f.Gateway == gateway && f.From <= to && from <= f.To
	})
}

// allowed returns the answers that r may have got from a store that is there.
func (h *History) allowed(r *Request) (answers Answer) {
	t := h.Tokens[r.Token]
	disabled := map[bool]bool{}
	for o := range h.Owners[t.Owner].timeline.met(r, h.Bounds.Feed, h.Bounds.Stale) {
		disabled[o == OwnerDisabledState] = true
	}
	stale := h.Bounds.Stale
	if r.Answer == Unknown {
		stale = min(stale, h.Bounds.Unknown)
	}
	for s := range t.timeline.met(r, h.Bounds.Feed, stale) {
		for d := range disabled {
			answers |= s.answers(d, r)
		}
	}
	return answers
}

func (h *History) describe(r *Request) string {
	return fmt.Sprintf("%s–%s gateway %d, token %s, secret %d, %s", stamp(r.Start), stamp(r.End), r.Gateway, h.Tokens[r.Token].Name, r.Secret, r.Needs)
}
