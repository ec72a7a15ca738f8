package caddyroutes

import (
	"encoding/json"
	"testing"
)

// Whatever stands in a set of matchers, it can be asked about, and is written as it was read.
func FuzzMatcherSet(f *testing.F) {
	for _, text := range []string{
		`{"path": ["/a/*"], "host": ["*.a.test"], "method": ["GET"]}`,
		`{"expression": "path('/a/*', \"/b\")"}`,
		`{"expression": {"expr": "{http.error.status_code} == 502 && path('/a')"}}`,
		`{"expression": "&&&"}`,
		`{"not": [{"path": ["/a"]}, {"not": [{"expression": "{http.error.status_code} in [401, 403]"}]}]}`,
		`{"vars": {"{http.error.status_code}": ["401"]}}`,
		`{"vars_regexp": {"{http.error.status_code}": {"pattern": "^4"}}}`,
		`{"file": {"try_files": ["{path}", "=404"], "try_policy": "first_exist_fallback"}}`,
		`{"path": null, "not": null, "file": [], "expression": 1, "vars": "x"}`,
		`null`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var set, again matcherSet
		if json.Unmarshal([]byte(text), &set) != nil {
			return
		}
		written := set.String()
		if err := json.Unmarshal([]byte(written), &again); err != nil || again.String() != written {
			t.Errorf("%s is written as %s, and that as %s: %v", text, written, again, err)
		}
		for _, status := range []int{0, 401, 502} {
			if left, possible := atStatus(set, status); possible {
				left.tries().takesAll()
				overlap(left, set)
			}
		}
		for name, m := range set {
			if !covers(name, m, again[name]) {
				t.Errorf("%s: %s doesn't cover itself", name, m.RawMessage)
			}
		}
	})
}
