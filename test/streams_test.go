package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
)

// A client that reads nothing of what it is sent can't keep its stream by that.
func TestStreamsOfDeafClients(t *testing.T) {
	t.Parallel()
	u := newStreamer(t)
	g := start(t, setup{sites: strings.ReplaceAll(streamSites, "UPSTREAM", u.addr())})
	for _, kind := range []string{"wsflood", "download"} {
		c := g.create(t, `{"name": "x", "full": true}`)
		conn := g.dial(t)
		defer conn.Close()
		fmt.Fprintf(conn, "GET /%s?id=%s HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n", kind, kind, c.Secret)
		if kind == "wsflood" {
			io.WriteString(conn, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n")
		}
		io.WriteString(conn, "\r\n")
		await(t, kind+" to begin", func() bool {
			_, open := u.open.Load(kind)
			return open
		})
		time.Sleep(500 * time.Millisecond) // until all buffers are full; nothing depends on it
		g.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
		await(t, kind+" to end for the upstream", func() bool {
			_, open := u.open.Load(kind)
			return !open
		})
	}
	for _, host := range []string{"api.test", "transport.test"} {
		c := g.create(t, `{"name": "x", "full": true}`)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+g.addr+"/download?id="+host, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Authorization", "Bearer "+c.Secret)
		resp, err := clients(t)["HTTP/2"].Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(500 * time.Millisecond) // until the window is full; nothing depends on it
		g.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
		await(t, host+" to end for the upstream", func() bool {
			_, open := u.open.Load(host)
			return !open
		})
		if _, err := io.Copy(io.Discard, resp.Body); err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
			t.Errorf("%s: the answer ended with %v, want the stream reset", host, err)
		}
	}
}

const streamSites = `
http://api.test:{$PORT} {
	log
	patgate {
		route GET,POST /{any} stream:use
	}
	reverse_proxy UPSTREAM {
		stream_close_delay 10m
	}
}
http://errors.test:{$PORT} {
	patgate {
		route GET,POST /{any} stream:use
	}
	error 502
	handle_errors 502 {
		reverse_proxy UPSTREAM
	}
}
http://transport.test:{$PORT} {
	patgate {
		route GET,POST /{any} stream:use
	}
	reverse_proxy UPSTREAM {
		transport patgate
	}
}
http://unchecked.test:{$PORT} {
	patgate {
		stream_check off
		route GET,POST /{any} stream:use
	}
	reverse_proxy UPSTREAM
}`

// ending is a way in which tokens end, and what a new request is rejected for
// afterwards.
type ending struct {
	name   string
	reason string
	end    func(t *testing.T, g *gateway, c created)
}

var endings = []ending{
	{"revoke", "token_revoked", func(t *testing.T, g *gateway, c created) {
		g.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
	}},
	{"delete", "token_unknown", func(t *testing.T, g *gateway, c created) { g.ok(t, "DELETE", "/patgate/tokens/"+c.Token.ID, "") }},
	{"regenerate", "token_revoked", func(t *testing.T, g *gateway, c created) {
		var again created
		g.call(t, "POST", "/patgate/tokens/"+c.Token.ID+"/regenerate", "{}", &again)
	}},
	{"lose the scope", "scope_missing", func(t *testing.T, g *gateway, c created) {
		g.ok(t, "DELETE", "/patgate/tokens/"+c.Token.ID+"/grants", "")
	}},
	{"disable the owner", "owner_disabled", func(t *testing.T, g *gateway, c created) {
		g.ok(t, "PUT", "/patgate/owners/"+c.Token.ID, `{"enabled": false}`)
	}},
	{"lower the owner's ceiling", "scope_missing", func(t *testing.T, g *gateway, c created) {
		g.ok(t, "PUT", "/patgate/owners/"+c.Token.ID, `{"enabled": true, "grants": [{"spaces": ["*"], "scopes": ["other:use"], "resources": ["*"]}]}`)
	}},
	{"leave the address", "address_not_allowed", func(t *testing.T, g *gateway, c created) {
		g.ok(t, "PATCH", "/patgate/tokens/"+c.Token.ID, `{"allowed_ips": ["192.0.2.0/24"]}`)
	}},
}

