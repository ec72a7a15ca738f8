package policy

import (
	"cmp"
	"net/http"
	"strings"
)

// Match is what a policy finds out about one request. Policy.Match fills a zero Match, which
// is meant to live on the caller's stack.
type Match struct {
	// Route is the route the request is on, or nil.
	Route *Route
	// Reason says why the request is turned away without a look at a token, and Detail
	// says it more exactly; Forward if it isn't turned away. Decide sets Detail, too.
	Reason Reason
	Detail string
	// Secret is the token the request carries, where one is to be judged: then
	// Decide has the last word.
	Secret string
	// LetThrough means that the request carries another credential of the API,
	// Preflight that it is a CORS preflight: forwarded without a token.
	LetThrough bool
	Preflight  bool
	// Space and Resource are those the request is about, "" for none.
	Space    string
	Resource string

	policy  *Policy
	method  string
	query   string
	host    string
	header  http.Header
	path    pathText
	auth    authorization
	place   Credential // where Secret was found
	assumed bool       // explain: judge as if a token had been sent

	websocket bool     // the request asks for one
	restRoute bool     // the query has the parameter rest_route
	tunnels   []string // the methods that some servers take from the query
	unsure    bool     // it can't be said which route it is on
	odd       bool     // it nearly matches another route, or its route depends on more than its path: worth a second look
	alike     *Route   // on which some server finds the request: it is refused for that
	piece     string   // the part of the path because of which the server does; "": all of it
	charset   charset  // in which some servers read the query
	judged    bool     // the query was judged, and
	badQuery  string   // why it is refused if something depends on it, or ""
	lookedUp  lookup
	sought    string // the parameter that was last looked for in the query (isInQuery)
	found     bool   // whether it is there
	repeated  repeated
}

// Path returns the path as the policy reads it: segments decoded, but for delimiters that are
// data, without a trailing slash.
func (m *Match) Path() string {
	return cmp.Or(dataEncoded.Replace(m.path.whole()), "/")
}

var dataEncoded = strings.NewReplacer(string(dataSlash), "%2F", "?", "%3F", "#", "%23", "%", "%25")

// SpaceSegment returns the index of the path segment that would be the space, for a
// request that no route matches: that of the routes which its path follows for a while.
// -1: those have no space there.
func (m *Match) SpaceSegment() int {
	if m.policy == nil {
		return -1
	}
	return m.policy.tree.spaceOf(m.path.segments())
}

// assumedSecret is the token that explain assumes.
const assumedSecret = "(assumed)"

// NeedsDecision reports whether the request carries a token that is to be
// looked up and judged by Decide.
func (m *Match) NeedsDecision() bool { return m.Reason == Forward && m.Secret != "" }

// Reports reports whether the request is in report mode: then it is forwarded whatever
// the decision. A request whose route can't be told counts only where every route that
// asks for a token is in report mode.
func (m *Match) Reports() bool {
	switch {
	case m.policy == nil, neverPasses(m.method):
		return false
	case m.unsure && m.policy.enforces:
		return false
	case m.Route != nil:
		return m.Route.report
	}
	return m.policy.site.report
}

// Match finds the request's route and what is asked of it, and takes the token
// out of it. The request's header must have been cleaned (CleanHeader). It
// allocates nothing for a path without escapes.
func (p *Policy) Match(req *Request, m *Match) {
	if !p.read(req, m) {
		return
	}
	if p.isPreflight(req) && p.matchPreflight(m) {
		return
	}
	p.route(m)
	if m.Reason != Forward {
		return
	}
	if m.Route == nil {
		m.turnAway(RouteUnknown)
		return
	}
	if m.Route.Require.need == needNothing {
		m.locate(true)
		return
	}
	if m.assumed {
		m.Secret = assumedSecret
	} else {
		m.take(m.Route.from)
	}
	switch {
	case m.Reason != Forward:
	case m.Secret == "":
		m.withoutToken()
	case m.Route.Require.need == needNever:
		m.turnAway(RouteNever)
	default:
		m.locate(false)
	}
}

