package policy

import (
	"net/url"
	"strings"
)

// Servers route differently. Express and ASP.NET ignore the case of a literal,
// Rails and Spring a suffix such as .json, servlet containers what follows a
// semicolon, PHP what comes before or after a script's name; Express and Rails
// compare literals before they decode; servlets, Express and Spring let what is
// mounted at /admin handle /admin itself. So a path that is on /users/{id} here may be
// on /users/me there. It is refused, unless a token for the one route is enough for the
// other, too.
//
// Whether a request is worth a second look shows on the way to its route (Match.odd and
// pathText.marked). The look itself is a second walk through the tree, and another one
// for each other reading of the request.

// look is a second look at a request, at the routes on which some server finds it.
type look struct {
	m        *Match    // its Route is the one that it is on; nil for none
	enforced bool      // only enforced routes count, none in report mode
	reading  *reading  // how m.path is taken apart now
	judged   *pathText // m.path as it is judged, if that is another one
	inList   bool      // a name of a list is followed: those of one segment are enough
}

// asJudged is the reading by which a request is judged.
var asJudged = reading{loose: true}

// lookAgain refuses a request that some server finds on another route, which asks for more
// than its own. A request in report mode is forwarded even if it is refused, or on no route:
// so it is first looked for on enforced routes, which take it out of report mode.
func (m *Match) lookAgain() {
	if m.Reports() && m.policy.enforces {
		(&look{m: m, enforced: true, reading: &asJudged}).all()
		m.unsure = m.Reason != Forward
	}
	if m.Route != nil && m.Reason == Forward {
		(&look{m: m, reading: &asJudged}).all()
	}
}

// all looks at the request in all its readings, until it is refused for one: then the
// remaining steps do nothing. (With a list of them, Match would escape to the heap.)
func (l *look) all() {
	l.walk()
	l.beforeSemicolon()
	l.byQueryValues()
	l.byQueryPath()
	l.afterHost()
	l.byTunnel()
	l.byOtherPaths()
}

// beforeSemicolon judges the request by its path up to a semicolon.
func (l *look) beforeSemicolon() {
	if l.m.Reason == Forward && l.m.policy.semicolon {
		l.by(l.m.path.beforeSemicolon()...)
	}
}

// byOtherPaths judges the request by the other ways to take its path apart.
func (l *look) byOtherPaths() {
	switch m := l.m; {
	case m.Reason != Forward || !m.path.marked:
	case hasSessionSegment(m.path.text):
		m.refuse("the path has a segment that ASP.NET takes for a session and drops")
	case m.path.hasVirtualHost(m.Route):
		m.refuse("the path has a segment by which Zope finds another host or another path")
	case m.path.hasParameters():
		m.refuse("the path has parameters behind an ampersand, where some servers have the query begin")
	case m.path.countScripts() > maxScripts:
		m.refuse("the path has the names of too many scripts")
	default:
		l.by(m.path.readings(m.Route)...)
		l.by(m.path.mounted(m.policy.mounts)...)
	}
}

// byQueryValues judges the request by the values that its query has for parameters of
// the path.
func (l *look) byQueryValues() {
	if l.m.Reason != Forward {
		return
	}
	others, why := l.m.replaced()
	if why != "" {
		l.m.refuse(why)
		return
	}
	l.by(others...)
}

// byTunnel judges the request by the methods that its query has to some servers.
func (l *look) byTunnel() {
	m := l.m
	for _, method := range m.tunnels {
		if m.Reason != Forward {
			return
		}
		judged := m.method
		m.method = method
		found := m.policy.lookFor(m)
		m.method = judged
		l.uncovered(found, tunnelsMethod, "")
	}
}

// by judges the request by other readings of its path.
func (l *look) by(others ...reading) {
	if len(others) == 0 {
		return
	}
	judged := l.m.path
	l.judged = &judged
	for i := range others {
		if l.m.Reason == Forward {
			l.reading = &others[i]
			l.m.path = l.reading.pathText
			l.walk()
		}
	}
	l.m.path, l.reading = judged, &asJudged
}

// walk judges the request by its path as it is taken apart now, once for each value of a key
// that its query repeats.
func (l *look) walk() {
	l.m.repeated.now = 0
	for l.once() && l.m.repeated.next() {
	}
}

