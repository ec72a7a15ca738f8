package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/patgate/patgate/internal/freeport"
)

// gateway is a running Caddy.
type gateway struct {
	process
	addr      string
	adminAddr string
	config    string // the file
}

// tuning is what a Caddyfile can choose to be faster, and GOGC, if it is set.
type tuning struct{ format, transport, gogc string }

var (
	usual = tuning{format: "json", transport: "http"}
	lean  = tuning{format: "patgate", transport: "patgate"}
)

// tunings are those that the comparison with plain Caddy can be made in.
var tunings = map[string]tuning{"usual": usual, "log": {format: lean.format, transport: usual.transport}, "lean": lean}

// startGateway starts Caddy in front of an upstream, with a directive before
// reverse_proxy and settings of patgate's app. It keeps its files in dir.
func startGateway(ctx context.Context, binary, dir, upstream, directive, settings string, t tuning) (*gateway, error) {
	dir, err := os.MkdirTemp(dir, "gateway-")
	if err != nil {
		return nil, err
	}
	g := &gateway{config: filepath.Join(dir, "Caddyfile")}
	if g.addr, err = freeport.Addr(); err != nil {
		return nil, err
	}
	if g.adminAddr, err = freeport.Addr(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(g.config, []byte(g.caddyfile(upstream, directive, settings, t)), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run", "--config", g.config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if t.gogc != "" {
		cmd.Env = append(cmd.Env, "GOGC="+t.gogc)
	}
	// It listens a little earlier; the admin endpoint says what is configured only
	// when all of it runs.
	return g, g.start(ctx, cmd, func(ctx context.Context) error {
		_, err := g.admin(ctx, http.MethodGet, "/config/", nil)
		return err
	})
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

// reload has the gateway replace its configuration with the same one.
func (g *gateway) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	config, err := os.ReadFile(g.config)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.adminAddr+"/load", bytes.NewReader(config))
	if err != nil {
		return err
	}
	req.Close = true // the admin endpoint is replaced as well
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // although it is the same
	_, err = answerTo(req)
	return err
}

// admin asks the admin endpoint and returns its answer.
func (g *gateway) admin(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.adminAddr+path, body)
	if err != nil {
		return nil, err
	}
	return answerTo(req)
}

func answerTo(req *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: answered %s: %s", req.Method, req.URL.Path, resp.Status, text)
	}
	return text, err
}

// Metrics of a gateway that are read here.
const (
	heldLookups   = `caddy_patgate_cache_lookups_total{result="known",tier="memory"}`
	missedLookups = `caddy_patgate_cache_lookups_total{result="miss",tier="memory"}`
	storeReads    = `caddy_patgate_lookup_duration_seconds_count`
	evictions     = `caddy_patgate_cache_evictions_total`
	feedHeard     = `caddy_patgate_feed_heard`
)

// metrics returns the values of the gateway's metrics, by name with labels.
func (g *gateway) metrics(ctx context.Context) (map[string]float64, error) {
	text, err := g.admin(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	values := make(map[string]float64)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if values[line[:i]], err = strconv.ParseFloat(line[i+1:], 64); err != nil {
				return nil, fmt.Errorf("reading metrics: %w", err)
			}
		}
	}
	return values, lines.Err()
}
