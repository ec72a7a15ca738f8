package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/patgate/patgate/internal/rest"
)

// verification is the body of POST /patgate/verify.
type verification struct {
	Secret string `json:"secret"`
}

func verifySecret(c *adminCall) (any, error) {
	var in verification
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	if in.Secret == "" {
		return nil, rest.Refuse(http.StatusBadRequest, "secret: missing")
	}
	t, err := c.registry.Verify(c.R.Context(), in.Secret)
	if reason, ok := noToken(err); ok {
		p := c.problemOf(err)
		p.Reason = reason.String()
		return nil, p
	}
	return c.View(t, err)
}

// bodyPause is how long an import may pause.
const bodyPause = time.Minute

// importTokens stores the tokens that the body lists, one JSON object a line,
// however many they are and however long that takes.
func importTokens(c *adminCall) (any, error) {
	body := &importReader{call: c}
	done, err := c.registry.Import(c.R.Context(), c.by, body)
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
	n, err := r.call.R.Body.Read(p)
	r.call.mayRead(0)
	r.failed = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// exportTokens lists all tokens with their digests, one JSON object a line.
func exportTokens(c *adminCall) (any, error) {
	return nil, c.stream("application/x-ndjson", "an export", c.registry.Export)
}
