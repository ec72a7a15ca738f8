package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/output"
)

// tags are those of Caddy's own releases.
const tags = "nobadger,nomysql,nopgx"

// The commands that are measured.
const (
	patgateCommand = "github.com/patgate/patgate/cmd/patgate"
	caddyCommand   = "github.com/caddyserver/caddy/v2/cmd/caddy"
)

// build builds a command.
func build(ctx context.Context, command, binary string) error {
	cmd := goCommand(ctx, filepath.Dir(binary), "build", "-tags", tags, "-o", binary, command)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", command, err, out)
	}
	return nil
}

// gateway is a running Caddy.
type gateway struct {
	process
	addr      string
	adminAddr string
	config    string        // the file
	log       output.Buffer // what it has to say
}

// goCommand returns a command of Go's. Its temporary files are in dir: where it is
// interrupted, it leaves them.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := interruptible(exec.CommandContext(ctx, "go", args...))
	cmd.Env = append(os.Environ(), "GOTMPDIR="+dir)
	return cmd
}

// first returns as many lines of a text.
func first(n int, text string) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

// startGateway starts Caddy in front of an upstream, with a directive before
// reverse_proxy and settings of patgate's app. It keeps its files in dir.
func startGateway(ctx context.Context, binary, dir, upstream, directive, settings string) (*gateway, error) {
	return startTuned(ctx, binary, dir, upstream, directive, settings, usual)
}

// tuning is what a Caddyfile can choose to be faster, and GOGC, if it is set.
type tuning struct{ format, transport, gogc string }

var (
	usual = tuning{format: "json", transport: "http"}
	lean  = tuning{format: "patgate", transport: "patgate"}
)

// tunings are those that the comparison with plain Caddy can be made in.
var tunings = map[string]tuning{"usual": usual, "log": {format: lean.format, transport: usual.transport}, "lean": lean}

// startTuned is startGateway, with a choice.
func startTuned(ctx context.Context, binary, dir, upstream, directive, settings string, t tuning) (*gateway, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	adminAddr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	g := &gateway{addr: addr, adminAddr: adminAddr, config: filepath.Join(dir, "Caddyfile")}
	if err := os.WriteFile(g.config, []byte(g.caddyfile(upstream, directive, settings, t)), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run", "--config", g.config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if t.gogc != "" {
		cmd.Env = append(cmd.Env, "GOGC="+t.gogc)
	}
	cmd.Stdout, cmd.Stderr = &g.log, &g.log
	if err := g.launch(cmd); err != nil {
		return nil, err
	}
	if err := g.await(ctx); err != nil {
		g.stop()
		return nil, fmt.Errorf("%w\n%s", err, &g.log)
	}
	return g, nil
}

// caddyfile is the same for all gateways but for directive and settings. The upstream's
// connections are kept for all requests that may be under way at a time: dialing
// would hide what else there is to see. Where it is needed, it may take its time: a
// machine that stands still for some seconds is not to be answered 502.
func (g *gateway) caddyfile(upstream, directive, settings string, t tuning) string {
	app := ""
	if directive != "" {
		if !strings.Contains(settings, "unknown_token_limit") {
			settings += "\tunknown_token_limit off\n"
		}
		app = "patgate {\n" + settings + "}\n"
	}
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	log {
		level ERROR
		format %s
	}
	%s
}
http://:%s {
	bind 127.0.0.1
	%s
	reverse_proxy %s {
		transport %s {
			keepalive_idle_conns_per_host 1024
			dial_timeout 30s
		}
	}
}
`, g.adminAddr, t.format, app, g.addr[strings.LastIndexByte(g.addr, ':')+1:], directive, upstream, t.transport)
}

// await waits until the gateway serves. It listens a little earlier; the admin
// endpoint says what is configured only when all of it runs.
func (g *gateway) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		answer, err := g.admin(ctx, http.MethodGet, "/config/", nil)
		if err == nil {
			return answer.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to serve: %w", err)
		case <-g.ended:
			return errors.New("it has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// importTokens stores tokens, given one a line.
func (g *gateway) importTokens(ctx context.Context, lines string) error {
	answer, err := g.admin(ctx, http.MethodPost, "/patgate/import", strings.NewReader(lines))
	if err != nil {
		return err
	}
	return answer.Close()
}

// admin asks the admin endpoint and returns the body of its answer.
func (g *gateway) admin(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.adminAddr+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("%s %s: answered %s: %s", method, path, resp.Status, text)
	}
	return resp.Body, nil
}

func (g *gateway) stop() {
	if g != nil {
		g.process.stop()
	}
}
