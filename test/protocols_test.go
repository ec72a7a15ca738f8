package test

import (
	"context"
	"crypto/tls"
	"slices"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/patgate/patgate/token"
)

const protocolSite = `
	patgate {
		token_from bearer
		token_from query api_key
		route GET /public public
		route GET /spaces/{space}/stories stories:read
		route POST /spaces/{space}/stories stories:write
		route DELETE /spaces/{space}/stories never
	}
	reverse_proxy {$UPSTREAM}`

// A request is decided alike, and forwarded alike, in every version of HTTP.
func TestProtocolsDecideAlike(t *testing.T) {
	t.Parallel()
	s := startSecure(t, setup{options: "unknown_token_limit off", tokens: []known{
		{name: "reader", owner: "alice", grants: grant("1", "stories:read", "*")}, {name: "revoked", revoked: true}, {name: "all"},
	}}, protocolSite)
	reader := s.bearer("reader")
	const stories = "/spaces/1/stories"
	for _, row := range []struct {
		request
		want string
	}{
		{request{target: "/public"}, "forward"},
		{request{target: stories}.with(reader), "forward"},
		{request{target: stories}, "token_missing"},
		{request{target: stories}.with(bearerOf(token.NewSecret("pat"))), "token_unknown"},
		{request{target: stories}.with(bearerOf(token.NewSecret("pat")) + "x"), "token_malformed"},
		{request{target: stories}.with(s.bearer("revoked")), "token_revoked"},
		{request{target: stories + "?api_key=" + s.secret("reader")}, "forward"},
		{request{target: stories + "?api_key=" + s.secret("reader")}.with(s.bearer("all")), "ambiguous_request"},
		{request{target: stories}.with(reader, reader), "ambiguous_request"},
		{request{method: "POST", target: stories, body: "x"}.with(reader), "scope_missing"},
		{request{method: "POST", target: stories, body: "x"}.with(s.bearer("all")), "forward"},
		{request{method: "POST", target: stories, body: "x", trailer: []string{"X-Patgate-Owner: root", "X-Api-Key: x"}}.with(s.bearer("all")), "forward"},
		{request{method: "DELETE", target: stories}.with(s.bearer("all")), "route_never"},
		{request{target: "/spaces/2/stories"}.with(reader), "space_not_granted"},
		{request{target: "/nothing"}.with(reader), "route_unknown"},
		{request{target: "//spaces/1/stories"}.with(reader), "ambiguous_request"},
		{request{target: "/spaces/2/../1/stories"}.with(reader), "ambiguous_request"},
		{request{target: "/spaces/1/%2e%2e/stories"}.with(reader), "ambiguous_request"},
		{request{target: "/spaces/1%2fstories"}.with(reader), "ambiguous_request"},
		{request{target: "/spaces/1/stories;x"}.with(reader), "ambiguous_request"},
		{request{target: "/spaces/1%00/stories"}.with(reader), "ambiguous_request"},
		{request{method: "TRACE", target: stories}.with(reader), "ambiguous_request"},
		{request{target: stories}.with(reader, "X-Patgate-Owner: root", "X-Patgate.Owner: root", "X-Http-Method-Override: DELETE", "X-Original-Url: /admin"), "forward"},
		{request{method: "OPTIONS", target: stories}.with("Origin: https://app.test", "Access-Control-Request-Method: POST"), "forward"},
		{request{method: "OPTIONS", target: stories, body: "x"}.with("Origin: https://app.test", "Access-Control-Request-Method: POST", "Content-Length: 1"), "route_unknown"},
	} {
		var first []received
		for _, v := range s.versions() {
			a := v.send(t, row.request)
			if got := a.verdict(); got != row.want {
				t.Errorf("%s over %s: %s (%d), want %s", row.request, v.name, got, a.status, row.want)
			}
			got := s.upstream.take()
			if len(got) > 0 != (row.want == "forward") || len(got) > 1 {
				t.Errorf("%s over %s: %d requests forwarded", row.request, v.name, len(got))
				continue
			}
			if first == nil {
				first = got
			}
			if len(got) == 0 || len(first) == 0 {
				continue
			}
			if got[0].target != first[0].target || got[0].body != first[0].body || len(got[0].trailer) > 0 || !slices.Equal(identities(got[0]), identities(first[0])) {
				t.Errorf("%s over %s: forwarded as %s %v, over HTTP/1.1 as %s %v", row.request, v.name, got[0].target, got[0].header, first[0].target, first[0].header)
			}
			for _, name := range []string{"X-Http-Method-Override", "X-Original-Url", "X-Patgate.Owner"} {
				if len(got[0].header[name]) > 0 {
					t.Errorf("%s over %s: the upstream got %s", row.request, v.name, name)
				}
			}
		}
	}
	s.takesNoEarlyData(t)
}

func identities(r received) (lines []string) {
	for name, value := range identityOf(&r) {
		lines = append(lines, name+": "+value)
	}
	slices.Sort(lines)
	return lines
}

// tickets are the sessions that a client may resume.
type tickets struct {
	tls.ClientSessionCache
	got chan struct{}
}

func (c *tickets) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	if state != nil {
		c.got <- struct{}{}
	}
}

// takesNoEarlyData checks that a client that comes again over HTTP/3 is not served
// before its handshake has shown whose address it comes from.
func (s *secure) takesNoEarlyData(t *testing.T) {
	t.Helper()
	cache := &tickets{tls.NewLRUClientSessionCache(1), make(chan struct{}, 10)}
	config := insecure(http3.NextProtoH3)
	config.ClientSessionCache = cache
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for _, again := range []bool{false, true} {
		conn, err := quic.DialAddrEarly(ctx, s.addr, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-conn.HandshakeComplete():
		case <-ctx.Done():
			t.Fatal("no handshake")
		}
		if state := conn.ConnectionState(); state.TLS.DidResume != again || state.Used0RTT {
			t.Errorf("a session was resumed: %v, want %v; with early data: %v", state.TLS.DidResume, again, state.Used0RTT)
		}
		select {
		case <-cache.got:
		case <-ctx.Done():
			t.Fatal("no ticket")
		}
		conn.CloseWithError(0, "")
	}
}
