package test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// everySite has a site for each way to send a token, one for all of them, and
// one that strips them.
const everySite = `
http://bearer.test:{$PORT} {
	patgate {
		token_from bearer
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://default.test:{$PORT} {
	patgate {
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://basic.test:{$PORT} {
	patgate {
		token_from basic
		token_from bearer
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://scheme.test:{$PORT} {
	patgate {
		token_from scheme Token
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://header.test:{$PORT} {
	patgate {
		token_from header X-Api-Key
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://query.test:{$PORT} {
	patgate {
		token_from query api_key
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://cookie.test:{$PORT} {
	patgate {
		token_from cookie pat
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://all.test:{$PORT} {
	patgate {
		token_from bearer
		token_from bare
		token_from basic
		token_from header X-Api-Key
		token_from query api_key
		token_from cookie pat
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
http://strip.test:{$PORT} {
	patgate {
		token_from bearer
		token_from basic
		token_from scheme Token
		token_from header X-Api-Key
		token_from query api_key
		token_from cookie pat
		forward_token strip
		route GET /public public
		route * /* any
	}
	reverse_proxy {$UPSTREAM}
}
`

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// A token is taken from where the site says, and from nowhere else. <S> is its
// secret, <T> another token's, <W> one with a wrong checksum; what follows user:
// is a password.
func TestTokenFrom(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: everySite, tokens: []known{{name: "S"}, {name: "T"}}})
	s, other := g.secret("S"), g.secret("T")
	wrong := s[:len(s)-1] + string(rune(s[len(s)-1]^1))
	if token.Inspect("pat", wrong) == token.WellMade {
		t.Fatalf("%s has a good checksum", wrong)
	}
	for _, row := range []struct {
		host, want string
		header     []string
		query      string
	}{
		{"bearer", "forward", []string{"Authorization: Bearer <S>"}, ""},
		{"bearer", "forward", []string{"authorization: bEARER <S>"}, ""},
		{"bearer", "forward", []string{"Authorization: Bearer   <S>"}, ""},
		{"bearer", "forward", []string{"Authorization: Bearer <S> "}, ""}, // the space belongs to the line, not to the value
		{"bearer", "token_missing", nil, ""},
		{"bearer", "token_missing", []string{"Authorization: <S>"}, ""},
		{"bearer", "token_missing", []string{"Authorization:"}, ""},
		{"bearer", "token_missing", []string{"Authorization: Basic <S>"}, ""},
		{"bearer", "token_missing", []string{"Authorization: Token <S>"}, ""},
		{"bearer", "token_missing", []string{"X-Api-Key: <S>"}, ""},
		{"bearer", "token_missing", []string{"Proxy-Authorization: Bearer <S>"}, ""},
		{"bearer", "token_missing", []string{"Cookie: pat=<S>"}, ""},
		{"bearer", "token_missing", nil, "?api_key=<S>"},
		{"bearer", "token_missing", nil, "?access_token=<S>"},
		{"bearer", "token_malformed", []string{"Authorization: Bearer"}, ""},
		{"bearer", "token_malformed", []string{"Authorization: Bearer <W>"}, ""},
		{"bearer", "token_malformed", []string{"Authorization: Bearer <S> <S>"}, ""},
		{"bearer", "token_malformed", []string{"Authorization: Bearer \"<S>\""}, ""},
		{"bearer", "400", []string{"Authorization: Bearer <S>\x7f"}, ""},
		{"bearer", "token_malformed", []string{"Authorization: Bearer pat_"}, ""},
		{"bearer", "ambiguous_request", []string{"Authorization: Bearer\tS"}, ""},
		{"bearer", "ambiguous_request", []string{"Authorization: Bearer <S>,<S>"}, ""},
		{"bearer", "ambiguous_request", []string{"Authorization: Bearer <S>, Bearer <T>"}, ""},
		{"bearer", "ambiguous_request", []string{"Authorization: Bearer <S>", "Authorization: Bearer <S>"}, ""},
		{"bearer", "ambiguous_request", []string{"Authorization: Bearer <S>", "Authorization: Bearer <T>"}, ""},
		{"bearer", "ambiguous_request", []string{"Authorization: Basic eDp5", "Authorization: Bearer <S>"}, ""},

		{"default", "forward", []string{"Authorization: Bearer <S>"}, ""},
		{"default", "forward", []string{"Authorization: <S>"}, ""},
		{"default", "token_missing", []string{"Authorization: Basic <S>"}, ""},
		{"default", "token_malformed", []string{"Authorization: <W>"}, ""},
		{"default", "ambiguous_request", []string{"Authorization: <S>,<S>"}, ""},

		{"basic", "forward", []string{"Authorization: Basic user:<S>"}, ""},
		{"basic", "forward", []string{"Authorization: Bearer <S>"}, ""},
		{"basic", "token_malformed", []string{"Authorization: Basic user:"}, ""},
		{"basic", "token_malformed", []string{"Authorization: Basic ?"}, ""},
		{"basic", "token_malformed", []string{"Authorization: Basic user:<S>\x00"}, ""},

		{"scheme", "forward", []string{"Authorization: Token <S>"}, ""},
		{"scheme", "forward", []string{"Authorization: token <S>"}, ""},
		{"scheme", "token_missing", []string{"Authorization: Bearer <S>"}, ""},
		{"scheme", "token_missing", []string{"Authorization: Tokens <S>"}, ""},

		{"header", "forward", []string{"X-API-KEY: <S>"}, ""},
		{"header", "token_missing", []string{"X-Api-Key:"}, ""},
		{"header", "token_missing", []string{"X_Api_Key: <S>"}, ""},
		{"header", "token_missing", []string{"Authorization: Bearer <S>"}, ""},
		{"header", "ambiguous_request", []string{"X-Api-Key: <S>", "X-Api-Key: <S>"}, ""},
		{"header", "ambiguous_request", []string{"X-Api-Key: <S>, <S>"}, ""},
		{"header", "token_missing", []string{"X-Api-Key: <S>", "Connection: X-Api-Key"}, ""},

		{"query", "forward", nil, "?api_key=<S>"},
		{"query", "forward", nil, "?a=1&api_key=<S>&b=2"},
		{"query", "token_missing", nil, "?a=1"},
		{"query", "token_missing", nil, "?api_key="},
		{"query", "token_missing", nil, "?api_key"},
		{"query", "ambiguous_request", nil, "?api_key=<S>&api_key=<S>"},
		{"query", "ambiguous_request", nil, "?Api_Key=<S>"},
		{"query", "ambiguous_request", nil, "?api_key=<S>&api_key[]=<T>"},
		{"query", "ambiguous_request", nil, "?api_key=<S>&api.key=<T>"},
		{"query", "ambiguous_request", nil, "?api_key=<S>;x=1"},
		{"query", "ambiguous_request", nil, "?x=%zz&api_key=<S>"},
		{"query", "ambiguous_request", nil, "?api%255fkey=<S>"},

		{"cookie", "forward", []string{"Cookie: pat=<S>"}, ""},
		{"cookie", "forward", []string{"Cookie: a=b; pat=<S>; c=d"}, ""},
		{"cookie", "token_missing", []string{"Cookie: a=b"}, ""},
		{"cookie", "ambiguous_request", []string{"Cookie: Pat=<S>"}, ""},
		{"cookie", "ambiguous_request", []string{"Cookie: pat[]=<T>; pat=<S>"}, ""},
		{"cookie", "ambiguous_request", []string{"Cookie: pat=<S>; pat=<S>"}, ""},
		{"cookie", "ambiguous_request", []string{"Cookie: pat=<S>", "Cookie: pat=<T>"}, ""},

		{"all", "forward", []string{"Authorization: Bearer <S>", "X-Api-Key: <S>", "Cookie: pat=<S>"}, "?api_key=<S>"},
		{"all", "ambiguous_request", []string{"Authorization: Bearer <S>", "X-Api-Key: <T>"}, ""},
		{"all", "ambiguous_request", []string{"Authorization: Bearer <S>"}, "?api_key=<T>"},
		{"all", "ambiguous_request", []string{"Cookie: pat=<S>", "Authorization: Basic user:<T>"}, ""},
	} {
		fill := strings.NewReplacer("<S>", s, "<T>", other, "<W>", wrong)
		r := request{host: row.host + ".test", target: "/x" + fill.Replace(row.query)}
		for _, line := range row.header {
			if _, password, ok := strings.Cut(line, " user:"); ok {
				line = basic("user", fill.Replace(password))
			}
			r.header = append(r.header, fill.Replace(line))
		}
		a := g.send(t, r)
		got := g.upstream.take()
		if a.verdict() != row.want {
			t.Errorf("%s: %v %s: %s (%s), want %s", row.host, row.header, row.query, a.verdict(), a.problem.Detail, row.want)
		}
		if served := len(got) == 1; served != (row.want == "forward") {
			t.Errorf("%s: %v %s: %s, and the upstream got %d requests", row.host, row.header, row.query, a.verdict(), len(got))
		}
	}
}

