package caddymodule

import (
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// mistake is a Caddyfile, or a part of one, and what its author is told.
type mistake struct{ input, want string }

// check adapts each input between head and tail.
func check(t *testing.T, head, tail string, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		_, err := adapt(head + m.input + tail)
		if err == nil {
			t.Errorf("%s\n was adapted, want: %s", m.input, m.want)
			continue
		}
		got := err.Error()
		for _, directive := range []string{"patgate", "patgate_console"} {
			got = strings.TrimPrefix(got, "parsing caddyfile tokens for '"+directive+"': ")
		}
		if got != m.want {
			t.Errorf("%s\n got:  %s\n want: %s", m.input, got, m.want)
		}
	}
}

const (
	wantSite = "want one of realm, token_from, mode, error_body, default, space, resource, forward_token, identity_headers, " +
		"route, group, openapi, let_through, unknown_token, cors_preflight, encoded_slash, semicolon, stream_check"
	wantGroup      = "want one of route, group, openapi, space, resource, token_from, mode, error_body, optional"
	wantRoute      = "want one of space, resource, token_from, mode, error_body, optional"
	wantCredential = "want one of bearer, bare, basic, scheme <word>, header <name>, query <name> or cookie <name>"
	wantSource     = "want path.<name>, query.<name>, header.<name>, host.<n>, token, all or none"
	wantRouteArgs  = "route: want methods and a pattern, as in: route GET,POST /spaces/{space}/stories stories:read"
)

