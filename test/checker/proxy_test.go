package checker

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy carries TCP connections to a target, as well as its manner allows.
// (Toxiproxy knows most of this, but brings a web framework and two loggers
// into go.mod, and can't have a connection that was dead come alive again, late
// bytes and all.)
type proxy struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	links map[*link]struct{}
	next  manner // of connections to come
	rng   *rand.Rand
}

// manner is how bytes are carried.
type manner struct {
	delay, jitter    time.Duration // of each piece
	rate             int           // bytes per second; 0: no limit
	holdUp, holdDown bool          // nothing moves towards the target, or from it; nothing is lost either
	refuse           bool          // new connections are reset as soon as they are made
}

func (m manner) String() string {
	var words []string
	if m.delay+m.jitter > 0 {
		words = append(words, fmt.Sprintf("delay %v–%v", m.delay, m.delay+m.jitter))
	}
	if m.rate > 0 {
		words = append(words, fmt.Sprintf("%d bytes/s", m.rate))
	}
	if m.holdUp {
		words = append(words, "nothing reaches the store")
	}
	if m.holdDown {
		words = append(words, "nothing comes back")
	}
	if m.refuse {
		words = append(words, "refused")
	}
	return strings.Join(words, ", ")
}

// link is a connection through a proxy.
type link struct {
	client, server net.Conn
	done           chan struct{}

	mu      sync.Mutex
	manner  manner
	changed chan struct{} // closed when manner changes
	ended   bool
}

func newProxy(t testing.TB, target string, rng *rand.Rand) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: l, links: map[*link]struct{}{}, rng: rng}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut(1)
		serving.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	m := p.next
	p.mu.Unlock()
	var server net.Conn
	err := error(nil)
	if !m.refuse {
		server, err = net.Dial("tcp", p.target)
	}
	if server == nil || err != nil {
		reset(client)
		return
	}
	l := &link{client: client, server: server, done: make(chan struct{}), manner: m, changed: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = struct{}{}
	if p.next != m {
		l.be(p.next)
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.carry(server, client, true) })
	both.Go(func() { l.carry(client, server, false) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// be has connections carried in a manner: those to come, and of those that there
// are each with a probability of share.
func (p *proxy) be(m manner, share float64) {
	p.mu.Lock()
	p.next = m
	p.mu.Unlock()
	p.some(share, func(l *link) { l.be(m) })
}

// cut resets connections, each with a probability of share.
func (p *proxy) cut(share float64) { p.some(share, (*link).end) }

func (p *proxy) some(share float64, f func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if p.rng.Float64() < share {
			f(l)
		}
	}
}

func (l *link) be(m manner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.manner = m
	close(l.changed)
	l.changed = make(chan struct{})
}

// end resets both sides.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.done)
	reset(l.client)
	reset(l.server)
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// carry carries what src sends to dst.
func (l *link) carry(dst, src net.Conn, up bool) {
	defer l.end()
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if !l.pass(n, up) {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass returns when n bytes may pass; false when they never may.
func (l *link) pass(n int, up bool) bool {
	for {
		l.mu.Lock()
		m, changed := l.manner, l.changed
		l.mu.Unlock()
		var pause <-chan time.Time
		switch held := m.holdDown && !up || m.holdUp && up; {
		case held:
		case m.delay+m.jitter == 0 && m.rate == 0:
			return true
		default:
			d := m.delay
			if m.jitter > 0 {
				d += rand.N(m.jitter)
			}
			if m.rate > 0 {
				d += time.Duration(n) * time.Second / time.Duration(m.rate)
			}
			pause = time.After(d)
		}
		select {
		case <-pause:
			return true
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	p := newProxy(t, server.Addr().String(), rand.New(rand.NewPCG(1, 1)))
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	send := func(c net.Conn, text string) {
		t.Helper()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	read := func(c net.Conn, n int) (string, error) {
		b := make([]byte, n)
		_, err := io.ReadFull(c, b)
		return string(b), err
	}
	want := func(c net.Conn, text string) {
		t.Helper()
		if got, err := read(c, len(text)); got != text || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, text)
		}
	}
	silent := func(c net.Conn) {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		defer c.SetReadDeadline(time.Time{})
		if got, err := read(c, 1); err == nil {
			t.Fatalf("got %q, want nothing", got)
		}
	}

	old := dial()
	send(old, "as it is")
	want(old, "as it is")
	for _, m := range []manner{{holdUp: true}, {holdDown: true}, {holdUp: true, holdDown: true}} {
		p.be(m, 1)
		fresh := dial()
		send(old, "late")
		send(fresh, "late, too")
		silent(old)
		silent(fresh)
		p.be(manner{}, 1)
		want(old, "late")
		want(fresh, "late, too")
	}

	p.be(manner{delay: 20 * time.Millisecond, jitter: 10 * time.Millisecond, rate: 1000}, 1)
	began := time.Now()
	send(old, "slow")
	want(old, "slow")
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("there and back in %v, want at least 40ms", took)
	}

	p.be(manner{holdUp: true}, 0) // only those to come
	p.be(manner{refuse: true}, 0)
	refused, err := net.Dial("tcp", p.addr())
	if err == nil { // the reset may come so soon that it isn't
		defer refused.Close()
		_, err = read(refused, 1)
	}
	if err == nil {
		t.Error("a connection was not refused")
	}
	send(old, "still there")
	want(old, "still there")
	p.cut(1)
	if _, err := read(old, 1); err == nil {
		t.Error("a connection was not cut")
	}
}
