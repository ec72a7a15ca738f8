package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/logging" // writes logs to a file

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// adminServer is a running Caddy with the management API.
type adminServer struct {
	t      *testing.T
	dir    string
	client http.Client

	mu      sync.Mutex
	answers bytes.Buffer // all but those that are to have a secret
	secrets []string
}

const adminCaddyfile = `{
	admin unix/%[1]s/admin.sock
	persist_config off
	auto_https off
	log {
		level DEBUG
		output file %[1]s/log
	}
	patgate {
		store embedded %[1]s/tokens.db
		scopes {
			stories:read  "Read stories"
			stories:write "Change stories" implies stories:read alias write_content
		}
	}
}
http://localhost {
	bind unix/%[1]s/site.sock
	patgate {
		route GET /v1/spaces/{space}/stories stories:read
	}
}
`

func newAdminServer(t *testing.T) *adminServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "patgate") // short: the addresses of sockets are
	if err != nil {
		t.Fatal(err)
	}
	s := &adminServer{t: t, dir: dir}
	s.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
	}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	s.load(fmt.Sprintf(adminCaddyfile, dir))
	return s
}

func (s *adminServer) load(caddyfile string) {
	s.t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		s.t.Fatal(err)
	}
}

// do sends a request and returns its answer, which it remembers unless it is to
// have a secret.
func (s *adminServer) do(method, path, body string, header ...string) (*http.Response, []byte) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://127.0.0.1/patgate/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	var made rest.TokenSecret
	s.mu.Lock()
	defer s.mu.Unlock()
	if json.Unmarshal(answer, &made) == nil && made.Secret != "" && method == "POST" && (path == "tokens" || strings.HasSuffix(path, "/regenerate")) {
		s.secrets = append(s.secrets, made.Secret)
	} else {
		fmt.Fprintf(&s.answers, "%s %s: %v %s\n", method, path, resp.Header, answer)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		s.t.Errorf("%s %s: Cache-Control %q, want no-store", method, path, got)
	}
	return resp, answer
}

// want sends a request that is to be answered with this status, and returns the
// answer.
func want[T any](s *adminServer, status int, method, path, body string) (answer T) {
	s.t.Helper()
	resp, text := s.do(method, path, body)
	if resp.StatusCode != status {
		s.t.Fatalf("%s %s %s = %d %s, want %d", method, path, body, resp.StatusCode, text, status)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		s.t.Fatalf("%s %s answers %s: %v", method, path, text, err)
	}
	return answer
}

// create makes a token and returns its id and its secret.
func (s *adminServer) create(owner string) (id, secret string) {
	s.t.Helper()
	made := want[rest.TokenSecret](s, 201, "POST", "tokens",
		fmt.Sprintf(`{"name":"ci","owner":%q,"grants":[{"spaces":["1"],"scopes":["stories:read"]}]}`, owner))
	return made.Token.ID, made.Secret
}

func ids(tokens []token.View) (ids []string) {
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	return ids
}

// TestAdmin asks a running Caddy. There is one Caddy in a process, so all tests
// of the management API share it.
func TestAdmin(t *testing.T) {
	s := newAdminServer(t)
	for _, test := range []struct {
		name string
		run  func(*adminServer)
	}{
		{"token", testAdminToken},
		{"grants", testAdminGrants},
		{"list", testAdminList},
		{"end", testAdminEnd},
		{"owners", testAdminOwners},
		{"sorted list", testAdminSorted},
		{"events", testAdminEvents},
		{"owners' limits", testAdminOwnerLimits},
		{"import", testAdminImport},
		{"refusals", testAdminRefusals},
		{"actor", testAdminActor},
		{"status", testAdminStatus},
		{"secrets", testAdminSecrets}, // looks at all that the others were answered
		{"no store", testAdminNoStore},
		{"not configured", testAdminNotConfigured},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			test.run(s)
		})
	}
}

