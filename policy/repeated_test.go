package policy

import (
	"strings"
	"testing"
)

// A key that stands twice, on random policies: the request is on the strictest of
// the routes on which it is with each of the values, and with another one.
func TestReadingsAgainstSingleOnes(t *testing.T) {
	rnd := seeded(t, 1)
	requirements := []string{"public", "any", "read", "write", "publish", "never"} // each covers those before it
	strict := map[string]int{}
	for i, r := range requirements {
		strict[r] = i
	}
	catalog, err := NewCatalog(declared([]string{"read", "write > read", "publish > write"}))
	if err != nil {
		t.Fatal(err)
	}
	judged, refused := 0, 0
	for range 300 {
		lines := randomRoutes(rnd)
		for i := range lines {
			lines[i] = strings.TrimSuffix(lines[i], "public") + requirements[rnd.IntN(len(requirements))]
		}
		p, err := Compile(Config{Routes: routes(lines...)}, catalog)
		if err != nil {
			continue
		}
		for _, path := range []string{"/", "/a", "/b", "/a/b", "/ab/a", "/a/aab/b"} {
			requirement := func(query string) string {
				m := Match{}
				r := &Request{Method: "GET", Path: path, Query: query}
				if p.read(r, &m) {
					m.Route = p.lookFor(&m)
				}
				if m.repeated.key != "" && m.Reason == Forward {
					m.Route = p.strictest(&m, m.Route)
				}
				switch {
				case m.Reason == AmbiguousRequest:
					return "refused"
				case m.Route == nil:
					return "none"
				}
				return m.Route.Require.String()
			}
			for _, l := range []string{"", "&l=v"} {
				want := requirement("k=v" + l)
				for _, query := range []string{"k=w", "k=else"} {
					switch r := requirement(query + l); {
					case (r == "none") != (want == "none"):
						want = "refused"
					case want != "refused" && strict[r] > strict[want]:
						want = r
					}
				}
				got := requirement("k=v&k=w" + l)
				if got != want {
					t.Fatalf("GET %s?k=v&k=w%s: %s, want %s, of\n%s", path, l, got, want, strings.Join(lines, "\n"))
				}
				judged++
				if got == "refused" {
					refused++
				}
			}
		}
	}
	if judged < 500 || refused < 20 || refused > judged/2 {
		t.Errorf("%d requests judged and %d refused: the random policies are no test", judged, refused)
	}
}
