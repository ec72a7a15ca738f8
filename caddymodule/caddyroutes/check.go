package caddyroutes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
)

// The kinds of warnings.
const (
	warnPassedBy = "passed_by"         // what comes past a gate
	warnChanged  = "changed_behind"    // what a gate has judged, or said
	warnTwice    = "gate_behind_gate"  // two that deny
	warnStripped = "stripped_before"   // the prefix of a route
	warnEmpty    = "empty_before"      // what a gate says, before it
	warnConsole  = "console_signed_in" // a token can't describe itself
	warnUnasked  = "not_asked_about"   // what a proxy that asks takes for a permission
	warnWhole    = "preflight_whole"   // of which a proxy that asks passes on the body
	warnBodies   = "body_unread"       // and taken for the next request
	warnLost     = "not_followed"      // too many ways
)

// Check returns warnings about what surrounds the gates of the servers, which ReadGates has
// read: on their own server, and on others for the same hosts.
func Check(servers []*Server) (all []policy.Warning) {
	var walks []*walk
	for _, s := range servers {
		walks = append(walks, walkServer(s))
	}
	for i, w := range walks {
		if len(w.server.Sites) == 0 {
			continue
		}
		w.check()
		for j, other := range walks {
			if i != j && !other.lost() {
				for _, p := range other.places {
					w.checkOpen(p, true)
				}
			}
		}
		all = union(all, w.warnings...)
	}
	return all
}

// warnings are what is warned of, each once.
type warnings []policy.Warning

// add adds a warning of the gate, or of none.
func (all *warnings) add(gate Gate, kind, text string) {
	at := ""
	if gate != nil {
		at = gate.Place()
	}
	*all = union(*all, policy.Warning{At: at, Kind: kind, Text: text})
}

// check warns of what surrounds the gates of the server.
func (w *walk) check() {
	if w.lost() {
		w.warnings.add(w.server.Sites[0].Gate, warnLost, "the routes around this gate have too many ways through them to be followed, and what lets requests pass it by isn't found: named routes that are invoked in many places multiply them, and subroutes with error routes")
		return
	}
	for _, s := range w.server.Sites {
		w.checkReached(s)
	}
	for _, p := range w.places {
		w.checkOpen(p, false)
		w.checkFailed(p)
		w.checkConsole(p)
	}
	w.checkAskers()
	w.checkBodies()
	w.warnings = union(w.warnings, w.oddities...)
}

// checkReached warns of a gate that no requests come to, or that nothing follows.
func (w *walk) checkReached(s Site) {
	p := w.gates[s.Gate]
	var before, closed []string
	forSite := func(f flow) bool { return f.mayBeFor(s.Hosts) }
	for _, place := range w.places[:p.before] {
		if place.handler.forwards() && slices.ContainsFunc(place.open, forSite) {
			before = union(before, place.name)
		}
		if slices.ContainsFunc(place.seen, forSite) {
			closed = union(closed, place.name)
		}
	}
	if len(before) == 0 && !p.reached {
		before = closed
	}
	stand := func(unjudged string) string {
		plural := "s"
		if len(before) > 1 {
			plural = ""
		}
		return strings.Join(before, ", ") + " stand" + plural + " before it and answer" + plural + unjudged +
			"; in a route block, write the gate first; with the global option order, put patgate before it"
	}
	switch {
	case !p.reached && len(before) == 0:
		w.warnings.add(s.Gate, warnPassedBy, "no request comes to this gate: no route leads to it")
	case !p.reached:
		w.warnings.add(s.Gate, warnPassedBy, "no request comes to this gate: "+stand(""))
	case len(before) > 0 && !p.guards && !p.asked:
		w.warnings.add(s.Gate, warnPassedBy, "nothing stands behind this gate: "+stand(", unjudged"))
	}
}

// checkOpen warns of a place that is reached past a gate although the gate protects the
// same upstream. elsewhere: the place is another server's, and only requests for the hosts
// of the gate matter.
func (w *walk) checkOpen(p *place, elsewhere bool) {
	for _, f := range p.open {
		if slices.ContainsFunc(p.open, func(g flow) bool { return g.moved && !f.moved && g.status == f.status && f.implies(&g.sent) }) {
			continue // as a part of those
		}
		if elsewhere && !f.forHosts() {
			continue
		}
		upstreams := append(w.rootsWithin(p, &f), p.upstreams...)
		guarded := slices.DeleteFunc(slices.Clone(w.server.Sites), func(s Site) bool { return !w.guards(s.Gate, upstreams) })
		i := slices.IndexFunc(guarded, func(s Site) bool { return f.mayBeFor(s.Hosts) && (len(s.Hosts) > 0 || !elsewhere) })
		if len(guarded) == 0 || i < 0 && elsewhere {
			continue
		}
		s := guarded[max(i, 0)]
		past, remedy := ", before which this gate stands, past it", "let the gate take what everybody may have, by a public route, as in route GET /ping public"
		switch {
		case !w.guards(s.Gate, p.upstreams):
			past, remedy = ", with files in it before which this gate stands, past it", "let that file server hide them"
		case p.handler.Handler == "reverse_proxy":
			remedy = "such requests may bring identity headers of their own: let the gate take them, by a public route, as in route GET /ping public, or, if another handler signs them in, remove X-Patgate-* there"
		}
		if f.status > 0 {
			past += " by handle_errors"
		}
		if elsewhere {
			past += " on another port"
		}
		w.warnings.add(s.Gate, warnPassedBy, "requests come to "+p.name+past+" and unjudged"+f.describe(s.Hosts)+"; "+remedy)
	}
}

