package openapi

import (
	"fmt"
	"strings"
)

// gap is why an operation can't be a route until the configuration says more about it, and
// what to write there: with <name>, a line for each such operation.
type gap struct{ why, mend string }

func (g gap) Error() string { return g.why }

// notSaid is for operations whose document leaves open what they need.
var notSaid = gap{"the document says nothing of security", "default <requirement>"}

// schemeNotSaid is for security schemes that name no scopes.
func schemeNotSaid(name string) gap {
	return gap{"security scheme " + name + " names no scopes",
		fmt.Sprintf("scheme %s <requirement>, ignore %[1]s if it isn't a token, or default <requirement>", quoted(name))}
}

// noBase is for operations whose servers say no path.
func noBase(why string) gap { return gap{why, "base <path>"} }

// noRequirement is for operations whose security can't be a requirement.
func noRequirement(err error) gap { return gap{err.Error(), "operation <name> <requirement>"} }

// noMethod and noPattern are for operations that can't be a route.
func noMethod(err error) gap { return gap{err.Error(), "skip <name>"} }

func noPattern(err error) gap {
	return gap{"its path can't be a pattern: " + err.Error(), "skip <name>, and a route of your own"}
}

// gaps gathers what documents leave open, so that two hundred operations of the
// same kind are one error.
type gaps struct {
	order []gap
	of    map[gap][]*operation
}

func (g *gaps) add(why gap, o *operation) {
	if g.of == nil {
		g.of = map[gap][]*operation{}
	}
	if g.of[why] == nil {
		g.order = append(g.order, why)
	}
	g.of[why] = append(g.of[why], o)
}

// reportGaps notes a mistake for each kind of gap.
func (r *rules) reportGaps() {
	for _, why := range r.open.order {
		operations := r.open.of[why]
		mend := strings.ReplaceAll(why.mend, "<name>", quoted(operations[0].name()))
		if mend != why.mend && len(operations) > 1 {
			mend += ", and so for each"
		}
		r.fail("", "%s: %w: write %s", first(operations), why, r.mark+mend)
	}
}

// first names the first of some operations, and how many more there are.
func first(operations []*operation) string {
	name := fmt.Sprintf("operation %s (%s)", operations[0].name(), operations[0].at)
	switch n := len(operations) - 1; n {
	case 0:
	case 1:
		name += " and 1 other"
	default:
		name += fmt.Sprintf(" and %d others", n)
	}
	return name
}
