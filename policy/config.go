package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Config is a policy as an operator writes it, in a Caddyfile or as JSON. The
// words in its strings are those of the Caddyfile.
type Config struct {
	// Realm names the protected API in challenges (RFC 9110 section 11.5). Default: patgate.
	Realm string `json:"realm,omitempty"`
	// Default is what a request needs that no route matches: deny, any or
	// public. Default: deny.
	Default string `json:"default,omitempty"`
	// ForwardToken is keep (the upstream gets the client's credentials
	// untouched) or strip. Default: keep.
	ForwardToken string `json:"forward_token,omitempty"`
	// LetThrough lists other credentials of the API: "cookie <name>", "header
	// <name>", "scheme <word>" or "bearer <beginning>*". A request that carries
	// one of them and no token is forwarded untouched.
	LetThrough []string `json:"let_through,omitempty"`
	// CORSPreflight is forward (a preflight request for a route is forwarded
	// without a token) or deny. Default: forward; deny where another proxy asks about
	// requests, and forwards them itself.
	CORSPreflight string `json:"cors_preflight,omitempty"`
	// EncodedSlash is reject, allow or data: whether a path segment may contain %2F, and
	// whether some server may split the path there (allow) or none does (data).
	// Default: reject.
	EncodedSlash string `json:"encoded_slash,omitempty"`
	// Semicolon is reject or allow: whether paths, and queries that routes
	// depend on, may contain a semicolon. Default: reject.
	Semicolon string `json:"semicolon,omitempty"`

	Settings
	Routes  []RouteConfig   `json:"routes,omitempty"`
	Groups  []GroupConfig   `json:"groups,omitempty"`
	OpenAPI []OpenAPIConfig `json:"openapi,omitempty"` // documents whose operations are routes
	At      string          `json:"at,omitempty"`      // where the policy begins: file:line
}

// Settings hold for the routes of a site, a group, or for one route. Inner ones
// win over outer ones.
type Settings struct {
	// TokenFrom lists where a token is taken from: "bearer", "bare", "basic",
	// "scheme <word>", "header <name>", "query <name>" or "cookie <name>".
	// Default: bearer and bare.
	TokenFrom []string `json:"token_from,omitempty"`
	// Mode is enforce or report. Default: enforce.
	Mode string `json:"mode,omitempty"`
	// Space is where the space of a request is found: "path.<name>",
	// "query.<name>", "header.<name>", "host.<n>", "token", "all" or "none".
	// Default: path.space where the pattern has {space}, otherwise none.
	Space string `json:"space,omitempty"`
	// Resource is where the resource of a request is found, as Space.
	// Default: none.
	Resource string `json:"resource,omitempty"`
	// ErrorBody is the body of rejections. Default: problem+json (RFC 9457).
	ErrorBody *ErrorBody `json:"error_body,omitempty"`
	// Optional means that no token is needed, but one that is sent is judged.
	Optional bool `json:"optional,omitempty"`
}

// RouteConfig is one route.
type RouteConfig struct {
	Methods []string `json:"methods"`           // upper-case, or "*" alone; GET covers HEAD
	Pattern string   `json:"pattern"`           // below the prefixes of its groups
	Require string   `json:"require,omitempty"` // "a b": both; "a|b": one of them; public, any, never. Default: any
	At      string   `json:"at,omitempty"`      // where it is written: file:line

	Settings
}

// GroupConfig is routes with a common prefix and common settings.
type GroupConfig struct {
	Prefix string `json:"prefix"`
	At     string `json:"at,omitempty"`

	Settings
	Routes  []RouteConfig   `json:"routes,omitempty"`
	Groups  []GroupConfig   `json:"groups,omitempty"`
	OpenAPI []OpenAPIConfig `json:"openapi,omitempty"` // documents whose operations are routes
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

// OpenAPIConfig is an OpenAPI document whose operations are routes. Package
// policy/openapi turns it into a group of them; [Compile] doesn't read files.
type OpenAPIConfig struct {
	File string `json:"file"` // absolute, so that it is the same file after a reload from elsewhere
	// Base is the path below which the document's paths are. Default: the path
	// of its servers.
	Base string `json:"base,omitempty"`
	// Default is the requirement of operations that say nothing of security,
	// and, unless it is public, of those whose security names no scopes.
	// Without it these are a mistake.
	Default string `json:"default,omitempty"`
	// Schemes say what a security scheme means where no scopes are named.
	Schemes []SchemeConfig `json:"schemes,omitempty"`
	// Ignore lists security schemes that aren't tokens.
	Ignore []string `json:"ignore,omitempty"`
	// Skip lists operations that become no routes.
	Skip []string `json:"skip,omitempty"`
	// Operations and Tags replace what the document says of the operation with
	// this operationId, of all operations with this tag. An operation without an
	// operationId goes by its method and path: "GET /users".
	Operations []OverrideConfig `json:"operations,omitempty"`
	Tags       []OverrideConfig `json:"tags,omitempty"`
	// Routes replace the operations with these methods and this path, without
	// the base.
	Routes []RouteConfig `json:"routes,omitempty"`
	At     string        `json:"at,omitempty"` // where it is written: file:line

	Settings
}

// SchemeConfig says what a security scheme means where no scopes are named.
type SchemeConfig struct {
	Name    string `json:"name"`
	Require string `json:"require"`
	At      string `json:"at,omitempty"`
}

// OverrideConfig says what operations need, whatever their document says.
type OverrideConfig struct {
	Name    string `json:"name"`
	Require string `json:"require"`
	At      string `json:"at,omitempty"`

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
