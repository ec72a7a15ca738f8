package caddyroutes

import "slices"

// judge sends flows to a gate.
func (w *walk) judge(gate Gate, flows []flow) []flow {
	p := w.gates[gate]
	if len(flows) > 0 {
		p.reached = true
	}
	p.before = len(w.places)
	w.checkStripped(gate, flows)
	for i := range flows {
		f := &flows[i]
		p.asked = p.asked || f.asked
		if !f.judged && f.away == nil {
			for _, use := range f.early {
				text := use.handler + " stands before this gate and names " + use.placeholder + ", which is empty there: only what stands behind the gate can use it"
				if use.handler == "the handler headers" {
					text += "; a field of the answer is set later by header >"
				}
				w.oddities.add(gate, warnEmpty, text)
			}
		}
		f.early = nil
		w.again(gate, f)
		for _, status := range rejectionStatuses() {
			turned := *f
			turned.judged, turned.gates, turned.away = false, nil, gate
			w.fail(turned, status)
		}
		f.judged, f.away = true, nil
		f.gates = union(f.gates, gate)
	}
	return flows
}

// checkStripped finds that all routes of the gate begin with the prefix that was cut off
// from the paths of all requests that come to it.
func (w *walk) checkStripped(gate Gate, flows []flow) {
	if len(flows) == 0 || flows[0].stripped == "" || len(w.invoked) > 0 ||
		slices.ContainsFunc(flows, func(f flow) bool { return f.stripped != flows[0].stripped }) {
		return
	}
	prefix := flows[0].stripped
	if route := gate.Policy().RouteBelow(prefix); route != "" {
		w.oddities.add(gate, warnStripped, prefix+" is cut off before this gate, as by handle_path, and the pattern of "+route+" begins with it: write the pattern without it (openapi: with base), or use handle")
	}
}

// again finds that all requests which another gate has let through come to this one, and
// that each denies what the other has routes for.
func (w *walk) again(gate Gate, f *flow) {
	narrowed := slices.ContainsFunc(f.is, func(m matcherSet) bool { return len(m.without("host")) > 0 }) ||
		slices.ContainsFunc(f.isnt, func(m matcherSet) bool { return len(m.without("host").without("path")) > 0 }) // by the other gate's matcher, perhaps
	if f.moved || f.status > 0 || !gate.Policy().Denies() || narrowed {
		return
	}
	for _, before := range f.gates {
		if before != gate && before.Policy().Denies() {
			at := before.Place()
			if at != "" {
				at = " (" + at + ")"
			}
			w.oddities.add(gate, warnTwice, "this gate stands behind another"+at+": each denies what it has no route for, so only requests that both have a route for are forwarded; write all routes into one patgate block, or give each gate a matcher")
		}
	}
}

// change has a flow's headers changed by name, and finds those that a gate before it has
// read or set.
func (w *walk) change(f *flow, by string, ops *headerOps) {
	for _, gate := range f.gates {
		for _, name := range gate.Policy().SourceHeaders() {
			if ops.gives(name) || ops.removes(name) {
				w.oddities.add(gate, warnChanged, by+" behind this gate changes "+name+", in which the gate reads the space or the resource: what is forwarded isn't what was judged; change it before the gate, in a route block")
			}
		}
		for _, name := range gate.IdentityNames() {
			if ops.gives(name) {
				w.oddities.add(gate, warnChanged, by+" behind this gate sets "+name+", which tells the API who is asking: don't set it, or use another name")
			}
		}
	}
}
