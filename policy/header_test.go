package policy

import (
	"fmt"
	"net/http"
	"testing"
)

func TestCleanHeader(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ordinary traffic", "Accept: */*|Authorization: Bearer S|Cookie: a=b|X-Request-Id: 1|Content-Type: text/plain|X-Forwarded-For: 192.0.2.1", "unchanged"},

		// Fields that Connection names, which the proxy would remove later.
		{"close", "Connection: close|Accept: */*", "Accept: */*"},
		{"keep-alive", "Connection: keep-alive|Keep-Alive: timeout=5", "Keep-Alive: timeout=5"},
		{"the identity", "Connection: X-Patgate-Owner|X-Patgate-Owner: bob|Accept: */*", "Accept: */*"},
		{"in any case, among others", "Connection: close, x-a ,X-B,, keep-alive|X-A: 1|X-B: 2|X-C: 3", "X-C: 3"},
		{"in several fields", "Connection: x-a|Connection: authorization|X-A: 1|Authorization: S|Accept: */*", "Accept: */*"},
		{"itself", "Connection: connection, X-A|X-A: 1", ""},
		{"nothing", "Connection:|Accept: */*", "Accept: */*"},
		{"not a name", "Connection: a b, =, \x00|Accept: */*", "Accept: */*"},

		// Names that fold into others.
		// Only the gate says who is asking.
		{"the identity, plainly", "X-Patgate-Owner: bob|X-Patgate-Anything: 1|X-Patgates: mine", "X-Patgates: mine"},

		{"underscore", "X_patgate_owner: bob|Accept: */*", "Accept: */*"},
		{"dot", "X.patgate.owner: bob|Accept: */*", "Accept: */*"},
		{"the rest of what a token may have", "X!a: 1|X#a: 1|X$a: 1|X%a: 1|X&a: 1|X'a: 1|X*a: 1|X+a: 1|X^a: 1|X`a: 1|X~a: 1|Accept: */*", "Accept: */*"},
		{"letters of other alphabets", "X-\u00e9: 1|X-\u017fa: 1|Accept: */*", "Accept: */*"},

		// What replaces the method or the URL.
		{"method overrides", "X-Http-Method-Override: DELETE|X-Http-Method: DELETE|X-Method-Override: DELETE|X-Forwarded-Method: DELETE|Accept: */*", "Accept: */*"},
		{"more method overrides", "X-Method: DELETE|X-Original-Method: DELETE|Accept: */*", "Accept: */*"},
		{"hosts", "Forwarded: host=b.test|X-Host: b.test|X-Original-Host: b.test|X-Forwarded-Server: b.test|X-Http-Host-Override: b.test|Disguised-Host: b.test|X-Forwarded-Host: b.test", "X-Forwarded-Host: b.test"},
		{"what X-Forwarded-… says else", "X-Forwarded-Anything: x|X-Forwarded-Client-Cert: x|X-Forwarded-Proto: https|X-Forwarded-Port: 443|X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https|X-Forwarded-Port: 443|X-Forwarded-For: 192.0.2.1"},
		{"what proxies and frameworks tell themselves", "X-Envoy-Original-Path: /a|X-Envoy-Decorator-Operation: x|X-Middleware-Subrequest: x|X-Matched-Path: /a|X-Encore-Meta-Userid: bob|X-Rewrite-Anything: x|X-Script-Name: /a|Proxy: x|Accept: */*", "Accept: */*"},
		{"what grpc-gateway says itself", "Grpc-Metadata-X-Forwarded-Host: b.test|Grpc-Metadata-X-Forwarded-For: 192.0.2.1|Grpc-Metadata-Grpcgateway-Authorization: Bearer x|Grpc-Metadata-X-Method: a|Grpc-Metadata-Tenant: a", "Grpc-Metadata-Tenant: a"},
		{"batches of oRPC", "X-Orpc-Batch: buffered|X-Orpc: a|X-Batch: a", "X-Orpc: a|X-Batch: a"},
		{"what sounds like it", "X-Payment-Method: card|X-Original-Filename: a|X-Hostname: a|X-Request-Id: 1|Host-Id: a|X-Forwarded: a", "unchanged"},
		{"URL overrides", "X-Original-Url: /a|X-Original-Uri: /a|X-Rewrite-Url: /a|X-Forwarded-Uri: /a|X-Forwarded-Path: /a|X-Forwarded-Prefix: /a|X-Replaced-Path: /a|X-Envoy-Original-Path: /a|Accept: */*", "Accept: */*"},
		{"where Camel sends a request on", "Camelhttppath: /a|Camelhttpmethod: PUT|Camelresthttpuri: /a|Camelhttp: 1|Camel-Http-Path: 1|Camelid: 1", "Camelhttp: 1|Camel-Http-Path: 1|Camelid: 1"},
		{"more URL overrides", "X-Vhm-Root: /a|X-Vhm-Host: http://b.test/a|X-Traversal-Path: /a|X-Astro-Path: /a|X-Waws-Unencoded-Url: /a|Daphne-Root-Path: /a|Mf-Original-Url: http://b.test/a|Mf-Route-Override: a|Mf-Size: 1|X-Astro: 1", "Mf-Size: 1|X-Astro: 1"},

		// Tunnels.
		{"a WebSocket", "Connection: keep-alive, Upgrade|Upgrade: WebSocket|Sec-Websocket-Key: k", "Connection: Upgrade|Upgrade: websocket|Sec-Websocket-Key: k"},
		{"h2c", "Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|Http2-Settings: x|Accept: */*", "Accept: */*"},
		{"h2c beside a WebSocket", "Connection: Upgrade|Upgrade: websocket, h2c|Accept: */*", "Accept: */*"},
		{"two protocols", "Connection: Upgrade|Upgrade: websocket|Upgrade: h2c|Accept: */*", "Accept: */*"},
		{"settings that nobody asked for", "Connection: Upgrade|Upgrade: websocket|Http2-Settings: x", "Connection: Upgrade|Upgrade: websocket"},
		{"a long s", "Connection: Upgrade|Upgrade: web\u017focket|Accept: */*", "Accept: */*"},
		{"an upgrade without Connection", "Upgrade: websocket|Accept: */*", "Accept: */*"},
		{"a Connection without an upgrade", "Connection: Upgrade|Accept: */*", "Accept: */*"},

		{"blanks around values (HTTP/2)", "Authorization:  \tBearer S |X-Org: \t|X-A:  1|X-A: 2\t", "Authorization: Bearer S|X-Org:|X-A: 1|X-A: 2"},
		{"an expectation", "Expect: 100-Continue|Accept: */*", "unchanged"},
		{"another expectation", "Expect: x|Accept: */*", "Accept: */*"},
		{"more than an expectation", "Expect: x 100-continue|Accept: */*", "Accept: */*"},
		{"two expectations", "Expect: 100-continue|Expect: 100-continue|Accept: */*", "Accept: */*"},

		{"trailers", "Trailer: Authorization|Te: trailers|Accept: */*", "Te: trailers|Accept: */*"},
	} {
		h, want := header(splitFields(c.in)...), header(splitFields(c.want)...)
		if c.want == "unchanged" {
			want = header(splitFields(c.in)...)
		}
		CleanHeader(h)
		if !sameHeader(h, want) {
			t.Errorf("%s: %q became %q, want %q", c.name, c.in, h, want)
		}
	}
}