func testAdminToken(s *adminServer) {
	resp, body := s.do("POST", "tokens", `{"name":"ci","description":"d","owner":"alice","allowed_ips":["10.1.2.3/8"],"expires_in":"12h",
		"grants":[{"spaces":["1"],"scopes":["stories:read"]}]}`)
	if resp.StatusCode != 201 || resp.Header.Get("Content-Type") != "application/json" {
		s.t.Fatalf("create = %d %v %s, want 201", resp.StatusCode, resp.Header, body)
	}
	var made map[string]json.RawMessage
	if err := json.Unmarshal(body, &made); err != nil || len(made) != 2 {
		s.t.Fatalf("create answers %s, want token and secret", body)
	}
	var fields map[string]any
	if err := json.Unmarshal(made["token"], &fields); err != nil {
		s.t.Fatal(err)
	}
	id := fields["id"].(string)
	keys := []string{
		"allowed_ips", "created_at", "created_by", "description", "expires_at", "grants", "hint", "id",
		"last_used_at", "last_used_ip", "name", "owner", "revoked_at", "status",
	}
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, keys) {
		s.t.Errorf("a token has the keys %v, want %v", got, keys)
	}
	if got := fmt.Sprintf("%v %v %v %v", fields["grants"], fields["allowed_ips"], fields["status"], fields["revoked_at"]); got !=
		"[map[resources:[*] scopes:[stories:read] spaces:[1]]] [10.0.0.0/8] active <nil>" {
		s.t.Errorf("the new token has %s", got)
	}
	if got, want := resp.Header.Get("Location"), "/patgate/tokens/"+id; got != want {
		s.t.Errorf("Location %q, want %q", got, want)
	}

	if got := want[map[string]any](s, 200, "GET", "tokens/"+id, ""); fmt.Sprint(got) != fmt.Sprint(fields) {
		s.t.Errorf("GET answers %v, want what create did: %v", got, fields)
	}
	if got := want[token.View](s, 200, "PATCH", "tokens/"+id, `{"name":"renamed","allowed_ips":[]}`); got.Name != "renamed" || got.Description != "d" || len(got.AllowedIPs) > 0 {
		s.t.Errorf("PATCH answers %+v, want the name and the addresses changed and nothing else", got)
	}

	old := s.secrets[len(s.secrets)-1]
	renewed := want[rest.TokenSecret](s, 200, "POST", "tokens/"+id+"/regenerate", `{"expires_in":"24h","overlap":"1h"}`)
	if renewed.Token.ID != id || renewed.Secret == old {
		s.t.Errorf("regenerate answers %s with another id or the old secret", renewed.Token.ID)
	}
	for _, secret := range []string{old, renewed.Secret} { // the old one by its overlap
		if got := want[token.View](s, 200, "POST", "verify", fmt.Sprintf(`{"secret":%q}`, secret)); got.ID != id {
			s.t.Errorf("verify finds token %s, want %s", got.ID, id)
		}
	}
	want[rest.TokenSecret](s, 200, "POST", "tokens/"+id+"/regenerate", "") // as configured, at once
	for _, c := range []struct {
		secret string
		status int
		reason policy.Reason
	}{{old, 404, policy.TokenRevoked}, {token.NewSecret("pat"), 404, policy.TokenUnknown}, {old + "x", 400, policy.TokenMalformed}} {
		if p := want[rest.Problem](s, c.status, "POST", "verify", fmt.Sprintf(`{"secret":%q}`, c.secret)); p.Reason != c.reason.String() {
			s.t.Errorf("verify: %+v, want reason %s", p, c.reason)
		}
	}
}

func testAdminGrants(s *adminServer) {
	id, _ := s.create("alice")
	grants := "tokens/" + id + "/grants"
	count := func(method, path, body string, n int) {
		s.t.Helper()
		if got := want[token.View](s, 200, method, path, body); len(got.Grants) != n {
			s.t.Errorf("%s %s answers %d grants, want %d", method, path, len(got.Grants), n)
		}
	}
	count("POST", grants, `{"spaces":["2"],"scopes":["stories:*"]}`, 2)
	count("POST", grants, `{"spaces":["2"],"scopes":["stories:*"]}`, 2) // held already
	count("DELETE", grants+"/1", "", 1)
	count("POST", grants, `{"spaces":["3"],"scopes":["stories:read"],"resources":["7"]}`, 2)
	count("DELETE", grants, "", 0)
	want[rest.Problem](s, 404, "DELETE", grants+"/1", "")
	want[rest.Problem](s, 400, "DELETE", grants+"/first", "")
}

