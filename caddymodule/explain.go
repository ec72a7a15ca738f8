package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// explanation is what explain answers: what the policy makes of a request, and
// the token it was judged with.
type explanation struct {
	policy.Explanation
	Token *token.View  `json:"token"` // null: judged without one
	Owner *token.Owner `json:"owner"` // of the token; null: has no record
}

// question is a request that is to be explained.
type question struct {
	request *http.Request
	from    netip.Addr // where it comes from; invalid: nowhere, and every token may be used there

	// The token it is to be judged with: a known one, or what is wrong with it.
	given   bool
	view    *token.View
	owner   *token.Owner
	subject policy.Subject
	refused policy.Reason
}

// newQuestion makes the request that is asked about. Each header is a name and
// its values.
func newQuestion(method, target string, headers http.Header, from string) (q question, err error) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return q, fmt.Errorf("URL %s: want a path such as /v1/spaces/1/stories, or a whole URL", target)
	}
	q.request = &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{}}
	for name, values := range headers {
		switch {
		case !policy.PlainHeaderName(name):
			return q, fmt.Errorf("header %q: want a name of letters, digits and hyphens", name)
		case strings.EqualFold(name, "host") && len(values) == 1:
			q.request.Host = values[0]
		default:
			q.request.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if from != "" {
		if q.from, err = netip.ParseAddr(from); err != nil {
			return q, fmt.Errorf("address %s: want an IP address", from)
		}
	}
	return q, nil
}

// host returns the host the request is for, without a port, or "".
func (q *question) host() string {
	u := url.URL{Host: q.request.Host}
	return u.Hostname()
}

// with has the request judged with a token. owner is its owner's record, or nil.
func (q *question) with(v *token.View, owner *token.Owner) {
	q.given, q.view, q.owner = true, v, owner
	q.subject = policy.Subject{
		ID: policy.NewID(v.ID), Owner: policy.NewOwner(v.Owner, owner), Grants: policy.NewGrants(v.Grants), Revoked: v.RevokedAt != nil,
	}
	if v.ExpiresAt != nil {
		q.subject.Expires = policy.Unix(*v.ExpiresAt)
	}
	if len(v.AllowedIPs) > 0 && q.from.IsValid() {
		q.subject.Allowed = &v.AllowedIPs
	}
}

// judge has the last word on a request with a token.
func (q *question) judge(m *policy.Match) policy.Reason {
	if q.view == nil {
		return q.refused
	}
	return m.Decide(&q.subject, time.Now(), q.from)
}

// explain judges the request as the gate does.
func (h *Handler) explain(q *question) explanation {
	h.cleanHeader(q.request.Header)
	req, why := policy.NewRequest(q.request)
	if why != "" {
		reason := policy.AmbiguousRequest
		return explanation{policy.Explanation{Method: q.request.Method, Decision: reason.String(), Status: reason.Status(), Detail: why}, q.view, q.owner}
	}
	var judge func(*policy.Match) policy.Reason
	if q.given {
		judge = q.judge
	}
	return explanation{h.policy.Explain(&req, judge), q.view, q.owner}
}
