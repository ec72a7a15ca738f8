package policy

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/token"
)

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

// Where a token is found, and what is refused because it could be read as two.
func TestTokenFrom(t *testing.T) {
	const none, refused, malformed = "", "(refused)", noSecret
	for _, c := range []struct {
		from   string // comma-separated; "" for the default
		target string
		fields string // separated by |
		want   string // the secret
	}{
		// Nothing is no token.
		{"", "GET /x", "", none},
		{"", "GET /x", "Authorization:", none},
		{"", "GET /x", "X-Token: S", none},
		{"", "GET /x?token=S", "Cookie: token=S", none},

		// bearer (RFC 6750 section 2.1) and bare.
		{"", "GET /x", "Authorization: Bearer S", "S"},
		{"", "GET /x", "Authorization: bearer S", "S"},
		{"", "GET /x", "Authorization: BEARER S", "S"},
		{"", "GET /x", "Authorization: Bearer   S", "S"},
		{"", "GET /x", "Authorization: S", "S"},
		{"", "GET /x", "Authorization: Bearer", malformed},
		{"", "GET /x", "Authorization: Bearer S T", "S T"}, // never the secret of anyone
		{"", "GET /x", "Authorization: Bearer\tS", "(refused)"},
		{"", "GET /x", "Authorization: Bearer S, Bearer T", refused},
		{"", "GET /x", "Authorization: Bearer S,T", refused},
		{"", "GET /x", "Authorization: S,T", refused},
		{"", "GET /x", "Authorization: Bearer S|Authorization: Bearer S", refused},
		{"", "GET /x", "Authorization: S|Authorization: T", refused},
		{"", "GET /x", "Authorization:|Authorization: Bearer S", refused},
		{"", "GET /x", "Authorization: Bearer S|Authorization:", refused},
		{"bearer", "GET /x", "Authorization: S", none},
		{"bare", "GET /x", "Authorization: Bearer S", none},
		{"bare", "GET /x", "Authorization: Bearer", none},
		{"bare", "GET /x", "Authorization: basic", none},

		// Other schemes are other credentials.
		{"", "GET /x", "Authorization: Basic dTpw", none},
		{"", "GET /x", "Authorization: Digest username=u, realm=r", none},
		{"", "GET /x", "Authorization: Bearers S", none},
		{"", "GET /x", "Authorization: Bea S", none},
		{"", "GET /x", "Authorization: Token S", none},
		{"bearer", "GET /x", "Authorization: Be\u0430rer S", "(refused)"},

		// scheme
		{"scheme Token", "GET /x", "Authorization: Token S", "S"},
		{"scheme Token", "GET /x", "Authorization: tOKEN  S", "S"},
		{"scheme Token", "GET /x", "Authorization: to\u212aen S", "(refused)"}, // a Kelvin sign, which folds to k
		{"scheme Token", "GET /x", "Authorization: Token", malformed},
		{"scheme Token", "GET /x", "Authorization: Bearer S", none},
		{"scheme Token", "GET /x", "Authorization: Token S,Token T", refused},
		{"scheme Token,bearer", "GET /x", "Authorization: Bearer S", "S"},

		// basic (RFC 7617): the password, whatever the user.
		{"basic", "GET /x", "Authorization: " + basic("u:S"), "S"},
		{"basic", "GET /x", "Authorization: " + basic(":S"), "S"},
		{"basic", "GET /x", "Authorization: " + basic("someone@example.com:S"), "S"},
		{"basic", "GET /x", "Authorization: " + basic("u:S:T"), "S:T"},
		{"basic", "GET /x", "Authorization: basic" + strings.TrimPrefix(basic("u:S"), "Basic"), "S"},
		{"basic", "GET /x", "Authorization: " + basic("u:"), malformed},
		{"basic", "GET /x", "Authorization: " + basic("S"), malformed},
		{"basic", "GET /x", "Authorization: Basic !!", malformed},
		{"basic", "GET /x", "Authorization: Basic dTpT=", malformed},
		{"basic", "GET /x", "Authorization: Basic", malformed},
		{"basic", "GET /x", "Authorization: " + basic("u:S") + ", Bearer T", refused},
		{"basic", "GET /x", "Authorization: Bearer S", none},
		{"basic,bearer,bare", "GET /x", "Authorization: " + basic("u:S"), "S"},

		// header
		{"header X-Token", "GET /x", "X-Token: S", "S"},
		{"header x-token", "GET /x", "X-Token: S", "S"},
		{"header X-Token", "GET /x", "X-Token:", none},
		{"header X-Token", "GET /x", "X-Token: S|X-Token: S", refused},
		{"header X-Token", "GET /x", "X-Token:|X-Token: S", refused},
		{"header X-Token", "GET /x", "X-Token: S, T", refused},
		{"header X-Token", "GET /x", "Authorization: Bearer S", none},

		// query
		{"query token", "GET /x?token=S", "", "S"},
		{"query token", "GET /x?a=b&token=%53&c", "", "S"},
		{"query token", "GET /x?tok%65n=S", "", "S"},
		{"query token", "GET /x?token=S+T%2B", "", "S T+"},
		{"query token", "GET /x?token=", "", none},
		{"query token", "GET /x?token=+", "", none},
		{"query token", "GET /x?token=&token=S", "", refused},
		{"query token", "GET /x?token", "", none},
		{"query token", "GET /x?a=token", "", none},
		{"query token,bearer", "GET /x?token=", "Authorization: Bearer S", "S"},
		{"bearer,query token", "GET /x?token", "Authorization: Bearer S", "S"},
		{"query token,bearer", "GET /x?token=+", "Authorization: Bearer S", "S"},
		{"query token,bearer", "GET /x?token=T", "Authorization: Bearer", refused},
		{"query token,basic", "GET /x?token=T", "Authorization: Basic !!", refused},
		{"query token", "GET /x?token=S&token=S", "", refused},
		{"query token", "GET /x?token=S&Token=T", "", refused},
		{"query token", "GET /x?Token=S", "", refused},
		{"query token", "GET /x?token[]=S", "", refused},
		{"query token", "GET /x?token=S;a=b", "", refused},
		{"query token", "GET /x?token=S&a=%zz", "", refused},
		{"query access_token,query key", "GET /x?key=S&access_token=S", "", "S"},

		// cookie
		{"cookie pat", "GET /x", "Cookie: pat=S", "S"},
		{"cookie pat", "GET /x", "Cookie: a=b; pat=S; c=d", "S"},
		{"cookie pat", "GET /x", "Cookie: a=b;pat=S", "S"},
		{"cookie pat", "GET /x", "Cookie: a=b|Cookie: pat=S", "S"}, // as HTTP/2 splits them
		{"cookie pat", "GET /x", `Cookie: pat="S"`, "S"},
		{"cookie pat", "GET /x", "Cookie: pat=S=T", "S=T"},
		{"cookie pat", "GET /x", "Cookie: pat=", none},
		{"cookie pat", "GET /x", "Cookie: pat", none},
		{"cookie pat", "GET /x", "Cookie: xpat=T; patx=U; p_at=V; p-at=W; [pat]=X; %zzpat=Y; pat%zz=Z", none},
		{"cookie pat", "GET /x", "Cookie: pat=S; pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: pat=S|Cookie: pat=T", refused},
		{"cookie pat", "GET /x", "Cookie: pat=; pat=S", refused},
		// PHP and ASP.NET take these for the same cookie.
		{"cookie pat", "GET /x", "Cookie: Pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: pat=S; PAT=T", refused},
		{"cookie pat", "GET /x", "Cookie: pat[]=T; pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: pat[a]=T|Cookie: pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: p%61t=T; pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: %20pat=T; pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: +pat=T; pat=S", refused},
		{"cookie pat", "GET /x", "Cookie: pat%00x=T; pat=S", refused},
		{"cookie access_token", "GET /x", "Cookie: access.token=T; access_token=S", refused},
		{"cookie access_token", "GET /x", "Cookie: access_token=S; access token=T", refused},
		{"cookie access_token", "GET /x", "Cookie: access[token=T; access_token=S", refused},
		{"cookie access_token", "GET /x", "Cookie: access+token=T; access_token=S", refused},
		{"cookie access_token", "GET /x", "Cookie: Access.Token=T", refused},
		{"cookie access.token", "GET /x", "Cookie: access_token=T; access.token=S", refused},
		{"cookie access_token", "GET /x", "Cookie: access-token=T; accesstoken=U; access_token=S", "S"},

		// The same token in two places is one token, two tokens are none.
		{"bearer,header X-Token", "GET /x", "Authorization: Bearer S|X-Token: S", "S"},
		{"bearer,header X-Token", "GET /x", "Authorization: Bearer S|X-Token: T", refused},
		{"bearer,basic,query token,cookie pat", "GET /x?token=S", "Authorization: " + basic("u:S") + "|Cookie: pat=S", "S"},
		{"bearer,query token", "GET /x?token=", "Authorization: Bearer S", "S"},
		{"bearer,cookie pat", "GET /x", "Authorization: Bearer S|Cookie: pat=T", refused},
		// What is in a place that isn't accepted is the API's own.
		{"header X-Token", "GET /x", "Authorization: Bearer T|Authorization: Bearer U|X-Token: S", "S"},
	} {
		settings := Settings{}
		if c.from != "" {
			settings.TokenFrom = strings.Split(c.from, ",")
		}
		p := compile(t, Config{Settings: settings, Routes: routes("GET /x any")})
		m := p.matched(request(c.target, splitFields(c.fields)...))
		got := m.Secret
		if m.Reason == AmbiguousRequest {
			got = refused
		} else if (m.Reason == TokenMissing) != (c.want == none) {
			t.Errorf("token_from %q, %s, %q: %v with secret %q", c.from, c.target, c.fields, m.Reason, m.Secret)
		}
		if got != c.want {
			t.Errorf("token_from %q, %s, %q: secret %q (%s), want %q", c.from, c.target, c.fields, got, m.Detail, c.want)
		}
	}
}

