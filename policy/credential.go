package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// CredentialKind says how a credential travels.
type CredentialKind uint8

// The kinds of credentials.
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

// SameAs reports whether the two are one place.
func (c Credential) SameAs(d Credential) bool {
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

// alone reports whether the credential takes everything with its scheme.
func (c Credential) alone() bool { return c.scheme() != "" && (c.Kind != Bearer || c.Name == "") }

var defaultCredentials = []Credential{{Kind: Bearer}, {Kind: Bare}}

// ParseCredentials reads a token_from list, which may not name a place twice.
func ParseCredentials(texts []string) ([]Credential, error) {
	var credentials []Credential
	for _, text := range texts {
		c, err := ParseCredential(text)
		if err != nil {
			return nil, err
		}
		switch i := slices.IndexFunc(credentials, c.SameAs); {
		case i >= 0 && credentials[i] != c:
			return nil, fmt.Errorf("token_from %s: is given twice: servers take it for %s; write one of them", c, credentials[i])
		case i >= 0:
			return nil, fmt.Errorf("token_from %s: is given twice", c)
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
