package policy

import (
	"slices"
	"strings"
)

// queries returns the query as it came, and without the tokens that are taken out of it.
func (m *Match) queries() [2]string {
	return [...]string{m.query, m.policy.withoutTokens(m.query)}
}

// queryPaths returns the paths that the query begins with.
func (m *Match) queryPaths() (all []string) {
	for _, query := range m.queries() {
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
		end := strings.IndexAny(query, pairEnds)
		if end < 0 || !m.policy.isTokens(query[:end]) {
			break
		}
		query = query[end+1:]
	}
	return strings.HasPrefix(query, "/")
}

// byQueryPath judges the request by the path that its query begins with, alone and
// below its own: CodeIgniter routes by that. Where its own is none, a directory or a
// script, what is on no route there is closed, as it would be by itself; elsewhere
// such queries are SvelteKit's, for the actions of a page.
func (l *look) byQueryPath() {
	m := l.m
	if m.Reason != Forward || !m.hasQueryPath() {
		return
	}
	below, script := m.path.directory()
	strict := script || m.path.raw == below+"/"
	for _, path := range m.queryPaths() {
		alone, behind := l.byPathOfQuery(path, strict), l.byPathOfQuery(below+path, strict)
		l.by(alone, behind)
	}
}

// byPathOfQuery judges the request by a path of its query as the gate reads it, and returns
// that for servers which read it otherwise. With strict, it has to be on a route.
func (l *look) byPathOfQuery(path string, strict bool) (other reading) {
	m, p := l.m, l.m.policy
	if m.Reason != Forward {
		return other
	}
	other.rule = routesByQuery
	if why := other.parse(path, p.encodedSlash, p.semicolon); why != "" {
		m.refuse("the query begins with a path, by which some servers route, and " + why)
		return other
	}
	judged := m.path
	m.path = other.pathText
	found := p.lookFor(m)
	m.path = judged
	switch {
	case m.Reason != Forward || !strict:
	case found != nil:
		l.uncovered(found, routesByQuery, "")
	case m.Route != nil && m.Route.Require.need != needNever:
		m.refuse("the query begins with a path that is on no route, by which some servers route")
	}
	return other
}

// directory returns the encoded path without the name of a script at its end, and whether
// there is one.
func (p *pathText) directory() (dir string, script bool) {
	dir = strings.TrimSuffix(p.raw, "/")
	if p.n > 0 && isScript(p.segment(p.n-1)) {
		return dir[:strings.LastIndexByte(dir, '/')], true
	}
	return dir, false
}

// urlStart is the index from which Elysia looks for the slash that begins the path of a URL:
// no earlier than in the host, unless that is short.
const urlStart = 11

// hasShortHost reports whether urlStart is after the first slash of the path.
func (m *Match) hasShortHost() bool {
	return m.host != "" && len("http://")+len(m.host) < urlStart
}

// afterHost judges the request by the path that begins at a later slash, perhaps in the
// query, which is the one that Elysia finds if the host is short.
func (l *look) afterHost() {
	m, p := l.m, l.m.policy
	if m.Reason != Forward || !m.hasShortHost() {
		return
	}
	var others []reading
	for _, query := range m.queries() {
		for _, scheme := range [...]string{"http://", "https://"} {
			url := scheme + m.host + m.path.raw + "?" + query
			i := strings.IndexByte(url[min(urlStart, len(url)):], '/')
			if i < 0 || urlStart+i <= len(scheme)+len(m.host) {
				continue // none, or the path's own
			}
			path, _, _ := strings.Cut(url[urlStart+i:], "?")
			path = strings.TrimSuffix(path, "/")
			decoded, raw := reading{rule: findsAfterHost}, reading{rule: findsAfterHost}
			if len(path) > maxPathLength || !raw.split(path) {
				m.refuse("the host is so short that some servers find the path in the query, and there it is too long")
				return
			}
			if others = append(others, raw); decoded.parse(path+"/", p.encodedSlash, p.semicolon) == "" {
				others = append(others, decoded)
			}
		}
	}
	l.by(others...)
}
