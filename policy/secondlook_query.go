package policy

import (
	"iter"
	"slices"
	"strings"
)

// otherValue returns why some servers find another value of a path parameter than this one,
// or "": Spring MVC's data binding, the properties of Laravel's requests and Vanguard prefer
// the query's, and Spring decodes the path in the charset of the body.
func (m *Match) otherValue(key, value string) (why string) {
	if !isASCII(value) && charsetOf(m.header["Content-Type"]) != likeUTF8 {
		return "can be read in two ways: the Content-Type has a charset by which some servers read the path"
	}
	return m.otherInQuery(key, value)
}

// otherInQuery is otherValue for the query alone, which some servers also prefer to a header
// of that name (Vendure).
func (m *Match) otherInQuery(key, value string) (why string) {
	others, why := m.otherValues(key, value)
	switch {
	case why != "":
		return "can't be told: " + why
	case len(others) > 0:
		return "can be read in two ways: the query has " + key + " as well, which some servers prefer"
	}
	return ""
}

// otherValues returns the values, other than this one, that some servers find in the query
// for a path parameter or a header: up to maxReadings of them. why says why they can't be
// told.
func (m *Match) otherValues(key, value string) (all []string, why string) {
	seen := false
	for other, why := range m.values(key) {
		if why != "" {
			return nil, why
		}
		if seen && other == value {
			other += "," + value // joined, by Spring's data binding
		}
		seen = true
		if other != value && !slices.Contains(all, other) && len(all) < maxReadings {
			all = append(all, other)
		}
	}
	return all, ""
}

// values yields the values that some servers find in the query for a path parameter or a
// header of this name, or why they can't be told.
func (m *Match) values(key string) iter.Seq2[string, string] {
	return func(yield func(value, why string) bool) {
		var odd oddNames
		for name, value := range parameters(m.query) {
			if name != "" && isAlnum(name[0]) && isAlnum(key[0]) && lower(name[0]) != lower(key[0]) {
				continue
			}
			name = generous(name)
			if odd.tooMany(name) {
				yield("", tooManyOddNames)
				return
			}
			if hasDot(name) {
				name = strings.ReplaceAll(name, ".", "_") // book.name, of a field within another, is {book_name}
			}
			if sameKey(name, key) && !yield(unescapeQuery(value), "") {
				return
			}
		}
	}
}

// hasDot reports whether a name has a dot after its first byte, and before anything else that
// ends it (space.gt): then it names a filter, or a field of something.
func hasDot(name string) bool {
	for i := 1; i < len(name); i++ {
		if endsKey(name[i]) {
			return name[i] == '.'
		}
	}
	return false
}

// isReplaced reports whether the query has another value for a path parameter beside which
// there are other routes.
func (m *Match) isReplaced() bool {
	if m.Route == nil {
		return false
	}
	for _, i := range m.Route.beside {
		if others, why := m.otherValues(m.Route.pattern.valueAt(i, &m.path)); len(others) > 0 || why != "" {
			return true
		}
	}
	return false
}

// replaced returns the paths that the request has to servers that prefer the query's value of
// a parameter to the path's (WordPress, plumber, Snap), for each choice of parameters and
// values. why says why they can't be told.
func (m *Match) replaced() (all []reading, why string) {
	r := m.Route
	if r == nil || m.query == "" || len(r.beside) == 0 {
		return nil, ""
	}
	paths := [][]string{m.path.segments()}
	for _, i := range r.beside {
		others, why := m.otherValues(r.pattern.valueAt(i, &m.path))
		if why != "" {
			return nil, why
		}
		for _, path := range paths {
			for _, other := range others {
				paths = append(paths, r.pattern.withValue(path, i, other))
			}
		}
		if len(paths) > maxReadings {
			return nil, "the query has too many values of parameters of the path"
		}
	}
	for _, path := range paths[1:] {
		other := reading{rule: prefersQuery, loose: true}
		if !other.join(path) {
			return nil, "the query has a value of a parameter of the path that is too long"
		}
		all = append(all, other)
	}
	return all, ""
}

// completes reports whether the query has one of these parameters, by which some servers
// complete the path.
func (m *Match) completes(missing []string) bool {
	return slices.ContainsFunc(missing, m.isInQuery)
}

// hasInQuery reports whether the query has all parameters that are missing in the path
// (ASP.NET Web API, ServiceStack; Rails and Grails with optional parameters), and the
// request's route says nothing of any of them.
func (m *Match) hasInQuery(missing []segment) bool {
	return !slices.ContainsFunc(missing, func(s segment) bool {
		return !m.isInQuery(s.parameter) || m.Route != nil && m.Route.reads(s.parameter)
	})
}

// isInQuery reports whether some servers find a parameter of the path in the query, or that
// can't be told. The readings of a path ask for the same one again and again.
func (m *Match) isInQuery(key string) bool {
	if m.sought != key {
		m.sought, m.found = key, false
		for range m.values(key) {
			m.found = true
			break
		}
	}
	return m.found
}
