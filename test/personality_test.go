package test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/personality"
)

var seed = flag.Uint64("seed", 0, "seed of random requests (default: the time)")

// fronted is an API with weak routes beside strong ones, as the Caddyfile and as
// an upstream has it.
var fronted = []struct{ methods, pattern, require, space, resource string }{
	{"GET", "/health", "public", "", ""},
	{"GET", "/users/me", "any", "", ""},
	{"GET", "/users/{id}", "admin", "", ""},
	{"GET,POST", "/orders/{id}", "any", "", ""},
	{"POST", "/orders/{id}:cancel", "admin", "", ""},
	{"DELETE,PUT,PATCH", "/orders/{id}", "admin", "", ""},
	{"GET", "/spaces/{space}/items", "read", "path.space", ""},
	{"GET", "/spaces/{space}/items?version=draft", "admin", "path.space", ""},
	{"GET", "/spaces/{space}/items/{id}", "read", "path.space", "path.id"},
	{"GET", "/spaces/{space}/items/secret", "admin", "path.space", ""},
	{"GET", "/spaces/{space}/{kind}/list", "read", "path.space", ""},
	{"GET", "/files/{name...}", "public", "", ""},
	{"GET", "/files/private/{name}", "admin", "", ""},
	{"*", "/admin/*", "never", "", ""},
	{"GET", "/{any}/status", "public", "", ""},
	{"GET", "/admin/status", "never", "", ""},
	{"GET,POST", "/find", "read", "query.space", ""},
	{"GET", "/org", "read", "header.X-Org", ""},
}

// frontedSite writes the API as a site.
func frontedSite() string {
	var b strings.Builder
	b.WriteString("http://api.test:{$PORT} {\n\tpatgate {\n\t\tdefault deny\n")
	for _, r := range fronted {
		fmt.Fprintf(&b, "\t\troute %s %s %s {\n", r.methods, r.pattern, r.require)
		if r.space != "" {
			fmt.Fprintf(&b, "\t\t\tspace %s\n", r.space)
		}
		if r.resource != "" {
			fmt.Fprintf(&b, "\t\t\tresource %s\n", r.resource)
		}
		b.WriteString("\t\t}\n")
	}
	b.WriteString("\t}\n\treverse_proxy {$UPSTREAM}\n}\n")
	return b.String()
}

// startFronted starts a gateway before the API. Its token may read in space 1.
func startFronted(t *testing.T) *gateway {
	return start(t, setup{sites: frontedSite(), options: "scopes {\n read\n admin implies read\n}",
		tokens: []known{{name: "T", grants: grant("1", "read", "*")}}})
}

// misread says what servers make of a request that came to the upstream, if that
// is more than its sender may do.
func misread(u *received, known bool) (readings []string) {
	var routes []personality.Route
	for _, r := range fronted {
		routes = append(routes, personality.Route{Methods: strings.Split(r.methods, ","), Pattern: r.pattern, Space: r.space, Resource: r.resource})
	}
	path, query, _ := strings.Cut(u.target, "?")
	host := ""
	for line := range strings.Lines(u.raw) {
		if value, ok := strings.CutPrefix(line, "Host: "); ok {
			host = strings.TrimSpace(value)
		}
	}
	r := &personality.Request{Method: u.method, Path: path, Query: query, Host: host, Header: u.header}
	for _, p := range personality.All {
		for _, reading := range p.Read(routes, r) {
			route := fronted[reading.Route]
			switch {
			case route.require == "public", known && route.require == "any":
			case known && route.require == "read" && (reading.Space == "1" || reading.Space == "" && route.space != ""):
			default:
				readings = append(readings, fmt.Sprintf("%s: %s %s (%s), space %q", reading.How, route.methods, route.pattern, route.require, reading.Space))
			}
		}
	}
	return readings
}

