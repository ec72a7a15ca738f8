package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/patgate/patgate/internal/rest"
)

// How long a client may take to send what is not an import, and what is left of any
// body when the answer is ready. They are shorter in tests.
var (
	bodyTime = 10 * time.Second
	leftTime = time.Second
)

// mayRead sets how long reading from the client may take from now on; 0: as long
// as it will. Caddy gives a whole request ten seconds, and net/http then ends
// what is under way, too: the context of a handler that takes longer.
func (c *adminCall) mayRead(d time.Duration) {
	var end time.Time
	if d > 0 {
		end = time.Now().Add(d)
	}
	// Where it can't be set, Caddy's stays.
	_ = http.NewResponseController(c.w).SetReadDeadline(end)
}

// decode reads the request's body into v, strictly. An optional body may be
// absent.
func (c *adminCall) decode(v any, optional bool) error {
	c.mayRead(bodyTime)
	defer c.mayRead(0)
	return rest.Decode(c.w, c.r, v, optional)
}

// noBody refuses a body that says something: what it said would not be done.
func (c *adminCall) noBody() error {
	var nothing struct{}
	return c.decode(&nothing, true)
}

// problemOf returns the problem that err is. One that is the store's is logged.
func (c *adminCall) problemOf(err error) *rest.Problem {
	p, known := rest.ProblemOf(err)
	if !known && !errors.Is(err, context.Canceled) { // whoever asked went away
		c.app.logger.Error("the token store can't do what was asked of the management API", zap.Error(err))
	}
	return p
}
