package caddymodule

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// clientAddr returns the client's address, if it has one.
func clientAddr(ctx context.Context) netip.Addr { return parseAddr(clientIP(ctx)) }

// clientIP returns the client's address as Caddy works it out, which minds trusted
// proxies. Requests that no connection has brought have none: another handler has made
// them, as httpInclude of templates does, from 127.0.0.1 and with the header of whoever
// asked for the page.
func clientIP(ctx context.Context) string {
	if ctx.Value(http.LocalAddrContextKey) == nil {
		return ""
	}
	text, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return text
}

// parseAddr reads an address. Anything else, such as a Unix socket, is in no range.
func parseAddr(text string) netip.Addr {
	from, _ := netip.ParseAddr(text)
	return from
}

// refuseEarlyData makes a server take no early data over HTTP/3, unless it is told to:
// nobody has shown yet that it comes from the address it is sent from, and whoever has
// seen it can send it again (RFC 9001 section 9.2).
func refuseEarlyData(server *caddyhttp.Server) {
	if server.Allow0RTT == nil {
		server.Allow0RTT = new(false)
	}
}
