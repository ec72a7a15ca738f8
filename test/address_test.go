package test

import (
	"testing"
)

// A token's addresses are those of connections. What a page includes is asked for by
// Caddy itself, from 127.0.0.1 and with the header of whoever asked for the page: in
// no version of HTTP is that an address.
func TestAddressOfInclusions(t *testing.T) {
	t.Parallel()
	s := startSecure(t, setup{
		global: "servers {\ntrusted_proxies static 127.0.0.1/32\n}",
		tokens: []known{
			{name: "anywhere"}, {name: "here", ips: []string{"127.0.0.1/32"}}, {name: "there", ips: []string{"192.0.2.2/32"}},
		},
	}, `
	patgate {
		route GET /page public
		route GET /stories any
	}
	handle /page {
		templates {
			mime text/plain
		}
		respond `+"`{{httpInclude \"/stories\"}}`"+`
	}
	handle {
		reverse_proxy {$UPSTREAM}
	}`)
	const forged = "X-Forwarded-For: 192.0.2.2"
	for _, row := range []struct {
		token, header  string
		direct, inside int // the statuses
	}{
		{"anywhere", "Accept: */*", 200, 200},
		{"here", "Accept: */*", 200, 500},
		{"there", "Accept: */*", 401, 500},
		{"there", forged, 200, 500}, // the connection is a trusted proxy's
		{"here", forged, 401, 500},
	} {
		for _, v := range s.versions() {
			for target, want := range map[string]int{"/stories": row.direct, "/page": row.inside} {
				a := v.send(t, request{target: target}.with(s.bearer(row.token), row.header))
				if forwarded := len(s.upstream.take()); a.status != want || (forwarded == 1) != (want == 200) {
					t.Errorf("%s over %s with the token %q and %s: %s, forwarded %d times; want %d", target, v.name, row.token, row.header, a, forwarded, want)
				}
			}
		}
	}
}
