package change

import (
	"fmt"

	"github.com/patgate/patgate/test/model"
)

type step = model.Step[state]

// step returns a step to what f makes of a copy.
func (s *state) step(what string, f func(*state)) step {
	n := *s
	f(&n)
	n.clean()
	return step{What: what, To: n}
}

// changer is a process that makes a change.
type changer struct {
	pc      int8
	before  int8 // the record that its plan is for
	seen    key  // an intent that it is settling
	found   int8 // the state of a change, its own or that of seen
	wait    int8
	sure    bool // the commit is confirmed
	result  int8
	late    int8 // commands on their way, as bits
	crashed bool
}

// Where a changer is.
const (
	pcPlan = iota
	pcState
	pcSettle
	pcBegin
	pcIntend
	pcIntendWait
	pcCommit
	pcCommitWait
	pcDecide
	pcEnd
	pcEndWait
	pcForget
	pcUndo
	pcUndoWait
	pcUndoEnd
	pcUndoForget
	pcDone
)

// How it answers.
const (
	acknowledged = iota + 1
	failed
)

// Commands that may come late.
const (
	lateBegin = 1 << iota
	lateIntent
	lateCommit
	lateEnd
)

func (c *changer) fails() { c.result = failed }

func (c *changer) answers() {
	if c.result = failed; c.sure {
		c.result = acknowledged
	}
}

// clean forgets what makes no difference any more.
func (s *state) clean() {
	for i := range s.c {
		c := &s.c[i]
		if c.pc != pcIntendWait && c.pc != pcCommitWait && c.pc != pcEndWait {
			c.wait = waitNone
		}
		if c.crashed {
			c.pc, c.wait, c.seen, c.found, c.sure = pcDone, waitNone, key{}, none, false
		}
	}
}

