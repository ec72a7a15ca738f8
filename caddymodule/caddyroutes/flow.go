package caddyroutes

import (
	"regexp"
	"slices"
	"strings"
)

// flow is the requests that come to a place in the routes by one way: what is known of all
// of them there.
type flow struct {
	facts
	sent  facts  // as they were sent, if they were rewritten since
	gates []Gate // that have let them through
	early []earlyUse
	way
}

// facts are what requests match, and what they don't.
type facts struct{ is, isnt []matcherSet }

// way is what keeps flows apart.
type way struct {
	judged   bool     // by a gate
	away     Gate     // the gate that has turned them away, in error routes
	status   int      // of the error, there; 0: any
	taken    string   // groups of which they were on a route, as route.group names them
	root     string   // of files
	fixed    bool     // their path is from the configuration: clients can't choose it
	moved    bool     // they were rewritten
	stripped string   // the prefix that was cut off from their path
	asked    bool     // patgate_authorize answers what gates let through
	signedIn bool     // by another handler than a gate
	verified bool     // another server has let them through, as in forward_auth
	catch    *catcher // takes their errors
}

// earlyUse is a placeholder of the gate that is used where no gate has set it.
type earlyUse struct{ handler, placeholder string }

// catcher is error routes, with what comes to them.
type catcher struct {
	routes  []route
	server  bool     // they are those of the server
	invoked []string // the named routes that they are in
	outer   *catcher // takes errors of these routes; nil: nothing does
	failed  []flow
}

// on returns the flow of the requests that match the set; false: none can.
func (f flow) on(m matcherSet) (flow, bool) {
	if !f.may(m) {
		return f, false
	}
	m, possible := atStatus(m, f.status)
	if !possible {
		return f, false
	}
	f.learn(m)
	// What can't match anyway need not be kept.
	f.isnt = slices.DeleteFunc(slices.Clone(f.isnt), func(m matcherSet) bool { return !f.may(m) })
	return f, !f.contradicts()
}

// past returns the flow of the requests that match none of the sets; false: all match.
func (f flow) past(sets []matcherSet) (flow, bool) {
	if len(sets) == 0 {
		return f, false
	}
	learnt := false
	for _, m := range sets {
		if !f.may(m) {
			continue
		}
		m, possible := atStatus(m, f.status)
		if possible && m.tries().takesAll() {
			if m = m.without("file"); len(m) == 0 {
				return f, false
			}
		}
		if not := m.not(); !possible {
			continue
		} else if learnt = true; len(m) == 1 && len(not) == 1 {
			f.learn(not[0])
		} else {
			f.isnt = append(slices.Clip(f.isnt), m)
		}
	}
	return f, !learnt || !f.contradicts()
}

// learn notes that the set matches.
func (f *facts) learn(m matcherSet) {
	f.isnt = append(slices.Clip(f.isnt), m.not()...)
	if m = m.without("not"); len(m) > 0 {
		f.is = append(slices.Clip(f.is), m)
	}
}

// may reports whether requests of the flow can match the set, as far as can be told by
// what they match besides.
func (f *facts) may(m matcherSet) bool {
	return !slices.ContainsFunc(f.is, func(known matcherSet) bool { return !overlap(m, known) })
}

// contradicts reports whether no request can be as the flow says.
func (f *facts) contradicts() bool {
	return slices.ContainsFunc(f.isnt, f.matches) || slices.ContainsFunc(f.is, func(m matcherSet) bool { return !f.may(m) })
}

// matches reports whether all requests certainly match the set.
func (f *facts) matches(m matcherSet) bool {
	for name, wide := range m {
		if name == "not" {
			for _, not := range m.not() {
				if !contains(f.isnt, not) {
					return false
				}
			}
		} else if !slices.ContainsFunc(f.is, func(known matcherSet) bool { return known[name].RawMessage != nil && covers(name, wide, known[name]) }) {
			return false
		}
	}
	return true
}

// mayBeFor reports whether requests of the flow can be for one of the hosts; none: all.
func (f *facts) mayBeFor(hosts []string) bool {
	return f.may(matcherSet{"host": {list: hosts}})
}

// forHosts reports whether all requests are for hosts that are known.
func (f *facts) forHosts() bool {
	return slices.ContainsFunc(f.is, func(m matcherSet) bool { return len(m.hosts()) > 0 })
}

// forget drops what is known by matchers with one of the names in them, or, without names,
// by all, but for hosts.
func (f *facts) forget(names ...string) {
	gone := func(m matcherSet) bool {
		text := m.String()
		return len(m.without("host")) > 0 && (len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return strings.Contains(text, `"`+name) }))
	}
	var is []matcherSet
	for _, m := range f.is {
		if of, has := m["host"]; gone(m) && has {
			is = append(is, matcherSet{"host": of})
		} else if !gone(m) {
			is = append(is, m)
		}
	}
	f.is, f.isnt = is, slices.DeleteFunc(slices.Clone(f.isnt), gone)
}

