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
//
// Where to find what:
//
//   - what an operator writes: config.go, compile.go, route.go, pattern.go,
//     requirement.go, source.go, credential.go, errorbody.go, openapi.go,
//     placeholder.go; the catalog of scopes: catalog.go
//   - the way of a request: match.go, and on it path.go, query.go, header.go,
//     override.go, charset.go, credential.go; the tree: tree.go, number.go
//   - what some servers would make of it: alike.go, a second look; what that looks at in
//     otherpaths.go (paths), spelled.go (one segment) and typed.go (what it is read as);
//     repeated.go (keys of the query)
//   - the verdict: decide.go, subject.go, reason.go
//   - the token out of what is forwarded: strip.go
//   - what operators are told: check.go, diff.go, explain.go, cases.go
package policy
