package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The matcher against a slow and obvious one, on random policies and all the
// requests of a small world: the same route, and a refusal to compile exactly
// where some request is matched equally well by two.
func TestAgainstReference(t *testing.T) {
	rnd := seeded(t, 0)
	world := requests()
	compiled, refused := 0, 0
	for range 100 {
		lines := randomRoutes(rnd)
		configs := routes(lines...)
		reference := make([]refRoute, len(lines))
		for i, c := range configs {
			reference[i] = newRefRoute(c)
		}
		catalog, _ := NewCatalog(nil)
		p, err := Compile(Config{Routes: configs}, catalog)
		if err != nil {
			refused++
		} else {
			compiled++
		}
		tied := crossing(reference)
		for _, r := range world {
			best := r.best(reference)
			tied = tied || len(best) > 1
			if err != nil {
				if tied {
					break
				}
				continue
			}
			m := p.matched(&Request{Method: r.method, Path: r.path, Query: r.query})
			if got := place(m); len(best) > 1 || len(best) == 0 && got != "none" || len(best) == 1 && got != best[0].at {
				t.Fatalf("%s %s?%s: route %s (%s), want %v, of\n%s", r.method, r.path, r.query, got, m.Detail, best, strings.Join(lines, "\n"))
			}
		}
		if err != nil && !tied && !tiedAtOnePlace(reference, world) {
			t.Fatalf("every request can be told apart, but: %v\n%s", err, strings.Join(lines, "\n"))
		}
	}
	if compiled < 20 || refused < 20 {
		t.Errorf("%d policies compiled and %d refused: the random ones are no test", compiled, refused)
	}
}

func randomRoutes(rnd *rand.Rand) []string {
	one := func(of ...string) string { return of[rnd.IntN(len(of))] }
	lines, paths := make([]string, 2+rnd.IntN(7)), []string{}
	for i := range lines {
		pattern := ""
		for range rnd.IntN(4) {
			pattern += "/" + strings.ReplaceAll(one("a", "a", "b", "{p}", "{p}", "a{p}", "{p}b", "a{p}b"), "p", fmt.Sprint("p", strings.Count(pattern, "/")))
		}
		if pattern == "" || rnd.IntN(4) == 0 {
			pattern += one("/", "/*", "/{rest...}")
		}
		if i > 0 && rnd.IntN(2) == 0 {
			pattern = one(paths...) // several at one place
		}
		paths = append(paths, pattern)
		var conditions []string
		if rnd.IntN(2) == 0 {
			conditions = append(conditions, one("k", "k=v", "k=w"))
		}
		if rnd.IntN(2) == 0 {
			conditions = append(conditions, one("l", "l=v"))
		}
		if len(conditions) > 0 {
			pattern += "?" + strings.Join(conditions, "&")
		}
		lines[i] = one("GET", "GET,PUT", "HEAD", "PUT", "*", "HEAD,GET") + " " + pattern + " public"
	}
	return lines
}

type refRequest struct {
	method, path, query string
	segments            []string
	values              map[string]string
}

