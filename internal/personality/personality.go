// Package personality reads requests as common servers and frameworks do: each
// in its own way, and generously, as their less careful configurations would.
// Tests hold what a policy lets pass against it: no server may find such a
// request on a route, or in a space, or about a resource, that its token doesn't
// open.
package personality

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Request is a request as an upstream gets it.
type Request struct {
	Method string
	Path   string // as it stands in the request line, without the query
	Query  string // without ?
	Host   string
	Header http.Header
}

// Route is a route of an API, with the words of a policy: the pattern's
// segments are literals, {name}, perhaps with text before and after it, or at
// the end {name...} or *, and its conditions are key=value or key.
type Route struct {
	Methods  []string // "*" alone: all
	Pattern  string
	Space    string // path.<name>, query.<name>, header.<name> or host.<n>; "" for none
	Resource string
}

// Reading is what a server makes of a request.
type Reading struct {
	Route    int // index of the route it is on
	Space    string
	Resource string
	How      string // which of the server's ways it was
}

// Personality is a server, a framework, or both.
type Personality struct {
	Name string
	// Apart says that it takes a path apart before it decodes what is encoded there.
	Apart bool

	overridable bool // headers and parameters may name another method and another host
	paths       func(*Request) []path
	literal     func(s segment, literal string, last bool) bool
	value       func(s segment, last bool) string         // of a parameter
	query       func(raw, key string) [][]string          // what there is of a key; each way
	fields      func(h http.Header, name string) []string // the values it finds of a header
	raw         bool                                      // it compares literals before it decodes
	completes   bool                                      // it takes parameters that are missing at the end of the path from the query
}

// path is a path taken apart in one of a server's ways.
type path struct {
	how      string
	segments []segment
}

// segment is one segment, as it stands in the path and as it is decoded; the
// same where a server decodes first.
type segment struct {
	raw, text string
}

// Read returns what the server makes of the request, in each of its ways. A way
// in which it finds no route is none.
func (p *Personality) Read(routes []Route, r *Request) (all []Reading) {
	for _, method := range p.methods(r) {
		for _, path := range p.paths(r) {
			for way := range ways {
				v := view{p, r, method, path, way}
				if reading, ok := v.read(routes); ok && !slices.Contains(all, reading) {
					all = append(all, reading)
				}
			}
		}
	}
	return all
}

// ways is how many ways there are to choose one out of several values: the first,
// the last, all joined.
const ways = 3

// view is a request as one server sees it in one of its ways.
type view struct {
	*Personality
	r      *Request
	method string
	path   path
	way    int
}

// read finds the most specific route.
func (v *view) read(routes []Route) (Reading, bool) {
	best, bestRank := -1, []int(nil)
	var bound map[string]string
	for i, route := range routes {
		values, rank, ok := v.match(&route)
		if ok && (best < 0 || slices.Compare(rank, bestRank) > 0) {
			best, bestRank, bound = i, rank, values
		}
	}
	if best < 0 {
		return Reading{}, false
	}
	return Reading{
		Route: best, Space: v.find(routes[best].Space, bound), Resource: v.find(routes[best].Resource, bound),
		How: v.Name + " " + v.path.how,
	}, true
}

// match returns the values of a route's parameters and how specific it is, if the
// request is on it.
func (v *view) match(route *Route) (values map[string]string, rank []int, ok bool) {
	pattern, conditions, _ := strings.Cut(route.Pattern, "?")
	if values, rank, ok = v.matchPath(pattern); !ok {
		return nil, nil, false
	}
	methods := 0
	switch {
	case slices.Contains(route.Methods, v.method):
		methods = 2
	case v.method == "HEAD" && slices.Contains(route.Methods, "GET"):
		methods = 1
	case !slices.Contains(route.Methods, "*"):
		return nil, nil, false
	}
	n, withValue := 0, 0
	for condition := range strings.SplitSeq(conditions, "&") {
		key, want, valued := strings.Cut(condition, "=")
		if key == "" {
			continue
		}
		got, found := v.choose(v.query(v.r.Query, key))
		if !found || valued && got != want {
			return nil, nil, false
		}
		if n++; valued {
			withValue++
		}
	}
	return values, append(rank, n, withValue, methods), true
}

