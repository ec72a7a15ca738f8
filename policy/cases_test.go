package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadCasesNamesTheLine(t *testing.T) {
	t.Parallel()
	const good = `{"method":"GET","path":"/","scope":"public"}` + "\n"
	torn := errors.New("the pipe is gone")
	for _, c := range []struct {
		name string
		in   io.Reader
		want string
	}{
		{"no JSON", strings.NewReader(good + "\nx\n"), "line 3: "},
		{"nothing said", strings.NewReader(good + "{}\n"), "line 2: want method, path and scope"},
		{"too long", strings.NewReader(good + strings.Repeat(" ", maxCase+1) + "\n" + good), "line 2: longer than 1048576 bytes"},
		{"a key twice", strings.NewReader(`{"method":"GET","path":"/","scope":"public","scope":"any"}`), "line 1: scope is given twice"},
		{"other keys", strings.NewReader(good + `{"Method":"GET","path":"/","scope":"public"}`), "line 2: want method, path and scope"},
		{"torn", io.MultiReader(strings.NewReader(good+`{"met`), iotest.ErrReader(torn)), "reading line 2: the pipe is gone"},
	} {
		if cases, err := ReadCases(c.in); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: ReadCases = %d cases, %v, want %q", c.name, len(cases), err, c.want)
		}
	}
	if cases, err := ReadCases(strings.NewReader("\ufeff" + good + "\n" + good)); err != nil || len(cases) != 2 || cases[1].Line != 3 {
		t.Errorf("ReadCases = %+v, %v, want those of lines 1 and 3", cases, err)
	}
	// Other keys are ignored, however much they look like one.
	const other = `{"method":"GET","path":"/","scope":"public","Scope":"Everybody","ANONYMOUS":"yes","scope ":1}`
	if cases, err := ReadCases(strings.NewReader(other)); err != nil || cases[0].Scope != "public" || cases[0].Anonymous {
		t.Errorf("ReadCases(%s) = %+v, %v", other, cases, err)
	}
}

// A case says the same when it is written out, and the policy can be asked about each.
func FuzzReadCases(f *testing.F) {
	for _, seed := range []string{
		`{"method":"GET","path":"/v1/spaces/1?a=b","scope":["a","b"],"space":"1","resource":null,"anonymous":true}`,
		"\ufeff{\"method\":\"POST\",\"path\":\"https://api.test/x\",\"scope\":\"a|b\",\"other\":[{}]}\n\n",
		`{"method":"GET","path":"/","scope":"deny","scope":"any"}`, `{"method":"\ud800","path":"/%zz","scope":[" "]}`, "null", "[]", "{",
	} {
		f.Add(seed)
	}
	p := compile(f, Config{Routes: routes("GET /v1/spaces/{space} a")})
	f.Fuzz(func(t *testing.T, text string) {
		cases, err := ReadCases(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, c := range cases {
			line, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			c.Line = 1
			if again, err := ReadCases(bytes.NewReader(line)); err != nil || !reflect.DeepEqual(again, []Case{c}) {
				t.Errorf("%+v is written as %s, and read as %+v, %v", c, line, again, err)
			}
			_ = p.Check(c)
		}
	})
}
