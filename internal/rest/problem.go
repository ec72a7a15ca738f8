package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

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

// Refuse returns the problem with this status and these words for the client. Secrets are
// masked: the client may have put one where it doesn't belong.
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

// BodyProblem says why a body could not be read.
func BodyProblem(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return Refuse(http.StatusRequestEntityTooLarge, "the request is larger than %d bytes", tooLarge.Limit)
	}
	return Refuse(http.StatusBadRequest, "reading the request: %v", err)
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

// RetryAfter says after how long a request that can't be granted now may be sent again,
// in whole seconds; 0: that isn't known.
func RetryAfter(w http.ResponseWriter, wait time.Duration) {
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
}

// AnswerProblem answers a request that can't be granted.
func AnswerProblem(w http.ResponseWriter, p *Problem) error {
	return Answer(w, "application/problem+json", p.Status, p)
}
