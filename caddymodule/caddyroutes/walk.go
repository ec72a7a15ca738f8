package caddyroutes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
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
	guarding map[string]map[Gate]bool // the gates before each upstream
	warnings []policy.Warning
	oddities []policy.Warning // of what is seen on the way
	askers   []string         // of patgate_authorize
	unasked  bool             // some requests come out behind all routes that it wasn't asked about
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
	w := &walk{server: server, gates: map[Gate]*passage{}, known: map[placeName]*place{}, guarding: map[string]map[Gate]bool{}}
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

// fail has requests come to the error routes. Those of a server see them as they were sent.
// They pass by the routes of groups that they were in.
func (w *walk) fail(f flow, status int) {
	if c := f.catch; c != nil {
		if f.moved && c.server {
			f.facts, f.moved = f.sent, false
		} else if f.moved {
			f.forgetAll()
		}
		f.status, f.catch, f.fixed = status, c.outer, false
		c.failed = append(c.failed, f)
	}
}

// routes goes through routes, and returns what comes out behind them.
func (w *walk) routes(routes []route, flows []flow) []flow {
	for i := range routes {
		r := &routes[i]
		group := ""
		if r.Group != "" {
			group = r.Group + " "
		}
		var texts []string
		for _, m := range r.Match {
			texts = append(texts, m.String())
		}
		on, past := []flow(nil), make([]flow, 0, len(flows))
		for _, f := range flows {
			if group != "" && strings.Contains(" "+f.taken, " "+group) {
				past = append(past, f)
				continue
			}
			for _, text := range texts {
				f.use("a matcher", text)
			}
			if p, some := f.past(r.Match); some {
				past = append(past, p)
			}
			f.taken += group
			if len(r.Match) == 0 {
				on = append(on, f)
			}
			for _, m := range r.Match {
				if o, some := f.on(m); some {
					on = append(on, o)
					w.failTrying(o, m)
				}
			}
		}
		on = join(on)
		if w.steps += 1 + len(on); w.lost() {
			return nil
		}
		on = w.handlers(r, on)
		if r.Terminal {
			on = nil
		}
		flows = append(past, on...)
		if group != "" && !slices.ContainsFunc(routes[i+1:], func(later route) bool { return later.Group == r.Group }) {
			for i := range flows {
				flows[i].taken = strings.TrimPrefix(strings.ReplaceAll(" "+flows[i].taken, " "+group, " "), " ")
			}
		}
		if len(on) > 0 || group != "" { // otherwise no flow has changed
			flows = join(flows)
		}
	}
	return flows
}

// failTrying has requests come to the error routes whose files a matcher doesn't find.
func (w *walk) failTrying(f flow, m matcherSet) {
	if status := m.tries().fails(); status > 0 && f.away == nil && f.status == 0 && !f.judged {
		w.fail(f, status)
	}
}

// handlers goes through the handlers of a route.
func (w *walk) handlers(r *route, flows []flow) []flow {
	for n := range r.Handle {
		h := &r.Handle[n]
		eachOf(flows, func(f *flow) { f.use("the handler "+h.Handler, h.eager()) })
		flows = join(w.handler(r, h, flows))
	}
	return flows
}

func eachOf(flows []flow, do func(*flow)) {
	for i := range flows {
		do(&flows[i])
	}
}

