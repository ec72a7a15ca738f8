package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/patgate/patgate/internal/rest"
)

// bodyPause is how long an import may pause.
const bodyPause = time.Minute

// importTokens stores the tokens that the body lists, one JSON object a line,
// however many they are and however long that takes.
func importTokens(c *adminCall) (any, error) {
	body := &importReader{call: c}
	done, err := c.registry.Import(c.r.Context(), c.by, body)
	if err == nil {
		return done, nil
	}
	if body.failed {
		return nil, rest.Refuse(http.StatusBadRequest, "%v", err)
	}
	return nil, err
}

// importReader reads the body of an import, and gives the client time as long as
// something comes.
type importReader struct {
	call   *adminCall
	failed bool // the body could not be read to its end
}

func (r *importReader) Read(p []byte) (int, error) {
	r.call.mayRead(bodyPause)
	n, err := r.call.r.Body.Read(p)
	r.call.mayRead(0)
	r.failed = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// exportTokens lists all tokens with their digests, one JSON object a line.
func exportTokens(c *adminCall) (any, error) {
	return nil, c.stream("application/x-ndjson", "an export", c.registry.Export)
}

// stream answers with what write writes. An answer that fails half-way ends without an
// end, which no client takes for a complete one. what names it in the log.
func (c *adminCall) stream(contentType, what string, write func(context.Context, io.Writer) error) error {
	if err := c.noBody(); err != nil { // net/http would wait for one, as long as it takes
		return err
	}
	rest.Header(c.w, contentType)
	out := &countingWriter{w: c.w}
	err := write(c.r.Context(), out)
	if err != nil && out.n.Load() > 0 {
		c.app.logger.Error(what+" broke off", zap.Error(err))
		panic(http.ErrAbortHandler)
	}
	return err
}

// countingWriter counts what was written to w, in bytes.
type countingWriter struct {
	w io.Writer
	n atomic.Int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n.Add(int64(n))
	return n, err
}
