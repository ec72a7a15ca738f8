package caddyroutes

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/policy"
)

// rejectionStatuses returns what gates answer requests that they turn away, and Caddy those
// that it turns away before all routes: a method that can't be one, and a host that is
// another than the certificate's.
func rejectionStatuses() (statuses []int) {
	statuses = []int{http.StatusMethodNotAllowed, http.StatusMisdirectedRequest}
	for _, reason := range policy.Reasons() {
		if reason != policy.Forward {
			statuses = union(statuses, reason.Status())
		}
	}
	slices.Sort(statuses)
	return statuses
}

// atStatus returns what of a set of matchers is still to be asked of a request that has
// failed with a status: those that ask for nothing else are answered. It reports whether
// the others can matter.
func atStatus(m matcherSet, status int) (matcherSet, bool) {
	if status == 0 {
		return m, true
	}
	left := matcherSet{}
	for name, asks := range m {
		if name == "not" {
			var sets []matcherSet
			for _, not := range m.not() {
				if not, possible := atStatus(not, status); possible {
					sets = append(sets, not)
				}
			}
			if len(sets) > 0 {
				text, _ := json.Marshal(sets) // was JSON: never fails
				left[name] = matcher{RawMessage: text}
			}
			continue
		}
		matches, known := matchesStatus(name, asks.RawMessage, status)
		if known && !matches {
			return nil, false
		} else if !known {
			left[name] = asks
		}
	}
	return left, true
}

// matchesStatus reports whether a matcher takes an error by its status; known: whether it
// looks at nothing else, or at nothing else that could make it match.
func matchesStatus(name string, raw json.RawMessage, status int) (matches, known bool) {
	switch name {
	case "vars", "vars_regexp":
		var keys map[string]json.RawMessage
		if json.Unmarshal(raw, &keys) != nil || !ofStatus(string(raw)) {
			return false, false
		}
		for key := range keys {
			if !strings.HasPrefix(key, "{") {
				return false, false // a variable
			}
		}
		return takesStatus(name, raw, status)
	case "expression":
		known = true
		for _, part := range conjuncts(expression(raw)) {
			matches, asked := false, false
			if ofStatus(part) && !calls(part) {
				text, _ := json.Marshal(part) // never fails
				matches, asked = takesStatus(name, text, status)
			}
			if asked && !matches {
				return false, true
			}
			known = known && asked
		}
		return known, known
	}
	return false, false
}

// expression returns the text of a matcher of that name.
func expression(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var named struct{ Expr string }
	json.Unmarshal(raw, &named) // anything else Caddy will refuse
	return named.Expr
}

// conjuncts returns the parts of an expression that must all be true.
func conjuncts(text string) (parts []string) {
	depth, start := 0, 0
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth > 0:
		case c == '?', strings.HasPrefix(text[i:], "||"):
			return []string{text} // binds less than &&
		case strings.HasPrefix(text[i:], "&&"):
			parts = append(parts, text[start:i])
			i++
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

var (
	placeholderIn = regexp.MustCompile(`\{[a-zA-Z][^{}\s"]*\}`)
	callIn        = regexp.MustCompile(`(^|[^.\w])(\w+)\s*\(`)
)

// ofStatus reports whether the text has no placeholders but those of a status.
func ofStatus(text string) bool {
	return !slices.ContainsFunc(placeholderIn.FindAllString(text, -1), func(p string) bool {
		return p != "{http.error.status_code}" && p != "{http.error.status_text}"
	})
}

// calls reports whether an expression calls a function that may look at the request, as
// the names of Caddy's matchers are.
func calls(text string) bool {
	return slices.ContainsFunc(callIn.FindAllStringSubmatch(text, -1), func(call []string) bool {
		return !slices.Contains([]string{"int", "uint", "double", "string", "bool", "size", "in"}, call[2])
	})
}

// statusesTaken holds what takesStatus has answered: compiling an expression takes
// milliseconds, and each gate fails with the same statuses.
var statusesTaken sync.Map // of [2]bool by statusAsked

type statusAsked struct {
	name, raw string
	status    int
}

// takesStatus has Caddy's own matcher say whether it takes an error of the status. known: it
// could.
func takesStatus(name string, raw json.RawMessage, status int) (matches, known bool) {
	asked := statusAsked{name, string(raw), status}
	answer, held := statusesTaken.Load(asked)
	if !held {
		matches, err := askMatcher(name, raw, status)
		answer = [2]bool{matches, err == nil}
		statusesTaken.Store(asked, answer)
	}
	said := answer.([2]bool)
	return said[0], said[1]
}

// askMatcher is takesStatus, asked anew. An error: it can't be known.
func askMatcher(name string, raw json.RawMessage, status int) (matches bool, err error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())})
	defer cancel()
	matcher, err := ctx.LoadModuleByID("http.matchers."+name, raw)
	if err != nil {
		return false, err
	}
	r, _ := http.NewRequestWithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{}), http.MethodGet, "/", nil) // never fails
	r = (*caddyhttp.HTTPErrorConfig)(nil).WithError(r, caddyhttp.HandlerError{StatusCode: status, Err: errors.New(http.StatusText(status))})
	return matcher.(caddyhttp.RequestMatcherWithError).MatchWithError(r)
}
