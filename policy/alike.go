package policy

import (
	"net/url"
	"slices"
	"strings"
)

// Servers route differently. Express and ASP.NET ignore the case of a literal,
// Rails and Spring a suffix such as .json, servlet containers what follows a
// semicolon, PHP what comes before or after a script's name; Express and Rails
// compare literals before they decode; servlets, Express and Spring have what is
// mounted at /admin take /admin itself. So a path that isn't on /users/me, but on
// /users/{id}, may be on /users/me there. It is refused, unless whoever may do
// the one may do the other, too.
//
// Whether a path is worth such a look is found out on the way to its route
// (marks.resembles and pathText.marked); the look itself is a second walk through
// the tree.

// judgeReadings refuses a request on r that some server finds on another route
// which asks for more. r is nil for what is on no route and would be forwarded all
// the same, in report mode.
func (p *Policy) judgeReadings(m *Match, r *Route) {
	p.judgeReading(m, r)
	if p.semicolon {
		p.judgeCut(m, r)
	}
	if m.Reason == Forward && m.hasQueryPath() {
		p.judgeQueryPath(m, r)
	}
	if m.Reason == Forward && m.hasShortHost() {
		p.judgeBehindHost(m, r)
	}
	if m.Reason == Forward && m.tunnel != "" {
		p.judgeTunneled(m, r)
	}
	switch {
	case m.Reason != Forward || !m.path.marked:
		return
	case hasSessionSegment(m.path.text):
		m.refuse("the path has a segment that ASP.NET takes for a session and drops")
		return
	case m.path.hasParameters():
		m.refuse("the path has parameters behind an ampersand, where some servers have the query begin")
		return
	case m.path.countScripts() > maxScripts:
		m.refuse("the path has the names of too many scripts")
		return
	}
	if others := m.path.readings(r); len(others) > 0 {
		p.judgeOthers(m, r, others)
	}
}