func testAdminList(s *adminServer) {
	var made []string
	for range 5 {
		id, _ := s.create("lister")
		made = append(made, id)
	}
	slices.Sort(made)
	slices.Reverse(made)
	var listed []string
	cursor := ""
	for {
		page := want[rest.TokenPage](s, 200, "GET", "tokens?owner=lister&limit=2&cursor="+cursor, "")
		if len(page.Tokens) > 2 {
			s.t.Errorf("a page has %d tokens, want 2 at most", len(page.Tokens))
		}
		listed = append(listed, ids(page.Tokens)...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	slices.Sort(listed)
	slices.Reverse(listed)
	if !slices.Equal(listed, made) {
		s.t.Errorf("the pages list %v, want %v", listed, made)
	}

	ownerless, _ := s.create("")
	want[rest.Revocation](s, 200, "POST", "tokens/"+made[0]+"/revoke", "")
	for query, number := range map[string]int{
		"owner=lister":                5,
		"owner=lister&status=active":  4,
		"owner=lister&status=revoked": 1,
		"owner=lister&status=expired": 0,
		"owner=lister&status=all":     5,
		"owner=lister&space=1":        5,
		"owner=lister&space=2":        0,
		"owner=lister&scope=stories:read&space=&status=&limit=&cursor=": 5,
		"owner=lister&scope=stories:write":                              0,
		"owner=nobody":                                                  0,
	} {
		if got := want[rest.TokenPage](s, 200, "GET", "tokens?"+query, ""); len(got.Tokens) != number || got.Tokens == nil {
			s.t.Errorf("%s lists %d tokens (null: %t), want %d", query, len(got.Tokens), got.Tokens == nil, number)
		}
	}
	if got := want[rest.TokenPage](s, 200, "GET", "tokens?unowned=true&owner=", ""); !slices.Equal(ids(got.Tokens), []string{ownerless}) {
		s.t.Errorf("unowned=true lists %v, want the token without an owner, %s", ids(got.Tokens), ownerless)
	}
	all := want[rest.TokenPage](s, 200, "GET", "tokens", "")
	if got := want[rest.TokenPage](s, 200, "GET", "tokens?owner=&status=&space=&scope=&limit=&cursor=&unowned=", ""); !slices.Equal(ids(got.Tokens), ids(all.Tokens)) {
		s.t.Errorf("with empty filters, %d tokens are listed, want all %d", len(got.Tokens), len(all.Tokens))
	}
	allDone := want[rest.EventPage](s, 200, "GET", "events", "")
	if got := want[rest.EventPage](s, 200, "GET", "events?owner=&unowned=false", ""); len(got.Events) != len(allDone.Events) {
		s.t.Errorf("with an empty owner, %d events are listed, want all %d", len(got.Events), len(allDone.Events))
	}
	for since, number := range map[string]int{"1h": len(allDone.Events), "2999-01-01": 0} {
		if got := want[rest.EventPage](s, 200, "GET", "events?since="+since, ""); len(got.Events) != number {
			s.t.Errorf("%d events are listed since %s, want %d of %d", len(got.Events), since, number, len(allDone.Events))
		}
	}
	if got := want[rest.EventPage](s, 200, "GET", "events?unowned=true", ""); len(got.Events) == 0 || len(got.Events) >= len(allDone.Events) ||
		slices.ContainsFunc(got.Events, func(e registry.Event) bool { return e.Owner != "" }) {
		s.t.Errorf("events of tokens without an owner: %v", got.Events)
	}
}

func testAdminEnd(s *adminServer) {
	everywhere := rest.Gateways{Acknowledged: 1}
	one, _ := s.create("ender")
	two, _ := s.create("ender")
	three, _ := s.create("ender")

	check := func(got rest.Revocation, ids ...string) {
		s.t.Helper()
		slices.Sort(ids)
		if slices.Sort(got.Revoked); !slices.Equal(got.Revoked, ids) || got.Revoked == nil || got.Gateways != everywhere {
			s.t.Errorf("revoked %v, taken in by %+v, want %v, %+v", got.Revoked, got.Gateways, ids, everywhere)
		}
	}
	check(want[rest.Revocation](s, 200, "POST", "tokens/"+one+"/revoke", ""), one)
	want[rest.Problem](s, 404, "POST", "tokens/revoke", fmt.Sprintf(`{"ids":[%q,"unknown"]}`, two))
	if got := want[token.View](s, 200, "GET", "tokens/"+two, ""); got.Status != token.Active {
		s.t.Errorf("token %s is %s after a revocation of several, one of them unknown; want it active", two, got.Status)
	}
	check(want[rest.Revocation](s, 200, "POST", "tokens/revoke", fmt.Sprintf(`{"ids":[%q]}`, two)), two)
	check(want[rest.Revocation](s, 200, "POST", "tokens/revoke", `{"owner":"ender"}`), three)
	check(want[rest.Revocation](s, 200, "POST", "tokens/revoke", `{"owner":"ender"}`))

	for _, body := range []string{"{}", `{"owner":""}`, `{"ids":[]}`, fmt.Sprintf(`{"owner":"ender","ids":[%q]}`, one)} {
		want[rest.Problem](s, 400, "POST", "tokens/revoke", body)
		want[rest.Problem](s, 400, "POST", "tokens/delete", body)
	}
	want[rest.Problem](s, 404, "POST", "tokens/delete", fmt.Sprintf(`{"ids":[%q,"unknown"]}`, two)) // and two stays
	for _, query := range []string{"", "?owner=", "?id=", "?owner=ender&id=" + one, "?owner=ender&owner=alice", "?Owner=ender"} {
		want[rest.Problem](s, 400, "DELETE", "tokens"+query, "")
	}
	want[rest.Problem](s, 400, "DELETE", "tokens?owner=ender", `{"status":"revoked"}`) // would be ignored
	if got := want[rest.TokenPage](s, 200, "GET", "tokens?owner=ender", ""); len(got.Tokens) != 3 {
		s.t.Fatalf("%d tokens are left after refused deletions, want 3", len(got.Tokens))
	}
	if got := want[rest.Deletion](s, 200, "DELETE", "tokens/"+one, ""); !slices.Equal(got.Deleted, []string{one}) || got.Gateways != everywhere {
		s.t.Errorf("deleting one answers %+v", got)
	}
	want[rest.Problem](s, 404, "DELETE", "tokens?id="+two+"&id="+one, "")
	if got := want[rest.Deletion](s, 200, "DELETE", "tokens?id="+two+"&id="+two, ""); !slices.Equal(got.Deleted, []string{two}) {
		s.t.Errorf("deleting by id answers %+v", got)
	}
	if got := want[rest.Deletion](s, 200, "DELETE", "tokens?owner=ender", ""); !slices.Equal(got.Deleted, []string{three}) {
		s.t.Errorf("deleting by owner answers %+v", got)
	}
	want[rest.Problem](s, 404, "GET", "tokens/"+three, "")
}

func testAdminOwners(s *adminServer) {
	all := []string{"alice", "a b", "a+b", "a/b", "ünï/çødé 漢", "a//b", ".", "..", "a%2Fb", "a?b#c", " x ", "*", "a+b&c=d"}
	for _, id := range all {
		path := strings.TrimPrefix(apiPath("owners", id), "/patgate/")
		want[rest.Problem](s, 404, "GET", path, "")
		want[rest.Problem](s, 404, "DELETE", path, "")
		if got := want[token.Owner](s, 200, "PUT", path, `{"grants":[{"scopes":["stories:*"]}]}`); got.ID != id || !got.Enabled || got.Admin ||
			fmt.Sprint(got.Grants) != "[{[*] [stories:*] [*]}]" {
			s.t.Errorf("PUT %s answers %+v", path, got)
		}
		if got := want[token.Owner](s, 200, "PUT", path, `{"enabled":false}`); got.Enabled || fmt.Sprint(got.Grants) != "[{[*] [stories:*] [*]}]" {
			s.t.Errorf("PUT %s with enabled answers %+v, want the rest as it was", path, got)
		}
		if got := want[token.Owner](s, 200, "GET", path, ""); got.ID != id || got.Enabled {
			s.t.Errorf("GET %s answers %+v", path, got)
		} else if text, err := json.Marshal(got); err != nil {
			s.t.Fatal(err)
		} else if again := want[token.Owner](s, 200, "PUT", path, string(text)); again.ID != id || again.Enabled || fmt.Sprint(again.Grants) != fmt.Sprint(got.Grants) {
			s.t.Errorf("PUT %s with what GET answers is answered %+v", path, again)
		}
	}
	slices.Sort(all)
	var listed []string
	for query := "owners?limit=1"; len(listed) <= len(all); {
		page := want[ownerPage](s, 200, "GET", query, "")
		for _, o := range page.Owners {
			listed = append(listed, o.ID)
		}
		if page.Next == "" {
			break
		}
		query = "owners?limit=1&cursor=" + page.Next // as it is: it needs no escaping
	}
	if !slices.Equal(listed, all) {
		s.t.Errorf("the pages list %q, want %q", listed, all)
	}
	for _, id := range all {
		if got := want[rest.Deletion](s, 200, "DELETE", strings.TrimPrefix(apiPath("owners", id), "/patgate/"), ""); !slices.Equal(got.Deleted, []string{id}) {
			s.t.Errorf("deleting owner %q answers %+v", id, got)
		}
	}
	if got := want[ownerPage](s, 200, "GET", "owners", ""); got.Owners == nil || len(got.Owners) != 0 {
		s.t.Errorf("owners are listed as %v, want []", got.Owners)
	}
}

func testAdminImport(s *adminServer) {
	secret := "an-existing-systems-token"
	s.secrets = append(s.secrets, secret)
	lines := fmt.Sprintf(`{"name":"old","owner":"importer","grants":[{"spaces":["*"],"scopes":["stories:read"]}],"secret":%q}`, secret) + "\n\n"
	if got := want[map[string]int](s, 200, "POST", "import", lines); got["imported"] != 1 || got["skipped"] != 0 {
		s.t.Errorf("import answers %v", got)
	}
	if got := want[token.View](s, 200, "POST", "verify", fmt.Sprintf(`{"secret":%q}`, secret)); got.Name != "old" || got.ExpiresAt != nil {
		s.t.Errorf("the imported token is %+v", got)
	}

	// More than any other request may be.
	var large strings.Builder
	description := strings.Repeat("d", token.MaxDescriptionLength)
	for large.Len() <= rest.MaxBody {
		fmt.Fprintf(&large, `{"name":"bulk","owner":"bulk","description":%q,"digest":"sha256:%064x"}`+"\n", description, large.Len()+1)
	}
	number := strings.Count(large.String(), "\n")
	if got := want[map[string]int](s, 200, "POST", "import", large.String()); got["imported"] != number {
		s.t.Errorf("a large import answers %v, want %d imported", got, number)
	}

	resp, export := s.do("GET", "export", "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		s.t.Fatalf("export = %d %v", resp.StatusCode, resp.Header)
	}
	if got := want[map[string]int](s, 200, "POST", "import", string(export)); got["imported"] != 0 || got["skipped"] != bytes.Count(export, []byte("\n")) {
		s.t.Errorf("importing the export answers %v, want everything skipped", got)
	}
	problem := want[rest.Problem](s, 400, "POST", "import", lines+`{"nme":"x"}`)
	if !strings.Contains(problem.Detail, "line 3") || !strings.Contains(problem.Detail, `"nme"`) {
		s.t.Errorf("a bad line is answered %q", problem.Detail)
	}
	if conflict := want[rest.Problem](s, 409, "POST", "import", strings.Replace(lines, `"name"`, `"id":"other","name"`, 1)); !strings.Contains(conflict.Detail, "line 1") {
		s.t.Errorf("a secret that is there is answered %q", conflict.Detail)
	}
	want[rest.Deletion](s, 200, "DELETE", "tokens?owner=bulk", "")
}

func testAdminRefusals(s *adminServer) {
	id, secret := s.create("alice")
	for _, test := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"POST", "tokens", ``, 400, "ends too early"},
		{"POST", "tokens", `{`, 400, "ends too early"},
		{"POST", "tokens", `[]`, 400, "want a JSON object"},
		{"POST", "tokens", `{"name":"x","full":true,"scpoes":[]}`, 400, `unknown key "scpoes"`},
		{"POST", "tokens", `{"name":"x","full":true,"name":"y"}`, 400, `"name" is given twice`},
		{"POST", "tokens", `{"name":"x","full":true} {}`, 400, "something follows"},
		{"POST", "tokens", `{"full":true}`, 400, "name"},
		{"POST", "tokens", `{"name":"x"}`, 400, "does not guess a space"},
		{"POST", "tokens", `{"name":"x","grants":[{"scopes":["stories:read"]}]}`, 400, "--space"},
		{"POST", "tokens", `{"name":"x","grants":[{"spaces":["1"],"scopes":["stories:raed"]}]}`, 400, "nearest: stories:read"},
		{"POST", "tokens", `{"name":"x","full":true,"no_expiry":true}`, 400, "never expire"},
		{"POST", "tokens", `{"name":"x","full":true,"expires_in":"2y"}`, 400, "expires_in"},
		{"POST", "tokens", `{"name":"` + strings.Repeat("x", rest.MaxBody) + `"}`, 413, "larger than"},
		{"POST", "tokens?dry_run=1", `{"name":"x","full":true}`, 400, `"dry_run"; there are none here`},
		{"PUT", "tokens", ``, 405, "GET, HEAD, POST, DELETE"},
		{"GET", "tokens?limit=0", ``, 400, "limit"},
		{"GET", "tokens?limit=1001", ``, 400, "1 to 1000"},
		{"GET", "tokens?limit=x", ``, 400, "limit"},
		{"GET", "tokens?cursor=%00", ``, 400, "cursor"},
		{"GET", "tokens?cursor=bogus", ``, 400, "cursor"},
		{"GET", "tokens?status=gone", ``, 400, "status"},
		{"GET", "tokens?scope=a|b", ``, 400, "scope"},
		{"GET", "tokens?stauts=revoked", ``, 400, `"stauts"; there are owner, unowned, status`},
		{"GET", "tokens?owner=a&owner=b", ``, 400, "twice"},
		{"GET", "tokens?a;b", ``, 400, "query"},
		{"GET", "tokens/unknown", ``, 404, "token unknown: not found"},
		{"GET", "tokens/not%20an%20id", ``, 400, "id"},
		{"GET", "tokens/" + id + "?x=1", ``, 400, `"x"`},
		{"GET", "tokens/", ``, 404, "nothing at"},
		{"PATCH", "tokens/" + id, `{"owner":"bob"}`, 400, `unknown key "owner"`},
		{"PATCH", "tokens/" + id, `{"name":""}`, 400, "name"},
		{"POST", "tokens/" + id, `{}`, 405, "GET, HEAD, PATCH, DELETE"},
		{"POST", "tokens/" + id + "/revoke", `{"reason":"lost"}`, 400, `unknown key "reason"`},
		{"POST", "tokens/unknown/revoke", ``, 404, "unknown"},
		{"GET", "tokens/" + id + "/revoke", ``, 405, "POST"},
		{"POST", "tokens/unknown/regenerate", ``, 404, "unknown"},
		{"POST", "tokens/" + id + "/regenerate", `{"overlap":"-1h"}`, 400, "negative"},
		{"POST", "tokens/" + id + "/grants", `{"scope":"x"}`, 400, `unknown key "scope"`},
		{"DELETE", "tokens/" + id + "/grants/2", ``, 404, "grant"},
		{"DELETE", "tokens/" + id + "/grants/+1", ``, 400, "counted from 1"},
		{"DELETE", "tokens/" + id + "/grants/01", ``, 400, "counted from 1"},
		{"DELETE", "tokens/" + id + "/grants/0", ``, 400, "counted from 1"},
		{"DELETE", "tokens/" + id + "/grants/x", ``, 400, "counted from 1"},
		{"POST", "tokens/" + id + "/revoke?wait=1h", ``, 400, `wait: "1h"; want a duration such as 2s, at most 1m`},
		{"POST", "verify", `{"secret":"` + secret + `x"}`, 400, "malformed"},
		{"POST", "verify", `{"secret":"` + token.NewSecret("pat") + `"}`, 404, "unknown"},
		{"GET", "verify", ``, 405, "POST"},
		{"PUT", "owners/alice", ``, 400, "ends too early"},
		{"PUT", "owners/alice", `{"grant":[]}`, 400, `unknown key "grant"`},
		{"PUT", "owners/alice", `{"id":"bob"}`, 400, `"bob" isn't the owner of the path`},
		{"PUT", "owners/a%00b", `{}`, 400, "control character"},
		{"POST", "owners", `{}`, 405, "GET, HEAD"},
		{"GET", "owners/nobody", ``, 404, `owner "nobody"`},
		{"GET", "owners?after=x", ``, 400, `"after"; there are limit, cursor`},
		{"GET", "tokens?sort=age", ``, 400, `sort "age": want created, name`},
		{"GET", "tokens?sort=name&cursor=x", ``, 400, "cursor"},
		{"PUT", "owners/x", `{"grants":[{}]}`, 400, `name spaces or scopes; for no ceiling at all, "full":true`},
		{"PUT", "owners/x", `{"grants":[{"spaces":null,"resources":["7"]}]}`, 400, "name spaces or scopes"},
		{"GET", "tokens?unowned=yes", ``, 400, `unowned: "yes"; want true or false`},
		{"GET", "events?unowned=true&owner=a", ``, 400, "give one of them"},
		{"GET", "owners?cursor=alice", ``, 400, "cursor"},
		{"GET", "owners?cursor=%00", ``, 400, "cursor"},
		{"GET", "owners?cursor=%ff", ``, 400, "cursor"},
		{"GET", "owners?cursor=Y3JlYXRlZAAwMWtibjRteGtwejh0MnJ3eTNjNXE3ZDllZgA", ``, 400, "cursor"}, // of tokens
		{"GET", "tokens?expiring=soon", ``, 400, "expiring"},
		{"GET", "tokens?unused=-1d", ``, 400, "unused"},
		{"GET", "events?limit=0", ``, 400, "limit"},
		{"GET", "events?cursor=x", ``, 400, "cursor"},
		{"GET", "events?after=-1", ``, 400, "after"},
		{"GET", "events?after=1&cursor=1", ``, 400, "not both"},
		{"GET", "events?wait=1s", ``, 400, "wait: goes with after"},
		{"GET", "events?token=a/b", ``, 400, "id"},
		{"GET", "events?sinse=1d", ``, 400, `"sinse"; there are token, owner`},
		{"GET", "events?since=yesterday", ``, 400, "since: want a duration such as 24h"},
		{"GET", "events?since=-1h", ``, 400, "since: want a duration such as 24h"},
		{"GET", "events?since=1h&after=1", ``, 400, "not both"},
		{"PUT", "owners/alice", `{"max_tokens":-1}`, 400, "max_tokens"},
		{"PUT", "owners/alice", `{"max_tokens":1.5}`, 400, "max_tokens: want a whole number"},
		{"POST", "tokens/revoke?foo=1", `{"owner":"alice"}`, 400, `"foo"; there is wait`},
		{"POST", "tokens", `{"name":"\ud800","full":true}`, 400, "surrogate"},
		{"POST", "import", `{"name":"\ud800"}`, 400, "line 1: not valid UTF-8"},
		{"POST", "tokens", `{"` + secret + `":1}`, 400, `unknown key "pat_REDACTED"`},
		{"POST", "import", `{"` + secret + `":1}`, 400, `unknown key "pat_REDACTED"`},
		{"GET", "tokens?status=" + token.NewSecret("pat"), ``, 400, "pat_REDACTED"},
		{"GET", token.NewSecret("pat"), ``, 404, "nothing at /patgate/pat_REDACTED"},
		{"GET", "nothing", ``, 404, "nothing at /patgate/nothing"},
		{"GET", "", ``, 404, "nothing at"},
	} {
		name := fmt.Sprintf("%s %s %.60s", test.method, test.path, test.body)
		resp, body := s.do(test.method, test.path, test.body)
		var p map[string]any
		if err := json.Unmarshal(body, &p); err != nil {
			s.t.Errorf("%s: answers %s, want a problem", name, body)
			continue
		}
		detail, _ := p["detail"].(string)
		if resp.StatusCode != test.status || !strings.Contains(detail, test.detail) {
			s.t.Errorf("%s = %d %q, want %d, %q", name, resp.StatusCode, detail, test.status, test.detail)
		}
		delete(p, "reason") // some have one
		if resp.Header.Get("Content-Type") != "application/problem+json" || p["status"] != float64(test.status) ||
			p["title"] != http.StatusText(test.status) || p["type"] == nil || len(p) != 4 {
			s.t.Errorf("%s: answers %v %s, want a problem", name, resp.Header, body)
		}
		if allow := resp.Header.Get("Allow"); (test.status == 405) != (allow != "") || allow != "" && allow != test.detail {
			s.t.Errorf("%s: Allow %q, want it with 405 only: %s", name, allow, test.detail)
		}
	}
}

