package policy

import (
	"net/url"
	"slices"
	"strings"
)

// The rules by which servers find a path on another route. Each ends the sentence "some
// servers find the path on another route" (look.uncovered).
const (
	comparesLoosely    = ", for they take a name for another one"
	findsInName        = ", for they find another name in one"
	readsNumbers       = ", for they read numbers in other spellings"
	mountsAtPath       = ", for what is mounted at a path takes the path itself there"
	comparesEncoded    = ", for they compare names before they decode them"
	escapesOtherwise   = ", for to them an equals sign, a tilde or an exclamation mark begins an escape"
	splitsEncoded      = ", for they split it at encoded slashes"
	dropsDots          = ", for they drop dots at the end of a name"
	cutsAtAmpersand    = ", for they cut it at an ampersand"
	cutsAtBlank        = ", for they cut it at a blank"
	cutsAtDelimiter    = ", for they cut it at an encoded ? or #"
	cutsAtSemicolon    = ", for they cut it at a semicolon"
	dataOfPage         = ", for it is the data of another page there"
	versionOf          = ", for it is a version of another file there"
	standsForDirectory = ", for a name stands for that of its directory there"
	runsScript         = ", for a name is that of a program there, and what follows its argument"
	belongsToSite      = ", for the names before a program are those of a site there"
	servesFile         = ", for a name is that of a file there, whatever follows it"
	routesByQuery      = ", for they route by the query"
	tunnelsMethod      = ", for they take the method from the query"
	prefersQuery       = ", for they take a parameter of the path from the query"
	mountsAtEscape     = ", for what is mounted at a path takes what begins so, up to an escape"
	findsAfterHost     = ", for they look for it behind the eleventh byte of the URL"
)

// reading is a path that is taken apart in another way.
type reading struct {
	pathText
	rule  string // why some servers take it apart so
	piece string // the part of the path that the rule applies to; "": all of it
	// loose says that another space or resource doesn't count, only another route: their
	// values may be cut short.
	loose bool
	// was is the last segment before it was cut off at a blank, if it is the value of a
	// parameter: then both are names (Human, Human Resources), and a route that has a
	// parameter there is no other one. "" otherwise.
	was string
}

// readings returns the other ways to take the path apart: with literals compared before they
// are decoded; split at encoded slashes, where the policy allows them; with segments decoded
// once more; without dots at their ends; at the name of a script; as the page whose data it
// is; without the name of a site at its beginning; and up to where some servers have the query
// begin, or the request line end.
func (p *pathText) readings(r *Route) (all []reading) {
	if p.oddlyEscaped {
		all = appendPath(all, necessary(strings.TrimSuffix(p.raw, "/")), comparesEncoded, "")
	}
	all = appendAtSlashes(all, p, splitsEncoded, "")
	for _, split := range all {
		all = append(all, split.pages()...)
	}
	for _, escape := range ownEscapes {
		if strings.IndexByte(p.text, escape[0]) >= 0 {
			if decoded := p.escapedBy(escape); len(decoded.whole()) < len(p.whole()) { // otherwise it begins none
				all = appendSplit(all, decoded)
			}
		}
	}
	if p.dotted {
		all = appendSplit(all, p.withoutDots())
	}
	all = append(all, p.pages()...)
	all = p.appendCut(all, r, '&', cutsAtAmpersand)
	all = p.appendCut(all, r, ' ', cutsAtBlank)
	all = p.appendCut(all, r, '?', cutsAtDelimiter)
	all = p.appendCut(all, r, '#', cutsAtDelimiter)
	for _, base := range all {
		for _, path := range base.scripts(nil) {
			path.loose = path.loose || base.loose // its values are those of the base
			all = append(all, path)
		}
	}
	return slices.Concat(all, p.scripts(r), p.sites(r))
}