// queryPaths returns the paths that the query begins with: as it came, and without
// the tokens that are taken out of it.
func (m *Match) queryPaths() (all []string) {
	for _, query := range [...]string{m.query, m.policy.withoutTokens(m.query)} {
		if !strings.HasPrefix(query, "/") {
			continue
		}
		path, _, _ := strings.Cut(query, "?")
		if before, behind, _ := strings.Cut(path, "&"); !strings.Contains(behind, "/") {
			path = before // no segment follows, only other parameters
		}
		if !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	return all
}

// hasQueryPath reports whether queryPaths returns any.
func (m *Match) hasQueryPath() bool {
	query := m.query
	for query != "" && m.policy.StripToken {
		end := strings.IndexAny(query, tokenSeparators)
		if end < 0 || !m.policy.isTokens(query[:end]) {
			break
		}
		query = query[end+1:]
	}
	return strings.HasPrefix(query, "/")
}

// judgeQueryPath judges the request by the path that its query begins with, alone and
// below its own: CodeIgniter routes by that. Where its own is none, a directory or a
// script, what is on no route there is closed, as it would be by itself; elsewhere
// such queries are SvelteKit's, for the actions of a page.
func (p *Policy) judgeQueryPath(m *Match, r *Route) {
	below, script := m.path.directory()
	strict := script || m.path.raw == below+"/"
	for _, path := range m.queryPaths() {
		others := make([]pathText, 2)
		for i, text := range [...]string{path, below + path} {
			others[i].rule = routesByQuery
			if why := others[i].parse(text, p.encodedSlash, p.semicolon); why != "" {
				m.refuse("the query begins with a path, by which some servers route, and " + why)
				return
			}
			judged := m.path
			m.path = others[i]
			found := p.lookFor(m)
			m.path = judged
			switch {
			case m.Reason != Forward || !strict:
			case found != nil:
				m.uncovered(r, found, routesByQuery, "")
			case r != nil && r.Require.need != needNever:
				m.refuse("the query begins with a path that is on no route, by which some servers route")
			}
			if m.Reason != Forward {
				return
			}
		}
		p.judgeOthers(m, r, others)
	}
}

// directory returns the path as it stands in the request, without the name of a script
// at its end, and whether it has that.
func (p *pathText) directory() (dir string, script bool) {
	dir = strings.TrimSuffix(p.raw, "/")
	if p.n > 0 && isScript(p.segment(p.n-1)) {
		return dir[:strings.LastIndexByte(dir, '/')], true
	}
	return dir, false
}

// urlStart is where Elysia begins to look for the slash at which the path of a URL
// begins: in a host that isn't short, or behind it.
const urlStart = 11

// hasShortHost reports whether urlStart is behind the first slash of the path.
func (m *Match) hasShortHost() bool {
	return m.host != "" && len("http://")+len(m.host) < urlStart
}

// judgeBehindHost judges the request by the path that begins at a later slash, perhaps
// in the query, for which Elysia takes it where the host is short.
func (p *Policy) judgeBehindHost(m *Match, r *Route) {
	var others []pathText
	for _, query := range [...]string{m.query, p.withoutTokens(m.query)} {
		for _, scheme := range [...]string{"http://", "https://"} {
			url := scheme + m.host + m.path.raw + "?" + query
			i := strings.IndexByte(url[min(urlStart, len(url)):], '/')
			if i < 0 || urlStart+i <= len(scheme)+len(m.host) {
				continue // none, or the path's own
			}
			path, _, _ := strings.Cut(url[urlStart+i:], "?")
			path = strings.TrimSuffix(path, "/")
			decoded, raw := pathText{rule: findsBehindHost}, pathText{rule: findsBehindHost}
			if len(path) > maxPathLength || !raw.split(path) {
				m.refuse("the host is so short that some servers find the path in the query, and there it is too long")
				return
			}
			if others = append(others, raw); decoded.parse(path+"/", p.encodedSlash, p.semicolon) == "" {
				others = append(others, decoded)
			}
		}
	}
	p.judgeOthers(m, r, others)
}

// judgeTunneled judges the request by the method that its query has for Restlet.
func (p *Policy) judgeTunneled(m *Match, r *Route) {
	judged := m.method
	m.method = m.tunnel
	found := p.lookFor(m)
	m.method = judged
	m.uncovered(r, found, tunnelsMethod, "")
}

// judgeOthers judges the request by the other ways to take its path apart.
func (p *Policy) judgeOthers(m *Match, r *Route, others []pathText) {
	judged := m.path
	m.judgedPath = &judged
	for _, other := range others {
		if m.Reason == Forward {
			m.path = other
			p.judgeReading(m, r)
		}
	}
	m.path, m.judgedPath = judged, nil
}

// judgeCut judges the request by its path up to the first semicolon: Fastify has
// the query begin there. With encoded slashes, that may be split at them.
func (p *Policy) judgeCut(m *Match, r *Route) {
	cut, _, found := strings.Cut(m.path.text, ";")
	if !found || m.Reason != Forward {
		return
	}
	judged := m.path
	others := appendPath([]pathText{m.path.upTo(len(cut))}, cut, cutsAtSemicolon, "")
	others[0].rule = cutsAtSemicolon
	if merged := mergeSlashes(cut); merged != cut {
		others = appendPath(others, merged, cutsAtSemicolon, "")
	}
	for _, other := range others {
		if m.Reason == Forward {
			m.path = other
			m.path.raw = judged.raw
			p.judgeReading(m, r)
		}
	}
	m.path = judged
}

// judgeReading refuses a request on r whose path, as it stands in m, some server
// finds on another route which asks for more.
func (p *Policy) judgeReading(m *Match, r *Route) {
	m.repeated.now = 0
	for !m.uncovered(r, p.tree.alike(m, 0, r), "", "") && m.repeated.now < len(m.repeated.values) {
		m.repeated.now++
	}
}

// uncovered refuses a request on r that is on another route as well, to some
// servers, and reports whether it did. other may be nil. rule says why they find it
// there, and piece for what in the path, unless that is said of the path as a whole.
func (m *Match) uncovered(r, other *Route, rule, piece string) bool {
	if m.Reason == Forward && other != nil && !(m.enforced && other.Report) && (!r.covers(other, m.policy.Catalog) || m.shifts(r, other)) {
		if m.path.rule != "" {
			rule, piece = m.path.rule, m.path.piece
		}
		m.alike, m.piece = other, piece
		m.refuse("some servers find the path on another route" + rule)
	}
	return m.Reason != Forward
}

// shifts reports whether the path as it is taken apart now has another space or
// resource, on a route that r covers, than as it was judged.
func (m *Match) shifts(r, other *Route) bool {
	if m.judgedPath == nil || m.path.loose || r.Require.need == needNever || other.Require.need == needNothing {
		return false
	}
	for _, s := range [...]*Source{&other.Space, &other.Resource} { // r's are the same
		if s.Kind != FromPath {
			continue
		}
		judged, text := m.judgedPath.at(s), m.path.at(s)
		if judged == text {
			continue
		}
		// What is routed before it is decoded is decoded afterwards.
		if decoded, err := url.PathUnescape(text); err != nil || decoded != judged {
			return true
		}
	}
	return false
}

// at returns the segment that a path parameter stands in, or all from there on.
func (p *pathText) at(s *Source) string {
	if s.tail {
		return p.from(s.segment)
	}
	return p.segment(s.segment)
}

// alike is find for servers that read literals generously. It refuses a request
// on r that one of them finds on a route which r doesn't cover.
func (n *node) alike(m *Match, i int, r *Route) *Route {
	if i == m.path.n {
		found := m.pick(n.ends)
		if found == nil && m.Reason == Forward {
			m.uncovered(r, m.pick(n.tails), mountsAtPath, "") // what is mounted at /x takes /x, and /x/, as well
		}
		return found
	}
	text, last := m.path.segment(i), i == m.path.n-1
	if next := n.next(text); next != nil {
		if found := next.alike(m, i+1, r); found != nil || m.Reason != Forward {
			return found
		}
	} else {
		s := spelled{text: text}
		for j := range n.edges {
			if e := &n.edges[j]; s.alike(e.literal, last) && m.uncovered(r, e.to.alike(m, i+1, r), loosely(text, e.literal), text) {
				return nil
			}
		}
	}
	for j := range n.partial {
		if p := &n.partial[j]; !p.matches(text) && p.resembles(text) && m.uncovered(r, p.to.alike(m, i+1, r), comparesLoosely, text) {
			return nil
		}
	}
	was := ""
	if last {
		was = m.path.was
	}
	for j := range n.partial {
		if p := &n.partial[j]; p.matches(text) {
			if found := p.to.alikeNamed(m, i+1, r, p.matches(was)); found != nil || m.Reason != Forward {
				return found
			}
		}
	}
	if n.parameter != nil {
		if found := n.parameter.alikeNamed(m, i+1, r, was != ""); found != nil || m.Reason != Forward {
			return found
		}
	}
	found := m.pick(n.tails)
	if found != nil && m.path.was != "" {
		return r
	}
	return found
}

// alikeNamed is alike behind a parameter. cut says that the path is cut off in the middle
// of what that stands for, which is a name still (Human of Human Resources): then it is
// as good as on r.
func (n *node) alikeNamed(m *Match, i int, r *Route, cut bool) *Route {
	if !cut {
		return n.alike(m, i, r)
	}
	if m.pick(n.ends) == nil {
		return nil
	}
	return r
}
