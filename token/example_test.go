package token_test

import (
	"fmt"
	"time"

	"github.com/patgate/patgate/token"
)

// The secret goes to the client, its digest into the record.
func Example() {
	const prefix = "pat"
	now := time.Date(2026, time.November, 22, 10, 0, 0, 0, time.UTC)
	secret := token.NewSecret(prefix)
	hasher := token.NewHasher("") // no pepper: plain SHA-256
	t := token.Token{
		ID: token.NewID(now), Name: "ci", Owner: "alice", Hint: token.HintOf(prefix, secret), Digest: hasher.Digest(secret),
		Grants:    []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:*"}, Resources: []string{token.All}}},
		CreatedAt: now, ExpiresAt: now.Add(90 * 24 * time.Hour),
	}
	fmt.Println(t.Validate())

	fmt.Println(token.Inspect(prefix, secret) == token.WellMade, hasher.Digest(secret) == t.Digest)
	fmt.Println(token.MatchScope("stories:*", "stories:read"), t.Status(now), t.Status(t.ExpiresAt))
	// Output:
	// <nil>
	// true true
	// true active expired
}

// A mistyped secret is known without a lookup; one of another system is looked up
// as it is.
func ExampleInspect() {
	secret := token.NewSecret("pat")
	mistyped := secret[:len(secret)-1] + "-"
	fmt.Println(token.Inspect("pat", secret) == token.WellMade)
	fmt.Println(token.Inspect("pat", mistyped) == token.Malformed)
	fmt.Println(token.Inspect("pat", "ghp_16C7e42F292c6912E7710c838347Ae178B4a") == token.Foreign)
	// Output:
	// true
	// true
	// true
}