// appendCut appends the path up to the first c, if it has one.
func (p *pathText) appendCut(all []reading, r *Route, c byte, rule string) []reading {
	end := p.indexOf(c, r)
	if end < 0 {
		return all
	}
	cut := p.upTo(end, rule)
	cut.piece = p.text[end:p.bounds[p.n]]
	if p.text[end-1] != '/' {
		cut.piece = p.segment(cut.n - 1)
		if c == ' ' && r.hasParameter(cut.n-1) {
			cut.was = cut.piece
		}
	}
	all = appendSplit(all, cut)
	if up := p.text[strings.LastIndexByte(p.text[:end], '/')+1 : end]; up == "." || up == ".." { // a directory, to most
		for range up {
			end = max(strings.LastIndexByte(p.text[:end], '/'), 0)
		}
		cut.pathText, cut.was = p.upTo(end, rule).pathText, ""
		all = appendSplit(all, cut)
	}
	return all
}

// indexOf returns the index of the first c in the path that isn't in a literal of r, or -1.
func (p *pathText) indexOf(c byte, r *Route) int {
	for i := range p.n {
		s := p.segment(i)
		if at := strings.IndexByte(s, c); at >= 0 && !r.hasLiteral(i, s) {
			return int(p.bounds[i]) + 1 + at
		}
	}
	return -1
}

// afterSemicolon returns what follows the first semicolon of a path, where some servers have
// the query begin (Fastify).
func afterSemicolon(path string) string {
	_, rest, _ := strings.Cut(path, ";")
	return rest
}

// afterAmpersand returns what follows the first ampersand of the path. Servers that put a
// path into a query (RewriteRule of Apache, try_files of nginx) make parameters of it.
func (p *pathText) afterAmpersand() string {
	_, rest, _ := strings.Cut(p.whole(), "&")
	return rest
}

// hasParameters reports whether there are any with a value after the first ampersand.
func (p *pathText) hasParameters() bool {
	for pair := range strings.SplitSeq(p.afterAmpersand(), "&") {
		if name, _, found := strings.Cut(pair, "="); found && name != "" && strings.IndexByte(name, '/') < 0 {
			return true
		}
	}
	return false
}