// once is walk by one of the values. It reports whether the request is still forwarded.
func (l *look) once() bool {
	found := l.find(l.m.policy.tree, 0)
	return !l.uncovered(found, "", "") && !l.unlisted(found)
}

// unlisted refuses a request that needs no token on its route, and is on no route to servers
// that compare literals before they decode them: those may have a route for it that the
// policy doesn't list, and the default asks for a token or denies. Characters that clients
// encode by habit (@, :, ~) don't count. It reports whether the request is refused.
func (l *look) unlisted(found *Route) bool {
	m, p := l.m, l.m.policy
	if found != nil || m.Route == nil || l.reading.rule != comparesEncoded || p.fallback != nil && p.fallback.Require.need == needNothing {
		return false
	}
	open := m.Route.Require.need == needNothing || m.Route.optional || m.Route.report && !p.site.report
	counts := !p.site.report || m.Route.report && !l.enforced // where the default is in force, or all of it is only tried
	if open && m.Reason == Forward && counts && escapesUnreserved(l.judged.raw) {
		m.refuse("some servers find the path on no route" + comparesEncoded)
	}
	return m.Reason != Forward
}

// escapesUnreserved reports whether a path has a letter, a digit or one of -._ encoded, which
// no client needs to do (RFC 3986 section 2.3).
func escapesUnreserved(raw string) bool {
	return escapes(raw, func(c byte) bool { return isAlnum(c) || c == '-' || c == '.' || c == '_' })
}

// uncovered refuses a request that some servers find on another route, unless its own asks for
// as much. It reports whether the request is refused. other may be nil. rule says why they
// find it there, and piece because of which part of the path, if not all of it. Both are
// those of the reading, if that isn't asJudged.
func (l *look) uncovered(other *Route, rule, piece string) bool {
	m := l.m
	if m.Reason == Forward && other != nil && !(l.enforced && other.report) && (!m.Route.covers(other, m.policy.Catalog) || l.shifts(other)) {
		if l.reading != &asJudged {
			rule, piece = l.reading.rule, l.reading.piece
		}
		m.alike, m.piece = other, piece
		m.refuse("some servers find the path on another route" + rule)
	}
	return m.Reason != Forward
}

// shifts reports whether the path as it is taken apart now has another space or
// resource, on a route that the request's covers, than as it was judged.
func (l *look) shifts(other *Route) bool {
	if l.reading.loose || l.m.Route.Require.need == needNever || other.Require.need == needNothing {
		return false
	}
	own := l.m.Route
	for _, s := range [...]*source{&other.space, &other.resource} {
		if s.kind != fromPath || *s != own.space && *s != own.resource {
			continue // the token is for all of them
		}
		if !s.tail && s.segment >= l.m.path.n { // it is in the query (onMissing)
			return true
		}
		judged, text := l.judged.at(s), l.m.path.at(s)
		if judged == text || s.shortened(judged) == text { // then a grant has to name both (coversValue)
			continue
		}
		// What is routed before it is decoded is decoded afterwards.
		if decoded, err := url.PathUnescape(text); err != nil || decoded != withSlashes(judged) {
			return true
		}
	}
	return false
}

// find is node.find for servers that read literals generously. It refuses a request
// that one of them finds on a route which its own doesn't cover.
func (l *look) find(n *node, i int) *Route {
	m := l.m
	if i == m.path.n {
		found := m.pick(n.ends)
		if found == nil && m.Reason == Forward {
			l.uncovered(m.pick(n.tails), mountsAtPath, "") // what is mounted at /x takes /x, and /x/, as well
		}
		l.onMissing(n, i)
		return found
	}
	text := m.path.segment(i)
	if next := n.next(text); next != nil {
		if found := l.find(next, i+1); found != nil || m.Reason != Forward || l.onFile(next, i, isFile(text)) {
			return found
		}
	} else if l.onLiterals(n, i) {
		return nil
	}
	if l.onNames(n, i) || l.onPartials(n, i) {
		return nil
	}
	whole := "" // the segment before it was cut off
	if i == m.path.n-1 {
		whole = l.reading.was
	}
	for j := range n.partial {
		if p := &n.partial[j]; p.matches(text) {
			if found := l.findNamed(p.to, i+1, p.matches(whole)); found != nil || m.Reason != Forward || l.onFile(p.to, i, p.isFile()) {
				return found
			}
		}
	}
	if n.parameter != nil {
		if found := l.findNamed(n.parameter, i+1, whole != ""); found != nil || m.Reason != Forward {
			return found
		}
	}
	return l.named(n.tails, l.reading.was != "")
}

