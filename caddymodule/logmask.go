package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

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
	headers  map[string]bool // folded
	keys     []string        // of queries
	prefixes []string        // of patgate's own secrets

	byKey *regexp.Regexp // nil: no keys
	inURL *regexp.Regexp // the same for a text that is all of a URL
	own   *regexp.Regexp // nil: no prefixes
}

// alwaysMasked are headers that carry credentials, whatever the configuration.
var alwaysMasked = []string{"authorization", "proxy-authorization", "cookie", "set-cookie"}

// add adds the places where a gate takes tokens from, and how its own ones begin.
func (s *maskSet) add(places []policy.Credential, prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := mask{headers: map[string]bool{}}
	for _, name := range alwaysMasked {
		m.headers[name] = true
	}
	if old := s.now.Load(); old != nil {
		for name := range old.headers {
			m.headers[name] = true
		}
		m.keys, m.prefixes = slices.Clone(old.keys), slices.Clone(old.prefixes)
	}
	for _, c := range places {
		switch c.Kind {
		case policy.Header:
			m.headers[foldName(c.Name)] = true
		case policy.Query:
			if !slices.Contains(m.keys, c.Name) {
				m.keys = append(m.keys, c.Name)
			}
		}
	}
	if prefix != "" && !slices.Contains(m.prefixes, prefix) {
		m.prefixes = append(m.prefixes, prefix)
	}
	m.compile()
	s.now.Store(&m)
}

// compile makes the patterns. Of a key, every spelling counts that the gate takes
// for one: in any case, with any of its characters percent-encoded, with others
// between and behind them, inside of an encoded URL as well.
func (m *mask) compile() {
	if len(m.keys) > 0 {
		var keys []string
		for _, key := range m.keys {
			var b strings.Builder
			for _, c := range []byte(key) {
				if !isIgnored(c) {
					fmt.Fprintf(&b, "(?:%s|%%(?:25)*%02x)%s", regexp.QuoteMeta(string(c)), c, ignoredInKeys)
				}
			}
			keys = append(keys, b.String())
		}
		key := `(?i)((?:^|[?&;\s"'(,]|%(?:25)*(?:3f|26|3b))` + ignoredInKeys + `(?:` + strings.Join(keys, "|") +
			`)(?:(?:\[|%(?:25)*(?:5b|00))[^&;=\s"'<>]*)?(?:=|%(?:25)*3d))`
		m.byKey = regexp.MustCompile(key + `[^&;#\s"'<>\\]+`)
		m.inURL = regexp.MustCompile(key + `[^&]+`)
	}
	if len(m.prefixes) > 0 {
		var prefixes []string
		for _, prefix := range m.prefixes {
			prefixes = append(prefixes, regexp.QuoteMeta(prefix))
		}
		// With what follows at once: it may be a second secret.
		m.own = regexp.MustCompile(`(` + strings.Join(prefixes, "|") + `)_[0-9A-Za-z]{12,}(?:_[0-9A-Za-z]*)*`)
	}
}

// ignoredInKeys are the characters, encoded or not, that some server drops or
// replaces in a key of a query (policy.sameKey).
const ignoredInKeys = `(?:[^0-9A-Za-z&;=?#%\s"'<>\\]|%(?:25)*(?:[01][0-9a-f]|2[0-2457-9a-f]|3[ace]|40|5[b-f]|60|7[b-f]))*`

// isIgnored reports whether an ASCII character is one of them.
func isIgnored(c byte) bool {
	return c < utf8.RuneSelf && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
}

// maxDecoded is how often a text may have been percent-encoded for a secret to be
// found in it.
const maxDecoded = 3

// encodedRun is what could be a secret with percent-encoded characters in it.
var encodedRun = regexp.MustCompile(`(?:[0-9A-Za-z_]|%[0-9A-Fa-f]{2}){12,}`)

// text returns s without secrets.
func (m *mask) text(s string) string {
	if m == nil {
		return s
	}
	return m.masked(s, m.byKey)
}

// url is text for what is all of a URL: in it, a value ends where the next one
// begins and nowhere else.
func (m *mask) url(s string) string {
	if m == nil {
		return s
	}
	return m.masked(s, m.inURL)
}

func (m *mask) masked(s string, byKey *regexp.Regexp) string {
	if len(s) < 12 {
		return s
	}
	encoded := strings.IndexByte(s, '%') >= 0
	if byKey != nil && (encoded || strings.IndexByte(s, '=') >= 0) {
		s = byKey.ReplaceAllString(s, "${1}"+redacted)
	}
	if m.own == nil {
		return s
	}
	s = m.own.ReplaceAllString(s, "${1}_"+redacted)
	if encoded {
		s = encodedRun.ReplaceAllStringFunc(s, func(run string) string {
			plain := run
			for range maxDecoded {
				if decoded, err := url.PathUnescape(plain); err == nil {
					plain = decoded
				}
			}
			if plain != run && m.own.MatchString(plain) {
				return redacted
			}
			return run
		})
	}
	return s
}

// header reports whether a header carries secrets.
func (m *mask) header(name string) bool { return m != nil && m.headers[foldName(name)] }

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
