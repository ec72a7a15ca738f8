// Package mask takes secrets out of texts: tokens, found by where they are or by
// what patgate's own begin with, and the names and passwords of Basic
// authentication and of URLs.
package mask

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
)

// Redacted replaces a secret, as in Caddy's own redaction.
const Redacted = "REDACTED"

// Mask knows where secrets are and what they look like. It doesn't change. A nil Mask knows
// nothing, and leaves everything as it is.
type Mask struct {
	headers  map[string]bool     // folded
	keys     []policy.Credential // of queries
	schemes  []string            // of Authorization
	prefixes []string            // of patgate's own secrets
}

// unconfigured knows what carries credentials whatever the configuration.
var unconfigured = Mask{
	headers: map[string]bool{"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true},
	schemes: []string{"bearer", "basic"},
}

// New returns a mask for the places that tokens are taken from, and for patgate's own
// secrets with a prefix.
func New(places []policy.Credential, prefix string) *Mask {
	return (*Mask)(nil).with(places, prefix)
}

// with returns a mask that knows more than m, which may be nil.
func (m *Mask) with(places []policy.Credential, prefix string) *Mask {
	if m == nil {
		m = &unconfigured
	}
	more := &Mask{maps.Clone(m.headers), slices.Clone(m.keys), slices.Clone(m.schemes), slices.Clone(m.prefixes)}
	for _, c := range places {
		switch c.Kind {
		case policy.Header:
			more.headers[foldName(c.Name)] = true
		case policy.Query:
			if !slices.Contains(more.keys, c) {
				more.keys = append(more.keys, c)
			}
		case policy.Scheme:
			if !slices.Contains(more.schemes, c.Name) {
				more.schemes = append(more.schemes, c.Name)
			}
		}
	}
	if prefix != "" && !slices.Contains(more.prefixes, prefix) {
		more.prefixes = append(more.prefixes, prefix)
	}
	return more
}

// Text returns s without secrets.
func (m *Mask) Text(s string) string { return m.masked(s, endsInText) }

// URL is Text for a string that is a whole URL: in it, a value ends only where the next one
// begins.
func (m *Mask) URL(s string) string { return m.masked(s, endsInURL) }

// Field is Text for what may be a whole URL or the value of a header: a string without
// blanks is taken for a URL.
func (m *Mask) Field(s string) string {
	if strings.IndexByte(s, ' ') < 0 {
		return m.URL(s)
	}
	return m.Text(s)
}

func (m *Mask) masked(s, ends string) string {
	if m == nil {
		return s
	}
	// A challenge (WWW-Authenticate) has blanks or quotes after its scheme, a credential has none.
	if scheme, credential, _ := strings.Cut(s, " "); credential != "" && m.isScheme(scheme) && !strings.ContainsAny(credential, " \"") {
		return scheme + " " + Redacted
	}
	p := decode(s)
	hidden := slices.Concat(m.keyed(&p, ends), p.credentials(), m.own(p.text))
	for i := range hidden {
		hidden[i] = p.given(hidden[i])
	}
	if p.starts != nil {
		// Also in the text as given: decoding an escape right before it may have eaten
		// the first letters of a prefix.
		hidden = append(hidden, m.own(s)...)
	}
	return without(s, hidden)
}

// without returns a text with Redacted in place of its hidden parts.
func without(s string, hidden []span) string {
	if len(hidden) == 0 {
		return s
	}
	slices.SortFunc(hidden, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	end := 0
	for _, h := range hidden {
		if h.from >= end {
			b.WriteString(s[end:h.from])
			b.WriteString(Redacted)
		}
		end = max(end, h.to)
	}
	b.WriteString(s[end:])
	return b.String()
}

func (m *Mask) isScheme(word string) bool {
	return slices.ContainsFunc(m.schemes, func(scheme string) bool { return strings.EqualFold(scheme, word) })
}

// Header reports whether a header carries secrets. CGI has its name with HTTP_ before it.
func (m *Mask) Header(name string) bool {
	if m == nil {
		return false
	}
	folded := foldName(name)
	return m.headers[folded] || m.headers[strings.TrimPrefix(folded, "http-")]
}

// foldName folds what servers take for the same header.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, name)
}

// Value returns a value of any type without the secrets in its texts.
func (m *Mask) Value(v any) any {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return v // whoever encodes it will say so
	}
	plain := strings.TrimSuffix(b.String(), "\n")
	if masked := m.Text(plain); masked != plain {
		return json.RawMessage(masked)
	}
	return v
}
