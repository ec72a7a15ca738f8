package test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/token"
)

const identitySite = `
	patgate {
		let_through cookie session
		unknown_token forward until 2999-12-31
		route GET,POST /public public
		route GET,POST /optional any {
			optional
		}
		route GET,POST /any any
		route GET,POST /spaces/{space} any
		route GET,POST /report never {
			mode report
		}
	}
	reverse_proxy {$UPSTREAM}`

const identitySites = "http://api.test:{$PORT} {" + identitySite + `
}
http://named.test:{$PORT} {
	patgate {
		identity_headers {
			owner Remote-User
			scopes X-Auth-Request-Groups
		}
		route GET,POST /public public
		route GET,POST /spaces/{space} any
	}
	reverse_proxy {$UPSTREAM}
}
http://off.test:{$PORT} {
	patgate {
		identity_headers off
		route GET,POST /public public
		route GET,POST /spaces/{space} any
	}
	reverse_proxy {$UPSTREAM}
}`

// identityOf returns the headers of what the upstream got that some server reads
// as one of patgate's.
func identityOf(r *received, names ...string) map[string]string {
	found := map[string]string{}
	fold := func(s string) string {
		return strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '_'
		}, strings.ToLower(s))
	}
	for _, h := range []map[string][]string{r.header, r.trailer} {
		for name, values := range h {
			if strings.HasPrefix(fold(name), "x_patgate_") || slices.ContainsFunc(names, func(n string) bool { return fold(n) == fold(name) }) {
				found[name] = strings.Join(values, "|")
			}
		}
	}
	return found
}

// The upstream learns who is asking, by the names the operator chose.
func TestIdentityHeaders(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: identitySites,
		tokens: []known{
			{name: "T", owner: "alice", grants: append(grant("1", "stories:read stories:write", "*"), grant("2", "files:*", "*")...)},
			{name: "odd", owner: "Zoë 100% <x@y>\u200b", grants: grant("*", "*", "*")},
			{name: "word", owner: "=?utf-8?q?admin?=", grants: grant("*", "*", "*")},
			{name: "capped", owner: "bob"},
			{name: "nobody", grants: grant("1", "stories:read", "*")},
		},
		owners: []*token.Owner{{ID: "bob", Enabled: true, Grants: grant("1", "stories:read", "*")}},
	})
	for _, row := range []struct {
		host, token, target string
		want                map[string]string // but for X-Patgate-Token
	}{
		{"api", "T", "/spaces/1", map[string]string{"X-Patgate-Owner": "alice", "X-Patgate-Space": "1", "X-Patgate-Scopes": "stories:read stories:write"}},
		{"api", "T", "/spaces/2", map[string]string{"X-Patgate-Owner": "alice", "X-Patgate-Space": "2", "X-Patgate-Scopes": "files:*"}},
		{"api", "T", "/any", map[string]string{"X-Patgate-Owner": "alice", "X-Patgate-Scopes": "stories:read stories:write files:*"}},
		{"api", "T", "/optional", map[string]string{"X-Patgate-Owner": "alice", "X-Patgate-Scopes": "stories:read stories:write files:*"}},
		{"api", "T", "/public", nil},
		{"api", "", "/optional", nil},
		{"api", "nobody", "/spaces/1", map[string]string{"X-Patgate-Space": "1", "X-Patgate-Scopes": "stories:read"}},
		{"api", "odd", "/spaces/a%20b%25c", nil}, // not forwarded: encoded twice
		{"api", "odd", "/spaces/a%20b", map[string]string{"X-Patgate-Owner": "Zo%C3%AB%20100%25%20<x@y>%E2%80%8B", "X-Patgate-Space": "a b", "X-Patgate-Scopes": "*"}},
		{"api", "odd", "/spaces/caf%C3%A9", map[string]string{"X-Patgate-Owner": "Zo%C3%AB%20100%25%20<x@y>%E2%80%8B", "X-Patgate-Space": "caf%C3%A9", "X-Patgate-Scopes": "*"}},
		{"api", "word", "/spaces/a=b", map[string]string{"X-Patgate-Owner": "%3D?utf-8?q?admin?=", "X-Patgate-Space": "a=b", "X-Patgate-Scopes": "*"}}, // some servers decode encoded words
		{"api", "capped", "/spaces/1", map[string]string{"X-Patgate-Owner": "bob", "X-Patgate-Space": "1", "X-Patgate-Scopes": "stories:read"}},
		{"named", "T", "/spaces/1", map[string]string{"Remote-User": "alice", "X-Patgate-Space": "1", "X-Auth-Request-Groups": "stories:read stories:write"}},
		{"off", "T", "/spaces/1", nil},
	} {
		r := request{host: row.host + ".test", target: row.target}
		if row.token != "" {
			r = r.with(g.bearer(row.token))
		}
		a := g.send(t, r)
		got := g.upstream.take()
		if strings.Contains(row.target, "%25") {
			if len(got) != 0 {
				t.Errorf("%s was forwarded", row.target)
			}
			continue
		}
		if len(got) != 1 {
			t.Errorf("%s: %s", r.target, a)
			continue
		}
		identity := identityOf(&got[0], "Remote-User", "X-Auth-Request-Groups")
		if id := identity["X-Patgate-Token"]; (id != "") != (row.want != nil) || id != "" && len(id) != 26 {
			t.Errorf("%s %s: token %q", row.host, row.target, id)
		}
		delete(identity, "X-Patgate-Token")
		if !maps.Equal(identity, row.want) {
			t.Errorf("%s %s with %s: identity %v, want %v", row.host, row.target, row.token, identity, row.want)
		}
	}
}

