package policy

import (
	"strings"
	"testing"
)

// A path that some server finds on another route is refused, if that route asks
// for more; and only then.
func TestPathsOfOtherRoutes(t *testing.T) {
	const route, refused, none = "route", "refused", "none"
	for _, c := range []struct {
		name   string
		routes string
		paths  string
		want   string
	}{
		{"as they are written", "GET /users/me any\nGET /users/{id} admin", "/users/me /users/me/ /users/7 /users/men /users/m /users/them /users/me2 /users/a.b /users/%C3%A9", route},
		{"case (Express, ASP.NET)", "GET /users/me admin\nGET /users/{id} read", "/users/ME /users/Me /users/mE/", refused},
		{"case, on the way", "GET /admin/{x} admin\nGET /{s}/{x} read", "/Admin/1 /aDMIN/x/ /ADMIN/a.b", refused},
		{"case, where it leads nowhere", "GET /admin/users admin\nGET /{s}/{x} read", "/Admin/1 /Admin/user", route},
		{"case, on no route", "GET /admin/users admin", "/Admin/users /admin/Users", none},
		{"case, below a wildcard", "GET /a/b/c admin\nGET /a/* read", "/a/B/c /a/b/C /a/B/C", refused},
		{"case, above it", "GET /a/b/c admin\nGET /a/* read", "/a/B /a/B/d /a/b/c/d /a/b/cc", route},
		{"case, around a parameter", "POST /{id}:Cancel admin\nPOST /{id} read\nPOST /{id}V2 admin", "/7:CANCEL /7:cancel /7v2", refused},
		{"formats (Rails, Spring)", "GET /users/me admin\nGET /users/{id} read", "/users/me.json /users/me.xml /users/Me.JSON /users/me.tar.gz /users/me.json/", refused},
		{"formats, on the way", "GET /users/me/x admin\nGET /users/{id}/x read", "/users/me.json/x", route},
		{"formats of what isn't a literal", "GET /users/me admin\nGET /users/{id} read", "/users/7.json /users/mee.json /users/.me", route},
		{"formats that are literals", "GET /x/export admin\nGET /x/export.json read\nGET /x/{id} read", "/x/export.json /x/export2.json", route},
		{"formats within a name (Jersey, RESTEasy)", "GET /files/keys.txt admin\nGET /files/* read\nGET /v/v1.0 admin\nGET /v/{v} read\nGET /c/caf%C3%A9.txt admin\nGET /c/{f} read",
			"/files/keys.json.txt /files/keys.en.txt /files/KEYS.json.en.TXT/ /files/keys.en.txt.xml /files/keys%2Ejson.txt /v/v1.json.0 /c/caf%C3%A9.en.txt", refused},
		{"other names with dots", "GET /files/keys.txt admin\nGET /files/.env admin\nGET /files/* read\nGET /v/v1.0 admin\nGET /v/{v} read\nGET /files/a.b..c admin",
			"/files/keys.2.txt /files/mykeys.json.txt /files/keys.json.txt2 /files/keys.json.txt/x /files/keys.json /files/x.env /files/a.b /files/a.x.c /v/v1.2.0 /v/v1", route},
		{"formats of partial parameters", "GET /{id}:cancel admin\nGET /{id} read", "/7:cancel.json /7:CANCEL.json", refused},
		{"decoded later (Express, Rails)", "GET /users/me any\nGET /users/{id} admin", "/users/m%65 /users/%6D%65 /%75sers/me/%2e%2e", refused},
		{"decoded later, to no other route", "GET /users/me any\nGET /groups/{id} admin", "/users/m%65 /%75sers/me /groups/%37", route},
		{"what must be encoded", "GET /caf%C3%A9 any\nGET /{x} admin\nGET /a%20b any", "/caf%C3%A9 /caf%c3%a9 /a%20b", route},
		{"brackets, encoded or not", "GET /[a] any\nGET /{x} any\nGET /b/{x} read", "/[a] /%5Ba%5D /%5ba] /b/[a] /b/%5Ba%5D /b/x[1].pdf", route},
		{"brackets, where they are encoded in a literal (Rails)", "GET /[a]/{x} any\nGET /{x}/{y} admin", "/[a]/x /[a]/%7B /%5Ba]/x", refused},
		{"brackets that are encoded there", "GET /[a] any\nGET /{x} admin", "/%5Ba%5D /[b] /%5Bb%5D", route},
		{"brackets as punctuation", "GET /a_b admin\nGET /{x} read", "/a[b /a%5Bb /A]B", refused},
		{"accents (Windows)", "GET /caf%C3%A9 admin\nGET /admin admin\nGET /{x} read", "/cafe /CAFE /cafe%CC%81 /%C3%A0dmin /adm%C4%B1n /adm%C4%B0n", refused},
		{"blanks (Windows, PHP)", "GET /a%20b admin\nGET /admin admin\nGET /{x} read", "/a+b /A+B /admin+ /admin++", refused},
		{"streams (Windows)", "GET /admin/x admin\nGET /{s}/x read", "/admin::$DATA/x /admin:$i30:$INDEX_ALLOCATION/x /Admin+:$/x", refused},
		{"punctuation (CherryPy, CodeIgniter)", "GET /users/delete_all admin\nGET /users/{name} read\nGET /users/{name}/x read\nGET /users/purge-now/x admin\nGET /{x}/{y} read",
			"/users/delete-all /users/delete.all /users/delete,all /users/DELETE~all /users/delete%20all /users/delete+all /users/delete-all.json /users/delete-all.%C3%A9 /users/purge_now/x /users/purge.now/x", refused},
		{"punctuation at the beginning", "GET /_all admin\nGET /-x admin\nGET /{x} read", "/-all /.all /,all /@ALL /_x /$x", refused},
		{"several for one (MediaWiki, PyPI)", "GET /page/Secret_Page admin\nGET /page/{title} read\nGET /page/{title}/bare read\nGET /page/Secret_Page/bare admin\nGET /simple/my-pkg admin\nGET /simple/{name} read\nGET /page/My%20Page admin",
			"/page/Secret__Page /page/_Secret_Page /page/Secret_Page_ /page/:Secret_Page /page/secret_-_page /page/Secret%20_Page /page/_:_Secret___Page__/bare /simple/my--pkg /simple/My-_-PKG /simple/my.-pkg /page/My_Page /page/My__Page", refused},
		{"several for one, beside what isn't ASCII", "GET /page/Caf%C3%A9_Bar admin\nGET /page/{title} read", "/page/_Caf%C3%A9__Bar_ /page/cafe%CC%81__bar", refused},
		{"several, of what is no literal", "GET /page/Secret_Page admin\nGET /page/{title} read\nGET /page/me admin\nGET /_all admin\nGET /{x} read\nGET /a.b admin",
			"/page/Secret__Pages /page/Secret_Pag_e /page/SecretPage /page/a--b /page/__init__ /page/__ /page/me_too /page/@me /page/~me /page/-me /page/.me /page/$me /page/m_e /all /a_b /a--b", route},
		{"equals signs (PowerDNS)", "GET /zones/internal.corp admin\nGET /zones/{zone} read\nGET /zones/internal.corp/x admin\nGET /zones/{zone}/x read", "/zones/internal=2Ecorp /zones/=69nternal.corp /zones/Internal=2ecorp /zones/internal%3D2Ecorp /zones/internal=2Ecorp/x", refused},
		{"other equals signs", "GET /zones/internal.corp admin\nGET /zones/{zone} read\nGET /zones/a=2Eb admin", "/zones/0=2F25.2.0.192.in-addr.arpa /zones/internal=2E /zones/internal=corp /zones/YWJj== /zones/=", route},
		{"tildes (Datasette) and exclamation marks (Jolokia)", "GET /db/my.secrets admin\nGET /db/{table} read\nGET /jolokia/exec/* admin\nGET /jolokia/* read", "/db/my~2Esecrets /db/~6dy.secrets /db/my%7E2esecrets /jolokia/e!xec/a/b /jolokia/!e!x!e!c/a /jolokia/ex%21ec/a/", refused},
		{"other tildes and exclamation marks", "GET /db/my.secrets admin\nGET /db/{table} read\nGET /jolokia/exec/* admin\nGET /jolokia/* read", "/db/~user /db/my~secrets /db/my2Esecrets /db/~2Ex /jolokia/exec!! /jolokia/exec!!/a /jolokia/read/a!/b /jolokia/wow! /jolokia/!", route},
		{"no escapes, before a literal that stands for its directory elsewhere", "GET /{a}/{b}/* read\nGET /{space}/me/index admin", "/x/me/index /~joe/me/index /~/me/index /a=b/me/index", route},
		{"punctuation around parameters", "POST /{id}_cancel admin\nPOST /{id} read", "/7-cancel /7.cancel /7,Cancel", refused},
		{"other punctuation", "GET /users/delete_all admin\nGET /users/de.lete admin\nGET /users/{name} read", "/users/deleteXall /users/delete7all /users/deleteall /users/delete---alls /users/de_lete /users/a-b /users/delete-alls", route},
		{"colons", "GET /admin/x admin\nGET /{s}/x read", "/admin:7/x /admin:/x", route},
		{"short names (Windows)", "GET /administration/x admin\nGET /{s}/x read", "/ADMINI~1/x /admini~12/x /admini~1.ext/x /a~1/x", refused},
		{"tildes", "GET /administration/x admin\nGET /{s}/x read", "/admini~x/x /other~1/x /~admin/x /administr~1/x", route},
		{"keys behind a name (OData)", "GET /odata/Salaries admin\nGET /odata/{set} read\nGET /odata/Salaries/{key} admin\nGET /odata/{set}/{key} read",
			"/odata/Salaries(7) /odata/Salaries%287%29 /odata/Salaries(ID=7) /odata/salaries(7) /odata/Salaries(7)/amount", refused},
		{"keys that have a route, and of what isn't a literal", "GET /odata/Salaries admin\nGET /odata/Salaries({key}) read\nGET /odata/{set} read", "/odata/Salaries(7) /odata/Salaries%287%29 /odata/Other(7) /odata/(7)", route},
		{"keys that have a route, which isn't the request's", "* /odata/Salaries admin\nPOST /odata/Salaries({key}) read\nGET /odata/Salaries/secret admin\nGET /odata/Orders({key})?x=1 read\nGET /odata/Orders admin\n* /odata/* read",
			"/odata/Salaries(7) /odata/Salaries(7)/secret /odata/Orders(7) /odata/Orders(7)?x=2", refused},
		{"parentheses in a name", "GET /files/{name} read\nGET /files/report admin", "/files/report(1).pdf /files/report(a@b /files/(report)", route},
		{"views (Zope, Pyramid)", "GET /docs/{id}/edit admin\nGET /docs/{id}/{view} read", "/docs/7/@@edit /docs/7/%40%40edit /docs/7/++view++edit /docs/7/++x++edit/", refused},
		{"views (Gerrit)", "POST /changes/{id}/submit admin\nPOST /changes/{id}/{view} read\nPOST /changes/{id} admin", "/changes/7/gerrit~submit /changes/7/gerrit%7Esubmit/ /changes/7/gerrit~", refused},
		{"views in several segments", "* /me/admin admin\nGET /{a}/{b} read", "/@@me/++view++admin /@@me/admin /me/@@admin", refused},
		{"no views", "GET /docs/{id}/edit admin\nGET /docs/{id}/{view} read", "/docs/7/@edit /docs/7/@@view /docs/7/x@@edit /docs/7/++edit /docs/7/view++edit /docs/7/@@ /docs/7/other~edit /docs/7/gerrit /docs/7/gerrit~view", route},
		{"lists (tRPC, Elasticsearch)", "GET /trpc/admin.secrets admin\nGET /trpc/{proc} read\nGET /secret/_search admin\nGET /{index}/_search read",
			"/trpc/list,admin.secrets /trpc/admin.secrets,list /trpc/a%2Cadmin.secrets /trpc/a,b,admin.secrets,c /a,secret/_search", refused},
		{"other lists", "GET /trpc/admin.secrets admin\nGET /trpc/{proc} read\nGET /secret/_search admin\nGET /{index}/{verb} read",
			"/trpc/a,b /trpc/1,2,3 /trpc/a,admin /trpc/,, /a,secret/_count /a,b/_search,x", route},
		{"a list of what asks for no more", "GET /users/me read\nGET /users/{id} admin", "/users/7,me /users/me,7", route},
		{"a list of one name", "GET /a/me/{z}/x admin\nGET /a/* read", "/a/me,me,me,me/1/x", refused},
		{"lists in many places", "GET /a/b/c/d/e/f/g/h admin\nGET /* read", "/a,a,a,a/b,b,b,b/c,c,c,c/d,d,d,d/e,e,e,e/f,f,f,f/g,g,g,g/h,h,h,h", route},
		{"sessions (ASP.NET)", "GET /{s}/x read\nGET /x admin", "/(S(abc))/x /(A(b)F(c))/x", refused},
		{"no sessions", "GET /{s}/x read\nGET /x admin", "/a(S(x))/x /Orders(f(x))/x", route},
		{"virtual hosts (Zope)", "GET /docs/* read\nGET /docs/private/* admin\nGET /{a}/{b}/{c}/{d}/{e} read\nGET /VirtualHostBase/{host} read",
			"/docs/VirtualHostRoot/_vh_x/private/k /docs/VirtualHostRoot/private/k /docs/x/VirtualHostRoot/ /docs/%56irtualHostRoot/private/k /VirtualHostBase/http/b:80/docs/x /VirtualHostBase/VirtualHostRoot", refused},
		{"a path that was rewritten for Zope", "GET /VirtualHostBase/http/{host}/site/VirtualHostRoot/docs/* read", "/VirtualHostBase/http/a.test:80/site/VirtualHostRoot/docs/x", route},
		{"a virtual host that the client adds to that", "GET /VirtualHostBase/http/{host}/site/VirtualHostRoot/docs/* read", "/VirtualHostBase/http/a.test:80/site/VirtualHostRoot/docs/VirtualHostRoot/x", refused},
		{"no virtual hosts", "GET /docs/* read", "/docs/virtualhostroot/x /docs/VirtualHostRoots/x /docs/VirtualHost/x /docs/_vh_x/y", route},
		{"sites (WordPress)", "GET /files/* read\nGET /{a}/{b} read\nGET /users.php admin\nGET /wp-admin/* admin",
			"/files/users.php /files/a/b/users.php /x/users.php /files/wp-admin/ /files/a/wp-admin/x /files/wp-admin/x.js /files/%77p-admin/x", refused},
		{"programs below no site", "GET /files/* read\nGET /{a}/wp-admin/x read\nGET /{a}/users.php read\nGET /users.php admin\nGET /wp-admin/* admin",
			"/files/other.php /files/users.phps /files/users.html /acme/users.php /acme/wp-admin/x /files/wp-json/x /files/my-wp-admin/x", route},
		{"parentheses", "GET /{s}/x read", "/(a)/x /f(x)/x /((a))/x", route},
		{"scripts (PHP, ASP.NET)", "GET /admin/x admin\nGET /* read\nGET /tool.php admin", "/index.php/admin/x /index.php/admin/x/ /a/b.php/admin/x /tool.php/7 /Tool.PHP/7 /x.aspx/admin/x", refused},
		{"many scripts", "GET /* read", "/a.php/a.php/a.php/a.php/a.php /a.php/b/a.php/c/x.jsp/d/x.cgi/e.pl", refused},
		{"some scripts", "GET /* read", "/a.php/a.php/a.php/a.php /a.php/b/a.php/c/x.jsp", route},
		{"behind a file (lighttpd, PHP, Yaws)", "GET /files/secret.txt admin\nGET /files/* read\nGET /files/{name}.pdf admin\nGET /reports/q1.{format} admin\nGET /reports/* read\nGET /files/a/b.c/d.e admin\nGET /{x}/{y} read\nGET /key.pem admin",
			"/files/secret.txt/x /files/secret.txt/x/y/ /files/Secret.TXT/x /files/secret%2Etxt/x /files/a.pdf/x /files/A.PDF/x /reports/q1.xml/x /files/a/b.c/d.e/f /key.pem/x", refused},
		{"behind what is no file", "GET /files/secret.txt admin\nGET /files/* read\nGET /files/users admin\nGET /files/.hidden admin\nGET /files/v1.0 admin\nGET /files/v1.0/* read\nGET /files/x.{y}/z/* read\nGET /files/x.{y}/z admin\nPOST /files/post.txt admin\nGET /files/easy.txt read",
			"/files/secret.txts/x /files/users/5 /files/.hidden/x /files/v1.0/x /files/x.1/z/7 /files/post.txt/x /files/easy.txt/x /files/x/secret.txt/y", route},
		{"behind what may be called like a file", "GET /repos/{owner}/{repo} admin\nGET /repos/{owner}/{repo}/{tab} read\nGET /domains/{name} admin\nGET /domains/* read", "/repos/socketio/socket.io/issues /domains/example.org/records", route},
		{"indexes", "GET /admin admin\nGET /{s}/{f} read", "/admin/index.php /admin/default.aspx", refused},
		{"pages", "GET /admin admin\nGET /{s}/* read", "/admin/index.html /admin/INDEX.htm /admin/Default.html", refused},
		{"pages that are files by name (S3)", "GET /{space} admin\nGET /{space}/{key...} read\nGET /o/{b}/o admin\nGET /o/{b}/o/{name} read", "/b/index.html /b/INDEX.HTM /b/default.htm /b/docs/index.html /o/b/o/index.html", route},
		{"indexes that are programs or actions", "GET /{space} admin\nGET /{space}/{key...} read", "/b/index /b/index.php /b/INDEX.PHP/x /b/default.asp", refused},
		{"scripts (ColdFusion, Domino, ISAPI)", "GET /admin/x admin\nGET /* read", "/index.cfm/admin/x /a.CFC/admin/x /a.cfml/admin/x /a.dll/admin/x /a.exe/admin/x /a.nsf/admin/x", refused},
		{"default actions (CherryPy, ASP.NET MVC)", "GET /users admin\nGET /{s}/{f} read\nGET /{s}/{f}/{g} read", "/users/index /users/Index /users/INDEX/ /users/i%6Edex", refused},
		{"default actions of the root", "GET / admin\nGET /{s} read", "/index /INDEX /index/", refused},
		{"default actions of nothing else", "GET /users admin\nGET /{s}/{f} read\nGET /users/{f}/{g} read", "/users/indexes /users/reindex /users/index/7 /other/index /users/default", route},
		{"scripts of nothing else", "GET /admin/x admin\nGET /* read", "/a.php/b /a.phpx/admin/x /x/index.php /admin/y/index.html /index.phps/admin/x", route},
		{"a stricter route covers the other", "GET /users/me read\nGET /users/{id} admin", "/users/ME /users/me.json", route},
		{"and one that asks the same", "GET /users/me read\nGET /users/{id} read", "/users/ME /users/me.json", route},
		{"another space does not", "GET /s/all read\nGET /s/{space} read", "/s/ALL /s/all.json", refused},
		{"another method", "DELETE /users/me admin\nGET /users/{id} read", "/users/ME", route},
		{"numbers (converters)", "GET /v/2/x admin\nGET /v/{n}/x read", "/v/02/x /v/2abc/x /v/2.0/x /v/%D9%A2/x /v/0x2/x /v/2e0/x /v/002/x", refused},
		{"numbers, as whole names or not", "GET /v/1/x admin\nGET /v/{n}/x read", "/v/1_0/x /v/1%D9%A0/x /v/1%200/x /v/0d1/x /v/15e-1/x /v/1%C2%B2/x /v/+1/x /v/1./x", refused},
		{"numbers with something behind them", "GET /v/1.json admin\nGET /v/{n}.json read\nGET /w/-1 admin\nGET /w/{n} read", "/v/01.json /v/1.0.json /v/1_0.json /w/-01 /w/-1x", refused},
		{"numbers that overflow", "GET /v/2/x admin\nGET /v/{n}/x read\nGET /w/1234567890123456800 admin\nGET /w/{n} read", "/v/4294967298/x /v/18446744073709551618/x /v/04294967298/x /w/1234567890123456789", refused},
		{"numbers with a sign or in parentheses", "GET /v/0/x admin\nGET /v/2/x admin\nGET /v/{n}/x read", "/v/-0/x /v/(2)/x /v/-00/x", refused},
		{"long numbers", "GET /v/2/x admin\nGET /v/{n}/x read", "/v/4294967299/x /v/1234567890123456789/x /v/-2/x /v/(3)/x", route},
		{"booleans", "GET /v/true/x admin\nGET /v/{b}/x read\nGET /w/false admin\nGET /w/{b} read", "/v/1/x /v/on/x /v/T/x /v/yes/x /w/0 /w/off /w/No", refused},
		{"no booleans", "GET /v/true/x admin\nGET /v/{b}/x read\nGET /w/on admin\nGET /w/{b} read", "/v/0/x /v/2/x /v/toast/x /v/ye/x /w/1 /w/true", route},
		{"versions and zones are no files", "GET /api/v1.0 admin\nGET /api/* read\nGET /zones/{zone}/records read\nGET /zones/example.com admin", "/api/v1.0/users /zones/example.com/records", route},
		{"equal signs beside encoded slashes", "GET /x/admin admin\nGET /x/* read", "/x/ad=6Din /x/ad=6Din/", refused},
		{"UUIDs", "GET /v/6fa459ea-ee8a-3ca4-894e-db77e160355e/x admin\nGET /v/{id}/x read", "/v/6fa459eaee8a3ca4894edb77e160355e/x /v/6FA459EA-EE8A-3CA4-894E-DB77E160355E/x /v/urn:uuid:6fa459ea-ee8a-3ca4-894e-db77e160355e/x /v/%7B6fa459ea-ee8a-3ca4-894e-db77e160355e%7D/x", refused},
		{"other UUIDs", "GET /v/6fa459ea-ee8a-3ca4-894e-db77e160355e/x admin\nGET /v/{id}/x read", "/v/6fa459ea-ee8a-3ca4-894e-db77e160355f/x /v/6fa459ea-ee8a-3ca4-894e/x /v/7fa459eaee8a3ca4894edb77e160355e/x", route},
		{"names with numbers", "GET /v/1/x admin\nGET /v/{n}/x read\nGET /w/1.json admin\nGET /w/{n}.json read", "/v/v1/x /v/2024-01-01/x /v/-1/x /v/2f1/x /w/10.json /w/a1.json", route},
		{"other numbers", "GET /v/2/x admin\nGET /v/{n}/x read", "/v/20/x /v/12/x /v/0x20/x /v/3/x /v/a2/x /v/0/x /v/22-2/x", route},
		{"many literals", "GET /a read\nGET /b read\nGET /c read\nGET /d read\nGET /e read\nGET /f read\nGET /g read\nGET /h read\nGET /secret admin\nGET /{x} read",
			"/Secret /secret.json /s%65cret.x", refused},
		{"literals that differ in case", "GET /a admin\nGET /A read\nGET /{x} read", "/A /a /b", route},
	} {
		p := compile(t, Config{Routes: routes(strings.Split(c.routes, "\n")...)}, "read", "admin > read")
		for path := range strings.FieldsSeq(c.paths) {
			got := route
			method := "GET"
			if strings.HasPrefix(c.routes, "POST") {
				method = "POST"
			}
			switch m := p.matched(&Request{Method: method, Path: path}); {
			case m.Reason == AmbiguousRequest:
				got = refused
			case m.Route == nil:
				got = none
			}
			if got != c.want {
				t.Errorf("%s: %s: %s, want %s", c.name, path, got, c.want)
			}
		}
	}
}

