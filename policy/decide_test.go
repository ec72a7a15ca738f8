package policy

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func BenchmarkDecide(b *testing.B) {
	catalog, _ := NewCatalog([]Scope{{Name: "stories:read"}, {Name: "stories:write", Implies: []string{"stories:read"}}})
	p, err := Compile(Config{Routes: []RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/v1/spaces/{space}/stories/{id}", Require: "stories:read"},
		{Methods: []string{"PUT"}, Pattern: "/v1/spaces/{space}/stories/{id}", Require: "stories:write"},
	}}, catalog)
	if err != nil {
		b.Fatal(err)
	}
	s := &Subject{Owner: NewOwner("alice", nil), Grants: NewGrants([]token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:*"}, Resources: []string{"*"}}})}
	now := time.Now()
	req := Request{Method: "GET", Path: "/v1/spaces/1/stories/42", Header: http.Header{"Authorization": {"Bearer pat_abc"}}}
	b.ReportAllocs()
	for b.Loop() {
		var m Match
		p.Match(&req, &m)
		if m.Reason != Forward {
			b.Fatal(m.Detail)
		}
		if r := m.Decide(s, now, netip.Addr{}); r != Forward {
			b.Fatal(r)
		}
	}
}