// Nobody but the gate says who is asking: whatever a client sends in its place
// is gone, on every kind of route, in every spelling, from trailers too; and a
// Connection header takes nothing away that the gate has set.
func TestForgedIdentity(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites:  identitySites,
		tokens: []known{{name: "T", owner: "alice", grants: grant("1", "stories:read", "*")}},
	})
	forgeries := []request{}
	for _, name := range []string{
		"X-Patgate-Owner", "x-patgate-owner", "X-PATGATE-OWNER", "X_Patgate_Owner", "X-Patgate_Owner", "X.Patgate.Owner", "X-Patgate.Owner", "X~Patgate~Owner",
		"X!Patgate!Owner", "X-Patgate'Owner", "X*Patgate-Owner", "X-Patgate+Owner", "X^Patgate^Owner", "X-Patgate`Owner", "X|Patgate-Owner",
		"X#Patgate-Owner", "X$Patgate-Owner", "X%Patgate-Owner", "X&Patgate-Owner",
		"X-Patgate-Token", "X-Patgate-Space", "X-Patgate-Scopes", "X-Patgate-Decision", "X-Patgate-Anything", "X-Patgate-", "Remote-User", "Remote_User", "REMOTE-USER", "X-Auth-Request-Groups",
	} {
		forgeries = append(forgeries,
			request{header: []string{name + ": root"}},
			request{header: []string{name + ": root", name + ": root2"}},
			request{header: []string{"Connection: " + name, name + ": root"}},
			request{header: []string{"Connection: close, " + name}},
			request{header: []string{"Connection: keep-alive", "Connection: " + strings.ToLower(name) + ",  " + name}},
			request{method: "POST", body: "x", trailer: []string{name + ": root"}},
			request{method: "POST", body: "x", header: []string{"Trailer: " + name}, trailer: []string{name + ": root"}},
		)
	}
	routes := []struct {
		host, target, credential string
		identity                 map[string]string
	}{
		{"api", "/public", "", nil},
		{"api", "/public", g.bearer("T"), nil},
		{"api", "/optional", "", nil},
		{"api", "/any", "Cookie: session=1", nil},
		{"api", "/any", "Authorization: Bearer a-token-of-the-api-itself", nil},
		{"api", "/spaces/1", g.bearer("T"), map[string]string{"X-Patgate-Owner": "alice", "X-Patgate-Space": "1", "X-Patgate-Scopes": "stories:read"}},
		{"api", "/report", "", map[string]string{"X-Patgate-Decision": "route_never"}},
		{"api", "/report", g.bearer("T"), map[string]string{"X-Patgate-Decision": "route_never"}},
		{"named", "/public", "", nil},
		{"named", "/spaces/1", g.bearer("T"), map[string]string{"Remote-User": "alice", "X-Patgate-Space": "1", "X-Auth-Request-Groups": "stories:read"}},
		{"off", "/public", "", nil},
		{"off", "/spaces/1", g.bearer("T"), nil},
	}
	for _, route := range routes {
		for _, forged := range forgeries {
			r := forged
			r.host, r.target = route.host+".test", route.target
			if route.credential != "" {
				r = r.with(route.credential)
			}
			a := g.send(t, r)
			got := g.upstream.take()
			if len(got) != 1 {
				t.Errorf("%s: %s, want it forwarded without the forgery", r, a)
				continue
			}
			names := []string{"Remote-User", "X-Auth-Request-Groups"}
			if route.host != "named" {
				names = nil // these are the API's own business here
			}
			identity := identityOf(&got[0], names...)
			delete(identity, "X-Patgate-Token")
			if fmt.Sprint(identity) != fmt.Sprint(route.identity) || len(got[0].trailer) > 0 {
				t.Errorf("%s (trailer %v): upstream got identity %v, trailer %v; want %v", r, r.trailer, identity, got[0].trailer, route.identity)
			}
			if r.method == "POST" && got[0].body != "x" {
				t.Errorf("%s: upstream got body %q", r, got[0].body)
			}
		}
	}
}

