package policy

import (
	"strings"
	"testing"
)

// Where routes depend on a key, only its plain spelling counts, and what some
// server could take for it is refused.
func TestQueryConditions(t *testing.T) {
	p := compile(t, Config{Default: "deny", Routes: routes(
		"GET /stories                public",
		"GET /stories?version=draft  draft",
		"PUT /stories                write",
		"PUT /stories?publish=true   publish",
		"GET /list                   public",
		"GET /list?filter[status]=x  filter",
		"GET /n                      public",
		"GET /n?level=1              admin",
		"GET /none                   public",
		"GET /none?n=0               admin",
		"GET /all                    public",
		"GET /all?limit=-1           admin",
		"GET /sort                   public",
		"GET /sort?by=-date          admin",
		"GET /open                   public",
		"GET /mode                   public",
		"GET /mode?bits=10           admin",
		"GET /has                    public",
		"GET /has?created_by         admin",
	)})
	const general, special, refused = "general", "special", "refused"
	for _, c := range []struct{ target, want string }{
		{"GET /stories", general},
		{"GET /stories?", general},
		{"GET /stories?version=published", general},
		{"GET /stories?version=", general},
		{"GET /stories?version", general},
		{"GET /stories?versions=draft", general},
		{"GET /stories?ver=draft", general},
		{"GET /stories?version_id=draft", general},
		{"GET /stories?my_version=draft", general},
		{"GET /stories?x=version%3Ddraft", general},
		{"GET /stories?version=drafts", general},
		{"GET /stories?q=1%2B1+2&%E6%97%A5=%E6%97%A5", general},
		{"GET /stories?filter_query[component][in]=article", general},
		{"GET /stories?&&", general},
		{"GET /stories?version=draft", special},
		{"GET /stories?a=b&version=draft&c=d", special},
		{"GET /stories?ver%73ion=dr%61ft", special}, // the same after decoding once: RFC 3986 section 6.2.2.2
		{"GET /stories?&version=draft&", special},

		{"GET /stories?==", general},
		{"GET /stories?=draft", general},
		{"GET /stories?=versions=draft", general},
		{"GET /stories?=version=draft", refused}, // the key, behind what has no name
		{"GET /stories?a=b&==version=draft", refused},
		{"GET /stories?version=draft&=VERSION=x", refused},

		// Twice: the strictest reading counts.
		{"GET /stories?version=draft&version=draft", special},
		{"GET /stories?version=published&version=draft", special},
		{"GET /stories?version=draft&version=published", special},
		{"GET /stories?version=published&ver%73ion=draft", special},
		{"GET /stories?version=published&version=published", general},
		{"GET /stories?version=published&version=Draft", refused},
		{"GET /stories?version=draft&Version=draft", refused},

		// Another spelling of the key.
		{"GET /stories?Version=draft", refused},
		{"GET /stories?VERSION=published", refused},
		{"GET /stories?version[]=draft", refused},
		{"GET /stories?version[0]=draft", refused},
		{"GET /stories?version%5B%5D=draft", refused},
		{"GET /stories?[version]=draft", refused},
		{"GET /stories?version]=draft", refused},
		{"GET /stories?version+=draft", refused},
		{"GET /stories?+version=draft", refused},
		{"GET /stories?%20version=draft", refused},
		{"GET /stories??version=draft", refused},
		{"GET /stories?.version=draft", refused},
		{"GET /stories?ver_sion=draft", refused},
		{"GET /stories?ver.sion=draft", refused},
		{"GET /stories?version.0=draft", refused}, // a list to qs, with allowDots
		{"GET /stories?version:int=1", refused},   // Zope
		{"GET /stories?version%3Astring=draft", refused},
		{"GET /stories?x:version=draft", general},
		{"GET /stories?version=published:draft", general},
		{"GET /stories?version=draft:x", general},
		{"GET /stories?version%00=draft", refused},
		{"GET /stories?version%00x=draft", refused},
		{"GET /stories?version%0a=draft", refused},
		{"GET /stories?version%3Ddraft", refused},
		{"GET /stories?version%26x=draft", refused},
		{"GET /stories?version%23=draft", refused},
		{"GET /stories?%76%2565rsion=draft", refused},
		{"GET /stories?%2576ersion=draft", refused},
		{"GET /stories?%EF%BD%96ersion=draft", refused}, // fullwidth v
		{"GET /stories?ver%C5%BFion=draft", refused},    // long s
		{"GET /stories?vers%C4%B1on=draft", refused},    // dotless i: upper-cased it is an I
		{"GET /stories?vers%C4%B0on=draft", refused},    // dotted I: lower-cased it is an i
		{"GET /stories?vers%E2%80%8Bion=draft", refused},
		{"GET /stories?%C1%B6ersion=draft", refused}, // overlong v
		{"GET /stories?x%ff=1", refused},

		// Another spelling of the value.
		{"GET /stories?version=Draft", refused},
		{"GET /stories?version=DRAFT", refused},
		{"GET /stories?version=draft+", refused},
		{"GET /stories?version=%20draft", refused},
		{"GET /stories?version=draft%00", refused},
		{"GET /stories?version=draft%00x", refused},
		{"GET /stories?version=draft%0A", refused},
		{"GET /stories?version=%22draft%22", refused},
		{"GET /stories?version=%2564raft", refused},
		{"GET /stories?version=published,draft", refused},
		{"GET /stories?version=draft,published", refused},
		{"GET /stories?version=draft%7Cx", refused},
		{"GET /stories?version=draft%26x", refused},
		{"GET /stories?version=draft%23x", refused},
		{"GET /stories?version=[draft]", refused},
		{"GET /stories?version=%EF%BD%84raft", refused},
		{"GET /stories?version=%ff", refused},
		{"GET /stories?version=dr%C3%A4ft", refused}, // databases compare without accents
		{"GET /stories?version=dra%CC%81ft", refused},
		{"GET /stories?version=dr%C3%A4fts", general},
		{"GET /stories?version==draft", refused},
		{"GET /stories?version=" + strings.Repeat("a", maxQueryValue+1), refused},

		// The query as a whole.
		{"GET /stories?a=1;version=draft", refused},
		{"GET /stories?a;b", refused},
		{"GET /stories?a=%zz", refused},
		{"GET /stories?a=100%", refused},
		{"GET /stories?a=%u0041", refused},
		{"GET /stories?version=draft#x", refused},
		{"GET /stories?x#&version=draft", refused},
		{"GET /stories?a\x00b", refused},
		{"GET /stories?a b", refused},
		{"GET /open?a b HTTP/1.0", refused},
		{"GET /open?a\x7f", refused},
		{"GET /open?a+b;%zz", general},
		{"GET /stories?" + strings.Repeat("a&", maxQueryPairs), refused},
		{"GET /stories?a=" + strings.Repeat("a", maxQueryLength), refused},
		{"GET /stories?" + strings.Repeat("a&", maxQueryPairs-1), general},

		// A yes has many names, and what is no clear no is a yes to some.
		{"PUT /stories", general},
		{"PUT /stories?publish=false", general},
		{"PUT /stories?publish=0", general},
		{"PUT /stories?publish=no", general},
		{"PUT /stories?publish=true", special},
		{"PUT /stories?publish=1", refused},
		{"PUT /stories?publish=yes", refused},
		{"PUT /stories?publish=on", refused},
		{"PUT /stories?publish=t", refused},
		{"PUT /stories?publish=True", refused},
		{"PUT /stories?publish=", refused},
		{"PUT /stories?publish", refused},
		{"PUT /stories?publish=2", refused},
		{"PUT /stories?publish=false,true", refused},
		{"PUT /stories?publish=maybe", refused},
		{"PUT /stories?publish[]=true", refused},

		// Numbers.
		{"GET /n?level=1", special},
		{"GET /n?level=2", general},
		{"GET /n?level=10", general},
		{"GET /n?level=01", refused},
		{"GET /n?level=1.0", refused},
		{"GET /n?level=%2B1", refused},
		{"GET /n?level=1e0", refused},
		{"GET /n?level=true", refused},
		{"GET /n?level=2,1", refused},
		{"GET /n?level=1abc", refused}, // PHP, JavaScript's parseInt
		{"GET /n?level=1.9", refused},
		{"GET /n?level=1/2", refused},
		{"GET /n?level=1e", refused},
		{"GET /n?level=10e-1", refused},
		{"GET /n?level=10e-1x", refused},
		{"GET /n?level=.1e1", refused},
		{"GET /n?level=0x1", refused}, // JavaScript's Number
		{"GET /n?level=0X01g", refused},
		{"GET /n?level=0b1", refused},
		{"GET /n?level=0o1", refused},
		{"GET /n?level=0_1", refused},          // Python
		{"GET /n?level=%D9%A1", refused},       // the Arabic 1 (Python)
		{"GET /n?level=%F0%9D%9F%8F", refused}, // the mathematical bold 1
		{"GET /n?level=%20%2B1x", refused},
		{"GET /n?level=2,1x", refused},
		{"GET /n?level=" + strings.Repeat("0", 500) + "1", refused},
		{"GET /n?level=1." + strings.Repeat("0", 500), refused},
		{"GET /n?level=11", general},
		{"GET /n?level=2.1", refused},
		{"GET /n?level=0x11", refused},
		{"GET /n?level=0b11", refused},
		{"GET /n?level=1e1x", refused}, // 10 to some, 1 to others
		{"GET /n?level=1_0", refused},
		{"GET /n?level=1%C2%B2", refused},
		{"GET /n?level=1%E2%80%8B0", refused},
		{"GET /n?level=1%D9%A0", refused},
		{"GET /n?level=0d1", refused},
		{"GET /n?level=15e-1", refused},
		{"GET /n?level=1e%2B0", refused},
		{"GET /n?level=0x1p1", refused},
		{"GET /n?level=%231", refused},
		{"GET /n?level=%26h1", refused},
		{"GET /n?level=%26hA", refused},
		{"GET /n?level=-1", general},
		{"GET /n?level=-01", refused},
		{"GET /none?n=0", special},
		{"GET /none?n=abc", refused}, // 0 to PHP
		{"GET /none?n=-0", refused},
		{"GET /none?n=1", general},
		{"GET /all?limit=-1", special},
		{"GET /all?limit=1", general},
		{"GET /all?limit=20", general},
		{"GET /all?limit=abc", general},
		{"GET /all?limit=-01", refused},
		{"GET /all?limit=-1x", refused},
		{"GET /sort?by=date", general},
		{"GET /sort?by=-date", special},
		{"GET /sort?by=-DATE", refused},
		{"GET /sort?by=+-date", refused},
		{"GET /n?level=%D9%A2", refused},
		{"GET /n?level=x", general},
		{"GET /n?level=.", general},
		{"GET /mode?bits=10", special},
		{"GET /mode?bits=012", refused}, // octal
		{"GET /mode?bits=0xA", refused},
		{"GET /mode?bits=0xAg", refused},
		{"GET /mode?bits=1_0", refused},
		{"GET /mode?bits=1", general},
		{"GET /mode?bits=10" + strings.Repeat("0", 500), general},
		{"GET /n?level", refused},

		// Keys with brackets.
		{"GET /list?filter[status]=x", special},
		{"GET /list?filter%5Bstatus%5D=x", special},
		{"GET /list?filter[other]=x", general},
		{"GET /list?filter=x", general},
		{"GET /list?filter[status]=x&filter[other]=y", special},
		{"GET /list?filter[status]=x&filter=y", refused},
		{"GET /list?filter&filter[status]=x", refused},
		{"GET /list?filter[status][]=x", refused},
		{"GET /list?filter.status=x", refused},
		{"GET /list?filter[status=x", refused},
		{"GET /list?Filter[Status]=x", refused},

		// Presence is enough.
		{"GET /has", general},
		{"GET /has?created_by", special},
		{"GET /has?created_by=", special},
		{"GET /has?created_by=anyone", special},
		{"GET /has?created=x", general},
		{"GET /has?created[by=x", refused}, // created_by to PHP
		{"GET /has?created.by=x", refused},
		{"GET /has?createdBy=x", refused},
		{"GET /has?created_by&created_by", special},
	} {
		m := p.matched(request(c.target))
		got := general
		switch {
		case m.Reason == AmbiguousRequest:
			got = refused
		case m.Route == nil:
			got = "none"
		case len(m.Route.pattern.conditions) > 0:
			got = special
		}
		if got != c.want {
			t.Errorf("%.80s: %s (%s), want %s", c.target, got, m.Detail, c.want)
		}
	}
}

