package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/internal/mask"
	"github.com/patgate/patgate/policy"
)

// masks is what logs and reports don't show. It grows with every configuration.
var masks mask.Set

// maskLogs has LogEncoder know the gate's tokens, and says so where a log that doesn't
// use it would show them: Caddy hides the headers Authorization and Cookie from its logs,
// but neither queries nor other headers.
func (h *Handler) maskLogs(ctx caddy.Context) {
	masks.Add(h.policy.Credentials(), h.app.rules.Prefix)
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	places := h.loggedPlaces()
	if !ok || len(places) == 0 {
		return
	}
	if showSecrets(ctx, accessLogs(server.Logs)) {
		ctx.Logger().Warn("access logs show tokens in clear: give the logs the format patgate, or a filter of your own",
			zap.Strings("token_from", places))
	}
	if showSecrets(ctx, []string{"http.log.error", "http.handlers.reverse_proxy"}) {
		ctx.Logger().Warn("logs of what fails show tokens in clear: give the default log the format patgate (the global option log), or a filter of your own",
			zap.Strings("token_from", places))
	}
}

// accessLogs returns the names that access logs of a server are written by.
func accessLogs(logs *caddyhttp.ServerLogConfig) (names []string) {
	if logs == nil {
		return nil
	}
	const all = "http.log.access"
	if len(logs.LoggerNames) == 0 || logs.DefaultLoggerName != "" { // else it has requests that are for no site
		names = append(names, strings.TrimSuffix(all+"."+logs.DefaultLoggerName, "."))
	}
	for _, more := range logs.LoggerNames {
		for _, name := range more {
			names = append(names, strings.TrimSuffix(all+"."+name, "."))
		}
	}
	return names
}

// showSecrets reports whether what is logged by one of these names goes to a log of
// another format than LogEncoder.
func showSecrets(ctx caddy.Context, names []string) (shows bool) {
	// Caddy doesn't tell which format a log has, but hands its encoder to a field that is
	// added.
	look := zap.Inline(zapcore.ObjectMarshalerFunc(func(e zapcore.ObjectEncoder) error {
		_, masks := e.(*LogEncoder)
		shows = shows || !masks
		return nil
	}))
	for _, name := range names {
		ctx.Logger(loggerName(name)).With(look)
	}
	return shows
}

// loggerName stands for a module that logs by this name.
type loggerName string

// CaddyModule is for caddy.Context.
func (l loggerName) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: caddy.ModuleID(l)} }

// loggedPlaces returns the places where tokens are taken from that Caddy's logs show.
func (h *Handler) loggedPlaces() (places []string) {
	for _, c := range h.policy.Credentials() {
		if (c.Kind == policy.Query || c.Kind == policy.Header) && !slices.Contains(places, c.String()) {
			places = append(places, c.String())
		}
	}
	return places
}
