package policy

import "testing"

func TestCORSPreflight(t *testing.T) {
	rs := routes("GET /x read", "* /all read", "GET /never never", "GET /q read", "GET /q?k=v write", "OPTIONS /o public", "* /shut read", "OPTIONS /shut never", "GET,OPTIONS /own read")
	const ok, unknown, missing = "preflight", "route_unknown", "token_missing"
	full := "Origin: https://app.example|Access-Control-Request-Method: GET"
	for _, c := range []struct {
		target, fields string
		body           bool
		want, denied   string // with cors_preflight forward and deny, which is the default where another proxy asks
	}{
		{"OPTIONS /x", full, false, ok, unknown},
		{"OPTIONS /x", full + "|Access-Control-Request-Headers: authorization", false, ok, unknown},
		{"OPTIONS /x", "Origin: null|Access-Control-Request-Method: HEAD", false, ok, unknown},
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: DELETE", false, ok, missing},
		{"OPTIONS /q?k=v", full, false, ok, unknown},
		{"OPTIONS /o", full, false, "forward", "forward"},
		// For what no route is there, there is no question.
		{"OPTIONS /else", full, false, unknown, unknown},
		{"OPTIONS /x", "Origin: a|Access-Control-Request-Method: PUT", false, unknown, unknown},
		{"OPTIONS /x", "Origin: a|Access-Control-Request-Method: get", false, unknown, unknown},
		{"OPTIONS /never", full, false, unknown, unknown},
		// A route that closes the method itself is no question of another one's.
		{"OPTIONS /shut", full, false, "route_never", "route_never"},
		{"OPTIONS /own", full, false, ok, missing},
		// Nor of methods that never pass.
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: TRACE", false, missing, missing},
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: CONNECT", false, missing, missing},
		{"OPTIONS /all", "Origin: a|Access-Control-Request-Method: ", false, missing, missing},
		// More than the question is a request like any other.
		{"OPTIONS /all", "", false, missing, missing},
		{"OPTIONS /all", "Origin: a", false, missing, missing},
		{"OPTIONS /all", "Access-Control-Request-Method: GET", false, missing, missing},
		{"OPTIONS /all", full + "|Origin: b", false, missing, missing},
		{"OPTIONS /all", full + "|Access-Control-Request-Method: PUT", false, missing, missing},
		{"OPTIONS /all", full + "|Authorization: Bearer S", false, "token", "token"},
		{"OPTIONS /all", full + "|Cookie: a=b", false, missing, missing},
		{"OPTIONS /all", full, true, missing, missing},
		{"GET /x", full, false, missing, missing},
		// It is refused where the question is ambiguous.
		{"OPTIONS /x/..", full, false, "ambiguous_request", "ambiguous_request"},
		{"OPTIONS /q?K=v", full, false, "ambiguous_request", unknown},
	} {
		for _, row := range []struct {
			word  string
			asked bool
			want  string
		}{
			{"", false, c.want}, {"forward", false, c.want}, {"deny", false, c.denied},
			{"", true, c.denied}, {"forward", true, c.want}, {"deny", true, c.denied},
		} {
			p := compile(t, Config{CORSPreflight: row.word, Routes: rs})
			req := request(c.target, splitFields(c.fields)...)
			req.Body, req.Asked = c.body, row.asked
			if got := answer(p.matched(req)); got != row.want {
				t.Errorf("cors_preflight %s, asked %v, %s with %q: %s, want %s", row.word, row.asked, c.target, c.fields, got, row.want)
			}
		}
	}
}