// onLiterals refuses a request that is on another route to servers that take the i-th segment
// for one of the node's literals. Like onNames and onPartials, it reports whether the request
// is refused.
func (l *look) onLiterals(n *node, i int) bool {
	if len(n.edges) == 0 {
		return false
	}
	text, last := l.m.path.segment(i), i == l.m.path.n-1
	s := spell(text)
	for j := range n.edges {
		e := &n.edges[j]
		if s.alike(e.literal, last) && !l.onKeys(i, e.literal) &&
			(l.uncovered(l.find(e.to, i+1), s.loosely(e.literal), text) || l.onFile(e.to, i, isFile(e.literal))) {
			return true
		}
	}
	return false
}

// onNames is onLiterals for servers that find a literal within the segment.
func (l *look) onNames(n *node, i int) bool {
	text := l.m.path.segment(i)
	if view, ok := viewIn(text); ok && l.onName(n.next(view), i) {
		return true
	}
	if l.inList || strings.IndexByte(text, ',') < 0 {
		return false
	}
	l.inList = true
	defer func() { l.inList = false }()
	followed := map[*node]bool{} // the client may repeat names as it likes
	for name := range strings.SplitSeq(text, ",") {
		to := n.next(name)
		if !followed[to] && l.onName(to, i) {
			return true
		}
		followed[to] = true
	}
	return false
}

// onName is onNames for one name, which leads to a node, or nowhere (nil).
func (l *look) onName(to *node, i int) bool {
	return to != nil && l.uncovered(l.find(to, i+1), findsInName, l.m.path.segment(i))
}

// onPartials is onLiterals for parameters with literals around them.
func (l *look) onPartials(n *node, i int) bool {
	text := l.m.path.segment(i)
	for j := range n.partial {
		p := &n.partial[j]
		if !p.matches(text) && p.resembles(text) && (l.uncovered(l.find(p.to, i+1), comparesLoosely, text) || l.onFile(p.to, i, p.isFile())) {
			return true
		}
	}
	return false
}

// onMissing refuses a request on whose path parameters follow, to servers that take these from
// the query if they are missing at its end: /posts?id=4 is /posts/4.
func (l *look) onMissing(n *node, i int) {
	if l.m.query == "" {
		return
	}
	for to := n.parameter; to != nil; to = to.parameter {
		if r := l.m.pick(to.ends); r != nil && l.m.hasInQuery(r.pattern.segments[i:]) && l.uncovered(r, prefersQuery, "") {
			return
		}
	}
}

// onFile refuses a request whose i-th segment is the name of a file to servers that serve it
// whatever follows, if the file's route, which ends at the node, asks for more. It reports
// whether the request is refused. If the request's own route has a literal after that segment,
// the segment is no file.
func (l *look) onFile(n *node, i int, file bool) bool {
	if !file || i+1 >= l.m.path.n || l.m.Route != nil && l.m.Route.pattern.hasLiteralFrom(i+1) {
		return false
	}
	return l.uncovered(l.m.pick(n.ends), servesFile, l.m.path.segment(i))
}

// onKeys reports whether the request's own route has an OData key after the literal in its
// i-th segment: Salaries({key}).
func (l *look) onKeys(i int, literal string) bool {
	r := l.m.Route
	if r == nil || l.reading != &asJudged || i >= len(r.pattern.segments) {
		return false
	}
	before, key := strings.CutSuffix(r.pattern.segments[i].before, "(")
	return key && before == literal
}

// findNamed is find after a parameter. cut says that the path was cut off in its value.
func (l *look) findNamed(n *node, i int, cut bool) *Route {
	if cut {
		return l.named(n.ends, true)
	}
	return l.find(n, i)
}

// named is Match.pick for routes that end in a parameter. Where its value was cut off (cut),
// what is left is a value, too (Human of Human Resources), and the request counts as being on
// its own route.
func (l *look) named(routes []*Route, cut bool) *Route {
	found := l.m.pick(routes)
	if found != nil && cut {
		return l.m.Route
	}
	return found
}