func testAdminActor(s *adminServer) {
	for sent, name := range map[string]string{"": "admin", "cli": "cli", "alice": "admin"} {
		resp, body := s.do("POST", "tokens", `{"name":"x","full":true}`, "Patgate-Client", sent)
		var made rest.TokenSecret
		if err := json.Unmarshal(body, &made); err != nil || resp.StatusCode != 201 {
			s.t.Fatalf("create = %d %s", resp.StatusCode, body)
		}
		if made.Token.CreatedBy != name {
			s.t.Errorf("Patgate-Client: %q makes a token by %q, want %q", sent, made.Token.CreatedBy, name)
		}
	}
}

func testAdminStatus(s *adminServer) {
	status := want[serverStatus](s, 200, "GET", "status", "")
	if status.Store.Kind != "embedded" || status.Store.Location != filepath.Join(s.dir, "tokens.db") || status.Store.Tokens == 0 || status.Store.Position == 0 {
		s.t.Errorf("the store is %+v", status.Store)
	}
	if len(status.Store.Gateways) != 1 || status.Store.Gateways[0].Follows != status.Store.Position {
		s.t.Errorf("the gateways are %+v, want this one, at position %d", status.Store.Gateways, status.Store.Position)
	}
	if status.Version.Caddy == "" || status.Version.Patgate == "" {
		s.t.Errorf("the versions are %+v", status.Version)
	}
	scopes := want[map[string]any](s, 200, "GET", "scopes", "")
	if got := fmt.Sprint(scopes); got != "map[complete:true scopes:[map[description:Read stories name:stories:read] "+
		"map[aliases:[write_content] description:Change stories implies:[stories:read] name:stories:write]]]" {
		s.t.Errorf("scopes answers %s", got)
	}
	// Another name of a scope can be granted, for tokens that have it.
	made := want[rest.TokenSecret](s, 201, "POST", "tokens", `{"name":"old","owner":"alias","grants":[{"spaces":["1"],"scopes":["write_content"]}]}`)
	e := want[map[string]any](s, 200, "POST", "explain", fmt.Sprintf(`{"method":"GET","url":"/v1/spaces/1/stories","secret":%q}`, made.Secret))
	if e["decision"] != "forward" {
		s.t.Errorf("explain with a token that holds an alias: %v, want forward", e)
	}
}

