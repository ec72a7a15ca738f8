package console

import (
	_ "embed"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// apiRoutes returns the JSON API: that of the admin endpoint, in the same shapes,
// as far as whoever is signed in may use it.
func apiRoutes() []route {
	routes := []route{
		{"GET /api/openapi.json", "", (*call).apiDocument},
		{"GET /api/me", "", inJSON((*call).apiMe)},
		{"GET /api/scopes", "", inJSON((*call).apiScopes)},
		{"GET /api/events", "token owner unowned since limit cursor after", inJSON((*call).apiEvents)},
	}
	for _, r := range rest.TokenRoutes {
		routes = append(routes, route{r.Method + " /api" + r.Path, r.Params, inJSON(func(c *call) (any, error) { return r.Serve(&c.Call) })})
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

// inJSON answers with what f returns.
func inJSON(f func(*call) (answer any, err error)) func(*call) error {
	return func(c *call) error {
		answer, err := f(c)
		if err != nil {
			return err
		}
		return rest.Answer(c.W, "application/json", c.Status, answer)
	}
}

// me says who is signed in, and what they may do.
type me struct {
	Owner     string        `json:"owner"`
	Admin     bool          `json:"admin"`
	MayCreate bool          `json:"may_create"`
	MaxTokens int           `json:"max_tokens"` // 0: any number
	Grants    []token.Grant `json:"grants"`     // a ceiling for the owner's tokens
}

func (c *call) apiMe() (any, error) {
	o := c.Account.Owner()
	return me{
		Owner: o.ID, Admin: o.Admin, MayCreate: o.MayCreate, MaxTokens: o.MaxTokens,
		Grants: token.ViewGrants(o.Grants),
	}, nil
}

func (c *call) apiScopes() (any, error) { return rest.NewScopes(c.Catalog), nil }

func (c *call) apiEvents() (any, error) { return c.Events() }
