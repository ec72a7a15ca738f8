package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// conflicts returns an error for every route that some request matches as well
// as one before it.
func (n *node) conflicts() error {
	var errs []error
	n.each(func(n *node) {
		errs = append(errs, n.partialConflicts()...)
		for _, routes := range [][]*Route{n.ends, n.tails} {
			for i, b := range routes {
				for _, a := range routes[:i] {
					if err := conflict(a, b, routes); err != nil {
						errs = append(errs, err)
						break
					}
				}
			}
		}
	})
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// partialConflicts returns an error for every two partial parameters that some
// segments match both of, if neither is the narrower.
func (n *node) partialConflicts() (errs []error) {
	for i := range n.partial {
		for j := range i {
			a, b := &n.partial[j], &n.partial[i]
			both, ok := a.meet(&b.segment)
			if !ok || a.within(&b.segment) || b.within(&a.segment) {
				continue
			}
			errs = append(errs, notApart(b.first, a.first, fmt.Sprintf("the segment %q is on both", both.with("…"))))
		}
	}
	return errs
}

// conflict compares two routes of one place; all are the routes there.
func conflict(a, b *Route, all []*Route) error {
	p, q := &a.pattern, &b.pattern
	if len(p.conditions) != len(q.conditions) || !compatible(p.conditions, q.conditions) || stricter(p, q) || stricter(q, p) {
		return nil
	}
	methods := a.Methods.common(b.Methods)
	if len(methods) == 0 {
		return nil
	}
	both := merge(p.conditions, q.conditions)
	for _, c := range all { // a third route may decide where both would match
		methods = slices.DeleteFunc(methods, func(method string) bool { return c.decides(a, b, both, method) })
	}
	if len(methods) == 0 {
		return nil
	}
	where := "the same path for " + strings.Join(methods, ",")
	if !within(both, p.conditions) || !within(both, q.conditions) {
		query := make([]string, len(both))
		for i, c := range both {
			query[i] = c.String()
		}
		where = "a request with ?" + strings.Join(query, "&") + " is on both; add a route for that"
	}
	return notApart(b, a, where)
}

// notApart is the error of a route that can't be told apart from one before it.
func notApart(r, before *Route, where string) error {
	if r.At != "" && r.At == before.At {
		where += "; this line is imported, or its document read, more than once"
	}
	return At(r.At, fmt.Errorf("%s can't be told apart from %s: %s", r.name(), before.Place(), where))
}

// decides reports whether the route is more specific than a or b, which are
// equally so, wherever both of them match a request with this method.
func (r *Route) decides(a, b *Route, both []condition, method string) bool {
	if !r.Methods.Has(method) || !within(r.pattern.conditions, both) {
		return false
	}
	return len(r.pattern.conditions) > len(a.pattern.conditions) || stricter(&r.pattern, &a.pattern) || stricter(&r.pattern, &b.pattern)
}
