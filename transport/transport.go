// Package transport sends requests to an upstream over HTTP/1.1 the short way:
// the goroutine that has a request writes it, and reads the answer, on a
// connection that nobody else touches meanwhile. net/http's Transport hands both
// over to two goroutines of each connection, which is most of what it costs.
//
// The short way is for requests that are safe to be sent again and have no body;
// all else, and whatever else is special, goes the way of net/http. What is written is
// what http.Request.Write writes; what reads the answer is http.ReadResponse.
package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"time"
)

// Transport sends requests the short way. The zero value isn't usable: Dial must
// be set. Safe for concurrent use.
type Transport struct {
	// Dial makes a connection. One that isn't a syscall.Conn isn't kept.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// MaxIdle is how many connections to one address are kept for later.
	MaxIdle int
	// IdleTimeout is how long they are kept; 0: until the upstream closes them.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the header of an answer, all 1xx answers before it
	// included; 0: 10 MiB, as with net/http.
	MaxHeaderBytes int64
	// ReadBufferSize and WriteBufferSize are those of a connection, in bytes;
	// 0: 4 KiB.
	ReadBufferSize, WriteBufferSize int

	idle pool
}

// Takes reports whether the short way is one for this request, over plain
// HTTP/1.1: nothing would be lost by sending it twice, and there is nothing to
// send while the answer may already be coming.
func Takes(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return false
	}
	return supported && r.URL.Scheme == "http" && r.URL.Host != "" &&
		(r.Body == nil || r.Body == http.NoBody) && r.ContentLength == 0 &&
		len(r.TransferEncoding) == 0 && len(r.Trailer) == 0 && !r.Close &&
		r.Header["Upgrade"] == nil && r.Header["Expect"] == nil && writable(r)
}

// RoundTrip sends a request that Takes has taken to an address, and returns its
// answer. The answer's body must be closed; read to its end it leaves the
// connection to the next request.
func (t *Transport) RoundTrip(r *http.Request, network, addr string) (*http.Response, error) {
	ctx := r.Context()
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c, kept, err := t.conn(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		res, err := t.exchange(ctx, c, r)
		if err == nil {
			return res, nil
		}
		c.Close()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case kept && errors.Is(err, errSilent):
			// The upstream has closed a connection it held idle, and this request
			// came too late: others are left, or a new one is made.
		default:
			return nil, err
		}
	}
}

// conn returns a connection to an address, and whether it was kept from before.
func (t *Transport) conn(ctx context.Context, network, addr string) (c *conn, kept bool, err error) {
	if c = t.idle.take(key{network, addr}, t.IdleTimeout); c != nil {
		return c, true, nil
	}
	nc, err := t.Dial(ctx, network, addr)
	if err != nil {
		return nil, false, err
	}
	c = &conn{Conn: nc, key: key{network, addr}}
	c.cut = c.interrupt
	c.watch()
	c.r = bufio.NewReaderSize(c, max(t.ReadBufferSize, 4096))
	c.w = bufio.NewWriterSize(nc, max(t.WriteBufferSize, 4096))
	return c, false, nil
}

// errSilent means that a connection ended without a byte of an answer.
var errSilent = errors.New("the upstream closed the connection without an answer")

// exchange sends a request over c and reads the answer's header. When it returns
// an error, c can't be used any more.
func (t *Transport) exchange(ctx context.Context, c *conn, r *http.Request) (*http.Response, error) {
	stop := context.AfterFunc(ctx, c.cut)
	res, err := t.ask(ctx, c, r)
	if err != nil {
		stop()
		return nil, err
	}
	b := &body{from: res.Body, c: c, res: res, t: t, ctx: ctx, stop: stop}
	if res.Body == http.NoBody {
		b.end(true)
		return res, nil
	}
	res.Body = b
	return res, nil
}

func (t *Transport) ask(ctx context.Context, c *conn, r *http.Request) (*http.Response, error) {
	if err := write(c.w, r); err != nil {
		// It may have answered before it closed. Nobody can know what it has taken in,
		// but sending that again does no harm: Takes lets only such requests through.
		return nil, fmt.Errorf("%w: writing the request: %w", errSilent, err)
	}
	c.left = t.MaxHeaderBytes
	if c.left <= 0 {
		c.left = 10 << 20
	}
	if _, err := c.r.Peek(1); err != nil {
		return nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	for {
		res, err := http.ReadResponse(c.r, r)
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading the answer: %w", err)
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("reading the answer: 101 Switching Protocols, which was not asked for")
		case res.StatusCode >= 200:
			c.left = unlimited
			return res, nil
		}
		if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// Close closes the connections that are kept, and keeps none from then on.
func (t *Transport) Close() { t.idle.close() }
