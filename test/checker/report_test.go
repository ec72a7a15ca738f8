package checker

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report says what there was, and fails the test with the violations and the
// histories of the tokens that the first are about.
func (w *world) report() {
	h, violations := w.violations()
	w.Log(summary(h))
	printed := map[int]bool{}
	for i, v := range violations {
		if i == 50 {
			w.Errorf("… and %d more", len(violations)-i)
			break
		}
		w.Errorf("%s", v.Text)
		if v.Token >= 0 && !printed[v.Token] && len(printed) < 3 {
			printed[v.Token] = true
			var b strings.Builder
			Print(&b, h, v.Token)
			w.Logf("seed %d\n%s", w.seed, &b)
		}
	}
	if len(violations) > 0 {
		for _, g := range w.gateways {
			log := g.log.String()
			w.Logf("gateway %d ends its log with\n%s", g.number, log[max(0, len(log)-3000):])
		}
	}
}

// violations judges the history.
func (w *world) violations() (*History, []Violation) {
	h := w.history()
	return h, append(Check(h), w.atOdds...)
}

// summary counts what there was.
func summary(h *History) string {
	answers := map[Answer]int{}
	for _, r := range h.Requests {
		answers[r.Answer]++
	}
	outcomes, everywhere := map[Outcome]int{}, 0
	count := func(changes []Change) {
		for _, c := range changes {
			outcomes[c.Outcome]++
			if c.Everywhere {
				everywhere++
			}
		}
	}
	for _, t := range h.Tokens {
		count(t.Changes)
	}
	for _, o := range h.Owners {
		count(o.Changes)
	}
	var made, stalls int
	for _, f := range h.Faults {
		if f.Recovery < recovery {
			stalls++
		} else {
			made++
		}
	}
	q := h.quietTimes()
	var inQuiet int
	for _, r := range h.Requests {
		if q.from(r.Gateway, r.Start, r.End) {
			inQuiet++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d of them in quiet times:", len(h.Requests), inQuiet)
	for i, name := range answerNames {
		fmt.Fprintf(&b, " %s %d,", name, answers[1<<i])
	}
	fmt.Fprintf(&b, " changes: %d done (%d known to be so everywhere), %d refused, %d lost; %d faults, %d stalls\n",
		outcomes[Done], everywhere, outcomes[Refused], outcomes[Lost], made, stalls)
	b.WriteString(lags(h))
	return b.String()
}

// lags says how long after a change was answered others still answered as
// before: of what each gateway did with each change, the latest.
func lags(h *History) string {
	var late []time.Duration
	for i := range h.Requests {
		r := &h.Requests[i]
		t := h.Tokens[r.Token]
		if r.Answer&(Unavailable|Unexpected|NoAnswer) != 0 {
			continue
		}
		disabled := false
		for o := range h.Owners[t.Owner].timeline.met(r, 0, 0) {
			disabled = disabled || o == OwnerDisabledState
		}
		var now Answer
		for s := range t.timeline.met(r, 0, 0) {
			now |= s.answers(disabled, r) | s.answers(false, r)
		}
		if now&r.Answer != 0 {
			continue
		}
		last := Time(-1)
		for _, changes := range [][]Change{t.Changes, h.Owners[t.Owner].Changes} {
			for _, c := range changes {
				if c.Outcome == Done && c.Ack < r.Start {
					last = max(last, c.Ack)
				}
			}
		}
		if last >= 0 {
			late = append(late, r.Start-last)
		}
	}
	if len(late) == 0 {
		return "no answer was late"
	}
	slices.Sort(late)
	return fmt.Sprintf("%d answers were late: by %v (median), %v (99 of 100), %v (all)",
		len(late), late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
}
