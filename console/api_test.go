package console

import (
	"context"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// described is a console whose API is held to its document: requests and answers
// are compared with it.
type described struct {
	*desk
	document *openAPI
	used     map[string]bool // operations, by method and path
}

func newDescribed(t *testing.T) *described {
	t.Helper()
	d := &described{desk: newDesk(t), document: new(openAPI), used: map[string]bool{}}
	w := d.do("GET", "/api/openapi.json", "", "User", "alice")
	if err := json.Unmarshal(w.Body.Bytes(), d.document); err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	return d
}

// operations returns what the document describes, by method and path.
func (d *openAPI) operations(t testing.TB) map[string]operation {
	t.Helper()
	all := map[string]operation{}
	for path, methods := range d.Paths {
		for method, raw := range methods {
			if method == "parameters" {
				continue
			}
			var o operation
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			all[strings.ToUpper(method)+" "+path] = o
		}
	}
	return all
}

// ask sends a request as an owner, or with "Bearer …" as a token, and checks
// request and answer against the document. A request that is to be refused need
// not be as described.
func (d *described) ask(who, method, target, body string, status int) *httptest.ResponseRecorder {
	d.t.Helper()
	header := []string{"User", who}
	if strings.HasPrefix(who, "Bearer ") {
		header = []string{"Authorization", who}
	}
	w := d.do(method, target, body, header...)
	if w.Code != status {
		d.t.Fatalf("%s %s %s for %s: %d %s, want %d", method, target, body, who, w.Code, w.Body, status)
	}
	r := httptest.NewRequest(method, target, nil)
	_, pattern := d.mux.Handler(r)
	o, ok := d.document.operations(d.t)[pattern]
	if !ok {
		d.t.Fatalf("%s %s: the document has no %q", method, target, pattern)
	}
	if status < 300 {
		d.used[pattern] = true
		d.checkRequest(o, r.URL.Query(), method+" "+target, body)
	}
	kind := w.Header().Get("Content-Type")
	response, ok := o.Responses[strconv.Itoa(status)]
	if !ok {
		if response = o.Responses["default"]; status < 300 {
			d.t.Errorf("%s %s: the answer %d isn't described", method, target, status)
		}
	}
	content, ok := response.Content[kind]
	switch {
	case kind == "" && len(response.Content) == 0:
	case !ok:
		d.t.Errorf("%s %s: answers %d with %q, which isn't described", method, target, status, kind)
	default:
		var v any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			d.t.Fatal(err)
		}
		if err := d.document.check("answer", content.Schema, v); err != nil {
			d.t.Errorf("%s %s: %s\n%v", method, target, w.Body, err)
		}
	}
	return w
}

func (d *described) checkRequest(o operation, query url.Values, what, body string) {
	d.t.Helper()
	for name := range query {
		if !slices.ContainsFunc(o.Parameters, func(p struct {
			Name, In string
			Schema   schema
		}) bool {
			return p.Name == name && p.In == "query"
		}) {
			d.t.Errorf("%s: the parameter %s isn't described", what, name)
		}
	}
	if body == "" {
		if o.RequestBody != nil && o.RequestBody.Required {
			d.t.Errorf("%s: was granted without the body that is described as needed", what)
		}
		return
	}
	if o.RequestBody == nil {
		d.t.Errorf("%s: was granted with a body that isn't described", what)
		return
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		d.t.Fatal(err)
	}
	if err := d.document.check("request", o.RequestBody.Content["application/json"].Schema, v); err != nil {
		d.t.Errorf("%s: %v", what, err)
	}
}

