package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
)

// adminCall is a request to the management API, under way.
type adminCall struct {
	rest.Call
	app      *App
	opened   *openStore
	registry *registry.Registry
	by       registry.Actor
	wait     time.Duration // for other gateways to take a change in; 0: a moment
}

// serve answers a request. It always returns nil: what it returned, Caddy would
// answer in a form of its own.
func (route adminRoute) serve(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set(apiHeader, apiManagement)
	r.Body = &askedBody{ReadCloser: r.Body}
	c := new(adminCall)
	c.Call = rest.Call{W: w, R: r, TokensAt: "/patgate/tokens/", Body: c.body, Problem: c.problemOf, Gateways: c.acknowledged, Status: http.StatusOK}
	var answer any
	err := c.prepare(route.params)
	if err == nil {
		answer, err = route.handle(c)
	}
	takeRest(w, r)
	switch {
	case err != nil:
		return rest.AnswerProblem(w, c.problemOf(err))
	case answer == nil: // answered already
		return nil
	}
	return rest.Answer(w, "application/json", c.Status, answer)
}

// prepare looks up what the request is about.
func (c *adminCall) prepare(params string) error {
	if !awaitStart(c.R.Context()) {
		return rest.Refuse(http.StatusServiceUnavailable, "the server is still starting, or stopping: try again")
	}
	running, err := caddy.ActiveContext().AppIfConfigured("patgate")
	if err != nil {
		return rest.Refuse(http.StatusNotFound, "patgate isn't configured in the running server: no site uses it, and there is no global option patgate")
	}
	c.app = running.(*App)
	c.mayRead(0)
	if c.Params, err = rest.Params(c.R.URL.RawQuery, params); err != nil {
		return err
	}
	if text := c.Params.Get("wait"); text != "" {
		if c.wait, err = parseWait(text); err != nil {
			return rest.Refuse(http.StatusBadRequest, "wait: %v", err)
		}
	}
	if c.opened, err = c.app.open(); err != nil {
		return err
	}
	if c.registry, err = c.app.registry(); err != nil {
		return err
	}
	c.by.Name = "admin"
	if c.R.Header.Get(clientHeader) == clientCLI {
		c.by.Name = clientCLI
	}
	c.by.Address, _, _ = net.SplitHostPort(c.R.RemoteAddr) // none on a Unix socket
	c.Account = c.registry.Operator(c.by)
	return nil
}

// startTime is how long a request waits for the server to start, whose admin endpoint and
// sites answer before.
const startTime = 5 * time.Second

// awaitStart waits for a configuration to run, and reports whether one does.
func awaitStart(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for !configurationRuns() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// clientHeader tells which program asks. Whoever reaches the admin endpoint may
// do everything, so it is only there to tell changes apart afterwards.
const (
	clientHeader = "Patgate-Client"
	clientCLI    = "cli"
)

// apiHeader tells which program answers. A server that knows nothing of patgate answers
// 200 to many a request: Caddy itself does, for a host that is no site's.
const (
	apiHeader     = "Patgate-Api"
	apiManagement = "management"
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
	setReadEnd(c.W, end)
}

// setReadEnd sets until when may be read from the client. Where it can't be set, Caddy's stays.
func setReadEnd(w http.ResponseWriter, end time.Time) {
	_ = http.NewResponseController(w).SetReadDeadline(end)
}

// takeRest reads what is left of a body before it is answered. net/http itself reads no
// more than 256 KiB and closes the connection after the answer: a client that is still
// sending finds it broken, and doesn't see what it was told. A client that waits to be
// asked for its body (Expect: 100-continue), and wasn't, is told at once.
func takeRest(w http.ResponseWriter, r *http.Request) {
	setReadEnd(w, time.Now().Add(leftTime))
	body, _ := r.Body.(*askedBody)
	if r.Header.Get("Expect") != "" && (body == nil || !body.asked) {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
}

// askedBody is a body of which is known whether it was asked for, by reading of it.
type askedBody struct {
	io.ReadCloser
	asked bool
}

func (b *askedBody) Read(p []byte) (int, error) {
	b.asked = true
	return b.ReadCloser.Read(p)
}

// body reads the request's body, which may take no longer than bodyTime.
func (c *adminCall) body() ([]byte, error) {
	c.mayRead(bodyTime)
	defer c.mayRead(0)
	return rest.ReadBody(c.W, c.R)
}

// problemOf returns the problem that err is. One that is the store's is logged.
func (c *adminCall) problemOf(err error) *rest.Problem {
	p, known := rest.ProblemOf(err)
	if !known && !errors.Is(err, context.Canceled) { // whoever asked went away
		c.app.logger.Error("the token store can't do what was asked of the management API", zap.Error(err))
	}
	return p
}

// ackTime is how long an answer waits for the other gateways unless it is told
// otherwise: they take a change in within milliseconds, or something is wrong.
const ackTime = 100 * time.Millisecond

// acknowledged counts the gateways that have taken in what was done just now.
func (c *adminCall) acknowledged() rest.Gateways {
	return rest.Acknowledged(c.R.Context(), c.opened.store, cmp.Or(c.wait, ackTime))
}

// maxWait bounds how long an answer can be made to wait for gateways.
const maxWait = time.Minute

// parseWait reads how long an answer is to wait until all gateways have taken a change
// in, or there are events.
func parseWait(text string) (time.Duration, error) {
	d, err := caddy.ParseDuration(text)
	if err != nil || d <= 0 || d > maxWait {
		return 0, fmt.Errorf("%q; want a duration such as 2s, at most %s", text, registry.FormatDuration(maxWait))
	}
	return d, nil
}

// stream answers with what write writes. An answer that fails half-way ends without an
// end, which no client takes for a complete one. what names it in the log.
func (c *adminCall) stream(contentType, what string, write func(context.Context, io.Writer) error) error {
	if err := c.NoBody(); err != nil { // net/http would wait for one, as long as it takes
		return err
	}
	rest.Header(c.W, contentType)
	out := &countingWriter{w: c.W}
	err := write(c.R.Context(), out)
	if err != nil && out.n.Load() > 0 {
		c.app.logger.Error(what+" broke off", zap.Error(err))
		_ = http.NewResponseController(c.W).Flush() // what there is has arrived then
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
