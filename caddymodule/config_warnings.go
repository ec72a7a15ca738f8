package caddymodule

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/patgate/patgate/policy"
)

// The kinds of warnings.
const (
	warnPassedBy = "passed_by"     // what comes past a gate
	warnAudience = "same_audience" // of signed identities
	warnAnyHost  = "label_of_any_host"
)

func (c *configuration) warn(gate *Handler, kind, text string) {
	c.warnings = append(c.warnings, policy.Warning{At: gate.At, Kind: kind, Text: text})
}

// checkSite warns of requests that don't come to the gate of a site, or whose host
// it would read as others don't. before is the handler that answers all requests
// before they come to it; "": none does.
func (c *configuration) checkSite(s site, before string) {
	if r := s.gate.policy.ByHost(); r != nil && len(s.hosts) == 0 {
		c.warnings = append(c.warnings, policy.Warning{At: cmp.Or(r.At, s.gate.At), Kind: warnAnyHost, Text: r.String() +
			" is in the space or about the resource that a label of the host names, and this site is for every host: in one with more labels, frameworks take another label for it; name the hosts, as in *.api.example.com"})
	}
	if before != "" {
		c.warn(s.gate, warnPassedBy, "no request comes to this gate: "+before+" stands before it and answers; in a route block, and by the option order, what is written first comes first")
	} else if s.matcher != "" {
		c.warn(s.gate, warnPassedBy, "this gate judges only requests that match "+s.matcher+": all others pass it by, unjudged")
	}
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

// checkErrorRoutes warns of error routes, at the sites of a server, that forward
// what the gate has turned away.
func (c *configuration) checkErrorRoutes(routes []jsonRoute, sites []site) {
	for _, s := range sites {
		if slices.ContainsFunc(routes, func(r jsonRoute) bool { return r.takesHosts(s.hosts) && r.forwardsRejections() }) {
			c.warn(s.gate, warnPassedBy, "handle_errors forwards requests that this gate turns away, unjudged: "+
				"say which errors it is for, and none that the gate answers (400, 401, 403, 429, 503), as in handle_errors 502 504")
		}
	}
}

// takesHosts reports whether the route takes requests to one of the hosts.
func (r *jsonRoute) takesHosts(hosts []string) bool {
	if len(r.Match) == 0 || len(hosts) == 0 {
		return true
	}
	for _, m := range r.Match {
		if of := m.hosts(); len(of) == 0 || slices.ContainsFunc(of, func(host string) bool { return slices.Contains(hosts, host) }) {
			return true
		}
	}
	return false
}

// forwardsRejections reports whether the route proxies requests that a gate has
// turned away, as far as can be told, and has no gate of its own.
func (r *jsonRoute) forwardsRejections() bool {
	for _, m := range r.Match {
		if m["vars"] != nil || m["expression"] != nil && !takesRejections(m["expression"]) {
			return false
		}
	}
	for _, raw := range r.Handle {
		var h jsonHandler
		switch {
		case json.Unmarshal(raw, &h) != nil:
		case h.Handler == "patgate":
			return false
		case h.Handler == "reverse_proxy", slices.ContainsFunc(h.Routes, func(below jsonRoute) bool { return below.forwardsRejections() }):
			return true
		}
	}
	return false
}

// statusTest is how an expression asks for the status, as handle_errors writes it.
var statusTest = regexp.MustCompile(`status_code\} (?:in \[([\d, ]+)\]|== (\d+)|>= (\d+) && \{[\w.]+\} <= (\d+))`)

// takesRejections reports whether an expression is true of a status that gates
// answer. One that can't be read is taken to be the operator's own business.
func takesRejections(expression json.RawMessage) bool {
	var text string
	if json.Unmarshal(expression, &text) != nil {
		var named struct{ Expr string }
		if json.Unmarshal(expression, &named) != nil {
			return false
		}
		text = named.Expr
	}
	for _, test := range statusTest.FindAllStringSubmatch(text, -1) {
		for _, reason := range policy.Reasons() {
			status := strconv.Itoa(reason.Status())
			if reason == policy.Forward {
				continue
			}
			if slices.Contains(strings.Split(test[1], ", "), status) || test[2] == status || test[3] != "" && test[3] <= status && status <= test[4] {
				return true
			}
		}
	}
	return false
}