// Everything the document describes is there, and answers as described; and
// everything that is there is described.
func TestAPIAsDescribed(t *testing.T) {
	d := newDescribed(t)
	const all = `{"name":"ci","description":"for the build","owner":"alice","allowed_ips":["192.0.2.0/24"],"expires_in":"30d",
		"grants":[{"spaces":["1"],"scopes":["stories:read"],"resources":["*"]},{"scopes":["license"]}]}`
	made := answer[rest.TokenSecret](t, d.ask("alice", "POST", "/api/tokens", all, 201), 201)
	at := "/api/tokens/" + made.Token.ID
	d.ask("alice", "GET", at, "", 200)
	d.ask("alice", "PATCH", at, `{"name":"build","description":"","allowed_ips":[]}`, 200)
	d.ask("alice", "POST", at+"/grants", `{"spaces":["2"],"scopes":["assets:read"]}`, 200)
	d.ask("alice", "DELETE", at+"/grants/1", "", 200)
	d.ask("alice", "DELETE", at+"/grants", "", 200)
	renewed := answer[rest.TokenSecret](t, d.ask("alice", "POST", at+"/regenerate", `{"expires_in":"7d","overlap":"1h"}`, 200), 200)
	d.ask("Bearer "+renewed.Secret, "GET", "/self", "", 200)
	self := answer[rest.TokenSecret](t, d.ask("Bearer "+renewed.Secret, "POST", "/self/regenerate", "", 200), 200)
	d.ask("Bearer "+self.Secret, "DELETE", "/self", "", 200)
	d.ask("alice", "POST", at+"/regenerate", "", 200)
	d.ask("alice", "POST", at+"/revoke", "", 200)

	other := answer[rest.TokenSecret](t, d.ask("bob", "POST", "/api/tokens", `{"name":"deploy","full":true}`, 201), 201)
	d.ask("bob", "POST", "/leaked", `[{"secret":"`+other.Secret+`"}]`, 204)
	d.ask("alice", "GET", "/api/tokens?status=revoked&space=1&scope=license&text=x&sort=-name&limit=5", "", 200)
	d.ask("alice", "GET", "/api/tokens?expiring=14d&unused=1h", "", 200)
	d.ask("root", "GET", "/api/tokens?owner=bob", "", 200)
	d.ask("alice", "GET", "/api/events?token="+made.Token.ID+"&limit=3", "", 200)
	d.ask("alice", "GET", "/api/events?after=0", "", 200)
	d.ask("alice", "GET", "/api/me", "", 200)
	d.ask("alice", "GET", "/api/scopes", "", 200)
	d.ask("alice", "POST", "/api/tokens/revoke", `{"ids":["`+made.Token.ID+`"]}`, 200)
	d.ask("root", "POST", "/api/tokens/revoke", `{"owner":"bob"}`, 200)
	known := d.Acknowledged
	d.Acknowledged = func(context.Context) rest.Gateways { return rest.Gateways{Acknowledged: 1, Unknown: true} }
	d.ask("alice", "POST", at+"/revoke", "", 200)
	d.Acknowledged = known
	d.ask("alice", "DELETE", "/api/tokens?id="+made.Token.ID, "", 200)
	d.ask("alice", "POST", "/api/tokens/delete", `{"owner":"alice"}`, 200)
	d.ask("bob", "DELETE", "/api/tokens/"+other.Token.ID, "", 200)

	d.ask("alice", "GET", at, "", 404)
	d.ask("alice", "POST", "/api/tokens", `{"nam":"x"}`, 400)
	d.ask("", "GET", "/api/me", "", 401)
	d.ask("Bearer "+self.Secret, "GET", "/self", "", 401)
	d.ask("alice", "GET", "/api/tokens?owner=bob", "", 403)
	// There is no wait, as the management API has it.
	d.ask("alice", "POST", "/api/tokens/revoke?wait=1s", `{"owner":"alice"}`, 400)
	d.ask("alice", "DELETE", "/api/tokens?owner=alice&wait=1s", "", 400)
	d.ask("alice", "GET", "/api/events?after=0&wait=1s", "", 400)

	operations := d.document.operations(t)
	for pattern, o := range operations {
		if !d.used[pattern] {
			t.Errorf("%s is described, and wasn't tried", pattern)
		}
		if o.OperationID == "" || o.Summary == "" {
			t.Errorf("%s: lacks a name or a summary", pattern)
		}
	}
	for _, r := range slices.Concat(apiRoutes(), selfRoutes()) {
		o, ok := operations[r.pattern]
		if !ok {
			if r.pattern != "GET /api/openapi.json" {
				t.Errorf("%s isn't described", r.pattern)
			}
			continue
		}
		var described []string
		for _, p := range o.Parameters {
			if p.In == "query" {
				described = append(described, p.Name)
			}
		}
		known := strings.Fields(strings.ReplaceAll(r.params, "+", ""))
		slices.Sort(described)
		slices.Sort(known)
		if !slices.Equal(described, known) {
			t.Errorf("%s takes the parameters %q, and %q are described", r.pattern, known, described)
		}
	}
	ids := map[string]bool{}
	for _, o := range operations {
		ids[o.OperationID] = true
	}
	if len(ids) != len(operations) {
		t.Errorf("%d names for %d operations: %v", len(ids), len(operations), slices.Sorted(maps.Keys(ids)))
	}
}

