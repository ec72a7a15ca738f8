package caddyroutes

import (
	"cmp"
	"slices"
	"strings"
)

// walk is a way through all routes of a server, as its requests go: routes one after the
// other, one of each group, into subroutes and named routes, up to the handlers that
// answer, and with what fails into the error routes. Where a matcher may match or not,
// it goes on both ways.
type walk struct {
	server  *Server
	invoked []string // the named routes that it is in
	steps   int

	catchers []*catcher
	gates    map[Gate]*passage
	places   []*place
	known    map[placeName]*place
	guarding map[string][]Gate // the gates before each upstream
	askers   []string          // of patgate_authorize
	unasked  bool              // some requests leave all routes without having come to it

	warnings warnings
	oddities warnings // of what is seen on the way
}

// maxSteps is after how many steps a walk ends, each of a flow on a route: every invoke
// goes through its route again, and the ways through a few of them can be millions.
const maxSteps = 1 << 19

// lost reports whether the walk has ended before it had seen all.
func (w *walk) lost() bool { return w.steps > maxSteps }

// passage is what the walk has seen of a gate.
type passage struct {
	reached bool
	asked   bool // patgate_authorize answers what it lets through
	guards  bool // something may answer what it lets through
	before  int  // how many places the walk knew when it came here: what is answered there never reaches the gate
}

// place is where requests are answered.
type place struct {
	placeName
	upstreams []string
	open      []flow // that come there past all gates
	away      []Gate // that have turned away what comes there
	seen      []flow // all that come there
}

// placeName is what tells places apart.
type placeName struct {
	handler *handler
	name    string
}

// walkServer goes through the routes of a server.
func walkServer(server *Server) *walk {
	w := &walk{server: server, gates: map[Gate]*passage{}, known: map[placeName]*place{}, guarding: map[string][]Gate{}}
	for _, site := range server.Sites {
		w.gates[site.Gate] = new(passage)
	}
	last := w.catcher(server.Errors.Routes, nil)
	last.server = true
	out := w.routes(server.Routes, []flow{{way: way{root: ".", catch: last}}})
	w.unasked = slices.ContainsFunc(out, func(f flow) bool { return !f.asked })
	for len(w.catchers) > 0 {
		// Error routes of subroutes first: the others get their errors.
		c := w.catchers[len(w.catchers)-1]
		w.catchers = w.catchers[:len(w.catchers)-1]
		w.invoked = c.invoked
		// Handlers fail in more ways than are known here.
		more := flow{way: way{judged: true, root: ".", catch: c.outer}}
		w.routes(c.routes, join(append(c.failed, more)))
	}
	return w
}

func (w *walk) catcher(routes []route, outer *catcher) *catcher {
	c := &catcher{routes: routes, outer: outer, invoked: slices.Clone(w.invoked)}
	w.catchers = append(w.catchers, c)
	return c
}

// fail sends requests to the error routes. Those of a server see them as they were sent.
// They pass by the routes of groups that they were in.
func (w *walk) fail(f flow, status int) {
	if c := f.catch; c != nil {
		if f.moved && c.server {
			f.facts, f.moved = f.sent, false
		} else if f.moved {
			f.forget()
		}
		f.status, f.catch, f.fixed, f.stripped = status, c.outer, false, ""
		c.failed = append(c.failed, f)
	}
}

// routes sends flows through routes, and returns what leaves them.
func (w *walk) routes(routes []route, flows []flow) []flow {
	for i := range routes {
		r := &routes[i]
		on, past := w.split(r, flows)
		if w.steps += 1 + len(on); w.lost() {
			return nil
		}
		on = w.handlers(r, on)
		if r.Terminal {
			on = nil
		}
		flows = append(past, on...)
		if r.Group != "" && !slices.ContainsFunc(routes[i+1:], func(later route) bool { return later.Group == r.Group }) {
			for i := range flows {
				flows[i].taken = strings.ReplaceAll(flows[i].taken, r.group(), "")
			}
		}
		if len(on) > 0 || r.Group != "" { // otherwise no flow has changed
			flows = join(flows)
		}
	}
	return flows
}

// split divides flows into the requests that are on a route and those that go past it.
func (w *walk) split(r *route, flows []flow) (on, past []flow) {
	var texts []string
	for _, m := range r.Match {
		texts = append(texts, m.String())
	}
	for _, f := range flows {
		if r.Group != "" && strings.Contains(f.taken, r.group()) {
			past = append(past, f)
			continue
		}
		for _, text := range texts {
			f.use("a matcher", text)
		}
		if p, some := f.past(r.Match); some {
			past = append(past, p)
		}
		f.taken += r.group()
		if len(r.Match) == 0 {
			on = append(on, f)
		}
		for _, m := range r.Match {
			if o, some := f.on(m); some {
				on = append(on, o)
				if status := m.tries().fails(); status > 0 && o.away == nil && o.status == 0 && !o.judged {
					w.fail(o, status) // where it doesn't find the files
				}
			}
		}
	}
	return join(on), past
}

// handlers goes through the handlers of a route.
func (w *walk) handlers(r *route, flows []flow) []flow {
	for n := range r.Handle {
		h := &r.Handle[n]
		for i := range flows {
			w.apply(&flows[i], r, h)
		}
		flows = join(w.handler(h, flows))
	}
	return flows
}