// matchPath matches the path alone.
func (v *view) matchPath(pattern string) (values map[string]string, rank []int, ok bool) {
	values = map[string]string{}
	parts := strings.FieldsFunc(pattern, func(r rune) bool { return r == '/' })
	segments := v.path.segments
	for i, part := range parts {
		if i >= len(segments) {
			missing, isParameter := strings.CutPrefix(strings.TrimSuffix(part, "}"), "{")
			value, found := v.choose(v.query(v.r.Query, missing))
			if !v.completes || !isParameter || !found {
				return nil, nil, false
			}
			values[missing] = value
			rank = append(rank, 1)
			continue
		}
		last := i == len(segments)-1
		name, tail := strings.CutSuffix(part, "...}")
		if part == "*" || tail {
			var rest []string
			for j := i; j < len(segments); j++ {
				rest = append(rest, v.value(segments[j], false))
			}
			values[strings.TrimPrefix(name, "{")] = strings.Join(rest, "/")
			return values, append(rank, 0), true
		}
		before, inner, isParameter := strings.Cut(part, "{")
		name, after, _ := strings.Cut(inner, "}")
		switch {
		case !isParameter:
			if !v.literal(segments[i], part, last) {
				return nil, nil, false
			}
			rank = append(rank, 1000)
		case before+after == "":
			values[name] = v.value(segments[i], last)
			rank = append(rank, 1)
		default:
			value, ok := v.partial(segments[i], before, after, last)
			if !ok {
				return nil, nil, false
			}
			values[name] = value
			rank = append(rank, 2+len(before)+len(after))
		}
	}
	return values, rank, len(parts) >= len(segments)
}

// partial matches a parameter with texts around it: wherever the server takes
// what stands there for these.
func (v *view) partial(s segment, before, after string, last bool) (value string, ok bool) {
	text, decode := v.value(s, false), verbatim
	if v.raw {
		text, decode = s.raw, percent
	}
	for i := range len(text) + 1 {
		if before != "" && (i == 0 || !v.literal(segment{text[:i], text[:i]}, before, false)) || before == "" && i > 0 {
			continue
		}
		for j := i + 1; j <= len(text); j++ {
			if end := text[j:]; after == "" && end == "" || after != "" && end != "" && v.literal(segment{end, end}, after, last) {
				return decode(text[i:j]), true
			}
		}
	}
	return "", false
}

// choose picks one of several values in the view's way.
func (v *view) choose(alternatives [][]string) (value string, found bool) {
	if len(alternatives) == 0 {
		return "", false
	}
	values := alternatives[min(v.way, len(alternatives)-1)]
	if len(values) == 0 {
		return "", false
	}
	switch v.way {
	case 0:
		return values[0], true
	case 1:
		return values[len(values)-1], true
	}
	return strings.Join(values, ","), true
}

// find returns the value at a source.
func (v *view) find(source string, bound map[string]string) string {
	kind, name, _ := strings.Cut(source, ".")
	value := ""
	switch kind {
	case "path":
		value = bound[name]
	case "query":
		value, _ = v.choose(v.query(v.r.Query, name))
	case "header":
		value, _ = v.choose([][]string{v.fields(v.r.Header, name)})
	case "host":
		host, _ := v.choose([][]string{v.hosts(v.r)})
		host, _, _ = strings.Cut(host, ":")
		labels := strings.Split(strings.ToLower(host), ".")
		slices.Reverse(labels)
		n := int(cmp.Or(name, "0")[0] - '0')
		if n < len(labels) {
			value = labels[n]
		}
	}
	return value
}
