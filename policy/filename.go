package policy

import "strings"

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

// isProgram reports whether a segment could be the name of a program as well as that of
// something else, such as a host, or a file that is looked after.
func isProgram(s string) bool {
	switch strings.ToLower(s[strings.LastIndexByte(s, '.')+1:]) {
	case "svc", "cgi", "fcgi", "pl", "py", "rb", "dll", "exe", "nsf":
		return strings.IndexByte(s, '@') < 0
	}
	return false
}

// endOfScript returns where the name of a front controller ends in a segment that goes on
// behind it, or 0: Symfony, Laravel and Slim cut it off, whatever follows, so that
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

// isIndex reports whether servers take a segment for what stands for its
// directory: a file, or the action that is called where none is named (CherryPy,
// ASP.NET MVC, Grails, CakePHP, Yii).
func isIndex(s string) bool {
	name, _, _ := strings.Cut(s, ".")
	return isDefaultAction(s) || isPage(s) || isScript(s) && (equalFold(name, "index") || equalFold(name, "default"))
}

// isPage reports whether a segment is the file that file servers answer with for its
// directory.
func isPage(s string) bool {
	name, format, _ := strings.Cut(s, ".")
	return (equalFold(name, "index") || equalFold(name, "default")) && (equalFold(format, "html") || equalFold(format, "htm"))
}

func isDefaultAction(s string) bool { return equalFold(s, "index") }

// isWordPress reports whether a segment is one of the directories that WordPress has itself,
// or begins so, as its rules for rewriting have it.
func isWordPress(s string) bool {
	return strings.HasPrefix(s, "wp-") && (strings.HasPrefix(s, "wp-admin") || strings.HasPrefix(s, "wp-content") || strings.HasPrefix(s, "wp-includes"))
}

// isData reports whether a segment stands for the data of the page before it (SvelteKit,
// Nuxt, React Router, Qwik City, Vike; Next.js as files, react-server).
func isData(s string) bool {
	switch s {
	case "__data.json", "__route.js", "_payload.json", "_payload.js", "_root.data", "_.data", ".data", "_.rsc", "q-data.json", "index.pageContext.json":
		return true
	}
	return strings.HasPrefix(s, "__next.") && strings.HasSuffix(s, ".txt") || strings.HasSuffix(s, ".x-component")
}

// keepsVersions reports whether mod_dav_svn has files below what is called so.
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

// hasVirtualHost reports whether a path has a segment by which Zope finds another host or
// another path, and which r doesn't have itself, for a path that was rewritten for Zope.
// Zope decodes a path before it splits it.
func (p *pathText) hasVirtualHost(r *Route) bool {
	for i := range p.n {
		for s := range strings.SplitSeq(withSlashes(p.segment(i)), "/") {
			if isVirtualHost(s) && !(r != nil && i < len(r.pattern.segments) && r.pattern.segments[i].literal == s) {
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
