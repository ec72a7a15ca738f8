package policy

import (
	"fmt"
	"strings"
	"testing"
)

// judgedPath returns the decoded path, or why it is refused.
func judgedPath(escaped string, encoded slashes, allowSemicolon bool) (path, why string) {
	m := Match{}
	if why := m.path.parse(escaped, encoded, allowSemicolon); why != "" {
		return "", why
	}
	return m.Path(), ""
}

func TestPathsThatPass(t *testing.T) {
	for _, c := range []struct{ escaped, want string }{
		{"/", "/"},
		{"/a", "/a"},
		{"/a/", "/a"},
		{"/v1/spaces/288868932106293/stories/369689", "/v1/spaces/288868932106293/stories/369689"},
		{"/caf%C3%A9", "/café"},
		{"/caf%c3%a9/", "/café"},
		{"/cafe%CC%81", "/cafe\u0301"}, // as macOS writes file names
		{"/a.b", "/a.b"},
		{"/.well-known/openid-configuration", "/.well-known/openid-configuration"},
		{"/v1..v2", "/v1..v2"},
		{"/..a", "/..a"},
		{"/hello%20world", "/hello world"},
		{"/a@b", "/a@b"},
		{"/a,b", "/a,b"},
		{"/~user/$me/(x)/'q'/a!b*c", "/~user/$me/(x)/'q'/a!b*c"},
		{"/c++/k=v&w", "/c++/k=v&w"},
		{"/3e7aa7eb-d175-446d-bc40-282209fd8360", "/3e7aa7eb-d175-446d-bc40-282209fd8360"},
		{"/ada%40example.com/ada@example.com", "/ada@example.com/ada@example.com"},
		{"/orders/123:cancel", "/orders/123:cancel"},
		{"/orders/123%3Acancel", "/orders/123:cancel"},
		{"/%61%62", "/ab"},
		{"/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB", "/\U0001f469\u200d\U0001f4bb"},                                         // woman, joiner, computer
		{"/%E2%9D%A4%EF%B8%8F%E2%80%8D%F0%9F%94%A5", "/\u2764\ufe0f\u200d\U0001f525"},                                 // with a variation selector
		{"/%D9%85%DB%8C%E2%80%8C%D8%AE%D9%88%D8%A7%D9%87%D9%85", "/\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"}, // Persian
		{"/%E6%97%A5%E6%9C%AC", "/日本"},
		{"/%7Bid%7D/%5Bx%5D/%22q%22/a%7Cb", `/{id}/[x]/"q"/a|b`},
		{"/b/a[1].pdf", "/b/a[1].pdf"}, // as browsers, Node and Go send it
		{"/contents/app/[id]/caf%C3%A9", "/contents/app/[id]/café"},
		{"/a%26b%3Dc", "/a&b=c"},
		{"/" + strings.Repeat("a", maxPathLength-1), "/" + strings.Repeat("a", maxPathLength-1)},
		{strings.Repeat("/a", maxSegments), strings.Repeat("/a", maxSegments)},
		{strings.Repeat("/%61", maxSegments) + "/", strings.Repeat("/a", maxSegments)},
	} {
		for i, word := range slashWords { // what passes passes under laxer rules
			if got, why := judgedPath(c.escaped, slashes(i), i > 0); why != "" || got != c.want {
				t.Errorf("path %.60q (%s) = %.60q, %q, want %.60q", c.escaped, word, got, why, c.want)
			}
		}
	}
}