// What is somebody else's isn't there. An admin sees and
// revokes it, no more.
func TestAPIOfOthers(t *testing.T) {
	d := newDesk(t)
	for _, row := range []struct {
		method, path, body string
		bob, root          int
	}{
		{"GET", "", "", 404, 200},
		{"PATCH", "", `{"name":"mine"}`, 404, 403},
		{"POST", "/grants", `{"spaces":["*"],"scopes":["license"]}`, 404, 403},
		{"POST", "/regenerate", "", 404, 403},
		{"DELETE", "/grants/1", "", 404, 403},
		{"DELETE", "/grants", "", 404, 403},
		{"DELETE", "", "", 404, 403},
		{"POST", "/revoke", "", 404, 200},
	} {
		made, secret := d.create("alice", "ci")
		target := "/api/tokens/" + made.ID + row.path
		if w := d.do(row.method, target, row.body, "User", "bob"); w.Code != row.bob {
			t.Errorf("%s %s for another: %d %s, want %d", row.method, target, w.Code, w.Body, row.bob)
		}
		if _, err := d.registry.Bearer(t.Context(), secret, netip.Addr{}); err != nil || len(d.token(made.ID).Grants) != 1 || d.token(made.ID).Name != "ci" {
			t.Errorf("%s %s for another has changed the token: %v", row.method, target, err)
		}
		w := d.do(row.method, target, row.body, "User", "root")
		if w.Code != row.root {
			t.Errorf("%s %s for an admin: %d %s, want %d", row.method, target, w.Code, w.Body, row.root)
		}
		if w.Code == 403 {
			says(t, w.Body.String(), `belongs to \"alice\": you can look at it and revoke it`)
		}
	}
	made, _ := d.create("alice", "ci")
	own, _ := d.create("root", "ci")
	for _, row := range []struct {
		who, method, target, body string
		want                      int
	}{
		{"bob", "GET", "/api/tokens?owner=alice", "", 403},
		{"bob", "GET", "/api/events?owner=alice", "", 403},
		{"bob", "GET", "/api/tokens?unowned=true", "", 403},
		{"bob", "POST", "/api/tokens/revoke", `{"owner":"alice"}`, 403},
		{"bob", "DELETE", "/api/tokens?owner=alice", "", 403},
		{"bob", "POST", "/api/tokens", `{"name":"x","owner":"alice"}`, 403},
		{"root", "POST", "/api/tokens", `{"name":"x","owner":"alice"}`, 403},
		{"root", "DELETE", "/api/tokens?owner=alice", "", 403},
		{"root", "DELETE", "/api/tokens?id=" + own.ID + "&id=" + made.ID, "", 403}, // and neither is deleted
		{"bob", "POST", "/api/tokens/delete", `{"owner":"alice"}`, 403},
		{"root", "POST", "/api/tokens/delete", `{"owner":"alice"}`, 403},
		{"root", "POST", "/api/tokens/delete", `{"ids":["` + own.ID + `","` + made.ID + `"]}`, 403},
		{"root", "DELETE", "/api/tokens?owner=root", "", 200},
		{"root", "GET", "/api/tokens/" + made.ID, "", 200},
		{"bob", "GET", "/api/tokens?owner=bob", "", 200},
		{"root", "GET", "/api/events?owner=alice", "", 200},
		{"root", "POST", "/api/tokens/revoke", `{"owner":"alice"}`, 200},
	} {
		if w := d.do(row.method, row.target, row.body, "User", row.who); w.Code != row.want {
			t.Errorf("%s %s for %s: %d %s, want %d", row.method, row.target, row.who, w.Code, w.Body, row.want)
		}
	}
	if page := answer[rest.TokenPage](t, d.do("GET", "/api/tokens", "", "User", "bob"), 200); len(page.Tokens) != 0 {
		t.Errorf("bob sees %+v", page.Tokens)
	}
	if page := answer[rest.TokenPage](t, d.do("GET", "/api/tokens", "", "User", "root"), 200); len(page.Tokens) < 2 {
		t.Errorf("an admin sees %d tokens, want all", len(page.Tokens))
	}
}

// Who is an admin by their record is one here.
func TestAdminByRecord(t *testing.T) {
	d := newDesk(t)
	d.create("alice", "ci")
	yes := true
	if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "bob", registry.OwnerChanges{Admin: &yes}); err != nil {
		t.Fatal(err)
	}
	if got := answer[me](t, d.do("GET", "/api/me", "", "User", "bob"), 200); !got.Admin || got.Owner != "bob" || !got.MayCreate {
		t.Errorf("GET /api/me: %+v", got)
	}
	says(t, d.get("bob", "/everyone"), "alice")
}

func TestAPICatalog(t *testing.T) {
	d := newDesk(t)
	type scopes struct {
		Scopes   []map[string]any `json:"scopes"`
		Complete bool             `json:"complete"`
	}
	got := answer[scopes](t, d.do("GET", "/api/scopes", "", "User", "alice"), 200)
	if len(got.Scopes) != len(catalog) || !got.Complete || got.Scopes[0]["at"] != nil || got.Scopes[0]["description"] != "Read stories" {
		t.Errorf("GET /api/scopes: %+v", got)
	}
}

// The secret is in the answer that makes it, and in no other.
func TestAPISecrets(t *testing.T) {
	d := newDesk(t)
	w := d.do("POST", "/api/tokens", `{"name":"ci","full":true}`, "User", "alice")
	made := answer[rest.TokenSecret](t, w, 201)
	if got := w.Header().Get("Location"); got != "tokens/"+made.Token.ID || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("made: %v", w.Header())
	}
	if token.Inspect("pat", made.Secret) != token.WellMade {
		t.Errorf("made the secret %q", made.Secret)
	}
	for _, target := range []string{"/api/tokens", "/api/tokens/" + made.Token.ID, "/api/events"} {
		lacks(t, d.get("alice", target), made.Secret[8:24])
	}
}
