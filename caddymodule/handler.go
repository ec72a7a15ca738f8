package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/patgate/patgate/internal/keyring"
	"github.com/patgate/patgate/internal/mask"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/policy/openapi"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler is the gate: it judges each request, and forwards or rejects it.
type Handler struct {
	policy.Config

	// How the API is told who is asking. Default: by four headers.
	IdentityHeaders *IdentityHeaders `json:"identity_headers,omitempty"`
	// Until when tokens that patgate doesn't know are forwarded, while an existing API
	// is moved behind the gate: a date ("2026-12-31", to its end in UTC) or a time (RFC
	// 3339). Default: they are rejected.
	UnknownTokenUntil string `json:"unknown_token_until,omitempty"`
	// One of "on" (WebSockets, streams of events, downloads and uploads are cut when
	// their token ends) and "off". Default: "on".
	StreamCheck string `json:"stream_check,omitempty"`

	app          *App
	policy       *policy.Policy
	identity     *[4]string      // nil: off
	signed       *identitySigner // nil: not signed
	remove       []string        // headers that only the gate may set, and aliases of judged headers
	inQuery      *mask.Mask      // what tokens in queries look like; nil: none are taken from there
	sessions     sessions        // cookies that are accepted in place of a token
	unknownUntil time.Time
	fastCGI      bool // a FastCGI proxy may follow the gate: it passes on the URL as it was sent, even after a rewrite
	challenges   challenges
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.patgate", New: func() caddy.Module { return new(Handler) }}
}

// Provision compiles the policy.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if h.app, err = appOf(ctx); err != nil {
		return err
	}
	if err := h.compile(h.app.catalog); err != nil {
		return err
	}
	if h.forwardingOver(time.Now()) {
		ctx.Logger().Warn("unknown tokens are rejected again: the time of unknown_token is over", zap.String("until", h.UnknownTokenUntil))
	}
	if n := h.policy.Reporting(); n > 0 {
		ctx.Logger().Warn("report mode: requests that would be rejected are forwarded", zap.String("gate", h.At), zap.Int("routes", n))
	}
	h.policy.Prefix = h.app.rules.Prefix
	h.challenges = makeChallenges(h.policy)
	h.sessions = h.policy.LetThroughCookies()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		keepConn(server)
		refuseEarlyData(server)
		h.fastCGI = mayForwardToFastCGI(server)
		if err := h.guardErrorRoutes(ctx, server); err != nil {
			return err
		}
	}
	if h.signed != nil {
		h.signed.keys = keyring.New(ctx.Storage())
	}
	if places := h.policy.Credentials(); slices.ContainsFunc(places, func(c policy.Credential) bool { return c.Kind == policy.Query }) {
		h.inQuery = mask.New(places, h.app.rules.Prefix)
	}
	h.maskLogs(ctx)
	h.app.addGate(h)
	return nil
}

// compile checks the configuration. It needs no running server.
func (h *Handler) compile(catalog *policy.Catalog) (err error) {
	config, err := openapi.Expand(h.Config)
	if err != nil {
		return err
	}
	config.Realm = caddy.NewReplacer().ReplaceKnown(config.Realm, "")
	if h.policy, err = policy.Compile(config, catalog); err != nil {
		return err
	}
	if _, err := policy.OneOf("stream_check", h.StreamCheck, "on", "off"); err != nil {
		return err
	}
	if h.UnknownTokenUntil != "" {
		if h.unknownUntil, err = parseUntil(h.UnknownTokenUntil); err != nil {
			return fmt.Errorf("unknown_token forward until %s: %w", h.UnknownTokenUntil, err)
		}
	}
	return h.nameHeaders()
}

// forwardingOver reports whether the time until which unknown tokens were forwarded has
// passed.
func (h *Handler) forwardingOver(now time.Time) bool {
	return !h.unknownUntil.IsZero() && !now.Before(h.unknownUntil)
}

func parseUntil(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, errors.New("want a date such as 2026-12-31, or a time as in RFC 3339")
	}
	return t, nil
}

// ServeHTTP judges the request and forwards it, or turns it away.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.signed != nil && h.signed.serves(r) && r.Context().Value(authorizing{}) == nil {
		return h.serveKeys(w, r)
	}
	ctx := r.Context()
	o := &outcome{gate: h, removed: h.cleanHeader(r)}
	var m policy.Match
	h.judge(ctx, r, &m, o)
	o.reported = o.reason != policy.Forward && m.Reports()
	requests[o.reason].Inc()
	o.publish(ctx)
	annotate(ctx, &m, o)
	if !o.forwards() {
		h.app.hub.rejections.add(o, m.Route)
		return h.reject(w, r, &m, o)
	}
	if err := h.prepare(r, &m, o); err != nil {
		return h.cannotVouch(err)
	}
	w, r = o.wrap(w, r)
	answered := false
	defer func() { o.unwrap(answered) }()
	// Error routes see the URL as the client sent it.
	unjudged := withErrorRoutes(r) != nil && rewritten(r)
	err := next.ServeHTTP(w, r)
	o.breakOff(r)
	answered = err == nil
	if err != nil && unjudged {
		h.cleanHeader(r)
	}
	return err
}

