package policy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An explanation names the option that admits what is refused, and the problem body
// doesn't: it isn't the client's to switch.
func TestExplainOption(t *testing.T) {
	condition := routes("GET /x public", "GET /x?a=1 any", "GET /p/{x} public", "GET /p/a/b any")
	for _, c := range []struct{ option, target, want string }{
		{"", "/x%2Fy", "encoded_slash allow"}, {"", "/x;y", "semicolon allow"}, {"", "/x%3By", "semicolon allow"}, {"", "/x?b;c", "semicolon allow"},
		{"", "/x?/y%2Fz", "encoded_slash allow"}, {"", "/x%5Cy", ""}, {"", "/x/..", ""}, {"", "/x?b=%zz", ""}, {"", "/x", ""}, {"", "/y", ""},
		{"allow", "/p/a%2Fb", "encoded_slash data"}, {"allow", "/x%2Fy", ""}, {"", "/x%3Fy", "encoded_slash data"}, {"allow", "/x%23y", "encoded_slash data"}, {"", "/100%25", "encoded_slash data"}, {"", "/x%2561", ""}, {"allow", "/x;y", ""}, {"allow", "/x?b;c", ""}, {"allow", "/x?b;a=1", ""},
	} {
		p := compile(t, Config{Default: "deny", EncodedSlash: c.option, Semicolon: c.option, Routes: condition})
		e := p.Explain(request("GET "+c.target), false, nil)
		if e.Option != c.want {
			t.Errorf("GET %s, options %q: %s (%s), and option %q, want %q", c.target, c.option, e.Decision, e.Detail, e.Option, c.want)
		}
		if refused := e.Decision == AmbiguousRequest.String(); c.want != "" && !refused {
			t.Errorf("GET %s: %s, want it refused", c.target, e.Decision)
		}
	}
}

// An explanation shows which slashes are data.
func TestExplainSlashesThatAreData(t *testing.T) {
	p := compile(t, Config{Default: "deny", EncodedSlash: "data", Routes: routes("GET /vhosts/{space}/{x} public", "GET /vhosts/{space}/me never")})
	if e := p.Explain(request("GET /vhosts/%2f/a%2Fb/"), false, nil); e.Path != "/vhosts/%2F/a%2Fb" || e.Space == nil || e.Space.Value != "/" {
		t.Errorf("path %q, space %v", e.Path, e.Space)
	}
	if e := p.Explain(request("GET /vhosts/a%3fb/100%25%23"), false, nil); e.Path != "/vhosts/a%3Fb/100%25%23" || e.Space == nil || e.Space.Value != "a?b" {
		t.Errorf("path %q, space %v", e.Path, e.Space)
	}
	if e := p.Explain(request("GET /vhosts/%2F/me(a%2Fb)"), false, nil); !strings.HasSuffix(e.Detail, `: "me(a/b)"`) {
		t.Errorf("a piece: %q", e.Detail)
	}
}

// An explanation says by which rule some server finds another route, and for what in the
// path: as much of it as is no secret.
func TestExplainOtherRoute(t *testing.T) {
	p := compile(t, Config{Default: "deny", EncodedSlash: "allow", Semicolon: "allow", Routes: routes("GET /users/me never", "GET /users/{id} public", "GET /users/{id}/{tab} public", "GET /users/{id}/{tab}/{x} public",
		"GET /page/1 never", "GET /page/{n} public", "POST /page/{n} public", "DELETE /page/{n} never", "GET /page/{n}/{tab}/x never", "GET /files/* public", "GET /files/top/* never", "GET /files/a-rather-long-name never", "GET / public", "GET /x/{a} public", "GET /x never", "GET /{any}/zz public")})
	for target, want := range map[string]string{
		"GET /users/ME":                   `, for they take a name for another one: "ME"`,
		"GET /users/me.json":              `, for they take a name for another one: "me.json"`,
		"GET /files/A-rather-long-name.x": `, for they take a name for another one: "A-rather-long-n…"`,
		"GET /files/a%C2%AD":              "",
		"GET /page/01":                    `, for they read numbers in other spellings: "01"`,
		"GET /files/top":                  ", for what is mounted at a path takes the path itself there",
		"GET /users/m%65/x/y":             "",
		"GET /users/me%20x":               `, for they cut it at a blank: "me x"`,
		"GET /users/me&x":                 `, for they cut it at an ampersand: "me&x"`,
		"GET /x/&y":                       `, for they cut it at an ampersand: "&y"`,
		"GET /users/me;x":                 `, for they take a name for another one: "me;x"`,
		"GET /x;y/zz":                     ", for they cut it at a semicolon",
		"GET /page/a%2Fb%2Fx":             ", for they split it at encoded slashes",
		"GET /x/index":                    `, for a name stands for that of its directory there: "index"`,
		"GET /x/__data.json":              `, for it is the data of another page there: "__data.json"`,
		"GET /files/x.php/x":              `, for a name is that of a program there, and what follows its argument: "x.php"`,
		"GET /?/x":                        ", for they route by the query",
		"POST /page/2?method=DELETE":      ", for they take the method from the query",
	} {
		e := p.Explain(request(target), false, nil)
		if why, refused := strings.CutPrefix(e.Detail, "some servers find the path on another route"); refused != (want != "") || refused && why != want {
			t.Errorf("%s: %q, want it to end in %q", target, e.Detail, want)
		}
	}
	p = compile(t, Config{Default: "deny", Routes: routes("GET /users/me any", "GET /users/{id} never")})
	if e := p.Explain(request("GET /users/m%65"), true, nil); !strings.HasSuffix(e.Detail, ", for they compare names before they decode them") {
		t.Errorf("an escape: %q", e.Detail)
	}
	r := request("GET /pages/users/me")
	r.Host = "a"
	p = compile(t, Config{Default: "public", Routes: routes("GET /users/me never")})
	if e := p.Explain(r, false, nil); !strings.HasSuffix(e.Detail, findsAfterHost) {
		t.Errorf("a short host: %q", e.Detail)
	}
}

// The character that belongs percent-encoded is named, if it can be shown.
func TestCharactersThatBelongEncoded(t *testing.T) {
	p := compile(t, Config{Default: "public", Routes: routes("GET /x?a=1 any")})
	for path, want := range map[string]string{
		"/a|b": "path ...: |", "/{x}": "path ...: {", `/a"b`: `path ...: "`, "/a%2Fb^": "path ...: ^", "/a\\b": `path ...: \`, "/a b": "path ...: a blank", "/é": "path ...: one that isn't ASCII", "/a\x01": "path ...: a control",
		"/x?a b": "query ...: a blank", "/x?a\x7f": "query ...: a control", "/x?a#b": "query ...: #",
	} {
		path, query, _ := strings.Cut(path, "?")
		want = "the " + strings.Replace(want, "...", "has a character that belongs percent-encoded", 1)
		if m := p.matched(&Request{Method: "GET", Path: path, Query: query}); m.Detail != want {
			t.Errorf("%q, ?%q: %q, want %q", path, query, m.Detail, want)
		}
		if u, err := url.ParseRequestURI(path); query == "" && err == nil { // what comes in over HTTP
			if why := NewRequest(&http.Request{Method: "GET", URL: u}).Refused; why != want {
				t.Errorf("%q over HTTP: %q, want %q", path, why, want)
			}
		}
	}
	if why := NewRequest(&http.Request{Method: "GET", URL: &url.URL{Path: "/a", RawPath: "/b"}}).Refused; !strings.Contains(why, "encoded form") {
		t.Errorf("a path that was changed: %q", why)
	}
}
