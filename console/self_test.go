package console

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// self sends a request of a token about itself.
func (d *desk) self(method, target, body, secret string) *httptest.ResponseRecorder {
	d.t.Helper()
	return d.do(method, target, body, "Authorization", "Bearer "+secret)
}

// answer decodes the body of an answer with this status.
func answer[T any](t *testing.T, w *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("%d %s, want %d", w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return v
}

// ticking is the body of a request, during which time passes.
type ticking struct {
	*strings.Reader
	now *time.Time
}

func (b ticking) Read(p []byte) (int, error) {
	*b.now = b.now.Add(time.Second)
	return b.Reader.Read(p)
}

// A secret that is replaced without an overlap has ended, however long that took.
func TestSelfReplacedAtOnce(t *testing.T) {
	d := newDesk(t)
	_, secret := d.create("alice", "ci")
	r := httptest.NewRequest("POST", "https://tokens.example.com/self/regenerate", ticking{strings.NewReader("{}"), &d.now})
	r.RemoteAddr = address + ":1234"
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if renewed := answer[rest.TokenSecret](t, w, 200); renewed.Token.ReplacedUntil != nil {
		t.Errorf("the secret before works until %v, want it to have ended", renewed.Token.ReplacedUntil)
	}
}

func TestSelf(t *testing.T) {
	d := newDesk(t)
	made, secret := d.create("alice", "ci")
	w := d.self("GET", "/self", "", secret)
	if got := answer[token.View](t, w, 200); got.ID != made.ID || got.Name != "ci" || got.Owner != "alice" {
		t.Errorf("GET /self: %+v", got)
	}
	lacks(t, w.Body.String(), secret[:16])

	d.now = noon.AddDate(0, 0, 10)
	renewed := answer[rest.TokenSecret](t, d.self("POST", "/self/regenerate", `{"expires_in":"30d","overlap":"1h"}`, secret), 200)
	if want := d.now.AddDate(0, 0, 30); !renewed.Token.ExpiresAt.Equal(want) || renewed.Secret == secret {
		t.Errorf("renewed: %+v, want it to expire at %v", renewed.Token, want)
	}
	if got := d.token(made.ID); !token.EqualGrant(got.Grants[0], made.Grants[0]) {
		t.Errorf("renewed with other grants: %+v", got.Grants)
	}
	answer[token.View](t, d.self("GET", "/self", "", secret), 200)
	refusal := answer[rest.Problem](t, d.self("POST", "/self/regenerate", "", secret), 403)
	if !strings.Contains(refusal.Detail, "has been replaced") {
		t.Errorf("the replaced secret: %q", refusal.Detail)
	}
	d.now = d.now.Add(time.Hour)
	ended := d.self("GET", "/self", "", secret)
	says(t, ended.Body.String(), "has been replaced by a newer one") // as the gate says it
	denied(t, ended, 401, "token_revoked")

	gone := answer[rest.Revocation](t, d.self("DELETE", "/self", "", renewed.Secret), 200)
	if len(gone.Revoked) != 1 || gone.Revoked[0] != made.ID || d.token(made.ID).Status(d.now) != token.Revoked {
		t.Errorf("revoked: %+v", gone)
	}
	denied(t, d.self("GET", "/self", "", renewed.Secret), 401, "token_revoked")
	says(t, d.get("alice", "/tokens/"+made.ID), "revoked by the token itself", "new secret", "by the token itself")
}

// denied checks an answer to a secret that opens nothing.
func denied(t *testing.T, w *httptest.ResponseRecorder, status int, reason string) {
	t.Helper()
	p := answer[rest.Problem](t, w, status)
	challenge := w.Header().Get("WWW-Authenticate")
	wrong := strings.Contains(challenge, `error="invalid_token"`)
	if p.Reason != reason || p.Type != rest.ProblemType+reason || !strings.HasPrefix(challenge, "Bearer ") || wrong == (reason == "token_missing") {
		t.Errorf("%+v with challenge %q, want the reason %s", p, challenge, reason)
	}
}

func TestSelfDenied(t *testing.T) {
	d := newDesk(t)
	d.rules.MaxLifetime = 0
	create := func(n registry.NewToken) (*token.Token, string) {
		t.Helper()
		n.Name, n.Owner = "ci", "alice"
		made, secret, err := d.registry.Operator(registry.Actor{}).Create(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return made, secret
	}
	_, good := create(registry.NewToken{})
	_, elsewhere := create(registry.NewToken{AllowedIPs: []string{"203.0.113.0/24"}})
	hour := "1h"
	_, expired := create(registry.NewToken{Lifetime: registry.Lifetime{ExpiresIn: &hour}})
	revoked, secret := create(registry.NewToken{})
	if _, err := d.registry.Operator(registry.Actor{}).Revoke(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Hour)
	for _, row := range []struct{ name, authorization, reason string }{
		{"nothing", "", "token_missing"},
		{"another scheme", "Digest " + good, "token_missing"},
		{"an expired token", "Bearer " + expired, "token_expired"},
		{"a revoked token", "Bearer " + secret, "token_revoked"},
		{"a token for elsewhere", "Bearer " + elsewhere, "address_not_allowed"},
		{"a mistyped token", "Bearer " + good[:len(good)-1] + "!", "token_malformed"},
		{"an unknown token", "Bearer " + token.NewSecret("pat"), "token_unknown"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, r := range []struct{ method, target string }{{"GET", "/self"}, {"POST", "/self/regenerate"}, {"DELETE", "/self"}} {
				d.limit = map[netip.Addr]int{}
				var header []string
				if row.authorization != "" {
					header = []string{"Authorization", row.authorization}
				}
				denied(t, d.do(r.method, r.target, "", header...), 401, row.reason)
			}
		})
	}
	for name, authorization := range map[string]string{"bare": good, "bearer": "bearer  " + good, "basic": basicHeader("git", good)} {
		if w := d.do("GET", "/self", "", "Authorization", authorization); w.Code != 200 {
			t.Errorf("%s: %d %s, want 200", name, w.Code, w.Body)
		}
	}
	if w := d.do("GET", "/self", "", "Authorization", good, "Authorization", good); w.Code != 401 {
		t.Errorf("two credentials: %d, want 401", w.Code)
	}
	// A token does nothing else, and nobody else does this.
	for _, target := range []string{"/", "/new", "/api/tokens", "/api/me", "/self/grants"} {
		if w := d.self("GET", target, "", good); w.Code != 403 && w.Code != 404 {
			t.Errorf("GET %s with a token: %d", target, w.Code)
		}
	}
	if w := d.do("GET", "/self", "", "User", "alice"); w.Code != 401 {
		t.Errorf("GET /self for an owner: %d, want 401", w.Code)
	}
	// It gives itself no longer life than it had.
	refusal := answer[rest.Problem](t, d.self("POST", "/self/regenerate", `{"expires_in":"366d"}`, good), 403)
	if !strings.Contains(refusal.Detail, "no longer life than it had") {
		t.Errorf("a longer life: %q", refusal.Detail)
	}
	answer[rest.Problem](t, d.self("POST", "/self/regenerate", `{"grants":[]}`, good), 400)
	answer[rest.Problem](t, d.self("DELETE", "/self", `{"owner":"alice"}`, good), 400)
	// A secret that has been replaced is told from a token that was revoked.
	answer[rest.TokenSecret](t, d.self("POST", "/self/regenerate", "", good), 200)
	w := d.self("GET", "/self", "", good)
	denied(t, w, 401, "token_revoked")
	if !strings.Contains(w.Body.String(), "replaced by a newer one") || !strings.Contains(w.Header().Get("WWW-Authenticate"), "replaced by a newer one") {
		t.Errorf("a replaced secret: %s, %s", w.Body, w.Header())
	}
}

// An address that sends unknown secrets has to wait.
func TestUnknownSecretsAreLimited(t *testing.T) {
	d := newDesk(t)
	_, good := d.create("alice", "ci")
	for range 3 {
		denied(t, d.self("GET", "/self", "", token.NewSecret("pat")), 401, "token_unknown")
	}
	for _, r := range []struct{ method, target, body string }{{"GET", "/self", ""}, {"POST", "/leaked", `{"secret":"x"}`}} {
		w := d.self(r.method, r.target, r.body, good)
		if p := answer[rest.Problem](t, w, http.StatusTooManyRequests); p.Reason != "too_many_unknown_tokens" || p.Type != rest.ProblemType+p.Reason {
			t.Errorf("%s %s: reason %q, type %q, want those of the gate", r.method, r.target, p.Reason, p.Type)
		}
		if got := w.Header().Get("Retry-After"); got != "90" {
			t.Errorf("%s %s: Retry-After %q, want 90", r.method, r.target, got)
		}
	}
}

// Who goes away without the answer has had the store asked all the same: that counts, and
// the store hasn't failed.
func TestGoneBeforeTheAnswer(t *testing.T) {
	d := newDesk(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(gone, "GET", "https://tokens.example.com/self", nil)
	r.RemoteAddr = address + ":1234"
	r.Header.Set("Authorization", "Bearer "+token.NewSecret("pat"))
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if n := d.limit[netip.MustParseAddr(address)]; n != 1 || len(d.failures) > 0 {
		t.Errorf("%d: %d secrets count as unknown, want 1; failures of the store: %v", w.Code, n, d.failures)
	}
}

// A report counts as an unknown secret, whatever it opens: or secrets could be tried there.
func TestReportsAreLimited(t *testing.T) {
	d := newDesk(t)
	_, secret := d.create("alice", "ci")
	for i, want := range []int{204, 204, 204, 429} {
		if w := d.do("POST", "/leaked", `{"secret":"`+secret+`"}`); w.Code != want {
			t.Errorf("report %d: %d, want %d", i+1, w.Code, want)
		}
	}
}

func TestLeaked(t *testing.T) {
	d := newDesk(t)
	one, first := d.create("alice", "one")
	two, second := d.create("alice", "two")
	three, third := d.create("bob", "three")
	for _, row := range []struct {
		body string
		want int
	}{
		{`{"secret":"` + first + `"}`, 204},
		{`{"secret":"` + first + `"}`, 204},                             // again
		{`[{"secret":"` + second + `"},{"secret":"pat_unknown"}]`, 204}, // one of them isn't ours
		{`{"secret":"` + token.NewSecret("pat") + `"}`, 204},            // nothing is learned from the answer
		{`{}`, 400},
		{`[]`, 400},
		{`{"secrets":["` + third + `"]}`, 400},
		{``, 400},
		{`[` + strings.Repeat(`{"secret":"x"},`, maxReport/15) + `{"secret":"x"}]`, 413},
	} {
		d.limit = map[netip.Addr]int{}
		w := d.do("POST", "/leaked", row.body)
		if w.Code != row.want || row.want == 204 && w.Body.Len() > 0 {
			t.Errorf("POST /leaked with %.20s…: %d %s, want %d", row.body, w.Code, w.Body, row.want)
		}
		lacks(t, w.Body.String(), third[:12])
	}
	// Who is told that it is done doesn't report it again.
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	r := httptest.NewRequestWithContext(given, "POST", "https://tokens.example.com/leaked", strings.NewReader(`{"secret":"`+third+`"}`))
	r.RemoteAddr = address + ":1234"
	w := httptest.NewRecorder()
	if d.ServeHTTP(w, r); w.Code < 500 {
		t.Errorf("POST /leaked that couldn't be looked up: %d, want that it failed", w.Code)
	}
	for id, want := range map[string]token.Status{one.ID: token.Revoked, two.ID: token.Revoked, three.ID: token.Active} {
		if got := d.token(id).Status(d.now); got != want {
			t.Errorf("token %s is %s, want %s", d.token(id).Name, got, want)
		}
	}
	says(t, d.get("alice", "/tokens/"+one.ID), "the secret was reported as leaked")
}

// Reports of many are bounded by themselves, whoever sends them.
func TestLeakedIsBounded(t *testing.T) {
	d := newDesk(t)
	report := "[" + strings.Repeat(`{"secret":"an-old-system-1"},`, registry.MaxLeaked-1) + `{"secret":"an-old-system-1"}]`
	answers := map[int]int{}
	for range reportBurst/registry.MaxLeaked + 1 {
		d.limit = map[netip.Addr]int{}
		answers[d.do("POST", "/leaked", report).Code]++
	}
	if answers[204] != reportBurst/registry.MaxLeaked || answers[503] != 1 {
		t.Errorf("answers %v, want %d that are taken and one that isn't", answers, reportBurst/registry.MaxLeaked)
	}

	// A report that came slowly counts when it is there, not when it began.
	began := d.now
	slow := httptest.NewRequest("POST", "https://tokens.example.com/leaked", nil)
	slow.RemoteAddr = address + ":1234"
	slow.Body = io.NopCloser(io.MultiReader(strings.NewReader("["), onRead(func() {
		d.now = began.Add(time.Minute)
		for range reportBurst/registry.MaxLeaked - 1 {
			d.limit = map[netip.Addr]int{}
			d.do("POST", "/leaked", report)
		}
		d.limit = map[netip.Addr]int{}
	}), strings.NewReader(`{"secret":"an-old-system-1"}]`)))
	d.ServeHTTP(httptest.NewRecorder(), slow)
	d.limit = map[netip.Addr]int{}
	if w := d.do("POST", "/leaked", report); w.Code != 503 {
		t.Errorf("after a slow report, which leaves no room for a full one: %d, want 503", w.Code)
	}
}

// onRead is a body without a byte, that does something when it is read.
type onRead func()

func (f onRead) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}
