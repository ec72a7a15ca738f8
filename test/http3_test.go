package test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// What the fields of a request say that HTTP/2 and HTTP/3 have no place for, or that
// contradicts itself, is never forwarded.
func TestMalformedFields(t *testing.T) {
	t.Parallel()
	const site = "patgate {\ndefault public\n}\nreverse_proxy {$UPSTREAM}"
	s := startSecure(t, setup{sites: "https://:{$SECURE} {\ntls {$DIR}/cert.pem {$DIR}/key.pem\n" + site + "\n}"}, site) // for any host
	post := request{method: "POST", body: "hello"}
	for _, r := range []request{
		request{}.with("host: other.test"),
		request{}.with("host: api.test", "host: other.test"),
		request{}.with(":authority: -", "host: api.test", "host: other.test"),
		request{}.with(":authority: other.test", "host: api.test"),
		request{}.with(":authority: -"),
		request{}.with(":authority: "),
		request{}.with(":authority: user@api.test"),
		request{}.with(":authority: api.test/y"),
		request{}.with(":authority: %61pi.test"),
		request{}.with(":path: -"),
		request{}.with(":path: "),
		request{}.with(":path: x"),
		request{}.with(":path: ?x"),
		request{}.with(":path: *"),
		request{}.with(":path: http://api.test/x"),
		request{}.with(":path: x:y"),
		request{}.with(":path: //api.test/x"),
		request{}.with(":path: /x#y"),
		request{}.with(":path: /x y"),
		request{}.with(":path: /x HTTP/1.1\r\nX: y"),
		request{}.with(":method: -"),
		request{}.with(":method: "),
		request{}.with(":method: get"),
		request{}.with(":method: GET /y"),
		request{}.with(":status: 200"),
		request{}.with(":other: x"),
		request{}.with(":protocol: websocket"),
		request{method: "CONNECT"}.with(":scheme: -", ":path: -"),
		request{method: "CONNECT"}.with(":protocol: connect-udp"),
		request{method: "CONNECT"}.with(":protocol: webtransport"),
		request{method: "CONNECT"}.with(":protocol: WebSocket"),
		request{}.with("connection: x-y", "x-y: z"),
		request{}.with("connection: close"),
		request{}.with("keep-alive: 1"),
		request{}.with("proxy-connection: keep-alive"),
		request{}.with("upgrade: websocket"),
		request{}.with("te: gzip"),
		request{}.with("transfer-encoding: chunked"),
		request{}.with("x-y: a\r\nx-patgate-owner: root"),
		request{}.with("x-y: a\x00b"),
		request{}.with("x y: z"),
		post.with("transfer-encoding: chunked"),
		post.with("content-length: 9"),
	} {
		if r.target == "" {
			r.target = "/x"
		}
		for _, v := range s.versions()[1:] {
			a := v.send(t, r)
			if got := s.upstream.take(); len(got) > 0 {
				t.Errorf("%s over %s: %s, forwarded as %q", r, v.name, a, got[0].raw)
			}
		}
	}
	for _, v := range s.versions()[1:] {
		x := request{target: "/x"}
		for _, r := range []request{x, x.with("host: api.test"), x.with(":authority: -", "host: api.test"), x.with(":authority: other.test")} {
			a := v.send(t, r)
			if got := s.upstream.take(); a.status != 200 || len(got) != 1 {
				t.Errorf("%s over %s: %s, %d requests forwarded, want one", r, v.name, a, len(got))
			}
		}
	}
}

// Over HTTP/3 nothing but its end says that a request has no body. A CORS preflight has
// none: what a client sends as one isn't forwarded.
func TestPreflightOverHTTP3(t *testing.T) {
	t.Parallel()
	s := startSecure(t, setup{}, protocolSite)
	for _, body := range []string{"", "body"} {
		a := s.send3(t, request{method: "OPTIONS", target: "/spaces/1/stories", body: body}.with("Origin: https://app.test", "Access-Control-Request-Method: POST"))
		got := s.upstream.take()
		if a.verdict() != "forward" || a.body != "" || len(got) != 1 || got[0].body != "" || got[0].header.Get("Transfer-Encoding") != "" {
			t.Errorf("with the body %q: %s, the upstream got %v, want it without a body", body, a, got)
		}
	}
}

// A stream over HTTP/3 that is cut is reset, whatever serves it and whichever way its
// bytes go: an answer that just ended would pass for a whole one.
func TestStreamsOverHTTP3(t *testing.T) {
	t.Parallel()
	u := newStreamer(t)
	s := startSecure(t, setup{}, strings.ReplaceAll(`
	patgate {
		route GET,POST /{any} stream:use
	}
	handle /large {
		root {$DIR}
		file_server
	}
	handle /failed {
		error 502
	}
	reverse_proxy UPSTREAM
	handle_errors 502 {
		root {$DIR}
		rewrite /large
		file_server
	}`, "UPSTREAM", u.addr()))
	if err := os.WriteFile(filepath.Join(s.dir, "large"), make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := func(id string) func() bool {
		return func() bool {
			_, open := u.open.Load(id)
			return open
		}
	}
	kinds := []string{"events", "idle", "download", "upload", "large", "failed"}
	streams := map[string]*quic.Stream{}
	c := s.create(t, `{"name": "x", "full": true}`)
	for _, kind := range append(kinds, "left") {
		r := request{target: "/" + kind + "?id=" + kind}.with(bearerOf(c.Secret))
		switch kind {
		case "left":
			r.target = "/idle?id=left"
		case "upload":
			r.method = "POST"
		}
		stream, err := s.dial3(t).OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		stream.SetDeadline(time.Now().Add(patience))
		message := frame3(frameHeaders, encode3(r.lines("https")))
		if kind == "upload" {
			message = append(message, frame3(frameData, []byte("some"))...)
		}
		if _, err := stream.Write(message); err != nil {
			t.Fatal(err)
		}
		streams[kind] = stream
		if kind == "upload" {
			await(t, kind+" to begin", begun(kind))
			continue
		}
		stream.Close() // its end is the request's
		if _, err := stream.Read(make([]byte, 1)); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	streams["left"].CancelRead(0)
	streams["left"].CancelWrite(0)
	await(t, "the stream that its client has left to end for the upstream", func() bool { return !begun("left")() })
	await(t, "the streams to be counted", func() bool { return s.metrics(t)["caddy_patgate_streams"] == fmt.Sprint(len(kinds)) })
	s.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
	await(t, "all streams to be cut", func() bool { return s.metrics(t)["caddy_patgate_streams"] == "0" }) // clients that read nothing don't hold it up
	for _, kind := range kinds {
		_, err := io.Copy(io.Discard, streams[kind])
		if reset := (*quic.StreamError)(nil); !errors.As(err, &reset) || reset.ErrorCode != quic.StreamErrorCode(http3.ErrCodeInternalError) {
			t.Errorf("%s: ended with %v, want it reset", kind, err)
		}
		await(t, kind+" to end for the upstream", func() bool { return !begun(kind)() })
	}
}
