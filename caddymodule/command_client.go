package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// client talks to the running server's admin endpoint.
type client struct {
	address string // as it was given, for people
	origin  string
	http    http.Client
}

// adminFlags adds the flags that say where the running server is found, as those
// of "caddy stop" do.
func adminFlags(cmd *cobra.Command) {
	cmd.Flags().String("address", "", "address of the running server's admin endpoint")
	cmd.Flags().StringP("config", "c", "", "configuration file to find that address in")
	cmd.Flags().StringP("adapter", "a", "", "config adapter for the configuration file")
}

// newClient returns the client for the admin endpoint at address, or, if that is
// empty, where cmd's flags --config and --adapter or the environment say.
func newClient(address string, cmd *cobra.Command) (*client, error) {
	if address == "" {
		file, adapter := flagValue(cmd, "config"), flagValue(cmd, "adapter")
		config, err := adaptedConfig(file, adapter)
		if err != nil {
			return nil, err
		}
		if address, err = caddycmd.DetermineAdminAPIAddress("", config, file, adapter); err != nil {
			return nil, err
		}
		address = caddy.NewReplacer().ReplaceAll(address, "")
	}
	network, err := caddy.ParseNetworkAddress(address)
	if err != nil {
		return nil, usageError(fmt.Errorf("--address %s: %w", address, err))
	}
	if network.PortRangeSize() != 1 && !network.IsUnixNetwork() {
		return nil, usageError(fmt.Errorf("--address %s: want one port, as in localhost:2019", address))
	}
	c := &client{address: address, origin: "http://" + network.JoinHostPort(0)}
	if network.IsUnixNetwork() {
		c.origin = "http://127.0.0.1"                       // any would do
		network.Host, _, _ = strings.Cut(network.Host, "|") // the socket's permissions
	}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network.Network, network.JoinHostPort(0))
		},
	}
	return c, nil
}

func flagValue(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// adaptedConfig reads a configuration file as Caddy's JSON; nil without a file.
// Caddy's own function logs what it does.
func adaptedConfig(file, adapter string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if adapter == "" && !strings.HasSuffix(file, ".json") {
		adapter = "caddyfile"
	}
	if adapter == "" {
		return body, nil
	}
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, usageError(fmt.Errorf("there is no config adapter %s in this build", adapter))
	}
	body, _, err = a.Adapt(body, map[string]any{"filename": file})
	return body, err
}

// actorHeader tells the server who asks, so that changes made on the command
// line can be told from others.
const actorHeader = "Patgate-Client"

// do sends a request. The body of the response is the caller's to close. An
// answer other than success is an error, of type *Problem if the server gave a
// reason.
func (c *client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.origin+path, body)
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	r.Header.Set(actorHeader, "cli")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the server at %s: %w", c.address, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, &statusError{status: resp.StatusCode}
}

type statusError struct{ status int }

func (e *statusError) Error() string { return http.StatusText(e.status) }

// isNotFound reports whether the server answered that what was asked for isn't
// there.
func isNotFound(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.status == http.StatusNotFound
}

// call sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("making request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}

// readSecret reads a secret from standard input, without echo on a terminal.
func readSecret(cmd *cobra.Command) (string, error) {
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		fmt.Fprint(cmd.ErrOrStderr(), "Secret: ")
		b, err := term.ReadPassword(in)
		fmt.Fprintln(cmd.ErrOrStderr())
		return strings.TrimSpace(string(b)), err
	}
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	return strings.TrimSpace(line), nil
}
