package test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// What the gate found out is there for later handlers, access logs and metrics.
func TestObservability(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
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
	})
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
	g.send(t, request{target: "/public"})
	for _, row := range []struct {
		uri, user string
		want      map[string]any
	}{
		{"/spaces/1/stories/7", "alice", map[string]any{"decision": "forward", "token_id": id, "owner": "alice", "space": "1", "resource": "7", "required_scope": "stories:read"}},
		{"/spaces/2/stories/8", "", map[string]any{"decision": "space_not_granted", "token_id": id, "owner": "alice", "space": "2", "resource": "8", "required_scope": "stories:read"}},
		{"/spaces//stories/9", "", map[string]any{"decision": "ambiguous_request", "detail": "the path has an empty segment"}},
		{"/public", "", map[string]any{"decision": "forward", "required_scope": "public"}},
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
	if err := g.reload(); err != nil {
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
