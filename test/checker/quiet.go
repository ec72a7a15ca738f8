package checker

import (
	"slices"
	"sort"
)

// quiet knows when each gateway is not quiet: from a fault's beginning until it
// must have recovered.
type quiet [][]span

type span struct{ from, to Time }

func (h *History) quietTimes() quiet {
	q := make(quiet, h.Gateways)
	faults := slices.Clone(h.Faults)
	slices.SortFunc(faults, func(a, b Fault) int { return int(a.From - b.From) })
	for g := range q {
		for _, f := range faults {
			if f.Gateway != AllGateways && f.Gateway != g {
				continue
			}
			to := f.To + f.Recovery
			if n := len(q[g]); n > 0 && f.From <= q[g][n-1].to {
				q[g][n-1].to = max(q[g][n-1].to, to)
			} else {
				q[g] = append(q[g], span{f.From, to})
			}
		}
	}
	return q
}

// from reports whether a gateway is quiet from one time to another.
func (q quiet) from(gateway int, from, to Time) bool {
	spans := q[gateway]
	i := sort.Search(len(spans), func(i int) bool { return spans[i].to >= from })
	return i == len(spans) || spans[i].from > to
}

// throughout says of each gateway whether it is quiet from one time to another.
func (q quiet) throughout(from, to Time) []bool {
	all := make([]bool, len(q))
	for g := range q {
		all[g] = q.from(g, from, to)
	}
	return all
}
