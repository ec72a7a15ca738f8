package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/internal/rest"
)

// consoles is a Caddy server that doesn't listen, with consoles in several
// places. The password of the people is "open sesame".
type consoles struct {
	t      *testing.T
	app    *App
	server *caddyhttp.Server
}

const consolesCaddyfile = `{
	auto_https off
	patgate {
		store embedded %s/tokens.db
	}
}
http://tokens.example.com {
	@people not path /self /self/* /leaked
	basic_auth @people {
		alice $2a$04$Y5YHVP54/ieF3QQi6EqTTeTSn1S4ZS7WUJocP83MhBIWG6Nncei4W
		root $2a$04$Y5YHVP54/ieF3QQi6EqTTeTSn1S4ZS7WUJocP83MhBIWG6Nncei4W
	}
	patgate_console {
		admin root
	}
}
http://nobody.example.com {
	patgate_console
}
http://proxied.example.com {
	handle_path /account/tokens* {
		patgate_console {
			owner {header.X-Forwarded-User}
		}
	}
	handle {
		patgate {
			default any
		}
		respond "the site"
	}
}
http://gated.example.com {
	patgate {
		default public
	}
	patgate {
		identity_headers off
		token_from header X-Api-Key
		default any
		mode report
	}
	patgate_console {
		owner {query.who}
	}
}
http://around.example.com {
	patgate_console {
		owner ldap:{header.User}@{host}
	}
}
http://unknown.example.com {
	patgate_console {
		owner cn:{tls_client_subject}
	}
}
http://api.example.com {
	patgate {
		identity_headers {
			owner X-Forwarded-User
			token X-Token-Id
		}
		route GET /spaces/{space} stories:read
	}
	respond "space"
}
`

