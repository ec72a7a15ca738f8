package caddymodule

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/policy"
)

// tunnel is the ResponseWriter of a request for a WebSocket. What goes to the
// client passes through it, so that it knows where frames end: only there a close
// frame can stand. In the middle of a frame, a stream that is cut just breaks off.
type tunnel struct {
	http.ResponseWriter
	extended bool // over HTTP/2 or 3 (RFC 8441): frames are the body of the answer

	conn   atomic.Pointer[tunnelConn] // nil: there is none, or not yet
	shutUp atomic.Bool                // nothing passes any more

	mu     sync.Mutex // held while frames are written, which lasts if the client doesn't read
	frames frames
	begun  bool
}

// closeWait bounds how long a client may take to accept its close frame.
const closeWait = time.Second

// policyViolation is the status code of close frames (RFC 6455 section 7.4.1).
const policyViolation = 1008

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
		t.frames.pass(b[:n])
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
	if !t.begun || !t.frames.between() || t.frames.closed {
		return
	}
	frame := closeFrame(policyViolation, reason.String())
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

// closeFrame returns a server's close frame (RFC 6455 section 5.5.1).
func closeFrame(code uint16, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	frame := []byte{0x88, byte(2 + len(reason))}
	frame = binary.BigEndian.AppendUint16(frame, code)
	return append(frame, reason...)
}

// frames follows a sequence of WebSocket frames (RFC 6455 section 5.2).
type frames struct {
	header [14]byte
	have   int    // bytes of the header
	left   uint64 // bytes of the payload
	closed bool   // a close frame has passed
}

// between reports whether a frame has just ended, or none has begun.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// pass takes in what follows.
func (f *frames) pass(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.header[f.have] = b[0]
		f.have++
		b = b[1:]
		if f.have == f.length() {
			f.left = f.payload()
			f.closed = f.closed || f.header[0]&0x0f == 0x8
			f.have = 0
		}
	}
}

// length returns how long the header is, as far as it is known.
func (f *frames) length() int {
	if f.have < 2 {
		return 2
	}
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4 // a mask
	}
	return n
}

// payload returns how long the payload is.
func (f *frames) payload() uint64 {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(n)
	}
}
