package policy

import "errors"

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

// errNotExpanded is for documents whose routes would be missing.
var errNotExpanded = errors.New("openapi: the document wasn't turned into routes")