// Blanks around a header's value are no part of it, in whichever protocol it comes: a token
// after some is a token.
func TestBlanksAroundCredentials(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: everySite, tokens: []known{{name: "S"}, {name: "T"}}})
	s, other := g.secret("S"), g.secret("T")
	for _, row := range []struct {
		host, want string
		header     []string
	}{
		{"bearer", "forward", []string{"Authorization:  \tBearer <S> \t"}},
		{"default", "forward", []string{"Authorization: \t<S>"}},
		{"header", "forward", []string{"X-Api-Key:   <S>\t"}},
		{"cookie", "forward", []string{"Cookie:  pat=<S>"}},
		{"all", "ambiguous_request", []string{"X-Api-Key: <S>", "Authorization:  Bearer <T>"}},
	} {
		fill := strings.NewReplacer("<S>", s, "<T>", other)
		r := request{host: row.host + ".test", target: "/x"}
		for _, line := range row.header {
			r.header = append(r.header, fill.Replace(line))
		}
		for _, v := range g.versions() {
			if a := v.send(t, r); a.verdict() != row.want {
				t.Errorf("%s, %s: %q: %s (%s), want %s", v.name, row.host, row.header, a.verdict(), a.problem.Detail, row.want)
			}
		}
	}
}

// forward_token keep leaves credentials and the rest as they are; strip removes
// them wherever they are taken from, and nothing else.
func TestForwardToken(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: everySite, tokens: []known{{name: "S"}}})
	s := g.secret("S")
	for _, row := range []struct {
		host       string
		header     []string
		target     string
		wantTarget string
		want       map[string]string // headers the upstream gets
	}{
		{"all", []string{"Authorization: bearer  " + s, "Cookie: a=1;pat=" + s + " ;b=2"}, "/x?a=%7e&api_key=" + s + "&b=+&&c=;", "", nil},
		{"all", []string{"Authorization: bearer  " + s, "Cookie: a=1;pat=" + s + " ;b=2"}, "/x?a=%7e&api_key=" + s + "&b=+&&c", "/x?a=%7e&api_key=" + s + "&b=+&&c",
			map[string]string{"Authorization": "bearer  " + s, "Cookie": "a=1;pat=" + s + " ;b=2"}},
		{"strip", []string{bearerOf(s), "Cookie: a=1; b=2"}, "/x?a=%7e&b=+", "/x?a=%7e&b=+",
			map[string]string{"Authorization": "", "Cookie": "a=1; b=2"}},
		{"strip", []string{basic("git", s)}, "/x", "/x", map[string]string{"Authorization": ""}},
		{"strip", []string{"Authorization: Token " + s}, "/x", "/x", map[string]string{"Authorization": ""}},
		{"strip", []string{"X-Api-Key: " + s, "Authorization: Digest x"}, "/x", "/x", map[string]string{"X-Api-Key": "", "Authorization": "Digest x"}},
		{"strip", []string{"Cookie: a=1; pat=" + s + "; b=2"}, "/x", "/x", map[string]string{"Cookie": "a=1; b=2"}},
		{"strip", []string{"Cookie: pat=" + s}, "/x", "/x", map[string]string{"Cookie": ""}},
		{"strip", nil, "/x?api_key=" + s, "/x", nil},
		{"strip", nil, "/x?api_key=" + s + "&a=%7E+%20&b", "/x?a=%7E+%20&b", nil},
		{"strip", nil, "/x?a=1&api_key=" + s + "&b=%41", "/x?a=1&b=%41", nil},
		{"strip", nil, "/x?a=1&api%5Fkey=" + s, "/x?a=1", nil},
		{"strip", nil, "/%78?a=1&api_key=" + s, "/%78?a=1", nil},
		{"strip", []string{bearerOf(s), "X-Api-Key: " + s, "Cookie: pat=" + s}, "/x?api_key=" + s, "/x",
			map[string]string{"Authorization": "", "X-Api-Key": "", "Cookie": ""}},
		{"strip", []string{bearerOf(s), "Cookie: pat=" + s + "; a=1"}, "/public?api_key=" + s + "&a", "/public?a",
			map[string]string{"Authorization": "", "Cookie": "a=1"}},
		{"strip", []string{"Authorization: Bearer another"}, "/public", "/public", map[string]string{"Authorization": "Bearer another"}},
		{"strip", []string{"Origin: https://app.example", "Access-Control-Request-Method: GET"}, "OPTIONS /x?api_key=another&a", "/x?a", nil},
	} {
		method, target, found := strings.Cut(row.target, " ")
		if !found {
			method, target = "GET", row.target
		}
		a := g.send(t, request{method: method, host: row.host + ".test", target: target, header: row.header})
		got := g.upstream.take()
		if row.wantTarget == "" {
			if len(got) != 0 || a.status != 400 {
				t.Errorf("%s %v: %s, want 400", row.target, row.header, a)
			}
			continue
		}
		if len(got) != 1 {
			t.Errorf("%s %v: %s %s, want it forwarded", row.target, row.header, a, a.problem.Detail)
			continue
		}
		if got[0].target != row.wantTarget {
			t.Errorf("%s: upstream got %s, want %s", row.target, got[0].target, row.wantTarget)
		}
		for name, want := range row.want {
			if v := got[0].line(name); v != want {
				t.Errorf("%s %v: upstream got %s: %q, want %q", row.target, row.header, name, v, want)
			}
		}
		if row.host == "strip" && indexPart(got[0].raw, s) >= 0 {
			t.Errorf("%s %v: upstream got the secret", row.target, row.header)
		}
	}
}

