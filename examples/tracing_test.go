package examples

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

const tracedCaddyfile = `{$SITE} {
	tracing {
		span gate
	}
	patgate {
		default deny
		route GET /v1/spaces/{space}/stories stories:read
	}
	reverse_proxy {$UPSTREAM}
}
`

// A collector of OpenTelemetry gets spans of Caddy's tracing that say what the
// gate has decided.
func TestTracing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var received bytes.Buffer // protobuf, in which texts stand as they are
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		io.Copy(&received, r.Body)
	}))
	t.Cleanup(collector.Close)
	caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(caddyfile, []byte(tracedCaddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	r := serveRecipe(t, caddyfile, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_BSP_SCHEDULE_DELAY=10")
	secret := r.token(t)
	for range 2 { // the second time it is held
		if status, body, _ := send(t, r.addr, "GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+secret); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	send(t, r.addr, "GET", "/v1/spaces/2/stories", "Authorization", "Bearer "+secret)
	await(t, func() error {
		mu.Lock()
		defer mu.Unlock()
		for _, text := range []string{"patgate.decision", "forward", "space_not_granted", "patgate.lookup", "store", "memory", "http.route", "/v1/spaces/{space}/stories"} {
			if !bytes.Contains(received.Bytes(), []byte(text)) {
				return errors.New("no " + text + " in what the collector has received")
			}
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if bytes.Contains(received.Bytes(), []byte(secret)) || bytes.Contains(received.Bytes(), []byte("alice")) {
		t.Error("the spans say who has asked")
	}
}
