package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/logging" // writes logs to a file

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/internal/rest"
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
	// This is when the status is wanted most. What the monitor was just asking it finds
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
