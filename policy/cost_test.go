package policy

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
)

// Whatever a client makes its request of, a look at it costs little: folding and
// normalizing what it says isn't done again and again, nor of what may be long.
func TestCostOfOddRequests(t *testing.T) {
	lines := []string{"GET /{x}/a read", "GET /{x}:cancel/a admin", "GET /{x}:rename/a admin", "GET /q?a=1 read", "GET /q?b any", "GET /q?a=1&b admin", "GET /q any", "GET /q/{x} admin"}
	for i := range 500 {
		lines = append(lines, fmt.Sprintf("GET /kind%d/a admin", i), fmt.Sprintf("GET /%d/a admin", i+1))
	}
	p := compile(t, Config{Routes: routes(lines...)}, "read", "admin")
	long := "\ufdfa" // normalized it has 18 characters
	for name, target := range map[string]string{
		"a long segment":                         "/" + strings.Repeat("%E4%B8%AD", 900) + "/a",
		"one like a literal":                     "/kind1%61" + strings.Repeat("%C3%A9", 1300) + "/a",
		"one that begins like a number":          "/" + strings.Repeat("0_", 4000) + "x/a",
		"one of what names are joined with":      "/" + strings.Repeat("_-", 4000) + "/a",
		"one of which nothing is left":           "/" + strings.Repeat("%CC%81", 1300) + "/a",
		"a long name in a query":                 "/q?" + strings.Repeat(long, 5000),
		"many of them":                           "/q?a=1&a=2&a=3&" + strings.Repeat(strings.Repeat(long, 100)+"&", 50),
		"a long name where none counts":          "/kind1/a?_" + strings.Repeat(long, 300_000),
		"one with escapes":                       "/kind1/a?_" + strings.Repeat("%EF%B7%BA", 30_000),
		"a long value of a key of a condition":   "/q?a=" + strings.Repeat(long, 300),
		"many values of a key of a condition":    "/q?" + strings.Repeat("a="+strings.Repeat(long, 300)+"&", 8),
		"a long value of what is no condition's": "/q?c=" + strings.Repeat(long, 5000),
		"many values of a parameter of the path": "/z/a?" + strings.Repeat("x="+strings.Repeat("%C3%A9", 1000)+"&x=0_1&", 3) + strings.Repeat("x=kind1&", 5000),
		"names like one that is missing":         "/q?" + strings.Repeat("%EF%B7%BA=1&x["+long+"=2&", 5000),
		"names like that of one":                 "/z/a?" + strings.Repeat("%EF%B7%BA=1&x["+long+"=2&", 5000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.matched(request("GET " + target))
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 5<<20 {
			t.Errorf("%s: %d bytes are allocated for a request of %d", name, cost, len(target))
		}
	}
}

// A plain request costs no memory at all: neither on its way to a route nor in the
// decision. One thing of Match that escapes to the heap is enough to change that.
func TestPlainRequestsAllocateNothing(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /public/{x} public", "GET /plain/{x} read", "GET /v1/{id}:cancel read", "GET /cdn?version=draft read")})
	s := holder("* read *")
	for _, target := range []string{"GET /public/1", "GET /plain/1", "GET /plain/a.b", "GET /v1/42:cancel", "GET /cdn?page=2&version=draft"} {
		req := request(target, "Authorization: Bearer secret")
		reason := AmbiguousRequest
		allocated := testing.AllocsPerRun(100, func() {
			var m Match
			p.Match(req, &m)
			reason = m.Reason
			if m.NeedsDecision() {
				reason = m.Decide(s, now, netip.Addr{})
			}
		})
		if reason != Forward || allocated != 0 {
			t.Errorf("%s: %v, with %v allocations; want forward, with none", target, reason, allocated)
		}
	}
}
