package console

import (
	_ "embed"
	"net/http"
	"strconv"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// apiRoutes returns the JSON API: that of the admin endpoint, in the same shapes,
// as far as whoever is signed in may use it.
func apiRoutes() []route {
	return []route{
		{"GET /api/openapi.json", "", (*call).apiDocument},
		{"GET /api/me", "", (*call).apiMe},
		{"GET /api/scopes", "", (*call).apiScopes},
		{"GET /api/events", "token owner limit cursor after", (*call).apiEvents},
		{"GET /api/tokens", "owner status space scope text expiring unused sort limit cursor", (*call).apiList},
		{"POST /api/tokens", "", (*call).apiCreate},
		{"DELETE /api/tokens", "owner id+", (*call).apiDeleteMany},
		{"POST /api/tokens/revoke", "", (*call).apiRevokeMany},
		{"GET /api/tokens/{id}", "", (*call).apiShow},
		{"PATCH /api/tokens/{id}", "", (*call).apiUpdate},
		{"DELETE /api/tokens/{id}", "", (*call).apiDelete},
		{"POST /api/tokens/{id}/revoke", "", (*call).apiRevoke},
		{"POST /api/tokens/{id}/regenerate", "", (*call).apiRegenerate},
		{"POST /api/tokens/{id}/grants", "", (*call).apiAddGrant},
		{"DELETE /api/tokens/{id}/grants", "", (*call).apiRemoveAllGrants},
		{"DELETE /api/tokens/{id}/grants/{n}", "", (*call).apiRemoveGrant},
	}
}

// document describes the API (OpenAPI 3.1).
//
//go:embed openapi.json
var document []byte

func (c *call) apiDocument() error {
	rest.Header(c.w, "application/json")
	_, err := c.w.Write(document)
	return err
}

// answer answers with v as JSON.
func (c *call) answer(status int, v any) error {
	return rest.Answer(c.w, "application/json", status, v)
}

// answerToken answers with a token.
func (c *call) answerToken(t *token.Token, err error) error {
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, c.account.View(t))
}

// answerRevoked answers with what was revoked.
func (c *call) answerRevoked(ids []string, err error) error {
	if err != nil {
		return c.problemOf(c.r, err).HalfDone("revoked", ids)
	}
	return c.answer(http.StatusOK, rest.NewRevocation(ids, c.Acknowledged(c.r.Context())))
}

// answerDeleted answers with what was deleted.
func (c *call) answerDeleted(ids []string, err error) error {
	if err != nil {
		return c.problemOf(c.r, err).HalfDone("deleted", ids)
	}
	return c.answer(http.StatusOK, rest.NewDeletion(ids, c.Acknowledged(c.r.Context())))
}

// decode reads the body, strictly.
func (c *call) decode(v any, optional bool) error {
	return rest.Decode(c.w, c.r, v, optional)
}

// noBody refuses a body that says something: what it said would not be done.
func (c *call) noBody() error {
	var nothing struct{}
	return c.decode(&nothing, true)
}

// param returns the value of a query parameter, "" if it is absent.
func (c *call) param(name string) string { return c.params.Get(name) }

// me says who is signed in, and what they may do.
type me struct {
	Owner     string        `json:"owner"`
	Admin     bool          `json:"admin"`
	MayCreate bool          `json:"may_create"`
	MaxTokens int           `json:"max_tokens"` // 0: any number
	Grants    []token.Grant `json:"grants"`     // a ceiling for the owner's tokens
}

func (c *call) apiMe() error {
	o := c.account.Owner()
	return c.answer(http.StatusOK, me{
		Owner: o.ID, Admin: o.Admin, MayCreate: o.MayCreate, MaxTokens: o.MaxTokens,
		Grants: (&token.Token{Grants: o.Grants}).View(c.now).Grants,
	})
}

func (c *call) apiScopes() error {
	return c.answer(http.StatusOK, rest.NewScopes(c.Catalog))
}