// Requests that servers read differently, over the wire: they are refused, or come
// to the upstream as all servers read them alike.
func TestPersonalities(t *testing.T) {
	t.Parallel()
	g := startFronted(t)
	for _, row := range []struct {
		method, target string
		header         []string
		want           string
	}{
		{"GET", "/users/me", nil, "forward"},
		{"GET", "/orders/5.json", nil, "forward"},
		{"GET", "/spaces/1/items/7", nil, "forward"},
		{"GET", "/files/a.b/photo.JPG", nil, "forward"},
		{"GET", "/files/Private%20notes.txt", nil, "forward"},
		{"GET", "/find?space=1&method=DELETE", nil, "forward"},
		{"POST", "/orders/5?_method=POST", nil, "forward"},
		{"GET", "/org", []string{"X-Org: 1"}, "forward"},

		// another route
		{"GET", "/users/ME", nil, "scope_missing"}, // asks for admin, which covers what me asks for
		{"GET", "/users/m%65", nil, "ambiguous_request"},
		{"GET", "/Admin/status", nil, "ambiguous_request"},
		{"GET", "/adm%C4%B1n/status", nil, "ambiguous_request"},
		{"GET", "/ADMIN~1/status", nil, "forward"}, // admin is no long name
		{"GET", "/files/Private/x", nil, "ambiguous_request"},
		{"GET", "/files/private%20/x", nil, "ambiguous_request"},
		{"GET", "/files/private::$DATA/x", nil, "ambiguous_request"},
		{"GET", "/files/privat~1/x", nil, "ambiguous_request"},
		{"GET", "/files/index.php/admin/status", nil, "ambiguous_request"},
		{"GET", "/files/x.php/files/private/y", nil, "ambiguous_request"},
		{"GET", "/files/(S(x))/private/y", nil, "ambiguous_request"},
		{"GET", "/files/VirtualHostRoot/_vh_x/private/y", nil, "ambiguous_request"},
		{"GET", "/spaces/1/items/SECRET", nil, "ambiguous_request"},
		{"GET", "/spaces/1/items/secret.json", nil, "ambiguous_request"},
		{"GET", "/spaces/1/Items/list", nil, "forward"}, // a token that is enough there is enough for every item
		{"POST", "/orders/5:CANCEL", nil, "ambiguous_request"},
		{"POST", "/orders/5%3Acancel.json", nil, "ambiguous_request"},
		{"POST", "/orders/5%3acancel", nil, "scope_missing"},

		// another method
		{"POST", "/orders/5?_method=DELETE", nil, "ambiguous_request"},
		{"POST", "/orders/5?%5Fmethod=DELETE", nil, "ambiguous_request"},
		{"GET", "/orders/5?.method=DELETE", nil, "ambiguous_request"},
		{"GET", "/health?X-HTTP-Method-Override=DELETE", nil, "ambiguous_request"},
		{"POST", "/orders/5", []string{"X-HTTP-Method-Override: DELETE"}, "forward"},
		{"POST", "/orders/5", []string{"x_http_method_override: DELETE"}, "forward"},
		{"POST", "/orders/5", []string{"X.HTTP.Method.Override: DELETE"}, "forward"},
		{"POST", "/orders/5", []string{"X-Http-Method: PUT", "X-Method-Override: PATCH", "X-Method: DELETE", "X-Original-Method: DELETE"}, "forward"},

		// another URL, another host
		{"GET", "/health", []string{"X-Original-URL: /admin/x"}, "forward"},
		{"GET", "/health", []string{"x_rewrite_url: /admin/x"}, "forward"},
		{"GET", "/health", []string{"X-Rewrite-URL: /users/7", "X-Original-URI: /users/7", "X-Forwarded-Uri: /users/7", "X-Forwarded-Path: /users/7", "X-Request-Uri: /users/7"}, "forward"},
		{"GET", "/health", []string{"Forwarded: host=evil.test;proto=https", "X-Host: evil.test", "X-Forwarded-Server: evil.test", "X-Original-Host: evil.test"}, "forward"},
		{"GET", "http://api.test/health", nil, "forward"},
		{"GET", "http://u:p@api.test/health", nil, "ambiguous_request"},
		{"GET", "http://u@api.test/health", nil, "ambiguous_request"},

		// another space
		{"GET", "/find?space=1&space=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&Space=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&space[]=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&.space=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&sp%61ce=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&a=b;space=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&%EF%BB%BFspace=2", nil, "ambiguous_request"},
		{"GET", "/find?space=1&%u0073pace=2", nil, "ambiguous_request"},
		{"GET", "/org", []string{"X-Org: 1", "X-Org: 2"}, "ambiguous_request"},
		{"GET", "/org", []string{"X-Org: 1, 2"}, "ambiguous_request"},
		{"GET", "/org", []string{"X-Org: 1", "X_Org: 2"}, "forward"},
		{"GET", "/org", []string{"X-Org: 1", "Connection: X-Org"}, "ambiguous_request"},
		{"GET", "/spaces/2/items", nil, "space_not_granted"},
		{"GET", "/spaces/1/items?version=published&version=draft", nil, "scope_missing"},
		{"GET", "/spaces/1/items?Version=draft", nil, "ambiguous_request"},
	} {
		for _, v := range g.versions() {
			if v.name == "HTTP/2" && (strings.Contains(row.target, "://") || strings.Contains(fmt.Sprint(row.header), "Connection")) {
				continue // that has forms of its own
			}
			r := request{method: row.method, target: row.target, header: row.header}.with(g.bearer("T"))
			a := v.send(t, r)
			if a.verdict() != row.want {
				t.Errorf("%s %s: %s (%s), want %s", v.name, r, a.verdict(), a.problem.Detail, row.want)
			}
			for _, u := range g.upstream.take() {
				for _, reading := range misread(&u, true) {
					t.Errorf("%s %s is read by %s", v.name, r, reading)
				}
			}
		}
	}
}

