package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/patgate/patgate/internal/freeport"
)

// fillRedis puts the tokens where the peers look them up: their space by the
// digest of the secret, SHA-256 for the Go service, and SHA-1, which nginx's Lua
// has built in.
func (p *peers) fillRedis(ctx context.Context) error {
	const batch = 1000
	for from := 0; from < len(p.workload.tokens); from += batch {
		pipe := p.redis.client.Pipeline()
		for i := from; i < min(from+batch, len(p.workload.tokens)); i++ {
			secret := []byte(p.workload.tokens[i])
			strong, weak := sha256.Sum256(secret), sha1.Sum(secret)
			pipe.Set(ctx, "go:"+hex.EncodeToString(strong[:]), space(i), 0)
			pipe.Set(ctx, "lua:"+base64.StdEncoding.EncodeToString(weak[:]), space(i), 0)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("storing tokens: %w", err)
		}
	}
	return nil
}

func (p *peers) plain(ctx context.Context) (*side, error) {
	g, err := p.startPlain(ctx, usual)
	if err != nil {
		return nil, err
	}
	return caddySide("plain Caddy", g, true), nil
}

// stock is Caddy as it is released, without a gate and with Go's own settings.
func (p *peers) stock(ctx context.Context) (*side, error) {
	const name = "Caddy as it is released"
	binary := filepath.Join(p.dir, "stock-caddy")
	progress("building Caddy")
	if err := build(ctx, caddyCommand, binary); err != nil {
		return nil, err
	}
	g, err := p.start(ctx, name, binary, "", "", usual)
	if err != nil {
		return nil, err
	}
	return caddySide(name, g, true), nil
}

// patgate is patgate on Redis, or on a file where that isn't installed.
func (p *peers) patgate(name string, t tuning) startPeer {
	return func(ctx context.Context) (*side, error) {
		settings, kept := "", ", embedded store"
		if p.redis != nil {
			settings, kept = "\tstore redis redis://"+p.redis.addr+"\n", ""
		}
		g, err := p.startPatgate(ctx, settings, t)
		if err != nil {
			return nil, err
		}
		return caddySide(name+kept, g, false), nil
	}
}

// forwardAuth is Caddy that asks a small service.
func (p *peers) forwardAuth(ctx context.Context) (*side, error) {
	const name = "Caddy forward_auth, Go service on Redis"
	if p.redis == nil {
		return nil, errMissing{name, "redis-server"}
	}
	service, err := startService(ctx, "authz", p.redis.addr)
	if err != nil {
		return nil, fmt.Errorf("starting the authorization service: %w", err)
	}
	p.running = append(p.running, service)
	g, err := p.start(ctx, name, p.binary,
		"forward_auth "+service.addr+" {\n\t\turi /\n\t\tcopy_headers X-Space\n\t\ttransport http {\n\t\t\tkeepalive_idle_conns_per_host 1024\n\t\t}\n\t}", "", usual)
	if err != nil {
		return nil, err
	}
	return caddySide(name, g, false, service.pid()), nil
}

// nginx is nginx with a check in Lua that holds tokens for a minute.
func (p *peers) nginx(ctx context.Context) (*side, error) {
	const name = "nginx, Lua, shared dict, Redis"
	program, err := exec.LookPath("nginx")
	if err != nil {
		return nil, errMissing{name, "nginx"}
	}
	if p.redis == nil {
		return nil, errMissing{name, "redis-server"}
	}
	modules := "/usr/lib/nginx/modules"
	for _, file := range []string{modules + "/ngx_http_lua_module.so", "/usr/share/lua/5.1/nginx/redis.lua"} {
		if _, err := os.Stat(file); err != nil {
			return nil, errMissing{name, "nginx's Lua (libnginx-mod-http-lua, lua-nginx-redis)"}
		}
	}
	return p.startProgram(ctx, name, func(addr, dir, file string) (config string, cmd *exec.Cmd, err error) {
		host, port, _ := net.SplitHostPort(p.redis.addr)
		config = strings.NewReplacer("MODULES", modules, "DIR", dir, "ADDR", addr, "UPSTREAM", p.upstream.addr, "REDIS_HOST", host, "REDIS_PORT", port).Replace(nginxConfig)
		return config, exec.CommandContext(ctx, program, "-p", dir, "-c", file, "-e", "stderr"), nil
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

// haproxy is HAProxy with a map of all tokens, which it reads once.
func (p *peers) haproxy(ctx context.Context) (*side, error) {
	const name = "HAProxy with a map"
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, errMissing{name, "haproxy"}
	}
	return p.startProgram(ctx, name, func(addr, dir, file string) (config string, cmd *exec.Cmd, err error) {
		var lines strings.Builder
		for i, secret := range p.workload.tokens {
			fmt.Fprintf(&lines, "%s %s\n", secret, space(i))
		}
		tokens := filepath.Join(dir, "tokens.map")
		config = strings.NewReplacer("ADDR", addr, "UPSTREAM", p.upstream.addr, "TOKENS", tokens).Replace(haproxyConfig)
		return config, exec.CommandContext(ctx, program, "-db", "-f", file), os.WriteFile(tokens, []byte(lines.String()), 0o600)
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
func (p *peers) startProgram(ctx context.Context, name string, configure func(addr, dir, file string) (string, *exec.Cmd, error)) (*side, error) {
	dir, err := os.MkdirTemp(p.dir, "peer-")
	if err != nil {
		return nil, err
	}
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config")
	config, cmd, err := configure(addr, dir, file)
	if err == nil {
		err = os.WriteFile(file, []byte(config), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: writing its files: %w", name, err)
	}
	program := new(process)
	if err := program.start(ctx, cmd, func(context.Context) error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.running = append(p.running, program)
	return &side{name: name, addr: addr, pids: func() []int { return withChildren(program.pid()) }}, nil
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
