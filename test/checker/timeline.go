package checker

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"
)

// timeline is what is known of the states of a token or an owner, over time.
type timeline[S state[S]] struct {
	first S
	steps []step[S]
}

// step is a change and what may be the state after it.
type step[S state[S]] struct {
	change  *Change
	states  []S
	changed bool   // whatever the state was before, it is another now
	quiet   []bool // by gateway: from when the change was answered until it should have been heard of
}

// newTimeline works out the states after each change, and the contradictions, which begin
// with what about says.
func newTimeline[S state[S]](h *History, q quiet, about Violation, changes []Change, first S) (t timeline[S], wrong []Violation) {
	t.first = first
	states := []S{first}
	for i := range changes {
		c := &changes[i]
		before := states
		var next []S
		possible, changed := 0, true
		for _, s := range before {
			after, ok := s.after(c)
			if !ok {
				continue
			}
			possible++
			changed = changed && after != s
			if c.Outcome != Done || after.fits(c) {
				next = append(next, after)
			}
		}
		text := ""
		switch {
		case c.Outcome == Done && len(next) == 0:
			text = fmt.Sprintf("%s: was done, but can't have been: the state before was %s", describeChange(c), either(before))
			next = anything(before, c)
		case c.Outcome == Refused && possible == len(before):
			text = fmt.Sprintf("%s: was refused without a reason: the state was %s", describeChange(c), either(before))
		}
		if text != "" {
			wrong = append(wrong, Violation{At: c.Ack, Token: about.Token, Text: about.Text + ": " + text})
		}
		switch c.Outcome {
		case Refused:
			next = before
		case Lost:
			next = append(slices.Clone(before), next...)
		}
		states = unique(next)
		t.steps = append(t.steps, step[S]{change: c, states: states, changed: changed, quiet: q.throughout(c.Ack, c.Ack+h.Bounds.Feed)})
	}
	return t, wrong
}

// anything is what may come of a change that contradicts what is known.
func anything[S state[S]](before []S, c *Change) (all []S) {
	all = slices.Clone(before)
	for _, s := range before {
		after, _ := s.after(c)
		all = append(all, after)
	}
	return all
}

// unique returns each state once, however often and whenever it may be.
func unique[S state[S]](all []S) (some []S) {
	at := map[S]int{}
	for _, s := range all {
		i, ok := at[s.timeless()]
		if ok {
			some[i] = some[i].merge(s)
			continue
		}
		at[s.timeless()] = len(some)
		some = append(some, s)
	}
	return some
}

// met returns the states that a request may have met: see the package comment.
func (t *timeline[S]) met(r *Request, feed, stale time.Duration) iter.Seq[S] {
	return func(yield func(S) bool) {
		// Those asked for after the request's end have nothing to do with it.
		n := sort.Search(len(t.steps), func(i int) bool { return t.steps[i].change.Call > r.End })
		for i := n - 1; i >= 0; i-- {
			s := &t.steps[i]
			for _, state := range s.states {
				if !yield(state) {
					return
				}
			}
			if s.change.Outcome == Done && r.Start > s.change.Ack+s.bound(r.Gateway, feed, stale) {
				return
			}
		}
		yield(t.first)
	}
}

// bound returns how long after a change was answered a gateway may not know it.
func (s *step[S]) bound(gateway int, feed, stale time.Duration) time.Duration {
	switch {
	case s.change.Everywhere, s.change.Gateway == gateway && s.changed:
		return 0
	case s.quiet[gateway]:
		return min(feed, stale)
	}
	return stale
}
