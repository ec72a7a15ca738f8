package policy

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
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
	m.readings.now = 0
	for !m.uncovered(r, p.tree.alike(m, 0, r), "", "") && m.readings.now < len(m.readings.values) {
		m.readings.now++
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

// spelled is a segment of a path, which is folded at most once: it is long if the
// client likes, and the literals it is compared with may be many.
type spelled struct {
	text   string
	folded *string // nil: not yet
}

// alike reports whether some server takes the segment for a literal. last says
// that it is the path's last one.
func (s *spelled) alike(literal string, last bool) bool {
	text := s.text
	if startsAsNumber(text, literal) {
		return true
	}
	for i := 0; i < len(literal); i++ {
		switch {
		case literal[i] >= utf8.RuneSelf, i < len(text) && text[i] >= utf8.RuneSelf:
			return s.alikeFolded(literal, last)
		case i == len(text):
			return false
		case !alikeBytes(text[i], literal[i]):
			return shortName(text, literal)
		}
	}
	rest := text[len(literal):]
	if rest != "" && rest[0] >= utf8.RuneSelf {
		return s.alikeFolded(literal, last)
	}
	return drops(rest, last)
}

// loosely returns the rule by which a segment is alike to a literal.
func loosely(text, literal string) string {
	if startsAsNumber(text, literal) {
		return readsNumbers
	}
	return comparesLoosely
}

// alikeFolded is alike for what isn't ASCII.
func (s *spelled) alikeFolded(literal string, last bool) bool {
	if s.folded == nil {
		folded := foldSegment(s.text)
		s.folded = &folded
	}
	return begins(*s.folded, foldSegment(literal), last)
}

// begins is alike for what is folded.
func begins(text, literal string, last bool) bool {
	return beginsAlike(text, literal) && drops(text[len(literal):], last) || shortName(text, literal)
}

// beginsAlike reports whether a text begins with the bytes of a literal, or what some
// server takes for them.
func beginsAlike(text, literal string) bool {
	if len(text) < len(literal) {
		return false
	}
	for i := 0; i < len(literal); i++ {
		if !alikeBytes(text[i], literal[i]) {
			return false
		}
	}
	return true
}

// alikeBytes reports whether some server takes c for a byte of a literal: in another
// case, or, where that has a hyphen or an underscore, any punctuation, which CherryPy
// makes underscores of, and others hyphens (CodeIgniter, CakePHP).
func alikeBytes(c, literal byte) bool {
	if c = blank(c); lower(c) == lower(literal) {
		return true
	}
	return joins(literal) && c < utf8.RuneSelf && !isAlnum(c)
}

// joins reports whether c joins words in the name of what a path is for.
func joins(c byte) bool { return c == '_' || c == '-' }

// alike is spelled.alike for what is ASCII.
func alike(text, literal string, last bool) bool {
	return (&spelled{text: text}).alike(literal, last)
}

// drops reports whether some server drops the rest of a segment.
func drops(rest string, last bool) bool {
	if last && rest != "" && rest[0] == '.' {
		return true // a format, at the end of a path (Rails, Spring's suffix patterns)
	}
	rest = strings.TrimLeft(rest, "+ .") // blanks and dots at the end of a name (Windows)
	switch {
	case rest == "", rest[0] == ';': // a path parameter
		return true
	case rest[0] == ':':
		return len(rest) > 1 && (rest[1] == ':' || rest[1] == '$') // a stream of a file (Windows)
	}
	return false
}

// blank returns what a server that decodes paths as it does forms reads for c.
func blank(c byte) byte {
	if c == '+' {
		return ' '
	}
	return c
}

// shortName reports whether text has the form of a short name that Windows gives
// to files with longer ones: ADMINI~1 for administration.
func shortName(text, literal string) bool {
	i := strings.IndexByte(text[:min(len(text), 7)], '~')
	if i <= 0 || i >= len(literal) || !equalFold(literal[:i], text[:i]) {
		return false
	}
	number, _, _ := strings.Cut(text[i+1:], ".")
	return number != "" && strings.Trim(number, "0123456789") == ""
}

// foldSegment reduces a segment to what is left of it in the spellings that some
// server takes for the same: without case, accents (best-fit mappings drop them)
// and joiners.
func foldSegment(s string) string {
	if isASCII(s) {
		return strings.ReplaceAll(strings.ToLower(s), "+", " ")
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Cf):
			return -1
		case r == '+':
			return ' '
		}
		return r
	}, norm.NFKD.String(s))
	return strings.ReplaceAll(strings.ToLower(strings.ToUpper(s)), "ß", "ss")
}

// resembles reports whether a segment that the partial parameter doesn't match is
// one to some server.
func (p *partial) resembles(text string) bool {
	before, after, alike := p.before, p.after, alike
	if !isASCII(text) || !isASCII(before) || !isASCII(after) {
		before, after, text, alike = foldSegment(before), foldSegment(after), foldSegment(text), begins
	}
	if len(text) <= len(before)+len(after) || !alike(text[:len(before)], before, false) {
		return false
	}
	for i := len(before) + 1; i+len(after) <= len(text); i++ {
		if alike(text[i:], after, true) {
			return true
		}
	}
	return false
}

// nearlyMatches reports whether the partial parameter matches the segment but for
// its case and punctuation.
func (p *partial) nearlyMatches(text string) bool {
	i := len(text) - len(p.after)
	return i > len(p.before) && beginsAlike(text, p.before) && beginsAlike(text[i:], p.after)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// marks notes which literals follow the node, so that node.resembles is quick.
type marks struct {
	lengths uint64    // bit n: one of n bytes; 63 stands for all that are longer
	first   [4]uint64 // bit c: one that begins with c, in lower case
}

func (k *marks) add(literal string) {
	if !isASCII(literal) { // may be spelled in any length, and without accents
		k.lengths, k.first = ^uint64(0), [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		return
	}
	c := lower(literal[0])
	if isNumber(literal[:signedDigits(literal)]) { // may have zeros before it, and anything behind
		k.lengths = ^uint64(0)
		k.first['0'>>6] |= 1 << ('0' & 63)
	}
	if joins(c) { // may begin with any punctuation
		for other := range byte(utf8.RuneSelf) {
			if !isAlnum(other) {
				k.first[other>>6] |= 1 << (other & 63)
			}
		}
	}
	k.lengths |= 1 << min(len(literal), 63)
	k.first[c>>6] |= 1 << (c & 63)
}

// resembles reports whether a segment may be a literal in another case, or with other
// punctuation. What more there is to be said against a segment, pathText.marked says.
func (k *marks) resembles(text string) bool {
	c := lower(text[0])
	return k.lengths>>min(len(text), 63)&1 != 0 && k.first[c>>6]>>(c&63)&1 != 0
}
