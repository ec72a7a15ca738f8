package test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const signedSites = `
http://api.test:{$PORT} {
	patgate {
		identity_headers signed {
			audience the-api
			jwks /.well-known/patgate/jwks.json
		}
		unknown_token forward until 2999-12-31
		route GET /public public
		route GET /optional any {
			optional
		}
		route GET /spaces/{space} stories:read
		route GET /report/{space} stories:write {
			mode report
		}
	}
	reverse_proxy {$UPSTREAM}
}
http://named.test:{$PORT} {
	patgate {
		identity_headers signed {
			header Remote-Identity
			issuer https://named.test
			lifetime 10s
		}
		route GET /public public
		route GET /spaces/{space} stories:read
	}
	reverse_proxy {$UPSTREAM}
}`

// The upstream gets one token that it can verify, in place of the plain headers,
// and never one that a client has sent.
func TestSignedIdentity(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites:  signedSites,
		tokens: []known{{name: "T", owner: "alice", grants: grant("1", "stories:read", "*")}},
	})
	jwks := g.send(t, request{target: "/.well-known/patgate/jwks.json"})
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks.body), &keys); err != nil || len(keys.Keys) != 1 || !keys.Keys[0].IsPublic() || strings.Contains(jwks.body, `"d"`) {
		t.Fatalf("the public keys: %d %s", jwks.status, jwks.body)
	}
	var same jose.JSONWebKeySet
	if status := g.call(t, "GET", "/patgate/jwks", "", &same); status != 200 || len(same.Keys) != 1 || same.Keys[0].KeyID != keys.Keys[0].KeyID {
		t.Errorf("the management API shows %d %v", status, same)
	}
	if n := len(g.upstream.take()); n != 0 {
		t.Errorf("the upstream was asked for the keys")
	}
	for _, row := range []struct {
		host, target, credential string
		header                   string // "": no identity
		issuer, audience, space  string
	}{
		{"api", "/spaces/1", g.bearer("T"), "X-Patgate-Identity", "patgate", "the-api", "1"},
		{"api", "/optional", g.bearer("T"), "X-Patgate-Identity", "patgate", "the-api", ""},
		{"api", "/optional", "", "", "", "", ""},
		{"api", "/public", g.bearer("T"), "", "", "", ""},
		{"api", "/report/1", g.bearer("T"), "", "", "", ""},
		{"api", "/spaces/1", "Authorization: Bearer a-token-of-the-api-itself", "", "", "", ""},
		{"named", "/spaces/1", g.bearer("T"), "Remote-Identity", "https://named.test", "patgate", "1"},
		{"named", "/public", "", "", "", "", ""},
	} {
		for _, forged := range []request{
			{},
			{header: []string{"X-Patgate-Identity: e30.e30.x", "Remote-Identity: e30.e30.x"}},
			{header: []string{"x-patgate-identity: a", "X_Patgate_Identity: b", "X-Patgate.Identity: c", "X-Patgate-Owner: root"}},
			{header: []string{"Connection: X-Patgate-Identity, Remote-Identity, close", "Remote-Identity: a"}},
		} {
			r := forged.with()
			r.host, r.target = row.host+".test", row.target
			if row.credential != "" {
				r = r.with(row.credential)
			}
			a := g.send(t, r)
			got := g.upstream.take()
			if len(got) != 1 {
				t.Errorf("%s: %s", r, a)
				continue
			}
			found := identityOf(&got[0], "Remote-Identity")
			if row.host == "api" {
				delete(found, "Remote-Identity") // the API's own business there
			}
			delete(found, "X-Patgate-Decision")
			text := found[row.header]
			if delete(found, row.header); len(found) > 0 || (text == "") != (row.header == "") {
				t.Errorf("%s: the upstream got identity %q and %v", r, text, found)
				continue
			}
			if row.header == "" {
				continue
			}
			parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Errorf("%s: %v", r, err)
				continue
			}
			var said struct {
				jwt.Claims
				Space   string `json:"space"`
				Scope   string `json:"scope"`
				TokenID string `json:"token_id"`
			}
			if err := parsed.Claims(keys, &said); err != nil {
				t.Errorf("%s: %v", r, err)
				continue
			}
			expected := jwt.Expected{Issuer: row.issuer, Subject: "alice", AnyAudience: jwt.Audience{row.audience}, Time: time.Now()}
			if err := said.Validate(expected); err != nil || said.TokenID == "" || said.Space != row.space || said.Scope != "stories:read" {
				t.Errorf("%s: the identity says %+v: %v", r, said, err)
			}
		}
	}
}