func TestPathsThatAreRefused(t *testing.T) {
	dot, slash, twice := "dot", "empty segment", "encoded twice"
	bare, ctrl, ascii := "belongs percent-encoded", "control", "take for an ASCII one"
	for _, c := range []struct{ escaped, why string }{
		// What isn't an absolute path.
		{"", "begin with /"},
		{"a", "begin with /"},
		{"*", "begin with /"},
		{"http://example.com/a", "begin with /"},
		{"%2Fa", "begin with /"},

		// Dot segments, in every encoding, also as Windows sees them.
		{"/.", dot}, {"/..", dot}, {"/a/./b", dot}, {"/a/../b", dot}, {"/a/..", dot}, {"/a/../", dot},
		{"/%2e", dot}, {"/%2E%2e/b", dot}, {"/.%2e", dot}, {"/%2e./a", dot}, {"/a/...", dot}, {"/a./b", dot}, {"/a%2E", dot},
		{"/..%20", "space"}, {"/a%20/b", "space"}, {"/%20a", "space"}, {"/%20", "space"}, {"/.%20.", dot},
		{"/%E3%80%80", "invisible"}, {"/..%C2%A0", "invisible"}, {"/a%E1%9A%80", "invisible"},

		// Empty segments.
		{"//", slash}, {"//a", slash}, {"/a//b", slash}, {"/a//", slash}, {"/%61//", slash}, {"///", slash}, {"//evil.example/a", slash},

		// Separators in disguise.
		{"/a%2fb", "encoded slash"}, {"/a%2Fb", "encoded slash"}, {"/a%2F", "encoded slash"}, {"/%2f", "encoded slash"},
		{"/a%2F..%2Fb", "encoded slash"},
		{`/a\b`, bare}, {"/a%5cb", "backslash"}, {"/a%5C..%5Cb", "backslash"}, {"/..%5c", "backslash"},
		{"/a%EF%BC%8Fb", ascii},                       // fullwidth solidus
		{"/a%EF%BC%BCb", ascii},                       // fullwidth reverse solidus
		{"/a%E2%81%84b", ascii},                       // fraction slash
		{"/a%E2%88%95b", ascii},                       // division slash
		{"/a%E2%88%96b", ascii},                       // set minus
		{"/a%EF%B9%A8b", ascii},                       // small reverse solidus
		{"/a%C2%A5b", ascii}, {"/a%E2%82%A9b", ascii}, // yen and won: backslashes of old Windows code pages

		// Double encoding.
		{"/%252e%252e/", twice}, {"/a%252fb", twice}, {"/%2561", twice}, {"/a%25u0041", twice}, {"/a%25%32%46b", twice}, {"/a%25", "encoded %"}, {"/a%25zz", "encoded %"},

		// Path parameters.
		{"/a;b", "semicolon"}, {"/a;b=c/d", "semicolon"}, {"/..;/a", "semicolon"}, {"/a%3Bb", "semicolon"}, {"/a%3b", "semicolon"}, {"/;", "semicolon"},

		// Controls.
		{"/a%00", ctrl}, {"/a%00b", ctrl}, {"/%0d%0aa", ctrl}, {"/a%0A", ctrl}, {"/a%09", ctrl}, {"/a%7F", ctrl},
		{"/a\x00", bare}, {"/a\nb", bare}, {"/a b", bare}, {"/a\x7f", bare},
		{"/a%C2%85", "invisible"},     // next line, a C1 control
		{"/a%E2%80%A8b", "invisible"}, // line separator
		{"/adm%E2%80%8Bin", "invisible"}, {"/adm%C2%ADin", "invisible"}, {"/%EF%BB%BFadmin", "invisible"},
		{"/adm%E2%80%8Din", "invisible"}, // a joiner among ASCII
		{"/%C3%A9%E2%80%8D%E2%80%8Da", "invisible"},
		{"/a%E2%80%AEb", "invisible"}, // right-to-left override

		// Where a path ends.
		{"/a#b", bare}, {"/a%23b", "? or #"}, {"/a?b", bare}, {"/a%3Fb", "? or #"}, {"/a%3f", "? or #"},

		// Bytes that Go's URL would encode anew.
		{"/a|b", bare}, {"/a^b", bare}, {"/a`b", bare}, {"/a{b}", bare}, {`/a"b`, bare}, {"/a<b>", bare},
		{"/%61|b", bare}, {"/caf\xe9", bare}, {"/café", bare}, {"/%61\xff", bare},

		// Bytes that aren't characters.
		{"/%ff", "UTF-8"}, {"/%C0%AE%C0%AE/", "UTF-8"}, {"/a%C0%AFb", "UTF-8"}, {"/%E0%80%AF", "UTF-8"}, {"/%F0%80%80%AF", "UTF-8"},
		{"/%ED%A0%80", "UTF-8"}, {"/caf%E9", "UTF-8"}, {"/%C3", "UTF-8"}, {"/%F4%90%80%80", "UTF-8"},

		// Characters that normalize to ASCII ones.
		{"/%EF%BC%8E%EF%BC%8E/", ascii}, // fullwidth full stops
		{"/%E2%80%A5", ascii},           // two dot leader
		{"/%EF%BC%85", ascii},           // fullwidth percent
		{"/%EF%BD%81dmin", ascii},       // fullwidth a
		{"/spaces/%EF%BC%91", ascii},    // fullwidth 1
		{"/spaces/%C2%B9", ascii},       // superscript 1
		{"/%E2%91%A0", ascii},           // circled 1
		{"/o%EF%AC%83ce", ascii},        // ffi
		{"/admin%CD%BE", ascii},         // Greek question mark, a semicolon
		{"/%C5%BFtories", ascii},        // long s
		{"/%E2%84%AA", ascii},           // Kelvin
		{"/%E2%84%80", ascii},           // a/c

		// Broken escapes.
		{"/%", "broken"}, {"/a%2", "broken"}, {"/%zz", "broken"}, {"/%2/b", "broken"}, {"/%u002e", "broken"}, {"/%%32%65", "broken"}, {"/a%2/%61", "broken"},

		// Too much of it.
		{"/" + strings.Repeat("a", maxPathLength), "too long"},
		{strings.Repeat("/a", maxSegments+1), "too many segments"},
		{strings.Repeat("/%61", maxSegments+1), "too many segments"},
	} {
		if got, why := judgedPath(c.escaped, slashesRefused, false); !strings.Contains(why, c.why) || why == "" {
			t.Errorf("path %.60q = %.60q, refused because %q, want %q", c.escaped, got, why, c.why)
		}
	}
}

