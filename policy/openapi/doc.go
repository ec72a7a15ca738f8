// Package openapi makes routes out of OpenAPI documents.
//
// [Read] reads a document; [Expand] puts the routes of all documents that a
// [policy.Config] names in their places, and [Document.WriteSnippet] writes them as
// the part of a Caddyfile, to be edited by hand. [Compare] says where a document
// and a policy differ.
//
// An operation's security requirements become its requirement: those in the list are
// alternatives (OR), the schemes in one of them are needed together (AND), and the result must
// be expressible as an AND of ORs, as policies have it. Where the document doesn't say what an
// operation needs, the configuration must: nothing is open, or open to any token, because
// something was left out.
//
// Where to find what:
//
//   - out of files: parse.go (YAML and JSON), shape.go and cut.go (what is kept of them, with
//     references resolved), read.go (the document), servers.go (base paths)
//   - an operation's route: route.go, pattern.go, security.go (its requirement), scheme.go
//     (where its credentials are)
//   - what the configuration says: rules.go; what that must say, and doesn't: gap.go
//   - what becomes of it: expand.go, snippet.go, compare.go
package openapi
