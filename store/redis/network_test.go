package redis

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
)

// accept has serve called with every connection to the address that it returns, until the
// test ends. The connection is closed when serve returns.
func accept(t *testing.T, serve func(client net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				serve(client)
			}()
		}
	}()
	return l.Addr().String()
}

// between returns an address that leads to a server. What the server says reaches the client
// through reply, which is called with as much as has come.
func between(t *testing.T, server string, reply func(client io.Writer, b []byte) error) (addr string) {
	t.Helper()
	return accept(t, func(client net.Conn) {
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer upstream.Close()
		upstream.(*net.TCPConn).SetReadBuffer(16 << 10)
		go func() {
			io.Copy(upstream, client)
			upstream.Close()
		}()
		for b := make([]byte, 1<<16); ; {
			n, err := upstream.Read(b)
			if err != nil || reply(client, b[:n]) != nil {
				return
			}
		}
	})
}

// slowly returns the address of a network that carries so many bytes a second from a
// server.
func slowly(t *testing.T, server string, rate int) (addr string) {
	t.Helper()
	return between(t, server, func(client io.Writer, b []byte) error {
		_, err := client.Write(b)
		time.Sleep(time.Duration(len(b)) * time.Second / time.Duration(rate)) // what makes it slow
		return err
	})
}

// switched is a network that leads to one server, and then to another.
type switched struct {
	addr string
	to   atomic.Pointer[string]

	mu       sync.Mutex
	carrying map[string]int // connections, by where they lead
}

func newSwitched(t *testing.T, addr string) *switched {
	t.Helper()
	s := &switched{carrying: map[string]int{}}
	s.to.Store(&addr)
	s.addr = accept(t, s.carry)
	return s
}

// lead has the network lead to another server, and nothing of it to the one before.
func (s *switched) lead(t *testing.T, addr string) {
	t.Helper()
	before := *s.to.Swap(&addr)
	redistest.Await(t, "the connections to end", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return unless(before == addr || s.carrying[before] == 0)
	})
}

func (s *switched) carry(client net.Conn) {
	s.mu.Lock()
	to := *s.to.Load()
	s.carrying[to]++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.carrying[to]--
	}()
	defer client.Close() // before it is counted as ended
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			io.Copy(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	for {
		select {
		case <-ended:
			return
		case <-time.After(5 * time.Millisecond):
			if *s.to.Load() != to {
				return
			}
		}
	}
}
