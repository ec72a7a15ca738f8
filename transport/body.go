package transport

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// body is an answer's body. Its end leaves the connection to the next request.
type body struct {
	from  io.ReadCloser // knows where the body ends
	c     *conn
	res   *http.Response
	t     *Transport
	ctx   context.Context // of the request
	stop  func() bool     // stops the end of ctx from interrupting the connection
	ended atomic.Bool
	eof   bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.eof {
		return 0, io.EOF
	}
	if b.ended.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.from.Read(p)
	switch {
	case err == io.EOF:
		b.eof = true
		b.end(true)
	case err != nil:
		b.end(false)
		if b.ctx.Err() != nil {
			err = context.Cause(b.ctx)
		}
	}
	return n, err
}

// Close may be called while a Read waits, which it ends.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// end ends the use of the connection, once. It is kept if the answer was read to
// its end, nothing follows it, and nothing has interrupted it or will.
func (b *body) end(whole bool) {
	if b.ended.Swap(true) {
		return
	}
	if b.stop() && whole && !b.res.Close && b.c.r.Buffered() == 0 {
		b.t.idle.put(b.c, b.t.MaxIdle, b.t.IdleTimeout)
		return
	}
	b.c.Close()
}