// change returns what the process of change i does: see Store.apply.
func (s *state) change(i int8) (all []step) {
	c := s.c[i]
	to := func(what string, pc int8, f func(*state, *changer)) {
		all = append(all, s.step(fmt.Sprintf("c%d %s", i, what), func(n *state) {
			n.c[i].pc = pc
			f(n, &n.c[i])
		}))
	}
	nothing := func(*state, *changer) {}
	if c.pc > pcPlan {
		to("dies", pcDone, func(_ *state, c *changer) { c.crashed = true })
	}
	switch c.pc {
	case pcPlan: // see Store.settle
		switch k := s.t.master; {
		case k.mark != 0:
			to("reads an intent", pcState, func(_ *state, c *changer) { c.seen = k })
		case k.after != i:
			to("plans", pcBegin, func(_ *state, c *changer) { c.before = k.after })
		}
	case pcState:
		if other := c.seen.mark; s.entry(other) == pending {
			to("aborts the other", pcState, func(n *state, _ *changer) { n.abort(other) })
		} else if s.certain(other) { // else it fails, or tries again
			to("finds how the other ended", pcSettle, func(n *state, c *changer) { c.found = n.entry(other) })
		}
	case pcSettle:
		to("settles", pcPlan, func(n *state, c *changer) {
			if n.cluster {
				n.swap(c.seen.mark, c.seen.before, c.found)
			} else {
				n.end(c.seen.mark, c.found, false)
			}
			c.seen, c.found = key{}, none
		})
	case pcBegin:
		to("begins", pcIntend, func(n *state, _ *changer) { n.begin(i) })
		to("begins, without an answer", pcDone, func(n *state, c *changer) { n.begin(i); c.fails() })
		if s.late {
			to("begins, late", pcDone, func(_ *state, c *changer) { c.late |= lateBegin; c.fails() })
		}
	case pcIntend:
		next := int8(pcCommit)
		if s.cluster {
			next = pcIntendWait
		}
		if try := *s; try.intend(i, c.before) {
			to("writes its intent", next, func(n *state, c *changer) { n.intend(i, c.before); c.wait = n.wrote() })
			to("writes its intent, without an answer", pcUndo, func(n *state, c *changer) { n.intend(i, c.before) })
		} else {
			to("meets another", pcUndo, nothing)
		}
		if s.late {
			to("writes its intent, late", pcUndo, func(_ *state, c *changer) { c.late |= lateIntent })
		}
	case pcIntendWait:
		if s.keyConfirmed(c.wait) {
			to("has its intent confirmed", pcCommit, nothing)
		}
		to("doesn't have its intent confirmed", pcUndo, nothing)
	case pcCommit:
		if try := *s; try.commit(i) {
			to("commits", pcCommitWait, func(n *state, c *changer) { n.commit(i); c.wait = waitMeta })
			to("commits, without an answer", pcDecide, func(n *state, _ *changer) { n.commit(i) })
		} else {
			to("isn't committed", pcUndo, nothing)
		}
		if s.late {
			to("commits, late", pcDecide, func(_ *state, c *changer) { c.late |= lateCommit })
		}
	case pcCommitWait:
		if s.metaConfirmed(c.wait) {
			to("has its commit confirmed", pcEnd, func(_ *state, c *changer) { c.sure = true })
		}
		to("doesn't have its commit confirmed", pcEnd, nothing)
		to("loses its connection", pcCommit, nothing)
	case pcDecide:
		if s.entry(i) == committed {
			to("finds itself committed", pcCommit, nothing)
		} else {
			to("aborts", pcUndoWait, func(n *state, c *changer) { c.found = n.abort(i) })
		}
		to("can't tell", pcDone, func(_ *state, c *changer) { c.fails() })
	case pcEnd:
		if s.cluster && !c.sure && s.without != "leaving what isn't confirmed" {
			to("leaves the rest, and answers", pcDone, func(_ *state, c *changer) { c.answers() })
			break
		}
		switch {
		case s.cluster:
			to("takes the last step", pcEndWait, func(n *state, c *changer) { c.wait = n.swap(i, c.before, committed) })
		case s.without == "ending it at once":
			to("takes the last step", pcForget, func(n *state, c *changer) { n.end(i, committed, false) })
		default:
			to("ends, and answers", pcDone, func(n *state, c *changer) { n.end(i, committed, true); c.answers() })
		}
		if s.late {
			to("ends, late, and answers", pcDone, func(_ *state, c *changer) { c.late |= lateEnd; c.answers() })
		}
	case pcEndWait:
		if s.keyConfirmed(c.wait) {
			to("has its last step confirmed", pcForget, nothing)
		}
		to("doesn't have its last step confirmed, and answers", pcDone, func(_ *state, c *changer) { c.answers() })
	case pcForget:
		to("is forgotten, and answers", pcDone, func(n *state, c *changer) { n.forget(i); c.answers() })
	case pcUndo:
		to("aborts", pcUndoWait, func(n *state, c *changer) { c.found = n.abort(i) })
	case pcUndoWait:
		if s.certain(i) && s.entry(i) == c.found && c.found != committed {
			to("is aborted for certain", pcUndoEnd, nothing)
		}
		to("leaves it at that", pcDone, func(_ *state, c *changer) { c.fails() })
	case pcUndoEnd:
		switch {
		case !s.cluster:
			to("ends", pcDone, func(n *state, c *changer) { n.end(i, c.found, true); c.fails() })
		case c.late&lateIntent != 0:
			to("undoes", pcDone, func(n *state, c *changer) { n.swap(i, c.before, c.found); c.fails() })
		default:
			to("undoes", pcUndoForget, func(n *state, c *changer) { n.swap(i, c.before, c.found); c.fails() })
		}
	case pcUndoForget:
		to("is forgotten", pcDone, func(n *state, _ *changer) { n.forget(i) })
	}
	return all
}

// comeLate returns how what change i has sent comes late.
func (s *state) comeLate(i int8) (all []step) {
	for _, late := range []struct {
		bit  int8
		what string
		f    func(*state)
	}{
		{lateBegin, "begin", func(n *state) { n.begin(i) }},
		{lateIntent, "intent", func(n *state) { n.intend(i, n.c[i].before) }},
		{lateCommit, "commit", func(n *state) { n.commit(i) }},
		{lateEnd, "end", func(n *state) {
			if n.cluster {
				n.swap(i, n.c[i].before, committed)
			} else {
				n.end(i, committed, true)
			}
		}},
	} {
		if s.c[i].late&late.bit != 0 {
			all = append(all, s.step(fmt.Sprintf("c%d's %s comes late", i, late.what), func(n *state) {
				n.c[i].late &^= late.bit
				late.f(n)
			}))
		}
	}
	return all
}
