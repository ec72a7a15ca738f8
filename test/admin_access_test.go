package test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// The management API is where Caddy's admin endpoint is and nowhere else, and no
// web page can use it: not by a name that leads to this machine, not from another
// origin, not with the same-origin policy switched off.
func TestAdminAccess(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	g := start(t, setup{admin: "127.0.0.1:" + port, sites: plainSite, tokens: []known{{name: "T"}}})
	site := g.addr
	for _, row := range []struct {
		name   string
		host   string
		header []string
		want   int // of a request that would be answered 200 or 201
	}{
		{"command line", "127.0.0.1:" + port, nil, 200},
		{"same origin", "127.0.0.1:" + port, []string{"Origin: http://127.0.0.1:" + port}, 200},
		{"rebound name", "attacker.test:" + port, nil, 403},
		{"rebound name without a port", "attacker.test", nil, 403},
		{"another origin", "127.0.0.1:" + port, []string{"Origin: https://attacker.test"}, 403},
		{"another port", "127.0.0.1:" + port, []string{"Origin: http://127.0.0.1:1"}, 403},
		{"null origin", "127.0.0.1:" + port, []string{"Origin: null"}, 400},
		{"no-cors", "127.0.0.1:" + port, []string{"Sec-Fetch-Mode: no-cors"}, 400},
		{"a browser without an origin", "127.0.0.1:" + port, []string{"Sec-Fetch-Mode: navigate"}, 403},
		{"WebSocket", "127.0.0.1:" + port, []string{"Upgrade: websocket"}, 400},
		{"preflight from elsewhere", "127.0.0.1:" + port, []string{"Origin: https://attacker.test", "Access-Control-Request-Method: POST"}, 403},
	} {
		for _, r := range []request{
			{target: "/patgate/tokens"}, {target: "/patgate/export"}, {target: "/patgate/status"}, {target: "/metrics"},
			{method: "POST", target: "/patgate/tokens", body: `{"name": "x", "full": true}`},
			{method: "DELETE", target: "/patgate/report"},
		} {
			r = r.with(row.header...).with("Content-Type: application/json")
			r.host = row.host
			g.addr = "127.0.0.1:" + port
			a := g.send(t, r)
			g.addr = site
			if done := a.status < 300; done != (row.want == 200) || !done && a.status != row.want {
				t.Errorf("%s: %s is answered %d %s, want %d", row.name, r, a.status, a.body, row.want)
			}
			if row.want != 200 && (strings.Contains(a.body, "secret") || a.header.Get("Access-Control-Allow-Origin") != "") {
				t.Errorf("%s: %s: %s %v", row.name, r, a.body, a.header)
			}
		}
	}
	for _, target := range []string{"/patgate/tokens", "/config/", "/metrics", "/load"} {
		for _, host := range []string{"api.test", "localhost", "127.0.0.1:" + port} {
			a := g.send(t, request{host: host, target: target}.with(g.bearer("T")))
			if host == "api.test" && a.verdict() != "route_unknown" || strings.Contains(a.body, `"tokens"`) || strings.Contains(a.body, "caddy_") || strings.Contains(a.body, `"apps"`) {
				t.Errorf("the site answers %s of %s with %d %s", target, host, a.status, a.body)
			}
		}
	}
	if n := len(g.upstream.take()); n != 0 {
		t.Errorf("%d requests were forwarded", n)
	}
}

// remoteAdmin is what SECURITY.md recommends for management from elsewhere.
const remoteAdmin = `{
	"admin": {
		"listen": "unix/%s",
		"identity": {"identifiers": ["127.0.0.1"], "issuers": [{"module": "internal"}]},
		"remote": {
			"listen": "127.0.0.1:%s",
			"access_control": [
				{"public_keys": ["%s"], "permissions": [{"paths": ["/patgate/status", "/patgate/tokens"], "methods": ["GET"]}]}
			]
		}
	},
	"apps": {
		"pki": {"certificate_authorities": {"local": {"install_trust": false}}},
		"patgate": {"store": {"file": "%s/tokens.db"}},
		"http": {"servers": {"api": {"listen": ["127.0.0.1:%s"], "automatic_https": {"disable": true},
			"routes": [{"handle": [{"handler": "patgate", "default": "deny"}]}]}}}
	}
}`

// From elsewhere, the management API takes a certificate that is known, and does
// what that one may do.
func TestRemoteAdmin(t *testing.T) {
	t.Parallel()
	g := prepare(t, setup{sites: plainSite, tokens: []known{{name: "T"}}})
	friend, stranger := clientCertificate(t), clientCertificate(t)
	remote, port := freePort(t), freePort(t)
	g.file += ".json"
	known := base64.StdEncoding.EncodeToString(friend.Certificate[0])
	if err := os.WriteFile(g.file, fmt.Appendf(nil, remoteAdmin, g.admin, remote, known, g.dir, port), 0o600); err != nil {
		t.Fatal(err)
	}
	g.addr = "127.0.0.1:" + port
	g.env = append(os.Environ(), "HOME="+g.dir, "XDG_DATA_HOME="+g.dir+"/data", "XDG_CONFIG_HOME="+g.dir+"/config")
	if err := g.launch(t, "run", "--config", g.file); err != nil {
		t.Fatalf("starting: %v\n%s", err, g.log)
	}
	t.Cleanup(func() {
		g.stop()
		g.checkOutput(t)
	})
	ask := func(certificates []tls.Certificate, method, path string) (int, error) {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			Certificates: certificates, InsecureSkipVerify: true, // who the server is doesn't matter here
		}}}
		req, err := http.NewRequest(method, "https://127.0.0.1:"+remote+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		g.saw(body)
		return resp.StatusCode, err
	}
	await(t, "the remote endpoint", func() bool {
		status, err := ask([]tls.Certificate{friend}, "GET", "/patgate/status")
		return err == nil && status == 200
	})
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/patgate/tokens", 200}, {"GET", "/patgate/tokens/x", 404}, {"POST", "/patgate/tokens", 403}, {"DELETE", "/patgate/tokens/x", 403},
		{"GET", "/patgate/export", 403}, {"GET", "/config/", 403}, {"POST", "/load", 403}, {"GET", "/patgate/tokens/../export", 403},
	} {
		if got, err := ask([]tls.Certificate{friend}, row.method, row.path); got != row.want {
			t.Errorf("%s %s with the known certificate: %d %v, want %d", row.method, row.path, got, err, row.want)
		}
	}
	for name, certificates := range map[string][]tls.Certificate{"an unknown certificate": {stranger}, "no certificate": nil} {
		if status, err := ask(certificates, "GET", "/patgate/status"); err == nil && status < 400 {
			t.Errorf("with %s: %d", name, status)
		}
	}
}