// apply has a handler of the route change the requests of a flow.
func (w *walk) apply(f *flow, r *route, h *handler) {
	f.use("the handler "+h.Handler, h.eager())
	switch h.Handler {
	case "patgate_authorize":
		f.asked = true
	case "authentication":
		f.signedIn = true
	case "vars":
		f.root = cmp.Or(h.Root, f.root)
		f.forget("vars", "expression")
		f.sent.forget("vars", "expression")
	case "rewrite":
		f.rewrite(r, h)
	case "headers":
		w.change(f, "request_header", &h.Request)
		f.forget("header", "expression")
		f.sent.forget("header", "expression")
	case "reverse_proxy":
		w.change(f, "header_up", &h.Headers.Request)
	}
}

// handler sends flows to a handler, and returns those that it passes on.
func (w *walk) handler(h *handler, flows []flow) (out []flow) {
	switch h.Handler {
	case "patgate":
		return w.judge(h.gate, flows)
	case "patgate_authorize":
		w.askers = union(w.askers, h.For)
	case "invoke":
		return w.invoke(h.Name, flows)
	case "intercept":
		for _, routes := range h.below() {
			w.routes(routes, slices.Clone(flows)) // of them nothing goes on
		}
	case "authentication", "vars", "rewrite", "headers", "map", "encode", "log_append", "request_body", "templates", "tracing", "subroute":
	case "reverse_proxy":
		w.answer(h, flows)
		for _, routes := range h.below() {
			out = append(out, w.routes(routes, slices.Clone(flows))...)
		}
		for i := range out {
			out[i].verified = true
		}
		return out
	default:
		// What isn't known may answer as well.
		w.answer(h, flows)
		if h.answers() {
			return nil
		}
	}
	if len(h.Routes) > 0 || h.Errors != nil {
		return w.subroute(h, flows)
	}
	return flows
}

// guards reports whether the gate protects one of the upstreams, here or elsewhere.
func (w *walk) guards(gate Gate, upstreams []string) bool {
	return slices.ContainsFunc(upstreams, func(u string) bool { return slices.Contains(w.guarding[u], gate) })
}

// rootsWithin returns the roots protected by gates that are inside a root of the place,
// where the flow may come to their files.
func (w *walk) rootsWithin(p *place, f *flow) (roots []string) {
	if p.handler.Handler != "file_server" {
		return nil
	}
	for root := range w.guarding {
		below, is := strings.CutPrefix(root, strings.TrimSuffix(p.upstreams[0], "/")+"/")
		if !is || p.handler.hides(root, below) {
			continue
		}
		if _, some := f.on(matcherSet{"path": listed("/" + below + "/*")}); some {
			roots = append(roots, root)
		}
	}
	return roots
}

// answer sends flows to a handler that answers them, or may.
func (w *walk) answer(h *handler, flows []flow) {
	for _, f := range flows {
		for _, gate := range f.gates {
			w.gates[gate].guards = true
		}
		if !h.answers() && !h.forwards() {
			continue
		}
		p := w.place(h, f.root)
		p.seen = append(p.seen, f)
		fixed := f.fixed || h.Rewrite.URI != "" && !ownPath(h.Rewrite.URI)
		switch {
		case f.judged && f.status > 0 && h.Handler != "reverse_proxy": // pages of errors aren't the API
		case f.judged:
			for _, u := range p.upstreams {
				w.guarding[u] = union(w.guarding[u], f.gates...)
			}
		case fixed:
		case f.away != nil:
			p.away = union(p.away, f.away)
		default:
			p.open = append(p.open, f)
		}
		if f.away == nil && f.status == 0 {
			for _, status := range h.fails() {
				w.fail(f, status)
			}
		}
	}
}

// place returns the place of a handler, which serves files of a root.
func (w *walk) place(h *handler, root string) *place {
	upstreams := h.upstreams(root)
	name := placeName{h, strings.TrimSpace(h.Handler + " " + strings.Join(upstreams, " "))}
	p, known := w.known[name]
	if !known {
		p = &place{placeName: name}
		for _, u := range upstreams {
			p.upstreams = append(p.upstreams, sameUpstream(u))
		}
		w.known[name] = p
		w.places = append(w.places, p)
	}
	return p
}

// subroute sends flows through the routes of a handler. What fails there, or later, comes
// to its error routes if it has some.
func (w *walk) subroute(h *handler, flows []flow) (out []flow) {
	if h.Errors == nil {
		return w.routes(h.Routes, flows)
	}
	for _, f := range flows {
		c := w.catcher(h.Errors.Routes, f.catch)
		f.catch = c
		out = append(out, w.routes(h.Routes, []flow{f})...)
		// What falls out of the error routes goes on as well.
		failed := c.failed
		c.failed = nil
		out = append(out, w.routes(c.routes, join(failed))...)
	}
	return out
}

// invoke sends flows through a named route.
func (w *walk) invoke(name string, flows []flow) []flow {
	r, known := w.server.NamedRoutes[name]
	if !known || slices.Contains(w.invoked, name) {
		return nil // it fails, at once or at last
	}
	w.invoked = append(w.invoked, name)
	flows = w.routes([]route{r}, flows)
	w.invoked = w.invoked[:len(w.invoked)-1]
	return flows
}
