package caddymodule

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// bodiless is the ResponseWriter of a CORS preflight, which is forwarded without a
// token. The question is answered by the header (Fetch standard, section 4.8), and
// nobody reads a body: an API that doesn't look at the method would answer with what
// only a token opens.
type bodiless struct {
	*caddyhttp.ResponseWriterWrapper
	begun bool // the header has been written
}

// WriteHeader implements http.ResponseWriter.
func (b *bodiless) WriteHeader(status int) {
	if !b.begun {
		for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Trailer"} {
			b.Header().Del(name)
		}
	}
	b.begun = b.begun || status >= http.StatusOK
	b.ResponseWriterWrapper.WriteHeader(status)
}

// Write drops p.
func (b *bodiless) Write(p []byte) (int, error) {
	if !b.begun {
		b.WriteHeader(http.StatusOK)
	}
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom.
func (b *bodiless) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}

// FlushError is for http.ResponseController.
func (b *bodiless) FlushError() error {
	if !b.begun {
		b.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(b.ResponseWriter).Flush()
}
