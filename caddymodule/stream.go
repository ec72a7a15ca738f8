package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// stream is a request that was forwarded for a token and is under way. It ends
// when a new request with its token would be turned away.
//
// Every such request is one, for nobody can tell beforehand which will last: being
// one costs a request over HTTP/1 no allocation. Those that a client begins as
// streams are cut at once when their token ends, all others when they have lasted
// for streamAge: a POST that is nearly done is better finished.
type stream struct {
	*outcome // not written any more
	digest   token.Digest
	route    *policy.Route
	from     string    // the client's address, as Caddy works it out
	began    time.Time // when its token was looked up
	lasting  bool      // begun as a stream: a WebSocket, or server-sent events

	// How it is cut. HTTP/1: by closing the connection and ending its context,
	// unless it was hijacked. Otherwise: by ending the request's context, and
	// reading and writing no more.
	conn   *clientConn
	cancel context.CancelFunc
	writer cuttableWriter // of what isn't a WebSocket
	tunnel *tunnel        // of a WebSocket

	shard   *streamShard
	cutting chan struct{} // set when it is being cut, closed when it has been
	ended   atomic.Uint32 // the reason it was cut for; 0, which is policy.Forward: it wasn't
}

// streamAge is how long a request that doesn't look like a stream may go on
// although its token has ended.
const streamAge = time.Second

// errCut is what reading and writing a stream returns that was cut. To a proxy that
// is the client's doing, and no failure of the upstream.
var errCut = fmt.Errorf("the stream was cut because its token has ended: %w", context.Canceled)

// follow has a request that was forwarded for a token watched. It returns what to
// serve it with; end must be called when it has been.
func (o *outcome) follow(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	ctx := r.Context()
	s := &o.stream
	s.outcome = o
	s.from = clientIP(ctx)
	upgrade := len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
	s.lasting = upgrade || wantsEvents(r.Header["Accept"])
	if r.ProtoMajor == 1 {
		s.conn, _ = ctx.Value(connKey{}).(*clientConn)
	}
	if s.conn == nil || upgrade {
		ctx, s.cancel = context.WithCancel(ctx)
		r = r.WithContext(ctx)
		if upgrade {
			s.tunnel = &tunnel{ResponseWriter: w, extended: r.Method == http.MethodConnect}
			w = s.tunnel
		} else {
			s.writer = cuttableWriter{w, s}
			w = &s.writer
		}
		if r.ContentLength != 0 {
			r.Body = &cuttableBody{r.Body, s}
		}
	}
	streams := o.gate.app.hub.opened.Load().streams
	if streams.begin(s); s.lasting {
		streams.again(s)
	}
	return w, r
}

// wantsEvents reports whether a client asks for server-sent events (HTML
// standard, section 9.2).
func wantsEvents(accept []string) bool {
	return len(accept) > 0 && strings.Contains(accept[0], "text/event-stream")
}

// end takes the request, which has been served, off the streams. From then on
// its connection isn't touched: the next request on it is not this one's.
func (s *stream) end() {
	s.shard.remove(s)
	if s.cancel != nil {
		s.cancel()
	}
}

// due reports whether the stream would be cut now if its token had ended.
func (s *stream) due(now time.Time) bool {
	return s.lasting || now.Sub(s.began) >= streamAge
}

// judge says whether the request would be forwarded if it came now.
func (s *stream) judge(subject *policy.Subject, now time.Time) policy.Reason {
	m := s.gate.policy.Again(s.route, s.space, s.resource)
	reason := m.Decide(subject, now, parseAddr(s.from))
	if reason == policy.Forward && m.Space != s.space {
		return policy.SpaceNotGranted // the token's own space is another one now
	}
	return reason
}

// cut ends the stream for both sides.
func (s *stream) cut(reason policy.Reason) {
	if s.conn != nil && (s.tunnel == nil || !s.tunnel.hijacked()) {
		s.conn.Close() // first, or the client would be answered
		s.conn.cancel()
		return
	}
	if s.tunnel != nil {
		// A client that takes nothing may hold the close frame up, and nothing else.
		late := time.AfterFunc(closeWait, s.cancel)
		defer late.Stop()
		s.tunnel.shut(reason)
	}
	s.cancel()
	if s.tunnel == nil {
		// Whoever waits for more of the body, or for the client to take more of the
		// answer, waits no longer, and the stream is reset. Deadlines are for the
		// server's own writer: Caddy's before it can't take them during a Write.
		c := http.NewResponseController(innermost(s.writer.ResponseWriter))
		_, _ = c.SetReadDeadline(past), c.SetWriteDeadline(past)
	}
}

// breakOff breaks off the answer of a stream that was cut and whose handler has returned as if
// it had written all of it. Over HTTP/3 it would end like one that is whole; over HTTP/1
// and 2 it is broken off already, and a WebSocket has its close frame.
func (o *outcome) breakOff(r *http.Request) {
	if r.ProtoMajor == 3 && o.stream.tunnel == nil && o.stream.ended.Load() != 0 {
		panic(http.ErrAbortHandler)
	}
}

// innermost returns the writer that all others wrap.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// cuttableWriter is the ResponseWriter of a stream over HTTP/2 or 3. Not every handler
// minds the request's context.
type cuttableWriter struct {
	http.ResponseWriter
	stream *stream
}

func (c *cuttableWriter) Write(b []byte) (int, error) {
	if c.stream.ended.Load() != 0 {
		return 0, errCut
	}
	return c.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (c *cuttableWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// cuttableBody is the body of such a stream, and of a WebSocket over HTTP/2 and 3,
// where it has the client's frames.
type cuttableBody struct {
	io.ReadCloser
	stream *stream
}

func (b *cuttableBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.stream.ended.Load() != 0 {
		return 0, errCut
	}
	return n, err
}

// clientConn is a connection of a client, and what ends the contexts of its
// requests. net/http ends them as well when a connection closes, but only where it
// notices: not before a request's body has been read, nor when the client has sent
// a part of the next request.
type clientConn struct {
	net.Conn
	cancel context.CancelFunc
}

// connKey is the key of the connection in the contexts of its requests.
type connKey struct{}

// keepConn has the server's requests know their connections.
func keepConn(server *caddyhttp.Server) {
	server.RegisterConnContext(func(ctx context.Context, c net.Conn) context.Context {
		if ctx.Value(connKey{}) != nil {
			return ctx // there are several gates
		}
		// What isn't cut needs no cancel: the contexts of connections have no parent
		// that would go on knowing them.
		ctx, cancel := context.WithCancel(ctx)
		return context.WithValue(ctx, connKey{}, &clientConn{c, cancel})
	})
}
