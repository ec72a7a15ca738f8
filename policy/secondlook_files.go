package policy

import "strings"

// maxScripts bounds how many scripts a path may name: each of them adds readings.
const maxScripts = 4

func (p *pathText) countScripts() (n int) {
	for s := range strings.SplitSeq(p.whole(), "/") { // also at encoded ones
		if s = strings.TrimSuffix(s, "."); isScript(s) || endOfScript(s) > 0 {
			n++
		}
	}
	return n
}

// pages returns the pages whose data the path is for, and the files of which it is a
// version.
func (p *pathText) pages() (all []reading) {
	if p.n == 0 {
		return nil
	}
	last := p.segment(p.n - 1)
	if isData(last) {
		page := p.upTo(int(p.bounds[p.n-1]), dataOfPage)
		page.piece, page.loose = last, false
		all = appendSplit(all, page)
	}
	for i := range p.n - 2 {
		before := p.text[:p.bounds[i]] // of the application
		// behind returns the page named by the n-th segment after this one and those that follow.
		behind := func(n int, format string) string {
			return before + strings.TrimSuffix(p.text[p.bounds[i+n]:p.bounds[p.n]], format)
		}
		switch first, second := p.segment(i), p.segment(i+1); {
		case first == "_next" && second == "data" && i+3 < p.n: // Next.js, with the name of a build, and perhaps a language
			all = appendPath(all, behind(3, ".json"), dataOfPage, first)
			return appendPath(all, behind(4, ".json"), dataOfPage, first)
		case first == "RSC" && second == "R": // Waku
			return appendPath(all, strings.TrimSuffix(behind(2, ".txt"), "/_root"), dataOfPage, first)
		case first == "!svn" && keepsVersions(second): // mod_dav_svn, with the number of a revision, or a transaction's name
			all = appendPath(all, behind(3, ""), versionOf, first)
		case first == "page-data" && last == "page-data.json": // Gatsby
			return appendPath(all, before+p.text[p.bounds[i+1]:p.bounds[p.n-1]], dataOfPage, last)
		}
	}
	return all
}

// scripts returns, for a path on r that has the name of a script in it, the parts before and
// after that name: the latter is a path of its own, or one below the directory of the
// script. r may be nil.
func (p *pathText) scripts(r *Route) (all []reading) {
	for i := range p.n {
		s, last := p.segment(i), i == p.n-1
		if r.names(i, s) {
			continue
		}
		if isIndex(s) && (last || isScript(s)) {
			all = appendPath(all, p.text[:p.bounds[i]], standsForDirectory, s)
			all[len(all)-1].loose = isPage(s)
		}
		var behind []string
		if !last && isScript(s) {
			all = appendPath(all, p.text[:p.bounds[i+1]], runsScript, s)
			behind = append(behind, p.text[p.bounds[i+1]:p.bounds[p.n]])
		}
		if end := endOfScript(s); end > 0 {
			behind = append(behind, "/"+p.text[int(p.bounds[i])+1+end:p.bounds[p.n]])
		}
		for _, path := range behind {
			all = appendPath(all, path, runsScript, s)
			all = appendPath(all, p.text[:p.bounds[i]]+path, runsScript, s)
		}
	}
	return all
}

// sites returns, for a path on r, what a network of WordPress in directories finds: its
// rules for rewriting take names off before a program, or a directory of its own, as that
// of a site, one (nginx) or one after the other (Apache). r may be nil.
func (p *pathText) sites(r *Route) (all []reading) {
	for i := 1; i < p.n; i++ {
		at := p.n - 1 // where the name is that gives it away
		switch {
		case isWordPress(p.segment(i)):
			at = i
		case !strings.HasSuffix(p.segment(at), ".php"):
			continue
		}
		if r.hasLiteral(at, p.segment(at)) {
			continue
		}
		all = appendPath(all, p.text[p.bounds[i]:p.bounds[p.n]], belongsToSite, p.segment(at))
		all[len(all)-1].loose = true
	}
	return all
}

// names reports whether the i-th segment of the path isn't a script's name, because the route
// says what it is: the literal index, or the value of a parameter that may well be called so
// (isProgram, isPage).
func (r *Route) names(i int, s string) bool {
	if r == nil {
		return false
	}
	if i >= len(r.pattern.segments) {
		return r.pattern.tailName != "" && (isProgram(s) || isPage(s))
	}
	at := &r.pattern.segments[i]
	if at.parameter == "" {
		return at.literal == s && isDefaultAction(s)
	}
	return isProgram(s) || isPage(s)
}

// isScript reports whether servers take a segment for the name of a program, and
// what follows for its argument.
func isScript(s string) bool {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return false
	}
	switch strings.ToLower(s[i+1:]) {
	case "php", "php3", "php4", "php5", "php7", "phtml", "phar", "asp", "aspx", "ashx", "asmx", "axd", "jsp", "cfm", "cfml", "cfc":
		return true
	}
	return isProgram(s)
}

