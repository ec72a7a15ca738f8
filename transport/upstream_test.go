package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// upstream answers each request on a connection with the next of its answers,
// byte for byte; what is asked, and over which connection, it remembers. An
// empty answer, or the end of them, closes the connection.
type upstream struct {
	testing.TB
	listener net.Listener
	answers  []string

	mu       sync.Mutex
	requests []string // as they came, without the body
	conns    []int    // the connection of each
	open     []net.Conn
}

// drop, at the end of an answer, closes the connection behind it.
const drop = "\x00drop"

func startUpstream(t testing.TB, answers ...string) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{TB: t, listener: l, answers: answers}
	var serving sync.WaitGroup
	serving.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.open = append(u.open, c)
			u.mu.Unlock()
			serving.Go(func() { u.serve(c, n) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		u.mu.Lock()
		for _, c := range u.open {
			c.Close()
		}
		u.mu.Unlock()
		serving.Wait()
	})
	return u
}

func (u *upstream) serve(c net.Conn, n int) {
	defer c.Close()
	r := bufio.NewReader(c)
	for _, answer := range u.answers {
		var b strings.Builder
		for !strings.HasSuffix(b.String(), "\r\n\r\n") {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			b.WriteString(line)
		}
		u.mu.Lock()
		u.requests, u.conns = append(u.requests, b.String()), append(u.conns, n)
		u.mu.Unlock()
		answer, last := strings.CutSuffix(answer, drop)
		if _, err := io.WriteString(c, answer); err != nil || last || answer == "" {
			return
		}
	}
}

func (u *upstream) asked() (requests []string, conns []int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.requests...), append([]int(nil), u.conns...)
}

func (u *upstream) url() string { return "http://" + u.listener.Addr().String() }

// short is a Transport as a RoundTripper. At the end, all its connections must be closed.
type short struct {
	Transport
	t testing.TB

	mu     sync.Mutex
	dialed []*closable
}

// closable is a connection that knows whether it was closed.
type closable struct {
	*net.TCPConn
	closed atomic.Bool
}

func (c *closable) Close() error {
	c.closed.Store(true)
	return c.TCPConn.Close()
}

func newShort(t testing.TB) *short {
	s := &short{t: t}
	s.Transport = Transport{Dial: s.dial, MaxIdle: 32}
	t.Cleanup(func() {
		s.Close()
		for i, c := range s.dialed {
			if !c.closed.Load() {
				t.Errorf("connection %d is left open", i)
			}
		}
	})
	return s
}

func (s *short) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &closable{TCPConn: nc.(*net.TCPConn)}
	s.dialed = append(s.dialed, c)
	return c, nil
}

func (s *short) RoundTrip(r *http.Request) (*http.Response, error) {
	if !Takes(r) {
		s.t.Errorf("Takes doesn't take %s %s", r.Method, r.URL)
	}
	return s.Transport.RoundTrip(r, "tcp", r.URL.Host)
}
