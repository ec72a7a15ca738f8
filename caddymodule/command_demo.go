package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// demoCaddyfile is the demo's whole configuration. Its verbs are the addresses of
// the gate, of the admin endpoint and of the API, a directory, and the host and the
// port of the gate: it serves under every name that leads there.
const demoCaddyfile = `{
	admin %[2]s
	persist_config off
	auto_https off
	grace_period 500ms
	storage file_system %[4]q
	log {
		level ERROR
	}
	patgate {
		scopes {
			stories:read "Read stories"
			stories:write "Create, change and delete stories" implies stories:read
		}
	}
}

http://:%[6]s {
	bind %[5]s
	patgate {
		route GET /health public
		route GET /v1/me any
		group /v1/spaces/{space} {
			route GET /stories stories:read
			route POST /stories stories:write
			route GET /stories/{id} stories:read
			route PUT,DELETE /stories/{id} stories:write
		}
	}
	reverse_proxy %[3]s
}
`

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the gate at work, with an API and tokens to try",
		Long: `Starts a small API with the gate in front of it, makes tokens, shows what each is
answered and why, and serves until interrupted. Everything lives in a temporary
directory and in memory, and nothing is left behind.`,
		Example: `  patgate demo
  patgate demo --listen 127.0.0.1:9999`,
		Args: wantArgs(),
	}
	listen := cmd.Flags().String("listen", "127.0.0.1:8080", "`ADDRESS` to serve on; another port is taken if it is in use")
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		if _, _, err := net.SplitHostPort(*listen); err != nil {
			return usageErrorf("--listen %q: want an address and a port, as in 127.0.0.1:8080", *listen)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP, syscall.SIGPIPE)
		defer stop()
		return runDemo(ctx, cmd.OutOrStdout(), *listen, startedAs(cmd))
	})
	return cmd
}

// startedAs returns what patgate's commands begin with, as this one was started.
func startedAs(cmd *cobra.Command) string {
	if program, err := os.Executable(); err == nil && strings.Contains(program, "go-build") {
		return "go run ./cmd/patgate"
	}
	return cmd.Parent().CommandPath()
}

// runDemo serves the demo until ctx ends. command is what patgate's commands begin
// with.
func runDemo(ctx context.Context, out io.Writer, listen, command string) (err error) {
	dir, err := os.MkdirTemp("", "patgate-demo-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer func() {
		if err = errors.Join(err, os.RemoveAll(dir)); err == nil {
			fmt.Fprintln(out, "\nstopped; nothing is left behind")
		}
	}()
	// Caddy keeps its own files where these say.
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		if err := os.Setenv(name, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("starting the demo API: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(demoAPI), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(api) // ends with Close
	defer server.Close()

	gate, err := freeAddress(listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", listen, err)
	}
	admin, err := freeAddress("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("finding an address for the admin endpoint: %w", err)
	}
	host, port, err := net.SplitHostPort(gate)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", gate, err)
	}
	config := fmt.Sprintf(demoCaddyfile, gate, admin, api.Addr(), filepath.Join(dir, "storage"), host, port)
	body, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		return fmt.Errorf("adapting the demo's Caddyfile: %w", err)
	}
	if err := caddy.Load(body, true); err != nil {
		return fmt.Errorf("starting the gate: %w", err)
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()

	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		gate = net.JoinHostPort("localhost", port)
	}
	d := demo{out: out, gate: "http://" + gate, admin: admin, command: command}
	if err := d.show(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// freeAddress returns listen, or the same with a free port where its is in use.
func freeAddress(listen string) (string, error) {
	host, _, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = net.ResolveTCPAddr("tcp", listen)
	}
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// demoAPI is an API that knows nothing of tokens: it answers with what the gate
// tells it.
func demoAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{ // a client that is gone is no matter
		"request": r.Method + " " + r.URL.Path,
		"owner":   r.Header.Get("X-Patgate-Owner"),
		"token":   r.Header.Get("X-Patgate-Token"),
		"space":   r.Header.Get("X-Patgate-Space"),
		"scopes":  r.Header.Get("X-Patgate-Scopes"),
	})
}

// demo is what the demo shows.
type demo struct {
	out         io.Writer
	gate, admin string
	command     string            // what patgate's commands begin with
	tokens      *registry.Account // who makes them
	ids         map[string]string // by name
	secrets     map[string]string // likewise
}