// What no route matches is on the default; what some server finds on a route
// isn't, if that asks for more.
func TestPathsOfRoutesBesideDefault(t *testing.T) {
	for _, c := range []struct{ fallback, path, want string }{
		{"deny", "/Admin", "route_unknown"}, {"deny", "/admin.json", "route_unknown"},
		{"any", "/Admin", "ambiguous_request"}, {"any", "/admin.json", "ambiguous_request"}, {"any", "/index.php/admin", "ambiguous_request"}, {"any", "/other", "token_missing"},
		{"public", "/Admin", "ambiguous_request"}, {"public", "/Open", "forward"}, {"public", "/other.json", "forward"}, {"any", "/Open", "token_missing"},
	} {
		p := compile(t, Config{Default: c.fallback, Routes: routes("GET /admin admin", "GET /open public")})
		if m := p.matched(&Request{Method: "GET", Path: c.path}); m.Reason.String() != c.want {
			t.Errorf("default %s: %s: %s, want %s", c.fallback, c.path, m.Reason, c.want)
		}
	}
}

// Where a site allows semicolons and encoded slashes, what stands at them is no
// way to another route.
func TestPathsOfOtherRoutesWithSemicolonsAndSlashes(t *testing.T) {
	p := compile(t, Config{Semicolon: "allow", EncodedSlash: "allow", Routes: routes(
		"GET /files/{name} read", "GET /files/secret admin", "GET /files/{dir}/secret admin", "GET /{x}/{y} read", "GET /deep/* read", "GET /deep/a/secret admin")}, "read", "admin > read")
	for path, want := range map[string]Reason{
		"/files/a;v=1": TokenMissing, "/files/a%2Fb": TokenMissing, "/files/a%2Fb;c": TokenMissing, "/files/a%2Fsecrets": TokenMissing, "/files/secrets;x": TokenMissing,
		"/files/secret;v=1": AmbiguousRequest, "/files/Secret;v": AmbiguousRequest, "/files;x/secret": AmbiguousRequest, "/files/a%2Fsecret": AmbiguousRequest,
		"/files/secret%2F": AmbiguousRequest, "/files/secret%2F/": AmbiguousRequest, "/files/a%2F%2Fsecret": AmbiguousRequest, "/files/secret;x%2F": AmbiguousRequest,
		"/deep/a%2Fsecret;/x": AmbiguousRequest, "/deep/a%2Fsecret%3B/x": AmbiguousRequest, "/deep/a%2Fother;/x": TokenMissing,
		"/files/a%2F%2Fsecret%2F": AmbiguousRequest, "/files/https:%2F%2Fa.example%2F": TokenMissing, "/files/a%2F": TokenMissing,
		"/files/a%2fSECRET": AmbiguousRequest, "/files/a%2Fsecret;x": AmbiguousRequest, "/files/a;b%2Fsecret": AmbiguousRequest, "/files/a%2Fs%65cret": AmbiguousRequest,
	} {
		if m := p.matched(&Request{Method: "GET", Path: path}); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", path, m.Reason, m.Detail, want)
		}
	}
}