func TestSiteMistakes(t *testing.T) {
	check(t, "http://api.example.com {\n\tpatgate {\n", "\n\t}\n}\n", []mistake{
		// words
		{"tokenfrom bearer", `unknown word "tokenfrom": ` + wantSite + ", at Caddyfile:3"},
		{"optional", `unknown word "optional": ` + wantSite + ", at Caddyfile:3"},
		{"store redis a:1", `unknown word "store": ` + wantSite + "; it stands in the global option: { patgate { … } } at the top of the file, at Caddyfile:3"},
		{"reverse_proxy a:1", `unknown word "reverse_proxy": ` + wantSite + "; is a } missing before it?, at Caddyfile:3"},
		{"route GET /a any {\noptional\nroute GET /b any", `unknown word "route": ` + wantRoute + "; is a } missing before it?, at Caddyfile:5"},
		{"error_body", `error_body "": want problem, error, message, message_code, or a media type and a template, at Caddyfile:3`},
		{"error_body json x", `error_body: "json" is not a media type; want one such as application/json, or problem, error, message, message_code, at Caddyfile:3`},
		{"error_body text/plain {message}", "error_body: {message} is unknown; want {status}, {title}, {reason}, {detail}, {type}, {required_scope} or {space}, at Caddyfile:3"},
		{"mode watch", `mode "watch": want enforce, report, at Caddyfile:3`},

		// one value each, once
		{"realm", "realm: a value is missing, at Caddyfile:3"},
		{`realm ""`, "realm: a value is missing, at Caddyfile:3"},
		{"realm {\n}", "realm: a value is missing, at Caddyfile:3"},
		{"realm a b", `unexpected "b" at the end of the line, at Caddyfile:3`},
		{"realm a\nrealm b", "realm: is set already (Caddyfile:3), at Caddyfile:4"},
		{"realm `a\"b`", `realm "a\"b": want visible ASCII characters without quotes and backslashes, at Caddyfile:3`},
		{"mode x", `mode "x": want enforce, report, at Caddyfile:3`},
		{"default maybe", `default "maybe": want deny, any, public, at Caddyfile:3`},
		{"forward_token drop", `forward_token "drop": want keep, strip, at Caddyfile:3`},
		{"cors_preflight allow", `cors_preflight "allow": want forward, deny, at Caddyfile:3`},
		{"encoded_slash yes", `encoded_slash "yes": want reject, allow, data, at Caddyfile:3`},
		{"semicolon yes", `semicolon "yes": want reject, allow, at Caddyfile:3`},
		{"semicolon allow allow", `unexpected "allow" at the end of the line, at Caddyfile:3`},
		{"default any\ndefault any", "default: is set already (Caddyfile:3), at Caddyfile:4"},
		{"default any {\n}", "unexpected block, at Caddyfile:3"},

		// credentials
		{"token_from", `token_from "": ` + wantCredential + ", at Caddyfile:3"},
		{"token_from cookie", `token_from "cookie": ` + wantCredential + ", at Caddyfile:3"},
		{"token_from bearer pat", `token_from "bearer pat": ` + wantCredential + ", at Caddyfile:3"},
		{"token_from form token", `token_from "form token": ` + wantCredential + ", at Caddyfile:3"},
		{"token_from header X_Key", `token_from "header X_Key": want a header's name of letters, digits and hyphens, at Caddyfile:3`},
		{"token_from header Authorization", "token_from header Authorization: this header has a form of its own; " +
			"use bearer, bare, basic, scheme or cookie, at Caddyfile:3"},
		{"token_from bearer\ntoken_from query t\ntoken_from bearer", "token_from bearer: is given twice, at Caddyfile:5"},
		{"group /a {\ntoken_from bearer\ntoken_from bearer\n}", "token_from bearer: is given twice, at Caddyfile:5"},
		{"openapi testdata/openapi/api.yaml {\ntoken_from bearer\ntoken_from bearer\n}", "token_from bearer: is given twice, at Caddyfile:5"},
		{"token_from bearer\ntoken_from scheme Bearer", "token_from scheme Bearer: is given twice: servers take it for bearer; write one of them, at Caddyfile:4"},
		{"token_from bearer {\n}", "unexpected block, at Caddyfile:3"},
		{"let_through", `let_through "": want cookie <name>, header <name>, scheme <word> or bearer <beginning>*, at Caddyfile:3`},
		{"let_through bearer *", `let_through "bearer *": want cookie <name>, header <name>, scheme <word> or bearer <beginning>*, at Caddyfile:3`},
		{"let_through query session", `let_through "query session": want cookie <name>, header <name>, scheme <word> or bearer <beginning>*, at Caddyfile:3`},
		{"let_through scheme Bearer\nroute GET /a any", "Caddyfile:4: let_through scheme Bearer: tokens are taken from there"},
		{"unknown_token", `unknown_token "": want reject, or forward until <date>, at Caddyfile:3`},
		{"unknown_token forward", `unknown_token "forward": want reject, or forward until <date>, at Caddyfile:3`},
		{"unknown_token forward until soon", "unknown_token forward until soon: " +
			"want a date such as 2026-12-31, or a time as in RFC 3339, at Caddyfile:3"},
		{"unknown_token forward until 2026-13-01", "unknown_token forward until 2026-13-01: " +
			"want a date such as 2026-12-31, or a time as in RFC 3339, at Caddyfile:3"},
		{"unknown_token reject\nunknown_token reject", "unknown_token: is set already (Caddyfile:3), at Caddyfile:4"},

		// identity headers
		{"identity_headers", "identity_headers: want off, or a block that names headers, at Caddyfile:3"},
		{"identity_headers {\n}", "identity_headers: want off, or a block that names headers, at Caddyfile:4"},
		{"identity_headers on", `identity_headers "on": want off, signed, or a block, at Caddyfile:3`},
		{"identity_headers off please", `unexpected "please" at the end of the line, at Caddyfile:3`},
		{"identity_headers off {\nowner X-User\n}", "unexpected block, at Caddyfile:3"},
		{"identity_headers {\nowner\n}", "owner: a value is missing, at Caddyfile:4"},
		{"identity_headers {\nuser X-User\n}", `unknown word "user": want one of owner, token, space, scopes, at Caddyfile:4`},
		{"identity_headers {\nowner X-User\nowner X-User\n}", "owner: is set already (Caddyfile:4), at Caddyfile:5"},
		{"identity_headers {\nowner X_User\n}", `identity_headers: "X_User": want letters, digits and hyphens: ` +
			"other names are taken for these by some servers, at Caddyfile:4"},
		{"identity_headers {\nowner X-Patgate-Decision\n}", "identity_headers: X-Patgate-Decision has a meaning of its own, at Caddyfile:4"},
		{"identity_headers {\nowner Cookie\n}", "identity_headers: Cookie has a meaning of its own, at Caddyfile:4"},
		{"identity_headers {\nowner X-User\ntoken x-user\n}", "identity_headers: X-User is given twice, at Caddyfile:6"},
		{"identity_headers {\nowner off\n}", "identity_headers: off is no header's name: identity_headers off leaves out all of them, at Caddyfile:4"},
		{"identity_headers {\nspace X-Org\n}\nroute GET /a a:b {\nspace header.X-Org\n}", "Caddyfile:2: identity_headers: X-Org is removed from what clients send, " +
			"and token_from, let_through, space or resource reads it"},
		{"identity_headers signed {\nheader X-Key\n}\ntoken_from header X-Key\nroute GET /a any", "Caddyfile:2: identity_headers: X-Key is removed from what clients send, " +
			"and token_from, let_through, space or resource reads it"},
		{"token_from header X-Patgate-Token", "token_from header X-Patgate-Token: this header is removed from what clients send, at Caddyfile:3"},
		{"let_through header X-Original-URL", "let_through header X-Original-Url: this header is removed from what clients send, at Caddyfile:3"},

		// sources
		{"space path", `space: source "path": ` + wantSource + ", at Caddyfile:3"},
		{"space path.", `space: source "path.": ` + wantSource + ", at Caddyfile:3"},
		{"space host.x", `space: source "host.x": ` + wantSource + ", at Caddyfile:3"},
		{"space header.X_Space", `space: source "header.X_Space": ` + "want a header's name of letters, digits and hyphens, at Caddyfile:3"},
		{"space cookie.space", `space: source "cookie.space": ` + wantSource + ", at Caddyfile:3"},
		{"space none none", `unexpected "none" at the end of the line, at Caddyfile:3`},
		{"resource any", `resource: source "any": ` + wantSource + ", at Caddyfile:3"},
		{"route GET /a any {\nresource all\n}", `Caddyfile:3: resource: "all" is for spaces only`},
		{"route GET /a any {\nspace path.id\n}", "Caddyfile:3: space path.id: pattern /a has no {id}"},

		{"route GET /a any{\noptional\n}", `route: "any{": want a blank before the {, at Caddyfile:3`},
		{"route GET /a{", `route: "/a{": want a blank before the {, at Caddyfile:3`},
		{"route GET /a optional", "route: optional stands in the route's block, at Caddyfile:3"},
		{`route GET /a ""`, "route: an empty requirement; any asks for any valid token, at Caddyfile:3"},
		{"space path.idd\nroute GET /a/{id} any", "Caddyfile:2: space path.idd: none of the routes has {idd}"},
		{"group /a {\nresource path.idd\nroute GET /{id} any\n}", `Caddyfile:3: group "/a": resource path.idd: none of the routes has {idd}`},

		// routes and groups
		{"route", wantRouteArgs + ", at Caddyfile:3"},
		{"route GET", wantRouteArgs + ", at Caddyfile:3"},
		{"route GET {\nspace none\n}", wantRouteArgs + ", at Caddyfile:3"},
		{"route get /a any", `Caddyfile:3: method "get": want upper-case names separated by commas, or *`},
		{`route "GET, POST" /a any`, `Caddyfile:3: method " POST": want upper-case names separated by commas, or *`},
		{"route GET,GET /a any", "Caddyfile:3: method GET is given twice"},
		{"route GET,* /a any", "Caddyfile:3: methods GET,*: * can't be combined with others"},
		{"route CONNECT /a any", "Caddyfile:3: method CONNECT: never let through; a WebSocket over HTTP/2 counts as GET"},
		{"route GET a any", `Caddyfile:3: pattern "a": want a path, which begins with /`},
		{"route GET /{a}/{a} any", `Caddyfile:3: pattern "/{a}/{a}": {a} is given twice`},
		{"route GET /a{b}{c} any", `Caddyfile:3: pattern "/a{b}{c}": segment "a{b}{c}": want a text, one {name}, perhaps between texts, or at the end {name...} or *`},
		{"route GET /{a:b} any", `Caddyfile:3: pattern "/{a:b}": {a:b}: a parameter is {name} or {name...}, its name of letters, digits, - and _`},
		{"route GET /*/a any", `Caddyfile:3: pattern "/*/a": nothing can follow the segment that takes all the rest`},
		{"route GET /{a...}/b any", `Caddyfile:3: pattern "/{a...}/b": nothing can follow the segment that takes all the rest`},
		{"route GET /a//b any", `Caddyfile:3: pattern "/a//b": segment "": no request could match it: the path has an empty segment`},
		{"route GET /a/../b any", `Caddyfile:3: pattern "/a/../b": segment "..": no request could match it: the path has a segment that ends in a dot`},
		{"route GET /a? any", `Caddyfile:3: pattern "/a?": query condition "": want key or key=value`},
		{"route GET /a?b= any", `Caddyfile:3: pattern "/a?b=": query condition "b=": has no value; write "b" where any will do`},
		{"route GET /a?b&b any", `Caddyfile:3: pattern "/a?b&b": query condition "b": its key is given twice`},
		{"route GET /a public any", `Caddyfile:3: requirement "public any": "public" can't be combined with others`},
		{"route GET /a a|never", `Caddyfile:3: requirement "a|never": "never" can't be combined with others`},
		{"route GET /a a:*", `Caddyfile:3: requirement "a:*": scope "a:*": "*" can't be part of a scope's name`},
		{"route GET /a deny", `Caddyfile:3: requirement "deny": is for default; write never for a route that no token opens`},
		{"route GET /a a | b", `Caddyfile:3: requirement "a | b": want a scope on both sides of |, without blanks`},
		{"route GET /a?b={env.X} any", `Caddyfile:3: pattern "/a?b={env.X}": {env.X} isn't replaced here; an environment variable {$NAME} is`},
		{"identity_headers signed {\n issuer {env.X}\n}", `identity_headers signed: {env.X} isn't replaced here; an environment variable {$NAME} is, at Caddyfile:5`},
		{"error_body text/plain \"{env.X} {reason}\"", `error_body: {env.X} isn't replaced here; an environment variable {$NAME} is, at Caddyfile:3`},
		{"let_through bearer {env.X}*", `let_through "bearer {env.X}*": {env.X} isn't replaced here; an environment variable {$NAME} is, at Caddyfile:3`},
		{"resource query.{env.X}", `resource: source "query.{env.X}": {env.X} isn't replaced here; an environment variable {$NAME} is, at Caddyfile:3`},
		{"token_from query {env.X}", `token_from "query {env.X}": {env.X} isn't replaced here; an environment variable {$NAME} is, at Caddyfile:3`},
		{"route GET /a {env.SCOPE}", `Caddyfile:3: requirement "{env.SCOPE}": {env.SCOPE} isn't replaced here; an environment variable {$NAME} is`},
		{"route GET /a a:{env.SCOPE}", `Caddyfile:3: requirement "a:{env.SCOPE}": {env.SCOPE} isn't replaced here; an environment variable {$NAME} is`},
		{"route GET /a a:{args[1]}", `Caddyfile:3: requirement "a:{args[1]}": {args[1]}: no import gives this argument`},
		{"token_from query {args[0]}", `token_from "query {args[0]}": {args[0]}: no import gives this argument, at Caddyfile:3`},
		{"route GET /a störies:read", `Caddyfile:3: requirement "störies:read": scope "störies:read": "ö" can't be part of a scope's name`},
		{"route GET /a public {\noptional\n}", `Caddyfile:3: optional: has no effect with "public"`},
		{"route GET /a any {\noptional now\n}", `unexpected "now" at the end of the line, at Caddyfile:4`},
		{"route GET /a any {\noptional\noptional\n}", "optional: is set already (Caddyfile:4), at Caddyfile:5"},
		{"route GET /a any {\nspace none\nspace none\n}", "space: is set already (Caddyfile:4), at Caddyfile:5"},
		{"route GET /a any {\nrealm a\n}", `unknown word "realm": ` + wantRoute + ", at Caddyfile:4"},
		{"route GET /a any {\nroute GET /b any\n}", `unknown word "route": ` + wantRoute + "; is a } missing before it?, at Caddyfile:4"},
		{"route GET /a any {\nspace none {\n}\n}", "unexpected block, at Caddyfile:4"},
		{"group", "group: a value is missing, at Caddyfile:3"},
		{"group a {\n}", `Caddyfile:3: group "a": want a path prefix that begins with /, without a query`},
		{"group /a?b {\n}", `Caddyfile:3: group "/a?b": want a path prefix that begins with /, without a query`},
		{"group /a/* {\n}", `Caddyfile:3: group "/a/*": a prefix can't end in a segment that takes all the rest`},
		{"group /a", "group /a: want a block of routes, at Caddyfile:3"},
		{"group /a any {\n}", `unexpected "any" at the end of the line, at Caddyfile:3`},
		{"group /a {\nrealm x\n}", `unknown word "realm": ` + wantGroup + ", at Caddyfile:4"},
		{"group /a {\nroute GET b any\n}", `Caddyfile:4: pattern "b": want a path, which begins with /`},

		// routes that can't be told apart
		{"route GET /a any\nroute GET /a/ any",
			"Caddyfile:4: route GET /a/ can't be told apart from GET /a (Caddyfile:3): the same path for GET"},
		{"route GET,PUT /{x} any\ngroup /{y} {\nroute PUT,POST / any\n}",
			"Caddyfile:5: route PUT,POST /{y} can't be told apart from GET,PUT /{x} (Caddyfile:3): the same path for PUT"},
		{"route * /a?x any\nroute * /a?y any",
			"Caddyfile:4: route * /a?y can't be told apart from * /a?x (Caddyfile:3): a request with ?x&y is on both; add a route for that"},

		{"route /a any", `Caddyfile:3: pattern "any": want a path, which begins with /; methods stand before it, as in GET /a, or * /a for all`},
		{"route GET, PUT /a any", `Caddyfile:3: pattern "PUT": want a path, which begins with /; methods are listed without blanks, as in GET,POST`},

		// all that is wrong with the routes is said at once
		{"route get /a any\nroute GET b any", "Caddyfile:3: method \"get\": want upper-case names separated by commas, or *\n" +
			`Caddyfile:4: pattern "b": want a path, which begins with /`},
	})
}

