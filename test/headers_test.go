package test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

const headerSites = `
http://api.test:{$PORT} {
	patgate {
		route GET,POST /x any
		route GET /ws any
		route DELETE,PUT /x never
		route * /v1/admin/* never
	}
	reverse_proxy {$UPSTREAM}
}`

// Headers by which a server would see another request, or another client, than
// the one that was judged don't reach the upstream; ordinary ones do.
func TestHeaders(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: headerSites, tokens: []known{{name: "T"}}})
	send := func(header ...string) (*answer, []received) {
		t.Helper()
		a := g.send(t, request{target: "/x"}.with(header...).with(g.bearer("T")))
		return a, g.upstream.take()
	}
	for _, name := range []string{
		// of the method and the URL
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path",
		"X-Forwarded-Prefix", "X-Forwarded-Method", "X-Envoy-Original-Path", "x-http-method-OVERRIDE", "X_HTTP_Method_Override",
		// spelled in a way that some server folds into another
		"X_Real_Ip", "X.Real.Ip", "X!Real-Ip", "Content_Length", "Authorization_", "X-Forwarded_For", "X-Forwarded-Host~", "$Host", "Cookie*", "User-Agent|",
		// of the connection
		"Keep-Alive", "Proxy-Connection", "TE", "Trailer", "HTTP2-Settings", "Upgrade", "Proxy-Authorization", "Transfer-Encoding_",
	} {
		a, got := send(name + ": DELETE")
		if len(got) != 1 {
			t.Errorf("%s: %s, want it forwarded without", name, a)
			continue
		}
		for have, values := range got[0].header {
			if strings.Contains(strings.Join(values, ","), "DELETE") {
				t.Errorf("%s: upstream got %s: %q", name, have, values)
			}
		}
	}
	for _, line := range []string{
		"Accept: text/html", "User-Agent: curl/8", "Cookie: a=b; c=d", "X-Request-Id: 1", "If-None-Match: \"x\"", "Content-Type: text/plain",
		"Origin: https://app.test", "X-Patgates: mine", "Authorization2: x", "Range: bytes=0-1", "X-Api-Key2: y", "Accept-Encoding: br",
	} {
		name, value, _ := strings.Cut(line, ": ")
		if a, got := send(line); len(got) != 1 || got[0].line(name) != value {
			t.Errorf("%s: %s, upstream got %v", line, a, got)
		}
	}
	// What the client says about itself counts for nothing.
	for _, line := range []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https"} {
		name, value, _ := strings.Cut(line, ": ")
		if _, got := send(line); len(got) != 1 || strings.Contains(got[0].line(name), value) {
			t.Errorf("%s reached the upstream", line)
		}
	}
	// Over HTTP/1, net/http answers it with 417.
	a := g.send2(t, request{target: "/x", header: []string{"Expect: DELETE"}}.with(g.bearer("T")))
	if got := g.upstream.take(); len(got) != 1 || got[0].line("Expect") != "" {
		t.Errorf("an Expect over HTTP/2: %s, upstream got %v, want it without", a, got)
	}
	// What Connection names is gone before the request is judged, not after.
	for _, row := range []struct{ connection, want string }{
		{"close", "forward"},
		{"keep-alive", "forward"},
		{"Authorization", "token_missing"},
		{"close, authorization", "token_missing"},
		{"Cookie, X-Forwarded-For, Host, Content-Type", "forward"},
		{"X-Forwarded-For\r\nConnection: Authorization", "token_missing"},
	} {
		a, got := send("Connection: " + row.connection)
		if a.verdict() != row.want || (len(got) == 1) != (row.want == "forward") {
			t.Errorf("Connection: %s: %s, want %s", row.connection, a.verdict(), row.want)
		}
		if len(got) == 1 && (got[0].line("X-Forwarded-For") != "127.0.0.1" || got[0].line("X-Forwarded-Host") != "api.test") {
			t.Errorf("Connection: %s: upstream got X-Forwarded-For %q, -Host %q", row.connection, got[0].line("X-Forwarded-For"), got[0].line("X-Forwarded-Host"))
		}
	}
}