// isProgram reports whether a segment could be the name of a program, though its extension
// is also that of other things: of hosts, or of files that an API manages.
func isProgram(s string) bool {
	switch strings.ToLower(s[strings.LastIndexByte(s, '.')+1:]) {
	case "svc", "cgi", "fcgi", "pl", "py", "rb", "dll", "exe", "nsf":
		return strings.IndexByte(s, '@') < 0
	}
	return false
}

// endOfScript returns where the name of a front controller ends in a segment that is longer
// than that, or 0: Symfony, Laravel and Slim cut it off, whatever follows, so that
// /index.phpadmin is /admin to them.
func endOfScript(s string) int {
	const suffix = ".php"
	for i := range len(s) - len(suffix) {
		end := i + len(suffix)
		if s[i] != '.' || !equalFold(s[i:end], suffix) {
			continue
		}
		switch strings.ToLower(s[:i]) {
		case "index", "app", "app_dev", "main", "api", "web", "front", "public", "server":
			if s[end] != '.' { // index.php.bak is a file's name
				return end
			}
		}
		return 0
	}
	return 0
}

// isFile reports whether a literal could be the name of a file: it has an extension, and
// not of digits, as versions have (v1.0). Some servers answer with the file and take what
// follows in the path for something else (lighttpd, PHP's own, Yaws, CGI).
func isFile(literal string) bool {
	i := strings.LastIndexByte(literal, '.')
	return i > 0 && !allDigits(literal[i+1:])
}

// isFile reports whether the segment has an extension, whatever the parameter is.
func (p *partial) isFile() bool {
	return strings.LastIndexByte(p.before, '.') > 0 || strings.IndexByte(p.after, '.') >= 0
}

// isIndex reports whether servers take a segment for the index of its directory: a file, or
// the action that is called where none is named (CherryPy, ASP.NET MVC, Grails, CakePHP,
// Yii, and as gerrit~ Gerrit).
func isIndex(s string) bool {
	name, _, _ := strings.Cut(s, ".")
	return isDefaultAction(s) || isPage(s) || isScript(s) && (equalFold(name, "index") || equalFold(name, "default"))
}

// isPage reports whether a segment is an index file, which file servers answer with for its
// directory.
func isPage(s string) bool {
	name, format, _ := strings.Cut(s, ".")
	return (equalFold(name, "index") || equalFold(name, "default")) && (equalFold(format, "html") || equalFold(format, "htm"))
}

func isDefaultAction(s string) bool { return equalFold(s, "index") || s == "gerrit~" }

// isWordPress reports whether a segment is one of the directories that WordPress has itself,
// or begins so, as its rules for rewriting have it.
func isWordPress(s string) bool {
	return strings.HasPrefix(s, "wp-") && (strings.HasPrefix(s, "wp-admin") || strings.HasPrefix(s, "wp-content") || strings.HasPrefix(s, "wp-includes"))
}

// isData reports whether a segment asks for the data of the page before it (SvelteKit,
// Nuxt, React Router, Qwik City, Vike; Next.js as files, react-server).
func isData(s string) bool {
	switch s {
	case "__data.json", "__route.js", "_payload.json", "_payload.js", "_root.data", "_.data", ".data", "_.rsc", "q-data.json", "index.pageContext.json":
		return true
	}
	return strings.HasPrefix(s, "__next.") && strings.HasSuffix(s, ".txt") || strings.HasSuffix(s, ".x-component")
}

// keepsVersions reports whether mod_dav_svn has versions of files below a segment of this
// name.
func keepsVersions(s string) bool {
	switch s {
	case "bc", "ver", "rvr", "wrk", "txr", "vtxr":
		return true
	}
	return false
}

// hasSessionSegment reports whether a path has what ASP.NET takes for a session's
// id without a cookie, and drops: (S(…)).
func hasSessionSegment(path string) bool {
	for rest := path; ; {
		i := strings.IndexByte(rest, '(')
		if i < 0 {
			return false
		}
		begins := i > 0 && rest[i-1] == '/'
		rest = rest[i+1:]
		if begins && len(rest) > 1 && isAlnum(rest[0]) && rest[1] == '(' {
			return true
		}
	}
}

// hasVirtualHost reports whether a path has a segment that has Zope find another host or
// another path, unless r has it as a literal: then the path was rewritten for Zope. Zope
// decodes a path before it splits it.
func (p *pathText) hasVirtualHost(r *Route) bool {
	for i := range p.n {
		for s := range strings.SplitSeq(withSlashes(p.segment(i)), "/") {
			if isVirtualHost(s) && !r.hasLiteral(i, s) {
				return true
			}
		}
	}
	return false
}

// isVirtualHost reports whether a segment tells Zope of a virtual host (VirtualHostMonster):
// two that follow VirtualHostBase are the host, and what follows VirtualHostRoot, up to the
// last segment that begins with _vh_, is no part of the path.
func isVirtualHost(s string) bool { return s == "VirtualHostBase" || s == "VirtualHostRoot" }
