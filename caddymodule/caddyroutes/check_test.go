package caddyroutes_test

import (
	"fmt"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/patgate/patgate/caddymodule" // the directives
)

// A gate that no requests come to judges none.
func TestCheckReached(t *testing.T) {
	const none, nothing = "no request comes to this gate: ", "nothing stands behind this gate: "
	for _, row := range [][2]string{
		{"GATE; reverse_proxy a", ""},
		{"route { reverse_proxy a; GATE }", none + "reverse_proxy a:80 stands before it and answers; in a route block, write the gate first; with the global option order, put patgate before it"},
		{"order patgate before reverse_proxy === GATE; handle /a/* { reverse_proxy a }; handle { respond 404 }", none + "reverse_proxy a:80 stands before it and answers; "},
		{"order patgate last === GATE; root /srv; file_server", none + "file_server /srv stands before it"},
		{"order patgate last === GATE; file_server { pass_thru }", nothing + "file_server . stands before it and answers, unjudged; "},
		{"order patgate last === GATE; root /srv; php_fastcgi a", nothing + "reverse_proxy a:80 stands before it and answers, unjudged; "},
		{"order patgate last === GATE; root /srv; php_fastcgi a; file_server", none + "reverse_proxy a:80, file_server /srv stand before it"},
		{"route { error 404; GATE }", none + "error stands before it"},
		{"route { patgate_health; GATE }", none + "patgate_health stands before it"},
		{"route { metrics; GATE }", none + "metrics stands before it"},
		{"route { invoke up; GATE } +++ &(up) { reverse_proxy a }", none + "reverse_proxy a:80 stands before it"},
		{"route { route { reverse_proxy a }; GATE }", none + "reverse_proxy a:80 stands before it"},
		{"route { @m path /a; handle @m { respond x }; @n not path /a; handle @n { respond x }; GATE }", none + "static_response stands before it"},
		{"route { invoke loop; GATE } +++ &(loop) { invoke loop }", none + "no route leads to it"},
		{"@m host {env.HOST}; handle @m { GATE; reverse_proxy a }", ""},
		{"@m host b.test; handle @m { GATE; reverse_proxy a }", none + "no route leads to it"},
		{"handle /a/* { respond x }; handle /a/b { GATE; reverse_proxy a }", ""}, // Caddy sorts them

		{"route { reverse_proxy /x b; GATE; reverse_proxy a }", ""},
		{"route { file_server { pass_thru }; GATE; reverse_proxy a }", ""},
		{"route { respond /x 404; GATE; reverse_proxy a }", ""},
		{"route { respond 103; GATE; reverse_proxy a }", ""},
		{"route { invoke part; GATE; reverse_proxy a } +++ &(part) { handle /x { respond x } }", ""},
		{"route { forward_auth auth { uri /verify }; GATE; reverse_proxy a }", ""},
		{"patgate_health /healthz; respond /x 404; GATE; reverse_proxy a", ""},
		{"respond no +++ http://:90 { patgate_authorize nginx; GATE }", ""},
		{"respond no +++ http://:90 { route { reverse_proxy /x b; patgate_authorize nginx; GATE } }", ""},
		{"GATE", ""},
		{"invoke app +++ &(app) { route { GATE; reverse_proxy a } }", ""},
		{"route { invoke app; reverse_proxy a } +++ &(app) { header X y; GATE }", ""},
		{"GATE; reverse_proxy a +++ http://b.test { reverse_proxy b }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What stands behind a gate isn't to be reached past all of them. What doesn't is
// nobody's business.
func TestCheckOpen(t *testing.T) {
	const past = "requests come to reverse_proxy a:80, before which this gate stands, past it and unjudged: those that "
	for _, row := range [][2]string{
		{"GATE/a; reverse_proxy a", past + `don't match {"path":["/a/*"]}`},
		{"handle /a/* { GATE; reverse_proxy a }; reverse_proxy a", past + `don't match {"path":["/a/*"]}`},
		{"handle /pub/* { reverse_proxy a }; handle { GATE; reverse_proxy a }", past + `match {"path":["/pub/*"]}`},
		{"handle_path /pub/* { reverse_proxy a }; handle { GATE; reverse_proxy a }", "requests come to reverse_proxy a:80, before which this gate stands, past it and unjudged"},
		{"@m path /a/*; route @m { GATE; request_header X-Gated yes }; reverse_proxy a", past + `don't match {"path":["/a/*"]}`},
		{"route { reverse_proxy /ping a; GATE; reverse_proxy a }", past + `match {"path":["/ping"]}`},
		{"handle /a/* { invoke app }; handle { reverse_proxy a } +++ &(app) { route { GATE; reverse_proxy a } }", past + `don't match {"path":["/a/*"]}`},
		{"handle /a/* { GATE; reverse_proxy localhost:9000 }; handle { reverse_proxy 127.0.0.1:9000 }", "requests come to reverse_proxy 127.0.0.1:9000, "},
		{"handle /a/* { GATE; reverse_proxy localhost:9000 }; handle { reverse_proxy 0.0.0.0:9000 }", "requests come to reverse_proxy 0.0.0.0:9000, "},
		{"handle /a/* { GATE; reverse_proxy localhost:9000 }; handle { reverse_proxy [::]:9000 }", "requests come to reverse_proxy [::]:9000, "},
		{"handle /a/* { GATE; reverse_proxy localhost:9000 }; handle { reverse_proxy LOCALHOST:9000 }", "requests come to reverse_proxy LOCALHOST:9000, "},
		{"handle /a/* { GATE; reverse_proxy api.test:9000 }; handle { reverse_proxy API.test:9000 }", "requests come to reverse_proxy API.test:9000, "},
		{"GATE; reverse_proxy a +++ http://b.test { reverse_proxy a }", strings.TrimSuffix(past, "those that ") + "to b.test"},
		{"@m method GET; GATE@m; reverse_proxy a", past + `don't match {"method":["GET"]}; such requests may bring identity headers of their own: let the gate take them, by a public route, as in route GET /ping public, or, if another handler signs them in, remove X-Patgate-* there`},
		{"root /srv; GATE/a; file_server", "requests come to file_server /srv, before which this gate stands, past it and unjudged: those that don't match {\"path\":[\"/a/*\"]}; let the gate take what everybody may have, by a public route, as in route GET /ping public"},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv; file_server }", "requests come to file_server /srv, with files in it before which this gate stands, past it and unjudged: to b.test; let that file server hide them"},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /; file_server }", "requests come to file_server /, with files in it "},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv; file_server /f* }", "requests come to file_server /srv, with files in it "},
		{"handle_path /x/* { root /srv; file_server }; handle { root /srv/files; GATE; file_server }", "requests come to file_server /srv, with files in it "},
		{"GATE; reverse_proxy a +++ https://a.test { reverse_proxy a }", "requests come to reverse_proxy a:80, before which this gate stands, past it on another port and unjudged; such"},
		{"GATE; reverse_proxy a +++ https://*.test { reverse_proxy /x a }", "requests come to reverse_proxy a:80, before which this gate stands, past it on another port and unjudged: those that match {\"path\":[\"/x\"]}, to *.test; such"},
		{"GATE; reverse_proxy a +++ https://a.test { handle_errors { reverse_proxy a }; error 500 }", "requests come to reverse_proxy a:80, before which this gate stands, past it by handle_errors on another port and unjudged; such"},
		{"@m header X-M x; route { GATE@m; request_header X-M x; reverse_proxy @m a }", "requests come to reverse_proxy a:80, "}, // set in between
		{"@m vars x y; route { GATE@m; vars x y; reverse_proxy @m a }", "requests come to reverse_proxy a:80, "},
		{"@m path /a/*; route { GATE@m; uri strip_prefix /x; reverse_proxy @m a }", past + `don't match {"path":["/a/*"]}, rewritten to match {"path":["/a/*"]};`},
		{"root /srv; GATE/a; php_fastcgi a", past + `don't match {"path":["/a/*"]}, rewritten to match {"path":["*.php"]};`},
		{"handle_path /s/* { file_server }; handle { GATE; reverse_proxy a }; handle_errors 404 { reverse_proxy /s/* a }", strings.Replace(past, "past it", "past it by handle_errors", 1) + `match {"path":["/s/*"]};`},
		{"@m `path('/a/*')`; GATE@m; reverse_proxy a", past + `don't match {"path":["/a/*"]};`},
		{"@m `path('/a/*') && header({'X': 'y'})`; GATE@m; reverse_proxy /a/* a", past + `match {"path":["/a/*"]};`},
		{"@m { expression `path('/a/*')`; path /a/b* }; GATE@m; reverse_proxy /a/* a", past + `match {"path":["/a/*"]};`},
		{"@m `path('/a/{env.X}')`; GATE@m; reverse_proxy /a/* a", past + `match {"path":["/a/*"]};`},
		{"@m path *.php; GATE/a; reverse_proxy @m a", past + `match {"path":["*.php"]}`},
		{"handle /s/* { file_server }; handle { GATE; reverse_proxy a }; handle_errors 404 { reverse_proxy a }", strings.Replace(past, "past it", "past it by handle_errors", 1) + `match {"path":["/s/*"]}`},
		{"handle /s/* { try_files {path} =404; respond x }; handle { GATE; reverse_proxy a }; handle_errors 404 { reverse_proxy a }", strings.Replace(past, "past it", "past it by handle_errors", 1) + `match {"path":["/s/*"]}`},
		{"handle /a/* { GATE; reverse_proxy { dynamic a b 80 } }; handle { reverse_proxy { dynamic a b 80 } }", `requests come to reverse_proxy {"name":"b","port":"80","source":"a"}, before which this gate stands, past it and unjudged: those that don't match`},
		{"handle /a/* { GATE; file_server { root /srv } }; root /srv; file_server", "requests come to file_server /srv, before which this gate stands, past it "},
		{"route { intercept { handle_response { reverse_proxy a } }; GATE; reverse_proxy a }", strings.TrimSuffix(past, ": those that ") + "; such"},
		{"route { rewrite /x /p{uri}; rewrite /y /p{uri}; GATE/a; reverse_proxy a }", strings.TrimSuffix(past, ": those that ") + "; such"}, // once, rewritten or not

		{"@m not path /b; handle /a { GATE@m; reverse_proxy a }", ""}, // what is for /a isn't for /b
		{"route { GATE; intercept { handle_response { reverse_proxy a } }; reverse_proxy a }", ""},
		{"handle /static/* { file_server }; handle { GATE; reverse_proxy a }", ""},
		{"handle /pub/* { reverse_proxy b }; handle { GATE; reverse_proxy a }", ""},
		{"handle /a/* { GATE; reverse_proxy a }; handle { reverse_proxy b }", ""},
		{"handle /a/* { GATE; reverse_proxy localhost:9000 }; handle { reverse_proxy localhost:9001 }", ""},
		{"GATE/a; reverse_proxy /a/* a; reverse_proxy b", ""},
		{"GATE/a; reverse_proxy /a/v1/* a; reverse_proxy /b/* b", ""},
		{"GATE/a; request_header X-M x; reverse_proxy /a/* a", ""},
		{"GATE/a; request_header /b/* X-M x; reverse_proxy /a/* a", ""},
		{"GATE; GATE/a; reverse_proxy a", ""},
		{"@m not remote_ip 10.0.0.0/8; route { GATE@m; GATE; reverse_proxy a }", ""},
		{"route { patgate { default deny; route * /* any }; GATE; reverse_proxy a }", ""},
		{"route { patgate { default deny; route * /{all...} any }; GATE; reverse_proxy a }", ""},
		{"@m `path(\"/a/*\", '/b')`; GATE@m; handle /a/* { reverse_proxy a }; handle /b { reverse_proxy a }", ""},
		{"@m expression `method('GET')`; @n method GET; GATE@m; reverse_proxy @n a", ""},
		{"@m { expression `path('/a/*')`; method GET }; GATE@m; @n { path /a/*; method GET }; reverse_proxy @n a", ""},
		{"@m not `path('/a/*')`; respond @m x; GATE/a; reverse_proxy a", ""},
		{"@m path /a/*; @n not path /a/*; route { GATE@m; GATE@n; reverse_proxy a }", ""},
		{"handle /a/* { GATE; reverse_proxy a }; handle { GATE; reverse_proxy a }", ""},
		{"handle /a/* { GATE }; handle { respond 404 }; reverse_proxy a", ""},
		{"@m path /a/* /b/*; handle @m { GATE; reverse_proxy a }; handle { respond 404 }", ""},
		{"redir /old /new; GATE; reverse_proxy a", ""},
		{"handle /ping { rewrite * /healthz; reverse_proxy a }; handle { GATE; reverse_proxy a }", ""}, // there only
		{"handle /s/* { root /srv/s; file_server }; handle { root /srv; GATE; file_server }", ""},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv/other; file_server }", ""},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv/file; file_server }", ""},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv; file_server /css/* }", ""},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv; respond /files/* 404; file_server }", ""},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv; file_server { hide files } }", ""},
		{"root /srv/files; GATE; file_server +++ http://b.test { root /srv; file_server { hide /srv/files } }", ""},
		{"root /srv; GATE; php_fastcgi a; file_server", ""},
		{"root /srv; GATE; try_files {path} /index.html; file_server", ""},
		{"handle /a/* { invoke app }; handle /b/* { invoke app }; handle { respond 404 } +++ &(app) { route { GATE; reverse_proxy a } }", ""},
		{"handle /console/* { patgate_console }; handle { GATE; reverse_proxy a }", ""},
		{"GATE; forward_auth auth { uri /verify }; reverse_proxy a", ""},
		{"GATE; reverse_proxy a +++ http://b.test:8081 { reverse_proxy a }", ""}, // for another host
		{"GATE; reverse_proxy a +++ :8081 { reverse_proxy a }", ""},              // for whoever gets there
		{"GATE; reverse_proxy a +++ https://a.test { reverse_proxy b }", ""},
		{"GATE; reverse_proxy a +++ https://a.test { redir http://a.test{uri} }", ""},
		{"GATE; reverse_proxy a +++ https://a.test { GATE; reverse_proxy a }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What was judged, and who is asking, stays as it is behind the gate.
func TestCheckChanged(t *testing.T) {
	for _, row := range [][2]string{
		{"TENANT; request_header X-Tenant {labels.1}; reverse_proxy a", "request_header behind this gate changes X-Tenant, in which the gate reads the space"},
		{"TENANT; request_header -x-tenant; reverse_proxy a", "request_header behind this gate changes X-Tenant, "},
		{"TENANT; request_header -X-T*; reverse_proxy a", "request_header behind this gate changes X-Tenant, "},
		{"TENANT; request_header X-Tenant a b; reverse_proxy a", "request_header behind this gate changes X-Tenant, "},
		{"TENANT; request_header /x X-Tenant a; reverse_proxy a", "request_header behind this gate changes X-Tenant, "},
		{"TENANT; reverse_proxy a { header_up +X-Tenant x }", "header_up behind this gate changes X-Tenant, "},
		{"GATE; request_header X-Patgate-Owner root; reverse_proxy a", "request_header behind this gate sets X-Patgate-Owner, which tells the API who is asking: don't set it, or use another name"},
		{"GATE; reverse_proxy a { header_up X-Patgate-Scopes * }", "header_up behind this gate sets X-Patgate-Scopes, "},
		{"SIGNED; reverse_proxy a { header_up X-Patgate-Identity x }", "header_up behind this gate sets X-Patgate-Identity, "},

		{"route { request_header X-Tenant {labels.1}; TENANT; reverse_proxy a }", ""},
		{"TENANT; header X-Tenant x; reverse_proxy a", ""}, // of the answer
		{"GATE; request_header X-Tenant x; reverse_proxy a", ""},
		{"GATE; reverse_proxy a { header_up -X-Patgate-Scopes }", ""},
		{"GATE; reverse_proxy a { header_up Authorization secret; header_up X-User {http.patgate.owner} }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What the gate says is known behind it.
func TestCheckEmpty(t *testing.T) {
	const empty = " stands before this gate and names "
	for _, row := range [][2]string{
		{"root * /srv/{http.patgate.space}; TENANT; file_server", "the handler vars" + empty + "{http.patgate.space}, which is empty there"},
		{"vars owner {http.auth.user.id}; GATE; reverse_proxy a", "the handler vars" + empty + "{http.auth.user.id}, "},
		{"header X-Own {http.patgate.owner}; GATE; reverse_proxy a", "the handler headers" + empty + "{http.patgate.owner}, which is empty there: only what stands behind the gate can use it; a field of the answer is set later by header >"},
		{"@m vars {http.patgate.owner} root; respond @m x; route { request_header @m X-M x; GATE; reverse_proxy a }", "a matcher" + empty + "{http.patgate.owner}, "},
		{"route { route { vars x {http.patgate.owner} }; GATE; reverse_proxy a }", "the handler vars" + empty},

		{"map {http.patgate.owner} {x} { default y }; GATE; reverse_proxy a", ""},
		{"header >X-Own {http.patgate.owner}; GATE; reverse_proxy a", ""},
		{"log_append owner {http.patgate.owner}; GATE; reverse_proxy a", ""},
		{"GATE; request_header X-Own {http.patgate.owner}; reverse_proxy a", ""},
		{"GATE; reverse_proxy a { header_up X-Own {http.auth.user.id} }", ""},
		{"route { basic_auth { bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG }; vars owner {http.auth.user.id}; GATE; reverse_proxy a }", ""},
		{"GATE; handle_errors { respond {http.patgate.decision} }; reverse_proxy a", ""},
		{"GATE; reverse_proxy a; handle_errors { header X-Decision {http.patgate.decision}; GATE; respond x }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What nobody has judged is no permission for a proxy that asks, whatever answers it.
func TestCheckAskers(t *testing.T) {
	const unrouted = "requests that no route is for are answered 200, which the proxy that asks patgate_authorize takes for a permission"
	for _, row := range [][2]string{
		{"patgate_authorize nginx; GATE", unrouted}, // for other hosts
		{"respond no +++ http://:90 { handle /v1/* { patgate_authorize caddy; GATE } }", unrouted},
		{"respond no +++ http://:90 { patgate_authorize /v1/* envoy; GATE }", unrouted},
		{"respond no +++ http://:90 { patgate_authorize envoy; GATE; patgate_health /healthz }", "requests come to patgate_health unjudged"},
		{"respond no +++ http://:90 { route { respond /ping pong; patgate_authorize envoy; GATE } }", "requests come to static_response unjudged"},
		{"respond no +++ http://:80 { patgate_authorize caddy; GATE }", "requests come to static_response unjudged"},

		{"respond no 404 +++ http://:80 { patgate_authorize caddy; GATE }", ""},
		{"respond no +++ http://:80 { patgate_authorize nginx; GATE }", ""}, // asks for its own host
		{"respond no +++ http://:90 { handle /ask { patgate_authorize nginx; GATE }; respond pong }", ""},
		{"respond no +++ http://:90 { patgate_authorize envoy; GATE }", ""},
		{"respond no +++ http://:90 { patgate_authorize envoy; PREFLIGHTS }", "cors_preflight forward: patgate_authorize lets CORS preflights pass without a token"},
		{"PREFLIGHTS; reverse_proxy a", ""},
		{"respond no +++ http://:90 { patgate_authorize caddy; GATE; handle_errors { respond x } }", ""},
		{"respond no +++ http://:90 { patgate_authorize envoy; GATE; handle_errors { rewrite * /e.html; file_server } }", ""},
		{"respond no +++ http://:90 { handle /ask { patgate_authorize nginx; GATE }; respond 403 }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// Error routes that proxy get what the gate turns away, unless they are certainly for
// other errors, or the request is rewritten to a page of theirs.
func TestCheckErrorRoutes(t *testing.T) {
	const forwards = "handle_errors forwards requests that this gate turns away, or Caddy before it, unjudged: say which errors it is for, and none that these are answered with (400, 401, 403, 405, 421, 429, 503), as in handle_errors 502 504"
	const files = "handle_errors answers requests that this gate turns away with the files behind it (file_server /srv): "
	const proxied, served = "GATE; reverse_proxy a; ", "root /srv; GATE; file_server; "
	for _, row := range [][2]string{
		{proxied + "handle_errors { reverse_proxy b }", forwards},
		{proxied + "handle_errors { handle { php_fastcgi b } }", forwards},
		{proxied + "handle_errors 502 503 504 { reverse_proxy b }", forwards},
		{proxied + "handle_errors 5xx { reverse_proxy b }", forwards},
		{proxied + "handle_errors 4xx 502 { reverse_proxy b }", forwards},
		{proxied + "handle_errors { @x expression {err.status_code} == 401; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression {err.status_code} >= 400; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression {err.status_code} != 404; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression `int({err.status_code}) in [401, 503]`; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression `{err.status_code} >= 500 && {err.status_code} < 600`; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression `{err.status_code} >= 500 && path('/x')`; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression `{err.status_code} == 502 || path('/x')`; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x expression `{err.status_code} == 401 || path('/x') && {err.status_code} == 502`; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { route { rewrite * /x; rewrite * {http.request.orig_uri}; reverse_proxy b } }", forwards},
		{"route { uri strip_prefix /x; handle /a/* { GATE; reverse_proxy a } }; handle_errors { reverse_proxy /x/* b }", forwards},                                     // as it was sent
		{"@m header X-M x; route @m { uri strip_prefix /x; request_header X-M y; GATE; reverse_proxy a }; handle_errors { respond @m no; reverse_proxy b }", forwards}, // but for headers
		{proxied + "handle_errors { @x vars {err.status_code} 401 403; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x vars_regexp {err.status_code} ^4; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x vars x y; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x not vars {err.status_code} 502; reverse_proxy @x b }", forwards},
		{proxied + "handle_errors { @x path /x; rewrite @x /y; reverse_proxy b }", forwards},
		{proxied + "handle_errors { rewrite * /y{uri}; reverse_proxy b }", forwards},
		{proxied + "handle_errors { invoke fallback } +++ &(fallback) { reverse_proxy b }", forwards},
		{proxied + "handle_errors 404 405 { reverse_proxy b }", forwards},
		{"route { forward_auth c { uri / }; GATE; reverse_proxy a }; handle_errors 502 504 { reverse_proxy b }", "requests come to reverse_proxy b:80, before which this gate stands, past it by handle_errors and unjudged"},
		{served + "handle_errors { file_server }", files},
		{served + "handle_errors { try_files /errors/{err.status_code}.html; file_server }", files},
		{served + "handle_errors { root /srv/.; file_server }", files},
		{served + "handle_errors { try_files /{err.status_code}.html /error.html; file_server }", files + "rewrite them to the page of an error first, or say which errors it is for, and none that these are answered with (400, 401, 403, 405, 421, 429, 503); try_files leaves a request as it is when none of its files exists: end it with =404, or use rewrite"},
		{served + "handle_errors { @x { path /x; file { try_files /{err.status_code}.html =404 } }; rewrite @x /y; file_server }", files}, // what isn't for /x goes past

		{proxied + "handle_errors 502 504 { reverse_proxy b }", ""},
		{proxied + "handle_errors 404 { reverse_proxy b }", ""},
		{proxied + "handle_errors { @x expression {err.status_code} == 502; reverse_proxy @x b }", ""},
		{proxied + "handle_errors { @x expression `{err.status_code} == 502 && path('/x')`; reverse_proxy @x b }", ""},
		{proxied + "handle_errors { @x expression `{err.status_code} > 503 && {err.status_code} < 600`; reverse_proxy @x b }", ""},
		{proxied + "handle_errors { @x vars {err.status_code} 502 504; reverse_proxy @x b }", ""},
		{proxied + "handle_errors { @x not vars {err.status_code} 400 401 403 405 421 429 503; reverse_proxy @x b }", ""},
		{proxied + "handle_errors { @x vars_regexp {err.status_code} ^50[24]; reverse_proxy @x b }", ""},
		{proxied + "handle_errors { @x expression {err.status_code} >= 400; respond @x y; reverse_proxy b }", ""}, // the others
		{proxied + "handle_errors { GATE; reverse_proxy b }", ""},
		{proxied + "handle_errors { respond x } +++ http://b.test { handle_errors { reverse_proxy b } }", ""},
		{proxied + "handle_errors { rewrite * /{err.status_code}; reverse_proxy b }", ""},
		{proxied + "handle_errors { rewrite * /error.html; file_server }", ""},
		{"handle_path /api/* { GATE; reverse_proxy a }; handle_errors { handle /api/* { respond no 401 }; handle { reverse_proxy b } }", ""}, // as it was sent
		{proxied + "handle_errors { file_server }", ""},                                                                                      // nothing is behind the gate there
		{served + "handle_errors { rewrite * /{err.status_code}.html; file_server }", ""},
		{served + "handle_errors { try_files /{err.status_code}.html /error.html =404; file_server }", ""},
		{served + "handle_errors { root /srv/errors; file_server }", ""},
		{served + "handle_errors { root /errors; rewrite * /{err.status_code}.html; file_server }", ""},
		{served + "handle_errors { try_files /errors/{err.status_code}.html /errors/any.html; rewrite * /x; file_server }", ""},
		{served + "handle_errors 404 { rewrite * /404.html; file_server }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What only JSON can say: terminal routes, and error routes of subroutes.
func TestCheckJSON(t *testing.T) {
	const gate = `{"handler": "patgate", "default": "deny", "routes": [{"methods": ["GET"], "pattern": "/a", "require": "any"}]}`
	const proxy, other = `{"handler": "reverse_proxy", "upstreams": [{"dial": "a:80"}]}`, `{"handler": "reverse_proxy", "upstreams": [{"dial": "b:80"}]}`
	for _, row := range [][2]string{
		{`[{"handle": [` + gate + `, ` + proxy + `]}]`, ""},
		{`[{"terminal": true, "handle": []}, {"handle": [` + gate + `, ` + proxy + `]}]`, "no request comes to this gate: no route leads to it"},
		{`[{"group": "g", "handle": []}, {"handle": [` + gate + `]}, {"group": "g", "handle": [` + other + `]}, {"handle": [` + proxy + `]}]`, ""},
		{`[{"group": "g", "match": [{"path": ["/x"]}], "handle": []}, {"group": "g", "handle": [` + gate + `]}, {"handle": [` + proxy + `]}]`, "requests come to reverse_proxy a:80, before which this gate stands, past it and unjudged: those that match {\"path\":[\"/x\"]}"},
		{`[{"handle": [{"handler": "subroute", "routes": [{"handle": [` + gate + `]}], "errors": {"routes": []}}, ` + proxy + `]}]`, "handle_errors forwards"},
		{`[{"group": "g", "handle": [{"handler": "subroute", "routes": [{"handle": [` + gate + `, ` + proxy + `]}], "errors": {"routes": [{"group": "g", "handle": [` + other + `]}]}}]}]`, ""},
		{`[{"handle": [{"handler": "subroute", "routes": [{"handle": [` + gate + `, ` + proxy + `]}], "errors": {"routes": [{"handle": [` + other + `]}]}}]}]`, "handle_errors forwards"},
		{`[{"match": [{"path": ["/x"]}, {"method": ["GET"]}], "handle": [` + gate + `]}, {"match": [{"path": ["/x"]}, {"method": ["GET"]}], "handle": [` + proxy + `]}]`, ""},
		{`[{"match": [{"path": ["/x"]}, {}], "handle": [` + gate + `]}, {"handle": [` + proxy + `]}]`, ""},
	} {
		wantWarnings(t, row[0], checkedJSON(t, `{"s": {"routes": `+row[0]+`}}`), row[1])
	}
}

// Named routes may lead to themselves, also by their error routes, or to others more often
// than can be followed: the walk ends.
func TestCheckNamedRoutes(t *testing.T) {
	const gate = `{"handler": "patgate", "default": "deny", "routes": [{"methods": ["GET"], "pattern": "/a", "require": "any"}]}`
	invoke := func(name string) string { return `{"handle": [{"handler": "invoke", "name": "` + name + `"}]}` }
	chain := `{"n": ` + invoke("n0")
	for i := range 40 {
		next := fmt.Sprintf(`{"handler": "invoke", "name": "n%d"}`, i+1)
		chain += fmt.Sprintf(`, "n%d": {"handle": [%s, %s]}`, i, next, next)
	}
	for _, row := range []struct{ named, want string }{
		{`{"n": ` + invoke("n") + `}`, ""},
		{`{"n": {"handle": [{"handler": "subroute", "errors": {"routes": [` + invoke("n") + `]}}]}}`, ""},
		{`{"alone": {"handle": [` + gate + `]}}`, "no request comes to this gate: no route leads to it"},
		{chain + `}`, "the routes around this gate have too many ways"},
	} {
		got := checkedJSON(t, `{"s": {"routes": [{"handle": [`+gate+`]}], "named_routes": `+row.named+`, "errors": {"routes": [`+invoke("n")+`]}}}`)
		wantWarnings(t, row.named, got, row.want)
	}
}

// A console that everybody has to sign in to is closed to tokens themselves.
func TestCheckConsole(t *testing.T) {
	const gate, console = "GATE; respond x; +++ http://b.test { ", "patgate_console { owner {http.auth.user.id} } }"
	const account = " { alice $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG }; "
	for _, row := range []struct{ text, want string }{
		{gate + "basic_auth" + account + console, "patgate_console: everybody has to sign in before /self and /leaked"},
		{gate + "@people not path /self /self/* /leaked; basic_auth @people" + account + console, ""},
		{gate + "forward_auth auth { uri /verify }; " + console, "patgate_console: everybody has to sign in before /self and /leaked"},
		{gate + "@people not path /self /self/* /leaked; forward_auth @people auth { uri /verify }; " + console, ""},
		{gate + console, ""},
	} {
		wantWarnings(t, row.text, checked(t, row.text), row.want)
	}
}

// Of two gates that deny, one behind the other, each denies what the other has routes for.
func TestCheckGatesBehindGates(t *testing.T) {
	const open, tried = "patgate { default any; route GET /b any }; ", "patgate { default deny; mode report; route GET /b any }; "
	const twice = "this gate stands behind another (Caddyfile:6): each denies what it has no route for"
	for _, row := range [][2]string{
		{"GATE; GATE; reverse_proxy a", twice},
		{"GATE; handle { GATE; reverse_proxy a }", twice},
		{"@m path /b; GATE@m; GATE; reverse_proxy a", ""},
		{"GATE; handle /a/* { GATE; reverse_proxy a }; handle { GATE; reverse_proxy a }", twice},
		{"GATE; GATE/a; reverse_proxy a", ""},
		{"GATE; " + open + "reverse_proxy a", ""},
		{"route { " + open + "GATE; reverse_proxy a }", ""},
		{"GATE; " + tried + "reverse_proxy a", ""},
		{"handle /a/* { GATE; reverse_proxy a }; handle { GATE; reverse_proxy a }", ""},
		{"route { GATE; rewrite * /x{uri}; GATE; reverse_proxy a }", ""},
		{"GATE; reverse_proxy a; handle_errors { GATE; respond x }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What is left of a body beside a gate may be taken for the next request.
func TestCheckBodies(t *testing.T) {
	const duplex, proxied = "servers { enable_full_duplex }===", "servers { trusted_proxies static private_ranges }==="
	const beside = "+++http://beside.test { reverse_proxy b }"
	for _, row := range [][2]string{
		{duplex + "GATE; reverse_proxy a", "enable_full_duplex is on for this server"},
		{duplex + "GATE; reverse_proxy a" + beside, "enable_full_duplex is on for this server"},
		{proxied + "GATE; reverse_proxy a", ""},
		{proxied + "GATE; reverse_proxy a" + beside, "requests come to reverse_proxy b:80 past all gates"},
		{proxied + "@m path /a/*; GATE@m; reverse_proxy @m a; reverse_proxy b", "requests come to reverse_proxy b:80 past all gates"},
		{proxied + "GATE; reverse_proxy a+++http://beside.test { respond ok }", ""},
		{proxied + "GATE; reverse_proxy a+++http://beside.test { patgate { default public }; reverse_proxy b }", ""},
		{proxied + "GATE; reverse_proxy a+++http://beside.test { forward_auth b { uri /verify }; respond ok }", ""},
		{"GATE; reverse_proxy a" + beside, ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// What is cut off before a gate isn't in the paths that it judges.
func TestCheckStripped(t *testing.T) {
	const gate = "patgate { default deny; route GET /api/b any; route GET /api/c any }; "
	const warned = "/api is cut off before this gate, as by handle_path, and the pattern of route GET /api/b (Caddyfile:"
	for _, row := range [][2]string{
		{"handle_path /api/* { " + gate + "reverse_proxy a }", warned},
		{"route { uri strip_prefix /api; " + gate + "reverse_proxy a }", warned},
		{"handle_path /ap/* { " + gate + "reverse_proxy a }", ""},
		{"handle_path /api/* { patgate { default deny; route GET /b any; route GET /api/b any }; reverse_proxy a }", ""},
		{"route { uri strip_prefix /; " + gate + "reverse_proxy a }", ""},
		{"handle /api/* { " + gate + "reverse_proxy a }", ""},
		{"handle_path /api/* { GATE; reverse_proxy a }", ""},
		{"handle_path /api/* { rewrite * /api{uri}; " + gate + "reverse_proxy a }", ""},
		{"@old path /api/*; route { uri @old strip_prefix /api; " + gate + "reverse_proxy a }", ""},
	} {
		wantWarnings(t, row[0], checked(t, row[0]), row[1])
	}
}

// A group may be called anything: no name is taken for a part of another one.
func TestCheckGroups(t *testing.T) {
	const servers = `{"s": {"routes": [
		{"group": %[1]q, "handle": [{"handler": "vars"}]},
		{"group": %[2]q, "match": [{"path": ["/x"]}], "handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "api:80"}]}]},
		{"handle": [{"handler": "patgate", "routes": [{"methods": ["GET"], "pattern": "/a"}]}, {"handler": "reverse_proxy", "upstreams": [{"dial": "api:80"}]}]},
		{"group": %[1]q, "match": [{"path": ["/y"]}], "handle": []}]}}`
	for _, groups := range [][2]string{{"a b", "a"}, {"a b", "b"}, {"[a]", "a"}, {"x[a]", "a"}, {`"a"`, "a"}, {"a", `"a"`}, {"a", "a b"}, {`x"a`, "a"}, {"61", "a"}} {
		wantWarnings(t, strings.Join(groups[:], " and "), checkedJSON(t, fmt.Sprintf(servers, groups[0], groups[1])), "requests come to reverse_proxy api:80")
	}
	for _, group := range []string{"a", "a b", `"`} {
		wantWarnings(t, group, checkedJSON(t, fmt.Sprintf(servers, group, group)), "")
	}
}
