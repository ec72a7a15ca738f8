package policy

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A parameter that some framework takes for the method is refused, on every route,
// unless it says what the method is anyway.
func TestMethodOverrideParameters(t *testing.T) {
	for _, c := range []struct {
		query string
		want  bool
	}{
		{"", false}, {"a=b", false}, {"method=GET", false}, {"method=card", false}, {"methods=DELETE", false}, {"m%65thodology=PUT", false}, {"my_method=DELETE", false}, {"a_method=x&b=_method", false}, {"_methods=x", false}, {"_m=x", false},
		{"payment_method=card", false}, {"x=_method=DELETE", false}, {"_method=POST", false}, {"_method=post", false}, {"x-request-id=1", false}, {"%5fa=b", false},
		{"filter[method]=DELETE", false}, {"_=1690000000", false}, {"&&", false},

		{"_method=DELETE", true}, {"_method=delete", true}, {"a=b&_method=PUT", true}, {"a=b;_method=PUT", true}, {"_method", true}, {"_method=", true},
		{"_METHOD=PUT", true}, {"_Method=PUT", true}, {"%5Fmethod=PUT", true}, {"_m%65thod=PUT", true}, {"%255fmethod=PUT", true}, {"_method[]=PUT", true},
		{"_method%00=PUT", true}, {"%0A_method=PUT", true}, {"%00_method=PUT", true}, {"a=1&;&_method=PUT", true}, {".method=PUT", true}, {"[method=PUT", true}, {"+_method=PUT", true}, {"%20_method=PUT", true}, {"?_method=PUT", true}, {"[_method]=PUT", true},
		{"_method=POST&_method=PUT", true}, {"%EF%BC%BFmethod=PUT", true},
		{"X-HTTP-Method-Override=PUT", true}, {"x_http_method_override=PUT", true}, {"x-method-override=PUT", true}, {"X-HTTP-Method=PUT", true}, {"x%2dhttp-method-override=PUT", true},
		{"x_astro_path=/a", true}, {"__pathname=/a", true}, {"%5f_isr_route=%2fa", true}, {"__isr_route[]=/a", false}, {"_pathname=/a", false}, {"pathname=/a", false}, {"isr_route=/a", false},
		{"_HttpMethod=PATCH", true}, {"x-tunneled-method=PUT", true}, {"_httpmethods=PUT", false},
		{"__METHOD_OVERRIDE__=PUT", true}, {"a=b&%5f_method_override__=PUT", true}, {"__METHOD_OVERRIDE__=POST", false}, {"method_override=PUT", false}, {"__METHOD_OVERRIDES__=PUT", false},
		{"method=DELETE", false}, {"method=put", false},
		// What is no escape hides none of the others (PHP), and IIS knows %u.
		{"%u005fmethod=PUT", true}, {"_m%U0065thod=PUT", true}, {"X-HTTP-%u004dethod-Override=PUT", true}, {"_%6dethod[%zz]=PUT", true}, {"%5fmethod%00%=PUT", true},
		{"%25u005fmethod=PUT", true}, {"%u00zzmethod=PUT", false}, {"%u5fmethod=PUT", false}, {"_method%=PUT", true}, {strings.Repeat("%EF%BB%BF", 600) + "_method=PUT", true}, {"_method[" + strings.Repeat("%", 2000) + "]=PUT", true},
	} {
		if why, _ := overrides(c.query, "POST"); (why != "") != c.want {
			t.Errorf("?%s overrides POST: %q, want %v", c.query, why, c.want)
		}
	}
	p := compile(t, Config{Default: "public", Routes: routes("GET /x public", "POST /y any")})
	for _, target := range []string{"GET /x?_method=DELETE", "POST /y?_method=DELETE", "GET /z?_method=DELETE", "HEAD /x?_method=GET", "GET /x?.method=DELETE", "GET /x?[method=DELETE"} {
		if m := p.matched(request(target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s: %v, want ambiguous_request", target, m.Reason)
		}
	}
}

// WordPress routes by a parameter, whatever the path is. Where routes say by which of
// its values, the gate does so, too.
func TestRestRoute(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /wp-json/* any", "GET / public", "GET /?rest_route=/wp/v2/posts any", "GET /?rest_route never")})
	for target, want := range map[string]Reason{
		"GET /wp-json/posts?rest_route=/users": AmbiguousRequest, "GET /wp-json/posts?a=b&rest%5Froute=/users": AmbiguousRequest, "GET /wp-json/posts?rest.route=/users": AmbiguousRequest,
		"GET /wp-json/posts?%72est_route[]=x": AmbiguousRequest, "GET /nothing?rest_route=/users": AmbiguousRequest,
		"GET /wp-json/posts?route=x&rest=y&interest_route=z&r=1": Forward, "GET /wp-json/posts?restRoute=x&rest-route=y&REST_ROUTE=z&rest_routes=1": Forward, "GET /wp-json/posts?q=rest_route": Forward,
		"GET /?rest_route=/wp/v2/posts": Forward, "GET /?rest_route=/wp/v2/users": RouteNever, "GET /?x=1": Forward, "GET /?rest.route=/wp/v2/posts": AmbiguousRequest,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Next.js takes some parameters for others.
func TestReplacedParameters(t *testing.T) {
	p := compile(t, Config{Default: "public"})
	for _, query := range []string{"nxtPid=2", "a=b&%6extPid=2", "nxtIid", "nxtPspaceId=2", "nxtPage=2", "nxtPagent=x"} {
		if m := p.matched(request("GET /x?" + query)); m.Reason != AmbiguousRequest {
			t.Errorf("?%s: %v, want ambiguous_request", query, m.Reason)
		}
	}
	for _, query := range []string{"nxtp=1&nxtP=1&nxtI&next=2&name=x", "nxtPageToken=x"} {
		if m := p.matched(request("GET /x?" + query)); m.Reason != Forward {
			t.Errorf("?%s: %v (%s)", query, m.Reason, m.Detail)
		}
	}
}

// Some servers prefer the query's value of a parameter to the path's: where there is
// another route for that.
func TestParametersOfPathInQuery(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Routes: routes("* /posts/{id} public", "GET /posts/4 never", "GET /posts/{id}/x public", "GET /posts/{id}.secret never", "GET /posts/list public", "DELETE /posts/7 never",
		"GET /users/{id} never", "GET /users/me public", "GET /{kind}/{id}/y public", "GET /{kind}/4/y never", "GET /pages/9/y never", "GET /pages/{page}/y public", "GET /v{n}/list public", "GET /v1/list never",
		"GET /files/{path...} public", "GET /files/secret/* never", "GET /files/{dir}/meta never", "GET /alone/{id} public", "GET /{a}/{b}/{c}/{d} public", "GET /a/b/c/d/{e...} public", "GET /a/{b}/c public", "GET /{a}/b/{c}/z never", "GET /{a}/{b}/c/z never", "GET /x/{b}/{c}/{d} never",
		"GET /any/* public", "GET /any/4 never")})
	many := func(key string, n int) (query string) {
		for i := range n {
			query += fmt.Sprintf("&%s=v%d", key, i)
		}
		return query
	}
	for target, want := range map[string]Reason{
		"/posts/1?id=4": AmbiguousRequest, "/posts/1?a=b&ID=4": AmbiguousRequest, "/posts/1?%69d=4": AmbiguousRequest, "/posts/1?id[]=4": AmbiguousRequest, "/posts/1?id=%34": AmbiguousRequest, "/posts/1?id=04": AmbiguousRequest, "/posts/1?id=4/x": AmbiguousRequest,
		"/posts/1?x=y;id=4": AmbiguousRequest, "/posts/1?id=5&id=4": AmbiguousRequest, "/posts/1?id=4&id=5": AmbiguousRequest, "/posts/1?id=5&Id=4&iD=6": AmbiguousRequest, "/posts/1?id=x.secret": AmbiguousRequest, "/posts/1/?id=4": AmbiguousRequest,
		"/posts/1?id=5": Forward, "/posts/1?id=1": Forward, "/posts/1?id=list": Forward, "/posts/1?id=": Forward, "/posts/1?id": Forward, "/posts/1?ids=4": Forward, "/posts/1?id.gt=4": Forward, "/posts/1?filter[id]=4": Forward, "/posts/1?post=4": Forward, "/posts/1?id=7": Forward, "/posts/1?id=5/4": Forward,
		"/posts/list?id=4": Forward, "/posts/1/x?id=4": Forward, "/any/1?id=4": Forward,
		"/posts/1?q=a" + many("id", 5): Forward, "/posts/1?id=4" + many("id", 5): AmbiguousRequest, "/posts/1?q=a" + many("id", 50): AmbiguousRequest, "/posts/1?id=" + strings.Repeat("4", maxPathLength): AmbiguousRequest, "/posts/1?q=" + strings.Repeat("4", maxPathLength): Forward,
		"/posts/1?" + strings.Repeat(strings.Repeat("%C3%A9", 100)+"=1&", 20): AmbiguousRequest,
		"/users/7?id=8": RouteNever, "/users/me?id=8": Forward,
		"/things/1/y?id=4": AmbiguousRequest, "/things/9/y?kind=pages": AmbiguousRequest, "/things/1/y?kind=pages&id=9": AmbiguousRequest, "/things/1/y?kind=pages&id=8": Forward, "/things/4/y?id=5": RouteNever, "/things/9/y?kind=pages&id=8": AmbiguousRequest, "/pages/1/y?id=4": Forward, "/pages/1/y?page=9": AmbiguousRequest,
		"/v2/list?n=1": AmbiguousRequest, "/v2/list?n=3": Forward,
		"/files/x?path=secret/y": AmbiguousRequest, "/files/x/y?path=secret": AmbiguousRequest, "/files/x?path=a/meta": AmbiguousRequest, "/files/x?path=a/b": Forward, "/files/x?path=/": Forward, "/files/x?path=" + strings.Repeat("/y", maxSegments): AmbiguousRequest,
		"/alone/1?id=" + strings.Repeat("4", maxPathLength): Forward,
		"/files/x%2Fy?path=secret%2Fz":                      AmbiguousRequest,
	} {
		if m := p.matched(request("GET "+target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%.60s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	// One that is replaced is another look at the path as it is judged, not at one that is
	// split elsewhere.
	p = compile(t, Config{EncodedSlash: "allow", Routes: routes("GET /repos/{name}/posts/{id} public", "GET /repos/{name}/posts/4 never")})
	if m := p.matched(request("GET /repos/a%2Fb/posts/1?id=4")); m.Reason != AmbiguousRequest {
		t.Errorf("beside an encoded slash: %v, want ambiguous_request", m.Reason)
	}
	// Nor is one that is in report mode let through to one that isn't.
	report := routes("GET /posts/{id} any")
	report[0].Mode = "report"
	p = compile(t, Config{Routes: append(report, routes("GET /posts/4 never")...)})
	if m := p.matched(request("GET /posts/1?id=4")); m.Reason != AmbiguousRequest || m.Reports() {
		t.Errorf("in report mode: %v, reported: %v", m.Reason, m.Reports())
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

// Play 1 looks for its parameter within names and values, too, and reads no more than the
// method behind it.
func TestMethodAnywhereInQuery(t *testing.T) {
	p := compile(t, Config{Routes: routes("* /x public", "DELETE /x never")})
	const play = "x-http-method-override="
	for target, want := range map[string]Reason{
		"GET /x?q=" + play + "DELETE": AmbiguousRequest, "GET /x?ax-http-method-override=DELETE": AmbiguousRequest, "GET /x?q=a" + play + "DELETED": AmbiguousRequest,
		"DELET /x?q=" + play + "DELETE": AmbiguousRequest, "GET /x?q=" + play + "DELETE&" + play + "GET": AmbiguousRequest, "GET /x?" + play + "GET&q=" + play + "DELETE": AmbiguousRequest,
		"GET /x?q=" + play + "GET": Forward, "GET /x?q=" + play: Forward, "GET /x?q=" + play + "delete": Forward, "GET /x?q=x-http-method-override": Forward,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
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
		for name, r := range map[string]*http.Request{
			"HTTP/1.1": {Method: "GET", ProtoMajor: 1, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
			"a proxy":  {Method: "GET", ProtoMajor: 1, Header: http.Header{"Sec-Websocket-Key": {"a"}}},
			"HTTP/2":   {Method: "CONNECT", ProtoMajor: 2, Header: http.Header{ExtendedConnect: {"websocket"}}},
			"HTTP/3":   {Method: "CONNECT", ProtoMajor: 3, Proto: "websocket", Header: http.Header{}},
		} {
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

// Restlet takes the method from a parameter of that name, Alfresco from alf_method and Gerrit
// from $m, of a POST only; Restler from http_method and PrestaShop from ps_method, of any.
func TestMethodParameterOfRestlet(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("POST,GET,PUT /x any", "DELETE /x never", "POST /presign any", "POST /z never", "DELETE /z any")})
	for target, want := range map[string]Reason{
		"POST /x?method=DELETE": AmbiguousRequest, "POST /x?a=b&m%65thod=Delete": AmbiguousRequest, "POST /x?METHOD=DEL%45TE": AmbiguousRequest, "POST /x?method=a&method=DELETE": AmbiguousRequest,
		"POST /x?method=PUT": Forward, "POST /x?method=card": Forward, "GET /x?method=DELETE": Forward, "PUT /x?method=DELETE": Forward,
		"POST /x?METHOD=PUT&method=DELETE": AmbiguousRequest, "POST /x?method=PUT&method=DELETE": AmbiguousRequest,
		"POST /x?$m=DELETE": AmbiguousRequest, "POST /x?%24m=DELETE&$ct=text/plain": AmbiguousRequest, "POST /x?$m=PUT": Forward, "GET /x?$m=DELETE": Forward, "POST /x?$M=DELETE&m=DELETE&$me=DELETE": Forward,
		"POST /x?alf_method=delete": AmbiguousRequest, "POST /x?alf%5Fmethod=DELETE": AmbiguousRequest, "POST /x?alf_method=put": Forward, "GET /x?alf_method=delete": Forward,
		"GET /x?http_method=delete": AmbiguousRequest, "POST /x?http.method=DELETE": AmbiguousRequest, "PUT /x?a=b&http%20method=DELETE": AmbiguousRequest, "GET /x?http_method=POST": Forward, "GET /x?httpMethod=DELETE": Forward, "GET /presign?http_method=DELETE": RouteUnknown,
		"GET /x?ps_method=delete": AmbiguousRequest, "POST /x?a=b&ps.method=DELETE": AmbiguousRequest, "POST /x?ps_method=PUT": Forward, "GET /x?PS_METHOD=DELETE": Forward, "GET /x?psmethod=DELETE": Forward,
		"POST /presign?method=PUT&key=a": Forward, "POST /z?method=DELETE": RouteNever,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Atmosphere takes parameters for headers, and one of them for the body of a POST.
func TestParametersOfAtmosphere(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /x public", "POST /x never", "GET,POST /y any")})
	for target, want := range map[string]Reason{
		"GET /x?X-Patgate-Owner=bob": AmbiguousRequest, "GET /x?a=b&x-patgate-scopes": AmbiguousRequest, "GET /x?X%2DPatgate-Owner=bob": AmbiguousRequest, "GET /y?X-Patgate-Owner=bob": AmbiguousRequest,
		"GET /x?X-Patgate=bob": Forward, "GET /x?Patgate-Owner=bob": Forward, "GET /x?q=X-Patgate-Owner": Forward,
		"GET /x?X-Atmosphere-Post-Body=a": AmbiguousRequest, "GET /x?a=b&x-atmosphere-post-body=a": AmbiguousRequest, "GET /y?X-Atmosphere-Post-Body=a": Forward, "GET /x?X-Atmosphere-Transport=sse": Forward,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Pushpin takes the headers of a request for a callback from its query, before its own.
func TestHeadersInQuery(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /x public", "GET,POST /y any")})
	for target, want := range map[string]Reason{
		"GET /x?callback=f&_headers=%7B%22X-Patgate-Owner%22:%22bob%22%7D": AmbiguousRequest, "GET /y?%5Fheaders=%7B%7D&cb=f": AmbiguousRequest, "POST /y?_headers": AmbiguousRequest,
		"GET /x?callback=f&_body=a": Forward, "GET /x?headers=a&header=b&_header=c&my_headers=d": Forward, "GET /x?q=_headers": Forward,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Zope finds another path in the name of a parameter that ends like a form's button, and
// Astro on Vercel in the value of one.
func TestPathInParameter(t *testing.T) {
	p := compile(t, Config{Default: "public"})
	for query, want := range map[string]Reason{
		"../../admin/users:method=1": AmbiguousRequest, ":method=admin": AmbiguousRequest, "a=1&x:action": AmbiguousRequest, "x:default_method=": AmbiguousRequest, "x:default_action": AmbiguousRequest,
		"x%3Amethod": AmbiguousRequest, "x%3am%65thod": AmbiguousRequest, "x:m%65thod": AmbiguousRequest, "a=1;x:method": AmbiguousRequest, "x:method:utf8": AmbiguousRequest, "x:method.x": AmbiguousRequest, "x:action.y:int": AmbiguousRequest, "x:int:method:utf-8.x": AmbiguousRequest, "a/b:Observation:method": AmbiguousRequest, "x:method%0A": AmbiguousRequest, "x:method:int%0A": AmbiguousRequest,
		"result:Observation.method=x": Forward, "subject:Patient.action=x": Forward, "x:method.z": Forward, "x:method:": Forward, "x:method:a.b": Forward, "x:method:%C3%A9": Forward,
		"x:list:action=%zz": AmbiguousRequest, "%zz:method": AmbiguousRequest, strings.Repeat("%C3%A9", 300) + ":method": AmbiguousRequest,
		"x:int=1": Forward, "a=x:method": Forward, "x:methods": Forward, "method": Forward, "x.method=1": Forward, "x:y_action=1": Forward, "x%253Amethod": Forward, "filter[x:y]=method": Forward,

		"_url=/admin": AmbiguousRequest, "a=1&.url=%2Fadmin": AmbiguousRequest, "%5Furl[]=/a": AmbiguousRequest, "_url=https://a.test/": Forward, "_url": Forward, "_urls=/a": Forward, "url=/a": Forward,
		"_action_delete": AmbiguousRequest, "a=1&%5Faction_delete.x=1": AmbiguousRequest, "_action=delete": Forward, "action_delete": Forward, "_actions_x": Forward,
		"x_astro_path=/admin": AmbiguousRequest, "X%5Fastro_path=/admin": AmbiguousRequest, "a=1&x_astro_path": AmbiguousRequest, "x_astro=1": Forward, "q=x_astro_path": Forward,
	} {
		if m := p.matched(request("GET /x?" + query)); m.Reason != want {
			t.Errorf("?%.40s: %v (%s), want %v", query, m.Reason, m.Detail, want)
		}
	}
}

// Some servers decode the query by the charset of the body.
func TestOtherCharset(t *testing.T) {
	const ascii, other, none = "a=b&c=%7E", "a=%C3%A9", ""
	for _, c := range []struct {
		contentType string
		query       string
		want        bool
	}{
		{"application/json", other, false}, {"text/plain; charset=utf-8", other, false}, {"text/plain;CHARSET=\"UTF-8\"", other, false}, {"text/plain; charset = utf-8 ; x=y", other, false},
		{"text/plain; charset=", other, false}, {"text/plain; charset=US-ASCII", other, false},
		{"text/plain; charset=iso-8859-1", ascii, false}, {"text/plain; charset='Windows-1252'", ascii, false}, {"text/plain; charset=GBK", ascii, false}, {"text/plain; charset=EUC-JP", ascii, false},
		{"text/plain; charset=iso-8859-1", other, false}, {"text/plain; charset=latin1", "a=\xe9&b=~", false}, {"text/plain; charset=Big5", "q=%A5%5C", false},
		{"text/plain; charset=iso-8859-1", "a=1&%C3%A9=1", true}, {"text/plain; charset=latin1", "\xe9", true}, {"text/plain; charset=Shift_JIS", "%7E=1", true},
		{"a/b; charset=utf-16", "page=2", true}, {"a/b; charset=IBM290", "beuqv=x", true}, {"a/b; charset=binary", "page_size=2&from=2026-01-01&sort=a:b,c", false}, {"a/b; charset=utf8mb4", "page=2", false}, {"a/b; charset=None", "q", false}, {"a/b; charset=undefined", "page=2", false},
		{"a/b; charset=utf-7", "q=a+ACY-b", true}, {"a/b; charset=hz", "q=~{", true}, {"a/b; charset=unicode_escape", "q=\\x26b", true}, {"a/b; charset=utf-16", "q=%00a", true}, {"a/b; charset=IBM037", "q=\x84", true}, {"a/b; charset=punycode", "a-b=1", true},
		{"text/plain; charset=utf-7", ascii, true}, {"text/plain; charset=unicode_escape", ascii, true}, {"a/b; charset=iso-2022-jp", ascii, true}, {"a/b; Charset=UTF-16", ascii, true}, {"a/b;charset=IBM037", ascii, true},
		{"a/b; charset*=utf-8''utf-7", ascii, true}, {"a/b; charset*0=utf-7", ascii, true}, {"a/b; charset=utf-8; charset=utf-7", ascii, true}, {"a/b, c/d; charset=utf-7", ascii, true}, {"a/b; charset=utf-8\\-7", ascii, true},
		{"text/plain; charset=utf-7", none, false},
		{"multipart/form-data; boundary=----charset7", other, false}, {"text/csv; charset=Shift_JIS", ascii, false}, {"text/csv; charset=iso_8859-1", ascii, false},
		{"text/plain; x=" + strings.Repeat("y", maxContentType), ascii, true}, {"a/b; \u00a0charset=utf-7", ascii, true},
		{"text/plain; xcharset=iso-2022-jp", ascii, true}, {"text/plain charset=iso-2022-jp", ascii, true}, {"text/plain; x=\"Charset = utf-7\"", ascii, true}, {"text/plain; charset=utf-8; xCHARSET=utf-7", ascii, true}, {"text/plaincharset=utf-8 charset=utf-7", ascii, true},
		{"text/plain; xcharset=utf-8", other, false}, {"text/plain; x=charset", other, false}, {"a/b; name=\"charset.txt\"", other, false}, {"a/b; name=\"my charset (1).txt\"", other, false},
		{"multipart/form-data; boundary=----charset-x", other, false}, {"application/vnd.acme.charset+json", other, false}, {"a/b; profile=\"https://x.test/charset.html\"", other, false},
		{"a/b; xcharset*=utf-7''x", ascii, true}, {"a/b; charset", other, true}, {"a/b; x charset\u00a0=utf-7", ascii, true}, {"a/b charset\u0085=utf-7", ascii, true}, {"a/b; charsets=utf-7", other, false},
	} {
		p := compile(t, Config{Default: "public"})
		r := request("POST /x?"+c.query, "Content-Type: "+c.contentType)
		if m := p.matched(r); (m.Reason == AmbiguousRequest) != c.want {
			t.Errorf("%s with ?%s: %v (%s), want it refused: %v", c.contentType, c.query, m.Reason, m.Detail, c.want)
		}
	}
	// Where something depends on a value, it counts as well.
	q := compile(t, Config{Routes: append(routes("POST /x?draft=true any", "POST /x any"),
		RouteConfig{Methods: []string{"POST"}, Pattern: "/s", Require: "any", Settings: Settings{Space: "query.space"}})})
	for target, want := range map[string]bool{
		"iso-8859-1 /x?draft=true": false, "iso-8859-1 /x?draft=false&q=%C3%A9": false, "iso-8859-1 /x?draft=%C3%A9": true, "utf-16 /x?page=2": true,
		"utf-8 /s?space=%C3%A9": false, "iso-8859-1 /s?space=%C3%A9": true, "iso-8859-1 /s?sp%61ce=\xe9": true, "iso-8859-1 /s?space=a&q=\xe9": false, "shift_jis /s?space=~": true, "shift_jis /s?space=1&q=~": false, "None /s?space=1": false, "None /s?space=%C3%A9": true,
	} {
		charset, target, _ := strings.Cut(target, " ")
		if m := q.matched(request("POST "+target, "Content-Type: text/plain; charset="+charset, "Authorization: Bearer s")); (m.Reason == AmbiguousRequest) != want {
			t.Errorf("%s in %s: %v (%s), want it refused: %v", target, charset, m.Reason, m.Detail, want)
		}
	}
	// Spring decodes the path by it, too.
	p := compile(t, Config{Routes: routes("POST /{space} any", "POST /{space}/{any...} any")})
	for target, want := range map[string]Reason{"/caf%C3%A9": AmbiguousRequest, "/x/caf%C3%A9": Forward, "/a%20b": Forward, "/x": Forward} {
		if m := p.matched(request("POST "+target, "Content-Type: text/plain; charset=gbk", "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s in GBK: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
	if charsetOf([]string{"a/b", "a/b; charset=utf-7"}) != likeNothing {
		t.Error("a second Content-Type isn't looked at")
	}
}

// To Fastify, the query begins at a semicolon.
func TestOverrideBehindSemicolon(t *testing.T) {
	p := compile(t, Config{Semicolon: "allow", Routes: routes("* /u/{id} any")})
	for target, want := range map[string]Reason{
		"POST /u/7;_method=DELETE": AmbiguousRequest, "POST /u/7;a=1&_method=PUT": AmbiguousRequest, "POST /u/7;x/_method=PUT": RouteUnknown,
		"POST /u/7;_method=POST": Forward, "POST /u/7;v=1": Forward,
	} {
		m := p.matched(request(target, "Authorization: Bearer s"))
		if m.Reason != want {
			t.Errorf("%s: %v, want %v", target, m.Reason, want)
		}
	}
}

// WebDAV's copies and moves are about two paths, of which the gate judges one.
func TestSecondPath(t *testing.T) {
	p := compile(t, Config{Routes: routes("* /x public")})
	for _, c := range []struct {
		method string
		field  string
		want   Reason
	}{
		{"MOVE", "Destination: /y", AmbiguousRequest}, {"COPY", "Destination: http://a/y", AmbiguousRequest},
		{"MOVE", "Accept: */*", Forward}, {"PUT", "Destination: /y", Forward},
	} {
		if m := p.matched(request(c.method+" /x", c.field)); m.Reason != c.want {
			t.Errorf("%s with %s: %v, want %v", c.method, c.field, m.Reason, c.want)
		}
	}
}
