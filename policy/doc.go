// Package policy says what a request needs and whether a token has it.
//
// A [Config] is what an operator writes: routes, groups, scopes, where a
// request's space and resource are found. [Compile] turns it into a [Policy]:
// a tree of path segments in which a request finds its route in time that
// depends on the depth of its path, not on the number of routes.
//
// A request is judged in one pass. [Policy.Match] refuses what two servers
// could read differently, finds the route and what it requires, and takes the
// secret out of the request; [Match.Decide] compares the requirement with what
// the token, a [Subject], may do. The gate, explain and the policy tests all run
// these two.
//
// Nothing here keeps a verdict: the answer is worked out afresh for each
// request, out of what the token is at that moment.
package policy
