package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/patgate/patgate/console"
	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
)

func init() {
	caddy.RegisterModule(Console{})
}

// Console is the page on which people manage their own tokens, a JSON API, and requests by
// which a token manages itself. A handler before it has to sign people in: one that sets
// "{http.auth.user.id}", such as "authentication". It answers all requests that come to it.
type Console struct {
	// Who is signed in: placeholders of the request, with text around them or not, as in
	// "ldap:{http.auth.user.id}". If one of them is empty or unknown, nobody is signed in.
	// Default: "{http.auth.user.id}".
	Owner string `json:"owner,omitempty"`
	// Owners who see and revoke everybody's tokens, besides those whose record says that
	// they are admins.
	Admins []string `json:"admins,omitempty"`

	app     *App
	logger  *zap.Logger
	console *console.Console
	byToken func() []string // headers by which gates say that a request has a token
}

// CaddyModule returns the Caddy module information.
func (Console) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.patgate_console", New: func() caddy.Module { return new(Console) }}
}

// Provision sets up the console.
func (c *Console) Provision(ctx caddy.Context) (err error) {
	if c.app, err = appOf(ctx); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		refuseEarlyData(server)
	}
	c.logger = ctx.Logger()
	c.byToken = sync.OnceValue(c.app.tokenHeaders) // when all gates are known
	c.console = console.New(console.Options{
		Registry: c.app.registry, Rules: c.app.rulesInForce, Catalog: c.app.catalog,
		Visitor: c.visitor, Acknowledged: c.acknowledged, Limiter: unknownLimit{c.app}, Failed: c.failed,
	})
	return nil
}

// check finds mistakes in the configuration.
func (c *Console) check() error {
	if c.Owner != "" && !ofRequest(c.Owner) {
		return fmt.Errorf("owner %q: want a placeholder of the request, such as {http.auth.user.id}: with a fixed name, everybody would be that owner", c.Owner)
	}
	if slices.Contains(c.Admins, "") {
		return errors.New("admin: an empty name")
	}
	for _, admin := range c.Admins {
		if err := policy.RefusePlaceholder(admin); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	return nil
}

// ofRequest reports whether a text has a placeholder in it that may differ from request
// to request. Those of the environment and of files don't.
func ofRequest(text string) (found bool) {
	everywhere := caddy.NewReplacer()
	// The error is f's, which has none.
	_, _ = caddy.NewEmptyReplacer().ReplaceFunc(text, func(name string, _ any) (any, error) {
		_, same := everywhere.Get(name)
		found = found || !same
		return "", nil
	})
	return found
}

// ServeHTTP answers the request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if dir := missingSlash(r); dir != "" {
		w.Header().Set("Location", dir)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	c.console.ServeHTTP(w, r)
	return nil
}

// missingSlash returns where the console's root really is, relative to the
// request, if that came to it without the slash at the end: there, the links of
// the page would lead elsewhere.
func missingSlash(r *http.Request) string {
	sent, known := sentRequest(r.Context())
	if !known || r.URL.Path != "" && r.URL.Path != "/" || strings.HasSuffix(sent.URL.Path, "/") {
		return ""
	}
	dir := "./" + path.Base(sent.URL.EscapedPath()) + "/"
	if r.URL.RawQuery != "" {
		dir += "?" + r.URL.RawQuery
	}
	return dir
}

// visitor returns who asks.
func (c *Console) visitor(r *http.Request) (v console.Visitor) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	// Text around a placeholder that is empty is nobody's name: with an error,
	// the owner is "".
	v.Owner, _ = repl.ReplaceOrErr(cmp.Or(c.Owner, "{http.auth.user.id}"), true, true)
	v.Admin = slices.Contains(c.Admins, v.Owner)
	v.Address = clientAddr(r.Context())
	// A gate before the console knows the request's token, in this server or in
	// another that has let it through.
	v.ByToken = tokenSeen(r.Context()) || slices.ContainsFunc(c.byToken(), func(name string) bool { return len(r.Header[name]) > 0 })
	return v
}

// tokenHeaders returns the headers that name the token of a request which a gate,
// this server's or another's, has forwarded.
func (a *App) tokenHeaders() []string {
	names := []string{defaultTokenHeader, defaultIdentityHeader}
	for _, h := range a.allGates() {
		if h.identity != nil {
			names = append(names, h.identity[1])
		}
		if h.signed != nil {
			names = append(names, h.signed.Header)
		}
	}
	return names
}

// acknowledged counts the gateways that have taken in what was done just now.
func (c *Console) acknowledged(ctx context.Context) rest.Gateways {
	opened, err := c.app.open()
	if err != nil {
		return rest.Gateways{Acknowledged: 1, Unknown: true}
	}
	return rest.Acknowledged(ctx, opened.store, ackTime)
}

// failed logs an error of the store.
func (c *Console) failed(err error) {
	c.logger.Error("the token store can't do what was asked of the console", zap.Error(err))
}

// unknownLimit is the gate's limit of unknown tokens, which holds here as well.
type unknownLimit struct{ app *App }

func (l unknownLimit) Enter(ctx context.Context, from netip.Addr) (policy.Reason, time.Duration) {
	opened, err := l.app.open()
	if err != nil {
		return policy.Forward, 0 // what comes next says so
	}
	wait, err := opened.limiter.Enter(ctx, from, time.Now())
	return admitted(wait, err), wait
}

func (l unknownLimit) Leave(from netip.Addr, unknown bool) {
	if opened, err := l.app.open(); err == nil {
		opened.limiter.Leave(from, unknown)
	}
}

var (
	_ caddy.Provisioner           = (*Console)(nil)
	_ caddyhttp.MiddlewareHandler = (*Console)(nil)
)
