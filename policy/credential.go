package policy

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// CredentialKind says how a credential travels.
type CredentialKind uint8

// The ways of a credential.
const (
	Bearer CredentialKind = iota // Authorization: Bearer S (RFC 6750 section 2.1), the word in any case
	Bare                         // Authorization: S
	Basic                        // the password of Authorization: Basic (RFC 7617), with any user name
	Scheme                       // Authorization: <word> S
	Header                       // <name>: S
	Query                        // ?<name>=S
	Cookie                       // Cookie: <name>=S
)

// Credential is a place of a request where a credential may be.
type Credential struct {
	Kind CredentialKind
	Name string // of the scheme, header, query key or cookie
}

// String returns the place as the Caddyfile has it.
func (c Credential) String() string {
	switch c.Kind {
	case Bearer:
		return "bearer"
	case Bare:
		return "bare"
	case Basic:
		return "basic"
	case Scheme:
		return "scheme " + c.Name
	case Header:
		return "header " + c.Name
	case Query:
		return "query " + c.Name
	}
	return "cookie " + c.Name
}

// authorization reports whether the place is in the Authorization field.
func (c Credential) authorization() bool { return c.Kind <= Scheme }

// sameAs reports whether the two are one place.
func (c Credential) sameAs(d Credential) bool {
	if c.scheme() != "" || d.scheme() != "" {
		return c.scheme() == d.scheme()
	}
	return c == d
}

// scheme returns the authentication scheme in lower case, or "".
func (c Credential) scheme() string {
	switch c.Kind {
	case Bearer:
		return "bearer"
	case Basic:
		return "basic"
	case Scheme:
		return strings.ToLower(c.Name)
	}
	return ""
}

var defaultCredentials = []Credential{{Kind: Bearer}, {Kind: Bare}}

func parseCredentials(texts []string) ([]Credential, error) {
	if len(texts) == 0 {
		return defaultCredentials, nil
	}
	var credentials []Credential
	for _, text := range texts {
		c, err := ParseCredential(text)
		if err != nil {
			return nil, err
		}
		for _, d := range credentials {
			if c.sameAs(d) {
				return nil, fmt.Errorf("token_from %s: stands twice", c)
			}
		}
		credentials = append(credentials, c)
	}
	return credentials, nil
}

// ParseCredential reads a place where tokens are taken from.
func ParseCredential(text string) (Credential, error) {
	word, name, named := strings.Cut(text, " ")
	name = strings.TrimSpace(name)
	kinds := map[string]CredentialKind{"bearer": Bearer, "bare": Bare, "basic": Basic, "scheme": Scheme, "header": Header, "query": Query, "cookie": Cookie}
	kind, ok := kinds[word]
	if !ok || named != (kind >= Scheme) {
		return Credential{}, fmt.Errorf("token_from %q: want bearer, bare, basic, scheme <word>, header <name>, query <name> or cookie <name>", text)
	}
	c := Credential{Kind: kind, Name: name}
	switch {
	case kind == Header && PlainHeaderName(name):
		c.Name = canonicalHeader(name)
		switch c.Name {
		case "Authorization", "Cookie", "Host", "Connection", "Content-Length", "Transfer-Encoding":
			return c, fmt.Errorf("token_from header %s: this header has a form of its own; use bearer, bare, basic, scheme or cookie", c.Name)
		}
	case kind == Scheme && PlainHeaderName(name), kind == Cookie && validCookieName(name), kind == Query && foldKey(name) != "":
	case kind >= Scheme:
		return c, fmt.Errorf("token_from %q: %q can't be the name of a %s", text, name, word)
	}
	return c, nil
}

// ParseLetThrough reads a credential that is to be let through.
func ParseLetThrough(text string) (Credential, error) {
	c, err := ParseCredential(text)
	if err != nil || c.Kind != Scheme && c.Kind != Header && c.Kind != Cookie {
		return c, fmt.Errorf("let_through %q: want cookie <name>, header <name> or scheme <word>", text)
	}
	return c, nil
}

func validCookieName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// take finds the secret in the request. A secret that stands in two places is
// taken if it is the same; anything that could be read as two is refused.
func (m *Match) take(from []Credential) {
	for i := range from {
		secret, why := m.secretAt(from[i])
		switch {
		case why != "":
			m.refuse(why)
			return
		case secret == "":
		case m.found && m.Secret != secret:
			m.refuse("the request carries two different tokens")
			return
		default:
			m.found, m.Secret, m.place = true, secret, from[i]
		}
	}
}

// noSecret is what is taken where a credential has the right form but no
// secret in it, so that it is judged malformed and not missing.
const noSecret = " "

