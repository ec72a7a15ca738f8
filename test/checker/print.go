package checker

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// stamp writes a time in seconds.
func stamp(t Time) string { return fmt.Sprintf("%.3f", t.Seconds()) }

// either lists states.
func either[S fmt.Stringer](states []S) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = "(" + s.String() + ")"
	}
	return strings.Join(names, " or ")
}

func describeChange(c *Change) string {
	text := fmt.Sprintf("%s–%s via gateway %d: %s", stamp(c.Call), stamp(c.Ack), c.Gateway, c.Kind)
	switch c.Kind {
	case Import:
		text += fmt.Sprintf(" with secret %d, %s", c.Secret, c.Grants)
	case Regenerate:
		text += fmt.Sprintf(" as secret %d, overlap %v", c.Secret, c.Overlap)
	case AddGrant:
		text += " " + c.Grants.String()
	}
	return text
}

// Print writes what happened to a token, in the order of time: its changes and
// its owner's, with the states after them, the faults, and the requests. Those
// that differ in nothing but their time stand in one line, at the time of the
// first, until one of them is answered otherwise.
func Print(w io.Writer, h *History, token int) {
	t := h.Tokens[token]
	var lines []printed
	lines = append(lines, printChanges("", t.Changes, t.timeline)...)
	owner := h.Owners[t.Owner]
	lines = append(lines, printChanges("owner "+owner.Name+": ", owner.Changes, owner.timeline)...)
	for _, f := range h.Faults {
		where := fmt.Sprint("gateway ", f.Gateway)
		if f.Gateway == AllGateways {
			where = "all gateways"
		}
		lines = append(lines, printed{f.From, fmt.Sprintf("   fault, %s: %s until %s", where, f.What, stamp(f.To))})
	}
	lines = append(lines, printRequests(h, token)...)
	slices.SortStableFunc(lines, func(a, b printed) int { return int(a.at - b.at) })
	fmt.Fprintf(w, "token %s of owner %s:\n", t.Name, owner.Name)
	for _, l := range lines {
		fmt.Fprintf(w, "%9s %s\n", stamp(l.at), l.text)
	}
}

type printed struct {
	at   Time
	text string
}

func printChanges[S state[S]](what string, changes []Change, t timeline[S]) (lines []printed) {
	for i := range changes {
		c := &changes[i]
		text := fmt.Sprintf("** %s%s: %s", what, describeChange(c), c.Outcome)
		if c.Everywhere {
			text += " on all gateways"
		}
		if c.Note != "" {
			text += " (" + c.Note + ")"
		}
		lines = append(lines, printed{c.Call, text + "; now " + either(t.steps[i].states)})
	}
	return lines
}

func printRequests(h *History, token int) (lines []printed) {
	type group struct {
		gateway, secret int
		needs           Grants
	}
	type run struct {
		first, last *Request
		n           int
	}
	runs := map[group]*run{}
	end := func(r *run) {
		other := ""
		if r.first.Other != "" {
			other = ": " + r.first.Other
		}
		lines = append(lines, printed{r.first.Start, fmt.Sprintf("   gateway %d, secret %d, %s: %s%s, %d× until %s",
			r.first.Gateway, r.first.Secret, r.first.Needs, r.first.Answer, other, r.n, stamp(r.last.End))})
	}
	requests := make([]*Request, 0)
	for i := range h.Requests {
		if h.Requests[i].Token == token {
			requests = append(requests, &h.Requests[i])
		}
	}
	slices.SortStableFunc(requests, func(a, b *Request) int { return int(a.Start - b.Start) })
	for _, r := range requests {
		g := group{r.Gateway, r.Secret, r.Needs}
		if old := runs[g]; old != nil && old.first.Answer == r.Answer {
			old.last, old.n = r, old.n+1
			continue
		} else if old != nil {
			end(old)
		}
		runs[g] = &run{r, r, 1}
	}
	for _, r := range runs {
		end(r)
	}
	return lines
}
