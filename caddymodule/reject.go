package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
)

// reject turns a request away: with a body in the route's shape, or by leaving the
// answer to the error routes that take it.
func (h *Handler) reject(w http.ResponseWriter, r *http.Request, m *policy.Match, o *outcome) error {
	status := o.reason.Status()
	header := w.Header()
	// Not shared between answers: handlers around the gate may change them in place, as
	// Caddy's header directive does.
	values := &[5]string{"no-store", "close", "nosniff"}
	header["Cache-Control"] = values[0:1:1]
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// net/http waits for a short body before it answers, so that the connection can go on.
		if o.closes = r.ContentLength < 0 || r.ContentLength > maxDrained || r.Header["Expect"] != nil || fullDuplex(r); o.closes {
			header["Connection"] = values[1:2:2]
		} else {
			hurry(w)
		}
	}
	rest.RetryAfter(w, o.retryAfter)
	if challenge := h.challenges.forReason(o, m.Places()); challenge != nil {
		header["Www-Authenticate"] = challenge
	}
	if s := withErrorRoutes(r); s != nil {
		if err := caddyhttp.Error(status, errors.New(o.text())); leftToErrorRoutes(s, r, err) {
			o.secrets = h.shown(r.URL.RawQuery, m.Secret)
			h.strip(r, m, o)
			return err
		}
	}
	p := policy.Problem{
		Type: rest.ProblemType + o.reason.String(), Title: http.StatusText(status), Status: status, Detail: o.text(), Reason: o.reason.String(),
	}
	if status == http.StatusForbidden {
		p.Space = masks.Now().Text(o.space)
		if o.scope != "" { // any and never aren't scopes
			p.RequiredScope = o.required
		}
	}
	body := o.shape.Render(p)
	values[3], values[4] = o.shape.ContentType(), strconv.Itoa(len(body))
	header["X-Content-Type-Options"], header["Content-Type"], header["Content-Length"] = values[2:3:3], values[3:4:4], values[4:5:5]
	w.WriteHeader(status)
	_, err := w.Write(body)
	if o.closes && err == nil {
		drain(w, r)
	}
	return err
}

// maxDrained is how long the body of a request that is turned away may be, in bytes,
// to be read so that its connection can be used again. One that is longer, or doesn't
// say how long it is, costs the connection.
const maxDrained = 64 << 10

// drainFor is how long a request that is turned away has for the rest of its body.
const drainFor = 5 * time.Second

// hurry gives the client no longer than drainFor to send the rest of its body.
func hurry(w http.ResponseWriter) error {
	return http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainFor))
}

// drain sends the answer to a request whose connection it ends, and takes in for a while
// what the client goes on sending. A connection that is closed while something on it is
// unread is reset, and many clients then never see the answer (RFC 9112 section 9.6).
// A client that waits to be asked for it (100-continue) isn't asked. The request lasts that much
// longer, in Caddy's access log, too.
func drain(w http.ResponseWriter, r *http.Request) {
	if hurry(w) != nil || r.Header["Expect"] != nil || buffered(w) || http.NewResponseController(w).Flush() != nil {
		return
	}
	io.Copy(io.Discard, r.Body) // until its end, or the time's
}

// buffered reports whether a handler before the gate (templates, intercept) keeps the
// answer until the gate has returned.
func buffered(w http.ResponseWriter) bool {
	for {
		if recorder, ok := w.(caddyhttp.ResponseRecorder); ok && recorder.Buffered() {
			return true
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = inner.Unwrap()
	}
}

// challenges are the values of WWW-Authenticate (RFC 9110 section 11.6.1, RFC
// 6750 section 3).
type challenges struct {
	bearer  string
	schemes map[policy.Credential]string // of the other schemes that tokens are taken from
	fixed   []string                     // the bearer's, by reason, for rejections that say no more than their reason
}

func makeChallenges(p *policy.Policy) challenges {
	realm := ` realm="` + p.Realm + `"`
	c := challenges{bearer: "Bearer" + realm, schemes: map[policy.Credential]string{}}
	for _, place := range p.Credentials() {
		switch place.Kind {
		case policy.Basic:
			c.schemes[place] = "Basic" + realm + `, charset="UTF-8"`
		case policy.Scheme:
			c.schemes[place] = place.Name + realm
		}
	}
	for _, reason := range policy.Reasons() {
		c.fixed = append(c.fixed, c.write(reason, reason.Detail(), ""))
	}
	return c
}

// forReason returns the challenges for a rejection, where tokens are taken from these
// places. A request without a token is told what the places take, and of Bearer only
// where nothing else can be told: clients of container registries that hear of Bearer
// want tokens of a server that its realm should name, and send no password.
func (c *challenges) forReason(o *outcome, places []policy.Credential) []string {
	bearer := c.fixed[o.reason]
	if o.detail != "" || o.scope != "" && o.reason.Status() == http.StatusForbidden {
		bearer = c.write(o.reason, o.text(), o.scope)
	}
	if bearer == "" {
		return nil
	}
	all := append(make([]string, 0, 1+len(c.schemes)), bearer)
	if o.reason.Status() != http.StatusUnauthorized {
		return all
	}
	for _, place := range places {
		if challenge := c.schemes[place]; challenge != "" {
			all = append(all, challenge)
		}
	}
	takesBearer := func(c policy.Credential) bool { return c.Kind == policy.Bearer }
	if o.reason == policy.TokenMissing && len(all) > 1 && !slices.ContainsFunc(places, takesBearer) {
		return all[1:]
	}
	return all
}

// write returns the bearer's challenge for a rejection with a detail, which scopes would
// have avoided. "": it has none.
func (c *challenges) write(reason policy.Reason, detail, scope string) string {
	kind := "invalid_token"
	switch reason {
	case policy.TokenMissing:
		return c.bearer
	case policy.AmbiguousRequest:
		kind, scope = "invalid_request", ""
	case policy.ScopeMissing, policy.SpaceNotGranted, policy.ResourceNotGranted:
		kind = "insufficient_scope"
	default:
		if reason.Status() != http.StatusUnauthorized {
			return ""
		}
		scope = ""
	}
	challenge := c.bearer + `, error="` + kind + `", error_description="` + quoted(detail) + `"`
	if scope != "" {
		challenge += `, scope="` + scope + `"`
	}
	return challenge
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
