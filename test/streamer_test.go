package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// streamer is an upstream whose answers don't end by themselves.
type streamer struct {
	*httptest.Server
	open sync.Map // ids of the requests under way
}

func newStreamer(t *testing.T) *streamer {
	u := &streamer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", u.answer("text/event-stream", "data: tick\n\n", 20*time.Millisecond))
	mux.HandleFunc("GET /idle", u.answer("text/event-stream", "data: once\n\n", time.Hour))
	mux.HandleFunc("GET /download", u.answer("application/octet-stream", strings.Repeat("x", 32<<10), time.Millisecond))
	mux.HandleFunc("POST /upload", u.upload)
	mux.HandleFunc("GET /ws", u.websocket("\x81\x05hello", 20*time.Millisecond))
	mux.HandleFunc("GET /wsquiet", u.websocket("", 20*time.Millisecond))
	mux.HandleFunc("GET /wsflood", u.websocket("\x82\x7e\x80\x00"+strings.Repeat("x", 0x8000), 0))
	u.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		u.CloseClientConnections()
		u.Close()
	})
	return u
}

// addr is what a Caddyfile calls it by.
func (u *streamer) addr() string { return strings.TrimPrefix(u.URL, "http://") }

func (u *streamer) begin(r *http.Request) (end func()) {
	id := r.URL.Query().Get("id")
	u.open.Store(id, true)
	return func() { u.open.Delete(id) }
}

// answer answers with a text, over and over.
func (u *streamer) answer(kind, text string, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer u.begin(r)()
		w.Header().Set("Content-Type", kind)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(pause):
			}
		}
	}
}

func (u *streamer) upload(w http.ResponseWriter, r *http.Request) {
	defer u.begin(r)()
	if _, err := io.Copy(io.Discard, r.Body); err == nil {
		io.WriteString(w, "all of it")
	}
}

// websocket sends a frame over and over.
func (u *streamer) websocket(frame string, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer u.begin(r)()
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
		buffered.Flush()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			io.Copy(io.Discard, conn)
		}()
		for {
			if _, err := io.WriteString(conn, frame); err != nil {
				return
			}
			select {
			case <-gone:
				return
			case <-time.After(pause):
			}
		}
	}
}

// live is a stream that a client has opened.
type live struct {
	name  string
	got   atomic.Int64  // bytes
	ended chan struct{} // closed when it has ended for the client
	last  []byte        // the end of what came; to be read when ended is closed
}

// follow reads from the stream until it ends.
func (l *live) follow(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		l.got.Add(int64(n))
		l.last = append(l.last, buf[:n]...)
		l.last = l.last[max(0, len(l.last)-200):]
		if err != nil {
			close(l.ended)
			return
		}
	}
}

// clients returns HTTP clients by protocol, each stream on a connection of its
// own in HTTP/1, all on one in HTTP/2.
func clients(t *testing.T) map[string]*http.Client {
	one := &http.Transport{DisableKeepAlives: true}
	two := &http.Transport{Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(one.CloseIdleConnections)
	t.Cleanup(two.CloseIdleConnections)
	return map[string]*http.Client{"HTTP/1.1": {Transport: one}, "HTTP/2": {Transport: two}}
}

// stream opens a stream. name tells it from all others.
func (g *gateway) stream(t *testing.T, client *http.Client, host, kind, name, secret string) *live {
	t.Helper()
	l := &live{name: name, ended: make(chan struct{})}
	if kind == "ws" {
		g.openWebSocket(t, l, host, secret)
		return l
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	method, body := "GET", io.Reader(nil)
	var feed *io.PipeWriter
	if kind == "upload" {
		method = "POST"
		body, feed = io.Pipe()
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.addr+"/"+kind+"?id="+url.QueryEscape(name), body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Authorization", "Bearer "+secret)
	if feed != nil {
		go l.feed(feed)
		go func() {
			if resp, err := client.Do(req); err == nil {
				resp.Body.Close()
			}
			feed.Close() // the server has answered, or broken off
			close(l.ended)
		}()
		return l
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", name, resp.StatusCode)
	}
	go func() {
		defer resp.Body.Close()
		l.follow(resp.Body)
	}()
	return l
}

// feed writes to an upload until it ends.
func (l *live) feed(w *io.PipeWriter) {
	for {
		if _, err := io.WriteString(w, "some more"); err != nil {
			return
		}
		l.got.Add(1)
		select {
		case <-l.ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (g *gateway) openWebSocket(t *testing.T, l *live, host, secret string) {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /ws?id=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer %s\r\n\r\n",
		url.QueryEscape(l.name), host, secret)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s: %v %v", l.name, resp, err)
	}
	go l.follow(r)
}

// flows waits until something comes through the stream.
func (l *live) flows(t *testing.T) {
	t.Helper()
	before := l.got.Load()
	await(t, l.name+" to flow", func() bool { return l.got.Load() > before })
}

// wasCut waits until the stream has ended for the client and for the upstream.
func (u *streamer) wasCut(t *testing.T, l *live) {
	t.Helper()
	select {
	case <-l.ended:
	case <-time.After(patience):
		t.Errorf("%s goes on", l.name)
		return
	}
	await(t, l.name+" to end for the upstream", func() bool {
		_, open := u.open.Load(l.name)
		return !open
	})
}

// closeFrame is what ends a WebSocket.
func closeFrame(reason string) []byte {
	frame := []byte{0x88, byte(2 + len(reason)), 1008 >> 8, 1008 & 0xff}
	return append(frame, reason...)
}
