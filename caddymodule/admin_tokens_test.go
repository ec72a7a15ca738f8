package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

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