func TestDirectiveMistakes(t *testing.T) {
	check(t, "http://api.example.com {\n", "\n}\n", []mistake{
		{"patgate x", `unexpected "x": settings go in a block, at Caddyfile:2`},
		{"patgate_console x", `unexpected "x": settings go in a block, at Caddyfile:2`},
		{"patgate_console {\nowners a\n}", `unknown word "owners": want one of owner, admin, at Caddyfile:3`},
		{"patgate_console {\nowner\n}", "owner: a value is missing, at Caddyfile:3"},
		{"patgate_console {\nowner {http.auth.user.id} b\n}", `unexpected "b" at the end of the line, at Caddyfile:3`},
		{"patgate_console {\nowner alice\n}", `owner "alice": want a placeholder of the request, such as {http.auth.user.id}: with a fixed name, everybody would be that owner, at Caddyfile:3`},
		{"patgate_console {\nowner {env.USER}@{system.hostname}\n}", `owner "{env.USER}@{system.hostname}": want a placeholder of the request, such as {http.auth.user.id}: with a fixed name, everybody would be that owner, at Caddyfile:3`},
		{"patgate_console {\nowner \"a { b\"\n}", `owner "a { b": want a placeholder of the request, such as {http.auth.user.id}: with a fixed name, everybody would be that owner, at Caddyfile:3`},
		{"patgate_console {\nowner \\{user\\}\n}", `owner "\\{user\\}": want a placeholder of the request, such as {http.auth.user.id}: with a fixed name, everybody would be that owner, at Caddyfile:3`},
		{"patgate_console {\nowner {header.User}\nowner {header.User}\n}", "owner: is set already (Caddyfile:3), at Caddyfile:4"},
		{"patgate_console {\nadmin\n}", "admin: want the names of owners, at Caddyfile:3"},
		{"patgate_console {\nadmin a \"\"\n}", "admin: an empty name, at Caddyfile:3"},
		{"patgate_console {\nadmin a {env.ADMIN}\n}", "admin: {env.ADMIN} isn't replaced here; an environment variable {$NAME} is, at Caddyfile:3"},
		{"patgate_console {\nadmin a {\n}\n}", "unexpected block, at Caddyfile:3"},
	})
}

