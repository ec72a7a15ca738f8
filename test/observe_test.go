package test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// Where a request comes to several gates, what the last one says counts; that one of
// them was shown a token stays known.
func TestSeveralGates(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
http://api.test:{$PORT} {
	log
	route {
		patgate {
			route GET /a/{x} public
			route GET /b/{x} any
			route * /tokens/* public
		}
		handle_path /tokens/* {
			patgate {
				identity_headers off
				default any
			}
			patgate_console
		}
		patgate {
			route GET /a/{x} any
			route GET /b/{space} public
		}
		request_header X-Seen "{http.patgate.decision} {http.patgate.owner} {http.patgate.required_scope} {http.patgate.space} {http.auth.user.id}"
		reverse_proxy {$UPSTREAM}
	}
	handle_errors {
		header X-Seen "{http.patgate.decision} {http.patgate.owner} {http.patgate.required_scope} {http.auth.user.id}"
		respond "" {err.status_code}
	}
}`,
		tokens: []known{
			{name: "T", owner: "alice"},
			{name: "imported", owner: "alice", grants: grant("1", "x:read", "*"), secret: "of-another-system"},
		},
	})
	for _, row := range []struct{ target, token, want string }{
		{"/a/1", "T", "forward alice any  alice"},
		{"/b/1", "T", "forward  public 1 {http.auth.user.id}"},
	} {
		g.send(t, request{target: row.target}.with(g.bearer(row.token)))
		if got := g.upstream.take(); len(got) != 1 || got[0].line("X-Seen") != row.want {
			t.Errorf("%s: the upstream got %v, want %q seen", row.target, got, row.want)
		}
	}
	a := g.send(t, request{target: "/a/2"})
	if got := a.header.Get("X-Seen"); a.status != 401 || got != "token_missing  any {http.auth.user.id}" {
		t.Errorf("/a/2 without a token: %d, error routes see %q", a.status, got)
	}
	if field, _ := g.accessLog(t, "/a/2")["patgate"].(map[string]any); field["decision"] != "token_missing" {
		t.Errorf("the access log says %v", field)
	}
	for _, name := range []string{"T", "imported"} {
		r := request{method: "POST", target: "/tokens/api/tokens", body: `{"name":"evil","full":true}`}.with(g.bearer(name)).with("Content-Type: application/json")
		if a := g.send(t, r); a.status != 403 {
			t.Errorf("a token makes a token: %d %s", a.status, a.body)
		}
	}
}

// What the gate found out is there for later handlers, access logs and metrics.
func TestObservability(t *testing.T) {
	t.Parallel()
	s := setup{
		sites: `
http://api.test:{$PORT} {
	log
	patgate {
		route GET /public public
		route GET /spaces/{space}/stories/{id} stories:read {
			resource path.id
		}
	}
	request_header X-Seen "{http.patgate.decision} {http.patgate.owner} {http.patgate.space} {http.patgate.resource} {http.patgate.required_scope} {http.auth.user.id}"
	request_header X-Seen-Token "{http.patgate.token_id}"
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{
			{name: "T", owner: "alice", grants: grant("1", "stories:read", "*")},
			{name: "nobody", grants: grant("1", "stories:read", "*")},
		},
	}
	g := start(t, s)
	a := g.send(t, request{target: "/spaces/1/stories/7"}.with(g.bearer("T")))
	got := g.upstream.take()
	if len(got) != 1 {
		t.Fatal(a)
	}
	if seen := got[0].line("X-Seen"); seen != "forward alice 1 7 stories:read alice" {
		t.Errorf("later handlers see %q", seen)
	}
	id := got[0].line("X-Seen-Token")
	if id == "" || id != got[0].line("X-Patgate-Token") {
		t.Errorf("later handlers see token %q, the upstream %q", id, got[0].line("X-Patgate-Token"))
	}
	g.send(t, request{target: "/spaces/2/stories/8"}.with(g.bearer("T")))
	g.send(t, request{target: "/spaces//stories/9"})
	g.send(t, request{target: "/public", header: []string{"X-HTTP-Method-Override: DELETE", "X-Original-URL: /x", "X-Patgate-Owner: bob", "X-Tag~: 1"}})
	for _, row := range []struct {
		uri, user string
		want      map[string]any
	}{
		{"/spaces/1/stories/7", "alice", map[string]any{"decision": "forward", "token_id": id, "owner": "alice", "space": "1", "resource": "7", "required_scope": "stories:read"}},
		{"/spaces/2/stories/8", "alice", map[string]any{"decision": "space_not_granted", "token_id": id, "owner": "alice", "space": "2", "resource": "8", "required_scope": "stories:read"}},
		{"/spaces//stories/9", "", map[string]any{"decision": "ambiguous_request", "detail": "the path has an empty segment"}},
		{"/public", "", map[string]any{"decision": "forward", "required_scope": "public", "removed": []any{"X-Http-Method-Override", "X-Original-Url", "X-Tag~"}}},
	} {
		entry := g.accessLog(t, row.uri)
		if entry["user_id"] != row.user {
			t.Errorf("access log of %s: user_id %q, want %q", row.uri, entry["user_id"], row.user)
		}
		gotField, _ := json.Marshal(entry["patgate"])
		wantField, _ := json.Marshal(row.want)
		if !reflect.DeepEqual(entry["patgate"], any(row.want)) {
			t.Errorf("access log of %s: patgate %s, want %s", row.uri, gotField, wantField)
		}
	}

	check := func(when string) {
		t.Helper()
		metrics := g.metrics(t)
		for name, want := range map[string]string{
			`caddy_patgate_requests_total{decision="forward"}`:                "2",
			`caddy_patgate_requests_total{decision="space_not_granted"}`:      "1",
			`caddy_patgate_requests_total{decision="ambiguous_request"}`:      "1",
			`caddy_patgate_requests_total{decision="token_unknown"}`:          "0",
			`caddy_patgate_cache_lookups_total{result="known",tier="memory"}`: "1",
			`caddy_patgate_cache_lookups_total{result="miss",tier="memory"}`:  "1",
			`caddy_patgate_cache_lookups_total{result="known",tier="store"}`:  "1",
			`caddy_patgate_cache_lookups_total{result="error",tier="store"}`:  "0",
			`caddy_patgate_cache_entries{kind="token"}`:                       "1",
			`caddy_patgate_cache_entries{kind="unknown"}`:                     "0",
			`caddy_patgate_lookup_duration_seconds_count`:                     "1",
			`caddy_patgate_store_errors_total`:                                "0",
		} {
			if metrics[name] != want {
				t.Errorf("%s: %s is %q, want %s", when, name, metrics[name], want)
			}
		}
		for name := range metrics {
			if strings.HasPrefix(name, "caddy_patgate") && (strings.Contains(name, "alice") || strings.Contains(name, id)) {
				t.Errorf("%s: a metric about a person: %s", when, name)
			}
		}
	}
	check("before a reload")
	if err := g.reload(t, s); err != nil {
		t.Fatal(err)
	}
	check("after a reload")
	if status, err := g.session(t).persist("/spaces/1/stories/7", g.secret("T")); status != 200 {
		t.Fatalf("after a reload: %d %v", status, err)
	}
	if got := g.metrics(t)[`caddy_patgate_requests_total{decision="forward"}`]; got != "3" {
		t.Errorf("forwarded after a reload: %s, want 3", got)
	}
}
