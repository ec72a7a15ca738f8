package policy

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The path that was sent is judged as FastCGI programs are told it.
func TestJudgeOriginal(t *testing.T) {
	p := compile(t, Config{})
	for _, c := range []struct {
		u       url.URL
		refused bool
	}{
		{url.URL{Path: "/a/b"}, false},
		{url.URL{Path: ""}, false},
		{url.URL{Path: "", RawPath: "/a/../b"}, false}, // not what is told
		{url.URL{Path: "/Acme Inc./b"}, false},
		{url.URL{Path: "/a/../b"}, true},
		{url.URL{Path: "*"}, true},
		{url.URL{Scheme: "x", Opaque: "v1/admin"}, true},
		{url.URL{Scheme: "x"}, true},
		{url.URL{Scheme: "http", Host: "b.test"}, false},
	} {
		if why := p.JudgeOriginal(&c.u); (why != "") != c.refused {
			t.Errorf("%q: refused because %q, want it refused: %v", c.u.RequestURI(), why, c.refused)
		}
	}
}

// What net/http makes of a request line is judged as it would be forwarded.
func TestNewRequest(t *testing.T) {
	for _, c := range []struct{ target, path, why string }{
		{"/a/b?c=d", "/a/b", ""},
		{"/a%2Fb", "/a%2Fb", ""},
		{"/%61", "/%61", ""},
		{"/a;b", "/a;b", ""},
		{"//a", "//a", ""},
		{"/a/../b", "/a/../b", ""},
		{"/caf%C3%A9", "/caf%C3%A9", ""},
		{"http://api.example.com/a%2fb", "/a%2fb", ""},
		{"http://api.example.com", "/", ""},
		{"http://api.example.com?a=b", "/", ""},
		{"x:?a=b", "", ""},
		{"*", "*", ""},
		{"x:v1/admin", "", "not a path"},
		{"http://u:p@api.example.com/a", "", "user name"},
		{"http://u@api.example.com/a", "", "user name"},
		{"/a|b", "", "belongs percent-encoded"},
		{"/a%2F..%2Fb|", "", "belongs percent-encoded"},
		{`/a\b`, "", "belongs percent-encoded"},
		{"/a#b", "", "belongs percent-encoded"},
		{"/caf\xe9", "", "belongs percent-encoded"},
		{"/a\"b", "", "belongs percent-encoded"},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + c.target + " HTTP/1.1\r\nHost: h\r\n\r\n")))
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
			continue
		}
		req := NewRequest(r)
		why := req.Refused
		if (why != "" || req.Path != c.path) && (c.why == "" || !strings.Contains(why, c.why)) || (why == "") != (c.why == "") {
			t.Errorf("%s: path %q, refused because %q, want %q, %q", c.target, req.Path, why, c.path, c.why)
		}
		if sent, _, _ := strings.Cut(r.URL.RequestURI(), "?"); why == "" && req.Path != "" && (r.URL.EscapedPath() != req.Path || sent != req.Path) {
			t.Errorf("%s: path %q is judged, %q is left for others, %q is sent", c.target, req.Path, r.URL.EscapedPath(), sent)
		}
	}
	for host, refused := range map[string]bool{
		"api.test": false, "api.test:80": false, "[fe80::1]:80": false, "%61pi.test": true, "api%2etest": true, "[fe80::1%25eth0]:80": true,
	} {
		if req := NewRequest(&http.Request{Method: "GET", URL: &url.URL{Path: "/a"}, Host: host, ProtoMajor: 1}); (req.Refused != "") != refused {
			t.Errorf("host %s: refused because %q, want it refused: %v", host, req.Refused, refused)
		}
	}
	for body, want := range map[string]bool{
		"Content-Length: 1\r\n\r\nx": true, "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": true, "Content-Length: 0\r\n\r\n": false, "\r\n": false,
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: h\r\n" + body)))
		if err != nil {
			t.Fatal(err)
		}
		if req := NewRequest(r); req.Body != want {
			t.Errorf("%q: Body = %v, want %v", body, req.Body, want)
		}
	}
}