// Some APIs take the user name of Basic credentials for the token.
func TestTokenAsUserName(t *testing.T) {
	p := compile(t, Config{Settings: Settings{TokenFrom: []string{"basic"}}, Routes: routes("GET /x any")})
	p.Prefix = "pat"
	a, b := token.NewSecret("pat"), token.NewSecret("pat")
	for _, c := range []struct {
		pair    string
		refused bool
	}{
		{b + ":" + a, true}, {b + ":S", true}, {a + ":", true}, {a, true},
		{a + ":" + a, false}, {"u:" + a, false}, {":" + a, false}, {"pat_smith:" + a, false}, {b[:len(b)-1] + ":" + a, false}, {token.NewSecret("other") + ":" + a, false},
	} {
		m := p.matched(request("GET /x", "Authorization: "+basic(c.pair)))
		if refused := m.Reason == AmbiguousRequest; refused != c.refused || !refused && m.Secret != a {
			t.Errorf("%s: %v (%s) with %q, want refused %v", c.pair, m.Reason, m.Detail, m.Secret, c.refused)
		}
	}
}

func TestPlace(t *testing.T) {
	for _, c := range []struct{ field, want string }{
		{"Authorization: Bearer S", "bearer"}, {"Authorization: S", "bare"}, {"Authorization: " + basic("u:S"), "basic"},
		{"Authorization: token S", "scheme Token"}, {"X-Token: S", "header X-Token"}, {"Cookie: c=S", "cookie c"},
	} {
		p := compile(t, Config{Routes: routes("GET /x any"), Settings: Settings{
			TokenFrom: []string{"bearer", "bare", "basic", "scheme Token", "header x-token", "cookie c", "query q"}}})
		m := p.matched(request("GET /x", c.field))
		if got := m.place.String(); got != c.want {
			t.Errorf("%s: place %q, want %q", c.field, got, c.want)
		}
	}
}

