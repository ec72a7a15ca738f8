package rest

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// Call is a request under way.
type Call struct {
	W        http.ResponseWriter
	R        *http.Request
	Params   url.Values // of the query
	Account  *registry.Account
	TokensAt string                 // where tokens are, for Location
	Body     func() ([]byte, error) // is ReadBody
	Problem  func(error) *Problem   // is ProblemOf, and tells of errors of the store
	Gateways func() Gateways        // that have taken in what was done just now

	Status int // of an answer that is not an error
}

// TokenRoute is a route that both interfaces have, each below a path of its own.
type TokenRoute struct {
	Method, Path string
	Params       string // the query parameters it takes, separated by blanks; a + after one says that it may be repeated
	Ends         bool   // it ends tokens: the answer says which gateways know
	Serve        func(*Call) (answer any, err error)
}

// TokenRoutes are those routes.
var TokenRoutes = []TokenRoute{
	{"GET", "/tokens", "owner unowned status space scope text expiring unused sort limit cursor", false, (*Call).list},
	{"POST", "/tokens", "", false, (*Call).create},
	{"DELETE", "/tokens", "owner id+", true, (*Call).deleteMany},
	{"POST", "/tokens/revoke", "", true, (*Call).revokeMany},
	{"POST", "/tokens/delete", "", true, (*Call).deleteChosen}, // more ids than a URL has room for
	{"GET", "/tokens/{id}", "", false, (*Call).show},
	{"PATCH", "/tokens/{id}", "", false, (*Call).update},
	{"DELETE", "/tokens/{id}", "", true, (*Call).delete},
	{"POST", "/tokens/{id}/revoke", "", true, (*Call).revoke},
	{"POST", "/tokens/{id}/regenerate", "", false, (*Call).regenerate},
	{"POST", "/tokens/{id}/grants", "", false, (*Call).addGrant},
	{"DELETE", "/tokens/{id}/grants", "", false, (*Call).removeAllGrants},
	{"DELETE", "/tokens/{id}/grants/{n}", "", false, (*Call).removeGrant},
}

func (c *Call) id() string { return c.R.PathValue("id") }

// Decode reads the body into v, strictly. Errors are Problems or the registry's refusals.
func (c *Call) Decode(v any) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	return registry.Decode(body, v)
}

// DecodeOptional is Decode of a body that may be absent.
func (c *Call) DecodeOptional(v any) error {
	body, err := c.Body()
	if err != nil || len(body) == 0 {
		return err
	}
	return registry.Decode(body, v)
}

// NoBody refuses a body that says something: what it said would not be done.
func (c *Call) NoBody() error {
	var nothing struct{}
	return c.DecodeOptional(&nothing)
}

// View is the answer with a token.
func (c *Call) View(t *token.Token, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return c.Account.View(t), nil
}

func (c *Call) secret(t *token.Token, secret string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return TokenSecret{Token: c.Account.View(t), Secret: secret, Warnings: c.Account.Warnings(c.R.Context(), t)}, nil
}

func (c *Call) revoked(ids []string, err error) (any, error) {
	if err != nil {
		return nil, c.Problem(err).halfDone("revoked", ids)
	}
	return Revocation{append([]string{}, ids...), c.Gateways()}, nil
}

func (c *Call) deleted(ids []string, err error) (any, error) {
	if err != nil {
		return nil, c.Problem(err).halfDone("deleted", ids)
	}
	return Deletion{append([]string{}, ids...), c.Gateways()}, nil
}

func (c *Call) list() (any, error) {
	limit, cursor, err := Page(c.Params)
	if err != nil {
		return nil, err
	}
	owner, err := listedOwner(c.Params)
	if err != nil {
		return nil, err
	}
	get := c.Params.Get
	tokens, next, err := c.Account.List(c.R.Context(), registry.Query{
		Owner: owner, Status: get("status"), Space: get("space"), Scope: get("scope"), Text: get("text"),
		Expiring: get("expiring"), Unused: get("unused"), Sort: get("sort"), Limit: limit, Cursor: cursor,
	})
	if err != nil {
		return nil, err
	}
	page := TokenPage{Tokens: make([]token.View, len(tokens)), Next: next}
	for i, t := range tokens {
		page.Tokens[i] = c.Account.View(t)
	}
	return page, nil
}

