package test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// upstream is a server that records what it is sent, byte for byte, and answers
// 200 "served".
type upstream struct {
	addr string

	mu       sync.Mutex
	requests []received
	conns    map[net.Conn]bool
}

// received is a request as the upstream got it.
type received struct {
	raw     string // all of its bytes
	target  string // of the request line
	method  string
	header  http.Header
	body    string
	trailer http.Header
}

// line returns the values of a header as the upstream got them, joined.
func (r *received) line(name string) string { return strings.Join(r.header.Values(name), " | ") }

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{addr: l.Addr().String(), conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns[c] = true
			u.mu.Unlock()
			serving.Go(func() { u.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		u.mu.Lock()
		for c := range u.conns {
			c.Close()
		}
		u.mu.Unlock()
		serving.Wait()
	})
	return u
}

// serve answers the requests of a connection.
func (u *upstream) serve(c net.Conn) {
	defer c.Close()
	var raw bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &raw))
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.requests = append(u.requests, received{
			raw: raw.String(), target: req.RequestURI, method: req.Method, header: req.Header, body: string(body), trailer: req.Trailer,
		})
		u.mu.Unlock()
		raw.Reset()
		if req.Header.Get("Upgrade") != "" {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+req.Header.Get("Upgrade")+"\r\n\r\n")
			io.Copy(c, r) // an echo
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Served: yes\r\n\r\n"+map[bool]string{false: "served"}[req.Method == "HEAD"]); err != nil {
			return
		}
	}
}

// take returns what was received since the last call.
func (u *upstream) take() []received {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.requests
	u.requests = nil
	return taken
}
