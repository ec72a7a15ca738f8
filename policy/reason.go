package policy

import "net/http"

// Reason is why a request is forwarded or turned away. Its names are part of
// the outside: of problem bodies, placeholders, logs and metrics.
type Reason uint8

// The outcomes of a request.
const (
	Forward Reason = iota
	AmbiguousRequest
	TokenMissing
	TokenMalformed
	TokenUnknown
	TokenExpired
	TokenRevoked
	OwnerDisabled
	AddressNotAllowed
	ScopeMissing
	SpaceNotGranted
	ResourceNotGranted
	RouteUnknown
	RouteNever
	TooManyUnknownTokens
	StoreUnavailable
	reasonCount
)

// Reasons returns all of them, Forward first.
func Reasons() []Reason {
	all := make([]Reason, reasonCount)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

var reasons = [reasonCount]struct {
	name   string
	status int
	detail string
}{
	Forward:              {"forward", http.StatusOK, ""},
	AmbiguousRequest:     {"ambiguous_request", http.StatusBadRequest, "the request can be read in two ways"},
	TokenMissing:         {"token_missing", http.StatusUnauthorized, "a personal access token is needed"},
	TokenMalformed:       {"token_malformed", http.StatusUnauthorized, "the token is malformed: it was cut off or mistyped"},
	TokenUnknown:         {"token_unknown", http.StatusUnauthorized, "the token is not known"},
	TokenExpired:         {"token_expired", http.StatusUnauthorized, "the token has expired"},
	TokenRevoked:         {"token_revoked", http.StatusUnauthorized, "the token was revoked"},
	OwnerDisabled:        {"owner_disabled", http.StatusUnauthorized, "the token's owner is disabled"},
	AddressNotAllowed:    {"address_not_allowed", http.StatusUnauthorized, "the token may not be used from this address"},
	ScopeMissing:         {"scope_missing", http.StatusForbidden, "the token lacks the scope that is needed"},
	SpaceNotGranted:      {"space_not_granted", http.StatusForbidden, "the token is not granted for this space"},
	ResourceNotGranted:   {"resource_not_granted", http.StatusForbidden, "the token is not granted for this resource"},
	RouteUnknown:         {"route_unknown", http.StatusForbidden, "no token opens this path with this method"},
	RouteNever:           {"route_never", http.StatusForbidden, "no token is accepted here"},
	TooManyUnknownTokens: {"too_many_unknown_tokens", http.StatusTooManyRequests, "too many unknown tokens came from this address"},
	StoreUnavailable:     {"store_unavailable", http.StatusServiceUnavailable, "tokens can't be checked at the moment"},
}

// String returns the reason's name, such as "scope_missing".
func (r Reason) String() string { return reasons[r].name }

// Status returns the HTTP status a request is answered with for this reason.
func (r Reason) Status() int { return reasons[r].status }

// Detail returns one sentence for the person who sent the request.
func (r Reason) Detail() string { return reasons[r].detail }