// join makes one flow of those that went the same way.
func join(flows []flow) (joined []flow) {
	index := map[way]int{}
	for _, f := range flows {
		i, known := index[f.way]
		if !known {
			index[f.way] = len(joined)
			joined = append(joined, f)
			continue
		}
		j := &joined[i]
		j.facts, j.sent = j.either(f.facts), j.sent.either(f.sent)
		j.gates, j.early = union(j.gates, f.gates...), union(j.early, f.early...)
	}
	return joined
}

// either returns what is known of requests that f or other is true of: what both say.
func (f *facts) either(other facts) facts {
	isnt := other.denied(f.isnt)
	for _, m := range f.denied(other.isnt) {
		if !contains(isnt, m) {
			isnt = append(isnt, m)
		}
	}
	return facts{common(f.is, other.is), isnt}
}

// common returns the sets that are in both lists.
func common(a, b []matcherSet) []matcherSet {
	return slices.DeleteFunc(slices.Clone(a), func(m matcherSet) bool { return !contains(b, m) })
}

func contains(sets []matcherSet, m matcherSet) bool {
	return slices.ContainsFunc(sets, func(other matcherSet) bool { return other.String() == m.String() })
}

// denied returns those of the sets that requests which f is true of can't match.
func (f *facts) denied(sets []matcherSet) []matcherSet {
	return slices.DeleteFunc(slices.Clone(sets), func(m matcherSet) bool { return !contains(f.isnt, m) && f.may(m) })
}

// union returns the list with what it doesn't have.
func union[E comparable](a []E, b ...E) []E {
	a = slices.Clip(a)
	for _, e := range b {
		if !slices.Contains(a, e) {
			a = append(a, e)
		}
	}
	return a
}

// implies reports whether others is true of all requests that f is true of.
func (f *facts) implies(others *facts) bool {
	return len(common(others.is, f.is)) == len(others.is) && len(f.denied(others.isnt)) == len(others.isnt)
}

// describe says which requests are meant, of all that may come to a gate for the hosts: by
// what they match as they were sent, and only where that is no more than a host by what
// they don't; and by what they match when they were rewritten.
func (f *flow) describe(hosts []string) string {
	var does, doesnt, elsewhere []string
	sent := f.facts
	if f.moved {
		sent = f.sent
	}
	for _, m := range sent.is {
		of := m.hosts()
		if m = m.without("host").without("file"); len(m) > 0 {
			does = union(does, m.String())
		}
		if len(of) > 0 && !slices.Equal(of, hosts) {
			elsewhere = union(elsewhere, of...)
		}
	}
	for _, m := range sent.isnt {
		if _, tries := m["file"]; tries {
			continue // it is not the request that says which files exist
		}
		if of := m.hosts(); len(of) == 0 || len(elsewhere) == 0 && slices.Equal(of, hosts) {
			doesnt = append(doesnt, m.String())
		}
	}
	which := ""
	if len(does) > 0 {
		which = "those that match " + strings.Join(does, " and ")
	} else if len(doesnt) > 0 {
		which = "those that don't match " + strings.Join(doesnt, " or ")
	}
	if len(elsewhere) > 0 {
		which = strings.TrimPrefix(which+", to "+strings.Join(elsewhere, ", "), ", ")
	}
	if which == "" {
		return ""
	}
	if f.moved {
		for _, m := range f.is {
			if m = m.without("host"); len(m) > 0 {
				which += ", rewritten to match " + m.String()
			}
		}
	}
	return ": " + which
}

// rewrite has the requests of a flow rewritten by a handler of the route.
func (f *flow) rewrite(r *route, h *handler) {
	if !f.moved {
		f.moved, f.sent = true, f.facts
	}
	f.forget()
	f.stripped = h.Strip
	if h.URI == "" || strings.HasPrefix(h.URI, "?") {
		return
	}
	text := h.URI
	if strings.Contains(text, "{http.matchers.file.") {
		for _, m := range r.Match {
			text += strings.Join(m.tries().Files, " ")
		}
	}
	if !ownPath(text) {
		f.fixed = true
	} else if strings.Contains(text, "{http.request.orig_uri") {
		f.fixed = false
	}
}

var httpPlaceholder = regexp.MustCompile(`\{http\.[^{}]*\}|\{(path|uri|query|re\.)[^{}]*\}`)

// ownPath reports whether a path depends on the request itself.
func ownPath(text string) bool {
	return slices.ContainsFunc(httpPlaceholder.FindAllString(text, -1), func(p string) bool {
		return !strings.HasPrefix(p, "{http.error.") && !strings.HasPrefix(p, "{http.matchers.file.")
	})
}

var gatePlaceholder = regexp.MustCompile(`\{http\.(patgate\.\w+|auth\.user\.id)\}`)

// use notes placeholders of the gate in the text, where no gate has come yet.
func (f *flow) use(by, text string) {
	if f.judged {
		return
	}
	for _, placeholder := range gatePlaceholder.FindAllString(text, -1) {
		if !f.signedIn || strings.Contains(placeholder, "patgate") {
			f.early = union(f.early, earlyUse{by, placeholder})
		}
	}
}
