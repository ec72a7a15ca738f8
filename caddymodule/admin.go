package caddymodule

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is the management API on Caddy's admin endpoint. It holds nothing:
// Caddy makes it before the apps, and it may outlive a configuration that failed.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.patgate", New: func() caddy.Module { return new(adminAPI) }}
}

// adminRoute is a route of the management API.
type adminRoute struct {
	pattern string // of http.ServeMux
	params  string // the query parameters it takes, separated by blanks; a + behind one says that it may be repeated
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
		{"GET /patgate/events", "token owner limit cursor after wait", listEvents},
		{"GET /patgate/report", "", showReport},
		{"DELETE /patgate/report", "", clearReport},
	}
	for _, r := range rest.TokenRoutes {
		if r.Ends {
			r.Params += " wait"
		}
		routes = append(routes, adminRoute{r.Method + " /patgate" + r.Path, r.Params, func(c *adminCall) (any, error) {
			call := c.call()
			answer, err := r.Serve(call)
			c.status = call.Status
			return answer, err
		}})
	}
	return routes
}

// call returns the request as one about tokens.
func (c *adminCall) call() *rest.Call {
	return &rest.Call{
		W: c.w, R: c.r, Params: c.params, Account: c.registry.Operator(c.by), Tokens: "/patgate/tokens/",
		Decode: c.decode, Problem: c.problemOf, Gateways: c.acknowledged,
	}
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
	rest := func(w http.ResponseWriter, r *http.Request) error { return serveRest(w, r, known) }
	return append(routes, caddy.AdminRoute{Pattern: "/patgate/", Handler: caddy.AdminHandlerFunc(rest)})
}

// serveRest answers a request that none of the known patterns matches: 405 if
// they would with another method, 404 otherwise.
func serveRest(w http.ResponseWriter, r *http.Request, known *http.ServeMux) error {
	allowed := rest.Allowed(known, r)
	if len(allowed) == 0 {
		return rest.AnswerProblem(w, rest.Refuse(http.StatusNotFound, "the management API has nothing at %s", r.URL.Path))
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return rest.AnswerProblem(w, rest.Refuse(http.StatusMethodNotAllowed, "%s is not possible here, but %s", r.Method, strings.Join(allowed, ", ")))
}

// adminCall is a request to the management API, under way.
type adminCall struct {
	w        http.ResponseWriter
	r        *http.Request
	params   url.Values // of the query
	app      *App
	tokens   *tokens
	registry *registry.Registry
	by       registry.Actor
	wait     time.Duration // for other gateways to take a change in; 0: a moment
	status   int           // of an answer that is not an error; 0: 200
}

// serve answers a request. It always returns nil: what it returned, Caddy would
// answer in a form of its own.
func (route adminRoute) serve(w http.ResponseWriter, r *http.Request) error {
	c := &adminCall{w: w, r: r}
	var answer any
	err := c.prepare(strings.Fields(route.params))
	if err == nil {
		answer, err = route.handle(c)
	}
	c.mayRead(leftTime) // net/http reads what is left of a body before it answers
	switch {
	case err != nil:
		return rest.AnswerProblem(w, c.problemOf(err))
	case answer == nil: // answered already
		return nil
	case c.status == 0:
		c.status = http.StatusOK
	}
	return rest.Answer(w, "application/json", c.status, answer)
}

// prepare looks up what the request is about.
func (c *adminCall) prepare(params []string) error {
	running, err := caddy.ActiveContext().AppIfConfigured("patgate")
	if err != nil {
		return rest.Refuse(http.StatusNotFound, "patgate isn't configured in the running server: no site uses it, and there is no global option patgate")
	}
	c.app = running.(*App)
	c.mayRead(0)
	if c.params, err = rest.Params(c.r.URL.RawQuery, params); err != nil {
		return err
	}
	if err := c.waitFor(); err != nil {
		return err
	}
	if c.tokens, err = c.app.hub.open(); err != nil {
		return err
	}
	if c.registry, err = c.app.registry(); err != nil {
		return err
	}
	c.by.Name = "admin"
	if c.r.Header.Get(clientHeader) == clientCLI {
		c.by.Name = clientCLI
	}
	c.by.Address, _, _ = net.SplitHostPort(c.r.RemoteAddr) // none on a Unix socket
	return nil
}

// clientHeader tells which program asks. Whoever reaches the admin endpoint may
// do everything, so it is only there to tell changes apart afterwards.
const (
	clientHeader = "Patgate-Client"
	clientCLI    = "cli"
)

// listScopes answers with the catalog.
func listScopes(c *adminCall) (any, error) {
	return rest.NewScopes(c.app.catalog), nil
}

var _ caddy.AdminRouter = adminAPI{}