// grpc-gateway passes Grpc-Metadata-X on as X, beside the X that was judged. Of what the
// gate judges, and says, there is one; an API's own is left alone.
func TestGRPCMetadata(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
http://api.test:{$PORT} {
	patgate {
		token_from header X-Api-Key
		let_through header Grpc-Metadata-Session
		let_through header Session
		identity_headers {
			owner X-Who
		}
		route GET /x any {
			space header.X-Org
		}
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{{name: "T", owner: "alice", grants: grant("1", "a:read", "*")}},
	})
	for name, kept := range map[string]bool{
		"X-Who": false, "X-Patgate-Token": false, "X-Org": false, "X-Api-Key": false, "X-HTTP-Method-Override": false,
		"Session": true, "X-Other": true, "Authorization": true,
	} {
		a := g.send(t, request{target: "/x", header: []string{"X-Api-Key: " + g.secret("T"), "X-Org: 1", "Grpc-Metadata-" + name + ": forged"}})
		got := g.upstream.take()
		if len(got) != 1 || (got[0].line("Grpc-Metadata-"+name) == "forged") != kept {
			t.Errorf("Grpc-Metadata-%s: %s, upstream got %v, want it kept: %v", name, a, got, kept)
		}
	}
}

// A load balancer lets X-Forwarded-Host of clients through. Where the host says which
// space it is, the upstream finds no other one there.
func TestForwardedHost(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		global: "servers {\n\ttrusted_proxies static 127.0.0.1/32\n}",
		sites: `
http://one.api.test:{$PORT} {
	patgate {
		route GET /x any {
			space host.2
		}
		route GET /y any
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{{name: "T", grants: grant("one", "a:read", "*")}},
	})
	for target, want := range map[string]string{"/x": "one.api.test", "/y": "two.api.test"} {
		a := g.send(t, request{host: "one.api.test", target: target, header: []string{g.bearer("T"), "X-Forwarded-Host: two.api.test"}})
		got := g.upstream.take()
		if a.verdict() != "forward" || len(got) != 1 || got[0].line("X-Forwarded-Host") != want {
			t.Errorf("%s: %s, upstream got %v, want X-Forwarded-Host: %s", target, a, got, want)
		}
	}
}

// Trailers come after the request was judged; none reaches the upstream.
func TestTrailers(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: headerSites, tokens: []known{{name: "T"}}})
	for _, name := range []string{"Authorization", "X-Patgate-Owner", "Host", "Content-Length", "Transfer-Encoding", "X-Checksum", "Cookie", "X-HTTP-Method-Override"} {
		for _, announced := range []bool{false, true} {
			for _, v := range g.versions() {
				r := request{method: "POST", target: "/x", body: "body", trailer: []string{name + ": evil"}}.with(g.bearer("T"))
				if announced {
					r = r.with("Trailer: " + name)
				}
				a := v.send(t, r)
				for _, got := range g.upstream.take() {
					if len(got.trailer) > 0 || strings.Contains(got.raw, "evil") || got.body != "body" {
						t.Errorf("%s trailer %s, announced %v: upstream got %q", v.name, name, announced, got.raw)
					}
					if a.status != 200 && v.name == "HTTP/1.1" {
						t.Errorf("%s trailer %s, announced %v: %s", v.name, name, announced, a)
					}
				}
			}
		}
	}
	// Without the trailer, the same requests pass.
	for _, v := range g.versions() {
		if a := v.send(t, request{method: "POST", target: "/x", body: "body", trailer: []string{}}.with(g.bearer("T"))); v.name == "HTTP/1.1" && a.status != 200 {
			t.Errorf("%s, no trailer: %s", v.name, a)
		}
	}
}

// A WebSocket passes the gate as any request does; no other protocol is
// switched to, since nothing is judged after that.
func TestUpgrades(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: headerSites, tokens: []known{{name: "T"}}})
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	for _, row := range []struct {
		method string
		header []string
		want   string // switched, forward (as an ordinary request), or the reason
	}{
		{"GET", []string{"Connection: Upgrade", "Upgrade: websocket", key, "Sec-WebSocket-Version: 13"}, "switched"},
		{"GET", []string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket", key}, "switched"},
		{"GET", []string{"Upgrade: websocket", key}, "forward"},
		{"GET", []string{"Connection: Upgrade", key}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", key}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: websocket, h2c", key}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: h2c, websocket", key}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: websocket/13", key}, "forward"},
		{"GET", []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: TLS/1.0"}, "forward"},
		{"GET", []string{"Connection: Upgrade", "Upgrade: connect-udp"}, "forward"},
		{"POST", []string{"Connection: Upgrade", "Upgrade: websocket", key}, "ambiguous_request"},
	} {
		target := "/ws"
		if row.method == "POST" {
			target = "/x"
		}
		for _, credential := range []string{g.bearer("T"), ""} {
			r := request{method: row.method, target: target, header: row.header}
			want := row.want
			if credential != "" {
				r = r.with(credential)
			} else if want != "ambiguous_request" {
				want = "token_missing"
			}
			c := g.dial(t)
			io.WriteString(c, r.http1()) // a failure shows when the answer is read
			reader := bufio.NewReader(c)
			a, err := g.read(reader, row.method)
			if err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			got := a.verdict()
			if a.status == 101 {
				got = "switched"
				io.WriteString(c, "ping") // the upstream sends it back
				echo := make([]byte, 4)
				if _, err := io.ReadFull(reader, echo); err != nil || string(echo) != "ping" {
					t.Errorf("%s: echo %q, %v", r, echo, err)
				}
			}
			c.Close()
			received := g.upstream.take()
			if got != want {
				t.Errorf("%s: %s, want %s", r, got, want)
			}
			if (len(received) == 1) != (want == "forward" || want == "switched") {
				t.Errorf("%s: %s, upstream got %v", r, got, targets(received))
			}
			for _, u := range received {
				if upgrade := u.line("Upgrade"); (upgrade != "") != (want == "switched") || upgrade != "" && upgrade != "websocket" || u.line("HTTP2-Settings") != "" {
					t.Errorf("%s: upstream got Upgrade %q, HTTP2-Settings %q", r, upgrade, u.line("HTTP2-Settings"))
				}
			}
		}
	}
}

// Bytes in which one server sees one request and another two. The hidden one is
// for what no token opens; whatever happens, the upstream must not get it, and
// gets the first one only whole.
func TestFraming(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: headerSites, tokens: []known{{name: "T"}}})
	hidden := "DELETE /v1/admin/x HTTP/1.1\r\nHost: api.test\r\n\r\n"
	head := func(method string, lines ...string) string {
		return fmt.Sprintf("%s /x HTTP/1.1\r\nHost: api.test\r\n%s\r\n%s\r\n\r\n", method, g.bearer("T"), strings.Join(lines, "\r\n"))
	}
	length := fmt.Sprintf("Content-Length: %d", len(hidden))
	for _, row := range []struct {
		name, bytes string
		must        bool // it is unambiguous: the first request is served
	}{
		{"length", head("POST", length) + hidden, true},
		{"chunked", head("POST", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), true},
		{"chunk extension", head("POST", "Transfer-Encoding: chunked") + "1;a=b\r\nx\r\n0\r\n\r\n", true},
		{"body on GET", head("GET", length) + hidden, true},
		{"obs-fold", head("POST", "X-A: b\r\n c", "Content-Length: 1") + "x", true},
		{"equal lengths", head("POST", "Content-Length: 1", "Content-Length: 1") + "x", true},
		{"CL.TE", head("POST", length, "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden, false},
		{"TE.CL", head("POST", "Content-Length: 4", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), false},
		{"TE.TE", head("POST", "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n" + hidden, false},
		{"TE list", head("POST", "Transfer-Encoding: chunked, identity", length) + hidden, false},
		{"TE gzip", head("POST", "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n" + hidden, false},
		{"TE x", head("POST", "Transfer-Encoding: xchunked", length) + hidden, false},
		{"TE tab", head("POST", "Transfer-Encoding:\tchunked", length) + "0\r\n\r\n" + hidden, false},
		{"TE with space", head("POST", "Transfer-Encoding : chunked", length) + "0\r\n\r\n" + hidden, false},
		{"TE underscore", head("POST", "Transfer_Encoding: chunked", length) + hidden, true},
		{"TE vertical tab", head("POST", "Transfer-Encoding: \x0bchunked", length) + hidden, false},
		{"TE folded", head("POST", "Transfer-Encoding:\r\n chunked", length) + "0\r\n\r\n" + hidden, false},
		{"TE in Connection", head("POST", "Connection: Transfer-Encoding", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden, false},
		{"CL in Connection", head("POST", "Connection: Content-Length", length) + hidden, true},
		{"two lengths", head("POST", "Content-Length: 0", length) + hidden, false},
		{"length list", head("POST", fmt.Sprintf("Content-Length: 0, %d", len(hidden))) + hidden, false},
		{"length plus", head("POST", fmt.Sprintf("Content-Length: +%d", len(hidden))) + hidden, false},
		{"length hex", head("POST", "Content-Length: 0x10") + hidden, false},
		{"length negative", head("POST", "Content-Length: -1") + hidden, false},
		{"length with space", head("POST", "Content-Length : 5") + hidden, false},
		{"chunk size overflow", head("POST", "Transfer-Encoding: chunked") + "10000000000000000\r\n" + hidden, false},
		{"chunk size plus", head("POST", "Transfer-Encoding: chunked") + "+1\r\nx\r\n0\r\n\r\n" + hidden, false},
		{"chunk LF", head("POST", "Transfer-Encoding: chunked") + "0\n\n" + hidden, false},
		{"chunk too long", head("POST", "Transfer-Encoding: chunked") + "1\r\nxy\r\n0\r\n\r\n" + hidden, false},
		{"bare LF", strings.ReplaceAll(head("GET", "X-A: b"), "\r\n", "\n") + hidden, false},
		{"bare CR", head("GET", "X-A: b\rX-B: c") + hidden, false},
		{"NUL", head("GET", "X-A: b\x00c") + hidden, false},
		{"no colon", head("GET", "X-A") + hidden, false},
		{"space first", "GET /x HTTP/1.1\r\n Host: api.test\r\n\r\n" + hidden, false},
		{"two hosts", head("GET", "Host: evil.test") + hidden, false},
		{"HTTP/1.0", strings.Replace(head("GET", "Connection: keep-alive"), "HTTP/1.1", "HTTP/1.0", 1) + hidden, true},
		{"HTTP/0.9", "GET /v1/admin/x\r\n\r\n", false},
		{"HTTP/1.2", strings.Replace(head("GET", "X-A: b"), "HTTP/1.1", "HTTP/1.2", 1) + hidden, false},
		{"HTTP/3.0", strings.Replace(head("GET", "X-A: b"), "HTTP/1.1", "HTTP/3.0", 1) + hidden, false},
		{"tab in line", "GET\t/x\tHTTP/1.1\r\nHost: api.test\r\n\r\n" + hidden, false},
		{"expect", head("POST", "Expect: 100-continue", length) + hidden, true},
		{"expect other", head("POST", "Expect: x", length) + hidden, false},
	} {
		c := g.dial(t)
		go func() {
			io.WriteString(c, row.bytes) // the gateway may close before it has read all
			io.WriteString(c, "GET /end HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")
		}()
		reader := bufio.NewReader(c)
		statuses := []int{}
		for {
			a, err := g.read(reader, "GET")
			if err != nil {
				break
			}
			if a.status != 100 {
				statuses = append(statuses, a.status)
			}
		}
		c.Close()
		got := g.upstream.take()
		if row.must && (len(statuses) == 0 || statuses[0] != 200) {
			t.Errorf("%s: answered %v, want the first request served", row.name, statuses)
		}
		for i, u := range got {
			if u.target != "/x" || i > 0 {
				t.Errorf("%s: answered %v, upstream got %v", row.name, statuses, targets(got))
			}
		}
		if row.must && len(got) == 1 && strings.Contains(row.bytes, hidden) && strings.Contains(row.bytes, "POST") && got[0].body != hidden {
			t.Errorf("%s: upstream got body %q", row.name, got[0].body)
		}
	}
}

// What docs/ambiguity.md shows against headers and parameters that choose an operation,
// whatever the path is, closes them.
func TestOperationsThatAreNotInThePath(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/ambiguity.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fenced(text, "caddyfile")
	site := strings.NewReplacer(":8080", "http://api.test:{$PORT}", "localhost:9000", "{$UPSTREAM}").Replace(string(blocks[len(blocks)-1]))
	g := start(t, setup{sites: site, tokens: []known{{name: "T", grants: grant("a", "registry:push pages:write", "*")}}})
	send := func(target string, header ...string) (*answer, []received) {
		t.Helper()
		return g.send(t, request{method: "POST", target: target}.with(header...).with(g.bearer("T"))), g.upstream.take()
	}
	const upload = "/v2/a/app/blobs/uploads/"
	for target, want := range map[string]int{
		upload: 200, upload + "?digest=sha256:1": 200, "/pages/1": 200, "/pages/1?act=x": 200, "/pages/1?action=x": 400, "/v2/b/app/blobs/uploads/": 403,
		upload + "?mount=sha256:1&from=b/app": 403, upload + "?from=b/app&mount=sha256:1": 403, upload + "?Mount=sha256:1&from=b/app": 400, upload + "?mo%75nt=sha256:1": 403,
		"/pages/1?_action=x": 403, "/pages/1?_action=x&_action=y": 403, "/pages/1?_Action=x": 400,
	} {
		if a, got := send(target); a.status != want || len(got) > 0 != (want == 200) {
			t.Errorf("%s: %s, want %d", target, a, want)
		}
	}
	for _, name := range []string{"Next-Action", "next-action", "SOAPAction", "Soapaction", "Accept-Profile", "Content-Profile"} {
		if a, got := send("/pages/1", name+": x", "Content-Type: text/plain"); len(got) != 1 || got[0].line(name) != "" || got[0].line("Content-Type") == "" {
			t.Errorf("%s: %s, upstream got %v", name, a, got)
		}
	}
	if a, got := send(upload, "Content-Type: application/x-www-form-urlencoded"); len(got) != 1 || got[0].line("Content-Type") != "" {
		t.Errorf("a form: %s, upstream got %v", a, got)
	}
}

// What docs/ambiguity.md shows for WordPress leaves no body a form to PHP, which
// goes by the type's letters in any case, up to the first blank, comma or semicolon.
func TestFormsAreClosed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/ambiguity.md")
	if err != nil {
		t.Fatal(err)
	}
	var site string
	for _, block := range fenced(text, "caddyfile") {
		if strings.Contains(string(block), "/wp-json/") {
			site = strings.NewReplacer(":8080", "http://api.test:{$PORT}", "localhost:9000", "{$UPSTREAM}").Replace(string(block))
		}
	}
	g := start(t, setup{sites: site, tokens: []known{{name: "T", grants: grant("*", "posts:write", "*")}}})
	const other = "application/octet-stream"
	for _, row := range []struct{ sent, got string }{
		{"application/x-www-form-urlencoded", other},
		{"Application/X-WWW-Form-Urlencoded;charset=utf-8", other},
		{"application/x-www-form-urlencoded, application/json", other},
		{"application/json\r\nContent-Type: application/x-www-form-urlencoded", other},
		{"Multipart/Form-Data; boundary=x", other},
		{"application/json", "application/json"},
		{"image/png", "image/png"},
	} {
		a := g.send(t, request{method: "POST", target: "/wp-json/wp/v2/posts"}.with("Content-Type: "+row.sent).with(g.bearer("T")))
		if got := g.upstream.take(); len(got) != 1 || got[0].line("Content-Type") != row.got {
			t.Errorf("%q: %s, upstream got %v, want %s", row.sent, a, got, row.got)
		}
	}
}
