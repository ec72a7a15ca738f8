package personality

import (
	"net/url"
	gopath "path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// apart is the path, taken apart before it is decoded.
func apart(r *Request) []path { return []path{{"", split(r.Path, percent)}} }

// split takes a path apart at its slashes, and then decodes the segments.
func split(escaped string, decode func(string) string) (segments []segment) {
	for s := range strings.SplitSeq(strings.Trim(escaped, "/"), "/") {
		if s != "" {
			segments = append(segments, segment{s, decode(s)})
		}
	}
	return segments
}

// decodedFirst takes apart a path that was decoded as a whole.
func decodedFirst(text string) []segment { return split(text, verbatim) }

func verbatim(s string) string { return s }

// percent decodes what is percent-encoded, and leaves alone what is broken.
func percent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// percentPlus decodes as forms are: + is a blank.
func percentPlus(s string) string { return percent(strings.ReplaceAll(s, "+", " ")) }

var unicodeEscape = regexp.MustCompile(`%u([0-9A-Fa-f]{4})`)

// percentU also decodes %u and four digits, as IIS does.
func percentU(s string) string {
	return percentPlus(unicodeEscape.ReplaceAllStringFunc(s, func(e string) string {
		r := rune(0)
		for _, c := range strings.ToLower(e[2:]) {
			r = r<<4 | rune(strings.IndexRune("0123456789abcdef", c))
		}
		return string(r)
	}))
}

// merge merges slashes.
func merge(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// clean resolves dot segments and merges slashes.
func clean(path string) string { return gopath.Clean("/" + path) }

// parameters of a path, between a semicolon and the next slash.
var parameters = regexp.MustCompile(`;[^/]*`)

// scriptName is that of a program in a path.
var scriptName = regexp.MustCompile(`(?i)\.(php|aspx|asp|ashx)(/|$)`)

// scripts are a path, and what of it stands before and behind a program's name,
// and the directory of an index, where that is a program: index.html is a file, and
// never more than that.
func scripts(path string) []string {
	all := []string{path}
	for _, at := range scriptName.FindAllStringIndex(path, -1) {
		if at[1] < len(path) {
			all = append(all, path[:at[1]], path[at[1]-1:])
		}
	}
	dir, file := gopath.Split(strings.TrimSuffix(path, "/"))
	if slices.Contains([]string{"index.php", "default.aspx"}, strings.ToLower(file)) {
		all = append(all, dir)
	}
	return all
}

func phpPaths(r *Request) (all []path) {
	for _, target := range rewritten(r) {
		for _, decode := range []func(string) string{percent, percentPlus} {
			text := decode(target)
			for _, p := range append(scripts(text), behindScript(text)...) {
				all = append(all, path{p, decodedFirst(clean(p))})
			}
		}
	}
	return all
}

// phpScript is the name of a front controller, as the beginning of a path.
var phpScript = regexp.MustCompile(`(?i)^(.*?/)(?:index|app)\.php([^.].*)$`)

// behindScript is what Symfony and Laravel take for the path: what follows the script's
// name, with a slash or without, to an application that is at the script's directory.
func behindScript(path string) []string {
	if m := phpScript.FindStringSubmatch(path); m != nil && strings.Trim(m[2], "/") != "" {
		rest := strings.TrimPrefix(m[2], "/")
		return []string{"/" + rest, m[1] + rest}
	}
	return nil
}

// session is the id of an ASP.NET session without a cookie.
var session = regexp.MustCompile(`/\((?:[A-Za-z]\([^)]*\))+\)`)

func iisPaths(r *Request) (all []path) {
	for _, target := range rewritten(r) {
		text := norm.NFKC.String(percentU(target))
		text = strings.ReplaceAll(session.ReplaceAllString(strings.ReplaceAll(text, `\`, "/"), ""), "\x00", "")
		for _, p := range scripts(text) {
			all = append(all, path{p, decodedFirst(clean(p))})
		}
	}
	return all
}
