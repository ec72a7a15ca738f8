package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// What explain prints can be put in a ticket: it says what was asked and how it
// comes to its answer, and has no secret in it.
func TestPrintExplanation(t *testing.T) {
	config := policy.Config{
		Default: "deny",
		Routes: []policy.RouteConfig{
			{Methods: []string{"GET"}, Pattern: "/s/{space}/me", Require: "admin", At: "Caddyfile:3"},
			{Methods: []string{"GET"}, Pattern: "/s/{space}/{id}", Require: "read", At: "Caddyfile:4", Settings: policy.Settings{Resource: "path.id"}},
			{Methods: []string{"GET"}, Pattern: "/report", Require: "read", At: "Caddyfile:5", Settings: policy.Settings{Mode: "report"}},
			{Methods: []string{"GET"}, Pattern: "/q", Require: "read", At: "Caddyfile:6", Settings: policy.Settings{TokenFrom: []string{"query key", "header X-Key"}, Space: "header.X-Org"}},
		},
	}
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{Config: config}
	if err := h.compile(catalog); err != nil {
		t.Fatal(err)
	}
	h.policy.Prefix = defaultPrefix
	const secret = "pat_ShouldNeverBeSeenAnywhere0123456789"
	q, err := newQuestion(&explainRequest{Method: secret, URL: "/report", Headers: map[string]headerValues{secret: {"1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if e := h.explain(&q); e.Request != "pat_REDACTED /report" || e.Method != "pat_REDACTED" || e.Headers[0] != "pat_REDACTED: 1" {
		t.Errorf("of a secret as method and as name of a header: %q, %q, %q", e.Request, e.Method, e.Headers)
	}
	for _, c := range []struct {
		name, target string
		headers      map[string]headerValues
		token        *token.View
		want         string
	}{
		{"no token", "/s/1/7", nil, nil, `
request     GET /s/1/7
path        /s/1/7
route       GET /s/{space}/{id} (Caddyfile:4)
needs       read
space       1 (path.space)
resource    7 (path.id)
token from  bearer, bare
decision    token_missing (401 Unauthorized)
because     a personal access token is needed
`},
		{"a token", "/s/1/7", nil, &token.View{ID: "t1", Name: "ci", Owner: "alice", Status: token.Active, Grants: []token.Grant{{Spaces: []string{"2"}, Scopes: []string{"read"}, Resources: []string{"*"}}}}, `
request     GET /s/1/7
path        /s/1/7
route       GET /s/{space}/{id} (Caddyfile:4)
needs       read
space       1 (path.space)
resource    7 (path.id)
token from  bearer, bare
token       t1 "ci" of "alice", active
  holds     {"spaces":["2"],"scopes":["read"],"resources":["*"]}
decision    space_not_granted (403 Forbidden)
because     the token is not granted for this space
`},
		{"no route", "/x", nil, nil, `
request   GET /x
path      /x
route     none matches
decision  route_unknown (403 Forbidden)
because   no token opens this path with this method
`},
		{"a path that is no path", "/s/1/..", nil, nil, `
request   GET /s/1/..
decision  ambiguous_request (400 Bad Request)
because   the path has a segment that ends in a dot
`},
		{"what an option admits", "/s/1/a%2Fb", nil, nil, `
request   GET /s/1/a%2Fb
decision  ambiguous_request (400 Bad Request)
because   the path has an encoded slash
unless    the gate says encoded_slash allow
`},
		{"a path of another route", "/s/1/ME", nil, nil, `
request     GET /s/1/ME
path        /s/1/ME
route       GET /s/{space}/{id} (Caddyfile:4)
needs       read
space       (path.space)
resource    (path.id)
token from  bearer, bare
decision    ambiguous_request (400 Bad Request)
read as     GET /s/{space}/me (Caddyfile:3), which asks for admin
because     some servers find the path on another route, for they take a name for another one: "ME"
`},
		{"report mode", "/report", nil, nil, `
request     GET /report
path        /report
route       GET /report (Caddyfile:5)
needs       read
space       none
resource    none
token from  bearer, bare
decision    token_missing (401 Unauthorized), but forwarded all the same: mode report
because     a personal access token is needed
`},
		{"secrets", "/q?a=1&k%65y=" + secret + "&b=" + secret, map[string]headerValues{"X-Org": {"9"}, "Authorization": {"Bearer " + secret}, "X-Key": {secret}, "X-Other": {secret}}, nil, `
request     GET /q?a=1&k%65y=REDACTED&b=pat_REDACTED
  with      Authorization: REDACTED
  with      X-Key: REDACTED
  with      X-Org: 9
  with      X-Other: pat_REDACTED
path        /q
route       GET /q (Caddyfile:6)
needs       read
space       9 (header.X-Org)
resource    none
token from  query key, header X-Key
decision    depends on the token (header X-Key)
because     the request carries a token, which decides; it was not looked up
`},
	} {
		q, err := newQuestion(&explainRequest{Method: "GET", URL: c.target, Headers: c.headers})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.token != nil {
			q.with(c.token, nil)
		}
		var out bytes.Buffer
		printExplanation(&out, explainRequest{}, h.explain(&q))
		if want := strings.TrimPrefix(c.want, "\n"); out.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, &out, want)
		}
	}
	if _, err := newQuestion(&explainRequest{Method: "GET", URL: "nope?key=" + secret}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a URL that is none: %v, want an error without the secret", err)
	}
}

// The token that a request carries is judged where it can be looked up, with all
// that the gate makes of it.
func TestExplainLooksUp(t *testing.T) {
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{Config: policy.Config{Default: "deny", Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/x", Require: "read"}}}, UnknownTokenUntil: "2999-01-01"}
	if err := h.compile(catalog); err != nil {
		t.Fatal(err)
	}
	grant := func(scope string) []token.Grant {
		return []token.Grant{{Spaces: []string{"*"}, Scopes: []string{scope}, Resources: []string{"*"}}}
	}
	known, reader := &token.View{ID: "t1", Status: token.Active, Grants: grant("write")}, &token.View{ID: "t2", Status: token.Active, Grants: grant("read")}
	owner := &token.Owner{ID: "o", Enabled: true, Grants: grant("write")}
	for _, c := range []struct {
		secret, decision, detail string
		judged                   bool
	}{
		{"known", "scope_missing", "the token lacks the scope that is needed", true},
		{"forbidden", "scope_missing", "the token lacks the scope that is needed; nor would its owner's record allow it", true},
		{"limited", "scope_missing", "the token's owner lacks the scope that is needed", true},
		{"unknown", "forward", "forwarded until 2999-01-01", true},
		{"replaced", "token_revoked", "the secret has been replaced", true},
		{"unheard", "store_unavailable", "", true},
		{"", "token_missing", "", false},
	} {
		q, err := newQuestion(&explainRequest{Method: "GET", URL: "/x"})
		if err != nil {
			t.Fatal(err)
		}
		if c.secret != "" {
			q.request.Header.Set("Authorization", "Bearer "+c.secret)
		}
		q.find = func(secret string) error {
			switch secret {
			case "known":
				q.with(known, nil)
			case "forbidden":
				q.with(known, owner)
			case "limited":
				q.with(reader, owner)
			case "unknown":
				q.without(registry.ErrUnknown)
			case "replaced":
				q.without(fmt.Errorf("%w, t1", registry.ErrRetired))
			default:
				return errNotYet
			}
			return nil
		}
		e := h.explain(&q)
		if e.Decision != c.decision || !strings.Contains(e.Detail, c.detail) || e.TokenJudged != c.judged || (e.Token != nil) != (c.detail != "" && c.secret != "unknown" && c.secret != "replaced") {
			t.Errorf("%q: %+v, want %s", c.secret, e, c.decision)
		}
		if (e.Found == "bearer") != c.judged {
			t.Errorf("%q: found in %q", c.secret, e.Found)
		}
	}
}

// The server that runs by the Caddyfile in the current directory is asked for the
// token, whether or not that file is named.
func TestExplainAsksWhereTheCaddyfileSays(t *testing.T) {
	var asked []string
	server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		io.WriteString(w, `{"id":"abc","status":"active","grants":[]}`)
	}))
	defer server.Close()
	t.Chdir(t.TempDir())
	caddyfile := "{\n\tadmin " + server.Listener.Addr().String() + "\n}\nhttp://a.test {\n\tpatgate {\n\t\troute GET /a any\n\t}\n}\n"
	if err := os.WriteFile("Caddyfile", []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{{}, {"--config", "Caddyfile"}} {
		asked = nil
		out, stderr, err := runPolicy(t, append([]string{"explain", "GET", "/a", "--token", "abc"}, flags...)...)
		if err != nil || len(asked) != 1 || !strings.Contains(out, "forward") {
			t.Errorf("explain %v: %v %s asks for %q and prints\n%s", flags, err, stderr, asked, out)
		}
	}
}

// What explain says is of no use to one who takes a file's policy for that of the running
// server. Only the server knows its own, and the environment that it runs in.
func TestExplainSaysWhosePolicy(t *testing.T) {
	var asked []string
	server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if r.URL.Path == "/patgate/explain" {
			io.WriteString(w, `{"request":"GET /a","decision":"scope_missing","status":403}`)
			return
		}
		io.WriteString(w, `{"id":"abc","status":"active","grants":[]}`)
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	t.Chdir(t.TempDir())
	caddyfile := "{\n\tadmin " + address + "\n}\nhttp://a.test {\n\tpatgate {\n\t\troute GET /a any\n\t}\n}\n"
	if err := os.WriteFile("Caddyfile", []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	const ofFile, hint = "of the file Caddyfile", "; --address has the running server judge by its own"
	for _, row := range []struct{ args, policy, source, decision, asked string }{
		{"", ofFile, `{"file":"Caddyfile"}`, "token_missing", ""},
		{"--token abc", ofFile + hint, `{"file":"Caddyfile"}`, "forward", "/patgate/tokens/abc"},
		{"--token abc --config Caddyfile --address " + address, ofFile + hint, `{"file":"Caddyfile"}`, "forward", "/patgate/tokens/abc"},
		{"--token abc --address " + address, "of the server at " + address, `{"server":"` + address + `"}`, "scope_missing", "/patgate/explain"},
		{"--address " + address, "of the server at " + address, `{"server":"` + address + `"}`, "scope_missing", "/patgate/explain"},
	} {
		asked = nil
		args := append([]string{"explain", "GET", "/a"}, strings.Fields(row.args)...)
		out, stderr, err := runPolicy(t, args...)
		if err != nil || !regexp.MustCompile(`(?m)^policy +`+regexp.QuoteMeta(row.policy)+`$`).MatchString(out) || !strings.Contains(out, "  "+row.decision) || strings.Join(asked, " ") != row.asked {
			t.Errorf("explain %s: %v %s asks for %q and prints\n%s\nwant the policy %s, %s", row.args, err, stderr, asked, out, row.policy, row.decision)
		}
		if out, stderr, err = runPolicy(t, append(args, "--json")...); err != nil || !strings.Contains(out, `"policy":`+row.source) {
			t.Errorf("explain %s --json: %v %s\n%s\nwant %s", row.args, err, stderr, out, row.source)
		}
	}
	if _, stderr, _ := runPolicy(t, "explain", "GET", "/a", "--address", "localhost:1"); strings.Contains(stderr, "Caddyfile") || !strings.Contains(stderr, "localhost:1") {
		t.Errorf("without a server: %s", stderr)
	}
}
