package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
)

// client talks to the running server's admin endpoint. Caddy's own function for
// that has no typed errors and can't be interrupted.
type client struct {
	address    string // as it was given, for people
	origin     string
	sendOrigin bool // the endpoint wants it said (enforce_origin)
	http       http.Client
}

// newClient returns the client for the admin endpoint at address, or, if that is
// empty, where cmd's flags or the environment say.
func newClient(address string, cmd *cobra.Command) (c *client, err error) {
	if address == "" {
		if address, err = configuredAddress(cmd); err != nil {
			return nil, err
		}
	}
	network, err := caddy.ParseNetworkAddressWithDefaults(address, "tcp", 2019)
	c = &client{address: address, origin: "http://" + network.JoinHostPort(0)}
	if network.IsUnixNetwork() {
		c.origin = "http://127.0.0.1"                       // any would do
		network.Host, _, _ = strings.Cut(network.Host, "|") // after it, the socket's permissions
	}
	// What has a slash may be a URL, or the path of a socket without unix/.
	reachable := network.Network == "unix" || strings.HasPrefix(network.Network, "tcp") && !strings.Contains(network.Host, "/")
	if _, bad := url.Parse(c.origin); err != nil || bad != nil || !reachable || network.PortRangeSize() > 1 {
		return nil, usageErrorf("address %q: want the admin endpoint's, as in localhost:2019 or unix//run/patgate.sock", address)
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // no admin endpoint does
	c.http.Transport = &http.Transport{
		ResponseHeaderTimeout: answerTime,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTime}).DialContext(ctx, network.Network, network.JoinHostPort(0))
		},
	}
	return c, nil
}

// configuredAddress returns where cmd's flags --config and --adapter, or the environment
// variable CADDY_ADMIN, say that the admin endpoint is.
func configuredAddress(cmd *cobra.Command) (string, error) {
	name, adapter := flagValue(cmd, "config"), flagValue(cmd, "adapter")
	if name == "-" { // read already, by explain, or as easily given
		return "", usageErrorf("--config -: say by --address where the running server is")
	}
	var file configFile
	if name != "" {
		var err error
		if file, err = readFile(name, adapter, nil); err != nil {
			return "", err
		}
	}
	var read struct {
		Admin caddy.AdminConfig `json:"admin"`
	}
	// What can't be read here is refused by DetermineAdminAPIAddress.
	if json.Unmarshal(file.json, &read) == nil && read.Admin.Disabled {
		return "", fmt.Errorf("%s switches the admin endpoint off, which the command has to talk to: give it one (admin localhost:2019)", name)
	}
	address, err := caddycmd.DetermineAdminAPIAddress("", file.json, name, file.adapter)
	if err != nil {
		return "", err
	}
	return caddy.NewReplacer().ReplaceAll(address, ""), nil
}

// answerTime is how long a command waits for an answer to begin: longer than any
// change takes that is made in one go.
const answerTime = 10 * time.Minute

// dialTime is how long a command waits for a connection: a machine that is down may not
// say so, and the system gives up after minutes. It is shorter in tests.
var dialTime = 10 * time.Second

// apiPath returns the path of the management API with these segments.
func apiPath(segments ...string) string {
	path := "/patgate"
	for _, s := range segments {
		s = url.PathEscape(s)
		if strings.Trim(s, ".") == "" {
			s = strings.ReplaceAll(s, ".", "%2E") // not a step through the path
		}
		path += "/" + s
	}
	return path
}

// do sends a request. The body of the response is the caller's to close. What the
// server refuses is an error: a *rest.Problem, if it says why.
func (c *client) do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.origin+path, body)
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	r.Header.Set(clientHeader, clientCLI)
	if body != nil {
		r.Header.Set("Content-Type", contentType)
	}
	if body != nil && r.GetBody == nil { // it can be sent only once: let something else be refused
		resp, err := c.do(ctx, http.MethodGet, apiPath("scopes"), "", nil)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
	}
	resp, err := c.roundTrip(r)
	for again := 0; again < 2 && reads(method, path) && cutOff(err); again++ {
		resp, err = c.roundTrip(r)
	}
	if err != nil {
		return nil, c.unheard(method, path, err)
	}
	if resp.StatusCode < 300 && resp.Header.Get(apiHeader) == apiManagement {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 { // what was asked for is not done, unless the server is an older patgate
		err := fmt.Errorf("the answer of the server at %s isn't patgate's: is it the admin endpoint?", c.address)
		if !reads(method, path) {
			err = fmt.Errorf("%w If it is that of an older patgate, the change is done", err)
		}
		return nil, err
	}
	return nil, c.refused(resp)
}

// reads reports whether a request changes nothing, and so may be sent again.
func reads(method, path string) bool {
	return method == http.MethodGet || path == apiPath("verify") || path == apiPath("explain")
}

