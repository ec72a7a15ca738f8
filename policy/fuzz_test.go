package policy

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What is accepted is the same path to every server, whichever way it reads.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"/", "/a/b/", "/v1/spaces/1%2F..%2F2/s", "/a//b", "/%2e%2e/", "/..;/a", "/a;b=c/..;/", "/%252e", "/a%5c..", "/a%00", "/%C0%AE/",
		"/%EF%BC%8E%EF%BC%8E/", "/caf%C3%A9", "/cafe%CC%81", "/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB", "/a%2Fb%3Bc", "/a%2F", "/a%2F%2Fb", "/a.%20/", "/a%3Fb%23", "/=%CC%B8",
	} {
		for i := range 4 {
			f.Add(s, i&1 > 0, i&2 > 0)
		}
	}
	f.Fuzz(func(t *testing.T, escaped string, allowSlash, allowSemicolon bool) {
		encoded, m := slashesRefused, Match{}
		if allowSlash {
			encoded = slashesAllowed
		}
		if why := m.path.parse(escaped, encoded, allowSemicolon); why != "" {
			return
		}
		segments := make([]string, m.path.n)
		for i := range segments {
			segments[i] = m.path.segment(i)
		}
		if got := "/" + strings.Join(segments, "/"); got != m.Path() || len(segments) > 0 && m.path.from(0) != got[1:] {
			t.Fatalf("%q: segments %q of %q", escaped, segments, m.Path())
		}
		data := Match{} // slashes that are data are those of the segments
		if why := data.path.parse(escaped, slashesData, allowSemicolon); why != "" || withSlashes(data.path.whole()) != m.path.whole() || data.path.n != m.path.n || strings.Count(data.path.whole(), "/") != data.path.n {
			t.Fatalf("%q: %d segments of %q as data, %q", escaped, data.path.n, data.Path(), why)
		}
		if u, err := url.ParseRequestURI(escaped); err != nil || u.EscapedPath() != escaped {
			t.Fatalf("%q: forwarded as %q, %v", escaped, u, err)
		}
		decoded, err := url.PathUnescape(strings.TrimSuffix(escaped, "/"))
		if err != nil || decoded != m.Path() && escaped != "/" {
			t.Fatalf("%q: decoded %q, judged %q, %v", escaped, decoded, m.Path(), err)
		}

		seps := "/"
		if allowSemicolon {
			seps = "/;" // with parameters cut off or split at, no dot segment comes up
		}
		pieces := strings.FieldsFunc(m.Path(), func(r rune) bool { return strings.ContainsRune(seps, r) })
		for _, s := range pieces {
			for _, r := range []struct {
				name    string
				reading func(string) string
			}{
				{"decoded again", func(s string) string { d, _ := url.PathUnescape(s); return d }},
				{"backslash", func(s string) string { return strings.ReplaceAll(s, `\`, "/") }},
				{"cut at ;?# NUL", func(s string) string { return s[:len(s)-len(strings.TrimLeft(s, notIn(s, ";?#\x00\r\n")))] }},
				{"trailing dots", func(s string) string { return strings.TrimRight(s, ". ") }},
				{"trimmed", strings.TrimSpace},
				{"bytes", func(s string) string { return strings.ToValidUTF8(s, "") }},
				{"without control", func(s string) string { return strings.Map(dropControl, s) }},
				{"dot segments", func(s string) string { return strings.TrimPrefix(path.Clean("/"+s), "/") }},
			} {
				if got := r.reading(s); got != s {
					t.Errorf("%q, %s: %q is read as %q", escaped, r.name, s, got)
				}
			}
			if was, is := ascii(s), ascii(norm.NFKC.String(s)); !subsequence(is, was) {
				t.Errorf("%q: %q is normalized to %q", escaped, s, norm.NFKC.String(s))
			}
		}
		if !allowSlash && !allowSemicolon && !slices.Equal(pieces, segments) {
			t.Errorf("%q: %q splits into %q, judged %q", escaped, m.Path(), pieces, segments)
		}
		if cleaned := path.Clean(strings.TrimSuffix(decoded, "/")); !allowSlash && len(segments) > 0 && cleaned != m.Path() {
			t.Errorf("%q: cleaned it is %q, judged %q", escaped, cleaned, m.Path())
		}
	})
}

// notIn returns the bytes of s before the first of chars.
func notIn(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

func dropControl(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// ascii returns the ASCII characters of s.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return r
		}
		return -1
	}, s)
}

func subsequence(short, long string) bool {
	for i := 0; i < len(long) && short != ""; i++ {
		if long[i] == short[0] {
			short = short[1:]
		}
	}
	return short == ""
}

// Where a route depends on draft_mode=on, no server finds that in a query which
// is taken for one without.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"draft_mode=on", "a=b&draft_mode=off", "Draft_Mode=on", "draft.mode=on", "draft[mode=on", "draft_mode[]=on", "draft_mode=on%00", "draft_mode=ON+",
		"draft%5fmode=%6fn", "draft%255fmode=on", "draft_mode=%256fn", "?draft_mode=on", "draft_mode%00x=on", "draft_mode=1,on", "draft_mode=off;draft_mode=on",
		"dra%EF%BD%86t_mode=on", "draft_mode=on#", "draft_mode=off&draft_mode=on", "%ff=%fe", "draft_mode%3Don", "[draft_mode]=on", "draft_mode%26=on",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	config := Config{Routes: routes("GET /x public", "GET /x?draft_mode=on admin")}
	strict := compile(f, config)
	config.Semicolon = "allow"
	lax := compile(f, config)
	f.Fuzz(func(t *testing.T, query string, allowSemicolon bool) {
		p := strict
		if allowSemicolon {
			p = lax
		}
		m := p.matched(&Request{Method: "GET", Path: "/x", Query: query})
		if m.Reason != Forward {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(queryReadings)) { // the fuzzer wants one order
			if queryReadings[name](query) {
				t.Errorf("%q: a server finds draft_mode=on (%s)", query, name)
			}
		}
	})
}

// queryReadings report whether a server of some kind finds draft_mode=on.
var queryReadings = map[string]func(query string) bool{
	"Go": func(q string) bool {
		values, _ := url.ParseQuery(q)
		return slices.Contains(values["draft_mode"], "on")
	},
	"PHP": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool {
			k = strings.TrimLeft(notIn(k, "\x00"), " ")
			if i := strings.IndexByte(k, '['); i > 0 && strings.IndexByte(k[i:], ']') > 0 {
				k = k[:i]
			}
			return strings.Map(func(r rune) rune {
				if strings.ContainsRune(" .[", r) {
					return '_'
				}
				return r
			}, k) == "draft_mode" && v == "on"
		})
	},
	"splitting at semicolons": func(q string) bool { return pairs(q, "&;", plainDraft) },
	"decoding twice": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool {
			k2, _ := url.QueryUnescape(k)
			v2, _ := url.QueryUnescape(v)
			return plainDraft(k2, v2)
		})
	},
	"folding case": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool {
			return plainDraft(strings.ToLower(k), strings.ToLower(v)) || plainDraft(strings.ToLower(strings.ToUpper(k)), strings.ToLower(strings.ToUpper(v)))
		})
	},
	"trimming": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool { return plainDraft(strings.TrimSpace(k), strings.TrimSpace(v)) })
	},
	"C strings": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool { return plainDraft(notIn(k, "\x00"), notIn(v, "\x00")) })
	},
	"fragments": func(q string) bool { return pairs(notIn(q, "#"), "&", plainDraft) },
	"normalizing": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool { return plainDraft(norm.NFKC.String(k), norm.NFKC.String(v)) })
	},
	"lists": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool {
			return k == "draft_mode" && slices.Contains(strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(",; |", r) }), "on")
		})
	},
	"truth": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool {
			return k == "draft_mode" && slices.Contains([]string{"", "1", "true", "yes", "on", "2", "TRUE"}, v)
		})
	},
	"brackets": func(q string) bool {
		return pairs(q, "&", func(k, v string) bool { return plainDraft(notIn(strings.TrimLeft(k, "["), "[]"), v) })
	},
}

func plainDraft(k, v string) bool { return k == "draft_mode" && v == "on" }

// pairs reports whether found says so of one of the decoded pairs of a query.
func pairs(query, separators string, found func(k, v string) bool) bool {
	return slices.ContainsFunc(strings.FieldsFunc(query, func(r rune) bool { return strings.ContainsRune(separators, r) }), func(pair string) bool {
		k, v, _ := strings.Cut(pair, "=")
		k, kerr := url.QueryUnescape(k)
		v, verr := url.QueryUnescape(v)
		return kerr == nil && verr == nil && found(k, v)
	})
}

// The quick comparison of keys gives the answer of the thorough one.
func FuzzSameKey(f *testing.F) {
	for _, s := range []string{"version", "Version[]", "ver_sion", "[version", "versio\u017f", "a\u0301", "version\x00x", "v", "", "[]", "\xff", "\u00ad", "a]b"} {
		f.Add(s, "version")
		f.Add("version", s)
	}
	f.Fuzz(func(t *testing.T, name, key string) {
		if !utf8.ValidString(name) || !validQueryKey(key) {
			return
		}
		if got, want := sameKey(name, key), sameText(foldKey(name), foldKey(key), true); got != want {
			t.Errorf("sameKey(%q, %q) = %v, want %v", name, key, got, want)
		}
		if !sameKey(key, key) {
			t.Errorf("%q is not the same key as itself", key)
		}
	})
}

func FuzzParseSource(f *testing.F) {
	for _, s := range []string{"none", "all", "token", "path.space", "query.org[id]", "header.x-org", "host.2", "host.09", "path.", "header.\u017f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSource(text)
		if err != nil {
			return
		}
		again, err := parseSource(s.String())
		if err != nil || again != s {
			t.Errorf("parseSource(%q) = %+v, and of its text %+v, %v", text, s, again, err)
		}
	})
}

func FuzzParseCredential(f *testing.F) {
	for _, s := range []string{"bearer", "bare", "basic", "scheme Token", "header x-token", "query access_token", "cookie __Host-pat", "query  a ", "header host"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCredential(text)
		if err != nil {
			return
		}
		if again, err := ParseCredential(c.String()); err != nil || again != c {
			t.Errorf("ParseCredential(%q) = %+v, and of its text %+v, %v", text, c, again, err)
		}
	})
}

func FuzzParseRequirement(f *testing.F) {
	for _, s := range []string{"", "any", "public", "a|b c", "never x", "a||b", "a:*", "\u017f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		catalog, _ := NewCatalog(nil)
		r, err := ParseRequirement(text, catalog)
		if err != nil {
			return
		}
		again, err := ParseRequirement(r.String(), catalog)
		if err != nil || again.String() != r.String() || again.need != r.need || !slices.EqualFunc(again.clauses, r.clauses, slices.Equal[[]int]) {
			t.Errorf("ParseRequirement(%q) = %+v, and of its text %+v, %v", text, r, again, err)
		}
	})
}

// A pattern that compiles has requests that match it.
func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"/", "/a/{b}/c", "/{x...}", "/a/*", "/a{x}b/{y}:c", "/{x}%3F", "/{x}{y}", "/caf%C3%A9?k=v&l", "/a%20b?k=%26", "//", "/a//", "/{}", "/a;b", "/x?a=1&A=2", "/x?k=+", "/x?k=;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePattern(text, slashesRefused)
		if err != nil || len(p.segments) == maxSegments && p.tail {
			return
		}
		target, query := "", url.Values{}
		for _, s := range p.segments {
			target += "/" + url.PathEscape(s.with("x"))
		}
		if p.tail || target == "" {
			target += "/"
		}
		if p.tail {
			target += "y/z"
		}
		for _, c := range p.conditions {
			query.Set(c.key, c.value)
		}
		raw := query.Encode()
		if len(target) > maxPathLength || len(raw) > maxQueryLength || len(p.conditions) > maxQueryPairs {
			return
		}
		policy := compile(t, Config{Semicolon: "allow", Routes: []RouteConfig{{Methods: []string{"GET"}, Pattern: text, Require: "public"}}})
		m := policy.matched(&Request{Method: "GET", Path: target, Query: raw})
		if m.Route == nil && !(strings.Contains(target, "&") && len(p.conditions) > 0) { // behind it, some find the query
			t.Errorf("pattern %q doesn't match %s?%s: %s", text, target, raw, m.Detail)
		}
	})
}

// Whatever stands in Authorization: one secret out of it, none, or a refusal,
// and a second field is always refused.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"", " ", "S", "S ", "Bearer S", "bearer  S", "Bearer", "Basic dTpw", "Basic", "Basic !", "Token S", "Token", "Bearer eyJ", "Bearer eyJ,a", "a,b", "Bearer a,b", "Bearer\tS", "Digest a=b, c=d", "\u212a S"} {
		f.Add(s)
	}
	p := compile(f, Config{LetThrough: []string{"scheme Digest", "bearer ey*"}, Routes: routes("GET /x any"),
		Settings: Settings{TokenFrom: []string{"bearer", "bare", "basic", "scheme Token"}}})
	f.Fuzz(func(t *testing.T, value string) {
		h := http.Header{"Authorization": {value}}
		m := p.matched(&Request{Method: "GET", Path: "/x", Header: h})
		if m.Secret != "" && m.Secret != noSecret {
			encoded := strings.TrimLeft(value[strings.IndexByte(value, ' ')+1:], " ")
			pair, _ := base64.StdEncoding.DecodeString(encoded)
			if !strings.HasSuffix(strings.TrimRight(value, " "), m.Secret) && !strings.HasSuffix(string(pair), ":"+m.Secret) {
				t.Errorf("%q: secret %q", value, m.Secret)
			}
			if m.LetThrough {
				t.Errorf("%q: let through with a secret", value)
			}
		}
		if (m.Reason == TokenMissing) != (m.Secret == "" && !m.LetThrough && m.Reason != AmbiguousRequest) {
			t.Errorf("%q: %v with secret %q", value, m.Reason, m.Secret)
		}
		if secret := m.Secret; secret != "" {
			r := &http.Request{URL: &url.URL{}, Header: h.Clone()}
			m.Strip(r, func(string) bool { return false })
			if secret != noSecret && len(r.Header) > 0 {
				t.Errorf("%q is not stripped", value)
			}
		}
		for _, second := range []string{"", "S", value} {
			m := p.matched(&Request{Method: "GET", Path: "/x", Header: http.Header{"Authorization": {value, second}}})
			if m.Reason != AmbiguousRequest {
				t.Errorf("%q and %q: %v, want ambiguous_request", value, second, m.Reason)
			}
		}
	})
}

func FuzzHostLabel(f *testing.F) {
	for _, s := range []string{"", "a", "a.b.c", "a.b.c:80", "a..b", ".", "[::1]:80", "1.2.3.4", "a.b.", "A_B.c:x", "a:1:2"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, host string, n int) {
		if n < 0 || n > 99 {
			return
		}
		got := hostLabel(host, n)
		if got == "" {
			return
		}
		labels := strings.Split(strings.ToLower(notIn(host, ":")), ".")
		slices.Reverse(labels)
		if n >= len(labels) || got != labels[n] || slices.Contains(labels, "") {
			t.Errorf("hostLabel(%q, %d) = %q, of %q", host, n, got, labels)
		}
	})
}
