// Package console is where people look after their tokens: a web page, the JSON
// API beside it, and what a token may do about itself.
//
// The page needs no script and no cookie. Whoever asks is who an auth handler in
// front of the console says it is ([Visitor]). They see and change their own
// tokens; an admin sees and revokes everybody's. A personal access token never
// signs anybody in: tokens don't make tokens. With its secret as credential, a
// token may describe, renew and revoke itself under /self, and no more.
//
// All links are relative, so that the console works below any path.
package console

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/patgate/patgate/internal/pace"
	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// Visitor is who sends a request.
type Visitor struct {
	Owner   string     // who is signed in; empty: nobody
	Admin   bool       // sees and revokes every owner's tokens
	ByToken bool       // the request was authenticated by a personal access token
	Address netip.Addr // where the request comes from; the zero Addr: unknown
}

// Options are what a Console needs to know of its surroundings. All functions
// must be safe for concurrent use.
type Options struct {
	// Registry returns what manages the tokens. An error says that the store
	// can't be opened.
	Registry func() (*registry.Registry, error)
	// Rules returns those of the registry.
	Rules func() registry.Rules
	// Catalog has the scopes that can be granted.
	Catalog *policy.Catalog
	// Visitor returns who asks.
	Visitor func(*http.Request) Visitor
	// Acknowledged counts the gateways that have taken in what was done just now.
	Acknowledged func(context.Context) rest.Gateways
	// Limiter bounds the unknown secrets of an address.
	Limiter Limiter
	// Failed is told of errors of the store.
	Failed func(error)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Limiter bounds how many unknown secrets an address may send.
type Limiter interface {
	// Enter asks whether a secret of the address may be looked up: policy.Forward
	// means yes, and then Leave must be called. Otherwise the address has to wait: for
	// how long, where that is known.
	// It may take as long as other lookups of the address do.
	Enter(context.Context, netip.Addr) (policy.Reason, time.Duration)
	// Leave says whether the secret was unknown.
	Leave(from netip.Addr, unknown bool)
}

// Console serves the page and the API. Safe for concurrent use.
type Console struct {
	Options
	mux     *http.ServeMux // of the routes
	origins *http.CrossOriginProtection
	reports *rate.Limiter                // of secrets that have leaked
	sent    *lru.Cache[string, *sending] // the forms that make secrets, by who sends them and form.Once
	pace    *pace.Pace                   // of changes
}

// sentKept is how many forms are remembered that make secrets.
const sentKept = 10_000

// New returns a console.
func New(o Options) *Console {
	if o.Now == nil {
		o.Now = time.Now
	}
	sent, err := lru.New[string, *sending](sentKept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	c := &Console{
		sent:    sent,
		Options: o, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(),
		reports: rate.NewLimiter(reportRate, reportBurst), pace: pace.New(changeBurst, changeEvery),
	}
	for _, routes := range [][]route{pageRoutes(), apiRoutes(), selfRoutes()} {
		for _, route := range routes {
			c.mux.HandleFunc(route.pattern, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, route) })
		}
	}
	c.mux.HandleFunc("GET /assets/{name}", c.serveAsset)
	return c
}

// route is something the console answers.
type route struct {
	pattern string // of http.ServeMux
	params  string // of the API: the query parameters it takes, separated by blanks; a + after one says that it may be repeated
	answer  func(*call) error
}

// call is a request under way.
type call struct {
	*Console
	rest.Call // its Account is the visitor's; nil under /self
	visitor   Visitor
	now       time.Time
}

// ServeHTTP answers a request. Its path is below the console's root.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := c.origins.Check(r); err != nil {
		c.refuse(w, r, rest.Refuse(http.StatusForbidden, "changes must come from this site itself, and this request says it comes from another"))
		return
	}
	if _, pattern := c.mux.Handler(r); pattern == "" || !plainPath(r.URL.Path) {
		c.serveRest(w, r)
		return
	}
	c.mux.ServeHTTP(w, r)
}

// plainPath reports whether http.ServeMux takes the path as it is. Others it redirects to
// an absolute path, which leads out of a console that is below a path of the site.
func plainPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") && !strings.Contains(path, "/.")
}

