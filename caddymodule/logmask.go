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
// use it would show them: Caddy hides the headers Authorization and Cookie from access
// logs, but neither queries nor other headers.
func (h *Handler) maskLogs(ctx caddy.Context) {
	masks.Add(h.policy.Credentials(), h.app.rules.Prefix)
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Logs == nil {
		return
	}
	if places := h.loggedPlaces(); len(places) > 0 && showsSecrets(ctx, server.Logs) {
		ctx.Logger().Warn("access logs show tokens in clear: give the logs the format patgate, or a filter of your own",
			zap.Strings("token_from", places))
	}
}

// showsSecrets reports whether access logs of the server go to a log of another format
// than LogEncoder.
func showsSecrets(ctx caddy.Context, logs *caddyhttp.ServerLogConfig) (shows bool) {
	var names []string
	if len(logs.LoggerNames) == 0 || logs.DefaultLoggerName != "" { // else it has requests that are for no site
		names = append(names, logs.DefaultLoggerName)
	}
	for _, more := range logs.LoggerNames {
		names = append(names, more...)
	}
	// Caddy says of no log which format it has: a field sees it when it is added.
	look := zap.Inline(zapcore.ObjectMarshalerFunc(func(e zapcore.ObjectEncoder) error {
		_, masks := e.(*LogEncoder)
		shows = shows || !masks
		return nil
	}))
	for _, name := range names {
		ctx.Logger(accessLog(strings.TrimSuffix("http.log.access."+name, "."))).With(look)
	}
	return shows
}

// accessLog stands for a module that logs by this name.
type accessLog string

// CaddyModule is for caddy.Context.
func (l accessLog) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: caddy.ModuleID(l)} }

// loggedPlaces returns the places where tokens are taken from that Caddy's access
// logs show.
func (h *Handler) loggedPlaces() (places []string) {
	for _, c := range h.policy.Credentials() {
		if (c.Kind == policy.Query || c.Kind == policy.Header) && !slices.Contains(places, c.String()) {
			places = append(places, c.String())
		}
	}
	return places
}