func newConsoles(t *testing.T) *consoles {
	t.Helper()
	body, err := adapt(fmt.Sprintf(consolesCaddyfile, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	g := gatedBy(t, string(body), "srv0").start(t)
	return &consoles{t: t, app: g.app, server: g.server}
}

// do sends a request to a host. Header are names and values; the name "as" stands
// for the Basic credentials of somebody.
func (c *consoles) do(method, host, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://"+host+target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "as" {
			r.SetBasicAuth(header[i+1], "open sesame")
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, r)
	return w
}

// create makes a token of alice's in the console.
func (c *consoles) create(rest string) (id, secret string) {
	c.t.Helper()
	w := c.do("POST", "tokens.example.com", "/api/tokens", `{"name":"ci"`+rest+`}`, "as", "alice")
	var made struct {
		Token  struct{ ID string }
		Secret string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 {
		c.t.Fatalf("making a token: %d %s", w.Code, w.Body)
	}
	return made.Token.ID, made.Secret
}

func TestConsole(t *testing.T) {
	c := newConsoles(t)
	id, secret := c.create(`,"full":true`)
	c.do("POST", "tokens.example.com", "/api/tokens", `{"name":"of root","full":true}`, "as", "root")
	const tokens, proxied, gated = "tokens.example.com", "proxied.example.com", "gated.example.com"
	for _, row := range []struct {
		name, method, host, target string
		header                     []string
		status                     int
		says                       string // in the answer, or where it leads
	}{
		{"nobody, behind basic_auth", "GET", tokens, "/", nil, 401, ""},
		{"nobody, with no sign-in before the console", "GET", "nobody.example.com", "/", nil, 401, "You are not signed in"},
		{"an owner", "GET", tokens, "/", []string{"as", "alice"}, 200, "Signed in as"},
		{"what the policy knows has to be chosen", "GET", tokens, "/new", []string{"as", "alice"}, 200, `value="stories:read"`},
		{"an owner's token", "GET", tokens, "/tokens/" + id, []string{"as", "alice"}, 200, ">ci "},
		{"no admin", "GET", tokens, "/everyone", []string{"as", "alice"}, 403, "Only admins"},
		{"an admin", "GET", tokens, "/everyone", []string{"as", "root"}, 200, ">ci<"},
		{"the owner out of another placeholder", "GET", proxied, "/account/tokens/", []string{"X-Forwarded-User", "alice"}, 200, ">ci<"},
		{"no owner there", "GET", proxied, "/account/tokens/", nil, 401, ""},
		{"text around it", "GET", "around.example.com", "/api/me", []string{"User", "alice"}, 200, `"owner":"ldap:alice@around.example.com"`},
		{"text around an empty placeholder", "GET", "around.example.com", "/api/me", []string{"User", ""}, 401, ""},
		{"text around one that isn't there", "GET", "around.example.com", "/api/me", nil, 401, ""},
		{"text around an unknown one", "GET", "unknown.example.com", "/api/me", nil, 401, ""},
		{"below a path", "GET", proxied, "/account/tokens/tokens/" + id, []string{"X-Forwarded-User", "alice"}, 200, `href="../assets/`},
		{"without the slash at the end", "GET", proxied, "/account/tokens?status=active", []string{"X-Forwarded-User", "alice"}, 307, "./tokens/?status=active"},
		{"beside the path", "GET", proxied, "/account/tokensandmore", []string{"X-Forwarded-User", "alice"}, 404, ""},
		{"the gate beside it", "GET", proxied, "/", nil, 401, "token_missing"},
		{"the site behind that", "GET", proxied, "/", []string{"Authorization", "Bearer " + secret}, 200, "the site"},

		{"a token signs nobody in", "GET", tokens, "/", []string{"Authorization", "Bearer " + secret}, 401, ""},
		{"a token that a gate has seen", "GET", gated, "/?who=alice", []string{"X-Api-Key", secret}, 403, "tokens don&#39;t make or change tokens"},
		{"a token that another server's gate has seen", "GET", proxied, "/account/tokens/", []string{"X-Forwarded-User", "alice", "X-Patgate-Token", id}, 403, ""},
		{"one that it has signed for", "GET", proxied, "/account/tokens/", []string{"X-Forwarded-User", "alice", "X-Patgate-Identity", "a.b.c"}, 403, ""},
		{"one that a gate says under another name", "GET", proxied, "/account/tokens/", []string{"X-Forwarded-User", "alice", "X-Token-Id", id}, 403, ""},
		{"no token for the gate", "GET", gated, "/?who=alice", nil, 200, ">ci<"},
		{"a token describes itself", "GET", tokens, "/self", []string{"Authorization", "Bearer " + secret}, 200, `"name":"ci"`},
		{"nothing to describe", "GET", tokens, "/self", nil, 401, "token_missing"},
		{"other spellings of /self are no way around the sign-in", "GET", tokens, "/SELF", []string{"Authorization", "Bearer " + secret}, 404, ""},
		{"nor to the API", "GET", tokens, "/self/../api/tokens", nil, 401, ""},
		{"nor is this", "GET", tokens, "//self", []string{"Authorization", "Bearer " + secret}, 404, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := c.do(row.method, row.host, row.target, "", row.header...)
			answer := w.Body.String() + w.Header().Get("Location")
			if w.Code != row.status || !strings.Contains(answer, row.says) {
				t.Errorf("%d, want %d and %q:\n%s", w.Code, row.status, row.says, answer)
			}
		})
	}
}

// What is done at the console holds at the gate at once.
func TestConsoleAndGate(t *testing.T) {
	c := newConsoles(t)
	opens := func(secret string, want int) {
		t.Helper()
		if w := c.do("GET", "api.example.com", "/spaces/1", "", "Authorization", "Bearer "+secret); w.Code != want {
			t.Errorf("the gate answers %d, want %d", w.Code, want)
		}
	}
	id, secret := c.create(`,"grants":[{"spaces":["1"],"scopes":["stories:read"]}]`)
	opens(secret, 200)
	w := c.do("POST", "tokens.example.com", "/api/tokens/"+id+"/revoke", "", "as", "alice")
	var done rest.Revocation
	if err := json.Unmarshal(w.Body.Bytes(), &done); err != nil || len(done.Revoked) != 1 || done.Gateways != (rest.Gateways{Acknowledged: 1}) {
		t.Errorf("revoked: %d %s", w.Code, w.Body)
	}
	opens(secret, 401)
	_, leaked := c.create(`,"full":true`)
	opens(leaked, 200)
	if w := c.do("POST", "tokens.example.com", "/leaked", `{"secret":"`+leaked+`"}`); w.Code != 204 {
		t.Errorf("reporting a leak: %d %s", w.Code, w.Body)
	}
	opens(leaked, 401)
	// Where the policy has spaces, the console doesn't guess either.
	if w := c.do("POST", "tokens.example.com", "/api/tokens", `{"name":"ci"}`, "as", "alice"); w.Code != 400 || !strings.Contains(w.Body.String(), "does not guess a space") {
		t.Errorf("a token without a space: %d %s", w.Code, w.Body)
	}
	// Nor does it let anybody guess secrets: it shares the gate's limit.
	for range 20 {
		c.do("GET", "tokens.example.com", "/self", "", "Authorization", "Bearer no-such-token-0123456789")
	}
	if w := c.do("GET", "tokens.example.com", "/self", "", "Authorization", "Bearer no-such-token-0123456789"); w.Code != 429 {
		t.Errorf("the 21st unknown secret: %d, want 429", w.Code)
	}
	if w := c.do("GET", "api.example.com", "/spaces/1", "", "Authorization", "Bearer no-such-token-0123456789"); w.Code != 429 {
		t.Errorf("the next one, at the gate: %d, want 429", w.Code)
	}
}

// A report that comes slowly keeps no lookup of its address from being made.
func TestConsoleSlowReports(t *testing.T) {
	c := newConsoles(t)
	_, secret := c.create(`,"grants":[{"spaces":["1"],"scopes":["stories:read"]}]`)
	var sending sync.WaitGroup
	for range 25 {
		body, more := io.Pipe()
		r := httptest.NewRequest("POST", "http://tokens.example.com/leaked", body)
		r.Header.Set("Content-Type", "application/json")
		sending.Go(func() { c.server.ServeHTTP(httptest.NewRecorder(), r) })
		if _, err := more.Write([]byte("{")); err != nil { // when it is being read
			t.Fatal(err)
		}
		defer more.Close()
	}
	if w := c.do("GET", "api.example.com", "/spaces/1", "", "Authorization", "Bearer "+secret); w.Code != 200 {
		t.Errorf("a token that isn't held is answered %d", w.Code)
	}
	t.Cleanup(sending.Wait)
}

// A console whose store can't be opened says so, and not where it is.
func TestConsoleWithoutStore(t *testing.T) {
	c := newConsoles(t)
	if err := c.app.Cleanup(); err != nil {
		t.Fatal(err)
	}
	w := c.do("GET", "tokens.example.com", "/api/tokens", "", "as", "alice")
	if w.Code != 503 || strings.Contains(w.Body.String(), "tokens.db") {
		t.Errorf("%d %s, want 503", w.Code, w.Body)
	}
}
