package caddymodule

import (
	"cmp"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
)

func verifySecret(c *adminCall) (any, error) {
	var in struct {
		Secret string `json:"secret"`
	}
	if err := c.decode(&in, false); err != nil {
		return nil, err
	}
	if in.Secret == "" {
		return nil, rest.Refuse(http.StatusBadRequest, "secret: missing")
	}
	return c.call().View(c.registry.Verify(c.r.Context(), in.Secret))
}

// ackTime is how long an answer waits for the other gateways unless it is told
// otherwise: they take a change in within milliseconds, or something is wrong.
const ackTime = 100 * time.Millisecond

// acknowledged counts the gateways that have taken in what was done just now.
func (c *adminCall) acknowledged() rest.Gateways {
	return rest.Acknowledged(c.r.Context(), c.tokens.store, cmp.Or(c.wait, ackTime))
}

// maxWait bounds how long an answer can be made to wait for gateways.
const maxWait = time.Minute

// waitFor reads the query parameter wait: how long the answer waits for all
// gateways to take the change in.
func (c *adminCall) waitFor() (err error) {
	text := c.params.Get("wait")
	if text == "" {
		return nil
	}
	if c.wait, err = caddy.ParseDuration(text); err != nil || c.wait <= 0 || c.wait > maxWait {
		return rest.Refuse(http.StatusBadRequest, "wait %s: want a duration such as 2s, at most %s", text, registry.FormatDuration(maxWait))
	}
	return nil
}
