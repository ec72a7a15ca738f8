package caddymodule

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/policy"
)

// The tiers that a token can be found in, or not be found in.
const (
	tierMemory   = "memory"   // cached
	tierNegative = "negative" // remembered as unknown
	tierStore    = "store"    // read from the store, or cached while the store can't be asked
)

// outcome is what became of a request, for later handlers, error routes, access
// logs and the upstream. One is made for each request.
type outcome struct {
	reason   policy.Reason
	reported bool // forwarded all the same, in report mode
	unknown  bool // forwarded although its token is unknown
	closes   bool // its connection ends with the rejection: see drain

	opened    bool // forwarded because of its token, on a route that isn't in report mode
	preflight bool // it was forwarded as a CORS preflight, and gets no body
	watched   bool // it is cut when its token ends
	wrapped   bool // its answer and request are: see wrap

	detail   string
	subject  *policy.Subject // the token, if it is known
	tokenID  string
	owner    string
	tier     string // where the token was looked for last; empty: nowhere
	space    string
	resource string
	required string        // the requirement of the route
	scope    string        // scopes that would be enough, for challenges
	shape    *policy.Shape // of the body of a rejection

	retryAfter time.Duration // of a rejection that passes with time

	values  [4]string // of the identity headers
	removed []string  // the names of headers that could have made another request of it
	gate    *Handler
	secrets []string // the tokens in its URL, which are kept out of the answer

	upload *upload  // its body, where that needs care
	stream stream   // where the request was forwarded for a token
	later  *outcome // of the next gate that it came to
}

// outcomeVar is the variable of a request that holds its first outcome. To a configuration
// it is the decision, as text.
const outcomeVar = "patgate.outcome"

// first returns the outcome of the first gate that a request has come to, or nil.
func first(ctx context.Context) *outcome {
	o, _ := caddyhttp.GetVar(ctx, outcomeVar).(*outcome)
	return o
}

// last returns the outcome of the last gate that the request has come to.
func (o *outcome) last() *outcome {
	for o.later != nil {
		o = o.later
	}
	return o
}

// tokenSeen reports whether a gate knows the request's token.
func tokenSeen(ctx context.Context) bool {
	for o := first(ctx); o != nil; o = o.later {
		if o.subject != nil {
			return true
		}
	}
	return false
}

// String returns the decision.
func (o *outcome) String() string { return o.last().reason.String() }

// forwards reports whether the gate forwards the request, for whatever reason.
func (o *outcome) forwards() bool { return o.reason == policy.Forward || o.reported }

// text says for people why the request is turned away.
func (o *outcome) text() string {
	if o.detail != "" {
		return o.detail
	}
	return o.reason.Detail()
}

// authenticated reports whether the request has a valid token, be it one that may not do
// what is asked.
func (o *outcome) authenticated() bool {
	return o.subject != nil && (o.reason == policy.Forward || o.reason.Status() == http.StatusForbidden && !o.reported)
}

// placeholder returns the value of one of patgate's placeholders: what the last
// gate says, if there are several.
func (o *outcome) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, "http.patgate.")
	if !ours && key != "http.auth.user.id" {
		return nil, false
	}
	o = o.last()
	if !ours {
		return o.owner, o.authenticated()
	}
	switch name {
	case "decision":
		return o.reason.String(), true
	case "token_id":
		return o.tokenID, true
	case "owner":
		return o.owner, true
	case "space":
		return o.space, true
	case "resource":
		return o.resource, true
	case "required_scope":
		return o.required, true
	}
	return nil, false
}

// MarshalLogObject writes the access log's field: what the last gate says, if there
// are several, what any of them has cut the request for, and what the first has removed.
func (o *outcome) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	cut := policy.Forward
	for gate := o; gate != nil && cut == policy.Forward; gate = gate.later {
		cut = policy.Reason(gate.stream.ended.Load())
	}
	removed := o.removed // by the first: others find none
	o = o.last()
	enc.AddString("decision", o.reason.String())
	if o.reported {
		enc.AddBool("reported", true)
	}
	if o.unknown {
		enc.AddBool("unknown_token", true)
	}
	if cut != policy.Forward {
		enc.AddString("cut", cut.String())
	}
	shown := masks.Now() // what the client said may be a secret, and not every format masks these
	for _, f := range []struct{ name, value string }{
		{"detail", o.detail}, {"token_id", o.tokenID}, {"owner", o.owner}, {"space", shown.Text(o.space)},
		{"resource", shown.Text(o.resource)}, {"required_scope", o.required},
	} {
		if f.value != "" {
			enc.AddString(f.name, f.value)
		}
	}
	if removed != nil {
		zap.Strings("removed", removed).AddTo(enc)
	}
	return nil
}

// describe takes over what is known of the request.
func (o *outcome) describe(m *policy.Match) {
	if o.subject != nil {
		o.tokenID, o.owner = o.subject.ID.String(), o.subject.Owner.ID()
	}
	if m.Route != nil {
		o.required, o.scope = m.Route.Require.String(), m.Route.Require.Enough()
	}
	o.space, o.resource, o.shape = m.Space, m.Resource, m.Shape()
}

// publish makes the outcome known to later handlers, error routes and access
// logs.
func (o *outcome) publish(ctx context.Context) {
	if before := first(ctx); before != nil {
		before.last().later = o
		return
	}
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		caddyhttp.SetVar(ctx, outcomeVar, o)
		repl.Map(o.placeholder)
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
			extra.Add(zap.Object("patgate", o))
		}
	}
}
