package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/patgate/patgate/internal/mask"
	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// explanation is what explain answers: what the policy makes of a request, and
// the token it was judged with.
type explanation struct {
	// Request is what was asked about, and Headers those it came with: both
	// without secrets. Removed are those that neither the gate nor the upstream sees.
	Request string   `json:"request"`
	Headers []string `json:"headers,omitempty"`
	Removed []string `json:"removed,omitempty"`
	// Policy is whose it was; nil: the one that was asked for it.
	Policy *policySource `json:"policy,omitempty"`
	// Rewritten says that something before the gate rewrites requests: the one asked about
	// is taken as the gate gets it.
	Rewritten bool `json:"rewritten,omitempty"`

	policy.Explanation
	Token *token.View  `json:"token"` // null: judged without one
	Owner *token.Owner `json:"owner"` // of the token; null: has no record
}

// question is a request that is to be explained.
type question struct {
	request *http.Request
	in      *explainRequest // what it is made of
	asked   bool            // a proxy asks about it, by patgate_authorize
	from    netip.Addr      // where it comes from; invalid: nowhere, and every token may be used there

	// The token it is to be judged with: a known one, or what is wrong with it. Where
	// none is given, find looks up the one that the request carries; nil: it isn't.
	given   bool
	find    func(secret string) error
	view    *token.View
	owner   *token.Owner
	subject policy.Subject
	refused policy.Reason
}

// newQuestion makes the request that is asked about.
func newQuestion(in *explainRequest) (q question, err error) {
	u, err := url.ParseRequestURI(in.URL)
	if err != nil {
		path, _, _ := strings.Cut(in.URL, "?") // after it, there may be a secret
		return q, fmt.Errorf("URL %s: want a path such as /v1/spaces/1/stories, or a whole URL", path)
	}
	q.in = in
	q.request = &http.Request{Method: in.Method, URL: u, Host: u.Host, Header: http.Header{}}
	for name, values := range in.Headers {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return q, fmt.Errorf("header %q: want a name without blanks, as X-Space", name)
		case slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }):
			return q, fmt.Errorf("header %s: want a value in one line, without control characters", name)
		case strings.EqualFold(name, "host") && len(values) == 1:
			q.request.Host = values[0]
		default:
			canonical := http.CanonicalHeaderKey(name)
			q.request.Header[canonical] = append(q.request.Header[canonical], values...)
		}
	}
	if in.Address != "" {
		if q.from, err = netip.ParseAddr(in.Address); err != nil {
			return q, fmt.Errorf("address %s: want an IP address", in.Address)
		}
	}
	return q, nil
}

// site returns what names the site that is meant, or "": what was said of it, or the host
// the request is for, with the port as far as it is known.
func (q *question) site() string {
	return cmp.Or(q.in.Site, withPort(q.request.Host, q.request.URL.Scheme))
}

// withPort returns a host with the port that URLs with the scheme have, if it has none.
func withPort(host, scheme string) string {
	u := url.URL{Host: host}
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	if host == "" || u.Port() != "" || port == "" {
		return host
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// with has the request judged with a token. owner is its owner's record, or nil.
func (q *question) with(v *token.View, owner *token.Owner) {
	q.given, q.view, q.owner = true, v, owner
	q.subject = policy.Subject{
		ID: policy.NewID(v.ID), Owner: policy.NewOwner(v.Owner, owner), Grants: policy.NewGrants(v.Grants), Revoked: v.RevokedAt != nil,
	}
	if v.ExpiresAt != nil {
		q.subject.Expires = policy.UnixNano(*v.ExpiresAt)
	}
	if len(v.AllowedIPs) > 0 && q.from.IsValid() {
		q.subject.Allowed = &v.AllowedIPs
	}
}

// without has the request judged with a secret that is no token's, if that is why the
// lookup failed.
func (q *question) without(lookup error) bool {
	reason, ok := noToken(lookup)
	if ok {
		q.given, q.refused = true, reason
	}
	return ok
}

// noToken returns the reason that the gate has for a secret that is no token's, if that
// is what a lookup has failed for: the registry's, or one over the admin endpoint, whose
// answer has the reason.
func noToken(lookup error) (reason policy.Reason, ok bool) {
	if denied, ok := errors.AsType[*registry.Denied](lookup); ok {
		return denied.Reason, true
	}
	if p, ok := errors.AsType[*rest.Problem](lookup); ok {
		for _, r := range policy.Reasons() {
			if r.String() == p.Reason {
				return r, true
			}
		}
	}
	return 0, false
}

// judge has the last word on a request with a token.
func (q *question) judge(m *policy.Match) policy.Reason {
	if !q.given {
		if err := q.find(m.Secret); err != nil {
			return policy.StoreUnavailable
		}
	}
	if q.view == nil {
		return q.refused
	}
	return m.Decide(&q.subject, time.Now(), q.from)
}

// explain judges the request as the gate does.
func (h *Handler) explain(q *question) explanation {
	var e explanation
	shown := mask.New(h.policy.Credentials(), h.policy.Prefix)
	e.Request, e.Headers = q.masked(shown)
	sent := slices.Sorted(maps.Keys(q.request.Header))
	h.cleanHeader(q.request)
	e.Removed = slices.DeleteFunc(sent, func(name string) bool { return q.request.Header[name] != nil })
	req := policy.NewRequest(q.request)
	req.Asked = q.asked
	var judge func(*policy.Match) policy.Reason
	waived, beyond := false, false
	if q.given || q.find != nil {
		judge = func(m *policy.Match) policy.Reason {
			reason := q.judge(m)
			beyond = reason.Status() == http.StatusForbidden && q.view != nil && m.Beyond(&q.subject) && m.Lacks(&q.subject)
			if waived = reason == policy.TokenUnknown && time.Now().Before(h.unknownUntil); waived {
				return policy.Forward
			}
			return reason
		}
	}
	e.Explanation = h.policy.Explain(&req, q.given, judge)
	e.Token, e.Owner = q.view, q.owner
	if q.view == nil && e.Decision == policy.TokenRevoked.String() {
		e.Detail = registry.ErrRetired.Error() // else there is a token to show
	}
	if waived {
		e.Detail = "the token isn't known, and such are forwarded until " + h.UnknownTokenUntil
	}
	if beyond {
		e.Detail += "; nor would its owner's record allow it, whatever the token held"
	}
	e.Method, e.Path = shown.Text(e.Method), shown.Text(e.Path)
	for _, v := range []*policy.LocatedValue{e.Space, e.Resource} {
		if v != nil {
			v.Value = shown.Text(v.Value)
		}
	}
	return e
}

// masked returns what was asked about as it can be shown to anyone.
func (q *question) masked(shown *mask.Mask) (request string, headers []string) {
	for _, name := range slices.Sorted(maps.Keys(q.in.Headers)) {
		for _, value := range q.in.Headers[name] {
			if shown.Header(name) {
				value = mask.Redacted
			}
			headers = append(headers, shown.Text(name)+": "+shown.Text(value))
		}
	}
	return shown.Text(q.request.Method) + " " + shown.URL(q.in.URL), headers
}