func requests() (all []refRequest) {
	paths := [][]string{{}}
	for from := 0; len(paths) < 1+4+16+64; from++ {
		for _, s := range []string{"a", "b", "ab", "aab"} {
			paths = append(paths, append(slices.Clone(paths[from]), s))
		}
	}
	for _, path := range paths[1+4+16:] {
		paths = append(paths, append(slices.Clone(path), "b"))
	}
	for _, segments := range paths {
		for _, k := range []string{"", "k=v", "k=w", "k=x"} {
			for _, l := range []string{"", "l=v", "l=x"} {
				r := refRequest{path: "/" + strings.Join(segments, "/"), query: strings.Trim(k+"&"+l, "&"), segments: segments, values: map[string]string{}}
				for _, pair := range []string{k, l} {
					if key, value, ok := strings.Cut(pair, "="); ok {
						r.values[key] = value
					}
				}
				for _, r.method = range []string{"GET", "HEAD", "PUT", "POST"} {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// refRoute is a route as it is written.
type refRoute struct {
	methods    []string
	segments   []string // the last may be *
	conditions []string
	at         string
}

func newRefRoute(c RouteConfig) refRoute {
	path, query, _ := strings.Cut(c.Pattern, "?")
	r := refRoute{methods: c.Methods, at: c.At}
	if path = strings.Trim(path, "/"); path != "" {
		r.segments = strings.Split(path, "/")
	}
	if query != "" {
		r.conditions = strings.Split(query, "&")
	}
	return r
}

// kind says how specific a segment is: 0 literal, 1 {name} between literals,
// 2 {name}, 3 tail.
func kind(segment string) int {
	before, after, parameter := parts(segment)
	switch {
	case segment == "*" || strings.HasSuffix(segment, "...}"):
		return 3
	case parameter && before+after == "":
		return 2
	case parameter:
		return 1
	}
	return 0
}

// parts returns what stands around the parameter of a segment.
func parts(segment string) (before, after string, parameter bool) {
	before, rest, parameter := strings.Cut(segment, "{")
	_, after, _ = strings.Cut(rest, "}")
	return before, after, parameter
}

// crossing reports whether two routes have, at one place, {name} between literals
// so that neither is the narrower and some segments are on both.
func crossing(routes []refRoute) bool {
	for _, r := range routes {
		for _, s := range routes {
			for i := range min(len(r.segments), len(s.segments)) {
				rb, ra, _ := parts(r.segments[i])
				sb, sa, _ := parts(s.segments[i])
				if kind(r.segments[i]) == 1 && kind(s.segments[i]) == 1 && rb == "a" && ra == "" && sb == "" && sa == "b" {
					return true
				}
				if kind(r.segments[i]) != kind(s.segments[i]) || rb != sb || ra != sa {
					break
				}
			}
		}
	}
	return false
}

// tiedAtOnePlace reports whether some request would be matched equally well by two
// routes with the same path, if there were no others: with these, a wider path may
// have no requests left.
func tiedAtOnePlace(routes []refRoute, world []refRequest) bool {
	places := map[string][]refRoute{}
	for _, r := range routes {
		var place []string
		for _, s := range r.segments {
			before, after, _ := parts(s)
			if kind(s) == 3 {
				before, after = "", ""
			}
			place = append(place, fmt.Sprint(kind(s), before, "{}", after))
		}
		key := strings.Join(place, "/")
		places[key] = append(places[key], r)
	}
	for _, at := range places {
		for _, r := range world {
			if len(r.best(at)) > 1 {
				return true
			}
		}
	}
	return false
}

// method says how specifically the route has a method: 3 listed, 2 HEAD by way
// of GET, 1 by *, 0 not at all.
func (r refRoute) method(m string) int {
	switch {
	case slices.Contains(r.methods, m):
		return 3
	case m == "HEAD" && slices.Contains(r.methods, "GET"):
		return 2
	case r.methods[0] == "*":
		return 1
	}
	return 0
}

func (q refRequest) matches(r refRoute) bool {
	for i, s := range r.segments {
		if i >= len(q.segments) || kind(s) == 0 && s != q.segments[i] {
			return false
		}
		before, after, _ := parts(s)
		if got := q.segments[i]; kind(s) == 1 && (len(got) <= len(before+after) || !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after)) {
			return false
		}
	}
	tail := len(r.segments) > 0 && kind(r.segments[len(r.segments)-1]) == 3
	if len(q.segments) > len(r.segments) && !tail {
		return false
	}
	for _, c := range r.conditions {
		key, want, hasValue := strings.Cut(c, "=")
		got, ok := q.values[key]
		if !ok || hasValue && got != want {
			return false
		}
	}
	return r.method(q.method) > 0
}

// best returns the matching routes that no other one beats.
func (q refRequest) best(all []refRoute) (best []refRoute) {
	matching := slices.DeleteFunc(slices.Clone(all), func(r refRoute) bool { return !q.matches(r) })
	for _, r := range matching {
		if !slices.ContainsFunc(matching, func(other refRoute) bool { return narrower(other, r) }) {
			best = append(best, r)
		}
	}
	method := 0 // a listed one before *
	for _, r := range best {
		method = max(method, r.method(q.method))
	}
	return slices.DeleteFunc(best, func(r refRoute) bool { return r.method(q.method) < method })
}

// narrower compares the patterns of two routes that match by the words of the contract.
func narrower(a, b refRoute) bool {
	// Literal before {name} between literals before {name} before tail, from left
	// to right; of two between literals the one with more of them.
	for i := range min(len(a.segments), len(b.segments)) {
		ka, kb := kind(a.segments[i]), kind(b.segments[i])
		if ka != kb {
			return ka < kb
		}
		ab, aa, _ := parts(a.segments[i])
		bb, ba, _ := parts(b.segments[i])
		if na, nb := len(ab+aa), len(bb+ba); ka == 1 && na != nb {
			return na > nb
		}
	}
	// More query conditions before fewer.
	if len(a.conditions) != len(b.conditions) {
		return len(a.conditions) > len(b.conditions)
	}
	// The same keys, with a value where the other takes any.
	more := false
	for _, c := range b.conditions {
		switch {
		case slices.Contains(a.conditions, c):
		case slices.ContainsFunc(a.conditions, func(d string) bool { return strings.HasPrefix(d, c+"=") }):
			more = true
		default:
			return false
		}
	}
	return more
}
