package policy

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
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

// credentialWords are the words for the ways, as the Caddyfile has them.
var credentialWords = []string{Bearer: "bearer", Bare: "bare", Basic: "basic", Scheme: "scheme", Header: "header", Query: "query", Cookie: "cookie"}

// Credential is a place of a request where a credential may be.
type Credential struct {
	Kind CredentialKind
	Name string // of the scheme, header, query key or cookie; of a bearer value that is let through, the beginning
}

// String returns the place as the Caddyfile has it.
func (c Credential) String() string {
	word := credentialWords[c.Kind]
	switch {
	case c.Name == "":
		return word
	case c.Kind == Bearer:
		return word + " " + c.Name + "*"
	}
	return word + " " + c.Name
}

// header returns the name of the header that the place is in, "" for none.
func (c Credential) header() string {
	switch c.Kind {
	case Header:
		return c.Name
	case Query:
		return ""
	case Cookie:
		return "Cookie"
	}
	return "Authorization"
}

// sameAs reports whether the two are one place.
func (c Credential) sameAs(d Credential) bool {
	if c.alone() || d.alone() {
		return c.alone() && d.alone() && equalFold(c.scheme(), d.scheme())
	}
	return c == d || c.Kind == Query && d.Kind == Query && sameKey(c.Name, d.Name)
}

// TakesKey reports whether a place in the query may be meant by this key, as it is when
// it is decoded: in any spelling that some server takes for it, or that is broken.
func (c Credential) TakesKey(key string) bool {
	return c.Kind == Query && (sameKey(key, c.Name) || strings.IndexByte(key, '%') >= 0 || !utf8.ValidString(key))
}

// scheme returns the authentication scheme of the credential, "" for none.
func (c Credential) scheme() string {
	switch c.Kind {
	case Bearer:
		return "bearer"
	case Basic:
		return "basic"
	case Scheme:
		return c.Name
	}
	return ""
}

// alone reports whether all that has the credential's scheme is taken for it.
func (c Credential) alone() bool { return c.scheme() != "" && (c.Kind != Bearer || c.Name == "") }

var defaultCredentials = []Credential{{Kind: Bearer}, {Kind: Bare}}

func parseCredentials(texts []string) ([]Credential, error) {
	var credentials []Credential
	for _, text := range texts {
		c, err := ParseCredential(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(credentials, c.sameAs) {
			return nil, fmt.Errorf("token_from %s: stands twice", c)
		}
		credentials = append(credentials, c)
	}
	return credentials, nil
}

// ParseCredential reads a place where tokens are taken from.
func ParseCredential(text string) (Credential, error) {
	if err := RefusePlaceholder(text); err != nil {
		return Credential{}, fmt.Errorf("token_from %q: %w", text, err)
	}
	word, name, named := strings.Cut(text, " ")
	name = strings.TrimSpace(name)
	i := slices.Index(credentialWords, word)
	kind := CredentialKind(max(i, 0))
	if i < 0 || named != (kind >= Scheme) {
		return Credential{}, fmt.Errorf("token_from %q: want one of bearer, bare, basic, scheme <word>, header <name>, query <name> or cookie <name>", text)
	}
	c := Credential{Kind: kind, Name: name}
	switch {
	case kind == Header && PlainHeaderName(name):
		c.Name = http.CanonicalHeaderKey(name)
		switch c.Name {
		case "Authorization", "Cookie", "Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade":
			return c, fmt.Errorf("token_from header %s: this header has a form of its own; use bearer, bare, basic, scheme or cookie", c.Name)
		}
		if isRemoved(c.Name) {
			return c, fmt.Errorf("token_from header %s: this header is removed from what clients send", c.Name)
		}
	case kind == Scheme && PlainHeaderName(name), kind == Cookie && httpguts.ValidHeaderFieldName(name), kind == Query && validQueryKey(name) && !strings.Contains(name, " "):
	case kind == Header:
		return c, fmt.Errorf("token_from %q: want a header's name of letters, digits and hyphens", text)
	case kind >= Scheme:
		return c, fmt.Errorf("token_from %q: %q can't be the name of a %s", text, name, word)
	}
	return c, nil
}

// parseLetThrough reads a credential that is to be let through.
func parseLetThrough(text string) (Credential, error) {
	if err := RefusePlaceholder(text); err != nil {
		return Credential{}, fmt.Errorf("let_through %q: %w", text, err)
	}
	if value, ok := strings.CutPrefix(text, "bearer "); ok {
		if beginning, ok := strings.CutSuffix(value, "*"); ok && validBeginning(beginning) {
			return Credential{Kind: Bearer, Name: beginning}, nil
		}
	}
	c, err := ParseCredential(text)
	if c.Kind == Header && isRemoved(c.Name) {
		return c, fmt.Errorf("let_through header %s: this header is removed from what clients send", c.Name)
	}
	if err != nil || c.Kind != Scheme && c.Kind != Header && c.Kind != Cookie {
		return c, fmt.Errorf("let_through %q: want cookie <name>, header <name>, scheme <word> or bearer <beginning>*", text)
	}
	return c, nil
}

// validBeginning reports whether credentials can begin with s.
func validBeginning(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' || s[i] == '*' {
			return false
		}
	}
	return s != ""
}

