package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/patgate/patgate/internal/freeport"
)

// fillRedis puts the tokens where the peers look them up: their space by the
// digest of the secret, SHA-256 for the Go service, and SHA-1, which nginx's Lua
// has built in.
func (b *peerBench) fillRedis(ctx context.Context) error {
	const batch = 1000
	for from := 0; from < len(b.workload.tokens); from += batch {
		p := b.redis.client.Pipeline()
		for i := from; i < min(from+batch, len(b.workload.tokens)); i++ {
			secret := []byte(b.workload.tokens[i])
			strong, weak := sha256.Sum256(secret), sha1.Sum(secret)
			p.Set(ctx, "go:"+hex.EncodeToString(strong[:]), space(i), 0)
			p.Set(ctx, "lua:"+base64.StdEncoding.EncodeToString(weak[:]), space(i), 0)
		}
		if _, err := p.Exec(ctx); err != nil {
			return fmt.Errorf("storing tokens: %w", err)
		}
	}
	return nil
}

func (b *peerBench) startPlain(ctx context.Context) (*peer, error) {
	g, err := startGateway(ctx, b.binary, filepath.Join(b.dir, "peer-plain"), b.upstream.addr, "", "")
	if err != nil {
		return nil, fmt.Errorf("starting plain Caddy: %w", err)
	}
	return &peer{name: "plain Caddy", addr: g.addr, pids: func() []int { return []int{g.pid()} }, stop: g.stop, open: true}, nil
}

// startStock starts Caddy as it is released, without a gate and with Go's own
// settings.
func (b *peerBench) startStock(ctx context.Context) (*peer, error) {
	binary := filepath.Join(b.dir, "stock-caddy")
	progress("building Caddy")
	if err := build(ctx, caddyCommand, binary); err != nil {
		return nil, err
	}
	g, err := startGateway(ctx, binary, filepath.Join(b.dir, "peer-stock"), b.upstream.addr, "", "")
	if err != nil {
		return nil, fmt.Errorf("starting Caddy as it is released: %w", err)
	}
	return &peer{name: "Caddy as it is released", addr: g.addr, pids: func() []int { return []int{g.pid()} }, stop: g.stop, open: true}, nil
}

func (b *peerBench) startPatgate(ctx context.Context) (*peer, error) {
	return b.patgate(ctx, "patgate", "peer-patgate", usual)
}

func (b *peerBench) startLeanPatgate(ctx context.Context) (*peer, error) {
	return b.patgate(ctx, "patgate, its transport and log format", "peer-patgate-lean", lean)
}

// patgate starts patgate on Redis, or on a file where that isn't installed.
func (b *peerBench) patgate(ctx context.Context, name, dir string, t tuning) (*peer, error) {
	settings := ""
	if b.redis != nil {
		settings = "\tstore redis redis://" + b.redis.addr + "\n"
	} else {
		name += ", embedded store"
	}
	g, err := startTuned(ctx, b.binary, filepath.Join(b.dir, dir), b.upstream.addr, b.workload.policy(), settings, t)
	if err != nil {
		return nil, fmt.Errorf("starting patgate: %w", err)
	}
	p := &peer{name: name, addr: g.addr, pids: func() []int { return []int{g.pid()} }, stop: g.stop}
	progress("importing %d tokens", len(b.workload.tokens))
	if err := g.importTokens(ctx, b.workload.export()); err != nil {
		p.stop()
		return nil, fmt.Errorf("importing the tokens: %w", err)
	}
	return p, nil
}

func (b *peerBench) startForwardAuth(ctx context.Context) (*peer, error) {
	return b.forwardAuth(ctx, "Caddy forward_auth, Go service on Redis", "peer-forward-auth", false)
}

func (b *peerBench) startForwardAuthCached(ctx context.Context) (*peer, error) {
	return b.forwardAuth(ctx, "the same, tokens held for a minute", "peer-forward-auth-cached", true)
}