// necessary decodes what can't be in a path unencoded, and is therefore encoded in every
// literal too. Brackets are among it: one that isn't encoded is none of a literal.
func necessary(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		switch class := pathBytes[raw[i]]; {
		case class == percent:
			if c, ok := escaped(raw[i:]); ok && (pathBytes[c] == refused || pathBytes[c] == bracket) {
				b.WriteByte(c)
				i += 2
				continue
			}
		case class == bracket:
			b.WriteString(url.PathEscape(raw[i : i+1]))
			continue
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// mergeSlashes returns a path as servers see it that merge slashes and drop a trailing one.
func mergeSlashes(path string) string {
	var b strings.Builder
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' }) {
		b.WriteByte('/')
		b.WriteString(segment)
	}
	return b.String()
}

// ownEscapes begin the escapes that some servers have besides those of URLs: PowerDNS writes
// =2E for a dot, Datasette ~2E, and Jolokia !. for it, as for itself.
var ownEscapes = [...]string{"=", "~", "!"}

// escapedBy returns the path as a server has it to which this begins an escape.
func (p *pathText) escapedBy(escape string) reading {
	decoded := reading{rule: escapesOtherwise, loose: true}
	segments := p.segments()
	for i, s := range segments {
		if escape == "!" {
			segments[i] = itself.Replace(s)
		} else {
			segments[i] = decodeEscapes(strings.ReplaceAll(s, escape, "%"))
		}
	}
	decoded.join(segments) // shorter than the path, so within bounds
	return decoded
}

// itself drops the exclamation mark before what stands for itself.
var itself = strings.NewReplacer("!!", "!", "!", "")

// mounted returns the paths that some server (mount of Rails) hands to what is mounted at one
// of these literals: a segment that begins with the literal ends at its first escape, if that
// is one that no client needs, or a slash that is data.
func (p *pathText) mounted(mounts map[string]bool) (all []reading) {
	if strings.IndexByte(p.raw, '%') < 0 {
		return nil
	}
	raw, rest := "", p.raw[1:]
	for i := range p.n {
		raw, rest, _ = strings.Cut(rest, "/")
		end := strings.IndexByte(raw, '%')
		if end < 0 || !mounts[raw[:end]] || strings.IndexByte(p.segment(i), dataSlash) < 0 && !escapesUnreserved(raw) {
			continue
		}
		segments := p.segments()
		behind := strings.Split(strings.Trim(withSlashes(segments[i][end:]), "/"), "/")
		other := reading{rule: mountsAtEscape, piece: segments[i], loose: true}
		if other.join(slices.Concat(segments[:i], []string{raw[:end]}, behind, segments[i+1:])) {
			all = append(all, other)
		}
	}
	return all
}

// withoutDots returns the path without the dots that its segments end in (Windows).
func (p *pathText) withoutDots() reading {
	dropped := reading{pathText: pathText{raw: p.raw}, rule: dropsDots}
	segments := p.segments()
	for i, s := range segments {
		segments[i] = strings.TrimSuffix(s, ".")
	}
	dropped.join(segments) // shorter than the path, so within bounds
	return dropped
}

// beforeSemicolon returns the path up to its first semicolon, and up to the first one that
// isn't encoded: Fastify has the query begin there.
func (p *pathText) beforeSemicolon() (all []reading) {
	cut, _, found := strings.Cut(p.text, ";")
	if !found {
		return nil
	}
	all = appendSplit(all, p.upTo(len(cut), cutsAtSemicolon))
	if raw, _, found := strings.Cut(p.raw, ";"); found {
		plain := reading{pathText: pathText{lenient: true}, rule: cutsAtSemicolon, loose: true}
		if plain.parse(raw, slashesAllowed, true) == "" && plain.text != cut {
			if strings.IndexByte(p.text, dataSlash) >= 0 {
				plain.hideSlashes()
			}
			all = appendSplit(all, plain)
		}
	}
	return all
}

// upTo returns the path up to an index of its text.
func (p *pathText) upTo(end int, rule string) reading {
	up := reading{pathText: pathText{raw: p.raw, text: p.text[:end]}, rule: rule, loose: true}
	for i := range p.n {
		if next := min(int(p.bounds[i+1]), end); next > int(p.bounds[i])+1 {
			up.add(next)
		}
	}
	return up
}

// appendPath appends a reading with a path that is decoded already.
func appendPath(all []reading, text, rule, piece string) []reading {
	p := reading{rule: rule, piece: piece}
	if !p.split(text) {
		return all
	}
	return append(all, p)
}

// appendSplit appends a reading and, where it has encoded slashes, the same split at them.
func appendSplit(all []reading, r reading) []reading {
	n := len(all)
	all = appendAtSlashes(append(all, r), &r.pathText, r.rule, r.piece)
	for i := range all[n:] {
		all[n+i].raw, all[n+i].loose = r.raw, r.loose
	}
	return all
}

// appendAtSlashes appends a path split at its encoded slashes, if it has any: with the
// empty segments that this makes, and without.
func appendAtSlashes(all []reading, p *pathText, rule, piece string) []reading {
	if whole := p.whole(); strings.Count(whole, "/") > p.n {
		all = appendPath(all, whole, rule, piece)
		if merged := mergeSlashes(whole); merged != whole {
			all = appendPath(all, merged, rule, piece)
		}
	}
	return all
}

// split takes apart a path that is decoded already, at all its slashes. It reports whether
// it has segments, and not too many; the empty path is the root.
func (p *pathText) split(text string) bool {
	p.raw, p.text = text, text
	for i := 1; i <= len(text); i++ {
		if i == len(text) || text[i] == '/' {
			if p.add(i) != "" {
				return false
			}
		}
	}
	return p.n > 0 || text == ""
}

// hasLiteral reports whether the i-th segment of the route's pattern is this literal. r may
// be nil.
func (r *Route) hasLiteral(i int, s string) bool {
	return r != nil && i < len(r.pattern.segments) && r.pattern.segments[i].literal == s
}

// hasParameter reports whether the i-th segment of the route's pattern has a parameter. r
// may be nil.
func (r *Route) hasParameter(i int) bool {
	return r != nil && i < len(r.pattern.segments) && r.pattern.segments[i].parameter != ""
}
