package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/patgate/patgate/registry"
)

// maxBody bounds the body of a request, in bytes. It is above every request that
// can be granted: what a token keeps is at most a quarter of it.
const maxBody = 4 << 20

// bodyTime is how long a client may take to send what is not an import.
const bodyTime = 10 * time.Second

// mayRead sets how long reading from the client may take from now on; 0: as long
// as it will. Caddy gives a whole request ten seconds, and net/http then ends
// what is under way, too: the context of a handler that takes longer.
func (c *adminCall) mayRead(d time.Duration) {
	var end time.Time
	if d > 0 {
		end = time.Now().Add(d)
	}
	// Where it can't be set, Caddy's stays.
	_ = http.NewResponseController(c.w).SetReadDeadline(end)
}

// decode reads the request's body into v, strictly. An optional body may be
// absent.
func (c *adminCall) decode(v any, optional bool) error {
	c.mayRead(bodyTime)
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	c.mayRead(0)
	if err != nil {
		return bodyProblem(err)
	}
	if body = bytes.TrimSpace(body); optional && len(body) == 0 {
		return nil
	}
	return registry.Decode(body, v)
}

// noBody refuses a body that says something: what it said would not be done.
func (c *adminCall) noBody() error {
	var nothing struct{}
	return c.decode(&nothing, true)
}

// bodyProblem says why a body could not be read.
func bodyProblem(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return problem(http.StatusRequestEntityTooLarge, "the request is larger than %d bytes", tooLarge.Limit)
	}
	return problem(http.StatusBadRequest, "reading the request: %v", err)
}

// queryParams reads a query that may have the known parameters and no others,
// for a misspelt one would widen what is listed or deleted.
func queryParams(query string, known []string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "the query can't be read: want name=value, joined with & and percent-encoded")
	}
	for name, given := range values {
		switch {
		case slices.Contains(known, name+"+"):
		case !slices.Contains(known, name):
			return nil, problem(http.StatusBadRequest, "unknown query parameter %q%s", name, knownParams(known))
		case len(given) > 1:
			return nil, problem(http.StatusBadRequest, "query parameter %q is given twice", name)
		}
	}
	return values, nil
}

func knownParams(known []string) string {
	if len(known) == 0 {
		return "; there are none here"
	}
	return "; there are " + strings.ReplaceAll(strings.Join(known, ", "), "+", "")
}

// page returns the query parameters limit (0: not given) and cursor.
func (c *adminCall) page() (limit int, cursor string, err error) {
	if s := c.param("limit"); s != "" {
		limit, err = strconv.Atoi(s)
		if err != nil || limit < 1 || limit > registry.MaxLimit {
			return 0, "", problem(http.StatusBadRequest, "limit: %q; want 1 to %d", s, registry.MaxLimit)
		}
	}
	return limit, c.param("cursor"), nil
}

// Error implements error: a problem is what the management API answers when it
// can't do what was asked.
func (p *Problem) Error() string { return p.Detail }

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// problemOf returns the problem that err is. One that is neither the request's
// nor made for the client is the store's, and is logged.
func (c *adminCall) problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, registry.ErrInvalid):
		return problem(http.StatusBadRequest, "%v", err)
	case errors.Is(err, registry.ErrNotFound):
		return problem(http.StatusNotFound, "%v", err)
	case errors.Is(err, registry.ErrConflict):
		return problem(http.StatusConflict, "%v", err)
	}
	if !errors.Is(err, context.Canceled) { // whoever asked went away
		c.app.logger.Error("the token store can't do what was asked of the management API", zap.Error(err))
	}
	return problem(http.StatusServiceUnavailable, "the token store can't do it: %v", err)
}

func answerProblem(w http.ResponseWriter, p *Problem) error {
	return answerJSON(w, "application/problem+json", p.Status, p)
}

// answerJSON answers a request, and returns nil.
func answerJSON(w http.ResponseWriter, contentType string, status int, v any) error {
	var body bytes.Buffer
	if err := printJSON(&body, v); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: fmt.Errorf("encoding the answer: %w", err)}
	}
	answerHeader(w, contentType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	body.WriteTo(w) // a client that is gone is no matter
	return nil
}

// answerHeader sets what every answer has.
func answerHeader(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}

// printJSON writes v as one line of JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