// Random requests of awkward pieces, over the wire.
func TestPersonalitiesRandomly(t *testing.T) {
	t.Parallel()
	g := startFronted(t)
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", s)
	rnd := rand.New(rand.NewPCG(s, 1))
	pieces := strings.Fields(`me ME m%65 me.json me; ..;/ admin Admin ADMIN.json adm%C4%B1n admin+ admin%20 admin::$DATA index.php x.php status Status status.xml list secret Secret
		secret.json private PRIVATE privat~1 private;x items Items orders 5 7 7.json 5:cancel 5:Cancel 5%3Acancel 5:cancel.json 1 2 %31 (S(x)) . .. %2e %2f %5c %00 a%2Fb %EF%BD%81dmin
		/ users Users files spaces find org health`)
	queries := strings.Fields(`space=1 space=2 Space=2 space[]=2 sp%61ce=2 =space=2 =version=draft version=draft Version=draft version=x _method=DELETE .method=PUT %5fmethod=PATCH method=DELETE a=b;space=2 %ff=1`)
	fields := []string{"X-Org: 1", "X-Org: 2", "X_Org: 2", "X-HTTP-Method-Override: DELETE", "X-Original-URL: /admin/x", "X_Rewrite_Url: /users/7", "Forwarded: host=x.test", "Connection: X-Org"}
	forwarded := 0
	for range 600 {
		route := fronted[rnd.IntN(len(fronted))]
		pattern, _, _ := strings.Cut(route.pattern, "?")
		target := ""
		for part := range strings.SplitSeq(pattern[1:], "/") {
			if strings.ContainsAny(part, "{*") || rnd.IntN(4) == 0 {
				part = pieces[rnd.IntN(len(pieces))]
			}
			target += "/" + part
		}
		var pairs []string
		for range rnd.IntN(3) {
			pairs = append(pairs, queries[rnd.IntN(len(queries))])
		}
		if len(pairs) > 0 {
			target += "?" + strings.Join(pairs, "&")
		}
		if _, err := url.ParseRequestURI(target); err != nil {
			continue
		}
		method, _, _ := strings.Cut(route.methods, ",")
		r := request{method: strings.ReplaceAll(method, "*", "GET"), target: target}
		for range rnd.IntN(3) {
			r = r.with(fields[rnd.IntN(len(fields))])
		}
		known := rnd.IntN(4) > 0
		if known {
			r = r.with(g.bearer("T"))
		}
		g.send(t, r)
		for _, u := range g.upstream.take() {
			forwarded++
			for _, reading := range misread(&u, known) {
				t.Errorf("%s is read by %s", r, reading)
			}
		}
	}
	if forwarded < 40 {
		t.Errorf("%d requests forwarded: that is no test", forwarded)
	}
}
