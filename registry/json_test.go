package registry

import (
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	var got NewToken
	err := Decode([]byte(`{"name":"ci","grants":[{"spaces":["1"],"scopes":[]},{"spaces":null}],"expires_in":"30d","no_expiry":false} `), &got)
	if err != nil {
		t.Fatal(err)
	}
	// What is absent, or null, and what is empty stay apart.
	equal(t, "token", got.Grants[0].Scopes != nil && got.Grants[0].Resources == nil && got.Grants[1].Spaces == nil, true)
	equal(t, "lifetime", *got.ExpiresIn, "30d")

	for _, c := range []struct{ name, in, says string }{
		{"nothing", ``, "ends too early"},
		{"null", ` null`, "want a JSON object, got null"},
		{"a key of no field", `{"nam":"x"}`, `unknown key "nam"`},
		{"a key in another case", `{"Name":"x"}`, `unknown key "Name"`},
		{"a wrong type", `{"name":7}`, "name: a JSON number"},
		{"a wrong type of an embedded field", `{"expires_in":90}`, "expires_in: a JSON number"},
		{"a wrong type in a grant", `{"grants":[{"spaces":[1]}]}`, "spaces: a JSON number"},
		{"not an object", `"x"`, "want a JSON object, got a JSON string"},
		{"a key twice", `{"name":"x","name":"x"}`, `key "name" is given twice`},
		{"a key twice behind a list", `{"grants":[{"spaces":["1"]},{"spaces":["1"]}],"full":true,"grants":[]}`, `key "grants" is given twice`},
		{"a key twice by folding", `{"description":"x","de\u017fcription":"y"}`, "is given twice"},
		{"more", `{} {}`, "something follows"},
		{"a comma too many", `{"name":"x",}`, "not valid JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var n NewToken
			err := Decode([]byte(c.in), &n)
			refused(t, err, ErrInvalid, c.says)
			if strings.Contains(err.Error(), "Lifetime") {
				t.Errorf("error %q names what is no key", err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"name":"ci","grants":[{"spaces":["1"]}],"expires_in":"30d"}`)
	f.Add(`{"a":[[],{"b":{"c":1}}],"A":1}`)
	f.Fuzz(func(t *testing.T, in string) {
		var n NewToken
		if err := Decode([]byte(in), &n); err != nil {
			refused(t, err, ErrInvalid)
		}
	})
}
