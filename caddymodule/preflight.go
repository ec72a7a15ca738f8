package caddymodule

import (
	"io"
	"net/http"
)

// bodiless is the ResponseWriter of a CORS preflight, which is forwarded without a
// token. The question is answered by the header (Fetch standard, section 4.8), and
// nobody reads a body: an API that doesn't look at the method would answer with what
// only a token opens.
type bodiless struct{ *headWriter }

// withoutBody takes out of a header what is said of the body.
func withoutBody(status int, h http.Header) int {
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Trailer"} {
		h.Del(name)
	}
	return status
}

// Write drops p.
func (b bodiless) Write(p []byte) (int, error) {
	b.begin()
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom.
func (b bodiless) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}
