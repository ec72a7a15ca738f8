// Package policy says what a request needs and whether a token has it.
//
// A [Config] is what an operator writes: routes, groups, scopes, where a
// request's space and resource are found. [Compile] turns it into a [Policy]:
// a tree of path segments in which a request finds its route in time that
// depends on the depth of its path, not on the number of routes.
//
// A request is judged in one pass. [Policy.Match] refuses what two servers
// could read differently, finds the route and what it requires, and takes the
// secret from the request; [Match.Decide] compares the requirement with what
// the token, a [Subject], may do. The gate, explain and policy tests all run
// these two.
//
// No verdict is ever kept: each request is judged by what the token is at that
// moment.
//
// Where to find what:
//
//   - what an operator writes: config.go; compiled: policy.go, compile.go, settings.go,
//     route.go, method.go, pattern.go, condition.go (on the query), requirement.go,
//     source.go (of spaces and resources), credential.go, errorbody.go; the catalog of
//     scopes: catalog.go
//   - the way of a request: request.go, header.go, match.go, and on it path.go (taken
//     apart), pathsegment.go (what can't be in it), query.go, charset.go, override.go (by
//     the query), websocket.go, preflight.go, take.go; the tree of routes: tree.go,
//     conflict.go
//   - requests that some servers find on another route, which are refused: secondlook.go, a
//     second walk through the tree, and secondlook_*.go: other ways to take a path apart
//     (readings, files, query), to find it elsewhere, and to compare literals
//   - values that are numbers, booleans or UUIDs: typed.go; keys that the query repeats:
//     repeated.go
//   - the verdict: decide.go, subject.go, grants.go, reason.go; which grant would change
//     it: wanted.go
//   - tokens removed from what is forwarded: strip.go
//   - what operators are told: warnings.go, scopewarnings.go, diff.go, sample.go,
//     explain.go, cases.go
//   - bytes and ASCII: ascii.go
package policy
