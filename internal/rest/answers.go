package rest

import (
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// TokenPage is the answer to a list.
type TokenPage struct {
	Tokens []token.View `json:"tokens"`
	Next   string       `json:"next"` // the cursor of the next page; empty after the last
}

// Scopes is the answer about a catalog.
type Scopes struct {
	Scopes   []policy.Scope `json:"scopes"`
	Complete bool           `json:"complete"` // there are no others
}

// NewScopes returns the scopes of a catalog, without where they are written.
func NewScopes(c *policy.Catalog) Scopes {
	scopes := c.Scopes()
	for i := range scopes {
		scopes[i].At = ""
	}
	return Scopes{scopes, c.Complete()}
}

// TokenSecret is the answer to what makes a secret: the only one that has one.
type TokenSecret struct {
	Token  token.View `json:"token"`
	Secret string     `json:"secret"`
	// Warnings are for operators: why the token can't do what it says.
	Warnings []string `json:"warnings,omitempty"`
}

// Revocation is the answer to what revokes tokens.
type Revocation struct {
	Revoked  []string `json:"revoked"`
	Gateways Gateways `json:"gateways"`
}

// Deletion is the answer to what deletes tokens.
type Deletion struct {
	Deleted  []string `json:"deleted"`
	Gateways Gateways `json:"gateways"`
}
