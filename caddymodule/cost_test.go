package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/token"
)

// quiet is a ResponseWriter that costs nothing.
type quiet struct {
	header http.Header
	status int
}

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q *quiet) WriteHeader(status int)      { q.status = status }

// serving returns what has the server serve a request, over and over, and costs
// nothing itself. The headers are those that fetch of Node.js sends.
func serving(server *caddyhttp.Server, method, target, secret string) func() (status int) {
	r := arrived(httptest.NewRequest(method, target, nil))
	r = r.WithContext(context.WithValue(r.Context(), connKey{}, new(clientConn)))
	sent := http.Header{
		"Connection": {"keep-alive"}, "Accept": {"*/*"}, "Accept-Language": {"*"},
		"Sec-Fetch-Mode": {"cors"}, "User-Agent": {"node"}, "Accept-Encoding": {"gzip, deflate"},
	}
	if secret != "" {
		sent["Authorization"] = []string{"Bearer " + secret}
	}
	w := &quiet{header: http.Header{}}
	return func() int {
		clear(r.Header)
		maps.Copy(r.Header, sent)
		clear(w.header)
		w.status = http.StatusOK
		server.ServeHTTP(w, r)
		return w.status
	}
}

// cost is a kind of request and what it may cost.
type cost struct {
	name    string
	method  string
	target  string
	secret  string
	status  int
	allowed float64 // allocations more than without the gate
}

func costs(held string) []cost {
	const stories = "/v1/spaces/1/stories"
	return []cost{
		{"forwarded", "GET", stories, held, 200, 4},
		{"ambiguous path", "GET", "/v1/spaces//stories", held, 400, 20},
		{"token missing", "GET", stories, "", 401, 20},
		{"token malformed", "GET", stories, held + "x", 401, 20},
		{"token unknown", "GET", stories, token.NewSecret("pat"), 401, 20},
		{"scope missing", "POST", stories, held, 403, 20},
		{"no route", "GET", "/v1/spaces/1/nothing", held, 403, 20},
	}
}

// startCosts starts a server whose clients may send unknown tokens.
func startCosts(tb testing.TB) (*gated, []cost) {
	tb.Helper()
	g := startGated(tb, nil)
	g.app.hub.opened.Load().limiter.Apply(0, time.Minute)
	return g, costs(g.create(tb))
}

// On a held token the gate adds no more than four allocations to what Caddy's
// pipeline costs without it. A rejection doesn't take Caddy's way of errors,
// which alone costs more than what is allowed here.
func TestAllocations(t *testing.T) {
	g, rows := startCosts(t)
	for _, row := range rows {
		status := 0
		count := func(server *caddyhttp.Server) float64 {
			serve := serving(server, row.method, row.target, row.secret)
			return testing.AllocsPerRun(200, func() { status = serve() })
		}
		plain, gate := count(g.plain), count(g.server)
		if status != row.status {
			t.Errorf("%s: answered %d, want %d", row.name, status, row.status)
		}
		if gate-plain > row.allowed {
			t.Errorf("%s: %v allocations more with the gate than without, want at most %v", row.name, gate-plain, row.allowed)
		}
	}
}

// BenchmarkPipeline is what a request costs in Caddy's pipeline without sockets:
// with a handler that does nothing alone, and with the gate before it.
func BenchmarkPipeline(b *testing.B) {
	g, rows := startCosts(b)
	run := func(name string, server *caddyhttp.Server, row cost, status int) {
		b.Run(name, func(b *testing.B) {
			serve := serving(server, row.method, row.target, row.secret)
			b.ReportAllocs()
			for b.Loop() {
				if got := serve(); got != status {
					b.Fatalf("answered %d, want %d", got, status)
				}
			}
		})
	}
	run("plain", g.plain, rows[0], http.StatusOK)
	for _, row := range rows {
		run(row.name, g.server, row, row.status)
	}
}