// What is stripped is gone for whoever sees the request next: transports that are
// told the URL as it was sent, and what answers errors.
func TestStripReachesEverything(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `http://api.test:{$PORT} {
	patgate {
		token_from bearer
		token_from query api_key
		token_from cookie tok
		forward_token strip
		route GET /x    any
		route GET /pub  public
		route GET /more read:more
	}
	reverse_proxy {$UPSTREAM} {
		header_up X-Was {http.request.orig_uri.query}
		header_up X-Target {http.request.orig_uri}
	}
	handle_errors {
		reverse_proxy {$UPSTREAM}
	}
}`,
		tokens: []known{{name: "S", grants: grant("1", "read:some", "*")}},
	})
	s := g.secret("S")
	for _, row := range []struct {
		target, was string // what FastCGI and placeholders take for the URL that was sent
		header      []string
	}{
		{"/x?a=1&api_key=" + s, "a=1", nil},
		{"/pub?api_key=" + s + "&b", "b", nil},
		{"/more?api_key=" + s, "", []string{"Cookie: tok=" + s + "; a=b"}},
		{"/x/../y", "", []string{bearerOf(s)}},
		{"/nowhere", "", []string{"Cookie: tok=" + s}},
	} {
		a := g.send(t, request{host: "api.test", target: row.target, header: row.header})
		got := g.upstream.take()
		if len(got) != 1 {
			t.Errorf("%s: %s, and the upstream got %d requests", row.target, a, len(got))
			continue
		}
		if i := indexPart(got[0].raw, s); i >= 0 {
			t.Errorf("%s: the token is in what the upstream gets: …%s", row.target, got[0].raw[:i])
		}
		if was := got[0].line("X-Was"); was != row.was {
			t.Errorf("%s: the original query is %q, want %q", row.target, was, row.was)
		}
	}
}