// testAdminSecrets looks for every secret in everything that was answered and
// logged.
func testAdminSecrets(s *adminServer) {
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("/patgate/tokens")) || !bytes.Contains(log, []byte(`"logger":"patgate.audit","msg":"regenerated","actor":"admin"`)) {
		s.t.Error("the log lacks the requests or the changes")
	}
	if len(s.secrets) < 10 {
		s.t.Errorf("only %d secrets to look for", len(s.secrets))
	}
	for _, secret := range s.secrets {
		// What is behind the hint is enough to give it away.
		if part := secret[8 : len(secret)-2]; bytes.Contains(s.answers.Bytes(), []byte(part)) {
			s.t.Errorf("a secret is in an answer")
		} else if bytes.Contains(log, []byte(part)) {
			s.t.Errorf("a secret is in the log")
		}
	}
}

// testAdminNoStore asks for what the store can't do any more.
func testAdminNoStore(s *adminServer) {
	running, err := caddy.ActiveContext().AppIfConfigured("patgate")
	if err != nil {
		s.t.Fatal(err)
	}
	opened, err := running.(*App).open()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := opened.store.Close(); err != nil {
		s.t.Fatal(err)
	}
	for _, request := range []struct{ method, path, body string }{
		{"GET", "tokens", ""},
		{"GET", "tokens/x", ""},
		{"POST", "tokens", `{"name":"x","full":true}`},
		{"POST", "verify", `{"secret":"an-existing-systems-token"}`},
		{"GET", "export", ""},
	} {
		want[rest.Problem](s, 503, request.method, request.path, request.body)
	}
	// This is when the status is wanted most. What the lookout was just asking it finds
	// refused, not gone, and looks again.
	redistest.Await(s.t, "the status with the store closed", func() error {
		status := want[serverStatus](s, 200, "GET", "status", "")
		if status.Store.Error == "" || status.Store.Kind != "embedded" || status.Cache.MaxStale != "1m" {
			s.t.Fatalf("with the store closed, the status is %+v", status)
		}
		var out strings.Builder
		printStatus(&out, status)
		if !strings.Contains(out.String(), "CAN'T BE ASKED: token store ") || strings.Contains(out.String(), "GATEWAY") {
			return fmt.Errorf("it prints\n%s", &out)
		}
		return nil
	})
}

