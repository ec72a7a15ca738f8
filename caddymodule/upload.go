package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// upload is the body of a request over HTTP/1, which the next request follows.
//
// What nobody has read of it must not be taken for that next request. net/http sees to
// it, but no longer where Caddy has put a reader of its own in the body's place, as it
// does to end stalled uploads: then a proxy that closes the body, because the API has
// answered early, leaves the rest to be read as a request (golang.org/issue/11930).
//
// When an answer begins, net/http also reads on by itself, up to 256 KiB, and drops what
// it gets. Of a body of unknown length the API would then be sent what comes after the gap.
// With full duplex it leaves the body alone.
type upload struct {
	io.ReadCloser
	w      http.ResponseWriter // net/http's
	length int64               // -1: unknown
	waits  bool                // to be asked for (100-continue)
	got    atomic.Int64
	ended  atomic.Bool // read to its end
}

// takeIn makes the request's body arrive without gaps, and keeps what is left of it from
// being taken for the next request. It returns nil where there is no body, or no next
// request. end must be called when the request has been served.
func takeIn(w http.ResponseWriter, r *http.Request) *upload {
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength < 0 {
		_ = http.NewResponseController(w).EnableFullDuplex() // net/http has it for HTTP/1
	}
	u := &upload{ReadCloser: r.Body, w: innermost(w), length: r.ContentLength, waits: r.Header["Expect"] != nil}
	r.Body = u
	return u
}

// dropBody takes a body out of a request in which it means nothing (HEAD: RFC 9110 section
// 9.3.2). evhttp of libevent doesn't expect one there, and takes it for the next request on
// the connection, which nobody has judged.
func dropBody(r *http.Request) {
	if r.ContentLength != 0 {
		r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
		r.Header.Del("Content-Length")
		r.Header.Del("Expect")
	}
}

// fullDuplex reports whether Caddy is told to use full duplex for all requests.
func fullDuplex(r *http.Request) bool {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return server != nil && server.EnableFullDuplex
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.got.Add(int64(n))
	if err == io.EOF {
		u.ended.Store(true)
	}
	return n, err
}

// end has the connection closed after the answer if something of the body is left, unless
// it is so little that it is read instead. If the answer hasn't begun, its header says so.
// A request that isn't answered yet may go to error routes, which get the rest of the body,
// too.
func (u *upload) end(answered bool) {
	if answered && u.length > 0 && u.length-u.got.Load() <= maxDrained && !u.waits {
		_, _ = io.Copy(io.Discard, u)
	}
	if !u.ended.Load() {
		// net/http closes it, and so that the client gets the answer, when a limit is passed.
		limited := http.MaxBytesReader(u.w, io.NopCloser(strings.NewReader("x")), 0)
		_, _ = limited.Read(make([]byte, 1))
	}
}
