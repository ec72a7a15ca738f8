package test

import (
	"fmt"
	"testing"
)

const forgedSite = `
	patgate {
		let_through cookie session
		unknown_token forward until 2999-12-31
		route GET,POST /public public
		route GET,POST /optional any {
			optional
		}
		route GET,POST /any any
		route GET,POST /report never {
			mode report
		}
	}
	reverse_proxy {$UPSTREAM}`

// No version of HTTP and no mode has a way for a client to say who it is: on
// public, optional and ordinary routes, in report mode, for what is let through
// and for unknown tokens that are forwarded.
func TestForgedInEveryVersion(t *testing.T) {
	t.Parallel()
	s := startSecure(t, setup{tokens: []known{{name: "T", owner: "alice", grants: grant("1", "stories:read", "*")}}}, forgedSite)
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
			for _, v := range s.versions() {
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
