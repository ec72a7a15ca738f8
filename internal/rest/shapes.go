package rest

import (
	"net/http"
	"net/url"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// TokenPage is the answer to a list.
type TokenPage struct {
	Tokens []token.View `json:"tokens"`
	Next   string       `json:"next"` // the cursor of the next page; empty after the last
}

// NewTokenPage returns a page of tokens as view shows them.
func NewTokenPage(tokens []*token.Token, next string, view func(*token.Token) token.View) TokenPage {
	page := TokenPage{Tokens: make([]token.View, len(tokens)), Next: next}
	for i, t := range tokens {
		page.Tokens[i] = view(t)
	}
	return page
}

// TokenQuery reads which tokens are to be listed.
func TokenQuery(params url.Values) (registry.Query, error) {
	limit, cursor, err := Page(params)
	return registry.Query{
		Owner: Owner(params), Status: params.Get("status"), Space: params.Get("space"), Scope: params.Get("scope"), Text: params.Get("text"),
		Expiring: params.Get("expiring"), Unused: params.Get("unused"), Sort: params.Get("sort"), Limit: limit, Cursor: cursor,
	}, err
}

// Owner returns the query parameter owner; nil: not given. An empty one stands for
// tokens without an owner.
func Owner(params url.Values) *string {
	if owner, given := params["owner"]; given {
		return &owner[0]
	}
	return nil
}

// EventPage is the answer to a list of events.
type EventPage struct {
	Events []registry.Event `json:"events"`
	// Next is the cursor of the next page, empty after the last; for a list behind
	// an event, what to give as after next time.
	Next string `json:"next"`
}

// NewEventPage returns a page of events.
func NewEventPage(events []registry.Event, next string) EventPage {
	return EventPage{append([]registry.Event{}, events...), next}
}

// EventQuery reads which events are to be listed.
func EventQuery(params url.Values) (registry.EventQuery, error) {
	limit, cursor, err := Page(params)
	return registry.EventQuery{TokenID: params.Get("token"), Owner: Owner(params), Before: cursor, After: params.Get("after"), Limit: limit}, err
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

// Chosen says which tokens are to be ended: those of an owner, or those with some ids.
type Chosen struct {
	Owner *string  `json:"owner"`
	IDs   []string `json:"ids"`
}

// Check refuses what chooses in both ways, or in neither. How says how to choose.
func (c *Chosen) Check(how string) error {
	if (c.Owner == nil) == (c.IDs == nil) {
		return Refuse(http.StatusBadRequest, "say which tokens: %s", how)
	}
	return nil
}

// ChosenBy reads from a query which tokens are to be deleted.
func ChosenBy(params url.Values) (c Chosen, err error) {
	c = Chosen{Owner(params), params["id"]}
	return c, c.Check("with the query parameter owner, or with id, which may be repeated")
}

// TokenSecret is the answer to what makes a secret: the only one that has one.
type TokenSecret struct {
	Token  token.View `json:"token"`
	Secret string     `json:"secret"`
}

// Complete reports whether the answer is one at all.
func (t *TokenSecret) Complete() bool { return t.Secret != "" }

// Revocation is the answer to what revokes tokens.
type Revocation struct {
	Revoked  []string `json:"revoked"`
	Gateways Gateways `json:"gateways"`
}

// Complete reports whether the answer is one at all.
func (r *Revocation) Complete() bool { return r.Revoked != nil }

// NewRevocation returns the answer about tokens that were revoked.
func NewRevocation(ids []string, g Gateways) Revocation {
	return Revocation{append([]string{}, ids...), g}
}

// Deletion is the answer to what deletes tokens.
type Deletion struct {
	Deleted  []string `json:"deleted"`
	Gateways Gateways `json:"gateways"`
}

// Complete reports whether the answer is one at all.
func (d *Deletion) Complete() bool { return d.Deleted != nil }

// NewDeletion returns the answer about tokens that were deleted.
func NewDeletion(ids []string, g Gateways) Deletion { return Deletion{append([]string{}, ids...), g} }

// Gateways says how many gateways have taken a change in.
type Gateways struct {
	Acknowledged int `json:"acknowledged"`
	Pending      int `json:"pending"`
	// Unknown says that nobody can tell how many others there are, and whether they
	// have: the store could not be asked.
	Unknown bool `json:"unknown,omitempty"`
}
