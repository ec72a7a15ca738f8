package test

import (
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// A secret that stands in a path is in no report.
func TestReportOfSecretPaths(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		format: "patgate",
		sites: `http://api.test:{$PORT} {
	patgate {
		mode report
		route GET /spaces/{space}/x read:x
	}
	reverse_proxy {$UPSTREAM}
}
http://enforced.test:{$PORT} {
	patgate {
		route GET /spaces/{space}/x read:x
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{{name: "S", grants: grant("1", "read:x", "*")}},
	})
	s := g.secret("S")
	for _, target := range []string{"/" + s, "/spaces/" + s + "/x"} {
		for _, host := range []string{"api.test", "enforced.test"} {
			g.send(t, request{host: host, target: target}.with(bearerOf(s))) // start looks through all answers
		}
		g.call(t, "POST", "/patgate/explain", `{"method":"GET","url":"http://api.test`+target+`"}`, nil)
	}
	if got := string(g.get(t, "/patgate/report")); !strings.Contains(got, "pat_REDACTED") {
		t.Errorf("the report is %s", got)
	}
}

// Report mode forwards everything, with the credentials as they came, vouches for
// nobody it would have turned away, and remembers what enforcing would break.
func TestReportMode(t *testing.T) {
	t.Parallel()
	g := start(t, setup{
		sites: `
http://api.test:{$PORT} {
	patgate {
		mode report
		forward_token strip
		route GET /spaces/{space}/stories stories:read
		route POST /spaces/{space}/stories stories:write
		route GET /closed never
		group /enforced {
			mode enforce
			route GET /x stories:read
		}
	}
	reverse_proxy {$UPSTREAM}
}
http://all.test:{$PORT} {
	patgate {
		mode report
		route GET /spaces/{space}/stories stories:read
	}
	reverse_proxy {$UPSTREAM}
}
http://part.test:{$PORT} {
	patgate {
		group /new {
			mode report
			route GET /x stories:read
		}
		route GET /old stories:read
	}
	reverse_proxy {$UPSTREAM}
}`,
		tokens: []known{
			{name: "T", owner: "alice", grants: grant("1", "stories:read", "*")},
			{name: "gone", owner: "alice", revoked: true},
		},
	})
	// Routes of three gates, and what no route matches of two.
	if got := string(g.get(t, "/patgate/status")); !strings.Contains(got, `"reporting_routes":7`) {
		t.Errorf("the status is %s, want 7 routes in report mode", got)
	}
	unknown := "Authorization: Bearer 0123456789abcdefghij"
	for _, row := range []struct {
		request request
		want    string // the reason upstream; "": rejected
		owner   string
		status  int
		auth    bool // the upstream sees the credentials
	}{
		{request{target: "/spaces/1/stories"}.with(g.bearer("T")), "forward", "alice", 200, false},
		{request{target: "/spaces/2/stories"}.with(g.bearer("T")), "space_not_granted", "", 200, true},
		{request{target: "/spaces/1/stories", method: "POST"}.with(g.bearer("T")), "scope_missing", "", 200, true},
		{request{target: "/spaces/1/stories"}, "token_missing", "", 200, false},
		{request{target: "/spaces/1/stories"}.with(unknown), "token_unknown", "", 200, true},
		{request{target: "/spaces/1/stories"}.with("Authorization: Bearer pat_x"), "token_malformed", "", 200, true},
		{request{target: "/spaces/1/stories"}.with(g.bearer("gone")), "token_revoked", "", 200, true},
		{request{target: "/nowhere"}.with(g.bearer("T")), "route_unknown", "", 200, true},
		{request{target: "/closed"}.with(g.bearer("T")), "route_never", "", 200, true},
		{request{host: "all.test", target: "/spaces/1%2F2/stories"}.with(g.bearer("T")), "ambiguous_request", "", 200, true},
		{request{host: "all.test", target: "/caf\xc3\xa9"}.with(g.bearer("T")), "ambiguous_request", "", 200, true},
		{request{host: "all.test", target: `/a\b`}, "ambiguous_request", "", 200, false},
		{request{host: "all.test", target: "http://u@all.test/spaces/1/stories"}, "ambiguous_request", "", 200, false},
		{request{host: "all.test", target: "/caf\xc3\xa9", method: "TRACE"}, "", "", 400, false},
		{request{target: "/caf\xc3\xa9"}.with(g.bearer("T")), "", "", 400, false},
		{request{target: "/spaces/2/stories"}.with(g.bearer("T"), "X-Patgate-Owner: root", "X-Patgate-Decision: forward"), "space_not_granted", "", 200, true},
		{request{target: "/enforced/x"}, "", "", 401, false},
		// What may be a request for the part that is enforced isn't forwarded.
		{request{target: "/spaces/../enforced/x"}.with(g.bearer("gone")), "", "", 400, false},
		{request{target: "/Enforced/x"}.with(g.bearer("gone")), "", "", 400, false},
		{request{target: "/spaces/1/stories?_method=DELETE"}.with(g.bearer("T")), "", "", 400, false},
		{request{target: "x:enforced", method: "GET"}.with(g.bearer("T")), "", "", 400, false},
		{request{target: "/spaces/1/stories", method: "TRACE"}.with(g.bearer("T")), "", "", 400, false},

		{request{host: "part.test", target: "/new/x"}, "token_missing", "", 200, false},
		{request{host: "part.test", target: "/old"}, "", "", 401, false},
		{request{host: "part.test", target: "/new/y"}.with(g.bearer("T")), "", "", 403, false}, // no route says so
	} {
		a := g.send(t, row.request)
		got := g.upstream.take()
		if a.status != row.status || (len(got) == 1) != (row.want != "") {
			t.Errorf("%s: %s, forwarded %d times; want %d", row.request, a, len(got), row.status)
			continue
		}
		if row.want == "" {
			continue
		}
		r := &got[0]
		if r.line("X-Patgate-Decision") != row.want || r.line("X-Patgate-Owner") != row.owner {
			t.Errorf("%s: decision %q, owner %q; want %q, %q", row.request, r.line("X-Patgate-Decision"), r.line("X-Patgate-Owner"), row.want, row.owner)
		}
		if auth := r.line("Authorization") != ""; auth != row.auth {
			t.Errorf("%s: the upstream sees the credentials: %v, want %v", row.request, auth, row.auth)
		}
	}
	checkReport(t, g)
}

// checkReport looks at what is remembered of the requests of TestReportMode.
func checkReport(t *testing.T, g *gateway) {
	t.Helper()
	var report struct {
		Since    time.Time
		Findings []struct {
			Reason, Route, At, Path string
			TokenID                 string `json:"token_id"`
			Count                   int
			Grant                   *token.Grant
		}
	}
	if status := g.call(t, "GET", "/patgate/report", "", &report); status != 200 {
		t.Fatalf("GET /patgate/report = %d", status)
	}
	counts := map[string]int{}
	for _, f := range report.Findings {
		counts[f.Reason+" "+f.Route] += f.Count
		if f.Reason == "space_not_granted" && (f.Grant == nil || f.Grant.Spaces[0] != "2" || f.Grant.Scopes[0] != "stories:read" || len(f.TokenID) != 26 || f.At == "") {
			t.Errorf("the finding %+v doesn't say what would mend it", f)
		}
	}
	for _, want := range []struct {
		finding string
		count   int
	}{
		{"space_not_granted GET /spaces/{space}/stories", 2},
		{"scope_missing POST /spaces/{space}/stories", 1},
		{"token_missing GET /spaces/{space}/stories", 1},
		{"token_missing GET /new/x", 1},
		{"token_revoked GET /spaces/{space}/stories", 1},
		{"route_never GET /closed", 1},
		{"route_unknown ", 1},
		{"ambiguous_request ", 4},
	} {
		if counts[want.finding] != want.count {
			t.Errorf("%q was found %d times, want %d; all: %v", want.finding, counts[want.finding], want.count, counts)
		}
	}
	out, err := g.command("report", "--address", "unix/"+g.admin)
	if err != nil || !strings.Contains(out, `--add '{"spaces":["2"],"scopes":["stories:read"],"resources":["*"]}'`) {
		t.Errorf("patgate report: %v\n%s", err, out)
	}
	if got := g.metrics(t)[`caddy_patgate_reported_total{reason="space_not_granted"}`]; got != "2" {
		t.Errorf("the metric has %q, want 2", got)
	}
	if g.call(t, "DELETE", "/patgate/report", "", &report); len(report.Findings) != 0 {
		t.Errorf("after it was cleared the report has %d findings", len(report.Findings))
	}
}
