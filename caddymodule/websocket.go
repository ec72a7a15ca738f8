package caddymodule

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/internal/wsframe"
	"github.com/patgate/patgate/policy"
)

// tunnel is the ResponseWriter of a request for a WebSocket. What goes to the
// client passes through it, so that it knows where frames end: only there a close
// frame can be sent. In the middle of a frame, a stream that is cut just breaks off.
type tunnel struct {
	http.ResponseWriter
	extended bool // over HTTP/2 or 3 (RFC 8441): frames are the body of the answer

	conn   atomic.Pointer[tunnelConn] // nil: there is none, or not yet
	shutUp atomic.Bool                // nothing passes any more

	mu     sync.Mutex // held while frames are written, which lasts if the client doesn't read
	frames wsframe.Frames
	begun  bool
}

// closeWait bounds how long a client may take to accept its close frame.
const closeWait = time.Second

// Hijack implements http.Hijacker: the connection that is handed out is watched.
func (t *tunnel) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return conn, buffered, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	watched := &tunnelConn{conn, t}
	t.begun = true
	t.conn.Store(watched)
	if buffered.Writer.Buffered() == 0 {
		buffered.Writer.Reset(watched)
	}
	return watched, buffered, nil
}

// hijacked reports whether the tunnel has a connection of its own.
func (t *tunnel) hijacked() bool { return t.conn.Load() != nil }

// WriteHeader begins the tunnel where there is nothing to hijack.
func (t *tunnel) WriteHeader(status int) {
	t.mu.Lock()
	t.begun = t.extended && status == http.StatusOK
	t.mu.Unlock()
	t.ResponseWriter.WriteHeader(status)
}

// Write writes frames over HTTP/2 and 3, and otherwise an answer that refuses
// the WebSocket.
func (t *tunnel) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.write(t.ResponseWriter, b)
}

// FlushError is for http.ResponseController.
func (t *tunnel) FlushError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (t *tunnel) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// write writes what goes to the client. The tunnel is locked.
func (t *tunnel) write(w io.Writer, b []byte) (int, error) {
	if t.shutUp.Load() {
		return 0, errCut
	}
	n, err := w.Write(b)
	if t.begun {
		t.frames.Pass(b[:n])
	}
	return n, err
}

// shut lets nothing pass any more, and writes a close frame that says why if that
// is possible here. A client that doesn't read holds it up for closeWait at most.
func (t *tunnel) shut(reason policy.Reason) {
	t.shutUp.Store(true)
	conn, deadline := t.conn.Load(), time.Now().Add(closeWait)
	switch {
	case conn != nil:
		conn.SetWriteDeadline(deadline) // for what is being written, too
	case t.extended:
		c := http.NewResponseController(innermost(t.ResponseWriter))
		_, _ = c.SetReadDeadline(past), c.SetWriteDeadline(deadline)
	}
	for ; !t.mu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return
		}
	}
	defer t.mu.Unlock()
	if !t.begun || !t.frames.Between() {
		return
	}
	frame := wsframe.Close(wsframe.PolicyViolation, reason.String())
	if conn != nil {
		conn.Conn.Write(frame)
		return
	}
	t.ResponseWriter.Write(frame)
	http.NewResponseController(t.ResponseWriter).Flush()
}

// tunnelConn is a connection to a client that has become a tunnel.
type tunnelConn struct {
	net.Conn
	tunnel *tunnel
}

// Read implements net.Conn.
func (c *tunnelConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.tunnel.shutUp.Load() {
		return 0, errCut
	}
	return n, err
}

// Write implements net.Conn.
func (c *tunnelConn) Write(b []byte) (int, error) {
	c.tunnel.mu.Lock()
	defer c.tunnel.mu.Unlock()
	return c.tunnel.write(c.Conn, b)
}

// CloseWrite ends what goes to the client.
func (c *tunnelConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

// Close closes the connection. A client that is just sending something would lose
// the close frame, for what nobody reads has the connection reset; so that is read
// for a moment.
func (c *tunnelConn) Close() error {
	if c.tunnel.shutUp.Load() && c.CloseWrite() == nil {
		c.SetReadDeadline(time.Now().Add(closeWait))
		io.Copy(io.Discard, c.Conn)
	}
	return c.Conn.Close()
}