func TestGlobalOptionMistakes(t *testing.T) {
	const wantLimit = "want a number and a duration, as in 20 60s, or off, at Caddyfile:3"
	check(t, "{\n\tpatgate {\n", "\n\t}\n}\n", []mistake{
		{"stores embedded", `unknown word "stores": want one of store, cache, token, unknown_token_limit, last_used, events, grants, scopes, at Caddyfile:3`},
		{"realm x", `unknown word "realm": want one of store, cache, token, unknown_token_limit, last_used, events, grants, scopes; it stands in the patgate block of a site, at Caddyfile:3`},
		{"last_used", `last_used: a value is missing, at Caddyfile:3`},
		{"last_used 500ms", `last_used "500ms": want a duration of at least 1s, such as 10m, or off, at Caddyfile:3`},
		{"last_used never", `last_used "never": want a duration of at least 1s, such as 10m, or off, at Caddyfile:3`},
		{"grants frozen", `grants "frozen": want mutable or immutable, at Caddyfile:3`},
		{"events 90d", `unexpected "90d": settings go in a block, at Caddyfile:3`},
		{"events {\nkeep 0\n}", `keep "0": want a duration of at least 1ms, such as 60s, at Caddyfile:4`},
		{"events {\nmax many\n}", `max "many": want a number from 1 to 100000000, at Caddyfile:4`},
		{"store", `store "": want embedded [<file>], redis <url>, or redis with a block, at Caddyfile:3`},
		{"store sqlite x.db", `store "sqlite x.db": want embedded [<file>], redis <url>, or redis with a block, at Caddyfile:3`},
		{"store redis", "store redis: want a URL, or a block with address, at Caddyfile:3"},
		{"store redis notaurl", "store redis: the URL can't be read: want redis://user:password@host:port/db, rediss://… or unix:///path?db=n, " +
			"with %XX for special characters in the password, at Caddyfile:3"},
		{"store redis redis://a {\ncluster\nsentinel x\n}", "store redis: cluster and sentinel exclude each other, at Caddyfile:6"},
		{"store redis {\naddress a:1 b:1\n}", "store redis: several addresses are those of a cluster, or of sentinels: say which, at Caddyfile:5"},
		{"store redis {\naddress\n}", "address: a value is missing, at Caddyfile:4"},
		{"store redis {\naddress a:1\nport 2\n}", `unknown word "port": want one of address, cluster, sentinel, username, password, sentinel_username, sentinel_password, db, key_prefix, budget, tls, at Caddyfile:5`},
		{"store redis redis://a {\ndb one\n}", `db "one": want the number of a database, from 0, at Caddyfile:4`},
		{"store redis redis://a {\ndb -1\n}", `db "-1": want the number of a database, from 0, at Caddyfile:4`},
		{"store redis {\naddress a:1\ncluster b:1\n}", `unexpected "b:1" at the end of the line, at Caddyfile:5`},
		{"store embedded a.db b.db", `unexpected "b.db" at the end of the line, at Caddyfile:3`},
		{"store embedded\nstore embedded", "store: is set already (Caddyfile:3), at Caddyfile:4"},
		{"store embedded {\n}", "unexpected block, at Caddyfile:3"},

		{"cache 100", `unexpected "100": settings go in a block, at Caddyfile:3`},
		{"cache {\nsizes 1\n}", `unknown word "sizes": want one of size, ttl, negative_size, negative_ttl, max_stale, at Caddyfile:4`},
		{"cache {\nsize\n}", "size: a value is missing, at Caddyfile:4"},
		{"cache {\nsize many\n}", `size "many": want a number from 1 to 100000000, at Caddyfile:4`},
		{"cache {\nnegative_size 0\n}", `negative_size "0": want a number from 1 to 100000000, at Caddyfile:4`},
		{"cache {\nsize -1\n}", `size "-1": want a number from 1 to 100000000, at Caddyfile:4`},
		{"cache {\nsize 100000001\n}", `size "100000001": want a number from 1 to 100000000, at Caddyfile:4`},
		{"cache {\nsize 99999999999999999999\n}", `size "99999999999999999999": want a number from 1 to 100000000, at Caddyfile:4`},
		{"cache {\nsize 1 2\n}", `unexpected "2" at the end of the line, at Caddyfile:4`},
		{"cache {\nsize 1\nsize 2\n}", "size: is set already (Caddyfile:4), at Caddyfile:5"},
		{"cache {\nttl 60\n}", `ttl "60": want a duration of at least 1ms, such as 60s, at Caddyfile:4`},
		{"cache {\nnegative_ttl 0s\n}", `negative_ttl "0s": want a duration of at least 1ms, such as 60s, at Caddyfile:4`},
		{"cache {\nmax_stale 0s\n}", `max_stale "0s": want a duration of at least 1ms, such as 60s, at Caddyfile:4`},
		{"cache {\nmax_stale -1s\n}", `max_stale "-1s": want a duration of at least 1ms, such as 60s, at Caddyfile:4`},
		{"cache {\nttl 5s {\n}\n}", "unexpected block, at Caddyfile:4"},

		{"token {\nsalt x\n}", `unknown word "salt": want one of prefix, default_lifetime, max_lifetime, pepper, at Caddyfile:4`},
		{"token {\nprefix a-b\n}", `prefix "a-b": want letters and digits, and "_" only between them, at Caddyfile:4`},
		{"token {\ndefault_lifetime soon\n}", `token default_lifetime "soon": want a duration such as 90d, or none, at Caddyfile:4`},
		{"token {\nmax_lifetime 0\n}", `token max_lifetime "0": want a duration such as 90d, or none, at Caddyfile:4`},
		{"token {\nmax_lifetime 10d\ndefault_lifetime 20d\n}", "token default_lifetime 20d: more than max_lifetime (10d) allows, at Caddyfile:5"},
		{"token {\ndefault_lifetime none\n}", "token default_lifetime none: more than max_lifetime (366d) allows, at Caddyfile:4"},
		{"token {\npepper short\n}", "token pepper: want at least 16 characters, so that it can't be guessed, at Caddyfile:4"},
		{"store redis {\naddress nohost\nkey_prefix x\n}", `store redis: address "nohost": want <host:port>, as in redis.internal:6379, at Caddyfile:4`},
		{"token {\npepper\n}", "pepper: a value is missing, at Caddyfile:4"},

		{"unknown_token_limit", `unknown_token_limit "": ` + wantLimit},
		{"unknown_token_limit 20", `unknown_token_limit "20": ` + wantLimit},
		{"unknown_token_limit 0 60s", `unknown_token_limit "0 60s": ` + wantLimit},
		{"unknown_token_limit 20 60", `unknown_token_limit "20 60": ` + wantLimit},
		{"unknown_token_limit 20 60s 1", `unknown_token_limit "20 60s 1": ` + wantLimit},

		{"scopes stories:read", `unexpected "stories:read": scopes go in a block, at Caddyfile:3`},
		{"scopes {\na b c\n}", "scope a: want a description in quotes, then perhaps implies and the names of scopes, and alias and other names, at Caddyfile:4"},
		{"scopes {\na implies\n}", "scope a: want a description in quotes, then perhaps implies and the names of scopes, and alias and other names, at Caddyfile:4"},
		{"scopes {\na alias b alias c\n}", "scope a: want a description in quotes, then perhaps implies and the names of scopes, and alias and other names, at Caddyfile:4"},
		{"scopes {\na alias a\n}", "Caddyfile:4: alias of a: scope a is declared twice"},
		{"scopes {\na implies\n}", "scope a: want a description in quotes, then perhaps implies and the names of scopes, and alias and other names, at Caddyfile:4"},
		{"scopes {\na:*\n}", `scope "a:*": "*" can't be part of a scope's name, at Caddyfile:4`},
		{"scopes {\na {\n}\n}", "unexpected block, at Caddyfile:4"},
		{"scopes {\na\nb\na\n}", "Caddyfile:6: scope a is declared twice"},
		{"scopes {\nstories:read\nstories:write implies stories:raed\n}",
			"Caddyfile:5: scope stories:write implies stories:raed, which is not declared; did you mean stories:read?"},
		{"scopes {\n}", "scopes declares none: without the option, every scope that a route names is known, at Caddyfile:3"},
		{"scopes {\na implies b\nb implies c\nc implies a\n}", "Caddyfile:4: scope a implies itself, by way of b"},
	})
	check(t, "{\n", "\n}\n", []mistake{
		{"patgate x", `unexpected "x": settings go in a block, at Caddyfile:2`},
		{"patgate\npatgate", "the patgate option is given twice, at Caddyfile:3"},
	})
	check(t, "{\n\tpatgate {\n\t\tscopes {\n\t\t\tstories:read\n\t\t}\n\t}\n}\nhttp://api.example.com {\n\tpatgate {\n", "\n\t}\n}\n", []mistake{
		{"route GET /a stories:write|stories:raed", `Caddyfile:10: requirement "stories:write|stories:raed": ` +
			"scope stories:write is not in the catalog; did you mean stories:read?"},
		{"route GET /a licence", `Caddyfile:10: requirement "licence": scope licence is not in the catalog`},
	})
}

