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
		{"a key twice after a list", `{"grants":[{"spaces":["1"]},{"spaces":["1"]}],"full":true,"grants":[]}`, `key "grants" is given twice`},
		{"a key twice by folding", `{"description":"x","de\u017fcription":"y"}`, "is given twice"},
		{"half a pair", `{"name":"\ud800"}`, "half a surrogate pair"},
		{"half a pair before another escape", `{"name":"\uD83D\n\ude00"}`, "half a surrogate pair"},
		{"half a pair before a character", `{"name":"\ud83dx"}`, "half a surrogate pair"},
		{"the other half", `{"name":"x\ude00"}`, "half a surrogate pair"},
		{"halves the wrong way round", `{"name":"\ude00\ud83d"}`, "half a surrogate pair"},
		{"half a pair after a pair", `{"name":"\ud83d\ude00\ud83d"}`, "half a surrogate pair"},
		{"half a pair in a key", `{"\ud800":1}`, `unknown key`},
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

// Escapes that stand for a character are as good as the character.
func TestDecodeEscapes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"\u00e4"`: "ä", `"\ud83d\ude00"`: "😀", `"\uD83D\uDE00"`: "😀", `"\\ud800"`: `\ud800`, `"\\\u0078"`: `\x`, `"\ufffd"`: "\ufffd", `"\""`: `"`,
	} {
		var n NewToken
		if err := Decode([]byte(`{"name":`+in+`}`), &n); err != nil || n.Name != want {
			t.Errorf("Decode of %s = %q, %v, want %q", in, n.Name, err, want)
		}
	}
}

// A number is told from one that can't be counted in.
func TestDecodeWholeNumbers(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		"1.5": "max_tokens: want a whole number", "1e30": "max_tokens: want a whole number", "99999999999999999999": "max_tokens: want a whole number",
		`"5"`: "max_tokens: a JSON string doesn't belong here",
	} {
		refused(t, Decode([]byte(`{"max_tokens":`+in+`}`), new(OwnerChanges)), ErrInvalid, says)
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