// Whatever ends a token ends the streams that were begun with it, in every
// protocol, and no others.
func TestStreamsEndWithTheToken(t *testing.T) {
	t.Parallel()
	u := newStreamer(t)
	g := start(t, setup{
		sites:  strings.ReplaceAll(streamSites, "UPSTREAM", u.addr()),
		tokens: []known{{name: "other"}},
	})
	by := clients(t)
	var others []*live
	for protocol, client := range by {
		others = append(others, g.stream(t, client, "api.test", "events", "other-"+protocol, g.secret("other")))
	}
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			owner := "owner-" + strings.ReplaceAll(e.name, " ", "-")
			c := g.create(t, fmt.Sprintf(`{"name": "x", "owner": %q, "full": true}`, owner))
			var streams []*live
			for protocol, client := range by {
				for _, kind := range []string{"events", "idle", "download", "upload", "ws"} {
					for _, host := range []string{"api", "transport", "errors"} {
						if kind != "ws" || protocol == "HTTP/1.1" {
							name := strings.ReplaceAll(kind+"-"+host+"-"+protocol+"-"+e.name, " ", "-")
							streams = append(streams, g.stream(t, client, host+".test", kind, name, c.Secret))
						}
					}
				}
			}
			unchecked := g.stream(t, by["HTTP/1.1"], "unchecked.test", "events", "unchecked-"+e.reason, c.Secret)
			for _, l := range streams {
				if !strings.HasPrefix(l.name, "idle") {
					l.flows(t)
				}
			}
			if strings.Contains(e.name, "owner") {
				c.Token.ID = owner
			}
			e.end(t, g, c)
			for _, l := range streams {
				u.wasCut(t, l)
				if want := closeFrame(e.reason); strings.HasPrefix(l.name, "ws") && !bytes.HasSuffix(l.last, want) {
					t.Errorf("%s: the last bytes are %q, want the close frame %q", l.name, l.last, want)
				}
			}
			unchecked.flows(t)
		})
	}
	for _, l := range others {
		l.flows(t)
	}
	metrics := g.metrics(t)
	for name, want := range map[string]string{
		`caddy_patgate_streams`:                                         "2",
		`caddy_patgate_streams_cut_total{reason="token_revoked"}`:       "54",
		`caddy_patgate_streams_cut_total{reason="scope_missing"}`:       "54",
		`caddy_patgate_streams_cut_total{reason="owner_disabled"}`:      "27",
		`caddy_patgate_streams_cut_total{reason="address_not_allowed"}`: "27",
	} {
		if metrics[name] != want {
			t.Errorf("%s is %s, want %s", name, metrics[name], want)
		}
	}
	entry := g.accessLog(t, "/events?id="+url.QueryEscape("events-api-HTTP/1.1-revoke"))
	if field, _ := entry["patgate"].(map[string]any); field["cut"] != "token_revoked" || field["decision"] != "forward" {
		t.Errorf("the access log of a stream that was cut says %v", entry["patgate"])
	}
}

// A token's time runs out without a change of the store.
func TestStreamsEndOnExpiry(t *testing.T) {
	t.Parallel()
	u := newStreamer(t)
	g := start(t, setup{
		sites: strings.ReplaceAll(streamSites, "UPSTREAM", u.addr()),
	})
	by := clients(t)
	short := g.create(t, `{"name":"short","full":true,"expires_in":"20s"}`).Secret
	for _, l := range []*live{
		g.stream(t, by["HTTP/1.1"], "api.test", "ws", "ws", short),
		g.stream(t, by["HTTP/1.1"], "api.test", "idle", "idle-1", short),
		g.stream(t, by["HTTP/2"], "api.test", "idle", "idle-2", short),
	} {
		u.wasCut(t, l)
		if want := closeFrame("token_expired"); l.name == "ws" && !bytes.HasSuffix(l.last, want) {
			t.Errorf("the last bytes are %q, want the close frame %q", l.last, want)
		}
	}
}

