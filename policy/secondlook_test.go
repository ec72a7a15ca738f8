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
		{"views in several segments", "* /me/admin admin\nGET /{a}/{b} read", "/@@me/++view++admin /@@me/admin /me/@@admin", refused},
		{"no views", "GET /docs/{id}/edit admin\nGET /docs/{id}/{view} read", "/docs/7/@edit /docs/7/@@view /docs/7/x@@edit /docs/7/++edit /docs/7/view++edit /docs/7/@@", route},
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

// Where the query begins at the first semicolon (Fastify), neither the path that
// ends there nor a key behind it is another's.
func TestSemicolonsThatBeginTheQuery(t *testing.T) {
	at := func(line, space string) RouteConfig {
		r := routes(line)[0]
		r.Space = space
		return r
	}
	p := compile(t, Config{Semicolon: "allow", Routes: append(routes(
		"GET /users admin", "GET /users/{id} read", "GET /{kind}/{id} read", "GET /x/{id}?draft=true admin", "GET /x/{id} read"), at("GET /q/{id} read", "query.space"))}, "read", "admin > read")
	for target, want := range map[string]Reason{
		"/users/7;v=1": Forward, "/users;v=1/7": AmbiguousRequest, "/Users;/7": AmbiguousRequest, "/others;v=1/7": Forward,
		"/q/7;v=2?space=1": Forward, "/q/7;space=2?space=1": AmbiguousRequest, "/q/7;v=1&space=2&x?space=1": AmbiguousRequest, "/q/7;Sp%61ce[]=2?space=1": AmbiguousRequest,
		"/x/7;v=1": Forward, "/x/7;draft=true": AmbiguousRequest, "/x/7;v=1;draft=true?draft=false": AmbiguousRequest, "/x/7;draft": AmbiguousRequest,
	} {
		if m := p.matched(request("GET "+target, "Authorization: Bearer S")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Another way to take a path apart must not shift which segment is the space.
func TestPathsOfOtherRoutesInOtherSpaces(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Routes: routes("GET /{any}/{space}/* read", "GET /p/{x}/{space} public")})
	for path, want := range map[string]Reason{
		"/x/1/y": TokenMissing, "/x/%31/y": TokenMissing, "/x/1/a%2Fb": TokenMissing, "/x/1/y.php": TokenMissing, "/x%2Fy/1/z": AmbiguousRequest,
		"/index.php/1/2/x": AmbiguousRequest, "/x%2F2/1/z": AmbiguousRequest, "/x.php/1/1/1": TokenMissing, "/p/x%2F2/1": AmbiguousRequest, "/p/x/1": Forward,
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

// Where encoded delimiters are data, a server that cuts at one must not find more than is
// asked for; and a name with a slash may be a route of its own (CouchDB).
func TestDelimitersThatAreDataOnRoutes(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "data", Routes: routes("PUT /{db}/_design%2F{view} admin", "PUT /{db}/_design/{view} admin", "PUT /{db}/{doc} write", "PUT /x%2Fy/me admin", "PUT /{db}/secret admin", "PUT /users never", "PUT /a%3Fb/{x} admin")}, "write", "admin > write")
	for path, want := range map[string]string{
		"/db/_design%2Fapp": "admin", "/db/_design%2fapp": "admin", "/db/_design/app": "admin", "/db/_designer": "write", "/db/_design%2F": "", "/db/a%2Fb": "write",
		"/x%2Fy/me": "admin", "/x%2Fy/you": "write", "/x/me": "write", "/db/%23a": "write", "/db/a%3Fb": "write", "/a%3Fb/c": "admin", "/db/secret%3Fx": "", "/db/secret%23": "", "/users%3F/x": "", "/users%23x/x": "", "/users/.%3Fx": "", "/users/x%2F..%3F": "write", "/db/_Design%2Fapp": "",
	} {
		m := p.matched(&Request{Method: "PUT", Path: path})
		if want == "" && m.Reason != AmbiguousRequest || want != "" && (m.Reason != TokenMissing || m.Route.Require.String() != want) {
			t.Errorf("%s: %v (%s) on %v, want %q", path, m.Reason, m.Detail, m.Route, want)
		}
	}
	for _, slash := range []string{"", "allow"} {
		if _, err := Compile(Config{EncodedSlash: slash, Routes: routes("GET /a%2Fb any")}, nil); err == nil || !strings.Contains(err.Error(), "no request could match it: the path has an encoded slash") {
			t.Errorf("encoded_slash %s: %v", slash, err)
		}
	}
}

// A path is cut off with its encoded slashes where they are, as well as split at them: at
// a semicolon (Fastify, which cuts at those that aren't encoded), an ampersand or a blank,
// and before what says that the data of a page is asked for.
func TestCutBesideEncodedSlashes(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Semicolon: "allow", Default: "public", Routes: routes("GET /{x}/me never", "GET /a/b/c never", "GET /only never", "GET /{x}/{y}/z{w} public", "GET /s/{x}/t/me never")})
	for _, target := range []string{
		"GET /2%2F1/me;x", "GET /2%2F1/me/;x", "GET /a%2Fb/c;x", "GET /a%2Fb%2Fc;x", "GET /s/a%3Bb/t/me;x", "GET /s/a%3Bb/t/me;x/y",
		"GET /a%2Fme&x", "GET /a%2Fme%20x", "GET /a%2Fb%2Fc&x/z", "GET /only%2F/__data.json", "GET /a%2Fm=65", "GET /a%2Fb/me/__data.json", "GET /a%2Fb/c/__data.json", "GET /only%2Fx%2F..&y", "GET /a%2Fme%2F.%20x",
	} {
		if m := p.matched(request(target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s: %v, want ambiguous_request", target, m.Reason)
		}
	}
	for _, target := range []string{"GET /2%2F1/you;x", "GET /s/a%3Bb/t/you;x", "GET /a%2Fyou&x", "GET /a%2Fyou/__data.json"} {
		if m := p.matched(request(target)); m.Reason != Forward {
			t.Errorf("%s, on no other route: %v (%s)", target, m.Reason, m.Detail)
		}
	}
}