// What would have made another request of it is told of, and nothing else that is removed.
func TestCleanHeaderTells(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Accept: */*|X-Request-Id: 1|X-Forwarded-For: 192.0.2.1|Connection: close, X-A|X-A: 1|Upgrade: h2c", "[]"},
		{"X-Patgate-Owner: bob", "[]"},
		{"Api_key: 1|X-Amz-Meta-A.b: 1|X_patgate_owner: bob", "[Api_key X-Amz-Meta-A.b X_patgate_owner]"},
		{"X-Forwarded-Server: traefik-1|X-Envoy-Internal: true|X-Envoy-Expected-Rq-Timeout-Ms: 1", "[]"},
		{"X-Rewrite-Url: /a|X-Http-Method-Override: DELETE|Forwarded: host=b.test", "[Forwarded X-Http-Method-Override X-Rewrite-Url]"},
	} {
		if got := fmt.Sprint(CleanHeader(header(splitFields(c.in)...))); got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
}

// net/http keeps the protocol of an extended CONNECT (RFC 8441) under a name that
// no client can send.
func TestCleanHeaderKeepsExtendedConnect(t *testing.T) {
	h := http.Header{":protocol": {"websocket"}}
	CleanHeader(h)
	if len(h) != 1 {
		t.Error("the protocol of an extended CONNECT is gone")
	}
}

// What is kept of a handshake belongs to the request: later handlers may change it.
func TestCleanHeaderSharesNothing(t *testing.T) {
	a, b := header("Connection: upgrade", "Upgrade: websocket"), header("Connection: upgrade", "Upgrade: websocket")
	CleanHeader(a)
	CleanHeader(b)
	a["Upgrade"][0], a["Connection"][0] = "x", "x"
	if b["Upgrade"][0] != "websocket" || b["Connection"][0] != "Upgrade" {
		t.Errorf("a change of one request's header shows in another's: %q", b)
	}
}