// Another way to take a path apart must not shift which segment is the space.
func TestPathsOfOtherRoutesInOtherSpaces(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Routes: routes("GET /{any}/{space}/* read", "GET /p/{x}/{space} public")})
	for path, want := range map[string]Reason{
		"/x/1/y": TokenMissing, "/x/%31/y": TokenMissing, "/x/1/a%2Fb": TokenMissing, "/x/1/y.php": TokenMissing, "/x%2Fy/1/z": AmbiguousRequest,
		"/index.php/1/2/x": AmbiguousRequest, "/x%2F2/1/z": AmbiguousRequest, "/x.php/1/1/1": TokenMissing, "/p/x%2F2/1": AmbiguousRequest, "/p/x/1": Forward,
		"/x/~joe/index.php": TokenMissing, "/x/a=b/index.php": TokenMissing, "/x/wow!/index.php": TokenMissing, "/p/wow!/index.php": AmbiguousRequest,
	} {
		if m := p.matched(&Request{Method: "GET", Path: path}); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", path, m.Reason, m.Detail, want)
		}
	}
}

// A key that stands twice beside a path that reads two ways: neither hides the
// other.
func TestPathsOfOtherRoutesWithKeysThatStandTwice(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /users/me read", "GET /users/me?v=1 admin", "GET /users/{id} read")}, "read", "admin > read")
	for target, want := range map[string]Reason{
		"/users/ME": TokenMissing, "/users/ME?v=2": TokenMissing, "/users/ME?v=1": AmbiguousRequest, "/users/ME?v=2&v=1": AmbiguousRequest, "/users/ME?v=1&v=2": AmbiguousRequest,
		"/users/ME?v=2&v=3": TokenMissing, "/users/7?v=1&v=2": TokenMissing,
	} {
		if m := p.matched(request("GET " + target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// What is mounted at a path takes segments that begin so, up to an escape, and decodes what
// follows (Rails). A parameter between literals may be empty.
func TestSegmentsThatBeginLikeALiteral(t *testing.T) {
	lines := routes("GET /jobs/{id} read", "GET /jobs/admin admin", "GET /jobs/admin/* admin", "GET /files/* public", "GET /files/private/* never", "GET /files/leaf never",
		"PATCH /users/{id}:rename admin", "PATCH /users/{id} read", "GET /x/v{n}/y admin", "GET /x/{any}/y read")
	for _, slash := range []string{"reject", "data"} {
		p := compile(t, Config{EncodedSlash: slash, Routes: lines}, "read", "admin > read")
		for target, want := range map[string]Reason{
			"GET /jobs/admin%73tats": AmbiguousRequest, "GET /jobs/admin%37/x": RouteUnknown, "GET /files/private%37": AmbiguousRequest, "GET /files/private%2D7/x": AmbiguousRequest, "GET /files/private-%37": Forward,
			"GET /files/privat%65": AmbiguousRequest, "GET /files/leaf%37": Forward, "GET /files/public%37": Forward, "GET /files/private%C3%A9": Forward, "GET /files/private%40x": Forward, "GET /jobs/administrator": TokenMissing,
			"PATCH /users/:rename": AmbiguousRequest, "PATCH /users/7:rename": TokenMissing, "PATCH /users/7": TokenMissing, "GET /x/v/y": AmbiguousRequest, "GET /x/w/y": TokenMissing,
		} {
			if m := p.matched(request(target)); m.Reason != want {
				t.Errorf("encoded_slash %s, %s: %v (%s), want %v", slash, target, m.Reason, m.Detail, want)
			}
		}
	}
	p := compile(t, Config{EncodedSlash: "data", Routes: append(lines, routes("GET /@scope/x admin")...)}, "read", "admin > read")
	for target, want := range map[string]Reason{"GET /jobs/admin%2Fkill%2F7": AmbiguousRequest, "GET /jobs/user%2Fkill": TokenMissing, "GET /files/private%2F7": AmbiguousRequest} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("encoded_slash data, %s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// A literal may end in a dot, and is the one without it to some servers: where that is on
// another route, the stricter of the two counts.
func TestLiteralsThatEndInADot(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /zones/{zone} public", "GET /zones/internal.corp. never", "GET /zones/own.corp. any", "GET /zones/own.corp any", "GET /zones/open.corp. public", "GET /zones/open.corp never",
		"GET /caf%C3%A9. never", "GET /m/main. never", "GET /m/{x} public", "GET /{any} public", "GET /v/1. never", "GET /v/{n} public", "GET /x/{y}/z public", "GET /x/corp./z public")})
	for path, want := range map[string]Reason{
		"/zones/internal.corp.": RouteNever, "/zones/internal.corp": AmbiguousRequest, "/zones/Internal.Corp.": AmbiguousRequest, "/zones/INTERNAL.CORP": AmbiguousRequest, "/zones/internal.corp..": AmbiguousRequest,
		"/zones/own.corp.": Forward, "/zones/own.corp": Forward, "/zones/open.corp.": AmbiguousRequest, "/zones/open.corp": RouteNever, "/zones/other.corp.": Forward, "/zones/internal.corporate": Forward, "/zones/internal": Forward,
		"/caf%C3%A9.": RouteNever, "/caf%C3%A9": AmbiguousRequest, "/CAFE": AmbiguousRequest, "/caf": Forward, "/m/main": AmbiguousRequest, "/m/main.": RouteNever, "/m/maine": Forward, "/v/1": AmbiguousRequest, "/v/1.": RouteNever, "/v/01": AmbiguousRequest, "/v/2": Forward, "/x/corp./z": Forward, "/x/corp/z": Forward,
	} {
		if m := p.matched(request("GET "+path, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", path, m.Reason, m.Detail, want)
		}
	}
}

// What is on a route that says itself what a segment is isn't refused for what some
// server would make of it elsewhere.
func TestSegmentsThatAreNamed(t *testing.T) {
	resource := Settings{Resource: "path.path"}
	c := Config{Default: "deny", Routes: append(routes("GET /domains/{name} read", "GET /domains/{name}/records dns", "GET /search read", "GET /search/index admin",
		"GET /cgi-bin/* read", "GET /cgi-bin/x.pl admin", "GET /fhir/* read"),
		RouteConfig{Methods: []string{"GET"}, Pattern: "/repository/{space}/{path...}", Require: "read", Settings: resource})}
	p := compile(t, c, "read", "admin > read", "dns")
	for target, want := range map[string]Reason{
		"GET /domains/allegro.pl/records": Forward, "GET /domains/jan@wp.pl/records": Forward, "GET /domains/setup.exe/records": Forward, "GET /domains/x.php/records": AmbiguousRequest,
		"GET /cgi-bin/x.pl/y": AmbiguousRequest, "GET /repository/raw/src/app.py/x": Forward, "GET /repository/raw/x.php/y": AmbiguousRequest,
		"GET /search/index": Forward, "GET /search/INDEX": RouteUnknown,
		"GET /repository/raw/index.html": Forward, "GET /repository/raw/docs/index.html": Forward, "GET /repository/raw/x": Forward,
		"GET /repository/raw/index": AmbiguousRequest, "GET /repository/raw/docs/index": AmbiguousRequest, "GET /repository/raw/index.php": AmbiguousRequest, "GET /repository/raw": RouteUnknown,
		"GET /domains/index.html": Forward, "GET /domains/index.htm/records": Forward, "GET /cgi-bin/index.html": Forward,
		"GET /fhir/Patient?_has:AuditEvent:entity:action=R": Forward, "GET /fhir/Patient?x:action=R": AmbiguousRequest,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}
