package transport

import (
	"bufio"
	"errors"
	"math"
	"net"
	"syscall"
	"time"
)

// conn is a connection to an upstream. One request at a time has it.
type conn struct {
	net.Conn
	key  key
	r    *bufio.Reader
	w    *bufio.Writer
	left int64     // bytes that may still be read
	kept time.Time // since when it is idle
	cut  func()    // interrupt, made once

	raw   syscall.RawConn // nil: it can't be looked at, so it isn't kept
	look  func(fd uintptr) bool
	quiet bool // what look has found
}

// unlimited is conn.left when a body begins: no body is as long.
const unlimited = math.MaxInt64

// interrupt ends what is being read or written.
func (c *conn) interrupt() { c.SetDeadline(time.Unix(1, 0)) }

// watch prepares what idle needs, once: it then allocates nothing.
func (c *conn) watch() {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
			c.look = func(fd uintptr) bool {
				c.quiet = silent(fd)
				return true
			}
		}
	}
}

// idle reports whether the upstream has neither closed the connection nor sent
// anything that no request asked for: that would be taken for the answer to the
// next one.
func (c *conn) idle() bool {
	return c.raw.Read(c.look) == nil && c.quiet
}

var errHeaderTooLong = errors.New("the header is longer than allowed")

// Read reads what may still be read.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeaderTooLong
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
