package policy_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// A policy is compiled once. Each request is matched against it, and the token
// found in the request is judged by what it holds.
func Example() {
	catalog, err := policy.NewCatalog([]policy.Scope{
		{Name: "stories:read"},
		{Name: "stories:write", Implies: []string{"stories:read"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := policy.Compile(policy.Config{
		Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/health", Require: "public"}},
		Groups: []policy.GroupConfig{{Prefix: "/v1/spaces/{space}", Routes: []policy.RouteConfig{
			{Methods: []string{"GET"}, Pattern: "/stories", Require: "stories:read"},
			{Methods: []string{"DELETE"}, Pattern: "/stories/{id}", Require: "stories:write"},
		}}},
	}, catalog)
	if err != nil {
		fmt.Println(err)
		return
	}

	// What a cache or a store says of the secret S: alice's token, which may read in space 1.
	record := &token.Token{ID: "t1", Owner: "alice", Grants: []token.Grant{
		{Spaces: []string{"1"}, Scopes: []string{"stories:read"}, Resources: []string{token.All}},
	}}
	subject := policy.NewSubject(record, policy.NewOwner(record.Owner, nil), policy.NewGrants(record.Grants))

	for _, sent := range []struct{ method, target, secret string }{
		{"GET", "/health", ""},
		{"GET", "/v1/spaces/1/stories", ""},
		{"GET", "/v1/spaces/1/stories", "S"},
		{"DELETE", "/v1/spaces/1/stories/7", "S"},
		{"GET", "/v1/spaces/2/stories", "S"},
		{"GET", "/v1/spaces/1%2F..%2F2/stories", "S"},
	} {
		r := httptest.NewRequest(sent.method, sent.target, nil)
		if sent.secret != "" {
			r.Header.Set("Authorization", "Bearer "+sent.secret)
		}
		policy.CleanHeader(r.Header)
		req := policy.NewRequest(r)
		var m policy.Match
		p.Match(&req, &m)
		reason := m.Reason
		if m.NeedsDecision() { // here m.Secret would be looked up
			reason = m.Decide(&subject, time.Now(), netip.MustParseAddr("192.0.2.1"))
		}
		fmt.Printf("%-6s %-29s %s\n", sent.method, sent.target, reason)
	}
	// Output:
	// GET    /health                       forward
	// GET    /v1/spaces/1/stories          token_missing
	// GET    /v1/spaces/1/stories          forward
	// DELETE /v1/spaces/1/stories/7        scope_missing
	// GET    /v1/spaces/2/stories          space_not_granted
	// GET    /v1/spaces/1%2F..%2F2/stories ambiguous_request
}

// Mistakes in a configuration are found all at once, each with its place.
func ExampleCompile_mistakes() {
	catalog, err := policy.NewCatalog([]policy.Scope{{Name: "stories:read"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = policy.Compile(policy.Config{Routes: []policy.RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/stories", Require: "stories:raed", At: "Caddyfile:3"},
		{Methods: []string{"GET"}, Pattern: "stories/{id}", Require: "any", At: "Caddyfile:4"},
	}}, catalog)
	fmt.Println(err)
	// Output:
	// Caddyfile:3: requirement "stories:raed": scope stories:raed is not in the catalog; did you mean stories:read?
	// Caddyfile:4: pattern "stories/{id}": want a path, which begins with /
}
