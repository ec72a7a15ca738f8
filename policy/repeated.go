package policy

// repeated is the ways to read a key that a condition depends on and that the query repeats:
// as one of its values, or, to servers that make a list of them or refuse it, as none.
type repeated struct {
	key    string // "": none was met yet
	values []string
	now    int // the one that is followed; len(values): none
}

// value returns the value that the key has in the reading that is followed, nil
// for none. The first key that is asked for is the one that is read in several
// ways; a second one is refused.
func (r *repeated) value(key, query string) (value *string, why string) {
	switch r.key {
	case key:
	case "":
		r.key, r.values = key, make([]string, maxReadings)
		n, why := queryValues(query, key, r.values)
		if n > maxReadings {
			why = "the query has " + key + " too many times"
		}
		if why != "" {
			return nil, why
		}
		r.values = r.values[:n]
	default:
		return nil, "the query has both " + r.key + " and " + key + " twice"
	}
	if r.now == len(r.values) {
		return nil, ""
	}
	return &r.values[r.now], ""
}

// next goes on to the next reading, if there is one.
func (r *repeated) next() bool {
	if r.now == len(r.values) {
		return false
	}
	r.now++
	return true
}

// strictest returns the route on which a request is judged whose query repeats a key: the one
// that asks for everything that the routes of the other readings ask for. If there is none,
// it refuses the request. first is the route of the first reading. Routes may be nil.
func (p *Policy) strictest(m *Match, first *Route) *Route {
	routes := append(make([]*Route, 0, maxReadings+1), first) // not on the heap
	strictest := first
	for m.repeated.next() {
		r := p.lookFor(m)
		if m.Reason != Forward {
			return nil
		}
		if routes = append(routes, r); !strictest.covers(r, p.Catalog) {
			strictest = r
		}
	}
	for _, r := range routes {
		if !strictest.covers(r, p.Catalog) {
			m.refuse("the query has " + m.repeated.key + " twice")
			return nil
		}
	}
	return strictest
}
