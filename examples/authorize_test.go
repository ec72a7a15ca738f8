package examples

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/freeport"
)

// serveNginx runs nginx with the recipe's server until the test ends, in front
// of an authorization service and an API. more is added to the location of the API.
func serveNginx(t *testing.T, service, api string, more ...string) (addr string) {
	t.Helper()
	conf, err := os.ReadFile("recipes/nginx/api.conf")
	if err != nil {
		t.Fatal(err)
	}
	addr = freeport.For(t)
	runNginx(t, addr, strings.NewReplacer("127.0.0.1:9080", service, "127.0.0.1:9000", api, "listen 80;", "listen "+addr+";",
		"location / {", "location / {\n"+strings.Join(more, "\n")).Replace(string(conf)))
	return addr
}

// runNginx runs nginx with a server that listens at addr until the test ends. It
// has room for a cache named answers.
func runNginx(t *testing.T, addr, server string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed: what is said of it is not tried")
	}
	dir := t.TempDir()
	paths := "proxy_cache_path " + filepath.Join(dir, "answers") + " keys_zone=answers:1m;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte("daemon off;\nmaster_process off;\npid "+filepath.Join(dir, "pid")+
		";\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"+paths+server+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, exec.Command(nginx, "-p", dir, "-c", file, "-e", "stderr"), func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// nginx forwards what the original request, byte for byte, is allowed.
func TestNginx(t *testing.T) {
	t.Parallel()
	r := serveRecipe(t, "recipes/nginx/Caddyfile")
	gate := serveNginx(t, r.addr, r.upstream.Listener.Addr().String())
	bearer := "Bearer " + r.token(t)
	for _, test := range []struct {
		method, target string
		header         []string
		status         int
		body           string // of what the API answers; "": it was not asked
	}{
		{"GET", "/v1/spaces/1/stories", []string{"Authorization", bearer}, 200, "GET /v1/spaces/1/stories by [alice]"},
		{"GET", "/v1/spaces/1/stories?page=2&q=a%20b", []string{"Authorization", bearer}, 200, "GET /v1/spaces/1/stories?page=2&q=a%20b by [alice]"},
		{"HEAD", "/v1/spaces/1/stories", []string{"Authorization", bearer}, 200, ""},
		{"GET", "/health", nil, 200, "GET /health by []"},
		{"GET", "/health", []string{"X-Patgate-Decision", "forward", "X-Patgate-Identity", "x"}, 200, "GET /health by []"},
		{"GET", "/health", []string{"X-Original-URI", "/x", "X-Original-Method", "PUT", "X-Original-Host", "b.test"}, 200, "GET /health by []"},
		{"GET", "/health", []string{"X-Forwarded-Uri", "/x"}, 403, ""},
		{"GET", "/health", []string{"X-Patgate-Owner", "root"}, 200, "GET /health by []"},
		{"GET", "/health", []string{"X_Patgate_Owner", "root"}, 200, "GET /health by []"},
		{"GET", "/v1/spaces/1/stories", []string{"Authorization", bearer, "X-Patgate-Owner", "root"}, 200, "GET /v1/spaces/1/stories by [alice]"},
		{"GET", "/v1/spaces/1/stories", nil, 401, ""},
		{"POST", "/v1/spaces/1/stories", []string{"Authorization", bearer}, 403, ""},
		{"GET", "/v1/spaces/2/stories", []string{"Authorization", bearer}, 403, ""},
		{"GET", "/v1/spaces/1%2Fstories", []string{"Authorization", bearer}, 403, ""},
		{"GET", "/v1/spaces/2/../1/stories", []string{"Authorization", bearer}, 403, ""},
		{"GET", "/v1/spaces/2%2F..%2F1/stories", []string{"Authorization", bearer}, 403, ""},
		{"GET", "//v1/spaces/1/stories", []string{"Authorization", bearer}, 403, ""},
		// What the client says of the original request is not heard.
		{"POST", "/v1/spaces/1/stories", []string{"Authorization", bearer, "X-Original-Method", "GET"}, 403, ""},
		{"GET", "/v1/spaces/2/stories", []string{"Authorization", bearer, "X-Original-URI", "/health"}, 403, ""},
	} {
		status, body, header := send(t, gate, test.method, test.target, test.header...)
		if status != test.status || test.status == 200 && body != test.body || test.status != 200 && strings.Contains(body, " by ") {
			t.Errorf("%s %s %q: %d %s, want %d %s", test.method, test.target, test.header, status, body, test.status, test.body)
		}
		if status == 401 && header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: 401 without a challenge", test.method, test.target)
		}
	}
	// Others than nginx can't ask.
	if status, body, _ := sendFrom(t, "127.0.0.2", r.addr, "GET", "/", "X-Original-Method", "GET", "X-Original-URI", "/health"); status != 403 {
		t.Errorf("asked by a stranger: %d %s, want 403", status, body)
	}
}

