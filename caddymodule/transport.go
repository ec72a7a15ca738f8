package caddymodule

import (
	"net/http"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/patgate/patgate/transport"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport is Caddy's "http" transport for "reverse_proxy", with all its fields, and a
// faster path for GET, HEAD and OPTIONS requests without a body to upstreams that speak
// HTTP/1.1 without TLS. One thing differs: unless "compression" is true, an upstream is
// asked for compressed answers only if the client has asked for them.
//
// Caddy's transport asks for them itself otherwise, to decompress what comes.
type Transport struct {
	reverseproxy.HTTPTransport

	short *transport.Transport // nil: the configuration is not for it
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.patgate", New: func() caddy.Module { return new(Transport) }}
}

// Provision sets both ways up.
func (t *Transport) Provision(ctx caddy.Context) error {
	if t.Compression == nil {
		t.Compression = new(bool)
	}
	proxied := len(t.NetworkProxyRaw) > 0 || t.ForwardProxyURL != "" || os.Getenv("HTTP_PROXY") != "" || os.Getenv("http_proxy") != ""
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	if proxied || !t.plain() {
		return nil
	}
	t.short = &transport.Transport{
		Dial:            t.HTTPTransport.Transport.DialContext,
		MaxIdle:         t.HTTPTransport.Transport.MaxIdleConnsPerHost,
		IdleTimeout:     t.HTTPTransport.Transport.IdleConnTimeout,
		MaxHeaderBytes:  t.MaxResponseHeaderSize,
		ReadBufferSize:  t.ReadBufferSize,
		WriteBufferSize: t.WriteBufferSize,
	}
	return nil
}

// plain reports whether nothing is configured that only Caddy's own transport
// can do.
func (t *Transport) plain() bool {
	keepAlive := t.KeepAlive.Enabled == nil || *t.KeepAlive.Enabled
	return keepAlive && !*t.Compression && t.TLS == nil && t.ProxyProtocol == "" &&
		t.MaxConnsPerHost == 0 && t.KeepAlive.MaxIdleConns == 0 &&
		t.ReadTimeout+t.WriteTimeout+t.ResponseHeaderTimeout == 0 && slices.Contains(t.Versions, "1.1") && !slices.Contains(t.Versions, "h2c")
}

// RoundTrip sends a request to the upstream that reverse_proxy has chosen.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.short != nil {
		t.SetScheme(r)
		if info, ok := reverseproxy.GetDialInfo(r.Context()); ok && transport.Takes(r) {
			return t.short.RoundTrip(r, info.Network, info.Address)
		}
	}
	return t.HTTPTransport.RoundTrip(r)
}

// Cleanup closes the connections that are kept.
func (t *Transport) Cleanup() error {
	if t.short != nil {
		t.short.Close()
	}
	return t.HTTPTransport.Cleanup()
}

var (
	_ caddy.Provisioner     = (*Transport)(nil)
	_ caddy.CleanerUpper    = (*Transport)(nil)
	_ caddyfile.Unmarshaler = (*Transport)(nil)
	_ http.RoundTripper     = (*Transport)(nil)
)
