package mask

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

func newMask() *Mask {
	return New([]policy.Credential{{Kind: policy.Query, Name: "api_key"}, {Kind: policy.Header, Name: "X-Api-Key"}, {Kind: policy.Header, Name: "X-Zone-09"}, {Kind: policy.Header, Name: "Http-Key"}, {Kind: policy.Bearer}, {Kind: policy.Scheme, Name: "Token"}}, "pat")
}

// Nothing of a secret is left, and what isn't one is left alone.
func TestText(t *testing.T) {
	m := newMask()
	own := token.NewSecret("pat")
	const foreign = "wPQ7cn3sX0rT5vB9" // an imported token: nothing to know it by but its place
	basic := base64.StdEncoding.EncodeToString([]byte("x:" + foreign))
	for _, row := range []struct{ text, want string }{
		{"/x?api_key=" + foreign, "/x?api_key=REDACTED"},
		{"/x?a=1&api_key=" + foreign + "&b=2", "/x?a=1&api_key=REDACTED&b=2"},
		{"/x?a=1;API_Key=" + foreign + ";b=2", "/x?a=1;API_Key=REDACTED;b=2"},
		{"/x?api%5Fkey=" + foreign + "#f", "/x?api%5Fkey=REDACTED#f"},
		{"/x?%61pi_%6b%65y=" + foreign, "/x?%61pi_%6b%65y=REDACTED"},
		{"/x?api_key[]=" + foreign, "/x?api_key[]=REDACTED"},
		{"/x?api_key=" + foreign + "%2C" + foreign, "/x?api_key=REDACTED"},
		{"https://other.test/?api_key=" + foreign, "https://other.test/?api_key=REDACTED"},
		{"/login?to=%2Fx%3Fapi_key%3D" + foreign, "/login?to=%2Fx%3Fapi_key%3DREDACTED"},
		{"/login?to=%252Fx%253Fapi_key%253D" + foreign, "/login?to=%252Fx%253Fapi_key%253DREDACTED"},
		{`<https://x.test/?api_key=` + foreign + `>; rel="next"`, `<https://x.test/?api_key=REDACTED>; rel="next"`},
		{`Get "http://10.0.0.1/x?api_key=` + foreign + `": EOF`, `Get "http://10.0.0.1/x?api_key=REDACTED": EOF`},
		{"/x?api_key%5B%5D=" + foreign, "/x?api_key%5B%5D=REDACTED"},
		{"/x?apikey=" + foreign + "&a=1", "/x?apikey=REDACTED&a=1"},
		{"/x?a=1&.API.KEY=" + foreign, "/x?a=1&.API.KEY=REDACTED"},
		{"/x?+api-key+=" + foreign, "/x?+api-key+=REDACTED"},
		{"/x?[api_key]=" + foreign, "/x?[api_key]=REDACTED"},
		{"/x?api%2Ekey%00x=" + foreign, "/x?api%2Ekey%00x=REDACTED"},
		{"/x?api%255Fkey%255B0%255D=" + foreign, "/x?api%255Fkey%255B0%255D=REDACTED"},
		{"/x/" + own + "/y", "/x/pat_REDACTED/y"},
		{"?other=" + own, "?other=pat_REDACTED"},
		{"a Bearer " + own + "x", "a Bearer pat_REDACTED"},
		{own[:20], "pat_REDACTED"},
		{own + own, "pat_REDACTED"},
		{own[:17] + own + "_" + own, "pat_REDACTED"},
		{"?o=%70at_" + own[4:], "?o=%70at_REDACTED"},
		{"?o=pat%5F" + own[4:], "?o=pat%5FREDACTED"},
		{"?o=%2570at_" + own[4:], "?o=%2570at_REDACTED"},
		{"?o=pat%25255F" + own[4:], "?o=pat%25255FREDACTED"},
		{"?o=pat%2525252525255F" + own[4:], "?o=pat%2525252525255FREDACTED"},
		{"?o=%%37%30at_" + own[4:], "?o=%%37%30at_REDACTED"},
		{"?o=%u0070at_" + own[4:], "?o=%u0070at_REDACTED"},
		{"?o=" + own[:20] + "%" + fmt.Sprintf("%x", own[20]) + own[21:], "?o=pat_REDACTED"},
		{strings.ToUpper(own), "PAT_REDACTED"},
		{http.CanonicalHeaderKey(own), "Pat_REDACTED"},

		// Spellings of a key that the gate takes for it, or can't tell from it.
		{"/x?%EF%BB%BFapi_key=" + foreign, "/x?%EF%BB%BFapi_key=REDACTED"},
		{"/x?%EF%BD%81pi_key=" + foreign, "/x?%EF%BD%81pi_key=REDACTED"},
		{"/x?\ufeffapi_key=" + foreign, "/x?\ufeffapi_key=REDACTED"},
		{"/x?%u0061pi_key=" + foreign, "/x?%u0061pi_key=REDACTED"},
		{"/x?%C1%A1pi_key=" + foreign, "/x?%C1%A1pi_key=REDACTED"},
		{"/x?%zzapi_key=" + foreign, "/x?%zzapi_key=REDACTED"},
		{"/x?api_key%26y=" + foreign, "/x?api_key%26y=REDACTED"},
		{"/x?api_key%3Dy=" + foreign, "/x?api_key%3DREDACTED"},
		{"/x?api%3D_key=" + foreign, "/x?api%3D_key=REDACTED"},
		{"/x?api_key?y=" + foreign, "/x?api_key?y=REDACTED"},
		{"/x#api_key=" + foreign, "/x#api_key=REDACTED"},
		{"/x%3Fapi_key=" + foreign, "/x%3Fapi_key=REDACTED"},
		{"/x;api_key=" + foreign, "/x;api_key=REDACTED"},
		{"?api_key=x", "?api_key=REDACTED"},
		{"?api_key=x&api_key=" + foreign, "?api_key=REDACTED&api_key=REDACTED"},
		{"/x?a=1&api_key%26y=" + foreign, "/x?a=1&api_key%26y=REDACTED"},
		{"/x?a=1&api_key?y=" + foreign, "/x?a=1&api_key?y=REDACTED"},
		{"a /x?a=1 api_key%26y=" + foreign, "a /x?a=1 api_key%26y=REDACTED"},
		{"a /x?a=1 /x?api_key%26y=" + foreign, "a /x?a=1 /x?api_key%26y=REDACTED"},
		{"/x/api_key=" + foreign, "/x/api_key=REDACTED"},
		{"api_key%3D" + foreign + "#y=1", "api_key%3DREDACTED#y=1"},
		{"api_key%26y=" + foreign, "api_key%26y=REDACTED"},

		// Credentials by their form.
		{"Basic " + basic, "Basic REDACTED"},
		{"the header was basic  " + basic + ", and more", "the header was basic  REDACTED, and more"},
		{"?was=Basic%20" + basic + "&a=1", "?was=Basic%20REDACTED&a=1"},
		{"Bearer " + foreign, "Bearer REDACTED"},
		{"token " + foreign, "token REDACTED"},
		{"http://x:" + foreign + "@host/y", "http://REDACTED@host/y"},
		{"http://" + foreign + "@host", "http://REDACTED@host"},
		{"//x:" + foreign + "%2F@" + foreign + "@host?y=a@b", "//REDACTED@host?y=a@b"},
		{"?to=http%3A%2F%2Fx%3A" + foreign + "%252F%40host%2Fy%40z", "?to=http%3A%2F%2FREDACTED%40host%2Fy%40z"},
		{`dial "https://x:` + foreign + `@host/": no such host`, `dial "https://REDACTED@host/": no such host`},

		{"it was Basic " + basic, "it was Basic REDACTED"},
		{"https:///x:" + foreign + "@host/y", "https:///REDACTED@host/y"},

		{own + "~a", "pat_REDACTED~a"},
		{own + "-a", "pat_REDACTED-a"},
		{own + ":a", "pat_REDACTED:a"},
		{own + "{a", "pat_REDACTED{a"},
		{"pat_zZaA019zZaA0", "pat_REDACTED"},
		{"pat_zZaA019zZaA", "pat_zZaA019zZaA"},
		{"pas_zZaA019zZaA0", "pas_zZaA019zZaA0"},
		{"at_zZaA019zZaA0", "at_zZaA019zZaA0"},
		{"__zZaA019zZaA0_pat_zZaA019zZaA0", "__zZaA019zZaA0_pat_REDACTED"},
		{"basic" + basic, "basic" + basic},
		{"their bytes " + basic, "their bytes " + basic},
		{"/x/ab@c", "/x/ab@c"},
		{"/x?a%26b=1", "/x?a%26b=1"},
		{"/x?a%20api_key=1", "/x?a%20api_key=1"},
		{"/x?api_key%26y%3Dz", "/x?api_key%26y%3Dz"},
		{"/a/b/api_key%26y=1", "/a/b/api_key%26y=1"},
		{`Bearer realm="patgate"`, `Bearer realm="patgate"`},
		{"basic authentication of users", "basic authentication of users"},
		{"https://host/@user?mail=a@b.test", "https://host/@user?mail=a@b.test"},
		{"to a@b.test // by c@d.test", "to a@b.test // by c@d.test"},
		{"/x?caf%C3%A9=1&filter%5Ba%5D=%zz", "/x?caf%C3%A9=1&filter%5Ba%5D=%zz"},
		{"/x?monkey=banana&count=3", "/x?monkey=banana&count=3"},
		{"/x?my_api_key=1", "/x?my_api_key=1"},
		{"/x?api_keys=1&api=2&key=3&keyapi=4", "/x?api_keys=1&api=2&key=3&keyapi=4"},
		{"/path_of_things/patterns_are_here_too", "/path_of_things/patterns_are_here_too"},
		{"/caf%C3%A9/and%20more%20of%20it", "/caf%C3%A9/and%20more%20of%20it"},
		{"Bearer ", "Bearer "},
		{"", ""},
	} {
		if got := m.Text(row.text); got != row.want {
			t.Errorf("%q becomes %q, want %q", row.text, got, row.want)
		}
	}
	for _, before := range []string{" ", "\t", "\n", "\r", `"`, "'", "(", ",", "<", ">"} {
		if got, want := m.Text("a"+before+"api_key="+foreign), "a"+before+"api_key=REDACTED"; got != want {
			t.Errorf("behind %q, the key's value becomes %q", before, got)
		}
	}
	for _, end := range []string{"'", "\"", "<", ">", "\\", ";", "#", " "} {
		uri := "/x?a=1&api_key=" + foreign[:3] + end + foreign + "&b=2"
		if got := m.URL(uri); got != "/x?a=1&api_key=REDACTED&b=2" {
			t.Errorf("the URL %q becomes %q", uri, got)
		}
	}
	if got, want := m.URL(`/x?api_key%26"y=`+foreign), `/x?api_key%26"y=REDACTED`; got != want {
		t.Errorf("in a URL, a key with a quote has the value %q, want %q", got, want)
	}
	for name, want := range map[string]bool{
		"X-Api-Key": true, "x-api-key": true, "X_Api_Key": true, "X.Api.Key": true, "Authorization": true, "Set-Cookie": true, "Proxy-Authorization": true, "HTTP_X_API_KEY": true,
		"X~Api|Key": true, "X-Zone-09": true, "x_zONE_09": true, "Http-Key": true, "Http-Http-Key": true,
		"X-Api-Keys": false, "User-Agent": false, "X-Zone--9": false, "X-Zone-0-": false, "X--One-09": false, "Key": false,
	} {
		if got := m.Header(name); got != want {
			t.Errorf("header %s: masked is %v, want %v", name, got, want)
		}
	}
}

