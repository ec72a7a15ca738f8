package policy

import "net/http"

// ForwardsPreflights reports whether CORS preflights are forwarded without a token.
// asked: another proxy forwards what it asks about.
func (p *Policy) ForwardsPreflights(asked bool) bool {
	return p.preflight && (!asked || p.preflightAsked)
}

// isPreflight reports whether this is a CORS preflight request that carries
// nothing but the question (Fetch standard, section 4.8).
func (p *Policy) isPreflight(req *Request) bool {
	return req.Method == http.MethodOptions && p.ForwardsPreflights(req.Asked) && !req.Body &&
		len(req.Header["Origin"]) == 1 && len(req.Header["Access-Control-Request-Method"]) == 1 &&
		len(req.Header["Authorization"]) == 0 && len(req.Header["Cookie"]) == 0
}

// matchPreflight finds the route that the preflight asks about. Browsers send no
// credentials with it, so it needs none; but where no route leads, nor does it.
func (p *Policy) matchPreflight(m *Match) bool {
	asked := m.header["Access-Control-Request-Method"][0]
	if !passableMethod(asked) {
		return false
	}
	p.route(m)
	own := m.Route
	if m.Reason == Forward && own != nil && own.Require.need == needNever && own.Methods.rank(http.MethodOptions) == listedRank {
		return false // closed to this very method
	}
	if m.Reason == Forward {
		m.method = asked
		p.route(m)
		m.method = http.MethodOptions
	}
	switch {
	case m.Reason != Forward:
		m.Route = nil // which of the two methods it is refused for matters to nobody
		return true
	case m.Route == nil, m.Route.Require.need == needNever && len(p.letThrough) == 0:
		return false
	}
	m.Preflight = true
	return true
}