// A line that is imported twice has one place: that doesn't say what is wrong.
func TestMistakesInImports(t *testing.T) {
	check(t, "(r) {\n\troute GET {args[0]} any\n}\nhttp://api.example.com {\n\tpatgate {\n", "\n\t}\n}\n", []mistake{
		{"import r /a\nimport r /a", "Caddyfile:2: route GET /a can't be told apart from GET /a (Caddyfile:2): the same path for GET; " +
			"this line is imported, or its document read, more than once"},
	})
}

// FuzzDirective feeds the directive's parser: it must not panic, what it takes
// must compile or say why not, and what compiles must survive JSON.
func FuzzDirective(f *testing.F) {
	for _, seed := range []string{
		"realm x\ntoken_from bearer\ntoken_from query t\ndefault any\nspace path.space\nresource query.id\nforward_token strip",
		"identity_headers off\nlet_through cookie s\nunknown_token forward until 2026-12-31\ncors_preflight deny\nsemicolon allow",
		"identity_headers {\nowner X-A\n}\nencoded_slash allow",
		"route GET,POST /v1/{space}/{name...}?a=b&c x:y a|b {\noptional\nspace none\n}\ngroup /{x} {\nroute * / never\ngroup /y {\n}\n}",
		"route * /*", "route GET /{http.request.uuid}", "group /a {", "}", "{", "route GET /%41?%42=%43", "route `GET` \"/a b\"", "realm <<a b\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		tokens, err := caddyfile.Tokenize([]byte("patgate {\n"+body+"\n}\n"), "Caddyfile")
		if err != nil {
			return // Caddy itself refuses it
		}
		h := new(Handler)
		if err := h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Errorf("an error without a text for %q", body)
			}
			return
		}
		checkRoundTrip(t, h)
	})
}