func (c *call) apiEvents() error {
	q, err := rest.EventQuery(c.params)
	if err != nil {
		return err
	}
	events, next, err := c.account.Events(c.r.Context(), q)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, rest.NewEventPage(events, next))
}

func (c *call) apiList() error {
	q, err := rest.TokenQuery(c.params)
	if err != nil {
		return err
	}
	tokens, next, err := c.account.List(c.r.Context(), q)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, rest.NewTokenPage(tokens, next, c.account.View))
}

func (c *call) apiCreate() error {
	var n registry.NewToken
	if err := c.decode(&n, false); err != nil {
		return err
	}
	t, secret, err := c.account.Create(c.r.Context(), n)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "tokens/"+t.ID) // relative: the console doesn't know where it is
	return c.answer(http.StatusCreated, rest.TokenSecret{Token: c.account.View(t), Secret: secret})
}

func (c *call) apiShow() error { return c.answerToken(c.visible()) }

func (c *call) apiUpdate() error {
	var changes registry.Changes
	if err := c.decode(&changes, false); err != nil {
		return err
	}
	return c.answerToken(c.account.Update(c.r.Context(), c.r.PathValue("id"), changes))
}

func (c *call) apiAddGrant() error {
	var g token.Grant
	if err := c.decode(&g, false); err != nil {
		return err
	}
	return c.answerToken(c.account.AddGrant(c.r.Context(), c.r.PathValue("id"), g))
}

func (c *call) apiRemoveGrant() error {
	if err := c.noBody(); err != nil {
		return err
	}
	n, err := strconv.Atoi(c.r.PathValue("n"))
	if err != nil {
		return rest.Refuse(http.StatusBadRequest, "grant %q: want its number, counted from 1", c.r.PathValue("n"))
	}
	return c.answerToken(c.account.RemoveGrant(c.r.Context(), c.r.PathValue("id"), n))
}

func (c *call) apiRemoveAllGrants() error {
	if err := c.noBody(); err != nil {
		return err
	}
	return c.answerToken(c.account.RemoveAllGrants(c.r.Context(), c.r.PathValue("id")))
}

func (c *call) apiRegenerate() error {
	var n registry.Renewal
	if err := c.decode(&n, true); err != nil {
		return err
	}
	t, secret, err := c.account.Regenerate(c.r.Context(), c.r.PathValue("id"), n)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, rest.TokenSecret{Token: c.account.View(t), Secret: secret})
}

func (c *call) apiRevoke() error {
	if err := c.noBody(); err != nil {
		return err
	}
	return c.answerRevoked(c.account.Revoke(c.r.Context(), c.r.PathValue("id")))
}

// apiRevokeMany revokes all tokens of an owner, or those with the ids given, all
// of which must be there.
func (c *call) apiRevokeMany() error {
	var chosen rest.Chosen
	if err := c.decode(&chosen, false); err != nil {
		return err
	}
	if err := chosen.Check("owner or ids"); err != nil {
		return err
	}
	if chosen.Owner != nil {
		return c.answerRevoked(c.account.RevokeOwner(c.r.Context(), *chosen.Owner))
	}
	return c.answerRevoked(c.account.Revoke(c.r.Context(), chosen.IDs...))
}

func (c *call) apiDelete() error {
	if err := c.noBody(); err != nil {
		return err
	}
	return c.answerDeleted(c.account.Delete(c.r.Context(), c.r.PathValue("id")))
}

// apiDeleteMany deletes several tokens, chosen as in apiRevokeMany.
func (c *call) apiDeleteMany() error {
	if err := c.noBody(); err != nil {
		return err
	}
	chosen, err := rest.ChosenBy(c.params)
	if err != nil {
		return err
	}
	if chosen.Owner != nil {
		return c.answerDeleted(c.account.DeleteOwnerTokens(c.r.Context(), *chosen.Owner))
	}
	return c.answerDeleted(c.account.Delete(c.r.Context(), chosen.IDs...))
}