// serveRest answers a request that matches no route.
func (c *Console) serveRest(w http.ResponseWriter, r *http.Request) {
	var p *rest.Problem
	if plainPath(r.URL.Path) {
		p = rest.NotAllowed(w, r, c.mux)
	}
	if p == nil {
		p = rest.Refuse(http.StatusNotFound, "there is nothing at this address")
	}
	c.refuse(w, r, p)
}

// serve answers a request for a route.
func (c *Console) serve(w http.ResponseWriter, r *http.Request, route route) {
	call := &call{Console: c, visitor: c.Visitor(r), now: c.Now()}
	call.Call = rest.Call{
		W: w, R: r, TokensAt: "tokens/", // relative: the console doesn't know where it is
		Body:     func() ([]byte, error) { return rest.ReadBody(w, r) },
		Problem:  func(err error) *rest.Problem { return c.problemOf(r, err) },
		Gateways: func() rest.Gateways { return c.Acknowledged(r.Context()) },
		Status:   http.StatusOK,
	}
	err := call.prepare(route)
	if err == nil {
		err = route.answer(call)
	}
	if err != nil {
		c.refuse(w, r, c.problemOf(r, err))
	}
}

// prepare looks up what a request needs.
func (c *call) prepare(route route) (err error) {
	if c.Params = c.R.URL.Query(); wantsJSON(c.R.URL.Path) {
		if c.Params, err = rest.Params(c.R.URL.RawQuery, route.params); err != nil {
			return err
		}
	}
	if aboutSelf(c.R.URL.Path) {
		return nil
	}
	if err := c.signedIn(); err != nil {
		return err
	}
	r, err := c.Registry()
	if err != nil {
		return err
	}
	c.Account, err = r.Account(c.R.Context(), c.visitor.Owner, c.visitor.Address, c.visitor.Admin)
	if err == nil && paced(c.R) && !c.Account.Admin() {
		return c.countChange(c.visitor.Owner)
	}
	return err
}

// problemOf returns the problem that err is. One that is the store's is reported.
func (c *Console) problemOf(r *http.Request, err error) *rest.Problem {
	p, known := rest.ProblemOf(err)
	if known {
		return p
	}
	if r.Context().Err() == nil { // otherwise whoever asked went away
		c.Failed(err)
	}
	// Clients needn't know where tokens are kept.
	p = rest.Refuse(http.StatusServiceUnavailable, "the tokens can't be reached at the moment; try again in a minute")
	if aboutSelf(r.URL.Path) {
		p = withReason(p, policy.StoreUnavailable)
	}
	return p
}

// refuse answers with a problem, as JSON or as a page.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, p *rest.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		rest.RetryAfter(w, 5*time.Second)
	}
	if wantsJSON(r.URL.Path) {
		rest.AnswerProblem(w, p) // strings only: never fails
		return
	}
	c.errorPage(w, r, p)
}

// wantsJSON reports whether what is at the path answers in JSON.
func wantsJSON(path string) bool {
	return path == "/api" || strings.HasPrefix(path, "/api/") || aboutSelf(path)
}

// secure sets the headers that every answer has.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	// Not no-referrer: under that, browsers keep the origin of a form to
	// themselves, and over plain HTTP there is nothing else to tell it from one
	// of another site.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// param returns the value of a query parameter, "" if it is absent.
func (c *call) param(name string) string { return c.Params.Get(name) }

// mine returns the token with the id in the path, which must be the visitor's
// own.
func (c *call) mine() (*token.Token, error) {
	return c.Account.Own(c.R.Context(), c.R.PathValue("id"))
}

// visible returns the token with the id in the path: the visitor's own or, for an
// admin, anybody's.
func (c *call) visible() (*token.Token, error) {
	return c.Account.Get(c.R.Context(), c.R.PathValue("id"))
}

// adminsOnly refuses everybody else.
func (c *call) adminsOnly() error {
	if !c.Account.Admin() {
		return rest.Refuse(http.StatusForbidden, "only admins see the tokens of others")
	}
	return nil
}
