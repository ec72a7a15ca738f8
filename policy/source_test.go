package policy

import (
	"strings"
	"testing"
)

func TestSpaceAndResourceSources(t *testing.T) {
	const missing, twice, ambiguous, notPlain = "is missing", "given twice", "two ways", "not a plain text"
	long := strings.Repeat("a", 257)
	for _, c := range []struct {
		source, pattern, target, host string
		fields                        string
		want                          string // the value, or !why
	}{
		{"path.org", "/o/{org}/x", "/o/7/x", "", "", "7"},
		{"path.org", "/o/{org}/x", "/o/caf%C3%A9/x", "", "", "café"},
		{"path.org", "/o/{org}/x", "/o/*/x", "", "", "*"},
		{"path.org", "/o/{org}/x", "/o/" + long + "/x", "", "", "!is too long"},
		{"path.p", "/o/{p...}", "/o/a/b%20c", "", "", "a/b c"},
		{"path.p", "/o/{p...}", "/o/a/b%20c/", "", "", "a/b c/"},
		{"path.p", "/o/{p}", "/o/a/", "", "", "a"},
		{"path.org", "/o/{org}:cancel", "/o/7:cancel", "", "", "7"},
		{"path.org", "/o/org-{org}/x", "/o/org-%C3%A9/x", "", "", "\u00e9"},
		{"path.org", "/o/%C3%A9{org}.zip", "/o/%C3%A9a.zip.zip", "", "", "a.zip"},

		// Spring MVC and Laravel prefer the query.
		{"path.org", "/o/{org}/x", "/o/7/x?org=8", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?a=b;Org[]=8", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?org=7&%6frg=8", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?org=7&org=7", "", "", "!" + ambiguous}, // joined by Spring: 7,7
		{"path.org", "/o/{org}/x", "/o/7/x?org", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?org=7&organ=8&o=9&org.gt=1&%5Forg.gt=1", "", "", "7"},
		{"path.book_name", "/o/{book_name}/x", "/o/7/x?book.name=8", "", "", "!" + ambiguous}, // Vanguard
		{"path.book_name", "/o/{book_name}/x", "/o/7/x?bookName=8", "", "", "!" + ambiguous},
		{"path.book_name", "/o/{book_name}/x", "/o/7/x?book.name=7&book.name.gt=8&book=9&name=9", "", "", "7"},
		{"path.org", "/o/{org}/x", "/o/7/x?org%00.gt=1", "", "", "!" + ambiguous}, // PHP ends it at the NUL
		{"path.org", "/o/{org}/x", "/o/7/x?o[rg.gt]=1", "", "", "!" + ambiguous},  // one drops the bracket, another ends it at the dot
		{"path.org", "/o/{org}/x", "/o/7/x?%20org%00a.b=1", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?org[a.b]=1", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?org%5B.a]=1", "", "", "!" + ambiguous},
		{"path.org", "/o/{org}/x", "/o/7/x?" + strings.Repeat("orgİ=&", 1+maxOddKeys/5), "", "", "!too many names"},
		{"path.org", "/o/{org}/x", "/o/caf%C3%A9/x?org=caf%C3%A9", "", "", "café"},
		{"path.p", "/o/{p...}", "/o/a/b?p=a%2Fb", "", "", "a/b"},

		{"query.org", "/x", "/x?org=7", "", "", "7"},
		{"query.org", "/x", "/x?a=%62&or%67=7", "", "", "7"},

		// Some servers don't decode: 7%30 is 70, and 7 to those that read a number.
		{"query.org", "/x", "/x?org=7%30", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?or%67=%61cme", "", "", "acme"},
		{"query.org", "/x", "/x?org=-7%30", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=a%2Db%20c", "", "", "a-b c"},
		{"path.org", "/%6Frg/{org}/x", "/%6Frg/a%2Db%2E1%5F/x", "", "", "a-b.1_"},
		{"path.org", "/org/{org}/x", "/org/7%30/x", "", "", "!" + ambiguous},
		{"path.org", "/org/{org}/x", "/org/7%61/x", "", "", "!" + ambiguous},
		{"path.org", "/org/{org}/x", "/org/%37%30/x", "", "", "70"},
		{"path.org", "/org/{org}/x", "/org/a%37/x", "", "", "a7"},
		{"path.org", "/org/{org}/x/{y}", "/org/70/x/%30", "", "", "70"},
		{"path.p", "/o/{x}/{p...}", "/o/%30/1/%62", "", "", "!" + ambiguous},
		{"path.p", "/o/{x}/{p...}", "/o/%30/a/b", "", "", "a/b"},
		{"query.org", "/x", "/x?org=a+b", "", "", "a b"},
		{"query.org", "/x", "/x", "", "", "!" + missing},
		{"query.org", "/x", "/x?org=", "", "", "!" + missing},
		{"query.org", "/x", "/x?org", "", "", "!" + missing},
		{"query.org", "/x", "/x?organisation=7", "", "", "!" + missing},
		{"query.org", "/x", "/x?org=7&org=7", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7&Org=8", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7&org[]=8", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?Org=7", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7;a", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7&a=%", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7%00", "", "", "!" + notPlain},
		{"query.org", "/x", "/x?org=%ff", "", "", "!" + notPlain},
		{"query.org", "/x", "/x?org=%207", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7+", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=%C2%A07", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=7%E2%80%8B", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=%E3%85%A47", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=%E2%A0%80", "", "", "!" + ambiguous},
		{"query.org", "/x", "/x?org=caf%C3%A9", "", "", "café"},
		{"query.org", "/x", "/x?org=" + long, "", "", "!is too long"},
		{"query.filter[org]", "/x", "/x?filter[org]=7&filter[a]=b", "", "", "7"},

		{"header.x-org", "/x", "/x", "", "X-Org: 7", "7"},
		{"header.X-Org", "/x", "/x", "", "", "!" + missing},
		{"header.X-Org", "/x", "/x", "", "X-Org:", "!" + missing},
		{"header.X-Org", "/x", "/x", "", "X-Org: 7|X-Org: 7", "!" + twice},
		{"header.X-Org", "/x", "/x", "", "X-Org:|X-Org: 7", "!" + twice},
		{"header.X-Org", "/x", "/x", "", "X-Org: Smith, Jones", "!has a comma in it"},
		{"header.X-Org", "/x", "/x", "", "X-Org: =?utf-8?q?7?=", "!" + ambiguous},
		{"header.X-Org", "/x", "/x", "", "X-Org: a=b?", "a=b?"},
		{"header.X-Org", "/x", "/x", "", "X-Org: \xff", "!" + notPlain},
		{"header.X-Org", "/x", "/x", "", "X-Org: \u00a07", "!" + ambiguous},
		{"header.X-Org", "/x", "/x", "", "X-Org: a\tb", "!" + notPlain},

		// Vendure prefers the query.
		{"header.X-Org", "/x", "/x?a=b&x-org=8", "", "X-Org: 7", "!" + ambiguous},
		{"header.X-Org", "/x", "/x?X%2DOrg[]=8", "", "X-Org: 7", "!" + ambiguous},
		{"header.X-Org", "/x", "/x?x-org", "", "X-Org: 7", "!" + ambiguous},
		{"header.X-Org", "/x", "/x?x-org=8", "", "", "!" + missing},
		{"header.X-Org", "/x", "/x?X-Org=7&org=8&x=9", "", "X-Org: 7", "7"},

		{"host.2", "/x", "/x", "acme.example.com", "", "acme"},
		{"host.2", "/x", "/x", "ACME.example.com:8443", "", "acme"},
		{"host.0", "/x", "/x", "localhost", "", "localhost"},
		{"host.3", "/x", "/x", "a_b.c.example.com", "", "a_b"},
		{"host.3", "/x", "/x", "acme.example.com", "", "!" + missing},
		{"host.99", "/x", "/x", "acme.example.com", "", "!" + missing},
		{"host.0", "/x", "/x", "", "", "!" + missing},
		{"host.2", "/x", "/x", "acme.example.com.", "", "!" + missing}, // would shift the labels
		{"host.2", "/x", "/x", ".example.com", "", "!" + missing},
		{"host.2", "/x", "/x", "acme..com", "", "!" + missing},
		{"host.0", "/x", "/x", "...", "", "!" + missing},
		{"host.3", "/x", "/x", "192.0.2.1", "", "!" + missing},
		{"host.0", "/x", "/x", "[2001:db8::1]:80", "", "!" + missing},
		{"host.2", "/x", "/x", "acme%2e.example.com", "", "!" + missing},
		{"host.2", "/x", "/x", "u@acme.example.com", "", "!" + missing},
		{"host.2", "/x", "/x", "acme.example.com:80:90", "", "!" + missing},
		{"host.2", "/x", "/x", "acm\xc3\xa9.example.com", "", "!" + missing},

		{"none", "/o/{space}", "/o/7", "", "", ""},
		{"", "/o/{space}", "/o/7", "", "", "7"},
		{"", "/o/{space...}", "/o/7/8", "", "", "7/8"},
		{"", "/o/s{space}", "/o/s7", "", "", "7"},
		{"", "/o/{org}", "/o/7", "", "", ""},
	} {
		for _, what := range []string{"space", "resource"} {
			rc := RouteConfig{Methods: []string{"GET"}, Pattern: c.pattern, Require: "read"}
			if what == "space" {
				rc.Space = c.source
			} else if rc.Space, rc.Resource = "none", c.source; c.source == "" {
				continue // the default is for spaces only
			}
			p := compile(t, Config{Routes: []RouteConfig{rc}})
			req := request("GET "+c.target, append(splitFields(c.fields), "Authorization: S")...)
			if c.host != "" || strings.HasPrefix(c.source, "host") {
				req.Host = c.host
			}
			m := p.matched(req)
			got := m.Space
			if what == "resource" {
				got = m.Resource
			}
			if why, refused := strings.CutPrefix(c.want, "!"); refused {
				if m.Reason != AmbiguousRequest || !strings.Contains(m.Detail, why) || !strings.Contains(m.Detail, what) || got != "" {
					t.Errorf("%s %s, %.60s %q %q: %q, %v (%s), want it refused because it %s", what, c.source, c.target, c.host, c.fields, got, m.Reason, m.Detail, why)
				}
			} else if m.Reason != Forward || got != c.want {
				t.Errorf("%s %s, %.60s %q %q: %q, %v (%s), want %q", what, c.source, c.target, c.host, c.fields, got, m.Reason, m.Detail, c.want)
			}
		}
	}
}
