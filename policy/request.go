package policy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Request is what a policy reads of a request.
type Request struct {
	Method string
	Path   string // escaped, as it is forwarded
	Query  string // raw, without ?
	Host   string
	Header http.Header
	Body   bool // it has one, as far as is known
	// WebSocket says that it asks for one by an extended CONNECT, and counts as a GET.
	WebSocket bool
	// Asked says that another proxy asks about a preflight and forwards it itself: then the
	// body of the answer can't be dropped.
	Asked bool
	// Refused says why it is refused in any case, because its target can be read in two
	// ways, or "".
	Refused string
}

// NewRequest returns what a policy reads of r. A path that is empty, after a rewrite or
// in the absolute form, becomes the root, also in r: so it is sent (RFC 9110 section 4.2.3),
// and later handlers must read the path that is judged.
func NewRequest(r *http.Request) Request {
	req := Request{
		Method: r.Method, Query: r.URL.RawQuery, Host: r.Host, Header: r.Header,
		// Over HTTP/3 nothing says that there is no body (-1), before its end has come.
		Body: r.ContentLength > 0 || r.ContentLength < 0 && r.ProtoMajor != 3,
	}
	// Over HTTP/2 and 3, a WebSocket begins so (RFC 8441, RFC 9220).
	if r.Method == http.MethodConnect && (slices.Equal(r.Header[ExtendedConnect], []string{"websocket"}) || r.ProtoMajor == 3 && r.Proto == "websocket") {
		req.Method, req.WebSocket = http.MethodGet, true
	}
	// What is forwarded is EscapedPath. Where it differs from the path that came
	// in, Go has encoded the decoded path anew: %2F has become a slash.
	req.Path = r.URL.EscapedPath()
	switch raw := r.URL.RawPath; {
	case r.Host == "" && r.ProtoMajor == 2:
		// Over HTTP/1.1 and 3 it doesn't come here. It would be sent with the upstream's own.
		req.Refused = "the request names no host (RFC 9113 section 8.3.1)"
	case strings.IndexByte(r.Host, '%') >= 0:
		// URL parsers decode it (WHATWG), and it would be the host of another site. In the zone
		// of an address, net/http removes it.
		req.Refused = "the host has a percent sign in it, and some servers decode what follows"
	case r.URL.Opaque != "":
		req.Refused = "the request target is not a path"
	case r.URL.User != nil:
		req.Refused = "the request target has a user name in it (RFC 9110 section 4.2.4)"
	case raw != "" && req.Path != raw:
		req.Refused = "the path isn't what its encoded form says"
		if odd := strings.IndexFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf || pathBytes[r] == refused }); odd >= 0 {
			req.Refused = belongsEncoded("path", raw[odd])
		}
	case isRoot(r.URL):
		req.Path, r.URL.Path = "/", "/"
	}
	return req
}

// isRoot reports whether a URL without a path means the root. One with a scheme and no host
// (x:?y) doesn't.
func isRoot(u *url.URL) bool {
	return u.Path == "" && u.Opaque == "" && (u.Scheme == "" || u.Host != "")
}

// JudgeOriginal returns why the path that a client sent is refused, if the request was
// rewritten before the gate, or "". FastCGI programs get to see it (REQUEST_URI).
func (p *Policy) JudgeOriginal(u *url.URL) (why string) {
	path := pathText{lenient: true} // segments that end in a dot are judged once they are routed
	sent := u.EscapedPath()
	if isRoot(u) {
		sent = "/" // as FastCGI programs see it
	}
	if why = path.parse(sent, p.encodedSlash, p.semicolon); why != "" {
		why += ", as it was before it was rewritten"
	}
	return why
}