// A key that stands twice is read in every way there is. The request is on the
// route that asks for all that the routes of the other readings ask for; where
// there is none, it is refused.
func TestKeysThatStandTwice(t *testing.T) {
	scopes := []string{"published", "draft > published", "release", "public_note", "root > published draft release public_note"}
	optional := func(line string) RouteConfig {
		r := routes(line)[0]
		r.Optional = true
		return r
	}
	space := func(line, source string) RouteConfig {
		r := routes(line)[0]
		r.Space = source
		return r
	}
	for _, c := range []struct {
		name   string
		routes []RouteConfig
		query  string
		want   string // the requirement of the route, none or refused
	}{
		{"one implies the other", routes("GET /x published", "GET /x?v=draft draft"), "v=draft&v=published", "draft"},
		{"in any order", routes("GET /x published", "GET /x?v=draft draft"), "v=published&v=draft", "draft"},
		{"neither implies the other", routes("GET /x published", "GET /x?v=release release"), "v=release&v=published", "refused"},
		{"both of them", routes("GET /x published", "GET /x?v=r release published"), "v=r&v=p", "release published"},
		{"one of several", routes("GET /x draft|published", "GET /x?v=d draft"), "v=d&v=p", "draft"},
		{"one of several, the laxer one", routes("GET /x draft", "GET /x?v=p draft|published"), "v=p&v=d", "draft"},
		{"a general route that is stricter", routes("GET /x draft", "GET /x?v=p published"), "v=p&v=d", "draft"},
		{"several values", routes("GET /x published", "GET /x?v=d draft", "GET /x?v=r root"), "v=p&v=d&v=r", "root"},
		{"no reading without one of the values", routes("GET /x published", "GET /x?v=d draft"), "v=d&v=d", "draft"},
		{"public", routes("GET /x public", "GET /x?v=d any"), "v=d&v=p", "any"},
		{"a public condition", routes("GET /x any", "GET /x?v=p public"), "v=d&v=p", "any"},
		{"never", routes("GET /x published", "GET /x?v=d never"), "v=d&v=p", "never"},
		{"one reading is on no route", routes("GET /x?v=d draft"), "v=d&v=p", "refused"},
		{"no reading is on a route", routes("GET /x?v=d draft"), "v=p&v=q", "none"},
		{"another place", routes("GET /{y} published", "GET /x?v=d draft"), "v=d&v=p", "draft"},
		{"optional", []RouteConfig{optional("GET /x?v=d draft"), routes("GET /x published")[0]}, "v=d&v=p", "refused"},
		{"optional, the laxer one", []RouteConfig{optional("GET /x published"), routes("GET /x?v=d draft")[0]}, "v=d&v=p", "draft"},
		{"another space", []RouteConfig{space("GET /x?v=d draft", "query.a"), space("GET /x published", "query.b")}, "v=d&v=p", "refused"},
		{"presence", routes("GET /x published", "GET /x?v draft"), "v&v", "draft"},
		{"a key that nothing asks for", routes("GET /x published", "GET /x?v=d draft"), "w=1&w=2&v=d", "draft"},
		{"two keys", routes("GET /x published", "GET /x?v=d draft", "GET /x?w=d draft", "GET /x?v=d&w=d draft"), "v=d&v=p&w=d&w=p", "refused"},
		{"two conditions", routes("GET /x published", "GET /x?v=d draft", "GET /x?w draft|release", "GET /x?v=d&w draft|release"), "v=d&v=p&w=1", "draft|release"},
		{"too often", routes("GET /x published", "GET /x?v=d draft"), strings.Repeat("v=d&", maxReadings+1), "refused"},
	} {
		m := compile(t, Config{Routes: c.routes}, scopes...).matched(request("GET /x?" + c.query))
		got := "none"
		if m.Reason == AmbiguousRequest {
			got = "refused"
		} else if m.Route != nil {
			got = m.Route.Require.String()
		}
		if got != c.want {
			t.Errorf("%s: ?%s is on %s (%s), want %s", c.name, c.query, got, m.Detail, c.want)
		}
	}
}