func testAdminNotConfigured(s *adminServer) {
	s.load(fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tpersist_config off\n}\n", s.dir))
	s.client.CloseIdleConnections()
	redistest.Await(s.t, "the endpoint of before to be gone", func() error { // which may take a connection, and close it
		resp, err := s.client.Get("http://127.0.0.1/patgate/status")
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	if got := want[rest.Problem](s, 404, "GET", "status", ""); !strings.Contains(got.Detail, "isn't configured") {
		s.t.Errorf("without patgate, the answer is %q", got.Detail)
	}
}

// Who asks before the server has started is answered when it has: its admin endpoint is
// there before.
func TestAdminWaitsForStart(t *testing.T) {
	ask := func(ctx context.Context) int {
		w := httptest.NewRecorder()
		route := adminRoute{handle: func(c *adminCall) (any, error) { return c.app.Token.Prefix, nil }}
		if err := route.serve(w, httptest.NewRequestWithContext(ctx, "GET", "/patgate/status", nil)); err != nil {
			t.Error(err)
		}
		return w.Code
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if got := ask(gone); got != 503 {
		t.Errorf("while nothing runs, and for no longer: %d, want 503", got)
	}
	answered := make(chan int)
	go func() { answered <- ask(t.Context()) }()
	newAdminServer(t)
	if got := <-answered; got != 200 {
		t.Errorf("while it starts: %d, want 200", got)
	}
}

// A request whose body never comes to its end is answered all the same, whether
// its body is asked for or not.
func TestAdminUnfinishedBody(t *testing.T) {
	was, wasLeft := bodyTime, leftTime
	bodyTime, leftTime = 20*time.Millisecond, 20*time.Millisecond
	t.Cleanup(func() { bodyTime, leftTime = was, wasLeft })
	s := newAdminServer(t)
	for request, want := range map[string]string{
		"GET /patgate/tokens":        "200",
		"GET /patgate/tokens?x=1":    "400",
		"GET /patgate/export":        "400",
		"GET /patgate/store/backup":  "400",
		"GET /patgate/events?wait=1": "400",
		"POST /patgate/tokens":       "400",
		"POST /patgate/store/check":  "400",
		"DELETE /patgate/tokens/a":   "400",
		"DELETE /patgate/report":     "200",
	} {
		t.Run(request, func(t *testing.T) {
			conn, err := net.Dial("unix", filepath.Join(s.dir, "admin.sock"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{", request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || !strings.HasPrefix(resp.Status, want) {
				t.Errorf("%+v, %v, want %s", resp, err, want)
			}
		})
	}
}
