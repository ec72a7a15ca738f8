package test

import (
	"errors"
	"net"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
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

// A client over HTTP/3 may go on from another address: its next request comes from there.
func TestAddressAfterMigration(t *testing.T) {
	t.Parallel()
	s := startSecure(t, setup{tokens: []known{{name: "127.0.0.1", ips: []string{"127.0.0.1/32"}}, {name: "127.0.0.2", ips: []string{"127.0.0.2/32"}}}},
		"patgate {\nroute GET /x any\n}\nreverse_proxy {$UPSTREAM}")
	from := func(ip string) *quic.Transport {
		conn, err := net.ListenPacket("udp", ip+":0")
		if err != nil {
			t.Skipf("%s is no address here: %v", ip, err)
		}
		tr := &quic.Transport{Conn: conn}
		t.Cleanup(func() {
			tr.Close()
			conn.Close()
		})
		return tr
	}
	first, second := from("127.0.0.1"), from("127.0.0.2")
	addr, err := net.ResolveUDPAddr("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := first.Dial(t.Context(), addr, insecure(http3.NextProtoH3), nil)
	if err != nil {
		t.Fatal(err)
	}
	isAt := func(ip string) bool {
		here, there := s.exchange3(t, conn, request{target: "/x"}.with(s.bearer("127.0.0.1"))), s.exchange3(t, conn, request{target: "/x"}.with(s.bearer("127.0.0.2")))
		if ip == "127.0.0.2" {
			here, there = there, here
		}
		return here.verdict() == "forward" && there.verdict() == "address_not_allowed"
	}
	if !isAt("127.0.0.1") {
		t.Error("a request isn't taken for one from where it is sent")
	}
	path, err := conn.AddPath(second)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(path.Probe(t.Context()), path.Switch()); err != nil {
		t.Fatal(err)
	}
	await(t, "requests to be taken for those from the new address", func() bool { return isAt("127.0.0.2") })
}