// Strip takes out the token and leaves every other byte as it was.
func TestStrip(t *testing.T) {
	const public = "public"
	for _, c := range []struct {
		from, require string
		query         string
		fields        string // separated by |
		wantQuery     string
		wantFields    string
	}{
		{"bearer", "any", "a=%zz;b", "Authorization: Bearer S|X-A: S", "a=%zz;b", "X-A: S"},
		{"bare", "any", "", "Authorization: S", "", ""},
		{"basic", "any", "", "Authorization: " + basic("u:S"), "", ""},
		{"scheme Key", "any", "", "Authorization: KEY  S", "", ""},
		{"header X-Token", "any", "", "X-Token: S|Authorization: Bearer own", "", "Authorization: Bearer own"},
		{"query token", "any", "token=S", "", "", ""},
		{"query token", "any", "token=S&a=%7e+b", "", "a=%7e+b", ""},
		{"query token", "any", "a=%2F&tok%65n=%53&&b", "", "a=%2F&&b", ""},
		{"query token", "any", "&a=1&token=S", "", "&a=1", ""},
		{"query token", "any", "a=token&xtoken=S&token=S&", "", "a=token&xtoken=S&", ""},
		{"cookie pat", "any", "", "Cookie: pat=S", "", ""},
		{"cookie pat", "any", "", "Cookie: a=1;b = 2; pat=S ;  c=\"3\"", "", "Cookie: a=1;b = 2;  c=\"3\""},
		{"cookie pat", "any", "", "Cookie: pat=S; a=1;", "", "Cookie: a=1;"},
		{"cookie pat", "any", "", `Cookie: a=1|Cookie: pat="S"|Cookie:  b=2`, "", "Cookie: a=1|Cookie:  b=2"},
		{"bearer,query token,cookie pat", "any", "token=S&x", "Authorization: Bearer S|Cookie: pat=S; y=1", "x", "Cookie: y=1"},
		{"bearer", "any", "token=S", "Authorization: Bearer S", "token=S", ""},

		// On public routes, what is a token and nothing else, however often and
		// however badly the rest is written.
		{"bearer,query token,cookie pat,header X-Token", public, "token=own&token=S&%zz;token=S", "Authorization: Bearer own|X-Token: own|X-Token: S|Cookie: pat=own; pat=S",
			"token=own&%zz", "Authorization: Bearer own|Cookie: pat=own"},
		{"bearer,bare", public, "", "Authorization: Bearer own|Authorization: S", "", ""},
		{"bearer", public, "", "Authorization: Basic S", "", "Authorization: Basic S"},
	} {
		p := compile(t, Config{Settings: Settings{TokenFrom: strings.Split(c.from, ",")}, Routes: routes("GET /x " + c.require)})
		req := request("GET /x?"+c.query, splitFields(c.fields)...)
		m := p.matched(req)
		if c.require != public && m.Secret != "S" {
			t.Errorf("from %s, query %q, %q: secret %q (%s), want S", c.from, c.query, c.fields, m.Secret, m.Detail)
			continue
		}
		r := &http.Request{URL: &url.URL{Path: "/x", RawQuery: c.query}, Header: req.Header}
		m.Strip(r, func(secret string) bool { return secret == "S" })
		if r.URL.RawQuery != c.wantQuery {
			t.Errorf("from %s: query %q became %q, want %q", c.from, c.query, r.URL.RawQuery, c.wantQuery)
		}
		if want := header(splitFields(c.wantFields)...); !sameHeader(r.Header, want) {
			t.Errorf("from %s: header %q became %q, want %q", c.from, c.fields, r.Header, want)
		}
	}
}