// A request that still waits to be sent to the API when its token ends never gets
// there: with a body, which net/http has not read yet, nor where the client has
// begun its next request.
func TestCutBeforeItIsSent(t *testing.T) {
	t.Parallel()
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := down.Addr().String()
	down.Close()
	g := start(t, setup{
		sites: `http://api.test:{$PORT} {
	log
	patgate {
		route POST /pay/{how} any
	}
	reverse_proxy ` + addr + ` {
		lb_try_duration 60s
		lb_try_interval 50ms
	}
}`,
		tokens: []known{{name: "S"}},
	})
	bodies := map[string][2]string{
		"length":    {"Content-Length: 4\r\n\r\n1000"},
		"chunked":   {"Transfer-Encoding: chunked\r\n\r\n4\r\n1000\r\n0\r\n\r\n"},
		"pipelined": {"\r\n", "G"},
	}
	for name, body := range bodies {
		c := g.create(t, `{"name":"`+name+`","full":true}`)
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "POST /pay/"+name+" HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer "+c.Secret+"\r\n"+body[0])
		await(t, "the request", func() bool { return g.metrics(t)["caddy_patgate_streams"] == "1" })
		io.WriteString(conn, body[1])
		if status := g.call(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "", nil); status != 200 {
			t.Fatalf("revoking: %d", status)
		}
		if answer, _ := io.ReadAll(conn); len(answer) > 0 {
			t.Errorf("%s: answered %q, want the connection closed", name, answer)
		}
	}
	up, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the address was taken meanwhile: %v", err)
	}
	defer up.Close()
	var got atomic.Int32
	go func() {
		for {
			c, err := up.Accept()
			if err != nil {
				return
			}
			got.Add(1)
			io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	for name := range bodies {
		g.accessLog(t, "/pay/"+name) // it has ended
	}
	if n := got.Load(); n > 0 {
		t.Errorf("the API got %d requests after their token had ended", n)
	}
}

// Not every handler minds that its request has ended: one that goes on reading the
// body, as Caddy's for FastCGI does, gets no more of it.
func TestUploadsThroughFastCGI(t *testing.T) {
	t.Parallel()
	php, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer php.Close()
	var read atomic.Int64
	ended := make(chan struct{}, 2)
	go func() {
		for {
			conn, err := php.Accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 4096)
				for n, err := conn.Read(buf); err == nil; n, err = conn.Read(buf) {
					read.Add(int64(n))
				}
				conn.Close()
				ended <- struct{}{}
			}()
		}
	}()
	g := start(t, setup{sites: `http://api.test:{$PORT} {
	patgate {
		route POST /upload any
	}
	reverse_proxy ` + php.Addr().String() + ` {
		transport fastcgi
	}
}`})
	for name, client := range clients(t) {
		c := g.create(t, `{"name":"x","full":true}`)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", "http://"+g.addr+"/upload", slowly{ctx})
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.ContentLength = "api.test", 1<<40
		req.Header.Set("Authorization", "Bearer "+c.Secret)
		told := make(chan struct{})
		go func() {
			defer close(told)
			if resp, err := client.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		before := read.Load()
		await(t, name+": the upload", func() bool { return read.Load() > before+1<<20 })
		g.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
		for what, done := range map[string]chan struct{}{"the API": ended, "the client": told} {
			select {
			case <-done:
			case <-time.After(patience):
				t.Fatalf("%s: the upload goes on for %s", name, what)
			}
		}
	}
}

// slowly is a body without end.
type slowly struct{ ctx context.Context }

func (s slowly) Read(p []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(time.Millisecond):
		return len(p), nil
	}
}

// A WebSocket that Caddy keeps over a reload is still cut when its token ends.
func TestStreamsAfterReload(t *testing.T) {
	t.Parallel()
	u := newStreamer(t)
	s := setup{sites: strings.ReplaceAll(streamSites, "UPSTREAM", u.addr())}
	g := start(t, s)
	c := g.create(t, `{"name": "x", "full": true}`)
	l := g.stream(t, nil, "api.test", "ws", "ws", c.Secret)
	for i := range 2 {
		s.sites += fmt.Sprintf("\nhttp://more%d.test:{$PORT} {\n\trespond ok\n}", i)
		if err := g.reload(t, s); err != nil {
			t.Fatal(err)
		}
		l.flows(t)
	}
	g.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "")
	u.wasCut(t, l)
	if want := closeFrame("token_revoked"); !bytes.HasSuffix(l.last, want) {
		t.Errorf("the last bytes are %q, want the close frame %q", l.last, want)
	}
}

// A revocation on one gateway cuts the streams on another. When the store can't
// be heard, they end after max_stale.
func TestStreamsOnTwoGateways(t *testing.T) {
	t.Parallel()
	u := newStreamer(t)
	server := redistest.Start(t)
	s := setup{store: "redis redis://" + server.Addr, sites: strings.ReplaceAll(streamSites, "UPSTREAM", u.addr()), options: "cache {\n\tmax_stale 10s\n}"}
	a, b := start(t, s), start(t, s)
	by := clients(t)
	open := func(round, secret string) (streams []*live) {
		for i, g := range []*gateway{a, b} {
			streams = append(streams,
				g.stream(t, nil, "api.test", "ws", fmt.Sprint("ws-", round, i), secret),
				g.stream(t, by["HTTP/1.1"], "api.test", "idle", fmt.Sprint("idle-", round, i), secret),
				g.stream(t, by["HTTP/2"], "api.test", "events", fmt.Sprint("events-", round, i), secret))
		}
		return streams
	}
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			owner := "owner-" + strings.ReplaceAll(e.name, " ", "-")
			c := a.create(t, fmt.Sprintf(`{"name": "x", "owner": %q, "full": true}`, owner))
			streams := open(strings.ReplaceAll(e.name, " ", "-"), c.Secret)
			if strings.Contains(e.name, "owner") {
				c.Token.ID = owner
			}
			e.end(t, a, c)
			for _, l := range streams {
				u.wasCut(t, l)
			}
		})
	}
	c := a.create(t, `{"name": "x", "full": true}`)
	streams := open("down", c.Secret)
	began := time.Now()
	server.Kill()
	streams[0].flows(t)
	for _, l := range streams {
		u.wasCut(t, l)
		if want := closeFrame("store_unavailable"); strings.HasPrefix(l.name, "ws") && !bytes.HasSuffix(l.last, want) {
			t.Errorf("%s: the last bytes are %q, want the close frame %q", l.name, l.last, want)
		}
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the streams ended after %s: max_stale is 10s", took)
	}
}
