package policy

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A WebSocket is a GET, over HTTP/1.1 as over HTTP/2, and nothing else is.
func TestUpgrades(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /ws public", "POST /ws public")})
	for _, c := range []struct{ target, field, want string }{
		{"GET /ws", "Upgrade: websocket", "forward"},
		{"POST /ws", "Upgrade: websocket", "ambiguous_request"},
		{"HEAD /ws", "Upgrade: websocket", "ambiguous_request"},
		{"CONNECT /ws", "", "ambiguous_request"},
		{"CONNECT /else", "websocket", "route_unknown"},
		{"CONNECT /ws", "websocket", "forward"},
		{"CONNECT /ws", "connect-udp", "ambiguous_request"},
		{"CONNECT /ws", "WebSocket", "ambiguous_request"},
	} {
		method, path, _ := strings.Cut(c.target, " ")
		r := &http.Request{Method: method, ProtoMajor: 2, Host: "a.test", URL: &url.URL{Path: path}, Header: http.Header{}}
		if name, value, ok := strings.Cut(c.field, ": "); ok {
			r.Header[name] = []string{value}
		} else if c.field != "" {
			r.Header[ExtendedConnect] = []string{c.field}
		}
		req := NewRequest(r)
		if got := answer(p.matched(&req)); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.target, c.field, got, c.want)
		}
	}
}

// A WebSocket of gRPC-Web brings headers that nobody has judged, X-Patgate-Owner among them.
func TestWebSocketOfGRPCWeb(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /x public")})
	for subprotocols, want := range map[string]Reason{
		"grpc-websockets": AmbiguousRequest, "GRPC-WebSockets": AmbiguousRequest, "chat, grpc-websockets": AmbiguousRequest, "graphql-transport-ws": Forward,
	} {
		h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {subprotocols}}
		req := NewRequest(&http.Request{Method: "GET", Host: "a.test", URL: &url.URL{Path: "/x"}, Header: h})
		if m := p.matched(&req); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", subprotocols, m.Reason, m.Detail, want)
		}
		h.Del("Upgrade")
		req = NewRequest(&http.Request{Method: "GET", Host: "a.test", URL: &url.URL{Path: "/x"}, Header: h})
		if m := p.matched(&req); m.Reason != Forward {
			t.Errorf("%s without an upgrade: %v (%s)", subprotocols, m.Reason, m.Detail)
		}
	}
}

// Encore's gateway adds headers to a WebSocket that it finds in a subprotocol.
func TestWebSocketOfEncore(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /x public")})
	brings := func(object string) string {
		return "encore-ws, encore.dev.headers." + base64.RawURLEncoding.EncodeToString([]byte(object))
	}
	for _, c := range []struct {
		subprotocols, authorization string
		want                        Reason
	}{
		{brings(`{"x-patgate-owner":"bob"}`), "", AmbiguousRequest},
		{brings(`{"authorization":"a","X-Org":"2"}`), "", AmbiguousRequest},
		{brings(`{"authorization":"a","Authorization":"b"}`), "", AmbiguousRequest},
		{brings(`{"authorization":"a"}`), "Bearer s", AmbiguousRequest},
		{brings(`["x-org"]`), "", AmbiguousRequest},
		{"encore.dev.headers.e30=", "", AmbiguousRequest},
		{brings(`{"authorization":"a"}`), "", Forward},
		{brings(`{}`), "Bearer s", Forward},
		{"encore-ws", "Bearer s", Forward},
	} {
		h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {"chat", c.subprotocols}}
		if c.authorization != "" {
			h.Set("Authorization", c.authorization)
		}
		req := NewRequest(&http.Request{Method: "GET", Host: "a.test", URL: &url.URL{Path: "/x"}, Header: h})
		if m := p.matched(&req); m.Reason != c.want {
			t.Errorf("%s with Authorization %q: %v (%s), want %v", c.subprotocols, c.authorization, m.Reason, m.Detail, c.want)
		}
	}
}

// webSockets returns a request for a WebSocket in each of the ways to ask for one.
func webSockets() map[string]*http.Request {
	return map[string]*http.Request{
		"HTTP/1.1": {Method: "GET", ProtoMajor: 1, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
		"a proxy":  {Method: "GET", ProtoMajor: 1, Header: http.Header{"Sec-Websocket-Key": {"a"}}},
		"HTTP/2":   {Method: "CONNECT", ProtoMajor: 2, Header: http.Header{ExtendedConnect: {"websocket"}}},
		"HTTP/3":   {Method: "CONNECT", ProtoMajor: 3, Proto: "websocket", Header: http.Header{}},
	}
}

// In report mode, one whose target is refused is forwarded over each of them.
func TestReportedWebSocket(t *testing.T) {
	p := compile(t, Config{Settings: Settings{Mode: "report"}, Default: "deny", Routes: routes("GET /x any")})
	for name, r := range webSockets() {
		r.URL, r.Host = &url.URL{Path: "/x|", RawPath: "/x|"}, "a.test"
		req := NewRequest(r)
		if m := p.matched(&req); req.Refused == "" || m.Reason != AmbiguousRequest || !m.Reports() {
			t.Errorf("over %s: %v, refused because %q, reported: %v", name, m.Reason, req.Refused, m.Reports())
		}
	}
}

// grpc-websocket-proxy makes a request of a WebSocket, with the method that the query names.
// It is refused also where the policy has no route for that method.
func TestMethodParameterOfWebSocket(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /x public", "DELETE /x never")})
	for target, want := range map[string]Reason{
		"/x?method=DELETE": AmbiguousRequest, "/x?a=b&m%65thod=delete": AmbiguousRequest, "/x?method=PATCH": AmbiguousRequest,
		"/x?method=GET": Forward, "/x?method=subscribe": Forward, "/x?methods=DELETE": Forward, "/x": Forward,
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range webSockets() {
			r.URL, r.Host = u, "a.test"
			CleanHeader(r.Header)
			req := NewRequest(r)
			if m := p.matched(&req); m.Reason != want {
				t.Errorf("%s over %s: %v (%s), want %v", target, name, m.Reason, m.Detail, want)
			}
		}
		if m := p.matched(request("GET " + target)); m.Reason != Forward {
			t.Errorf("GET %s without an upgrade: %v (%s)", target, m.Reason, m.Detail)
		}
	}
}
