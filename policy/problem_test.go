package policy

import (
	"encoding/json"
	"testing"
)

// A problem is written as encoding/json writes it.
func FuzzProblem(f *testing.F) {
	f.Add("urn:patgate:problem:scope_missing", "Forbidden", 403, "the token lacks a scope", "scope_missing", "stories:read", "1")
	f.Add("", "", 0, "", "", "", "")
	f.Add("a", "\"\\<>&\u2028", -1, "é\x00\x7f", "\xff", "\n", "😀")
	f.Fuzz(func(t *testing.T, kind, title string, status int, detail, reason, scope, space string) {
		p := Problem{kind, title, status, detail, reason, scope, space}
		want, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.append(nil); string(got) != string(want) {
			t.Errorf("%+v: got %s, want %s", p, got, want)
		}
	})
}
