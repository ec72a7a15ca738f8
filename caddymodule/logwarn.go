package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/patgate/patgate/policy"
)

// maskLogs has LogEncoder know the gate's tokens, and says so where no log uses
// it although access logs would show them: Caddy hides the headers Authorization
// and Cookie from these, but neither queries nor other headers.
func (h *Handler) maskLogs(ctx caddy.Context) {
	masks.add(h.policy.Credentials(), h.app.rules.Prefix)
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Logs == nil {
		return
	}
	if _, ok := masking.Load(ctx.Done()); ok {
		return
	}
	if places := h.loggedPlaces(); len(places) > 0 {
		ctx.Logger().Warn("access logs show tokens in clear: give the logs the format patgate, or a filter of your own",
			zap.Strings("token_from", places))
	}
}

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