// unsure adds to err, which came in place of the answer to a change, how to find out
// whether the change was made.
func unsure(method, path string, err error) error {
	if reads(method, path) {
		return err
	}
	return perhapsDone{err}
}

// perhapsDone is an error in place of the answer to a change that may have been made.
type perhapsDone struct{ error }

func (e perhapsDone) Unwrap() error { return e.error }

func (e perhapsDone) Error() string {
	return e.error.Error() + "; it may be done all the same: patgate events tells what was done to tokens and owners"
}

// roundTrip sends a request. Where Caddy itself forbids it, it is sent once more with
// an Origin, which enforce_origin asks for. It isn't sent at once: an endpoint that
// asks for none refuses one that isn't its own, and has many names
// (admin 0.0.0.0:2019) or none (a Unix socket).
func (c *client) roundTrip(r *http.Request) (*http.Response, error) {
	if c.sendOrigin {
		r.Header.Set("Origin", c.origin)
	}
	if r.GetBody != nil { // it may have been sent before
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		r.Body = body
	}
	resp, err := c.http.Do(r)
	if err != nil || resp.StatusCode != http.StatusForbidden || mediaType(resp) != "application/json" || c.sendOrigin {
		return resp, err
	}
	resp.Body.Close()
	c.sendOrigin = true
	return c.roundTrip(r)
}

// cutOff reports whether a connection ended before an answer began, as it may when the
// server has just reopened its admin endpoint for another configuration. Whether the
// request was carried out isn't known then: only one that reads is sent again.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// mediaType returns what kind of answer it is.
func mediaType(resp *http.Response) string {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind
}

// unanswered is the error of a request that wasn't answered.
type unanswered struct{ error }

func (e unanswered) Unwrap() error { return e.error }

// unheard says why a request wasn't answered, and what to do about it.
func (c *client) unheard(method, path string, err error) error {
	if whole, ok := errors.AsType[*url.Error](err); ok {
		err = whole.Err
	}
	dialing, dialed := errors.AsType[*net.OpError](err)
	switch dialed = dialed && dialing.Op == "dial"; {
	case dialed && errors.Is(err, fs.ErrPermission): // which waiting doesn't change
		return fmt.Errorf("this user may not ask the server at %s (%w): ask as the user that it runs as", c.address, dialing.Err)
	case dialed:
		return unanswered{fmt.Errorf("no server answers at %s (%w): is patgate running? --address or --config says where", c.address, dialing.Err)}
	}
	return unanswered{unsure(method, path, fmt.Errorf("asking the server at %s: %w", c.address, err))}
}

// mayPass reports whether the same request may succeed later: there was no answer, or it
// broke off, or the store couldn't be asked.
func mayPass(err error) bool {
	if p, ok := errors.AsType[*rest.Problem](err); ok {
		return p.Status >= http.StatusInternalServerError
	}
	return errors.As(err, new(unanswered)) || errors.Is(err, io.ErrUnexpectedEOF)
}

// refused says why the server refused.
func (c *client) refused(resp *http.Response) error {
	const enough = 1 << 16
	body, err := io.ReadAll(io.LimitReader(resp.Body, enough))
	if err != nil {
		return fmt.Errorf("reading the answer of the server at %s: %w", c.address, err)
	}
	switch mediaType(resp) {
	case "application/problem+json":
		p := new(rest.Problem)
		if json.Unmarshal(body, p) == nil && p.Detail != "" {
			if strings.HasPrefix(p.Type, rest.ProblemType) {
				return fmt.Errorf("%s is a gate, not the admin endpoint, which is at localhost:2019 unless the configuration says otherwise", c.address)
			}
			p.Status = resp.StatusCode
			return p
		}
	case "application/json": // Caddy itself
		var e caddy.APIError
		if json.Unmarshal(body, &e) == nil && e.Message != "" {
			if resp.StatusCode == http.StatusForbidden {
				e.Message += ": its option admin says by which addresses it may be asked (origins)"
			}
			return fmt.Errorf("the server at %s refuses: %s", c.address, e.Message)
		}
	}
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("the server at %s doesn't have patgate built in, or this isn't its admin endpoint", c.address)
	}
	return fmt.Errorf("the server at %s answers %s: is it the admin endpoint?", c.address, resp.Status)
}

// isNotFound reports whether the server answered that what was asked for isn't
// there.
func isNotFound(err error) bool {
	p, ok := errors.AsType[*rest.Problem](err)
	return ok && p.Status == http.StatusNotFound
}

// send sends in as JSON, unless it is nil. The body of the response is the
// caller's to close.
func (c *client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	if in == nil {
		return c.do(ctx, method, path, "", nil)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	return c.do(ctx, method, path, "application/json", bytes.NewReader(body))
}

// call sends in as JSON, unless it is nil, and reads the answer into out.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return unsure(method, path, fmt.Errorf("reading the answer of the server at %s: %w", c.address, err))
	}
	return nil
}