// What a token is decides, at every request.
func TestTokenState(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		global: "servers {\n\ttrusted_proxies static 127.0.0.1/32\n\ttrusted_proxies_strict\n}",
		sites:  everySite,
		tokens: []known{
			{name: "good"},
			{name: "expired", expires: time.Now().Add(-time.Second)},
			{name: "revoked", revoked: true},
			{name: "disabled", owner: "mallory"},
			{name: "foreign", secret: "sk-live.an/existing+systems=token~1"},
			{name: "home", ips: []string{"127.0.0.0/8"}},
			{name: "away", ips: []string{"203.0.113.0/24", "2001:db8::/32"}},
		},
		owners: []*token.Owner{{ID: "mallory", Grants: []token.Grant{token.Full()}}},
	})
	get := func(name string, header ...string) string {
		t.Helper()
		return g.send(t, request{host: "bearer.test", target: "/x"}.with(g.bearer(name)).with(header...)).verdict()
	}
	for _, row := range []struct {
		token  string
		header []string
		want   string
	}{
		{"good", nil, "forward"},
		{"expired", nil, "token_expired"},
		{"revoked", nil, "token_revoked"},
		{"disabled", nil, "owner_disabled"},
		{"foreign", nil, "forward"},
		{"home", nil, "forward"},
		{"home", []string{"X-Forwarded-For: 203.0.113.9"}, "address_not_allowed"},
		{"away", nil, "address_not_allowed"},
		{"away", []string{"X-Forwarded-For: 203.0.113.9"}, "forward"},
		{"away", []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1"}, "address_not_allowed"},
		{"away", []string{"X-Forwarded-For: 2001:db8::7"}, "forward"},
		{"away", []string{"X-Forwarded-For: ::ffff:203.0.113.9"}, "forward"},
		{"away", []string{"X-Real-IP: 203.0.113.9"}, "address_not_allowed"},
		{"away", []string{"Forwarded: for=203.0.113.9"}, "address_not_allowed"},
	} {
		if got := get(row.token, row.header...); got != row.want {
			t.Errorf("token %s, %v: %s, want %s", row.token, row.header, got, row.want)
		}
	}
	// A held token ends when its time has come, whatever the cache's durations. Where
	// it has ended before it was asked for, another lives longer.
	for life := time.Second; life < patience; life *= 2 {
		soon := bearerOf(g.create(t, fmt.Sprintf(`{"name":"soon","full":true,"expires_in":%q}`, life)).Secret)
		ask := func() string { return g.send(t, request{host: "bearer.test", target: "/x"}.with(soon)).verdict() }
		was, held := ask(), false
		for deadline := time.Now().Add(life + patience); was == "forward" && time.Now().Before(deadline); was = ask() {
			held = true
			time.Sleep(20 * time.Millisecond)
		}
		if was != "token_expired" {
			t.Errorf("a token that lives for %v is at last answered %s, want token_expired", life, was)
		}
		if held {
			return
		}
	}
	t.Error("no token was forwarded before its end")
}
