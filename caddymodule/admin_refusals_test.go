package caddymodule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

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
		{"GET", "events?wait=1s", ``, 400, "wait: needs after"},
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
			conn := dialAdmin(t, s.dir)
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{", request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || !strings.HasPrefix(resp.Status, want) {
				t.Errorf("%+v, %v, want %s", resp, err, want)
			}
		})
	}
}

// A client that looks at the answer when it has sent everything sees why it was refused.
func TestAdminRefusesLongBody(t *testing.T) {
	was := leftTime
	leftTime = time.Minute // a machine may be busy
	t.Cleanup(func() { leftTime = was })
	s := newAdminServer(t)
	body := strings.Repeat("x", 3*rest.MaxBody)
	for request, want := range map[string]string{
		"POST /patgate/tokens":     "413",
		"POST /patgate/tokens?x=1": "400",
		"POST /patgate/import":     "400",
		"PUT /patgate/tokens":      "405",
		"POST /patgate/nothing":    "404",
	} {
		t.Run(request, func(t *testing.T) {
			conn := dialAdmin(t, s.dir)
			if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", request, len(body), body); err != nil {
				t.Fatalf("sending: %v", err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || !strings.HasPrefix(resp.Status, want) {
				t.Errorf("%+v, %v, want %s", resp, err, want)
			}
		})
	}
}

// A client that waits to be asked for its body, and needn't send it, is told at once.
func TestAdminRefusesUnsentBody(t *testing.T) {
	s := newAdminServer(t)
	for request, want := range map[string]string{
		"POST /patgate/tokens?x=1": "HTTP/1.1 400",
		"PUT /patgate/tokens":      "HTTP/1.1 405",
		"POST /patgate/nothing":    "HTTP/1.1 404",
		"POST /patgate/tokens":     "HTTP/1.1 100",
		"POST /patgate/import":     "HTTP/1.1 100",
	} {
		t.Run(request, func(t *testing.T) {
			conn := dialAdmin(t, s.dir)
			if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", request); err != nil {
				t.Fatalf("sending: %v", err)
			}
			if got, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(got, want) {
				t.Errorf("%q, %v, want %s", got, err, want)
			}
		})
	}
}

// dialAdmin connects to the admin endpoint of the server in dir.
func dialAdmin(t *testing.T, dir string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