func (b *peerBench) forwardAuth(ctx context.Context, name, dir string, hold bool) (*peer, error) {
	if b.redis == nil {
		return nil, errMissing{name, "redis-server"}
	}
	service, err := startSelf(ctx, authzRole+"="+b.redis.addr, authzHold+"="+strconv.FormatBool(hold))
	if err != nil {
		return nil, fmt.Errorf("starting the authorization service: %w", err)
	}
	g, err := startGateway(ctx, b.binary, filepath.Join(b.dir, dir), b.upstream.addr,
		"forward_auth "+service.addr+" {\n\t\turi /\n\t\tcopy_headers X-Space\n\t\ttransport http {\n\t\t\tkeepalive_idle_conns_per_host 1024\n\t\t}\n\t}", "")
	if err != nil {
		service.stop()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return &peer{name: name, addr: g.addr, pids: func() []int { return []int{g.pid(), service.pid()} }, stop: func() {
		g.stop()
		service.stop()
	}}, nil
}

// startNginx starts nginx with a check in Lua that holds tokens for a minute.
func (b *peerBench) startNginx(ctx context.Context) (*peer, error) {
	const name = "nginx, Lua, shared dict, Redis"
	program, err := exec.LookPath("nginx")
	if err != nil {
		return nil, errMissing{name, "nginx"}
	}
	if b.redis == nil {
		return nil, errMissing{name, "redis-server"}
	}
	modules := "/usr/lib/nginx/modules"
	for _, file := range []string{modules + "/ngx_http_lua_module.so", "/usr/share/lua/5.1/nginx/redis.lua"} {
		if _, err := os.Stat(file); err != nil {
			return nil, errMissing{name, "nginx's Lua (libnginx-mod-http-lua, lua-nginx-redis)"}
		}
	}
	return b.startProgram(ctx, name, "nginx", func(addr, dir, file string) (config string, cmd *exec.Cmd) {
		host, port, _ := net.SplitHostPort(b.redis.addr)
		config = strings.NewReplacer("MODULES", modules, "DIR", dir, "ADDR", addr, "UPSTREAM", b.upstream.addr, "REDIS_HOST", host, "REDIS_PORT", port).Replace(nginxConfig)
		return config, exec.CommandContext(ctx, program, "-p", dir, "-c", file, "-e", "stderr")
	})
}

const nginxConfig = `load_module MODULES/ndk_http_module.so;
load_module MODULES/ngx_http_lua_module.so;
daemon off;
worker_processes auto;
pid DIR/pid;
error_log stderr error;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	lua_shared_dict tokens 64m;
	keepalive_requests 1000000000;
	upstream api {
		server UPSTREAM;
		keepalive 1024;
		keepalive_requests 1000000000;
	}
	server {
		listen ADDR backlog=1024;
		location / {
			access_by_lua_block {
				local secret = string.match(ngx.var.http_authorization or "", "^Bearer (.+)$")
				if not secret then return ngx.exit(401) end
				local digest = ngx.encode_base64(ngx.sha1_bin(secret))
				local tokens = ngx.shared.tokens
				local space = tokens:get(digest)
				if not space then
					local redis = require("nginx.redis"):new()
					redis:set_timeout(1000)
					local ok = redis:connect("REDIS_HOST", REDIS_PORT)
					if not ok then return ngx.exit(503) end
					space = redis:get("lua:" .. digest)
					redis:set_keepalive(60000, 128)
					if space == ngx.null then space = "" end
					tokens:set(digest, space, space == "" and 5 or 60)
				end
				if space == "" then return ngx.exit(401) end
				if string.match(ngx.var.uri, "^/v1/spaces/([^/]+)/") ~= space then return ngx.exit(403) end
				ngx.req.set_header("X-Space", space)
			}
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_pass http://api;
		}
	}
}
`

// startHAProxy starts HAProxy with a map of all tokens, which it reads once.
func (b *peerBench) startHAProxy(ctx context.Context) (*peer, error) {
	const name = "HAProxy with a map"
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, errMissing{name, "haproxy"}
	}
	return b.startProgram(ctx, name, "haproxy", func(addr, dir, file string) (config string, cmd *exec.Cmd) {
		var lines strings.Builder
		for i, secret := range b.workload.tokens {
			fmt.Fprintf(&lines, "%s %s\n", secret, space(i))
		}
		tokens := filepath.Join(dir, "tokens.map")
		if err := os.WriteFile(tokens, []byte(lines.String()), 0o600); err != nil {
			return "", nil
		}
		config = strings.NewReplacer("ADDR", addr, "UPSTREAM", b.upstream.addr, "TOKENS", tokens).Replace(haproxyConfig)
		return config, exec.CommandContext(ctx, program, "-db", "-f", file)
	})
}

// h1-case-adjust: the load generator wants Content-Length written so.
const haproxyConfig = `global
	maxconn 8192
	h1-case-adjust content-length Content-Length
defaults
	mode http
	timeout connect 5s
	timeout client 1m
	timeout server 1m
	option http-keep-alive
	option h1-case-adjust-bogus-client
frontend gate
	bind ADDR
	http-request set-var(txn.secret) req.hdr(authorization),word(2,' ')
	http-request set-var(txn.space) var(txn.secret),map_str(TOKENS)
	http-request set-var(txn.asked) path,field(4,/)
	http-request return status 401 hdr WWW-Authenticate Bearer content-type text/plain string no unless { var(txn.space) -m found }
	http-request return status 403 content-type text/plain string no unless { var(txn.space),strcmp(txn.asked) eq 0 }
	http-request set-header X-Space %[var(txn.space)]
	default_backend api
backend api
	http-reuse always
	server api UPSTREAM pool-max-conn -1
`

// startProgram starts a program that is configured by a file, and waits until it
// listens.
func (b *peerBench) startProgram(ctx context.Context, name, kind string, configure func(addr, dir, file string) (string, *exec.Cmd)) (*peer, error) {
	dir := filepath.Join(b.dir, "peer-"+kind)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config")
	config, cmd := configure(addr, dir, file)
	if cmd == nil {
		return nil, fmt.Errorf("starting %s: writing its files", name)
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	var p process
	if err := p.launch(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-p.ended:
			return nil, fmt.Errorf("starting %s: it has ended: %s", name, &log)
		case <-ctx.Done():
			err = ctx.Err()
		default:
			if time.Now().Before(deadline) {
				continue
			}
		}
		p.stop()
		return nil, fmt.Errorf("starting %s: %w", name, errors.Join(err, errors.New("it doesn't listen")))
	}
	return &peer{name: name, addr: addr, pids: func() []int { return withChildren(p.pid()) }, stop: p.stop}, nil
}

// withChildren returns a process and those it has started.
func withChildren(pid int) []int {
	pids := []int{pid}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(child); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}