func (c *Call) create() (any, error) {
	var n registry.NewToken
	if err := c.Decode(&n); err != nil {
		return nil, err
	}
	t, secret, err := c.Account.Create(c.R.Context(), n)
	if err == nil {
		c.Status = http.StatusCreated
		c.W.Header().Set("Location", c.TokensAt+t.ID)
	}
	return c.secret(t, secret, err)
}

func (c *Call) show() (any, error) { return c.View(c.Account.Get(c.R.Context(), c.id())) }

func (c *Call) update() (any, error) {
	var changes registry.Changes
	if err := c.Decode(&changes); err != nil {
		return nil, err
	}
	return c.View(c.Account.Update(c.R.Context(), c.id(), changes))
}

func (c *Call) regenerate() (any, error) {
	var n registry.Renewal
	if err := c.DecodeOptional(&n); err != nil {
		return nil, err
	}
	return c.secret(c.Account.Regenerate(c.R.Context(), c.id(), n))
}

func (c *Call) addGrant() (any, error) {
	var g token.Grant
	if err := c.Decode(&g); err != nil {
		return nil, err
	}
	return c.View(c.Account.AddGrant(c.R.Context(), c.id(), g))
}

func (c *Call) removeGrant() (any, error) {
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	n, err := GrantNumber(c.R.PathValue("n"))
	if err != nil {
		return nil, err
	}
	return c.View(c.Account.RemoveGrant(c.R.Context(), c.id(), n, nil))
}

// GrantNumber reads the number of a grant. One is written in one way only.
func GrantNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || strconv.Itoa(n) != s {
		return 0, Refuse(http.StatusBadRequest, "grant %q: want its number, counted from 1", s)
	}
	return n, nil
}

func (c *Call) removeAllGrants() (any, error) {
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	return c.View(c.Account.RemoveAllGrants(c.R.Context(), c.id()))
}

func (c *Call) revoke() (any, error) {
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	return c.revoked(c.Account.Revoke(c.R.Context(), c.id()))
}

// chosen says which tokens are to be ended: those of an owner, or those with some ids.
type chosen struct {
	Owner *string  `json:"owner"`
	IDs   []string `json:"ids"`
}

// check refuses what chooses in both ways, or in neither. how says how to choose.
func (c *chosen) check(how string) error {
	if (c.Owner == nil) == (c.IDs == nil) {
		return Refuse(http.StatusBadRequest, "say which tokens: %s", how)
	}
	return nil
}

// chosenInBody reads which tokens are to be ended.
func (c *Call) chosenInBody() (which chosen, err error) {
	if err := c.Decode(&which); err != nil {
		return which, err
	}
	return which, which.check("owner or ids")
}

// revokeMany revokes several tokens: those of an owner, or those with the ids
// given, all of which must be there.
func (c *Call) revokeMany() (any, error) {
	which, err := c.chosenInBody()
	if err != nil {
		return nil, err
	}
	if which.Owner != nil {
		return c.revoked(c.Account.RevokeOwner(c.R.Context(), *which.Owner))
	}
	return c.revoked(c.Account.Revoke(c.R.Context(), which.IDs...))
}

func (c *Call) delete() (any, error) {
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	return c.deleted(c.Account.Delete(c.R.Context(), c.id()))
}

// deleteChosen deletes several tokens, chosen as in revokeMany.
func (c *Call) deleteChosen() (any, error) {
	which, err := c.chosenInBody()
	if err != nil {
		return nil, err
	}
	return c.deleteAll(which)
}

// deleteMany is deleteChosen for clients that say in the query what they choose.
func (c *Call) deleteMany() (any, error) {
	if err := c.NoBody(); err != nil {
		return nil, err
	}
	which := chosen{IDs: c.Params["id"]}
	if owner, given := c.Params["owner"]; given {
		which.Owner = &owner[0]
	}
	if err := which.check("with the query parameter owner, or with id, which may be repeated"); err != nil {
		return nil, err
	}
	return c.deleteAll(which)
}

func (c *Call) deleteAll(which chosen) (any, error) {
	if which.Owner != nil {
		return c.deleted(c.Account.DeleteOwnerTokens(c.R.Context(), *which.Owner))
	}
	return c.deleted(c.Account.Delete(c.R.Context(), which.IDs...))
}
