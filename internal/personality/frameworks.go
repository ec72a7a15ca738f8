package personality

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// All are the servers and frameworks that are known here.
var All = []*Personality{
	// Express 4 and path-to-regexp 0.1: literals are compared before they are
	// decoded and without case; qs reads queries; method-override with its
	// usual header and parameter.
	{
		Name: "Express", Apart: true, overridable: true, raw: true, paths: apart,
		literal: func(s segment, literal string, _ bool) bool {
			return foldEqual(s.raw, literal) || foldEqual(s.raw, written(literal))
		},
		value: decoded, query: qs, fields: joined,
	},
	// Rails, with Rack and Journey: literals before decoding, a format at the
	// end, which parameters don't contain; Rack::MethodOverride; Forwarded.
	{
		Name: "Rails", Apart: true, overridable: true, raw: true,
		paths: func(r *Request) []path { return []path{{"", split(merge(r.Path), percent)}} },
		literal: func(s segment, literal string, last bool) bool {
			return s.raw == literal || s.raw == written(literal) || last && (strings.HasPrefix(s.raw, literal+".") || strings.HasPrefix(s.raw, written(literal)+"."))
		},
		value: func(s segment, last bool) string {
			if i := strings.LastIndexByte(s.text, '.'); last && i > 0 {
				return s.text[:i]
			}
			return s.text
		},
		query: rack, fields: joined,
	},
	// Spring on Tomcat: path parameters are cut off before and after decoding,
	// dot segments resolved; suffix patterns; ForwardedHeaderFilter and
	// HiddenHttpMethodFilter.
	{
		Name: "Spring", overridable: true,
		paths: func(r *Request) []path {
			cut := parameters.ReplaceAllString(r.Path, "")
			return []path{
				{"", split(clean(cut), percent)},
				{"decoding first", decodedFirst(clean(parameters.ReplaceAllString(percent(cut), "")))},
			}
		},
		literal: func(s segment, literal string, last bool) bool {
			return s.text == literal || last && strings.HasPrefix(s.text, literal+".")
		},
		value: decoded, query: formQuery, fields: joined,
	},
	// nginx: decodes, merges slashes and resolves dot segments before it looks
	// for a location, on some file systems without case; $arg_x minds no case and
	// isn't decoded.
	{
		Name:    "nginx",
		paths:   func(r *Request) []path { return []path{{"", decodedFirst(clean(percent(r.Path)))}} },
		literal: func(s segment, literal string, _ bool) bool { return strings.EqualFold(s.text, literal) },
		value:   decoded, query: plain("&", strings.EqualFold, verbatim), fields: folded,
	},
	// PHP, alone and with Symfony, Laravel or WordPress: the path is decoded
	// first, perhaps as forms are; a script's name begins or ends it; parameters
	// have their names mangled, and the last one counts; X-Original-URL.
	{
		Name: "PHP", overridable: true, paths: phpPaths, literal: exact, value: decoded, query: phpQuery, fields: folded,
	},
	// IIS and ASP.NET: without case, backslashes are slashes, dots and blanks at
	// the end of a name are dropped, and so are sessions' ids and streams;
	// best-fit characters; %u; X-Original-URL from URL Rewrite; Web API's default route
	// has an optional {id}.
	{
		Name: "IIS", overridable: true, completes: true, paths: iisPaths,
		literal: func(s segment, literal string, _ bool) bool {
			return foldEqual(windowsName(s.text), literal) || shortName.MatchString(s.text) && len(literal) > 6 &&
				strings.EqualFold(literal[:strings.IndexByte(s.text, '~')], s.text[:strings.IndexByte(s.text, '~')])
		},
		value: func(s segment, _ bool) string { return windowsName(s.text) }, query: plain("&", foldEqual, percentU), fields: joined,
	},
	// Flask and Werkzeug: the server has decoded the path, slashes are merged.
	{
		Name: "Flask", overridable: true,
		paths:   func(r *Request) []path { return []path{{"", decodedFirst(merge(percent(r.Path)))}} },
		literal: exact, value: decoded, query: formQuery, fields: folded,
	},
	// Fastify before 5, with find-my-way: the query begins at the first semicolon.
	{
		Name: "Fastify", Apart: true,
		paths: func(r *Request) []path {
			cut, _, _ := strings.Cut(r.Path, ";")
			return []path{{"", split(cut, percent)}}
		},
		literal: exact, value: decoded, query: formQuery, fields: joined,
	},
	// CherryPy: the server has decoded the path, punctuation is an underscore in the name
	// of a handler, and index is the one that needn't be named; encoded words in headers are
	// decoded.
	{
		Name: "CherryPy",
		paths: func(r *Request) []path {
			segments := decodedFirst(merge(percent(r.Path)))
			if n := len(segments); n > 0 && segments[n-1].text == "index" {
				return []path{{"", segments}, {"without index", segments[:n-1]}}
			}
			return []path{{"", segments}}
		},
		literal: func(s segment, literal string, _ bool) bool {
			return s.text == literal || punctuation.ReplaceAllString(s.text, "_") == literal
		},
		value: decoded, query: formQuery, fields: words,
	},
	// MediaWiki: underscores are blanks, of which several are one, and those around a title
	// are dropped, with a colon before it.
	{
		Name: "MediaWiki", paths: apart,
		literal: func(s segment, literal string, _ bool) bool {
			return s.text == literal || strings.Trim(strings.TrimLeft(blanks.ReplaceAllString(s.text, "_"), "_:"), "_") == blanks.ReplaceAllString(literal, "_")
		},
		value: decoded, query: formQuery, fields: joined,
	},
	// tRPC and Elasticsearch: a segment is a list of what is asked for.
	{
		Name: "lists", Apart: true,
		paths: func(r *Request) (all []path) {
			segments := split(r.Path, percent)
			for i, s := range segments {
				for name := range strings.SplitSeq(s.text, ",") {
					one := slices.Clone(segments)
					one[i] = segment{name, name}
					all = append(all, path{"of " + name, one})
				}
			}
			return all
		},
		literal: exact, value: decoded, query: formQuery, fields: joined,
	},
	// OData: a key may follow the name of a set.
	{
		Name: "OData", Apart: true, paths: apart,
		literal: func(s segment, literal string, _ bool) bool {
			return s.text == literal || strings.HasPrefix(s.text, literal+"(") && strings.HasSuffix(s.text, ")")
		},
		value: decoded, query: formQuery, fields: joined,
	},
	// Pyramid's traversal, and Zope's: what begins so is the name of a view.
	{
		Name: "Pyramid", Apart: true, paths: apart,
		literal: func(s segment, literal string, _ bool) bool {
			return s.text == literal || s.text == "@@"+literal || s.text == "++view++"+literal
		},
		value: decoded, query: formQuery, fields: joined,
	},
	// Netty, and Spring WebFlux: a parameter's name begins after equals signs.
	{
		Name: "Netty", Apart: true, paths: apart, literal: exact, value: decoded,
		query: func(raw, key string) [][]string {
			return formQuery(nameless.ReplaceAllString(raw, "$1"), key)
		},
		fields: joined,
	},
	// Go's ServeMux, which redirects to the clean path.
	{
		Name: "Go", Apart: true,
		paths:   func(r *Request) []path { return []path{{"", split(clean(r.Path), percent)}} },
		literal: exact, value: decoded,
		query: func(raw, key string) [][]string {
			values, _ := url.ParseQuery(raw)
			return [][]string{values[key]}
		},
		fields: joined,
	},
}