// Express compares literals before it decodes, but for what has to be encoded in them,
// and ignores case there.
func TestUndecodedLiterals(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /{x}:go/{y}/z public", "GET /{x}/a%20b/{y} never", "GET /{x}/caf%C3%A9/{y} never")})
	for _, target := range []string{"GET /7%3Ago/A%20B/z", "GET /7%3Ago/a%20b/z", "GET /7%3Ago/CAF%c3%a9/z"} {
		if m := p.matched(request(target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s: %v, want ambiguous_request", target, m.Reason)
		}
	}
	if m := p.matched(request("GET /7%3Ago/a%2Db/z")); m.Reason != AmbiguousRequest {
		t.Errorf("on no route: %v (%s)", m.Reason, m.Detail)
	}
}

// What is on no route to these servers may be on one that the policy doesn't list. There,
// the default asks for a token, or denies.
func TestUndecodedLiteralsOnNoRoute(t *testing.T) {
	at := func(line string, s Settings) RouteConfig {
		r := routes(line)[0]
		r.Settings = s
		return r
	}
	for _, fallback := range []string{"any", "deny", "public"} {
		p := compile(t, Config{Default: fallback, Routes: append(routes("GET /public/* public", "GET /read/* read", "GET /x/{id}:go public", "GET /items[] public", "GET /@me/~x public", "GET /caf%C3%A9/{x} public", "GET /{a}/other/{x} read", "GET /p/{x}?q=1 public"),
			at("GET /optional/* any", Settings{Optional: true}), at("GET /tried/* any", Settings{Mode: "report"}))}, "read")
		for target, refused := range map[string]bool{
			"/publi%63/x": true, "/%70ublic/x": true, "/optional/x": false, "/optiona%6C/x": true, "/trie%64/x": true, "/x/7%3Ago": false, "/x/7%3A%67o": true, "/items[]": false, "/%40me/%7Ex": false, "/publi%63/other/x": true,
			"/public/%78": false, "/public/a%20b": false, "/caf%C3%A9/x": false, "/x/%37:go": false, "/rea%64/x": false, "/p/%31?q=1": false,
		} {
			want := refused && fallback != "public" || target == "/publi%63/other/x"
			if m := p.matched(request("GET " + target)); (m.Reason == AmbiguousRequest) != want || want && m.Reports() {
				t.Errorf("default %s: %s: %v (%s), want it refused: %v", fallback, target, m.Reason, m.Detail, want)
			}
		}
	}
	// Where no request is judged, nothing is refused for the default.
	p := compile(t, Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: append(routes("GET /public/* public"), at("GET /other any", Settings{Mode: "enforce"}))})
	for _, target := range []string{"GET /publi%63/x", "GET /non%65"} {
		if m := p.matched(request(target)); !m.Reports() {
			t.Errorf("%s in report mode: %v (%s), want it forwarded", target, m.Reason, m.Detail)
		}
	}
	p = compile(t, Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: routes("GET /public/* public")})
	if m := p.matched(request("GET /publi%63/x")); m.Reason != AmbiguousRequest || !m.Reports() {
		t.Errorf("in report mode, what enforcing would refuse: %v (%s)", m.Reason, m.Detail)
	}
	p = compile(t, Config{Default: "deny", Settings: Settings{Mode: "report"}, Routes: []RouteConfig{at("GET /list public", Settings{Mode: "enforce"})}})
	if m := p.matched(request("GET /%6Cist")); m.Reason != Forward {
		t.Errorf("on a route that is enforced, where the default is not: %v (%s), want it forwarded", m.Reason, m.Detail)
	}
}

