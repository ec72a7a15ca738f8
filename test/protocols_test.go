package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/patgate/patgate/token"
)

// secure is a second listener, with TLS and HTTP/3, for the same sites.
type secure struct {
	*gateway
	addr string
}

// startSecure starts a gateway whose site is there without TLS and with it.
func startSecure(t *testing.T, s setup, site string) *secure {
	t.Helper()
	port := freePort(t)
	s.sites = "http://api.test:{$PORT} {\n" + site + "\n}\nhttps://api.test:" + port + " {\ntls {$DIR}/cert.pem {$DIR}/key.pem\n" + site + "\n}"
	g := prepare(t, s)
	certificate := clientCertificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(g.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.serve(t)
	return &secure{g, "127.0.0.1:" + port}
}

func insecure(protocols ...string) *tls.Config {
	return &tls.Config{ServerName: "api.test", InsecureSkipVerify: true, NextProtos: protocols}
}

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

const tunnelSite = `
	patgate {
		route GET /ws stream:use
		route GET /wsquiet stream:use
		route GET /other other:use
	}
	reverse_proxy UPSTREAM`

// webSocket is a WebSocket over HTTP/2 or 3.
type webSocket struct {
	status int
	read   func() ([]byte, error)
}

// openWebSocket2 asks for a tunnel over HTTP/2 (RFC 8441).
func (s *secure) openWebSocket2(t *testing.T, target string, header ...string) *webSocket {
	t.Helper()
	c := s.dial(t)
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	lines := append([]string{":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: api.test", ":path: " + target, "sec-websocket-version: 13"}, header...)
	lines = slices.DeleteFunc(lines, func(line string) bool {
		return line == ":protocol: websocket" && slices.Contains(header, "no protocol: 1")
	})
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "no protocol: 1" })
	if err := errors.Join(f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(lines), EndHeaders: true})); err != nil {
		t.Fatal(err)
	}
	w := &webSocket{}
	next := func() ([]byte, error) {
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return nil, err
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					f.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				fmt.Sscan(frame.PseudoValue("status"), &w.status)
				return nil, nil
			case *http2.DataFrame:
				b := bytes.Clone(frame.Data())
				if frame.StreamEnded() {
					return b, io.EOF
				}
				return b, nil
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return nil, io.EOF
			}
		}
	}
	if _, err := next(); err != nil && w.status == 0 {
		return w
	}
	w.read = next
	return w
}

// A client that takes nothing, not even a close frame, can't go on sending.
func TestTunnelsOfDeafClients(t *testing.T) {
	t.Setenv("GODEBUG", "http2xconnect=1")
	u := newStreamer(t)
	s := startSecure(t, setup{}, strings.ReplaceAll(tunnelSite, "UPSTREAM", u.addr()))
	c := s.create(t, `{"name": "x", "grants": [{"spaces": ["*"], "scopes": ["stream:use"]}]}`)
	conn := s.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	lines := []string{":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: api.test", ":path: /wsquiet?id=deaf", "sec-websocket-version: 13", "authorization: Bearer " + c.Secret}
	if err := errors.Join(
		f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}), // no data may be sent
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(lines), EndHeaders: true}),
	); err != nil {
		t.Fatal(err)
	}
	await(t, "the tunnel to begin", func() bool {
		_, open := u.open.Load("deaf")
		return open
	})
	s.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
	await(t, "the tunnel to end for the upstream", func() bool {
		f.WriteData(1, false, []byte("\x81\x82\x00\x00\x00\x00hi")) // an error is as good
		_, open := u.open.Load("deaf")
		return !open
	})
}

// openWebSocket3 asks for a tunnel over HTTP/3 (RFC 9220).
func (s *secure) openWebSocket3(t *testing.T, target string, header ...string) *webSocket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	conn, err := quic.DialAddr(ctx, s.addr, insecure(http3.NextProtoH3), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	c := new(http3.Transport).NewClientConn(conn)
	select {
	case <-c.ReceivedSettings():
	case <-ctx.Done():
		t.Fatal("no settings")
	}
	stream, err := c.OpenRequestStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(target, "?")
	req := &http.Request{Method: "CONNECT", Proto: "websocket", Host: "api.test", Header: http.Header{"Sec-Websocket-Version": {"13"}}, URL: &url.URL{Scheme: "https", Host: "api.test", Path: path, RawQuery: query}}
	for _, line := range header {
		if line == "no protocol: 1" {
			req.Proto = "HTTP/1.1"
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	if err := stream.SendRequestHeader(req); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.ReadResponse()
	if err != nil {
		return &webSocket{}
	}
	return &webSocket{status: resp.StatusCode, read: func() ([]byte, error) {
		b := make([]byte, 100)
		n, err := resp.Body.Read(b)
		return b[:n], err
	}}
}

// A WebSocket is one request for GET in every version of HTTP: decided as such,
// and cut with a close frame when its token ends.
func TestWebSocketsDecideAlike(t *testing.T) {
	t.Setenv("GODEBUG", "http2xconnect=1") // without it, Go's server has none over HTTP/2
	u := newStreamer(t)
	s := startSecure(t, setup{}, strings.ReplaceAll(tunnelSite, "UPSTREAM", u.addr()))
	for name, open := range map[string]func(*testing.T, string, ...string) *webSocket{"HTTP/2": s.openWebSocket2, "HTTP/3": s.openWebSocket3} {
		c := s.create(t, `{"name": "x", "grants": [{"spaces": ["*"], "scopes": ["stream:use"]}]}`)
		bearer := "authorization: Bearer " + c.Secret
		for _, row := range []struct {
			target string
			header []string
			want   int
		}{
			{"/ws", nil, 401},
			{"/other", []string{bearer}, 403},
			{"/nothing", []string{bearer}, 403},
			{"/ws", []string{bearer, "no protocol: 1"}, 400},
		} {
			if got := open(t, row.target, row.header...); got.status != row.want && !(row.want == 400 && got.status == 0) {
				t.Errorf("%s: %s %v: %d, want %d", name, row.target, row.header, got.status, row.want)
			}
		}
		w := open(t, "/ws?id="+url.QueryEscape(name), bearer)
		if w.status != 200 {
			t.Errorf("%s: %d, want 200", name, w.status)
			continue
		}
		var all []byte
		revoked := false
		for {
			b, err := w.read()
			if all = append(all, b...); err != nil {
				break
			}
			if !revoked && bytes.Contains(all, []byte("hello")) {
				s.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
				revoked = true
			}
		}
		if want := closeFrame("token_revoked"); !bytes.HasSuffix(all, want) {
			t.Errorf("%s: the last bytes are %q, want the close frame %q", name, all[max(0, len(all)-40):], want)
		}
		await(t, name+" to end for the upstream", func() bool {
			_, open := u.open.Load(name)
			return !open
		})
	}
}
