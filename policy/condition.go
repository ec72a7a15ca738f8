package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// condition is one on a query key: that it is present, or has this value.
type condition struct {
	key      string
	value    string
	anyValue bool
	others   []string // values that other routes of the place want of the key
}

// String returns the condition as the Caddyfile has it.
func (c condition) String() string {
	if c.anyValue {
		return c.key
	}
	return c.key + "=" + c.value
}

func parseConditions(query string) ([]condition, error) {
	var conditions []condition
	for part := range strings.SplitSeq(query, "&") {
		key, value, hasValue := strings.Cut(part, "=")
		k, err := url.QueryUnescape(key)
		v, verr := url.QueryUnescape(value)
		if err := errors.Join(err, verr); err != nil {
			return nil, fmt.Errorf("query condition %q: %w", part, err)
		}
		switch {
		case !validQueryKey(k):
			return nil, fmt.Errorf("query condition %q: want key or key=value", part)
		case hasValue && v == "":
			return nil, fmt.Errorf("query condition %q: has no value; write %q where any will do", part, key)
		case slices.ContainsFunc(conditions, func(c condition) bool { return sameKey(c.key, k) || sameKey(k, c.key) }):
			return nil, fmt.Errorf("query condition %q: its key is given twice", part)
		}
		conditions = append(conditions, condition{key: k, value: v, anyValue: !hasValue})
	}
	return conditions, nil
}

// dependsOn reports whether a condition of the pattern is on this key.
func (p *pattern) dependsOn(key string) bool {
	return slices.ContainsFunc(p.conditions, func(c condition) bool { return c.key == key })
}

// values counts the conditions that want a certain value.
func (p *pattern) values() (n int) {
	for _, c := range p.conditions {
		if !c.anyValue {
			n++
		}
	}
	return n
}

// compareConditions says which pattern is tried first by its query conditions.
func compareConditions(a, b *pattern) int {
	return cmp.Or(cmp.Compare(len(a.conditions), len(b.conditions)), cmp.Compare(a.values(), b.values()))
}

// stricter reports whether a's query conditions are b's, as many, with values
// in addition.
func stricter(a, b *pattern) bool {
	return len(a.conditions) == len(b.conditions) && a.values() > b.values() && within(b.conditions, a.conditions)
}

// compatible reports whether a request can meet the conditions of both lists.
func compatible(a, b []condition) bool {
	for i := range a {
		for j := range b {
			if c, d := &a[i], &b[j]; c.key == d.key && !c.anyValue && !d.anyValue && c.value != d.value {
				return false
			}
		}
	}
	return true
}

// merge returns the conditions that hold where those of both compatible lists do.
func merge(a, b []condition) []condition {
	both := slices.Clone(a)
	for _, c := range b {
		i := slices.IndexFunc(both, func(d condition) bool { return d.key == c.key })
		if i < 0 {
			both = append(both, c)
		} else if both[i].anyValue {
			both[i] = c
		}
	}
	return both
}

// within reports whether all the conditions hold wherever those of outer do.
func within(conditions, outer []condition) bool {
	for _, c := range conditions {
		if !slices.ContainsFunc(outer, func(d condition) bool { return d.key == c.key && (c.anyValue || c.value == d.value && !d.anyValue) }) {
			return false
		}
	}
	return true
}

// compare reports whether a value of its key meets the condition; why says why
// some server may think so and another not.
func (c *condition) compare(value string) (met bool, why string) {
	switch {
	case value == c.value:
		return true, ""
	case len(value) > maxQueryValue:
		return false, "the query has a value of " + c.key + " that is too long to compare"
	case sameValue(value, c.value) && !slices.Contains(c.others, value):
		return false, "the query has " + c.key + "=" + c.value + " in another spelling"
	}
	return false, ""
}

// sameValue reports whether some server takes got for want, which it is not.
func sameValue(got, want string) bool {
	if !utf8.ValidString(got) {
		return true
	}
	word := truth(want)
	switch {
	case isNumber(want):
		return mayBeNumber(got, want) || word != "" && (truth(got) == word && !isNumber(got) || strings.TrimSpace(got) == "")
	case word != "" && len(want) > 1:
		// What means neither true nor false is one or the other, depending on the server.
		got = unescapeQuery(got)
		return truth(got) == "" || truth(got) == word
	}
	got = unescapeQuery(got)
	if equalNumbers(got, want) {
		return true
	}
	for piece := range strings.FieldsFuncSeq(got, separatesValues) {
		if alikeValues(piece, want) || word != "" && truth(piece) == word {
			return true
		}
	}
	if alikeValues(got, want) || word != "" && strings.TrimSpace(got) == "" {
		return true
	}
	return !isASCII(got) && foldSegment(got) == foldSegment(want)
}

// alikeValues is sameKey for values, in which a minus at the beginning matters, and a
// colon ends nothing: sort=-date is another order than sort=date, and so is sort=date:asc.
func alikeValues(got, want string) bool {
	return negative(got) == negative(want) && sameKey(strings.ReplaceAll(got, ":", ""), want)
}

// negative reports whether there is a minus before the first letter or digit.
func negative(s string) bool {
	before, _, _ := strings.Cut(s, "-")
	return len(before) < len(s) && strings.IndexFunc(before, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) < 0
}

// separatesValues reports whether some server splits a value at r, or ends it there.
func separatesValues(r rune) bool {
	switch r {
	case ',', ';', '|', '&', '#', '[', ']', 0x7f:
		return true
	}
	return r <= ' ' || r >= utf8.RuneSelf && (unicode.IsSpace(r) || unicode.IsControl(r))
}

// truth returns "true" or "false" for the many words that mean them, and "" for all
// other values.
func truth(s string) string {
	s = strings.ReplaceAll(foldKey(s), keyEnd, "")
	for word, others := range booleans {
		if s == word || slices.Contains(others, s) {
			return word
		}
	}
	return ""
}

// meetsCondition reports whether the query meets the condition; why says why servers may
// disagree.
func (m *Match) meetsCondition(c *condition) (met bool, why string) {
	if why := m.lookUp(c.key); why != "" {
		return false, why
	}
	switch {
	case m.lookedUp.n == 0:
		return false, ""
	case c.anyValue:
		return true, ""
	case m.lookedUp.n == 1:
		return c.compare(m.lookedUp.values[0])
	}
	value, why := m.repeated.value(c.key, m.query)
	if why != "" || value == nil {
		return false, why
	}
	return c.compare(*value)
}
