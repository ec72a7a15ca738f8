package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// The short way is taken where nothing is configured that only Caddy's own
// transport can do.
func TestTransportProvision(t *testing.T) {
	for _, row := range []struct {
		config string
		short  bool
	}{
		{`{}`, true},
		{`{"keep_alive": {"max_idle_conns_per_host": 1024}}`, true},
		{`{"keep_alive": {"enabled": false}}`, false},
		{`{"keep_alive": {"max_idle_conns": 9}}`, false},
		{`{"dial_timeout": "1s", "read_buffer_size": 8192, "max_response_header_size": 8192}`, true},
		{`{"compression": true}`, false},
		{`{"compression": false}`, true},
		{`{"tls": {}}`, false},
		{`{"proxy_protocol": "v2"}`, false},
		{`{"max_conns_per_host": 9}`, false},
		{`{"read_timeout": "1s"}`, false},
		{`{"write_timeout": "1s"}`, false},
		{`{"response_header_timeout": "1s"}`, false},
		{`{"versions": ["1.1"]}`, true},
		{`{"versions": ["2"]}`, false},
		{`{"versions": ["1.1", "h2c"]}`, false},
		{`{"network_proxy": {"from": "none"}}`, false},
	} {
		var tr Transport
		if err := json.Unmarshal([]byte(row.config), &tr); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		if err := tr.Provision(ctx); err != nil {
			t.Fatalf("%s: %v", row.config, err)
		}
		if got := tr.short != nil; got != row.short {
			t.Errorf("%s: the short way: %v, want %v", row.config, got, row.short)
		}
		if err := tr.Cleanup(); err != nil {
			t.Error(err)
		}
		cancel()
	}
	t.Run("proxy", func(t *testing.T) {
		t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
		var tr Transport
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		defer cancel()
		if err := tr.Provision(ctx); err != nil || tr.short != nil {
			t.Errorf("with a proxy in the environment: the short way: %v, %v", tr.short != nil, err)
		}
	})
}

// Behind reverse_proxy both ways lead to the same upstream, and say the same.
func TestTransport(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		names := []string{}
		for name := range r.Header {
			names = append(names, name)
		}
		w.Header().Set("X-Asked", fmt.Sprintf("%s %s %s %s %d", r.Method, r.Host, r.RequestURI, body, len(names)))
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "answer to "+r.Method)
	}))
	defer upstream.Close()
	answers := map[string][]string{}
	for _, protocol := range []string{"http", "patgate"} {
		document := fmt.Sprintf(`{"apps": {"http": {"servers": {"s": {"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "routes": [{"handle": [
			{"handler": "reverse_proxy", "transport": {"protocol": %q, "compression": false}, "upstreams": [{"dial": %q}]}]}]}}}}}`,
			protocol, strings.TrimPrefix(upstream.URL, "http://"))
		_, servers := provisioned(t, document)
		server := servers["s"]
		for range 2 {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"} {
				var body io.Reader
				if method == "POST" || method == "PUT" {
					body = strings.NewReader("a body")
				}
				w := httptest.NewRecorder()
				server.ServeHTTP(w, httptest.NewRequest(method, "http://api.test/a%2Fb?q=1", body))
				answers[protocol] = append(answers[protocol], fmt.Sprint(w.Code, w.Header().Get("X-Asked"), w.Body))
			}
		}
	}
	if got, want := strings.Join(answers["patgate"], "\n"), strings.Join(answers["http"], "\n"); got != want {
		t.Errorf("transport patgate:\n%s\nwant, as with transport http:\n%s", got, want)
	}
	if !strings.Contains(answers["patgate"][0], "GET api.test /a%2Fb?q=1") {
		t.Errorf("the upstream was asked %s", answers["patgate"][0])
	}
}