// Where there is nobody to ask, nothing is forwarded.
func TestNginxAlone(t *testing.T) {
	t.Parallel()
	r := serveRecipe(t, "recipes/nginx/Caddyfile")
	gate := serveNginx(t, freeport.For(t), r.upstream.Listener.Addr().String())
	if status, body, header := send(t, gate, "GET", "/health"); status != 503 || header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s, want 503 with Retry-After", status, header, body)
	}
}

// serveAskingCaddy runs a Caddy that asks the recipe's service until the test ends.
func serveAskingCaddy(t *testing.T, r *recipe, config string) (addr string) {
	t.Helper()
	addr, dir := freeport.For(t), t.TempDir()
	cmd := exec.Command(binary, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "CADDY_ADMIN="+freeport.For(t), "SITE=http://:"+port(addr), "GATE="+r.addr,
		"UPSTREAM="+r.upstream.Listener.Addr().String(), "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	launch(t, cmd, func() error {
		resp, err := http.Get("http://" + addr + "/health")
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	return addr
}

// Another Caddy forwards what it is told is allowed, and says who asks, whatever the
// client has put where.
func TestAskingCaddy(t *testing.T) {
	t.Parallel()
	r := serveRecipe(t, "recipes/caddy/Caddyfile")
	addr := serveAskingCaddy(t, r, "recipes/caddy/asking.Caddyfile")
	bearer := "Bearer " + r.token(t)
	const stories = "/v1/spaces/1/stories"
	for _, test := range []struct {
		method, target string
		header         []string
		status         int
		body           string
	}{
		{"GET", stories + "?page=2", []string{"Authorization", bearer}, 200, "GET /v1/spaces/1/stories?page=2 by [alice]"},
		{"GET", stories, []string{"Authorization", bearer, "Connection", "close, X-Patgate-Owner, X-Patgate-Token"}, 200, "GET /v1/spaces/1/stories by [alice]"},
		{"GET", stories, []string{"Authorization", bearer, "Connection", "Upgrade, X-Patgate-Owner", "Upgrade", "websocket"}, 200, "GET /v1/spaces/1/stories by [alice]"},
		{"GET", stories, []string{"Authorization", bearer, "X-Patgate-Owner", "root"}, 200, "GET /v1/spaces/1/stories by [alice]"},
		{"GET", "/health", []string{"X-Patgate-Owner", "root"}, 200, "GET /health by []"},
		{"GET", "/health", []string{"X-Patgate-Decision", "forward", "X-Patgate-Identity", "x"}, 200, "GET /health by []"},
		{"GET", "/health", []string{"X-Forwarded-Uri", "/x", "X-Forwarded-Method", "PUT"}, 200, "GET /health by []"},
		// Connection hides nothing from the question.
		{"GET", "/health", []string{"X-Original-URL", "/admin"}, 400, "X-Original-Url"},
		{"GET", "/health", []string{"X-Original-URL", "/admin", "Connection", "X-Original-URL"}, 400, "X-Original-Url"},
		{"GET", "/health", []string{"X~Patgate~Owner", "root", "Connection", "X~Patgate~Owner"}, 400, "X~patgate~owner"},
		{"GET", "/health", []string{"X-HTTP-Method-Override", "DELETE", "Connection", "Upgrade, X-HTTP-Method-Override", "Upgrade", "websocket"}, 400, "X-Http-Method-Override"},
		// Nothing but a WebSocket upgrades.
		{"GET", "/health", []string{"Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"}, 200, "GET /health by []"},
		{"GET", "/health", []string{"Connection", "Upgrade", "Upgrade", "h2c", "Upgrade", "websocket"}, 400, "Upgrade"},
		{"POST", "/health", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, 400, "Upgrade"},
		{"GET", stories, nil, 401, "token_missing"},
		{"POST", stories, []string{"Authorization", bearer}, 403, "scope_missing"},
		{"POST", stories, []string{"Authorization", bearer, "X-Forwarded-Method", "GET"}, 403, "scope_missing"},
		{"GET", "/v1/spaces/2/stories", []string{"Authorization", bearer, "X-Forwarded-Uri", stories}, 403, "space_not_granted"},
		{"GET", "/v1/spaces/2/../1/stories", []string{"Authorization", bearer}, 400, "ambiguous_request"},
	} {
		status, body, _ := send(t, addr, test.method, test.target, test.header...)
		if status != test.status || status == 200 && body != test.body || !strings.Contains(body, test.body) {
			t.Errorf("%s %s %q: %d %s, want %d %s", test.method, test.target, test.header, status, body, test.status, test.body)
		}
	}
}

// Traefik and Envoy, in what they send: the original request in headers, and as
// it is.
func TestTraefikAndEnvoy(t *testing.T) {
	t.Parallel()
	traefik, envoy := serveRecipe(t, "recipes/traefik/Caddyfile"), serveRecipe(t, "recipes/envoy/Caddyfile")
	for _, test := range []struct {
		method, target string
		token          bool
		status         int
	}{
		{"GET", "/v1/spaces/1/stories", true, 200},
		{"GET", "/health", false, 200},
		{"GET", "/v1/spaces/1/stories", false, 401},
		{"POST", "/v1/spaces/1/stories", true, 403},
		{"GET", "/v1/spaces/2/stories", true, 403},
		{"GET", "/v1/spaces/1%2Fstories", true, 400},
	} {
		for name, r := range map[string]*recipe{"Traefik": traefik, "Envoy": envoy} {
			var header []string
			if test.token {
				header = append(header, "Authorization", "Bearer "+r.token(t))
			}
			method, target := test.method, test.target
			if name == "Traefik" {
				header = append(header, "X-Forwarded-Method", method, "X-Forwarded-Uri", target, "X-Forwarded-Host", "api.example.com",
					"X-Forwarded-Proto", "https", "X-Forwarded-For", "203.0.113.7", "X-Forwarded-Port", "443", "X-Forwarded-Server", "t", "X-Real-Ip", "203.0.113.7")
				method, target = "GET", "/"
			} else {
				header = append(header, "X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https", "X-Request-Id", "1", "X-Envoy-Expected-Rq-Timeout-Ms", "1000")
			}
			status, body, answer := send(t, r.addr, method, target, header...)
			if status != test.status {
				t.Errorf("%s asks about %s %s: %d %s, want %d", name, test.method, test.target, status, body, test.status)
			}
			owner := answer.Get("X-Patgate-Owner")
			if want := map[bool]string{true: "alice"}[test.token && test.status == 200]; owner != want {
				t.Errorf("%s asks about %s %s: owner %q, want %q", name, test.method, test.target, owner, want)
			}
			if status == 401 && answer.Get("WWW-Authenticate") == "" {
				t.Errorf("%s asks about %s %s: 401 without a challenge", name, test.method, test.target)
			}
		}
	}
}

// The proxy that asks passes on the whole answer of the API: a preflight without a token
// doesn't come that far, and the proxy itself can answer it as the README says.
func TestPreflightsOfAskingProxies(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("recipes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, text, _ := strings.Cut(string(readme), "```"+language+"\n")
		text, _, _ = strings.Cut(text, "```")
		return text
	}
	nginx, caddy := serveRecipe(t, "recipes/nginx/Caddyfile"), serveRecipe(t, "recipes/caddy/Caddyfile")
	asking, err := os.ReadFile("recipes/caddy/asking.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	answering := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(answering, []byte(strings.Replace(string(asking), "\t\tforward_auth", block("caddyfile")+"\t\tforward_auth", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	api := func(r *recipe) string { return r.upstream.Listener.Addr().String() }
	for _, test := range []struct {
		name, addr string
		status     int
		allowed    string // origin
	}{
		{"Caddy", serveAskingCaddy(t, caddy, "recipes/caddy/asking.Caddyfile"), 403, ""},
		{"Caddy, which answers itself", serveAskingCaddy(t, caddy, answering), 204, "https://app.example.com"},
		{"nginx", serveNginx(t, nginx.addr, api(nginx)), 403, ""},
		{"nginx, which answers itself", serveNginx(t, nginx.addr, api(nginx), block("nginx")), 204, "https://app.example.com"},
	} {
		status, body, header := send(t, test.addr, "OPTIONS", "/v1/spaces/1/stories", "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET")
		if status != test.status || header.Get("Access-Control-Allow-Origin") != test.allowed || strings.Contains(body, " by ") {
			t.Errorf("%s: %d %v %s, want %d", test.name, status, header, body, test.status)
		}
		if status, _, _ := send(t, test.addr, "GET", "/v1/spaces/1/stories"); status != 401 {
			t.Errorf("%s: GET without a token: %d, want 401", test.name, status)
		}
	}
}
