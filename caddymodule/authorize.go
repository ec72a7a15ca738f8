package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/patgate/patgate/caddymodule/caddyroutes"
	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
)

func init() {
	caddy.RegisterModule(Authorize{})
}

// Authorize makes a site an authorization service: another proxy asks it about
// each request before it forwards it. The gate after it judges the original request. If
// the gate would forward that request, the answer is 200 with the identity headers. No
// proxy may come after it. The server needs "trusted_proxies".
//
// Every other answer is an error. Errors aren't left to error routes, which might answer
// them with a success.
//
// Caddy's rewrite can't restore the original request: it decodes the path, and the gate
// would judge another path than the one that is forwarded.
type Authorize struct {
	// The proxy that asks: one of "nginx", "traefik", "caddy" and "envoy".
	For string `json:"for"`

	asker  asker
	names  func() []string // of the headers that the gates may send
	logger *zap.Logger
}

// asker is a kind of proxy, and how it asks.
type asker struct {
	// The headers with the method, the target and the host of the original request;
	// nil: it asks with that request itself, without its body.
	original *[3]string
	// own is how headers begin that it makes itself, in place of those of clients.
	own string
}

// askers are the kinds of proxies, by the values of Authorize.For.
var askers = map[string]asker{
	"nginx":   {original: &[3]string{"X-Original-Method", "X-Original-Uri", "X-Original-Host"}},
	"traefik": {original: &[3]string{"X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"}, own: "X-Forwarded-Server"},
	"caddy":   {original: &[3]string{"X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"}},
	"envoy":   {own: "X-Envoy-"},
}

const whoAsks = "nginx, traefik, caddy, envoy"

// CaddyModule returns the Caddy module information.
func (Authorize) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.patgate_authorize", New: func() caddy.Module { return new(Authorize) }}
}

// Provision checks the configuration.
func (a *Authorize) Provision(ctx caddy.Context) error {
	var known bool
	if a.asker, known = askers[a.For]; !known {
		return fmt.Errorf("patgate_authorize %q: want %s", a.For, whoAsks)
	}
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	a.names = sync.OnceValue(app.identityNames) // when all gates are known
	a.logger = ctx.Logger()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && caddyroutes.FromServer(server).ProxyBehindAuthorize() {
		return errors.New("patgate_authorize: a proxy stands behind it (reverse_proxy, or what invoke leads to), and would forward each request a second time: put patgate_authorize in a site or a handle block of its own")
	}
	return nil
}

// ServeHTTP has the original request judged by what comes next.
func (a *Authorize) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return refuse(w, http.StatusForbidden, "only a trusted proxy may ask: see the option trusted_proxies")
	}
	// Caddy logs the request that asks, by the host that it is for.
	defer func(asked *http.Request, method string, target *url.URL, uri, host string) {
		asked.Method, asked.URL, asked.RequestURI, asked.Host = method, target, uri, host
	}(r, r.Method, r.URL, r.RequestURI, r.Host)
	var judged *http.Request
	var removable []string // headers that the gate may remove
	watched := newHeadWriter(w, func(status int, h http.Header) int {
		if status/100 != 2 {
			return a.refused(status, h)
		}
		if judged == nil || !permitted(judged.Context()) {
			return http.StatusForbidden // another handler's success: it is no gate
		}
		a.answer(h, judged.Header, removable)
		return status
	})
	if why := cmp.Or(a.restore(r), a.unfit(r)); why != "" {
		return refuse(watched, http.StatusBadRequest, why)
	}
	removable = a.removable(r.Header)
	judged = r.WithContext(context.WithValue(r.Context(), authorizing{}, true))
	err := next.ServeHTTP(watched, judged)
	switch {
	case err != nil:
		return a.fail(watched, err)
	case !watched.sent && !permitted(judged.Context()):
		return a.fail(watched, errors.New("no gate stands behind it"))
	}
	watched.begin()
	return nil
}

// unfit returns why the original request can't be judged, or "".
func (a *Authorize) unfit(r *http.Request) (why string) {
	upgrade := r.Header["Upgrade"]
	if len(upgrade) > 0 && (r.Method != http.MethodGet || len(upgrade) > 1 || !strings.EqualFold(upgrade[0], "websocket")) {
		// The proxy would open a tunnel, and what goes through it isn't asked about.
		return "Upgrade: want websocket, once, with GET: nothing else is judged, and the proxy that asks has to drop it (request_header -Upgrade)"
	}
	if name := misleading(r.Header, a.asker.own); name != "" {
		return "the header " + name + " could make the API see another request than the one judged, and can't be removed from here"
	}
	return ""
}