// take finds the secret in the request. A secret that stands in two places is
// taken if it is the same; anything that could be read as two is refused.
func (m *Match) take(from []Credential) {
	for i := range from {
		secret, why := m.secretAt(&from[i])
		switch {
		case why != "":
			m.refuse(why)
			return
		case secret == "", m.policy.isOther(&from[i], secret):
		case m.Secret != "" && m.Secret != secret:
			m.refuse("the request carries two different tokens")
			return
		default:
			m.Secret, m.place = secret, from[i]
		}
	}
}

// noSecret is what is taken where an Authorization field has the right form but no
// secret in it, so that it is judged malformed and not missing.
const noSecret = " "

// secretAt returns the secret at one place, "" where there is none.
func (m *Match) secretAt(c *Credential) (secret, why string) {
	switch c.Kind {
	case Header:
		switch values := m.header[c.Name]; len(values) {
		case 0:
			return "", ""
		case 1:
			return single(values[0], c.Name)
		}
		return "", "the request has " + c.Name + " twice"
	case Query:
		secret, why := m.queryValue(c.Name)
		if strings.TrimSpace(secret) == "" {
			secret = "" // clients write their URLs with a token or without
		}
		return secret, why
	case Cookie:
		return cookie(m.header["Cookie"], c.Name)
	}
	a := m.authorization()
	if a.twice {
		return "", "the request has Authorization twice"
	}
	return a.secret(c)
}

// single returns the value of a field, or why it is not a single one.
func single(value, field string) (secret, why string) {
	if strings.IndexByte(value, ',') >= 0 {
		return "", field + " is a list"
	}
	return value, ""
}

// authorization is the Authorization field of a request, taken apart (RFC 9110
// section 11.4).
type authorization struct {
	read   bool
	twice  bool
	scheme string // or all of it, where rest is empty
	rest   string
}

func (m *Match) authorization() *authorization {
	a := &m.auth
	if !a.read {
		values := m.header["Authorization"]
		a.read, a.twice = true, len(values) > 1
		if len(values) == 1 {
			a.parse(values[0])
		}
	}
	return a
}

func (a *authorization) parse(value string) {
	a.scheme = value
	if i := strings.IndexByte(value, ' '); i >= 0 {
		a.scheme, a.rest = value[:i], strings.Trim(value[i:], " ")
	}
}

// has reports whether the field is of this scheme.
func (a *authorization) has(scheme string) bool { return equalFold(a.scheme, scheme) }

// secret returns the secret for a place, "" where it has none.
func (a *authorization) secret(c *Credential) (secret, why string) {
	switch {
	case c.Kind == Bare:
		if a.rest != "" || a.has("bearer") || a.has("basic") {
			return "", ""
		}
		return single(a.scheme, "Authorization")
	case !a.has(c.scheme()):
		return "", ""
	case a.rest == "":
		return noSecret, ""
	}
	if secret, why = single(a.rest, "Authorization"); why == "" && c.Kind == Basic {
		secret = password(secret)
	}
	return secret, why
}

// password returns the password of Basic credentials (RFC 7617 section 2).
func password(encoded string) string {
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if _, password, _ := strings.Cut(string(pair), ":"); err == nil && password != "" {
		return password
	}
	return noSecret
}

// cookie returns the value of the cookie with this name, without quotes, "" if
// there is none.
func cookie(fields []string, name string) (value, why string) {
	found := false
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			n, v, ok := splitCookie(pair)
			if !ok || n != name {
				continue
			}
			if found {
				return "", "the request has the cookie " + name + " twice"
			}
			found, value = true, v
		}
	}
	return value, ""
}

func splitCookie(pair string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(pair, "=")
	value = strings.Trim(value, " \t")
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return strings.Trim(name, " \t"), value, ok
}

// isOther reports whether what is taken for a token is another credential of the
// API, by the way it begins.
func (p *Policy) isOther(from *Credential, secret string) bool {
	for i := range p.letThrough {
		if c := &p.letThrough[i]; c.Kind == Bearer && equalFold(from.scheme(), "bearer") && strings.HasPrefix(secret, c.Name) && !p.isOwn(secret) {
			return true
		}
	}
	return false
}

// isOwn reports whether a credential is patgate's own, by the way it begins.
func (p *Policy) isOwn(secret string) bool { return p.Own != "" && strings.HasPrefix(secret, p.Own) }

// carries reports whether the request carries a credential that is let through.
func (m *Match) carries(credentials []Credential) bool {
	for i := range credentials {
		if value := m.other(&credentials[i]); value != "" && !m.policy.isOwn(value) {
			return true
		}
	}
	return false
}

// other returns the credential of the API at one place, or "".
func (m *Match) other(c *Credential) string {
	switch c.Kind {
	case Header:
		if values := m.header[c.Name]; len(values) == 1 {
			return values[0]
		}
	case Cookie:
		value, _ := cookie(m.header["Cookie"], c.Name)
		return value
	default:
		if a := m.authorization(); a.has(c.scheme()) && (c.Kind != Bearer || strings.HasPrefix(a.rest, c.Name)) {
			return a.rest
		}
	}
	return ""
}