// Where encoded slashes are data, so are other delimiters. What a second decoding would make
// another path of isn't.
func TestDelimitersThatAreData(t *testing.T) {
	for _, c := range []struct{ escaped, want string }{
		{"/join/%23room%3Ahs", "/join/%23room:hs"}, {"/a%3Fb=c/d", "/a%3Fb=c/d"}, {"/100%25", "/100%25"}, {"/100%25.txt", "/100%25.txt"}, {"/50%25%20off", "/50%25 off"},
		{"/a%25/41", "/a%25/41"}, {"/a%252Fb", ""}, {"/a%25%32%46b", ""}, {"/a%2561", ""}, {"/a%25u0041", ""}, {"/a%25U0041", ""}, {"/%3F%2F..", ""}, {"/a%3F.", ""}, {"/a#b", ""}, {"/a%3F%00", ""},
	} {
		if got, why := judgedPath(c.escaped, slashesData, false); got != c.want || (why == "") != (c.want != "") {
			t.Errorf("data: path %q = %q, %q, want %q", c.escaped, got, why, c.want)
		}
		for _, laxer := range []slashes{slashesRefused, slashesAllowed} {
			if got, why := judgedPath(c.escaped, laxer, false); why == "" {
				t.Errorf("encoded_slash %s: path %q passed as %q", slashWords[laxer], c.escaped, got)
			}
		}
	}
}