// A value that some route asks for is not another spelling of the value that
// another route asks for.
func TestValuesOfOnePlace(t *testing.T) {
	p := compile(t, Config{Routes: routes("PUT /x write", "PUT /x?publish=true publish", "PUT /x?publish=1 publish", "PUT /y write", "PUT /y?publish=true publish")})
	for target, want := range map[string]string{
		"PUT /x?publish=true": "publish", "PUT /x?publish=1": "publish", "PUT /x?publish=0": "write", "PUT /x?publish=yes": "",
		"PUT /x?publish=01": "", "PUT /y?publish=1": "",
	} {
		m := p.matched(request(target))
		got := ""
		if m.Route != nil && m.Reason != AmbiguousRequest {
			got = m.Route.Require.String()
		}
		if got != want {
			t.Errorf("%s: %q (%s), want %q", target, got, m.Detail, want)
		}
	}
}

// A query that nothing depends on is the API's own business.
func TestQueriesNothingDependsOn(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /plain public", "PUT /plain?publish=true publish", "GET /in/{space} read")})
	for _, query := range []string{
		"a;b", "%zz", "100%", "\xff", "Publish=1", "publish=true&publish=true", "version[]=draft", "#", "=&=&=",
		strings.Repeat("a&", 20000), strings.Repeat("a", 100000),
	} {
		if m := p.matched(request("GET /plain?" + query)); m.Reason != Forward || m.query != query {
			t.Errorf("public route, query %.40q: %v, want forward", query, m.Reason)
		}
		if m := p.matched(request("GET /in/1?"+query, "Authorization: s")); !m.NeedsDecision() {
			t.Errorf("route with a scope, query %.40q: %v, want it to pass", query, m.Detail)
		}
	}
}