// prepare makes r the request that is forwarded, and notes in o what wrap needs to know.
func (h *Handler) prepare(r *http.Request, m *policy.Match, o *outcome) error {
	o.preflight, o.secrets = m.Preflight, h.shown(r.URL.RawQuery, m.Secret)
	o.opened = o.subject != nil && o.reason == policy.Forward && !m.Reports()
	o.stream.route, o.watched = m.Route, o.opened && h.StreamCheck != "off"
	if o.reported {
		reported[o.reason].Inc()
		h.app.hub.report.add(o, m, r.Method, r.URL.EscapedPath())
	} else if err := h.vouch(r, m, o); err != nil {
		return err
	}
	if m.Reports() && h.identity != nil {
		r.Header[decisionHeader] = []string{o.reason.String()}
	}
	if m.ByHost() {
		// From a trusted proxy, it may name another host than the one that was
		// judged. Where there is none, reverse_proxy sets it to that one.
		r.Header.Del("X-Forwarded-Host")
	}
	return nil
}

// wrap wraps the answer and the request for as long as the request is served. unwrap
// must be called when it has been.
func (o *outcome) wrap(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	o.wrapped = true
	if r.Trailer != nil {
		// Trailers arrive after the request was judged; they may be dropped
		// (RFC 9110 section 6.5.1).
		r = r.WithContext(r.Context())
		r.Trailer = nil
	}
	o.upload = takeIn(w, r)
	if r.Method == http.MethodHead {
		dropBody(r)
	}
	if o.preflight {
		r.Body, r.ContentLength = http.NoBody, 0 // over HTTP/3 it wasn't known that it has none
		w = bodiless{newHeadWriter(w, withoutBody)}
	}
	if len(o.secrets) > 0 {
		w = newHeadWriter(w, (&urlTokens{r, o.secrets}).clean)
	}
	if o.opened && len(o.gate.sessions) > 0 {
		w = newHeadWriter(w, o.gate.sessions.withhold)
	}
	if o.watched {
		w, r = o.follow(w, r)
	}
	return w, r
}

// unwrap undoes wrap. answered says that the request was served: neither left to error
// routes nor broken off.
func (o *outcome) unwrap(answered bool) {
	o.wrapped = false
	if o.upload != nil {
		o.upload.end(answered)
	}
	if o.watched {
		o.stream.end()
	}
}

// rewritten reports whether the request differs from the one that the client sent.
func rewritten(r *http.Request) bool {
	sent, known := sentRequest(r.Context())
	return known && (sent.Method != r.Method || sent.URL.Path != r.URL.Path || sent.URL.RawPath != r.URL.RawPath || sent.URL.RawQuery != r.URL.RawQuery)
}

// sentRequest returns the request as the client sent it, if that is known.
func sentRequest(ctx context.Context) (http.Request, bool) {
	sent, _ := ctx.Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return sent, sent.URL != nil
}

// vouch tells the upstream who is asking. A token that the gate doesn't know is the API's
// own, and stays in the request.
func (h *Handler) vouch(r *http.Request, m *policy.Match, o *outcome) error {
	h.strip(r, m, o)
	switch {
	case o.subject == nil:
	case h.signed != nil:
		return h.signed.identify(r.Context(), r.Header, o, m.HeldScopes(o.subject))
	case h.identity != nil:
		o.identify(r.Header, h.identity, m.HeldScopes(o.subject))
	}
	return nil
}

// strip takes the token out of a request that goes on to the upstream or to error routes,
// where that is configured.
func (h *Handler) strip(r *http.Request, m *policy.Match, o *outcome) {
	if !h.policy.StripToken || o.subject == nil && m.NeedsDecision() {
		return
	}
	m.Strip(r, h.policy.IsToken)
	// FastCGI and placeholders use the URL as the client sent it.
	sent, known := sentRequest(r.Context())
	if !known || sent.URL.RawQuery == "" {
		return
	}
	was := sent.URL.RawQuery
	m.Strip(&sent, h.policy.IsToken)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && sent.URL.RawQuery != was {
		target, _, _ := strings.Cut(sent.RequestURI, "?")
		if sent.URL.RawQuery != "" {
			target += "?" + sent.URL.RawQuery
		}
		repl.Set("http.request.orig_uri", target)
	}
}

// decisionHeader tells the upstream, in report mode, what the decision was.
const decisionHeader = "X-Patgate-Decision"

// cleanHeader removes what could make the upstream see another request, or another client,
// than the one that is judged. It returns the names of the headers that could have made it
// another request.
func (h *Handler) cleanHeader(r *http.Request) (misleading []string) {
	misleading = policy.CleanHeader(r.Header)
	for _, name := range h.remove {
		delete(r.Header, name)
	}
	if r.ProtoMajor == 2 && r.Method != http.MethodConnect {
		// net/http lets it through with any method, and no proxy can send it.
		delete(r.Header, policy.ExtendedConnect)
	}
	return misleading
}

// judge works out what becomes of the request.
func (h *Handler) judge(ctx context.Context, r *http.Request, m *policy.Match, o *outcome) {
	r.Host = strings.ToLower(r.Host) // as the site was found by, and as it is judged
	req := policy.NewRequest(r)
	req.Asked = r.Method == http.MethodOptions && ctx.Value(authorizing{}) != nil
	if req.Refused == "" && h.fastCGI && rewritten(r) {
		sent, _ := sentRequest(ctx)
		req.Refused = h.policy.JudgeOriginal(sent.URL)
	}
	h.policy.Match(&req, m)
	o.reason, o.detail = m.Reason, m.Detail
	if m.NeedsDecision() {
		h.decide(ctx, m, o)
	}
	o.describe(m)
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