// In HTTP/2 and HTTP/3, too, a client has no way to say who it is.
func TestForgedInOtherVersions(t *testing.T) {
	t.Parallel()
	s := startSecure(t, setup{tokens: []known{{name: "T", owner: "alice", grants: grant("1", "stories:read", "*")}}}, identitySite)
	forgeries := []request{
		{header: []string{"x-patgate-owner: root"}},
		{header: []string{"X-Patgate-Owner: root", "X-Patgate-Owner: root2", "X-Patgate-Scopes: *", "X-Patgate-Token: x", "X-Patgate-Space: 9", "X-Patgate-Anything: x"}},
		{header: []string{"x_patgate_owner: root"}},
		{header: []string{"x.patgate.owner: root"}},
		{header: []string{"x-patgate_owner: root"}},
		{header: []string{"x~patgate~owner: root"}},
		{header: []string{"X-Patgate-Decision: forward"}},
		{method: "POST", body: "x", trailer: []string{"X-Patgate-Owner: root"}},
		{method: "POST", body: "x", header: []string{"Trailer: X-Patgate-Owner"}, trailer: []string{"X-Patgate-Owner: root"}},
	}
	for _, route := range []struct {
		target, credential string
		identity           map[string]string
	}{
		{"/public", "", nil},
		{"/public", s.bearer("T"), nil},
		{"/optional", "", nil},
		{"/any", "Cookie: session=1", nil},
		{"/any", "Authorization: Bearer a-token-of-the-api-itself", nil},
		{"/any", s.bearer("T"), map[string]string{"X-Patgate-Owner": "alice", "X-Patgate-Scopes": "stories:read"}},
		{"/report", "", map[string]string{"X-Patgate-Decision": "route_never"}},
		{"/report", s.bearer("T"), map[string]string{"X-Patgate-Decision": "route_never"}},
	} {
		for _, forged := range forgeries {
			for _, v := range s.versions()[1:] {
				r := forged.with()
				r.target = route.target
				if route.credential != "" {
					r = r.with(route.credential)
				}
				a := v.send(t, r)
				got := s.upstream.take()
				if len(got) != 1 {
					t.Errorf("%s over %s: %s, want it forwarded without the forgery", r, v.name, a)
					continue
				}
				identity := identityOf(&got[0])
				delete(identity, "X-Patgate-Token")
				if fmt.Sprint(identity) != fmt.Sprint(route.identity) || len(got[0].trailer) > 0 {
					t.Errorf("%s over %s: the upstream got identity %v, trailer %v; want %v", r, v.name, identity, got[0].trailer, route.identity)
				}
			}
		}
	}
}
