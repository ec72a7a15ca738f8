package caddymodule

import (
	"errors"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"

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
	params  string // the query parameters it takes, separated by blanks
	handle  func(*adminCall) (answer any, err error)
}

// adminRoutes are the routes of the management API.
var adminRoutes = []adminRoute{}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	var routes []caddy.AdminRoute
	for _, r := range adminRoutes {
		routes = append(routes, caddy.AdminRoute{Pattern: r.pattern, Handler: caddy.AdminHandlerFunc(r.serve)})
	}
	return routes
}

// adminCall is a request to the management API.
type adminCall struct {
	w        http.ResponseWriter
	r        *http.Request
	app      *App
	registry *registry.Registry
	by       registry.Actor
	status   int // of the answer, if there is no error; 0: 200
}

func (route adminRoute) serve(w http.ResponseWriter, r *http.Request) error {
	app, err := caddy.ActiveContext().AppIfConfigured("patgate")
	if err != nil {
		return errors.New("patgate isn't configured in the running server")
	}
	c := &adminCall{w: w, r: r, app: app.(*App)}
	c.by.Name = "admin"
	c.by.Address, _, _ = net.SplitHostPort(r.RemoteAddr)
	answer, err := route.handle(c)
	if err != nil {
		return err
	}
	return printJSON(w, answer)
}
