// Package rest is what patgate's two JSON interfaces have in common, the
// management API on Caddy's admin endpoint and that of the console: how requests
// are read, what is answered, and in which shapes.
package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// MaxBody bounds the body of a request, in bytes. It is above every request that
// can be granted: what a token keeps is at most a quarter of it.
const MaxBody = 4 << 20

// ReadBody reads a request's body, without the blanks around it. Errors are Problems.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, BodyProblem(err)
	}
	return bytes.TrimSpace(body), nil
}

// Answer answers a request with v as JSON. The error is that of encoding it.
func Answer(w http.ResponseWriter, contentType string, status int, v any) error {
	var body bytes.Buffer
	if err := Print(&body, v); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	Header(w, contentType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	body.WriteTo(w) // fails if the client has gone
	return nil
}

// Header sets what every answer has.
func Header(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// Print writes v as one line of JSON.
func Print(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