func TestOpenAPIMistakes(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const (
		head = "openapi testdata/openapi/api.yaml {\ndefault any\n"
		in   = "openapi api.yaml: "
		want = "want one of base, default, scheme, ignore, skip, operation, tag, route, space, resource, token_from, mode, error_body, optional"
	)
	file := dir + "/testdata/openapi/api.yaml"
	check(t, "http://api.example.com {\n\tpatgate {\n", "\n\t}\n}\n", []mistake{
		{"openapi", "openapi: a value is missing, at Caddyfile:3"},
		{"openapi a b", `unexpected "b" at the end of the line, at Caddyfile:3`},
		{"openapi none.yaml", "Caddyfile:3: reading an OpenAPI document: open " + dir + "/none.yaml: no such file or directory"},
		{"openapi testdata/openapi/api.yaml", "Caddyfile:3: " + in + "operation whoAmI (" + file + ":21): security scheme key names no scopes: " +
			"write scheme key <requirement>, ignore key if it isn't a token, or default <requirement>\n" +
			"Caddyfile:3: " + in + "operation setPassword (" + file + ":23): security scheme browser names no scopes: " +
			"write scheme browser <requirement>, ignore browser if it isn't a token, or default <requirement>"},
		{head + "bases /api\n}", `unknown word "bases": ` + want + ", at Caddyfile:5"},
		{head + "default any\n}", "default: is set already (Caddyfile:4), at Caddyfile:5"},
		{head + "base\n}", "base: a value is missing, at Caddyfile:5"},
		{head + "base api\n}", "Caddyfile:3: " + in + "base api: want a path"},
		{head + "base /x {\n}\n}", "unexpected block, at Caddyfile:5"},
		{"openapi testdata/openapi/api.yaml {\ndefault\n}", "default: a requirement is missing, at Caddyfile:4"},
		{head + "scheme key\n}", "scheme: want a name and a requirement, at Caddyfile:5"},
		{head + "scheme kye any\n}", "Caddyfile:5: " + in + "scheme kye: the document has no such security scheme"},
		{head + "ignore\n}", "ignore: a name is missing, at Caddyfile:5"},
		{head + "skip\n}", "skip: a name is missing, at Caddyfile:5"},
		{head + "operation listBooks\n}", "operation: want a name and a requirement, at Caddyfile:5"},
		{head + "operation listBook books:read\n}", "Caddyfile:5: " + in + "operation listBook: the document has no such operation; did you mean listBooks?"},
		{head + "operation listBooks books:read {\nbase /x\n}\n}", `unknown word "base": ` + wantRoute + ", at Caddyfile:6"},
		{head + "operation listBooks books:read {\nspace path.id\n}\n}", file + ":11: space path.id: pattern /api/{space}/books has no {id}"},
		{head + "tag book any\n}", "Caddyfile:5: " + in + "tag book: the document has no such tag; did you mean books?"},
		{head + "route GET /{id}/book any\n}", "Caddyfile:5: " + in + "route GET /{id}/book: the document has no such path; did you mean /{}/books?"},
		{head + "route GET,PUT /{id}/books any\n}", "Caddyfile:5: " + in + "route GET,PUT /{id}/books: the document has GET, POST there, not PUT"},
		{head + "route GET /{id}/books\n}", "Caddyfile:5: " + in + "route GET /{id}/books: want a requirement"},
		{head + "space path.id\n}", "Caddyfile:3: " + in + "space path.id: none of the operations has {id}"},
		{head + "}\nroute GET /api/me any", file + ":21: route GET /api/me can't be told apart from GET /api/me (Caddyfile:6): the same path for GET"},
	})
}
