package policy

// Again returns a match for Decide only: of a request that was forwarded on this
// route, for this space and resource, and is still under way.
func (p *Policy) Again(route *Route, space, resource string) Match {
	return Match{Route: route, Space: space, Resource: resource, policy: p}
}
