package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

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

// tunnel is a request for a WebSocket over HTTP/2.
func tunnel(target string) request {
	return request{method: "CONNECT", target: target}.with(":protocol: websocket", "sec-websocket-version: 13")
}

// withoutProtocol makes a request for a WebSocket one for a tunnel of any kind.
const withoutProtocol = ":protocol: -"

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
	lines := tunnel(target).with(header...).lines("http")
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
		if line == withoutProtocol {
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
		bearer := bearerOf(c.Secret)
		for _, row := range []struct {
			target string
			header []string
			want   int
		}{
			{"/ws", nil, 401},
			{"/other", []string{bearer}, 403},
			{"/nothing", []string{bearer}, 403},
			{"/ws", []string{bearer, withoutProtocol}, 400},
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
	lines := tunnel("/wsquiet?id=deaf").with(bearerOf(c.Secret)).lines("http")
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