// handler has flows come to a handler, and returns those that it passes on.
func (w *walk) handler(r *route, h *handler, flows []flow) (out []flow) {
	switch h.Handler {
	case "patgate":
		return w.judge(h.gate, flows)
	case "patgate_authorize":
		w.askers = union(w.askers, []string{h.For})
		eachOf(flows, func(f *flow) { f.asked = true })
	case "authentication":
		eachOf(flows, func(f *flow) { f.signedIn = true })
	case "invoke":
		return w.invoke(h.Name, flows)
	case "vars":
		eachOf(flows, func(f *flow) {
			f.root = cmp.Or(h.Root, f.root)
			f.forgetBy("vars", "expression")
		})
	case "rewrite":
		eachOf(flows, func(f *flow) { f.rewrite(r, h) })
	case "headers":
		eachOf(flows, func(f *flow) {
			w.change(f, "request_header", &h.Request)
			f.forgetBy("header", "expression")
		})
	case "intercept":
		for _, routes := range h.below() {
			w.routes(routes, slices.Clone(flows)) // of them nothing goes on
		}
	case "map", "encode", "log_append", "request_body", "templates", "tracing", "subroute":
	case "reverse_proxy":
		eachOf(flows, func(f *flow) { w.change(f, "header_up", &h.Headers.Request) })
		w.answer(h, flows)
		for _, routes := range h.below() {
			out = append(out, w.routes(routes, slices.Clone(flows))...)
		}
		eachOf(out, func(f *flow) { f.verified = true })
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

// passage returns what has been seen of the gate.
func (w *walk) passage(gate Gate) *passage {
	p, known := w.gates[gate]
	if !known {
		p = new(passage)
		w.gates[gate] = p
	}
	return p
}

// guards reports whether the gate stands before one of the upstreams, here or elsewhere.
func (w *walk) guards(gate Gate, upstreams []string) bool {
	return slices.ContainsFunc(upstreams, func(u string) bool { return w.guarding[u][gate] })
}

// within returns the roots behind gates that are in a root of the place, where the flow may
// come to their files.
func (w *walk) within(p *place, f *flow) (roots []string) {
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

// judge has flows come to a gate.
func (w *walk) judge(gate Gate, flows []flow) []flow {
	p := w.passage(gate)
	if len(flows) > 0 {
		p.reached = true
	}
	p.before = len(w.places)
	for i := range flows {
		f := &flows[i]
		p.asked = p.asked || f.asked
		if !f.judged && f.away == nil {
			for _, use := range f.early {
				text := use.handler + " stands before this gate and names " + use.placeholder + ", which is empty there: only what stands behind the gate can use it"
				if use.handler == "the handler headers" {
					text += "; a field of the answer is set later by header >"
				}
				w.find(gate, warnEmpty, text)
			}
		}
		f.early = nil
		for _, status := range rejectionStatuses() {
			turned := *f
			turned.judged, turned.gates, turned.away = false, nil, gate
			w.fail(turned, status)
		}
		f.judged, f.away = true, nil
		f.gates = union(f.gates, []Gate{gate})
	}
	return flows
}

func (w *walk) find(gate Gate, kind, text string) {
	w.oddities = warned(w.oddities, gate, kind, text)
}

// answer has flows come to a handler that answers them, or may.
func (w *walk) answer(h *handler, flows []flow) {
	for _, f := range flows {
		for _, gate := range f.gates {
			w.passage(gate).guards = true
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
				for _, gate := range f.gates {
					w.guarding[u][gate] = true
				}
			}
		case fixed:
		case f.away != nil:
			p.away = union(p.away, []Gate{f.away})
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
			u = sameUpstream(u)
			p.upstreams = append(p.upstreams, u)
			if w.guarding[u] == nil {
				w.guarding[u] = map[Gate]bool{}
			}
		}
		w.known[name] = p
		w.places = append(w.places, p)
	}
	return p
}

// subroute has flows go through the routes of a handler. What fails there, or behind it,
// comes to its error routes if it has some.
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

// invoke has flows go through a named route.
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

// change has a flow's headers changed by name, and finds those that a gate before it has
// read or set.
func (w *walk) change(f *flow, by string, ops *headerOps) {
	for _, gate := range f.gates {
		for _, name := range gate.SourceHeaders() {
			if ops.gives(name) || ops.removes(name) {
				w.find(gate, warnChanged, by+" behind this gate changes "+name+", in which the gate reads the space or the resource: what is forwarded isn't what was judged; change it before the gate, in a route block")
			}
		}
		for _, name := range gate.IdentityNames() {
			if ops.gives(name) {
				w.find(gate, warnChanged, by+" behind this gate sets "+name+", which tells the API who is asking: don't set it, or use another name")
			}
		}
	}
}
