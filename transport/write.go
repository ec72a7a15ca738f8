package transport

import (
	"bufio"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// write writes a request that Takes has taken: what http.Request.Write would,
// but for the order of fields of different names, which means nothing (RFC 9110
// section 5.3) and which that one sorts.
func write(w *bufio.Writer, r *http.Request) error {
	w.WriteString(r.Method)
	w.WriteByte(' ')
	w.WriteString(r.URL.RequestURI())
	w.WriteString(" HTTP/1.1\r\n")
	writeField(w, "Host", host(r))
	if agent := r.Header.Get("User-Agent"); agent != "" { // empty: none is to be sent
		writeField(w, "User-Agent", agent)
	}
	for name, values := range r.Header {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // known from elsewhere, or nothing to say without a body
		}
		for _, v := range values {
			writeField(w, name, v)
		}
	}
	w.WriteString("\r\n")
	return w.Flush() // has the first error of all of them
}

func writeField(w *bufio.Writer, name, value string) {
	w.WriteString(name)
	w.WriteString(": ")
	w.WriteString(textproto.TrimString(value))
	w.WriteString("\r\n")
}

// host returns the host that a request is for.
func host(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// writable reports whether all that write takes from a request can be sent as it
// is. What can't is left to net/http, which has the rules, and the words, for it;
// and which names itself in a request that doesn't name its client.
func writable(r *http.Request) bool {
	if _, named := r.Header["User-Agent"]; !named || r.URL.Opaque != "" || !plainHost(host(r)) || strings.ContainsFunc(r.URL.RawQuery, endsLine) {
		return false
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return false
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return false
			}
		}
	}
	return true
}

// plainHost reports whether a host can be sent as it is: it isn't an IDNA name,
// nor an address with a zone.
func plainHost(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(".-_:[]", c))
	})
}

// endsLine reports whether a query with this character would end the request's target,
// or its line.
func endsLine(c rune) bool { return c <= ' ' || c == 0x7f }
