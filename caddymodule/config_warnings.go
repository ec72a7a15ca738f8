package caddymodule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
)

// The kinds of warnings.
const (
	warnPassedBy = "passed_by"      // what comes past a gate
	warnChanged  = "changed_behind" // what a gate has judged, or said
	warnEmpty    = "empty_before"   // what a gate says, before it
	warnAudience = "same_audience"  // of signed identities
	warnAnyHost  = "label_of_any_host"
	warnConsole  = "console_signed_in" // a token can't describe itself
	warnPlain    = "plain_secret"
	warnUnasked  = "not_asked_about" // what a proxy that asks takes for a permission
	warnLost     = "not_followed"    // too many ways
)

// check returns warnings of what stands beside the gates.
func (c *configuration) check() []policy.Warning {
	for _, s := range c.sites {
		c.checkHosts(s)
	}
	c.checkServers()
	c.checkAudiences()
	for _, option := range c.app.plainSecrets() {
		c.warnAt("", warnPlain, option+": "+plainSecret)
	}
	return c.warnings
}

func (c *configuration) warn(gate *Handler, kind, text string) { c.warnAt(gate.At, kind, text) }

func (c *configuration) warnAt(at, kind, text string) {
	w := policy.Warning{At: at, Kind: kind, Text: text}
	if !slices.Contains(c.warnings, w) {
		c.warnings = append(c.warnings, w)
	}
}

// checkHosts warns of a gate that would read the host of requests as others don't.
func (c *configuration) checkHosts(s site) {
	if r := s.gate.policy.ByHost(); r != nil && len(s.hosts) == 0 {
		c.warnAt(cmp.Or(r.At, s.gate.At), warnAnyHost, r.String()+
			" is in the space or about the resource that a label of the host names, and this site is for every host: in one with more labels, frameworks take another label for it; name the hosts, as in *.api.example.com")
	}
}

// checkServers warns of what stands beside the gates of each server, and of what other
// servers do for their hosts.
func (c *configuration) checkServers() {
	if len(c.sites) == 0 {
		return
	}
	var walks []*walk
	for _, s := range c.servers {
		walks = append(walks, walkServer(s.server))
	}
	for i, s := range c.servers {
		sites := c.sites[s.from:s.to]
		if len(sites) == 0 {
			continue
		}
		c.checkServer(walks[i], sites)
		for j, other := range walks {
			for _, p := range other.places {
				if i != j && !other.lost() {
					c.checkOpen(walks[i], p, sites, true)
				}
			}
		}
	}
}

// checkServer warns of what stands beside the gates of a server.
func (c *configuration) checkServer(w *walk, sites []site) {
	if w.lost() {
		c.warn(sites[0].gate, warnLost, "the routes around this gate have too many ways through them to be followed, and what lets requests pass it by isn't found: named routes that are invoked in many places multiply them, and subroutes with error routes")
		return
	}
	for _, s := range sites {
		c.checkReached(w, s)
	}
	for _, p := range w.places {
		c.checkOpen(w, p, sites, false)
		c.checkFailed(w, p)
		c.checkConsole(p)
	}
	c.checkAskers(w, sites)
	for _, f := range w.oddities {
		c.warn(f.gate, f.kind, f.text)
	}
}

// checkReached warns of a gate that no requests come to, or behind which nothing stands.
func (c *configuration) checkReached(w *walk, s site) {
	const order = "in a route block, write the gate first; with the global option order, put patgate before it"
	p := w.passage(s.gate)
	names := func(open bool) (names []string) {
		for _, place := range w.places[:p.before] {
			flows := place.seen
			if open {
				flows = place.open
			}
			if !open || place.handler.forwards() {
				if slices.ContainsFunc(flows, func(f flow) bool { return f.mayBeFor(s.hosts) }) {
					names = union(names, []string{place.name})
				}
			}
		}
		return names
	}
	before := names(true)
	if !p.reached && len(before) == 0 {
		before = names(false)
	}
	if !p.reached && len(before) == 0 {
		c.warn(s.gate, warnPassedBy, "no request comes to this gate: no route leads to it")
	} else if !p.reached {
		c.warn(s.gate, warnPassedBy, fmt.Sprintf("no request comes to this gate: %s %s before it and %s; %s",
			strings.Join(before, ", "), verb(before, "stand"), verb(before, "answer"), order))
	} else if len(before) > 0 && !p.guards && !p.asked {
		c.warn(s.gate, warnPassedBy, fmt.Sprintf("nothing stands behind this gate: %s %s before it and %s, unjudged; %s",
			strings.Join(before, ", "), verb(before, "stand"), verb(before, "answer"), order))
	}
}

// verb returns the verb as it is said of so many things.
func verb(of []string, plural string) string {
	if len(of) == 1 {
		return plural + "s"
	}
	return plural
}

