package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/internal/rest"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is the management API on Caddy's admin endpoint.
//
// It holds nothing: Caddy makes it before the apps, and it may outlive a configuration that
// failed.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.patgate", New: func() caddy.Module { return new(adminAPI) }}
}

// adminRoute is a route of the management API.
type adminRoute struct {
	pattern string // of http.ServeMux
	params  string // the query parameters it takes, separated by blanks; a + after one says that it may be repeated
	handle  func(*adminCall) (answer any, err error)
}

// adminRoutes returns the routes of the management API.
func adminRoutes() []adminRoute {
	routes := []adminRoute{
		{"POST /patgate/verify", "", verifySecret},
		{"POST /patgate/explain", "", explainRequestOn},

		{"GET /patgate/owners", "limit cursor", listOwners},
		{"GET /patgate/owners/{id}", "", showOwner},
		{"PUT /patgate/owners/{id}", "", setOwner},
		{"DELETE /patgate/owners/{id}", "", deleteOwner},

		{"POST /patgate/import", "", importTokens},
		{"GET /patgate/export", "", exportTokens},
		{"GET /patgate/scopes", "", listScopes},
		{"GET /patgate/jwks", "", showKeys},
		{"GET /patgate/status", "", showStatus},
		{"POST /patgate/store/check", "", checkStore},
		{"GET /patgate/store/backup", "", backUpStore},
		{"GET /patgate/events", "token owner unowned since limit cursor after wait", listEvents},
		{"GET /patgate/report", "", showReport},
		{"DELETE /patgate/report", "", clearReport},
	}
	for _, r := range rest.TokenRoutes {
		if r.Ends {
			r.Params += " wait"
		}
		routes = append(routes, adminRoute{r.Method + " /patgate" + r.Path, r.Params, func(c *adminCall) (any, error) { return r.Serve(&c.Call) }})
	}
	return routes
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	known := http.NewServeMux()
	var routes []caddy.AdminRoute
	for _, r := range adminRoutes() {
		known.Handle(r.pattern, http.NotFoundHandler()) // only asked which pattern matches
		routes = append(routes, caddy.AdminRoute{Pattern: r.pattern, Handler: caddy.AdminHandlerFunc(r.serve)})
	}
	// What is left: without it, Caddy's mux would answer in plain text.
	others := func(w http.ResponseWriter, r *http.Request) error { return serveOthers(w, r, known) }
	return append(routes, caddy.AdminRoute{Pattern: "/patgate/", Handler: caddy.AdminHandlerFunc(others)})
}

// serveOthers answers a request that none of the known patterns matches: 405 if
// they would with another method, 404 otherwise.
func serveOthers(w http.ResponseWriter, r *http.Request, known *http.ServeMux) error {
	p := rest.NotAllowed(w, r, known)
	if p == nil {
		p = rest.Refuse(http.StatusNotFound, "the management API has nothing at %s", r.URL.Path)
	}
	takeRest(w, r)
	return rest.AnswerProblem(w, p)
}

// listScopes answers with the catalog.
func listScopes(c *adminCall) (any, error) {
	return rest.NewScopes(c.app.catalog), nil
}

// showKeys answers with the public keys of the running gates.
func showKeys(c *adminCall) (any, error) {
	for _, h := range c.app.allGates() {
		if h.signed != nil {
			return h.signed.keys.Public(c.R.Context(), time.Now())
		}
	}
	return nil, rest.Refuse(http.StatusNotFound, "no site has identity_headers signed")
}

// showReport answers with what report mode has found.
func showReport(c *adminCall) (any, error) { return c.app.hub.report.answer(), nil }

// clearReport begins anew.
func clearReport(c *adminCall) (any, error) {
	c.app.hub.report.clear()
	return c.app.hub.report.answer(), nil
}

var _ caddy.AdminRouter = adminAPI{}