// A key of a query that some server may take for the one that tokens stand under.
func TestTakesKey(t *testing.T) {
	c := Credential{Kind: Query, Name: "api_key"}
	for key, want := range map[string]bool{
		"api_key": true, "API_KEY": true, "apiKey": true, "[api_key]": true, "api_key[0]": true, "api.key": true, "\ufeffapi_key": true, "\uff41pi_key": true,
		"api_key&x": true, "api=_key": true, "%61pi_key": true, "api\xff": true,
		"": false, "api": false, "api_keys": false, "my_api_key": false, "page": false,
	} {
		if got := c.TakesKey(key); got != want {
			t.Errorf("%q may be meant for api_key is %v, want %v", key, got, want)
		}
	}
	if c.Kind = Header; c.TakesKey("api_key") {
		t.Error("a header has no keys")
	}
}

func sameHeader(a, b http.Header) bool {
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestParseCredential(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"bearer", "bearer"}, {"bare", "bare"}, {"basic", "basic"},
		{"scheme Token", "scheme Token"}, {"header x-api-key", "header X-Api-Key"}, {"query access_token", "query access_token"}, {"cookie __Host-pat", "cookie __Host-pat"},
	} {
		got, err := ParseCredential(c.text)
		if err != nil || got.String() != c.want {
			t.Errorf("ParseCredential(%q) = %q, %v, want %q", c.text, got, err, c.want)
		}
		if again, err := ParseCredential(got.String()); again != got || err != nil {
			t.Errorf("ParseCredential(%q) = %v, %v, want %v", got.String(), again, err, got)
		}
	}
	for _, text := range []string{
		"", "Bearer", "bearer x", "bare x", "basic x", "scheme", "scheme ", "header", "query", "cookie", "token x",
		"scheme a b", "scheme a_b", "header a b", "header a_b", "header é", "header a:b", "query -", "query []", "cookie a b", "cookie a;b", "cookie a=b",
		"header Authorization", "header cookie", "header host", "header connection", "header Upgrade", "header content-length", "header transfer-encoding",
	} {
		if got, err := ParseCredential(text); err == nil {
			t.Errorf("ParseCredential(%q) = %v, want an error", text, got)
		} else if !strings.HasPrefix(err.Error(), "token_from ") {
			t.Errorf("ParseCredential(%q) = %v, want it to say token_from", text, err)
		}
	}
	for _, text := range []string{"bearer", "basic", "query q", "x", "", "header a b", "bearer ey", "bearer *", "bearer e*y*", "bearer e y*", "bare ey*"} {
		if got, err := parseLetThrough(text); err == nil || !strings.HasPrefix(err.Error(), "let_through ") {
			t.Errorf("parseLetThrough(%q) = %v, %v, want an error that says let_through", text, got, err)
		}
	}
}
