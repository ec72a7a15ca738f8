package caddyroutes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/certmagic"
)

// matcherSet is a set of Caddy's matchers by their names.
type matcherSet map[string]matcher

// matcher is what a matcher is to match.
type matcher struct {
	json.RawMessage          // without blanks
	list            []string // if it is one of strings
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *matcher) UnmarshalJSON(raw []byte) error {
	var b bytes.Buffer
	json.Compact(&b, raw) // is JSON: never fails
	*m = matcher{RawMessage: b.Bytes()}
	json.Unmarshal(raw, &m.list) // anything else is none
	return nil
}

// UnmarshalJSON implements json.Unmarshaler. An expression that is nothing but a call of
// another matcher, as in path('/a/*'), is that matcher.
func (m *matcherSet) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, (*map[string]matcher)(m)); err != nil {
		return err
	}
	call := loneCall.FindStringSubmatch(expression((*m)["expression"].RawMessage))
	if call == nil {
		return nil
	}
	name, list := call[1], []string(nil)
	if _, has := (*m)[name]; has {
		return nil // both must match
	}
	for _, arg := range quotedIn.FindAllString(call[2], -1) {
		list = append(list, arg[1:len(arg)-1])
	}
	*m = m.without("expression")
	(*m)[name] = listed(list...)
	return nil
}

// Strings that are what they seem: without escapes or placeholders.
const plainString = `(?:'[^'\\{]*'|"[^"\\{]*")`

var (
	loneCall = regexp.MustCompile(`^\s*(host|method|path)\s*\(\s*(` + plainString + `(?:\s*,\s*` + plainString + `)*)\s*\)\s*$`)
	quotedIn = regexp.MustCompile(plainString)
)

// listed returns a matcher that is a list.
func listed(patterns ...string) matcher {
	text, _ := json.Marshal(patterns) // never fails
	return matcher{text, patterns}
}

// String returns it as it is written, without blanks.
func (m matcherSet) String() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(m) // was JSON: never fails
	return strings.TrimSpace(b.String())
}

// without returns the others of the set.
func (m matcherSet) without(name string) matcherSet {
	if _, has := m[name]; has {
		m = maps.Clone(m)
		delete(m, name)
	}
	return m
}

// hosts returns those that the set is for; none: all.
func (m matcherSet) hosts() []string { return m["host"].list }

// not returns the sets that must not match.
func (m matcherSet) not() (sets []matcherSet) {
	if not, has := m["not"]; has {
		json.Unmarshal(not.RawMessage, &sets) // anything else Caddy will refuse
	}
	return sets
}

// triedFiles are those that a matcher tries, without some the request's own.
type triedFiles struct {
	Files  []string `json:"try_files"`
	Policy string   `json:"try_policy"`
}

// tries returns what the file matcher of the set tries, if it has one.
func (m matcherSet) tries() (tried triedFiles) {
	json.Unmarshal(m["file"].RawMessage, &tried) // anything else Caddy will refuse
	if len(tried.Files) == 0 {
		tried.Files = []string{"{http.request.uri.path}"}
	}
	return tried
}

// fails returns the status that it fails with where no file exists; 0: it doesn't.
func (t triedFiles) fails() int {
	text, is := strings.CutPrefix(t.Files[len(t.Files)-1], "=")
	if status, err := strconv.Atoi(text); is && err == nil && status >= 100 && status <= 999 && strings.HasPrefix(cmp.Or(t.Policy, "first_exist"), "first_exist") {
		return status
	}
	return 0
}

// takesAll reports whether no request goes past: without a file it takes the last one, or fails.
func (t triedFiles) takesAll() bool { return t.Policy == "first_exist_fallback" || t.fails() > 0 }

// coverers are the matchers that are lists, and whether a pattern in one takes all that
// another does.
var coverers = map[string]func(wide, narrow string) bool{
	"host":   coversHost,
	"method": func(wide, narrow string) bool { return wide == narrow },
	"path":   coversPath,
}

// covers reports whether all that one matcher takes is taken by another of that name, as
// far as can be told.
func covers(name string, wide, narrow matcher) bool {
	takes, known := coverers[name]
	return bytes.Equal(wide.RawMessage, narrow.RawMessage) || known && len(narrow.list) > 0 && !slices.ContainsFunc(narrow.list, func(n string) bool {
		return !slices.ContainsFunc(wide.list, func(w string) bool { return takes(w, n) })
	})
}

// overlap reports whether a request may match both sets, as far as can be told.
func overlap(a, b matcherSet) bool {
	for name, takes := range coverers {
		all, others := a[name].list, b[name].list
		if len(all) == 0 || len(others) == 0 {
			continue // any will do
		}
		if !slices.ContainsFunc(all, func(one string) bool {
			return slices.ContainsFunc(others, func(other string) bool {
				return strings.Contains(one+other, "{") || // what a placeholder stands for isn't known
					takes(one, other) || takes(other, one) || name == "path" && !(plainPath(one) && plainPath(other))
			})
		}) {
			return false
		}
	}
	return true
}

func coversHost(wide, narrow string) bool {
	if !strings.Contains(wide, "*") {
		return strings.EqualFold(wide, narrow)
	}
	return certmagic.MatchWildcard(strings.ToLower(narrow), strings.ToLower(wide))
}

func coversPath(wide, narrow string) bool {
	wide, narrow = strings.ToLower(wide), strings.ToLower(narrow)
	prefix, open := strings.CutSuffix(wide, "*")
	return wide == narrow || open && plainPath(wide) && strings.HasPrefix(narrow, prefix)
}

// plainPath reports whether a pattern for paths is a path, or what paths begin with.
func plainPath(pattern string) bool {
	return !strings.ContainsAny(strings.TrimSuffix(pattern, "*"), "*?[\\%{") && !strings.Contains(pattern, "//")
}
