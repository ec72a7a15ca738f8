// Package rest is what patgate's two JSON interfaces have in common, the
// management API on Caddy's admin endpoint and that of the console: how requests
// are read, what is answered, and in which shapes.
package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// Problem is the answer to a request that can't be granted (RFC 9457).
type Problem policy.Problem

// ProblemType is the URI of a kind of problem, but for a reason's name at its end.
const ProblemType = "urn:patgate:problem:"

// Error implements error, so that what serves a request can return it.
func (p *Problem) Error() string { return p.Detail }

// Refuse returns the problem with this status and these words for the client, who may
// have put a secret where it doesn't belong.
func Refuse(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: token.Masked(fmt.Sprintf(format, args...))}
}

// ProblemOf returns the problem that err is. known is false for an error that is
// neither a Problem nor a refusal of the registry: then it is the store's.
func ProblemOf(err error) (p *Problem, known bool) {
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.Is(err, registry.ErrInvalid):
		return Refuse(http.StatusBadRequest, "%v", err), true
	case errors.Is(err, registry.ErrNotFound):
		return Refuse(http.StatusNotFound, "%v", err), true
	case errors.Is(err, registry.ErrForbidden):
		return Refuse(http.StatusForbidden, "%v", err), true
	case errors.Is(err, registry.ErrConflict):
		return Refuse(http.StatusConflict, "%v", err), true
	}
	return Refuse(http.StatusServiceUnavailable, "the token store can't do it: %v", err), false
}

// halfDone adds to a problem for which tokens the work was done nevertheless.
func (p *Problem) halfDone(done string, ids []string) *Problem {
	if len(ids) > 0 {
		p.Detail += "; " + done + " before that: " + strings.Join(ids, ", ")
	}
	return p
}

// MaxBody bounds the body of a request, in bytes. It is above every request that
// can be granted: what a token keeps is at most a quarter of it.
const MaxBody = 4 << 20

// Decode reads the request's body into v, strictly. An optional body may be
// absent. Errors are Problems or the registry's refusals.
func Decode(w http.ResponseWriter, r *http.Request, v any, optional bool) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return BodyProblem(err)
	}
	if body = bytes.TrimSpace(body); optional && len(body) == 0 {
		return nil
	}
	return registry.Decode(body, v)
}

// BodyProblem says why a body could not be read.
func BodyProblem(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return Refuse(http.StatusRequestEntityTooLarge, "the request is larger than %d bytes", tooLarge.Limit)
	}
	return Refuse(http.StatusBadRequest, "reading the request: %v", err)
}

// Params reads a query that may have the known parameters and no others, for a
// misspelt one would widen what is listed or deleted. A + behind a known name
// says that it may be repeated.
func Params(query string, known []string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, Refuse(http.StatusBadRequest, "the query can't be read: want name=value, joined with & and percent-encoded")
	}
	for name, given := range values {
		switch {
		case slices.Contains(known, name+"+"):
		case !slices.Contains(known, name):
			return nil, Refuse(http.StatusBadRequest, "unknown query parameter %q%s", name, knownParams(known))
		case len(given) > 1:
			return nil, Refuse(http.StatusBadRequest, "query parameter %q is given twice", name)
		}
	}
	return values, nil
}

func knownParams(known []string) string {
	names := strings.ReplaceAll(strings.Join(known, ", "), "+", "")
	switch len(known) {
	case 0:
		return "; there are none here"
	case 1:
		return "; there is " + names
	}
	return "; there are " + names
}

// Page returns the query parameters limit (0: not given) and cursor.
func Page(params url.Values) (limit int, cursor string, err error) {
	if s := params.Get("limit"); s != "" {
		limit, err = strconv.Atoi(s)
		if err != nil || limit < 1 || limit > registry.MaxLimit {
			return 0, "", Refuse(http.StatusBadRequest, "limit: %q; want 1 to %d", s, registry.MaxLimit)
		}
	}
	return limit, params.Get("cursor"), nil
}

// NotAllowed returns the problem of a request that no pattern of mux matches, but
// would with another method, and sets Allow; nil: nothing is at its path.
func NotAllowed(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) *Problem {
	var methods []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			methods = append(methods, method)
		}
	}
	if len(methods) == 0 {
		return nil
	}
	allowed := strings.Join(methods, ", ")
	w.Header().Set("Allow", allowed)
	return Refuse(http.StatusMethodNotAllowed, "%s is not possible here, but %s", r.Method, allowed)
}

// AnswerProblem answers a request that can't be granted.
func AnswerProblem(w http.ResponseWriter, p *Problem) error {
	return Answer(w, "application/problem+json", p.Status, p)
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
	body.WriteTo(w) // a client that is gone is no matter
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
