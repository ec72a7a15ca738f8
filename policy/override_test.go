package policy

import (
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
		"GET /x?CamelHttpPath=/y": AmbiguousRequest, "GET /x?a=b&c%41MELhttpURI=http://b.test": AmbiguousRequest, "POST /y?camelRestHttpQuery=a": AmbiguousRequest,
		"GET /x?camel=a&camelhttp=b&camels=c&q=CamelHttpPath":              Forward,
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