// checkOpen warns of a place that is reached past a gate which stands before the same
// upstream. elsewhere: it is another server's, and what isn't for the hosts of the gate is
// nobody's business.
func (c *configuration) checkOpen(w *walk, p *place, sites []site, elsewhere bool) {
	remedy := "; let the gate take what everybody may have, by a public route, as in route GET /ping public"
	if p.handler.Handler == "reverse_proxy" {
		remedy = "; such requests may bring identity headers of their own: let the gate take them, by a public route, as in route GET /ping public, or, if another handler signs them in, remove X-Patgate-* there"
	}
	for _, f := range p.open {
		if slices.ContainsFunc(p.open, func(g flow) bool { return g.moved && !f.moved && g.status == f.status && f.within(&g.sent) }) {
			continue // as a part of those
		}
		if elsewhere && !f.forHosts() {
			continue
		}
		upstreams := append(w.within(p, &f), p.upstreams...)
		i := slices.IndexFunc(sites, func(s site) bool {
			return w.guards(s.gate, upstreams) && f.mayBeFor(s.hosts) && (len(s.hosts) > 0 || !elsewhere)
		})
		if i < 0 && !elsewhere {
			i = slices.IndexFunc(sites, func(s site) bool { return w.guards(s.gate, upstreams) })
		}
		by := ""
		if f.status > 0 {
			by = " by handle_errors"
		}
		if elsewhere {
			by += " on another port"
		}
		if i >= 0 {
			which, remedy := ", before which this gate stands, past it", remedy
			if !w.guards(sites[i].gate, p.upstreams) {
				which = ", with files in it before which this gate stands, past it"
				remedy = "; let that file server hide them"
			}
			c.warn(sites[i].gate, warnPassedBy, "requests come to "+p.name+which+by+" and unjudged"+f.describe(sites[i].hosts)+remedy)
		}
	}
}

// checkFailed warns of error routes that forward what gates have turned away, or answer
// it with the files that stand behind gates.
func (c *configuration) checkFailed(w *walk, p *place) {
	for _, gate := range p.away {
		if p.handler.Handler == "reverse_proxy" {
			c.warn(gate, warnPassedBy, "handle_errors forwards requests that this gate turns away, or Caddy before it, unjudged: "+
				"say which errors it is for, and none that these are answered with ("+turnedAway()+"), as in handle_errors 502 504, or rewrite them to the page of an error first")
		} else if slices.ContainsFunc(p.upstreams, func(u string) bool { return len(w.guarding[u]) > 0 }) {
			c.warn(gate, warnPassedBy, "handle_errors answers requests that this gate turns away with the files behind it ("+p.name+"): "+
				"rewrite them to the page of an error first, or say which errors it is for, and none that these are answered with ("+turnedAway()+"); "+
				"try_files leaves a request as it is when none of its files exists: end it with =404, or use rewrite")
		}
	}
}

// checkConsole warns of a console that only those come to who have signed in: tokens
// don't.
func (c *configuration) checkConsole(p *place) {
	if p.handler.Handler == "patgate_console" && !slices.ContainsFunc(p.seen, func(f flow) bool { return !f.signedIn && !f.verified }) {
		c.warnAt("", warnConsole, "patgate_console: everybody has to sign in before /self and /leaked, where a token is the credential: "+
			"sign in what remains, as in @people not path /self /self/* /leaked, basic_auth @people")
	}
}

// checkAskers warns of what a proxy that asks patgate_authorize takes for a permission,
// although no gate has judged it. Where it asks is the operator's choice, but Envoy asks by
// the client's path and host, and Caddy by its host.
func (c *configuration) checkAskers(w *walk, sites []site) {
	i := slices.IndexFunc(sites, func(s site) bool { return w.passage(s.gate).asked })
	if i < 0 {
		return
	}
	warn := func(what, remedy string) {
		c.warn(sites[i].gate, warnUnasked, what+", which the proxy that asks patgate_authorize takes for a permission: "+remedy)
	}
	if w.unasked {
		warn("requests that no route is for are answered 200", "have all requests come to it, by a site without a host (http://:9080) and no matcher, or answer the others with an error, as in respond 403")
	}
	for _, p := range w.places {
		if p.handler.status() >= 300 {
			continue
		}
		if slices.ContainsFunc(p.seen, func(f flow) bool {
			return !f.asked && !f.judged && f.status == 0 && (slices.Contains(w.askers, "envoy") || slices.Contains(w.askers, "caddy") && f.forHosts())
		}) {
			warn("requests come to "+p.name+" unjudged", "have it on a port of its own, where nothing else answers")
		}
	}
}

// turnedAway lists the statuses of requests that are turned away, by gates or before.
func turnedAway() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(rejectionStatuses()), "[]"), " ", ", ")
}

// checkAudiences warns of gates on different hosts whose signed identities nothing
// tells apart, for they name neither an audience nor a realm.
func (c *configuration) checkAudiences() {
	var first *site
	for i, s := range c.sites {
		if signed := s.gate.signed; signed == nil || s.gate.Realm != "" || s.gate.IdentityHeaders.Signed.Audience != "" {
			continue
		}
		if first == nil {
			first = &c.sites[i]
		} else if !slices.Equal(first.hosts, s.hosts) {
			c.warn(s.gate, warnAudience, "identities signed here are for the same audience as those of "+first.String()+", "+s.gate.signed.Audience+
				", and the API of one site takes those of the other: give each a realm, or an audience")
		}
	}
}