// routed returns what the policy finds out about a request without a look at its token.
func (p *Policy) routed(req *Request) (m Match) {
	if p.read(req, &m) {
		p.route(&m)
	}
	return m
}

// read takes in the request and refuses what can be read in two ways.
func (p *Policy) read(req *Request, m *Match) bool {
	m.policy, m.method, m.query, m.host, m.header = p, req.Method, req.Query, req.Host, req.Header
	m.websocket = req.asksForWebSocket()
	why := req.Refused
	if why == "" {
		why = m.ambiguity(req.Path)
	}
	if why != "" {
		m.refuse(why)
		m.unsure = true
	}
	return why == ""
}

// ambiguity returns why a request with this path can be read in two ways, on whichever
// route it is, or "".
func (m *Match) ambiguity(path string) (why string) {
	switch why = m.judgeWebSocket(); {
	case !passableMethod(m.method):
		return "the method is not one that is let through"
	case why != "":
		return why
	case namesSecondPath(m.method) && len(m.header["Destination"]) > 0:
		return "the request names a second path, in Destination (RFC 4918 section 10.3)"
	}
	if m.query != "" {
		if odd := breaksLine(m.query); odd >= 0 {
			return belongsEncoded("query", m.query[odd])
		}
		if why, m.restRoute = overrides(m.query, m.method); why != "" {
			return why
		}
		m.charset, m.tunnels = charsetOf(m.header["Content-Type"]), m.tunneled()
		if m.websocket && len(m.tunnels) > 0 {
			return otherMethod
		}
	}
	p := m.policy
	if p.semicolon {
		if why, _ = overrides(afterSemicolon(path), m.method); why != "" {
			return why
		}
	}
	if !m.charset.keepsNames(m.query) {
		return badCharset
	}
	m.odd = len(m.tunnels) > 0 || m.hasShortHost() || m.hasQueryPath()
	m.path.lenient = true
	return m.path.parse(path, p.encodedSlash, p.semicolon)
}

const badCharset = "the Content-Type has a charset by which some servers read the query differently"

// route finds the route of a request, if it is on any.
func (p *Policy) route(m *Match) {
	m.repeated = repeated{}
	r := p.lookFor(m)
	if m.repeated.key != "" && m.Reason == Forward {
		r = p.strictest(m, r)
	}
	m.Route = r
	switch {
	case m.Reason != Forward:
	case m.restRoute && (r == nil || !r.pattern.dependsOn(restRoute)):
		m.refuse("the query has rest_route, which is another path to WordPress")
	case m.path.dotted && !m.path.dotsFit(r):
		m.refuse(endsInDot)
	}
	m.unsure = m.Reason != Forward
	m.odd = m.odd || m.query != "" && m.isReplaced()
	if !m.unsure && (m.odd || m.path.marked) {
		m.lookAgain()
	}
}

// lookFor returns the route of a request in the reading that is followed.
func (p *Policy) lookFor(m *Match) *Route {
	r := p.tree.find(m, 0)
	if r == nil && m.Reason == Forward {
		return p.fallback
	}
	return r
}

// withoutToken says what becomes of a request that carries no token on a route
// that asks for one.
func (m *Match) withoutToken() {
	switch {
	case m.carries(m.policy.letThrough):
		m.LetThrough = true
		m.locate(true)
	case m.Route.Require.need == needNever:
		m.turnAway(RouteNever)
	case m.Route.optional:
		m.locate(true)
	default:
		m.locate(true) // for logs and error routes
		m.turnAway(TokenMissing)
	}
}

func (m *Match) refuse(why string) {
	m.Reason, m.Detail = AmbiguousRequest, why
}

func (m *Match) turnAway(r Reason) {
	m.Reason, m.Detail = r, r.Detail()
}
