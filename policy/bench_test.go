package policy

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
)

// manyRoutes returns n routes like those of a real API: four methods for each
// kind of thing, in spaces.
func manyRoutes(n int) []RouteConfig {
	lines := make([]string, n)
	for i := range lines {
		method := [...]string{"GET", "PUT", "DELETE", "PATCH"}[i%4]
		lines[i] = fmt.Sprintf("%s /v1/spaces/{space}/things%d/{id} things:read", method, i/4)
	}
	return routes(lines...)
}

func BenchmarkMatchAndDecide(b *testing.B) {
	for _, n := range []int{10, 200, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			p := compile(b, Config{Routes: manyRoutes(n)}, "things:read", "things:write > things:read")
			benchmarkForward(b, p, fmt.Sprintf("GET /v1/spaces/1/things%d/42", (n-1)/8), "Authorization: Bearer pat_abc")
		})
	}
}

func BenchmarkMatchKinds(b *testing.B) {
	p := compile(b, Config{Default: "deny", Routes: append(routes(
		"GET /public/{x} public", "GET /plain/{x} things:read", "GET /cdn/stories things:read", "GET /cdn/stories?version=draft things:read",
		"GET /v1/{id} things:read", "GET /v1/{id}:cancel things:read", "GET /v1/{id}:undelete things:read"),
		RouteConfig{Methods: []string{"GET"}, Pattern: "/optional/{x}", Require: "any", Settings: Settings{Optional: true}},
		RouteConfig{Methods: []string{"GET"}, Pattern: "/query", Require: "any", Settings: Settings{TokenFrom: []string{"query token"}}},
	)})
	for _, c := range []struct{ name, target, field string }{
		{"public", "GET /public/1", "Accept: */*"},
		{"optional, no token", "GET /optional/1", "Accept: */*"},
		{"plain", "GET /plain/1", "Authorization: Bearer pat_abc"},
		{"escaped", "GET /plain/caf%C3%A9", "Authorization: Bearer pat_abc"},
		{"partial parameter", "GET /v1/42:cancel", "Authorization: Bearer pat_abc"},
		{"condition", "GET /cdn/stories?page=2&version=draft&per_page=100", "Authorization: Bearer pat_abc"},
		{"token in the query", "GET /query?page=2&token=pat_abc", "Accept: */*"},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkForward(b, p, c.target, c.field) })
	}
}

// benchmarkForward asks for the same request with a good token again and again.
func benchmarkForward(b *testing.B, p *Policy, target string, fields ...string) {
	req := request(target, append(fields, "Accept-Encoding: gzip", "User-Agent: bench", "X-Request-Id: 1")...)
	s := holder("1,2 things:* *")
	b.ReportAllocs()
	for b.Loop() {
		var m Match
		p.Match(req, &m)
		reason := m.Reason
		if m.NeedsDecision() {
			reason = m.Decide(s, now, netip.Addr{})
		}
		if reason != Forward {
			b.Fatalf("%v: %s", reason, m.Detail)
		}
	}
}

// Hostile requests must not cost much more than good ones.
func BenchmarkHostile(b *testing.B) {
	lines := []string{"GET /q public", "GET /f/* public", "GET /{x}/* any", "GET /{x}/Y/{z}.php any"}
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("GET /q?action=a%d public", i))
	}
	p := compile(b, Config{Routes: routes(lines...)})
	query := ""
	for i := range maxQueryPairs - 1 {
		query += fmt.Sprintf("&%%C3%%A9%d=a", i)
	}
	deep := ""
	for range maxSegments {
		deep += "/%C3%A9"
	}
	for _, c := range []struct{ name, target string }{
		{"a long query", "GET /q?action=%C3%A9" + query},
		{"a value of many pieces", "GET /q?action=" + fmt.Sprintf("%0*d", maxQueryValue, 0)},
		{"a deep path", "GET " + deep},
		{"a name of many types", "GET /f/x?a:" + strings.Repeat(".x", 8000)},
		{"many ways to read a path", "GET /f/" + strings.Repeat("%61.php/", maxScripts) + strings.Repeat("%C3%A9", 1000)},
		{"many scripts", "GET /f" + strings.Repeat("/a.php", maxSegments-1)},
	} {
		b.Run(c.name, func(b *testing.B) {
			req := request(c.target)
			b.ReportAllocs()
			for b.Loop() {
				var m Match
				p.Match(req, &m)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	sameplace := make([]string, 1000)
	for i := range sameplace {
		sameplace[i] = fmt.Sprintf("POST /rpc?action=a%d things:read", i)
	}
	for _, c := range []struct {
		name   string
		routes []RouteConfig
	}{{"routes=10000", manyRoutes(10_000)}, {"routes=1000 at one place", routes(sameplace...)}} {
		b.Run(c.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			p := compile(b, Config{Routes: c.routes})
			runtime.GC()
			runtime.ReadMemStats(&after)
			for b.Loop() {
				p = compile(b, Config{Routes: c.routes})
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(p.Routes())), "B/route")
		})
	}
}

func BenchmarkCleanHeader(b *testing.B) {
	h := header("Accept: */*", "Accept-Encoding: gzip", "Authorization: Bearer S", "User-Agent: bench", "X-Request-Id: 1", "Content-Type: text/plain",
		"X-Forwarded-For: 192.0.2.1", "Cookie: a=b")
	keep := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		h["Connection"] = []string{"keep-alive"}
		CleanHeader(h)
		keep = h
	}
	if len(keep) != 8 {
		b.Errorf("%q", keep)
	}
}