// secretAt returns the secret at one place, "" where there is none.
func (m *Match) secretAt(c Credential) (secret, why string) {
	switch c.Kind {
	case Header:
		values := m.header[c.Name]
		if len(values) > 1 {
			return "", "the request has " + c.Name + " twice"
		}
		if len(values) == 0 {
			return "", ""
		}
		return values[0], ""
	case Query:
		if m.query == "" {
			return "", ""
		}
		if !m.judgeQuery() {
			return "", m.Detail
		}
		secret, found, why := queryValue(m.query, c.Name)
		if found && secret == "" {
			secret = noSecret
		}
		return secret, why
	case Cookie:
		return cookie(m.header["Cookie"], c.Name)
	}
	values := m.header["Authorization"]
	if len(values) == 0 || values[0] == "" {
		return "", ""
	}
	if len(values) > 1 {
		return "", "the request has Authorization twice"
	}
	return authorization(values[0], c)
}

// authorization takes the secret out of the value of an Authorization field
// (RFC 9110 section 11.4).
func authorization(value string, c Credential) (secret, why string) {
	word, rest, two := strings.Cut(value, " ")
	rest = strings.TrimLeft(rest, " ")
	if c.Kind == Bare {
		if two || strings.EqualFold(word, "bearer") || strings.EqualFold(word, "basic") {
			return "", ""
		}
		if strings.IndexByte(word, ',') >= 0 {
			return "", "Authorization is a list"
		}
		return word, ""
	}
	scheme := c.Name
	switch c.Kind {
	case Bearer:
		scheme = "Bearer"
	case Basic:
		scheme = "Basic"
	}
	switch {
	case !strings.EqualFold(word, scheme):
		return "", ""
	case rest == "":
		return noSecret, ""
	case strings.IndexByte(rest, ',') >= 0:
		return "", "Authorization is a list"
	case c.Kind != Basic:
		return rest, ""
	}
	pair, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return noSecret, ""
	}
	_, password, ok := strings.Cut(string(pair), ":")
	if !ok || password == "" {
		return noSecret, ""
	}
	return password, ""
}

// cookie returns the value of the cookie with this name, "" if there is none.
func cookie(fields []string, name string) (value, why string) {
	found := false
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			n, v, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
			if strings.TrimRight(n, " \t") != name || !ok {
				continue
			}
			if found {
				return "", "the request has the cookie " + name + " twice"
			}
			found, value = true, strings.TrimRight(v, " \t")
		}
	}
	return value, ""
}

// carries reports whether the request carries a credential that is let through.
func (m *Match) carries(credentials []Credential) bool {
	for _, c := range credentials {
		if value, why := m.secretAt(c); value != "" && value != noSecret && why == "" {
			return true
		}
	}
	return false
}

// Strip removes the token from the places where the route takes tokens from.
// Where none was looked at, on a public route, that is what isToken takes for
// one; other credentials are the API's own and stay.
func (m *Match) Strip(r *http.Request, isToken func(secret string) bool) {
	if m.Route == nil {
		return
	}
	for _, c := range m.Route.from {
		value, _ := m.secretAt(c)
		if value == "" || value != m.Secret && !isToken(value) {
			continue
		}
		switch c.Kind {
		case Header:
			delete(r.Header, c.Name)
		case Query:
			r.URL.RawQuery = withoutKey(r.URL.RawQuery, c.Name)
		case Cookie:
			withoutCookie(r.Header, c.Name)
		default:
			delete(r.Header, "Authorization")
		}
	}
}

// withoutKey removes a key's parameters and leaves the other bytes alone.
func withoutKey(raw, key string) string {
	kept := make([]byte, 0, len(raw))
	for start := 0; start < len(raw); {
		end := start + 1 // behind the separator that pair begins with, if any
		for end < len(raw) && raw[end] != '&' && raw[end] != ';' {
			end++
		}
		pair := raw[start:end]
		name, _, _ := strings.Cut(strings.TrimLeft(pair, "&;"), "=")
		if decoded, err := unescapeQuery(name); err != nil || decoded != key {
			kept = append(kept, pair...)
		}
		start = end
	}
	return strings.TrimLeft(string(kept), "&;")
}

// withoutCookie removes a cookie and leaves the others alone.
func withoutCookie(h http.Header, name string) {
	var kept []string
	for _, field := range h["Cookie"] {
		var pairs []string
		for pair := range strings.SplitSeq(field, ";") {
			pair = strings.Trim(pair, " \t")
			if n, _, _ := strings.Cut(pair, "="); pair != "" && strings.TrimRight(n, " \t") != name {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = kept
	}
}