// checkFailed warns of error routes that forward what gates have turned away, or answer it
// with the files that gates protect.
func (w *walk) checkFailed(p *place) {
	for _, gate := range p.away {
		if p.handler.Handler == "reverse_proxy" {
			w.warnings.add(gate, warnPassedBy, "handle_errors forwards requests that this gate turns away, or Caddy before it, unjudged: "+
				"say which errors it is for, and none that these are answered with ("+turnedAway()+"), as in handle_errors 502 504, or rewrite them to the page of an error first")
		} else if slices.ContainsFunc(p.upstreams, func(u string) bool { return len(w.guarding[u]) > 0 }) {
			w.warnings.add(gate, warnPassedBy, "handle_errors answers requests that this gate turns away with the files behind it ("+p.name+"): "+
				"rewrite them to the page of an error first, or say which errors it is for, and none that these are answered with ("+turnedAway()+"); "+
				"try_files leaves a request as it is when none of its files exists: end it with =404, or use rewrite")
		}
	}
}

// turnedAway lists the statuses of requests that are turned away, by gates or before.
func turnedAway() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(rejectionStatuses()), "[]"), " ", ", ")
}

// checkBodies warns of handlers beside the gates that leave bodies unread: Caddy takes what
// is left for the next request of the connection, which, from a load balancer, carries
// requests of everybody, and to all sites.
func (w *walk) checkBodies() {
	gate := w.server.Sites[0].Gate
	if w.server.EnableFullDuplex {
		w.warnings.add(gate, warnBodies, "enable_full_duplex is on for this server: where no gate stands, what nobody has read of a body is taken for the next request of the connection; leave it off, a gate passes on bodies whole all the same")
		return
	}
	if w.server.TrustedProxies == nil {
		return
	}
	for _, p := range w.places {
		asks := p.handler.Rewrite.URI != "" // another server, without the body, as forward_auth does
		if p.handler.Handler == "reverse_proxy" && !asks && slices.ContainsFunc(p.seen, func(f flow) bool { return !f.judged && f.away == nil }) {
			w.warnings.add(gate, warnBodies, "requests come to "+p.name+" past all gates, on the server of this one and behind the same proxies (trusted_proxies): "+
				"what that leaves unread of a body may be taken for the next request of such a connection, which may be for this gate; have a gate there, too, with default public")
		}
	}
}

// checkConsole warns of a console that only those come to who have signed in: tokens
// don't.
func (w *walk) checkConsole(p *place) {
	if p.handler.Handler == "patgate_console" && !slices.ContainsFunc(p.seen, func(f flow) bool { return !f.signedIn && !f.verified }) {
		w.warnings.add(nil, warnConsole, "patgate_console: everybody has to sign in before /self and /leaked, where a token is the credential: "+
			"sign in what remains, as in @people not path /self /self/* /leaked, basic_auth @people")
	}
}

// checkAskers warns of what a proxy that asks patgate_authorize takes for a permission,
// although no gate has judged it. Where it asks is the operator's choice, but Envoy asks by
// the client's path and host, and Caddy by its host.
func (w *walk) checkAskers() {
	i := slices.IndexFunc(w.server.Sites, func(s Site) bool { return w.gates[s.Gate].asked })
	if i < 0 {
		return
	}
	warn := func(what, remedy string) {
		w.warnings.add(w.server.Sites[i].Gate, warnUnasked, what+", which the proxy that asks patgate_authorize takes for a permission: "+remedy)
	}
	for _, s := range w.server.Sites {
		if w.gates[s.Gate].asked && s.Gate.Policy().ForwardsPreflights(true) {
			w.warnings.add(s.Gate, warnWhole, "cors_preflight forward: patgate_authorize lets CORS preflights pass without a token, and can't drop the body of the answer: "+
				"an API that doesn't look at the method answers with what only a token opens; leave the line out, and have the proxy that asks answer preflights itself")
		}
	}
	if w.unasked {
		warn("requests that no route is for are answered 200", "have all requests come to it, by a site without a host (http://:9080) and no matcher, or answer the others with an error, as in respond 403")
	}
	for _, p := range w.places {
		if p.handler.Status.Int() >= 300 {
			continue
		}
		if slices.ContainsFunc(p.seen, func(f flow) bool {
			return !f.asked && !f.judged && f.status == 0 && (slices.Contains(w.askers, "envoy") || slices.Contains(w.askers, "caddy") && f.forHosts())
		}) {
			warn("requests come to "+p.name+" unjudged", "have it on a port of its own, where nothing else answers")
		}
	}
}
