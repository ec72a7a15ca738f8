package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/patgate/patgate/policy"
)

// redacted stands in logs where a secret stood, as with Caddy's own redaction.
const redacted = "REDACTED"

// masks is what logs must not show. It grows with every configuration and shrinks
// with none: what an older one took for secret is so still.
var masks maskSet

// maskSet knows where secrets stand and what they look like.
type maskSet struct {
	mu  sync.Mutex // held while it grows
	now atomic.Pointer[mask]
}

// mask is a state of a maskSet.
type mask struct {
	headers  map[string]bool     // folded
	keys     []policy.Credential // of queries
	schemes  []string            // of Authorization
	prefixes []string            // of patgate's own secrets
}

// alwaysMasked are headers that carry credentials, whatever the configuration.
var alwaysMasked = []string{"authorization", "proxy-authorization", "cookie", "set-cookie"}

// add adds the places where a gate takes tokens from, and how its own ones begin.
func (s *maskSet) add(places []policy.Credential, prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Store(s.now.Load().with(places, prefix))
}

// with returns a mask that knows more than m, which may be nil.
func (m *mask) with(places []policy.Credential, prefix string) *mask {
	more := &mask{headers: map[string]bool{}, schemes: []string{"bearer", "basic"}}
	for _, name := range alwaysMasked {
		more.headers[name] = true
	}
	if m != nil {
		maps.Copy(more.headers, m.headers)
		more.keys, more.schemes, more.prefixes = slices.Clone(m.keys), slices.Clone(m.schemes), slices.Clone(m.prefixes)
	}
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

// text returns s without secrets.
func (m *mask) text(s string) string { return m.masked(s, endsInText) }

// url is text for what is all of a URL: in it, a value ends where the next one
// begins and nowhere else.
func (m *mask) url(s string) string { return m.masked(s, endsInURL) }

// field is text for what may be all of a URL, or of a header: what has no blanks in
// it is taken for one.
func (m *mask) field(s string) string {
	if strings.IndexByte(s, ' ') < 0 {
		return m.url(s)
	}
	return m.text(s)
}

func (m *mask) masked(s, ends string) string {
	if m == nil {
		return s
	}
	if scheme, credential, ok := strings.Cut(s, " "); ok && m.isScheme(scheme) && credential != "" && !strings.ContainsAny(credential, " \"") { // which a challenge has
		return scheme + " " + redacted
	}
	p := decode(s)
	hidden := slices.Concat(m.keyed(&p, ends), p.credentials(), m.own(p.text))
	for i := range hidden {
		hidden[i] = p.given(hidden[i])
	}
	if p.starts != nil {
		hidden = append(hidden, m.own(s)...) // whose first letters were decoded with what is before them
	}
	return without(s, hidden)
}

// without returns a text with other words where these parts stood.
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
			b.WriteString(redacted)
		}
		end = max(end, h.to)
	}
	b.WriteString(s[end:])
	return b.String()
}

func (m *mask) isScheme(word string) bool {
	return slices.ContainsFunc(m.schemes, func(scheme string) bool { return strings.EqualFold(scheme, word) })
}

// header reports whether a header carries secrets. CGI has its name with HTTP_ before it.
func (m *mask) header(name string) bool {
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

// value returns a value of any type without the secrets in its texts.
func (m *mask) value(v any) any {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return v // whoever encodes it will say so
	}
	plain := strings.TrimSuffix(b.String(), "\n")
	if masked := m.text(plain); masked != plain {
		return json.RawMessage(masked)
	}
	return v
}
