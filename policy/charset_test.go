package policy

import (
	"strings"
	"testing"
)

// Some servers decode the query by the charset of the body.
func TestOtherCharset(t *testing.T) {
	const ascii, other, none = "a=b&c=%7E", "a=%C3%A9", ""
	for _, c := range []struct {
		contentType string
		query       string
		want        bool
	}{
		{"application/json", other, false}, {"text/plain; charset=utf-8", other, false}, {"text/plain;CHARSET=\"UTF-8\"", other, false}, {"text/plain; charset = utf-8 ; x=y", other, false},
		{"text/plain; charset=", other, false}, {"text/plain; charset=US-ASCII", other, false},
		{"text/plain; charset=iso-8859-1", ascii, false}, {"text/plain; charset='Windows-1252'", ascii, false}, {"text/plain; charset=GBK", ascii, false}, {"text/plain; charset=EUC-JP", ascii, false},
		{"text/plain; charset=iso-8859-1", other, false}, {"text/plain; charset=latin1", "a=\xe9&b=~", false}, {"text/plain; charset=Big5", "q=%A5%5C", false},
		{"text/plain; charset=iso-8859-1", "a=1&%C3%A9=1", true}, {"text/plain; charset=latin1", "\xe9", true}, {"text/plain; charset=Shift_JIS", "%7E=1", true},
		{"a/b; charset=utf-16", "page=2", true}, {"a/b; charset=IBM290", "beuqv=x", true}, {"a/b; charset=binary", "page_size=2&from=2026-01-01&sort=a:b,c", false}, {"a/b; charset=utf8mb4", "page=2", false}, {"a/b; charset=None", "q", false}, {"a/b; charset=undefined", "page=2", false},
		{"a/b; charset=utf-7", "q=a+ACY-b", true}, {"a/b; charset=hz", "q=~{", true}, {"a/b; charset=unicode_escape", "q=\\x26b", true}, {"a/b; charset=utf-16", "q=%00a", true}, {"a/b; charset=IBM037", "q=\x84", true}, {"a/b; charset=punycode", "a-b=1", true},
		{"text/plain; charset=utf-7", ascii, true}, {"text/plain; charset=unicode_escape", ascii, true}, {"a/b; charset=iso-2022-jp", ascii, true}, {"a/b; Charset=UTF-16", ascii, true}, {"a/b;charset=IBM037", ascii, true},
		{"a/b; charset*=utf-8''utf-7", ascii, true}, {"a/b; charset*0=utf-7", ascii, true}, {"a/b; charset=utf-8; charset=utf-7", ascii, true}, {"a/b, c/d; charset=utf-7", ascii, true}, {"a/b; charset=utf-8\\-7", ascii, true},
		{"text/plain; charset=utf-7", none, false},
		{"multipart/form-data; boundary=----charset7", other, false}, {"text/csv; charset=Shift_JIS", ascii, false}, {"text/csv; charset=iso_8859-1", ascii, false},
		{"text/plain; x=" + strings.Repeat("y", maxContentType), ascii, true}, {"a/b; \u00a0charset=utf-7", ascii, true},
		{"text/plain; xcharset=iso-2022-jp", ascii, true}, {"text/plain charset=iso-2022-jp", ascii, true}, {"text/plain; x=\"Charset = utf-7\"", ascii, true}, {"text/plain; charset=utf-8; xCHARSET=utf-7", ascii, true}, {"text/plaincharset=utf-8 charset=utf-7", ascii, true},
		{"text/plain; xcharset=utf-8", other, false}, {"text/plain; x=charset", other, false}, {"a/b; name=\"charset.txt\"", other, false}, {"a/b; name=\"my charset (1).txt\"", other, false},
		{"multipart/form-data; boundary=----charset-x", other, false}, {"application/vnd.acme.charset+json", other, false}, {"a/b; profile=\"https://x.test/charset.html\"", other, false},
		{"a/b; xcharset*=utf-7''x", ascii, true}, {"a/b; charset", other, true}, {"a/b; x charset\u00a0=utf-7", ascii, true}, {"a/b charset\u0085=utf-7", ascii, true}, {"a/b; charsets=utf-7", other, false},
	} {
		p := compile(t, Config{Default: "public"})
		r := request("POST /x?"+c.query, "Content-Type: "+c.contentType)
		if m := p.matched(r); (m.Reason == AmbiguousRequest) != c.want {
			t.Errorf("%s with ?%s: %v (%s), want it refused: %v", c.contentType, c.query, m.Reason, m.Detail, c.want)
		}
	}
	// Where something depends on a value, it counts as well.
	q := compile(t, Config{Routes: append(routes("POST /x?draft=true any", "POST /x any"),
		RouteConfig{Methods: []string{"POST"}, Pattern: "/s", Require: "any", Settings: Settings{Space: "query.space"}})})
	for target, want := range map[string]bool{
		"iso-8859-1 /x?draft=true": false, "iso-8859-1 /x?draft=false&q=%C3%A9": false, "iso-8859-1 /x?draft=%C3%A9": true, "utf-16 /x?page=2": true,
		"utf-8 /s?space=%C3%A9": false, "iso-8859-1 /s?space=%C3%A9": true, "iso-8859-1 /s?sp%61ce=\xe9": true, "iso-8859-1 /s?space=a&q=\xe9": false, "shift_jis /s?space=~": true, "shift_jis /s?space=1&q=~": false, "None /s?space=1": false, "None /s?space=%C3%A9": true,
	} {
		charset, target, _ := strings.Cut(target, " ")
		if m := q.matched(request("POST "+target, "Content-Type: text/plain; charset="+charset, "Authorization: Bearer s")); (m.Reason == AmbiguousRequest) != want {
			t.Errorf("%s in %s: %v (%s), want it refused: %v", target, charset, m.Reason, m.Detail, want)
		}
	}
	// Spring decodes the path by it, too.
	p := compile(t, Config{Routes: routes("POST /{space} any", "POST /{space}/{any...} any")})
	for target, want := range map[string]Reason{"/caf%C3%A9": AmbiguousRequest, "/x/caf%C3%A9": Forward, "/a%20b": Forward, "/x": Forward} {
		if m := p.matched(request("POST "+target, "Content-Type: text/plain; charset=gbk", "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s in GBK: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	if charsetOf([]string{"a/b", "a/b; charset=utf-7"}) != likeNothing {
		t.Error("a second Content-Type isn't looked at")
	}
}