func TestSemicolonsInQueriesAllowed(t *testing.T) {
	p := compile(t, Config{Semicolon: "allow", Routes: routes("GET /x public", "GET /x?version=draft draft")})
	for _, c := range []struct{ query, want string }{
		{"a;b", "Caddyfile:1"},
		{"a=1;b=2&version=draft", "Caddyfile:2"},
		{"version=draft;a=1", "refused"}, // draft, or "draft;a=1"
		{"a=1;version=draft", "refused"},
		{"a;Version=x&b", "refused"},
		{"version;", "refused"},
		{strings.Repeat(";", maxQueryPairs), "refused"},
	} {
		m := p.matched(request("GET /x?" + c.query))
		got := place(m)
		if m.Reason == AmbiguousRequest {
			got = "refused"
		}
		if got != c.want {
			t.Errorf("query %.40q: %s (%s), want %s", c.query, got, m.Detail, c.want)
		}
	}
}

// A condition on a number with a fraction is met by other spellings of it, to PHP.
func TestConditionsOnFractions(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /v any", "GET /v?version=1.0 never", "GET /e?n=1e3 never", "GET /e any")})
	for query, want := range map[string]Reason{
		"/v?version=1.0": RouteNever, "/v?version=1": AmbiguousRequest, "/v?version=1.00": AmbiguousRequest, "/v?version=+1.0": AmbiguousRequest, "/v?version=10e-1": AmbiguousRequest,
		"/v?version=1.1": Forward, "/v?version=2": Forward, "/v?version=latest": Forward, "/e?n=1000": AmbiguousRequest, "/e?n=1": Forward,
	} {
		if m := p.matched(request("GET "+query, "Authorization: Bearer s")); m.Reason != want {
			t.Errorf("%s: %v (%s), want %v", query, m.Reason, m.Detail, want)
		}
	}
}
