package policy

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Case is an expectation of a policy: what a request needs. One a line, as
// JSON, for policy test; keys it doesn't have are ignored.
type Case struct {
	Method string `json:"method"`
	Path   string `json:"path"` // with a query, where the request has one; or the whole URL
	// Scope is "a b" (both), "a|b" (one of them), public, any, never or deny
	// (no route); or a list, all of which are needed.
	Scope scopeText `json:"scope"`
	// Space and Resource are those found in the request; null for none.
	Space    *string `json:"space"`
	Resource *string `json:"resource"`
	// Anonymous says that the request is also served without a token.
	Anonymous bool `json:"anonymous"`

	Line int `json:"-"`
}

// scopeText is a requirement, written as a text or as a list.
type scopeText string

// UnmarshalJSON reads either form.
func (s *scopeText) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil && list != nil {
		*s = scopeText(strings.Join(list, " "))
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil || text == "" {
		return errors.New("scope: want a text or a list of texts")
	}
	*s = scopeText(text)
	return nil
}

// ReadCases reads one case a line. Errors name the line.
func ReadCases(r io.Reader) ([]Case, error) {
	var cases []Case
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxCase)
	n := 0
	for lines.Scan() && lines.Err() == nil { // after an error, Scan returns part of a line
		n++
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff")) // Windows begins files so
		if text == "" {
			continue
		}
		c := Case{Line: n}
		if err := c.read(text); err != nil {
			if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
				err = fmt.Errorf("%s: a JSON %s doesn't belong here", cmp.Or(mistyped.Field, "a case"), mistyped.Value)
			}
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if c.Method == "" || c.Path == "" || c.Scope == "" {
			return nil, fmt.Errorf("line %d: want method, path and scope", n)
		}
		cases = append(cases, c)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: longer than %d bytes", n+1, maxCase)
	case err != nil:
		return nil, fmt.Errorf("reading line %d: %w", n+1, err)
	}
	return cases, nil
}

// maxCase bounds a case, in bytes.
const maxCase = 1 << 20

// caseKeys are the keys of a case that say something.
var caseKeys = []string{"method", "path", "scope", "space", "resource", "anonymous"}

// read fills the case from a JSON object. Unlike encoding/json, it matches keys exactly ("Scope"
// is ignored) and refuses a key that is given twice.
func (c *Case) read(object string) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &values); err != nil {
		return err
	}
	if key := repeatedKey(object); key != "" {
		return fmt.Errorf("%s is given twice", key)
	}
	maps.DeleteFunc(values, func(key string, _ json.RawMessage) bool { return !slices.Contains(caseKeys, key) })
	known, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return json.Unmarshal(known, c)
}

// repeatedKey returns one of caseKeys that an object has twice, or "".
func repeatedKey(object string) string {
	dec := json.NewDecoder(strings.NewReader(object))
	dec.Token() // {
	seen := map[string]bool{}
	for dec.More() {
		tok, _ := dec.Token() // was read before: never fails
		var value json.RawMessage
		dec.Decode(&value)
		key, _ := tok.(string)
		if seen[key] && slices.Contains(caseKeys, key) {
			return key
		}
		seen[key] = true
	}
	return ""
}

// Check returns an error that says where the policy differs from the case, or nil.
func (p *Policy) Check(c Case) error {
	req, err := c.request()
	if err != nil {
		return err
	}
	m := p.routed(&req)
	if m.Reason == Forward && m.Route != nil {
		m.locate(true)
	}
	scope := string(c.Scope)
	switch {
	case m.Reason != Forward:
		return fmt.Errorf("the request is refused: %s", m.Detail)
	case m.Route == nil && scope == "deny":
		return nil
	case m.Route == nil:
		return fmt.Errorf("want scope %s, but no route matches", scope)
	case !slices.Equal(p.Catalog.normalized(m.Route.Require.text), p.Catalog.normalized(scope)):
		return fmt.Errorf("want scope %s, got %s%s", scope, m.Route.Require.text, m.Route.written())
	case m.Route.optional != c.Anonymous && scope != "public":
		return fmt.Errorf("want anonymous %t, got %t%s", c.Anonymous, m.Route.optional, m.Route.written())
	}
	return errors.Join(
		sameValueFound("space", c.Space, m.Space, m.Route),
		sameValueFound("resource", c.Resource, m.Resource, m.Route),
	)
}

func sameValueFound(what string, want *string, got string, r *Route) error {
	if want == nil {
		want = new(string)
	}
	if *want == got {
		return nil
	}
	return fmt.Errorf("want %s %s, got %s%s", what, cmp.Or(*want, "none"), cmp.Or(got, "none"), r.written())
}

// request makes the request of a case. A space in its path or query is written
// as clients send it.
func (c *Case) request() (Request, error) {
	u, err := url.ParseRequestURI(c.Path)
	if err != nil {
		return Request{}, fmt.Errorf("path %s: want a path, perhaps with a query", c.Path)
	}
	return NewRequest(&http.Request{Method: c.Method, URL: u, Host: u.Host, Header: http.Header{}}), nil
}

// normalized returns the clauses of a requirement in a canonical form: sorted, without
// duplicates, and with names instead of aliases.
func (c *Catalog) normalized(requirement string) []string {
	clauses := strings.Fields(requirement)
	for i, clause := range clauses {
		alternatives := strings.Split(clause, "|")
		for j, name := range alternatives {
			alternatives[j] = c.scope(name)
		}
		slices.Sort(alternatives)
		clauses[i] = strings.Join(slices.Compact(alternatives), "|")
	}
	slices.Sort(clauses)
	return slices.Compact(clauses)
}
