package console

import (
	_ "embed"
	"net/http"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// apiRoutes returns the JSON API: that of the admin endpoint, in the same shapes,
// as far as whoever is signed in may use it.
func apiRoutes() []route {
	routes := []route{
		{"GET /api/openapi.json", "", (*call).apiDocument},
		{"GET /api/me", "", (*call).apiMe},
		{"GET /api/scopes", "", (*call).apiScopes},
		{"GET /api/events", "token owner limit cursor after", (*call).apiEvents},
	}
	for _, r := range rest.TokenRoutes {
		routes = append(routes, route{r.Method + " /api" + r.Path, r.Params, func(c *call) error { return c.tokens(r) }})
	}
	return routes
}

// document describes the API (OpenAPI 3.1).
//
//go:embed openapi.json
var document []byte

func (c *call) apiDocument() error {
	rest.Header(c.W, "application/json")
	_, err := c.W.Write(document)
	return err
}

// answer answers with v as JSON.
func (c *call) answer(status int, v any) error {
	return rest.Answer(c.W, "application/json", status, v)
}

// param returns the value of a query parameter, "" if it is absent.
func (c *call) param(name string) string { return c.Params.Get(name) }

// me says who is signed in, and what they may do.
type me struct {
	Owner     string        `json:"owner"`
	Admin     bool          `json:"admin"`
	MayCreate bool          `json:"may_create"`
	MaxTokens int           `json:"max_tokens"` // 0: any number
	Grants    []token.Grant `json:"grants"`     // a ceiling for the owner's tokens
}

func (c *call) apiMe() error {
	o := c.Account.Owner()
	return c.answer(http.StatusOK, me{
		Owner: o.ID, Admin: o.Admin, MayCreate: o.MayCreate, MaxTokens: o.MaxTokens,
		Grants: token.ViewGrants(o.Grants),
	})
}

func (c *call) apiScopes() error {
	return c.answer(http.StatusOK, rest.NewScopes(c.Catalog))
}

func (c *call) apiEvents() error {
	q, err := rest.EventQuery(c.Params)
	if err != nil {
		return err
	}
	events, next, err := c.Account.Events(c.R.Context(), q)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, rest.NewEventPage(events, next))
}

// tokens answers a request that the admin endpoint has as well.
func (c *call) tokens(r rest.TokenRoute) error {
	answer, err := r.Serve(&c.Call)
	if err != nil {
		return err
	}
	return c.answer(c.Status, answer)
}
