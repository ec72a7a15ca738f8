package policy

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Whatever two policies answer differently, a difference says it, but for what one of them
// refuses; and there is none between policies that answer all alike.
func TestDiffOfAny(t *testing.T) {
	t.Parallel()
	const pairs = 200
	random := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	route := func() RouteConfig {
		pattern := ""
		for i := range random.IntN(4) {
			pattern += "/" + one("a", "b", "{"+string(rune('p'+i))+"}")
		}
		pattern += one("", "", "/*")
		return RouteConfig{
			Methods: []string{one("GET", "POST", "*")}, Pattern: "/" + strings.TrimPrefix(pattern, "/") + one("", "", "", "?k", "?k=1"),
			Require: one("any", "public", "never", "read", "write"),
		}
	}
	config := func() (c Config) {
		for range 1 + random.IntN(4) {
			c.Routes = append(c.Routes, route())
		}
		c.Default = one("", "", "any")
		return c
	}
	var requests []Request
	for _, path := range pathsOf(4, "", "a", "b", "c") {
		for _, method := range []string{"GET", "POST", "PUT"} {
			for _, query := range []string{"", "k=1", "k=2"} {
				u := &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
				requests = append(requests, NewRequest(&http.Request{Method: method, URL: u, Header: http.Header{}}))
			}
		}
	}
	for compared := 0; compared < pairs; {
		was := config()
		is := was
		if is.Routes = slices.Clone(was.Routes); random.IntN(2) == 0 {
			is = config()
		} else {
			is.Routes[0] = route()
		}
		catalog, _ := NewCatalog(nil)
		before, err := Compile(was, catalog)
		after, otherErr := Compile(is, catalog)
		if err != nil || otherErr != nil { // two routes that can't be told apart
			continue
		}
		compared++
		differences, differ := Diff(before, after), false
		for i := range requests {
			r := requests[i]
			a, b := before.routed(&r), after.routed(&r)
			asks, differs := bothAsk(before, after, &a, &b)
			differ = differ || differs
			listed := slices.ContainsFunc(differences, func(d Difference) bool { return d.Old == asks[0] && d.New == asks[1] })
			if differs && !listed && a.Reason == Forward && b.Reason == Forward {
				t.Fatalf("%s %s: %q isn't listed\nfrom %+v\nto   %+v\n%+v", r.Method, r.Path, asks, was, is, differences)
			}
		}
		if !differ && len(differences) > 0 {
			t.Fatalf("no request is answered differently\nfrom %+v\nto   %+v\n%+v", was, is, differences)
		}
	}
}

// pathsOf returns all paths below one that have up to so many more of these segments.
func pathsOf(depth int, path string, segments ...string) (paths []string) {
	paths = append(paths, path)
	for _, s := range segments {
		if depth > 0 {
			paths = append(paths, pathsOf(depth-1, path+"/"+s, segments...)...)
		}
	}
	return paths
}