// An API may need slashes and semicolons in its names. That opens nothing else.
func TestEncodedSlashAndSemicolonAllowed(t *testing.T) {
	for _, c := range []struct {
		escaped          string
		slash, semicolon string // the path, or "" for refused
	}{
		{"/a%2Fb/c", "/a/b/c", ""},
		{"/a%2fb", "/a/b", ""},
		{"/get/https%3A%2F%2Fexample.com%2Fx", "/get/https://example.com/x", ""},
		{"/lib%2F.hidden", "/lib/.hidden", ""},
		{"/a%2F", "/a/", ""},
		{"/%2Fa", "", ""}, // an authority
		{"/%2F", "", ""},
		{"/%2F%2Fevil.example", "", ""},
		{"/queues/%2F/q1", "/queues///q1", ""}, // RabbitMQ's default
		{"/vhosts/%2Fprod", "/vhosts//prod", ""},
		{"/@scope%2fname", "/@scope/name", ""},
		{"/a/%2F..", "", ""},
		{"/a/%2F../b", "", ""},
		{"/a/%2F%2E/b", "", ""},
		{"/a/%2F..%2Fadmin", "", ""},
		{"/a/%2F%20", "", ""},
		{"/a/%2F%5C", "", ""},
		{"/a/%2F%01", "", ""},
		{"/a/b%01c", "", ""},
		{"/a/%2F;b", "", ""},
		{"/a//%2F", "", ""},
		{"/a%2F..%2Fb", "", ""},
		{"/a%2F%2e%2e%2fb", "", ""},
		{"/..%2Fb", "", ""},
		{"/a%2F.", "", ""},
		{"/a%2F.%2Fb", "", ""},
		{"/a%2F..%20%2Fb", "", ""},
		{"/a%2F%20b", "", ""},
		{"/a%5Cb", "", ""},
		{"/a%252Fb", "", ""},
		{"/a%2Fb%00", "", ""},
		{"/a%EF%BC%8Fb", "", ""},
		{"//a", "", ""},
		{"/a;b", "", "/a;b"},
		{"/a;b=c;d=e/f", "", "/a;b=c;d=e/f"},
		{"/a%3Bb", "", "/a;b"},
		{"/a;", "", "/a;"},
		{"/..;/b", "", ""},
		{"/..;a=b/c", "", ""},
		{"/.;/b", "", ""},
		{"/%2e%2e;/b", "", ""},
		{"/a/..%3b/c", "", ""},
		{"/a;..", "", ""},
		{"/a;..;b", "", ""},
		{"/;a", "", ""},
		{"/;", "", ""},
		{"/a%20;b", "", ""},
		{"/a%2Fb;c", "", ""}, // needs both
	} {
		for _, v := range []struct {
			name      string
			want      string
			encoded   slashes
			semicolon bool
		}{{"encoded_slash allow", c.slash, slashesAllowed, false}, {"encoded_slash data", c.slash, slashesData, false}, {"semicolon allow", c.semicolon, slashesRefused, true}, {"neither", "", slashesRefused, false}} {
			got, why := judgedPath(c.escaped, v.encoded, v.semicolon)
			if v.encoded == slashesData {
				got = strings.ReplaceAll(got, "%2F", "/")
			}
			if got != v.want || (why == "") != (v.want != "") {
				t.Errorf("%s: path %q = %q, %q, want %q", v.name, c.escaped, got, why, v.want)
			}
		}
	}

	// With both allowed, either may hide what the other splits at.
	for _, c := range []struct {
		escaped string
		pass    bool
	}{
		{"/a%2Fb;c", true}, {"/a;b%2Fc", true}, {"/a/%2Fb;c", true}, {"/a/%2F;c", false}, {"/a/;%2Fc", false},
		{"/a%2F..;b%2Fc", false}, {"/a%2F..;/c", false}, {"/a;%2F..%2Fb", false}, {"/a%2F;b%2Fc", false}, {"/a;b%2F..;c%2Fd", false},
	} {
		if _, why := judgedPath(c.escaped, slashesAllowed, true); (why == "") != c.pass {
			t.Errorf("both allowed: path %q refused because %q, want passed %v", c.escaped, why, c.pass)
		}
	}
}

// Every byte that may stand in a path is there for a reason.
func TestPathBytes(t *testing.T) {
	const unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" // RFC 3986 section 2.3
	const harmless = "!$&'()*+,=:@[]"                                                       // sub-delimiters but ; and what else pchar has, and brackets
	for c := range 256 {
		want := strings.IndexByte(unreserved+harmless, byte(c)) >= 0
		if _, why := judgedPath(fmt.Sprintf("/x%cy", rune(c)), slashesRefused, false); c < 0x80 && c != '/' && (why == "") != want {
			t.Errorf("raw byte %#x: refused because %q, want passed %v", c, why, want)
		}
		if _, why := judgedPath("/x"+string([]byte{byte(c)})+"y", slashesRefused, false); c >= 0x80 && why == "" {
			t.Errorf("raw byte %#x passes", c)
		}
	}
}