// show makes tokens, sends requests with them, and prints what they are answered
// and how to go on.
func (d *demo) show(ctx context.Context) error {
	fmt.Fprintf(d.out, "patgate demo: an API behind the gate at %s\n\nTokens of alice, for space 1\n\n", d.gate)
	if err := d.makeTokens(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nWhat they are answered\n\n")
	if err := d.showAnswers(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nTry it (200, 401, 403, 401 after a revocation)\n\n")
	fmt.Fprintf(d.out, "curl -i -H 'Authorization: Bearer %s' %s/v1/spaces/1/stories\n", d.secrets["reader"], d.gate)
	fmt.Fprintf(d.out, "curl -i %s/v1/spaces/1/stories\n", d.gate)
	fmt.Fprintf(d.out, "curl -i -X POST -H 'Authorization: Bearer %s' %s/v1/spaces/1/stories\n", d.secrets["reader"], d.gate)
	fmt.Fprintf(d.out, "curl -i -H 'Authorization: Bearer %s' %s/v1/me\n", d.secrets["lost"], d.gate)
	fmt.Fprintf(d.out, "\nManage the demo's tokens from another terminal\n\n")
	fmt.Fprintf(d.out, "  %s token list --address %s\n", d.command, d.admin)
	fmt.Fprintf(d.out, "  %s token create --name mine --space 2 --scope stories:read --address %s\n", d.command, d.admin)
	fmt.Fprintf(d.out, "\nServing until interrupted (Ctrl-C).\n")
	return nil
}

// makeTokens makes the tokens to try, and prints them.
func (d *demo) makeTokens(ctx context.Context) error {
	running, err := caddy.ActiveContext().AppIfConfigured("patgate")
	if err != nil {
		return fmt.Errorf("looking for the gate: %w", err)
	}
	tokens, err := running.(*App).registry()
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	d.tokens = tokens.Operator(registry.Actor{Name: "demo"})
	d.ids, d.secrets = map[string]string{}, map[string]string{}
	w := newTable(d.out)
	for _, t := range []struct{ name, scope string }{{"reader", "stories:read"}, {"writer", "stories:write"}, {"lost", "stories:write"}} {
		made, secret, err := d.tokens.Create(ctx, registry.NewToken{
			Name: t.name, Owner: "alice", Grants: []token.Grant{{Spaces: []string{"1"}, Scopes: []string{t.scope}}},
		})
		if err != nil {
			return fmt.Errorf("making token %s: %w", t.name, err)
		}
		d.ids[t.name], d.secrets[t.name] = made.ID, secret
		fmt.Fprintf(w, "  %s\t%s\t%s\n", t.name, t.scope, secret)
	}
	w.Flush()
	d.secrets["reader, mistyped"] = demoTypo(d.secrets["reader"])
	return nil
}

// showAnswers sends requests, and prints what they are answered.
func (d *demo) showAnswers(ctx context.Context) error {
	rows := newTable(d.out)
	fmt.Fprintln(rows, "  TOKEN\tREQUEST\tANSWER\tWHY")
	for _, try := range []struct{ token, method, path string }{
		{"none", "GET", "/health"},
		{"none", "GET", "/v1/spaces/1/stories"},
		{"reader", "GET", "/v1/spaces/1/stories"},
		{"reader", "POST", "/v1/spaces/1/stories"},
		{"writer", "POST", "/v1/spaces/1/stories"},
		{"writer", "GET", "/v1/spaces/1/stories"},
		{"writer", "GET", "/v1/spaces/2/stories"},
		{"writer", "GET", "/v1/unheard-of"},
		{"reader, mistyped", "GET", "/v1/me"},
		{"writer", "GET", "/v1/spaces/1%2F..%2F2/stories"},
		{"lost", "GET", "/v1/me"},
	} {
		if err := d.try(ctx, rows, try.token, try.method, try.path); err != nil {
			return err
		}
	}
	if _, err := d.tokens.Revoke(ctx, d.ids["lost"]); err != nil {
		return fmt.Errorf("revoking a token: %w", err)
	}
	fmt.Fprintln(rows, "  lost\t(revoked at this moment)\t\t")
	if err := d.try(ctx, rows, "lost", "GET", "/v1/me"); err != nil {
		return err
	}
	rows.Flush()
	return nil
}

// demoTypo returns a secret with a typo, which its checksum gives away.
func demoTypo(secret string) string {
	last := byte('x')
	if secret[len(secret)-1] == last {
		last = 'y'
	}
	return secret[:len(secret)-1] + string(last)
}

// try sends a request and prints what it is answered.
func (d *demo) try(ctx context.Context, w io.Writer, name, method, path string) error {
	r, err := http.NewRequestWithContext(ctx, method, d.gate+path, nil)
	if err != nil {
		return err
	}
	if secret := d.secrets[name]; secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("asking the gate: %w", err)
	}
	defer resp.Body.Close()
	why := "forwarded"
	if resp.StatusCode != http.StatusOK {
		var p rest.Problem
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			return fmt.Errorf("reading the gate's answer: %w", err)
		}
		why = p.Reason + ": " + p.Detail
	}
	fmt.Fprintf(w, "  %s\t%s %s\t%d\t%s\n", name, method, path, resp.StatusCode, why)
	return nil
}