// removable returns the names of the headers that the gate may remove.
func (a *Authorize) removable(h http.Header) (names []string) {
	for name := range h {
		if name == "Authorization" || name == "X-Forwarded-Host" || name == "X-Envoy-Original-Path" || strings.HasPrefix(name, policy.IdentityPrefix) {
			names = append(names, name)
		}
	}
	return append(names, a.names()...)
}

// fail answers for a handler that has failed, unless something is answered already.
func (a *Authorize) fail(w *headWriter, err error) error {
	if w.sent {
		return err
	}
	status := http.StatusInternalServerError
	if failed, ok := errors.AsType[caddyhttp.HandlerError](err); ok && failed.StatusCode >= 400 {
		status = failed.StatusCode
	}
	if status >= 500 {
		a.logger.Error("a request can't be judged for the proxy that asks", zap.Error(err))
	}
	return refuse(w, status, "the request can't be judged")
}

// permitted reports whether a gate has let the request through, and none turned it away.
func permitted(ctx context.Context) bool {
	judged := false
	for o := first(ctx); o != nil; o = o.later {
		if !o.forwards() {
			return false
		}
		judged = true
	}
	return judged
}

// authorizing is a key in the contexts of requests that are judged for another
// proxy: the gate answers none of them itself but to turn it away.
type authorizing struct{}

// answer passes on what the gate tells the upstream. A proxy that adds what it is
// given to what the client has sent is told what the gate has removed.
func (a *Authorize) answer(header, judged http.Header, removable []string) {
	for name, values := range judged {
		if strings.HasPrefix(name, policy.IdentityPrefix) || slices.Contains(a.names(), name) {
			header[name] = values
		}
	}
	if a.For != "envoy" {
		return
	}
	removed := slices.DeleteFunc(removable, func(name string) bool { return judged[name] != nil })
	slices.Sort(removed)
	header["X-Envoy-Auth-Headers-To-Remove"] = []string{strings.ToLower(strings.Join(slices.Compact(removed), ","))}
}

// identityNames returns the names of the headers that the gates may send.
func (a *App) identityNames() (names []string) {
	for _, h := range a.allGates() {
		names = append(names, h.IdentityNames()...)
	}
	names = append(names, decisionHeader)
	slices.Sort(names)
	return slices.Compact(names)
}

// restore makes r the original request. It returns why that can't be done, or "".
func (a *Authorize) restore(r *http.Request) (why string) {
	if a.asker.original == nil {
		return ""
	}
	var values [3]string
	for i, name := range a.asker.original {
		sent := r.Header[name]
		delete(r.Header, name)
		switch {
		case len(sent) == 1 && sent[0] != "":
			values[i] = sent[0]
		case len(sent) == 0 && i == 2:
			values[i] = r.Host
		default:
			return fmt.Sprintf("the proxy that asks has to send %s, once", name)
		}
	}
	target, err := url.ParseRequestURI(values[1])
	if err != nil || values[1][0] != '/' {
		return "the proxy that asks sends what is no path as " + a.asker.original[1]
	}
	r.Method, r.URL, r.RequestURI, r.Host = values[0], target, values[1], values[2]
	return ""
}

// misleading returns the name of a header that the gate would remove before it
// forwards a request, or "". Those that proxies take care of don't count, nor do
// those that begin with own.
func misleading(h http.Header, own string) string {
	cleaned := h.Clone()
	policy.CleanHeader(cleaned)
	for name := range h {
		if _, kept := cleaned[name]; kept || name == "Connection" || name == "Upgrade" || name == "Trailer" ||
			strings.HasPrefix(name, policy.IdentityPrefix) && policy.PlainHeaderName(name) ||
			own != "" && strings.HasPrefix(name, own) {
			continue
		}
		return name
	}
	return ""
}

// refuse answers what can't be judged at all.
func refuse(w http.ResponseWriter, status int, why string) error {
	return rest.AnswerProblem(w, rest.Refuse(status, "%s", why))
}

// refused changes the status of an answer to what the proxy that asks takes for one. nginx
// takes every other than 401 and 403 for a failure of its own: it gets 403 for what the
// client did wrong, with the status in a header.
func (a *Authorize) refused(status int, h http.Header) int {
	if a.For == "nginx" && (status == http.StatusBadRequest || status == http.StatusTooManyRequests) {
		h["X-Patgate-Status"] = []string{strconv.Itoa(status)}
		return http.StatusForbidden
	}
	return status
}

var (
	_ caddy.Provisioner           = (*Authorize)(nil)
	_ caddyhttp.MiddlewareHandler = (*Authorize)(nil)
)
