package caddymodule

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// headWriter is a ResponseWriter that has the head of an answer looked at before it is
// sent, however the answer begins. Informational answers (1xx) are looked at, too.
type headWriter struct {
	*caddyhttp.ResponseWriterWrapper
	look func(status int, h http.Header) (send int) // may change the header; returns the status that is sent
	sent bool                                       // the head of the answer itself has been
}

func newHeadWriter(w http.ResponseWriter, look func(int, http.Header) int) *headWriter {
	return &headWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, look: look}
}

// WriteHeader implements http.ResponseWriter.
func (w *headWriter) WriteHeader(status int) {
	if !w.sent {
		status = w.look(status, w.Header())
		w.sent = status >= http.StatusOK || status == http.StatusSwitchingProtocols
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// begin sends the head, unless it has been sent.
func (w *headWriter) begin() {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
}

// Write implements http.ResponseWriter.
func (w *headWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements io.ReaderFrom.
func (w *headWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is for http.ResponseController.
func (w *headWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}