// written returns a literal as it is written where it is compared with what
// isn't decoded: only what must be encoded is.
func written(literal string) string {
	return strings.NewReplacer("%2B", "+", "%3D", "=", "%26", "&", "%40", "@", "%3A", ":", "%24", "$", "%2C", ",").Replace(url.PathEscape(literal))
}

// nameless is how a parameter of a query begins that has no name.
var nameless = regexp.MustCompile("(^|&)=+")

// blanks of a title.
var blanks = regexp.MustCompile("[ _]+")

// punctuation of ASCII.
var punctuation = regexp.MustCompile("[!-/:-@\\[-`{-~]")

// exact compares a segment, decoded, with a literal.
func exact(s segment, literal string, _ bool) bool { return s.text == literal }

// decoded is the value of a parameter that is decoded once.
func decoded(s segment, _ bool) string { return s.text }

// foldEqual compares as JavaScript, Java and .NET do without case.
func foldEqual(a, b string) bool {
	fold := func(s string) string { return strings.ToLower(strings.ToUpper(s)) } // a dotless i is an I
	return strings.EqualFold(a, b) || fold(a) == fold(b)
}

var (
	stream    = regexp.MustCompile(`:(:|\$).*$`)
	shortName = regexp.MustCompile(`^[^.~]{1,6}~[0-9]+(\.|$)`)
)

// windowsName is what Windows makes of a file's name.
func windowsName(s string) string { return strings.TrimRight(stream.ReplaceAllString(s, ""), ". ") }