func TestInQuery(t *testing.T) {
	m := newMask()
	own := token.NewSecret("pat")
	for _, row := range []struct {
		query       string
		values, own []string
	}{
		{"api_key=a/api_key=b&c=d;api%5Fkey=%65", []string{"a/api_key=b", "e"}, nil},
		{"a=1&api_key=", nil, nil},
		{"a=x" + own + "&b=1", nil, []string{own}},
		{"api_key=%70at%5F" + own[4:], []string{own}, []string{own}},
	} {
		if values, own := m.InQuery(row.query); !slices.Equal(values, row.values) || !slices.Equal(own, row.own) {
			t.Errorf("%q has the values %q and the tokens %q, want %q and %q", row.query, values, own, row.values, row.own)
		}
	}
}

// A string without blanks is a URL, in which a value ends at & only.
func TestField(t *testing.T) {
	m := newMask()
	for text, want := range map[string]string{
		"/x?api_key=a'b;c":                 "/x?api_key=REDACTED",
		" /x?api_key=a;b":                  " /x?api_key=REDACTED;b",
		"</x?api_key=a'b>; rel=next":       "</x?api_key=REDACTED'b>; rel=next",
		"a=b, /x?api_key=a;b, /y?api_key=": "a=b, /x?api_key=REDACTED;b, /y?api_key=",
	} {
		if got := m.Field(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// What a value of any type says is masked as JSON. A value that has no secret, or no JSON,
// stays what it is.
func TestValue(t *testing.T) {
	m := newMask()
	got := m.Value([]string{"/x?a=<1>&api_key=b&c=2"})
	if raw, ok := got.(json.RawMessage); !ok || string(raw) != `["/x?a=<1>&api_key=REDACTED&c=2"]` {
		t.Errorf("it becomes %s, a %T", got, got)
	}
	never := make(chan int)
	if got := m.Value(never); got != any(never) {
		t.Errorf("what is no JSON becomes %v", got)
	}
	if got := m.Value(7); got != any(7) {
		t.Errorf("7 becomes %v, a %T", got, got)
	}
}

// A Set masks nothing at first, and then what any of those added would, each kept once.
func TestSet(t *testing.T) {
	var s Set
	const text, header = "Token a /x?api_key=b pat_0123456789ab", "X-Api-Key"
	if m := s.Now(); m.Text(text) != text || m.Header("Cookie") || m.Value(text) != text {
		t.Errorf("before there is a mask, %q becomes %q", text, m.Text(text))
	}
	s.Add(nil, "")
	for range 2 {
		s.Add([]policy.Credential{{Kind: policy.Query, Name: "api_key"}, {Kind: policy.Header, Name: header}}, "old")
		s.Add([]policy.Credential{{Kind: policy.Scheme, Name: "Token"}}, "pat")
	}
	m := s.Now()
	if got, want := m.Text(text), "Token a /x?api_key=REDACTED pat_REDACTED"; got != want {
		t.Errorf("%q becomes %q, want %q", text, got, want)
	}
	if got := m.Text("token a"); got != "token REDACTED" || !m.Header(header) || !m.Header("Cookie") {
		t.Errorf("a scheme becomes %q, and the header %s is masked is %v", got, header, m.Header(header))
	}
	if got := []int{len(m.keys), len(m.headers), len(m.schemes), len(m.prefixes)}; !slices.Equal(got, []int{1, 5, 3, 2}) {
		t.Errorf("it knows %v keys, headers, schemes and prefixes", got)
	}
}

// Escapes are read before the prefix is looked for, and may eat the first letters of one.
func TestPrefixBehindPercent(t *testing.T) {
	m := New(nil, "fab")
	own := token.NewSecret("fab")
	for _, before := range []string{"/x?o=%", "/x?o=%2", "/x?o=%u12", "/x?o=%252"} {
		if got, want := m.Text(before+own), before+"fab_REDACTED"; got != want {
			t.Errorf("%q becomes %q, want %q", before+own, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	m := newMask()
	f.Add("/x?api_key=", "&b=2")
	f.Add("%2Fx%3Fapi_key%3D", "")
	f.Add("\x00%%?", "%")
	f.Add("%u00", "")
	f.Fuzz(func(t *testing.T, before, after string) {
		own := token.NewSecret("pat")
		if got := m.Text(before + own + after); strings.Contains(got, own[8:24]) {
			t.Errorf("%q shows a secret", got)
		}
	})
}

func BenchmarkText(b *testing.B) {
	m := newMask()
	for name, text := range map[string]string{
		"query": "/v1/spaces/1/stories?page=2&per_page=100&sort=created_at%3Adesc", "token": "/v1/spaces/1/stories?page=2&api_key=wPQ7cn3sX0rT5vB9",
		"agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Text(text)
			}
		})
	}
}

// What is decoded in one pass is what decoding again and again comes to.
func FuzzDecode(f *testing.F) {
	escape := regexp.MustCompile(`%[0-9A-Fa-f]{2}|%[uU][0-9A-Fa-f]{4}`)
	for _, s := range []string{"a%2Fb", "%25252F", "%%32%46", "%u0025u0041", "%u00%34%31", "%%", "%zz%2", "caf%C3%A9%u00e9", "xu0041%x0041%t0041%T0041", "%U004a%u004A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := s
		for escape.MatchString(want) {
			want = escape.ReplaceAllStringFunc(want, func(e string) string {
				n, _ := strconv.ParseUint(strings.TrimLeft(e, "%uU"), 16, 16)
				if len(e) == 3 {
					return string([]byte{byte(n)})
				}
				return string(rune(n))
			})
		}
		p := decode(s)
		if p.text != want {
			t.Fatalf("%q is decoded to %q, want %q", s, p.text, want)
		}
		if all := p.given(span{0, len(p.text)}); all != (span{0, len(s)}) {
			t.Errorf("%q begins and ends at %v", s, all)
		}
	})
}