// The data of a page is that page's.
func TestDataOfPages(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET / never", "GET /users/{id} never", "GET /users/{id}/{tab} public", "GET /open/* public", "GET /{any} public", "GET /_next/* public", "GET /page-data/* public", "GET /RSC/* public", "GET /app/RSC/* public",
		"GET /app/users/{id} never", "GET /app/_next/* public", "GET /app/page-data/* public")})
	for target, want := range map[string]Reason{
		"GET /users/7/__data.json": AmbiguousRequest, "GET /users/7/_payload.json": AmbiguousRequest, "GET /users/7/__route.js": AmbiguousRequest, "GET /__data.json": AmbiguousRequest,
		"GET /users/7/data.json": Forward, "GET /open/7/__data.json": Forward,

		// React Router, Qwik City
		"GET /users/7/.data": AmbiguousRequest, "GET /users/7/_.data": AmbiguousRequest, "GET /users/7/q-data.json": AmbiguousRequest, "GET /_root.data": AmbiguousRequest, "GET /q-data.json": AmbiguousRequest,
		"GET /users/7/x.data": Forward, "GET /open/7/_.data": Forward, "GET /root.data": Forward, "GET /users/7/data": Forward,

		// Vike, React Router as a stream, Next.js as files, react-server
		"GET /users/7/index.pageContext.json": AmbiguousRequest, "GET /users/7/_.rsc": AmbiguousRequest, "GET /users/7/__next._full.txt": AmbiguousRequest,
		"GET /users/7/rsc.x-component": AmbiguousRequest, "GET /users/7/@outlet.rsc.x-component": AmbiguousRequest,
		"GET /users/7/pageContext.json": Forward, "GET /users/7/x.rsc": Forward, "GET /users/7/__next.txt.gz": Forward, "GET /open/7/_.rsc": Forward,

		// Waku
		"GET /RSC/R/_root.txt": AmbiguousRequest, "GET /app/RSC/R/_root.txt": Forward,
		"GET /RSC/R/users/7.txt": AmbiguousRequest, "GET /app/RSC/R/users/7.txt": AmbiguousRequest,
		"GET /RSC/R/open/7.txt": Forward, "GET /RSC/X/users/7.txt": Forward,

		// Next.js, Gatsby
		"GET /_next/data/b1/de/users/7.json": AmbiguousRequest, "GET /_next/data/b1/de/open/7.json": Forward,
		"GET /_next/data/b1/users/7.json": AmbiguousRequest, "GET /_next/data/b1/index.json": AmbiguousRequest, "GET /_next/d%61ta/b1/users/7": AmbiguousRequest, "GET /app/_next/data/b1/users/7.json": AmbiguousRequest,
		"GET /_next/static/b1/users/7.json": Forward, "GET /_next/data/b1/open/7.json": Forward, "GET /_next/data/b1": Forward,
		"GET /page-data/users/7/page-data.json": AmbiguousRequest, "GET /page-data/index/page-data.json": AmbiguousRequest, "GET /app/page-data/users/7/page-data.json": AmbiguousRequest,
		"GET /page-data/users/7/other.json": Forward, "GET /page-data/open/7/page-data.json": Forward, "GET /page-data/page-data.json": Forward,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// A version of a file is that file's.
func TestVersionsOfFiles(t *testing.T) {
	p := compile(t, Config{Routes: routes("* /svn/repo/* public", "* /svn/repo/secret/* never", "* /svn/repo never", "* /!svn/* public", "* /top never")})
	for target, want := range map[string]Reason{
		"GET /svn/repo/!svn/rvr/3/secret/s": AmbiguousRequest, "GET /svn/repo/!svn/bc/3/secret/s.txt": AmbiguousRequest, "GET /svn/repo/!svn/ver/3/Secret/s": AmbiguousRequest, "PUT /svn/repo/!svn/txr/4-5/secret/s": AmbiguousRequest,
		"PUT /svn/repo/!svn/vtxr/x/secret": AmbiguousRequest, "PUT /svn/repo/%21svn/wrk/0b1c/secret/s": AmbiguousRequest, "PROPFIND /svn/repo/!svn/rvr/3": AmbiguousRequest, "GET /!svn/bc/3/top": AmbiguousRequest,
		"GET /svn/repo/!svn/rvr/3/open/secret": Forward, "MKACTIVITY /svn/repo/!svn/act/0b1c": Forward, "PROPFIND /svn/repo/!svn/vcc/default": Forward, "POST /svn/repo/!svn/me": Forward, "PROPPATCH /svn/repo/!svn/txn/4-5": Forward, "GET /svn/repo/x!svn/bc/3/secret/s": Forward, "GET /svn/repo/!/bc/3/secret/s": Forward,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Elysia finds the path from the eleventh byte of the URL on: where the host is short,
// at a later slash than the first.
func TestPathsBehindShortHosts(t *testing.T) {
	p := compile(t, Config{ForwardToken: "strip", Settings: Settings{TokenFrom: []string{"query key"}}, Routes: routes(
		"GET /admin/* never", "GET /x/* public", "GET /y public", "GET /z/{id} public", "GET /{id}/{any}/x public", "GET / never", "GET /caf%C3%A9 never")})
	long, deep := "/x"+strings.Repeat("a", maxPathLength), strings.Repeat("/x", maxSegments+1)
	for target, want := range map[string]map[string]Reason{
		"/x/admin/users/7":    {"abcd": Forward, "a:80": Forward, "abc": AmbiguousRequest, "ab": AmbiguousRequest, "a": AmbiguousRequest, "": Forward},
		"/x/a/admin/x":        {"abc": Forward, "ab": Forward, "a": AmbiguousRequest},
		"/y?q=/admin/users/7": {"abcd": Forward, "abc": AmbiguousRequest, "ab": AmbiguousRequest, "a": AmbiguousRequest},
		"/y?q=/admin?/y":      {"a": AmbiguousRequest}, "/y?q=/adm?/y": {"a": Forward},
		"/y?q=/":               {"a": AmbiguousRequest},
		"/y?q=/caf%C3%A9":      {"a": AmbiguousRequest},
		"/y?q=/Admin/x":        {"a": AmbiguousRequest},
		"/y?q=/adm%69n/x":      {"a": AmbiguousRequest},
		"/y?q=https://a.b//c":  {"a": Forward, "api": Forward},
		"/y?q=/%zz":            {"a": Forward},
		"/y?key=/y&q=/admin/x": {"a": AmbiguousRequest, "abcd": Forward},
		"/y?q=" + deep:         {"a": AmbiguousRequest, "abcd": Forward},
		"/y?q=" + long:         {"a": AmbiguousRequest, "abcd": Forward},
		"/x/users/7":           {"api": Forward, "gw": Forward, "a": Forward},
		"/z/7?page=2":          {"api": Forward, "gw": Forward, "a": Forward},
		"/z/7/":                {"api": Forward, "gw": Forward, "a": AmbiguousRequest},
		"/y":                   {"api": Forward, "gw": Forward, "a": Forward},
	} {
		for host, want := range want {
			r := request("GET " + target)
			r.Host = host
			if m := p.matched(r); m.Reason != want {
				t.Errorf("%.30s at %q: %v (%s), want %v", target, host, m.Reason, m.Detail, want)
			}
		}
	}
}

// More pieces than are looked at are refused, not passed over.
func TestManyEncodedSlashes(t *testing.T) {
	p := compile(t, Config{EncodedSlash: "allow", Routes: routes("GET /{name} public", "GET /admin/* never")})
	for n := range 80 {
		if m := p.matched(request("GET /admin%2Fx" + strings.Repeat("%2Fa", n))); m.Reason != AmbiguousRequest {
			t.Fatalf("%d pieces more: %v, want ambiguous_request", n, m.Reason)
		}
	}
}

// What stands behind the name of a script, with a slash or without, is a path of its own
// or below the script's directory.
func TestPathsBehindScripts(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /* public", "* /admin/* never", "* /app/only/* never", "GET /top.php never", "GET /names/{name} public", "GET /{id}.bak never")})
	for target, want := range map[string]Reason{
		"GET /index.php/admin/x": AmbiguousRequest, "GET /index.phpadmin/x": AmbiguousRequest, "GET /INDEX.PHPadmin/x": AmbiguousRequest, "GET /index.phptop.php": AmbiguousRequest, "GET /app_dev.phpadmin/x": AmbiguousRequest, "GET /index%2Ephp%61dmin/x": AmbiguousRequest,
		"GET /app/index.php/only/x": AmbiguousRequest, "GET /app/index.phponly/x": AmbiguousRequest, "GET /index.php/only/x": Forward, "GET /web/index.phpadmin/x": AmbiguousRequest,
		"GET /index.phpadministration/x": Forward, "GET /index.phpx/admin/x": Forward, "GET /.phpadmin/x": Forward, "GET /xphpadmin/x": Forward, "GET /x.phpadmin/x": Forward, "GET /index.php.dist": Forward, "GET /names/x.php.txt": Forward, "GET /names/index.php7.bak": AmbiguousRequest,
		"GET /x" + strings.Repeat("/x.php", maxScripts): Forward, "GET /x" + strings.Repeat("/app.phpy", maxScripts): Forward, "GET /x" + strings.Repeat("/app.phpy", maxScripts+1): AmbiguousRequest,
	} {
		if m := p.matched(request(target)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// Where a path is put into a query, an ampersand in it begins another parameter.
func TestParametersInPath(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: append(routes("GET,POST /files/* public", "* /admin/* never", "GET /stories public", "GET /stories?draft never", "GET /users/{id} public", "GET /users/me never"),
		RouteConfig{Methods: []string{"GET"}, Pattern: "/r/{item}", Require: "read", Settings: Settings{Space: "query.space"}})}, "read")
	for target, want := range map[string]Reason{
		"GET /files/x&_url=/admin/x": AmbiguousRequest, "GET /files/x%26_url%3dadmin/x": AmbiguousRequest, "GET /files/x&a=b&_url=Admin/x&c=d": AmbiguousRequest, "GET /files/x&_url=//admin/x": AmbiguousRequest,
		"GET /users/me&x": AmbiguousRequest, "GET /users/me%26x": AmbiguousRequest, "GET /users/me%20HTTP/1.1": RouteUnknown, "GET /users/me%20x": AmbiguousRequest, "GET /users/you&me": Forward, "GET /users/you%20x": Forward,
		"GET /stories&draft": RouteUnknown, "GET /files/a&b/c=d": Forward,
		"GET /files/AT&T": Forward, "GET /files/a=b": Forward, "GET /files/&": Forward,
		"POST /files/x&_method=DELETE": AmbiguousRequest, "POST /files/x%26X-HTTP-Method=PUT": AmbiguousRequest,
		"GET /r/7?space=1": Forward, "GET /r/7&space=2?space=1": AmbiguousRequest, "GET /r/7%26Space=2?space=1": AmbiguousRequest, "GET /r/7&space?space=1": AmbiguousRequest, "GET /r/7&spaces?space=1": Forward,
	} {
		if m := p.matched(request(target, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", target, m.Reason, m.Detail, want)
		}
	}
}

// A name is one still where it is cut off at a blank or an ampersand: only what is a
// literal then, which it wasn't, is another path.
func TestNamesThatAreCutOff(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes("GET /teams/{team} never", "GET /teams/{team}/members public", "GET /teams/all never", "GET /teams/all/members public",
		"GET /{db} never", "GET /{db}/{doc} public", "GET /wiki/{page} never", "GET /wiki/{page}/history public", "GET /orgs/{org}:close never", "GET /orgs/{org} public", "GET /nets/v{n} never", "GET /nets/{net}/{tab} public",
		"GET /orgs/{org}/{tab} public", "GET /{db}/v1/{doc} never", "GET /{db}/{doc}/{file} public", "GET /deep/* never", "GET /deep/{x}/{y}/z public",
		"GET /s/{space}/* never", "GET /s/{space}/tags/{tag} public", "GET /s/{space}/tags/{tag}/* never", "GET /s/{space}/{kind}/all never", "GET /n/{x}/y public", "GET /{x}/none never")})
	for path, want := range map[string]Reason{
		"/teams/Human%20Resources/members": Forward, "/teams/R%26D/members": AmbiguousRequest, "/teams/AT&T/members": AmbiguousRequest, "/my%20db/doc": Forward, "/wiki/Q&A/history": AmbiguousRequest, "/wiki/Q%20A/history": Forward,
		"/nets/v1%20x/tab": Forward, "/deep/a%20b/c/z": Forward, "/a%20b/c&d": Forward, "/orgs/7%20x": Forward,
		"/s/1/tags/red%20shoes": Forward, "/s/1/tags/all%20x": Forward, "/s/1/tags/a/b&c": RouteNever, "/n/x&y/y": Forward, "/n/none&x/y": AmbiguousRequest,
		"/teams/all%20x/members": AmbiguousRequest, "/teams/ALL&x/members": AmbiguousRequest, "/teams/a%6Cl%26x/members": AmbiguousRequest, "/teams%20x/members": Forward, "/teams%20x/all/members": Forward,
		"/orgs/7:close%20x": AmbiguousRequest, "/orgs/7:close&x/tab": AmbiguousRequest, "/orgs/7:CLOSE&x/tab": AmbiguousRequest,
		"/teams/&x/members": AmbiguousRequest, "/wiki/%26/history": AmbiguousRequest, "/x/v1/y%20z": RouteNever, "/teams/x&y=z/members": AmbiguousRequest,
	} {
		if m := p.matched(request("GET " + path)); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", path, m.Reason, m.Detail, want)
		}
	}
}

// What stands before a blank is no name still where the policy has none there.
func TestPathsThatAreCutOff(t *testing.T) {
	for _, c := range []struct{ fallback, lenient, strict, target string }{
		{"public", "", "* /users/{id} never", "DELETE /users/7%20/x"},
		{"public", "", "* /users/{id} never", "DELETE /users/7%20x/y"},
		{"public", "", "* /users/{id} never", "DELETE /users/7&x/y"},
		{"deny", "GET /docs/* public", "GET /docs/{name} never", "GET /docs/secret%20x/y"},
		{"deny", "GET /docs/* public", "GET /docs/{name} never", "GET /docs/secret%26x/y"},
		{"deny", "GET /files/{name}/preview public", "* /files/* never", "GET /files/secret%26x/preview"},
		{"deny", "DELETE /users/{id}/avatar public", "DELETE /users/{id} never", "DELETE /users/7%26x/avatar"},

		// Dots before it are a directory to most, and a name to who only cuts.
		{"deny", "GET /page/{id}/tab public", "GET /page/{id} never", "GET /page/.%26D/tab"},
		{"deny", "GET /page/{id}/tab public", "GET /page/{id} never", "GET /page/..&D/tab"},
		{"deny", "DELETE /users/{id}/{tab} public", "DELETE /users/{id} never", "DELETE /users/7/.%20x"},
		{"deny", "DELETE /users/{id}/{tab} public", "DELETE /users never", "DELETE /users/7/..&x"},
		{"deny", "DELETE /users/{id}/{tab}/x public", "DELETE /users never", "DELETE /users/7/..%20x/x"},
		{"deny", "GET /{name} public", "GET / never", "GET /..&x"},
		{"deny", "GET /{name} public", "GET / never", "GET /.%26x"},
	} {
		lines := []string{c.strict}
		if c.lenient != "" {
			lines = append(lines, c.lenient)
		}
		p := compile(t, Config{Default: c.fallback, Routes: routes(lines...)})
		if m := p.matched(request(c.target)); m.Reason != AmbiguousRequest {
			t.Errorf("%s beside %s: %v (%s), want it refused", c.target, c.strict, m.Reason, m.Detail)
		}
	}
}

// A name may end in a dot where a route has names, and without it is on no other route.
// Where it is a space or a resource, the token decides (TestGrantsForNamesThatEndInADot).
func TestNamesThatEndInADot(t *testing.T) {
	at := func(line, resource string) RouteConfig {
		r := routes(line)[0]
		r.Resource = resource
		return r
	}
	for _, option := range []string{"", "allow"} {
		p := compile(t, Config{Default: "deny", EncodedSlash: option, Semicolon: option, Routes: append(routes("GET /wiki/{page} public", "GET /wiki/{page}/history public", "GET /wiki/Main never", "GET /wiki never",
			"GET /orgs/{space} any", "GET /orgs/{space}/teams/{team} any", "GET /files/* public", "GET /pages/{path...} public", "GET /{x}/{y}/{z} public", "GET /{x}/{y}/edit never", "GET /admin never",
			"GET /{a}/{b}/{c}/{d} public", "GET /{a}/{b} public", "* /core/x never"), at("GET /zones/{zone} any", "path.zone"), at("GET /zones/{zone}/records/{record} any", "path.zone"))})
		for path, want := range map[string]Reason{
			"/wiki/Acme%20Inc.": Forward, "/wiki/A.B.C./history": Forward, "/wiki/caf%C3%A9.": Forward, "/wiki/x./": Forward, "/orgs/1/teams/R.D.": Forward, "/zones/a.org/records/example.org.": Forward, "/a./b.": Forward, "/wiki/%61%2E": Forward,
			"/wiki/Main.": AmbiguousRequest, "/wiki/main.": AmbiguousRequest, "/wiki/x..": AmbiguousRequest, "/wiki/.": AmbiguousRequest, "/wiki/..": AmbiguousRequest, "/wiki/x-.": AmbiguousRequest, "/wiki/x%20.": AmbiguousRequest, "/wiki/x.%20": AmbiguousRequest,
			"/wiki/a.%2Fb": AmbiguousRequest, "/wiki/a.;b": AmbiguousRequest,
			"/a/b/edit%2Findex.": AmbiguousRequest, "/orgs/acme.": Forward, "/orgs/1./teams/a": Forward, "/zones/example.org.": Forward, "/zones/a.org./records/b": Forward, "/orgs/acme..": AmbiguousRequest,
			"/files/x.": AmbiguousRequest, "/files/x./y": AmbiguousRequest, "/pages/x.": AmbiguousRequest, "/none.": AmbiguousRequest, "/wiki./x": Forward,
			"/a/b/edit.": AmbiguousRequest, "/a/index.php./admin.": AmbiguousRequest, "/x.php./core/x": AmbiguousRequest, "/wiki/index.": AmbiguousRequest, "/a.php./b.php./c.php./d.php.": Forward,
		} {
			if m := p.matched(request("GET "+path, "Authorization: Bearer s")); m.Reason != want {
				t.Errorf("options %q: %s: %v (%s), want %v", option, path, m.Reason, m.Detail, want)
			}
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

// Slashes that are encoded, as the clients of RabbitMQ, npm and GitLab send them. These
// take paths apart before they decode them; a gate that isn't told so looks at both ways.
func TestEncodedSlashesInNames(t *testing.T) {
	at := func(line, resource string) RouteConfig {
		r := routes(line)[0]
		r.Resource = resource
		return r
	}
	const allow, data, both = "allow", "data", "allow data"
	rabbit := append(routes("GET /api/vhosts/{space} read", "GET /api/queues/{space} read", "* /api/users/* never"), at("GET,PUT /api/queues/{space}/{name} read", "path.name"), at("GET /api/bindings/{space}/e/{from}/q/{to} read", "path.to"))
	npm := []RouteConfig{at("GET /{pkg} read", "path.pkg"), at("GET /{pkg}/{version} read", "path.pkg"), at("GET /{pkg}/-/{file} read", "path.pkg"), at("PUT /-/all never", "none")}
	gitlab := append(routes("GET /projects/{space}/issues read", "GET /projects/{space} read", "GET /projects/{group}/{space} read", "GET /projects/{space}/repository/files/{file} read", "* /projects/{space}/settings never"), at("GET /tree/{space}/{path...} read", "path.path"))
	for _, c := range []struct {
		routes []RouteConfig
		target string
		pass   string // by which words
		space  string
		thing  string
	}{
		{rabbit, "/api/vhosts/%2F", both, "/", ""},
		{rabbit, "/api/vhosts/%2f/", both, "/", ""},
		{rabbit, "/api/queues/%2F/q1", data, "/", "q1"}, // or the queues of q1
		{rabbit, "/api/queues/%2F", data, "/", ""},      // or a queue without a name
		{rabbit, "/api/queues/%2Fprod", data, "/prod", ""},
		{rabbit, "/api/queues/%2Fprod/a%2Fb", both, "/prod", "a/b"},
		{rabbit, "/api/queues/prod/a%2F", data, "prod", "a/"}, // or a
		{rabbit, "/api/queues/a%2F%2Fb/q%2F1", both, "a//b", "q/1"},
		{rabbit, "/api/bindings/%2F/e/x/q/y", both, "/", "y"},
		{rabbit, "/api/queues/%2F/Acme%20Inc.", data, "/", "Acme Inc."},
		{rabbit, "/api/queues/%2F..%2Fadmin", "", "", ""},
		{rabbit, "/api/queues/%2F/..", "", "", ""},
		{rabbit, "/api/queues/%2F%5C/q", "", "", ""},
		{rabbit, "/api/queues/%2F./q", "", "", ""},
		{rabbit, "/api/queues/%2F%20/q", "", "", ""},
		{rabbit, "/api/queues/%252F/q", "", "", ""},
		{rabbit, "/api/queues//q1", "", "", ""},
		{rabbit, "/api/queues/%2F//q1", "", "", ""},
		{rabbit, "/api/queues/%2F/q1/%2F", "", "", ""}, // no route
		{npm, "/@scope%2fname", data, "", "@scope/name"},
		{npm, "/%40scope%2Fname", data, "", "@scope/name"},
		{npm, "/@scope%2fname/1.0.0", both, "", "@scope/name"},
		{npm, "/@scope%2Fname/-/name-1.0.0.tgz", both, "", "@scope/name"},
		{npm, "/name/-/name-1.0.0.tgz", both, "", "name"},
		{npm, "/%2Fname", "", "", ""},
		{npm, "/%2F", "", "", ""},
		{gitlab, "/projects/group%2Fname/issues", both, "group/name", ""},
		{gitlab, "/projects/group%2Fsub%2Fname", both, "group/sub/name", ""},
		{gitlab, "/projects/group%2Fname", data, "group/name", ""},
		{gitlab, "/projects/group%2Fissues", data, "group/issues", ""},
		{gitlab, "/projects/7/repository/files/lib%2Fclass%2Erb", both, "7", ""},
		{gitlab, "/projects/a%2Fb/settings", "", "", ""}, // never
		{gitlab, "/projects/a%2Fb/Settings", "", "", ""}, // some server's never
		{gitlab, "/tree/7/lib/class.rb", both, "7", "lib/class.rb"},
		{gitlab, "/tree/7/lib%2Fclass.rb", allow, "7", "lib/class.rb"}, // another file than the one before it, where a slash is data
		{gitlab, "/tree/a%2Fb/lib/class.rb", data, "a/b", "lib/class.rb"},
	} {
		for word := range strings.FieldsSeq(both) {
			p := compile(t, Config{Default: "deny", EncodedSlash: word, Routes: c.routes})
			m := p.matched(request("GET "+c.target, "Authorization: Bearer s"))
			if pass := strings.Contains(c.pass, word); m.NeedsDecision() != pass || pass && (m.Space != c.space || m.Resource != c.thing) {
				t.Errorf("encoded_slash %s: %s: %v (%s), space %q, resource %q, want passed %v with %q, %q", word, c.target, m.Reason, m.Detail, m.Space, m.Resource, pass, c.space, c.thing)
			}
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
