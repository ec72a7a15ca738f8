package caddymodule

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
)

// reject turns a request away: with a body in the route's shape, or, where the server has
// error routes, by leaving the answer to them.
func (h *Handler) reject(w http.ResponseWriter, r *http.Request, o *outcome, retryAfter time.Duration) error {
	status := o.reason.Status()
	detail := o.detail
	if detail == "" {
		detail = o.reason.Detail()
	}
	header := w.Header()
	header["Cache-Control"] = noStore
	if retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((retryAfter+time.Second-1)/time.Second)))
	}
	if challenge := h.challenges.forReason(o, detail); len(challenge) > 0 {
		header["Www-Authenticate"] = challenge
	}
	if hasErrorRoutes(r) {
		return caddyhttp.Error(status, errors.New(detail))
	}
	p := policy.Problem{
		Type: rest.ProblemType + o.reason.String(), Title: http.StatusText(status), Status: status, Detail: detail, Reason: o.reason.String(),
	}
	if status == http.StatusForbidden {
		p.RequiredScope, p.Space = o.required, o.space
	}
	body := o.shape.Render(p)
	header["Content-Type"] = o.shape.ContentType()
	header["X-Content-Type-Options"] = noSniff
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// hasErrorRoutes reports whether the server has error routes, which then get
// patgate's rejections as they get those of Caddy's own handlers. Without them
// Caddy would answer with an empty body, and slowly.
func hasErrorRoutes(r *http.Request) bool {
	s, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && s != nil && s.Errors != nil && len(s.Errors.Routes) > 0
}

// challenges are the values of WWW-Authenticate (RFC 9110 section 11.6.1, RFC
// 6750 section 3).
type challenges struct {
	realm  string
	others []string // of the other schemes that tokens are taken from
}

func makeChallenges(p *policy.Policy) challenges {
	c := challenges{realm: `realm="` + p.Realm + `"`}
	for _, credential := range p.Credentials() {
		switch credential.Kind {
		case policy.Basic:
			c.others = append(c.others, "Basic "+c.realm+`, charset="UTF-8"`)
		case policy.Scheme:
			c.others = append(c.others, credential.Name+" "+c.realm)
		}
	}
	return c
}

// forReason returns the challenges for a rejection.
func (c *challenges) forReason(o *outcome, detail string) []string {
	var b strings.Builder
	b.WriteString("Bearer ")
	b.WriteString(c.realm)
	switch o.reason {
	case policy.TokenMissing:
	case policy.AmbiguousRequest:
		b.WriteString(`, error="invalid_request", error_description="` + quoted(detail) + `"`)
		return []string{b.String()}
	case policy.ScopeMissing, policy.SpaceNotGranted, policy.ResourceNotGranted:
		b.WriteString(`, error="insufficient_scope", error_description="` + quoted(detail) + `"`)
		if o.scope != "" {
			b.WriteString(`, scope="` + o.scope + `"`)
		}
		return []string{b.String()}
	default:
		if o.reason.Status() != http.StatusUnauthorized {
			return nil
		}
		b.WriteString(`, error="invalid_token", error_description="` + quoted(detail) + `"`)
	}
	return append([]string{b.String()}, c.others...)
}

// quoted makes a text fit for error_description (RFC 6750 section 3).
func quoted(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r < ' ' || r > '~' {
			return '\''
		}
		return r
	}, s)
}
