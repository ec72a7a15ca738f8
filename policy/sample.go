package policy

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// filler is the value of parameters in a sample, and the segments of the rest of a path. No
// route has it as a literal.
const filler = "~any~"

// usualRest is how many segments the rest of a path has in most samples: a single one would
// match {name}, too.
const usualRest = 2

// path returns the path of requests that the pattern matches, with so many segments where
// it takes all the rest of a path.
func (p *pattern) path(rest int) string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(withSlashes(s.with(filler))))
	}
	if p.tail {
		b.WriteString(strings.Repeat("/"+filler, rest))
	}
	return cmp.Or(b.String(), "/")
}

// queries returns the queries of requests that the pattern matches, with what it leaves
// open filled in. Beside a route for ?draft=true, only what is no spelling of that is
// surely on the one for ?draft.
func (p *pattern) queries() []string {
	values := []string{filler, "false", "true", "0", "1"}
	if p.values() == len(p.conditions) {
		values = values[:1]
	}
	queries := make([]string, len(values))
	for i, value := range values {
		pairs := make([]string, len(p.conditions))
		for j, c := range p.conditions {
			if c.anyValue {
				c.value = value
			}
			pairs[j] = url.QueryEscape(c.key) + "=" + url.QueryEscape(c.value)
		}
		queries[i] = strings.Join(pairs, "&")
	}
	return queries
}

// request returns a request that the pattern matches, with one of its queries, and so many
// segments where it takes all the rest of a path.
func (p *pattern) request(method, query string, rest int) Request {
	return Request{Method: method, Path: p.path(rest), Query: query, Header: http.Header{}}
}
