package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Config is a policy as an operator writes it, in a Caddyfile or as JSON. The words in its
// strings are those of the Caddyfile.
//
// The comments on its fields, and on those of what is in it, are in docs/json.md.
type Config struct {
	// The name of the API in challenges (RFC 9110 section 11.5); may be a placeholder, as
	// in "{env.REALM}". Default: "patgate".
	Realm string `json:"realm,omitempty"`
	// What a request needs if no route matches: one of "deny", "any" and
	// "public". Default: "deny".
	Default string `json:"default,omitempty"`
	// Whether the API gets the client's token: one of "keep" and "strip".
	// Default: "keep".
	ForwardToken string `json:"forward_token,omitempty"`
	// Other credentials of the API, each "cookie <name>", "header <name>", "scheme <word>"
	// or "bearer <beginning>*". A request with one of them and no token is forwarded for the
	// API to judge.
	LetThrough []string `json:"let_through,omitempty"`
	// Whether a preflight request for a route is forwarded without a token: one of
	// "forward" and "deny". Default: "forward"; "deny" with "patgate_authorize".
	CORSPreflight string `json:"cors_preflight,omitempty"`
	// Whether a path segment may contain "%2F": one of "reject", "allow" (yes, unless the
	// path is on another route when it is split there) and "data" (for an API that splits
	// paths before it decodes them). Default: "reject".
	EncodedSlash string `json:"encoded_slash,omitempty"`
	// Whether paths, and queries that routes depend on, may contain a semicolon: one of
	// "reject" and "allow". Default: "reject".
	Semicolon string `json:"semicolon,omitempty"`

	Settings
	// Routes: what requests need. The most specific one wins, whatever the order.
	Routes []RouteConfig `json:"routes,omitempty"`
	// Routes with a common prefix and common settings.
	Groups []GroupConfig `json:"groups,omitempty"`
	// OpenAPI documents whose operations are routes.
	OpenAPI []OpenAPIConfig `json:"openapi,omitempty"`
	// Where the gate is written, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`
}

// Settings stand beside the other fields of a gate, a group, a route or another object, and
// hold for the routes inside. Inner ones win over outer ones.
type Settings struct {
	// Where a token is taken from: each "bearer", "bare", "basic", "scheme <word>",
	// "header <name>", "query <name>" or "cookie <name>". Default: "bearer" and "bare".
	TokenFrom []string `json:"token_from,omitempty"`
	// One of "enforce" and "report", which forwards everything, and records what would
	// have been rejected. Default: "enforce".
	Mode string `json:"mode,omitempty"`
	// Where the space of a request is found: one of "path.<name>", "query.<name>",
	// "header.<name>", "host.<n>", "token", "all" and "none". Default: "path.space" if
	// the pattern has "{space}", else "none".
	Space string `json:"space,omitempty"`
	// Where the resource of a request is found: one of "path.<name>",
	// "query.<name>", "header.<name>", "host.<n>" and "none". Default: "none".
	Resource string `json:"resource,omitempty"`
	// The body of rejections. Default: a problem (RFC 9457).
	ErrorBody *ErrorBody `json:"error_body,omitempty"`
	// Whether no token is needed, but one that is sent is judged.
	Optional bool `json:"optional,omitempty"`
}

// RouteConfig says what requests with certain methods and a certain path need.
type RouteConfig struct {
	// The methods, in upper case, or only "*". "GET" covers "HEAD".
	Methods []string `json:"methods"`
	// The path, below the prefixes of the groups around it, and conditions on the query.
	Pattern string `json:"pattern"`
	// Scopes: "a b" for both, "a|b" for one of them; or one of "public", "any" and
	// "never". Default: "any".
	Require string `json:"require,omitempty"`
	// Where it is written, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`

	Settings
}

// GroupConfig holds routes with a common prefix and common settings.
type GroupConfig struct {
	// What the paths of all its routes begin with; may contain "{name}".
	Prefix string `json:"prefix"`
	// Where it is written, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`

	Settings
	// Routes below the prefix.
	Routes []RouteConfig `json:"routes,omitempty"`
	// Groups below the prefix.
	Groups []GroupConfig `json:"groups,omitempty"`
	// OpenAPI documents whose paths are below the prefix.
	OpenAPI []OpenAPIConfig `json:"openapi,omitempty"`
}

// OneOf checks a word of the configuration against those possible and returns
// the first of these for "".
func OneOf(what, word string, possible ...string) (string, error) {
	if word == "" {
		return possible[0], nil
	}
	if slices.Contains(possible, word) {
		return word, nil
	}
	return "", fmt.Errorf("%s %q: want %s", what, word, strings.Join(possible, ", "))
}

// OpenAPIConfig names an OpenAPI document (3.0 or later) whose operations are routes, and
// whose security is what they need.
//
// Package policy/openapi turns it into a group of them; [Compile] doesn't read files.
type OpenAPIConfig struct {
	// The document, in YAML or JSON. A relative path is relative to the directory in
	// which the server was started: write an absolute one, as the adapter does.
	File string `json:"file"`
	// The path of the API. Default: that of the document's servers.
	Base string `json:"base,omitempty"`
	// What operations without security need; unless it is "public", also those
	// whose security names no scopes. Default: such operations are an error.
	Default string `json:"default,omitempty"`
	// What security schemes need that name no scopes.
	Schemes []SchemeConfig `json:"schemes,omitempty"`
	// Security schemes that aren't tokens. An operation with no other scheme is "never".
	Ignore []string `json:"ignore,omitempty"`
	// Operations that don't become routes: operationIds, or methods and paths, as in
	// "GET /users".
	Skip []string `json:"skip,omitempty"`
	// What operations need, whatever the document says: the name is an operationId, or a
	// method and a path.
	Operations []OverrideConfig `json:"operations,omitempty"`
	// The same for all operations with a tag: the name is the tag.
	Tags []OverrideConfig `json:"tags,omitempty"`
	// The same for the operations with these methods and this path, without the base.
	// There, the requirement can't be left out.
	Routes []RouteConfig `json:"routes,omitempty"`
	// Where it is written, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`

	Settings
}

// SchemeConfig says what a security scheme needs that names no scopes.
type SchemeConfig struct {
	// The name of the security scheme in the document.
	Name string `json:"name"`
	// The requirement, as in a route.
	Require string `json:"require"`
	// Where it is written, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`
}

// OverrideConfig says what operations need, whatever their document says.
type OverrideConfig struct {
	// The operation or the tag.
	Name string `json:"name"`
	// The requirement, as in a route.
	Require string `json:"require"`
	// Where it is written, as file:line; for messages. Default: unknown.
	At string `json:"at,omitempty"`

	Settings
}

// RefusePlaceholder refuses a placeholder in a text of the configuration in which
// placeholders are not replaced: it would be taken literally.
func RefusePlaceholder(text string) error {
	found := placeholder.FindString(text)
	switch {
	case found == "":
		return nil
	case strings.HasPrefix(found, "{args["):
		return fmt.Errorf("%s: no import gives this argument", found)
	}
	return fmt.Errorf("%s isn't replaced here; an environment variable {$NAME} is", found)
}

// placeholder matches Caddy's global placeholders, and the arguments of an import that were
// left, because there are fewer.
var placeholder = regexp.MustCompile(`\{(?:(?:env|file|system|time|http)\.[^{}\s.][^{}\s]*|args\[[^{}\s]*\])\}`)

// At puts the place of a mistake before it, if it is known. No mistake stays none.
func At(place string, err error) error {
	if place == "" || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}
