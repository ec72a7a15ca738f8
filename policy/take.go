package policy

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/patgate/patgate/token"
)

// take finds the secret in the request. The same secret in two places is taken; anything that
// could be read as two secrets is refused.
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
	switch {
	case a.twice:
		return "", "the request has Authorization twice"
	case a.oddScheme:
		return "", "Authorization has a scheme with a tab, or a character that isn't ASCII, in it"
	}
	if secret, why = a.secret(c); c.Kind == Basic && secret != "" {
		if user, _ := basicPair(a.rest); user != secret && m.policy.IsToken(user) {
			why = "the Basic credentials have a token as user name, and not the same as password" // some APIs take the former
		}
	}
	return secret, why
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
	// oddScheme means that the scheme has a character in it that some servers take for a
	// blank.
	oddScheme bool
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
	a.oddScheme = false
	for i := range len(a.scheme) {
		a.oddScheme = a.oddScheme || a.scheme[i] == '\t' || a.scheme[i] >= utf8.RuneSelf
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
		_, secret = basicPair(secret)
	}
	return secret, why
}

// basicPair returns what Basic credentials are made of (RFC 7617 section 2), noSecret for a
// password that is empty or can't be read.
func basicPair(encoded string) (user, password string) {
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", noSecret
	}
	if user, password, _ = strings.Cut(string(pair), ":"); password == "" {
		password = noSecret
	}
	return user, password
}

// cookie returns the value of the cookie with this name, without quotes, "" if
// there is none. why says what makes it readable in two ways.
func cookie(fields []string, name string) (value, why string) {
	found := false
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			n, v, ok := splitCookie(pair)
			switch {
			case !ok:
			case n != name:
				if sameCookie(n, name) {
					why = "the request has the cookie " + name + " in another spelling"
				}
			case found:
				return "", "the request has the cookie " + name + " twice"
			default:
				found, value = true, v
			}
		}
	}
	return value, why
}

// sameCookie reports whether some server takes n for the name: PHP decodes it (before
// 7.4.11), cuts it at a bracket or a NUL, and replaces characters; ASP.NET folds case.
func sameCookie(n, name string) bool {
	n = strings.TrimLeft(decodeEscapes(n), " ")
	for i := range len(name) {
		if i == len(n) || cookieByte(n[i]) != cookieByte(name[i]) {
			return false
		}
	}
	return len(n) == len(name) || n[len(name)] == '[' || n[len(name)] == 0
}

// cookieByte returns what the most lenient of servers make of a byte of a cookie's name.
func cookieByte(c byte) byte {
	if c == ' ' || c == '.' || c == '[' || c == '+' {
		return '_'
	}
	return lower(c)
}

func splitCookie(pair string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(pair, "=")
	value = strings.Trim(value, " \t")
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return strings.Trim(name, " \t"), value, ok
}

// isOther reports whether what was found in place of a token is another credential of the
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
func (p *Policy) isOwn(secret string) bool {
	rest, own := strings.CutPrefix(secret, p.Prefix)
	return own && p.Prefix != "" && strings.HasPrefix(rest, "_")
}

// IsToken reports whether a credential is certainly one of patgate's tokens.
func (p *Policy) IsToken(secret string) bool {
	return p.isOwn(secret) && token.Inspect(p.Prefix, secret) == token.WellMade
}

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
		value, _ := cookie(m.header["Cookie"], c.Name) // which of several spellings counts, the API says
		return value
	default:
		if a := m.authorization(); a.has(c.scheme()) && (c.Kind != Bearer || strings.HasPrefix(a.rest, c.Name)) {
			return a.rest
		}
	}
	return ""
}
