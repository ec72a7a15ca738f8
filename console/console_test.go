package console

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/token"
)

// desk is a console on an embedded store, with a clock that is set. The header
// User says who is signed in, and Gate that a gate has seen a token.
type desk struct {
	*Console
	t        testing.TB
	store    store.Store
	registry *registry.Registry
	rules    registry.Rules
	now      time.Time
	broken   error // of the store, if it is
	failures []error

	mu    sync.Mutex
	limit map[netip.Addr]int
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const address = "192.0.2.7"

var catalog = []policy.Scope{
	{Name: "stories:read", Description: "Read stories", At: "Caddyfile:7"},
	{Name: "stories:write", Description: "Change stories", Implies: []string{"stories:read"}},
	{Name: "assets:read"},
	{Name: "license"},
	{Name: "admin", Implies: []string{"*"}},
}

func newDesk(t testing.TB, options ...func(*registry.Rules)) *desk {
	t.Helper()
	s, err := embedded.Open(filepath.Join(t.TempDir(), "tokens.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	scopes, err := policy.NewCatalog(catalog)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, store: s, now: noon, rules: registry.Rules{Prefix: "pat", Hasher: token.NewHasher(""), DefaultLifetime: 90 * 24 * time.Hour, MaxLifetime: 366 * 24 * time.Hour}, limit: map[netip.Addr]int{}}
	d.rules.Scopes = scopes.Names()
	d.rules.ImpliedBy = map[string][]string{"stories:read": {"stories:write"}}
	for _, set := range options {
		set(&d.rules)
	}
	clock := func() time.Time { return d.now }
	d.registry = registry.New(s, d.rules, registry.Options{Now: clock})
	d.Console = New(Options{
		Registry: func() (*registry.Registry, error) { return d.registry, d.broken },
		Rules:    func() registry.Rules { return d.rules },
		Catalog:  scopes,
		Visitor: func(r *http.Request) Visitor {
			owner := r.Header.Get("User")
			from, _ := netip.ParseAddrPort(r.RemoteAddr)
			return Visitor{Owner: owner, Admin: owner == "root", ByToken: r.Header.Get("Gate") != "", Address: from.Addr()}
		},
		Acknowledged: func(context.Context) rest.Gateways { return rest.Gateways{Acknowledged: 1} },
		Limiter:      d,
		Failed:       func(err error) { d.failures = append(d.failures, err) },
		Now:          clock,
	})
	return d
}

// Enter and Leave make the desk a Limiter: of three unknown secrets.
func (d *desk) Enter(_ context.Context, from netip.Addr) (policy.Reason, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.limit[from] < 3 {
		return policy.Forward, 0
	}
	return policy.TooManyUnknownTokens, 90 * time.Second
}

func (d *desk) Leave(from netip.Addr, unknown bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if unknown {
		d.limit[from]++
	}
}

// do sends a request. Header are names and values.
func (d *desk) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(method, "https://tokens.example.com"+target, strings.NewReader(body))
	r.RemoteAddr = address + ":1234"
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func basicHeader(user, password string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// get returns a page of the owner's, which must be there.
func (d *desk) get(owner, target string) string {
	d.t.Helper()
	w := d.do("GET", target, "", "User", owner)
	if w.Code != http.StatusOK {
		d.t.Fatalf("GET %s for %s: %d, want 200\n%s", target, owner, w.Code, text(w.Body.String()))
	}
	return w.Body.String()
}

// post sends a form: fields and values in turn. It returns the status and the
// page or, for a redirection, where it goes.
func (d *desk) post(owner, target string, fields ...string) (status int, answer string) {
	d.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	w := d.do("POST", target, values.Encode(), "User", owner, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if w.Code != http.StatusSeeOther {
		return w.Code, w.Body.String()
	}
	base, err := url.Parse(target)
	if err != nil {
		d.t.Fatal(err)
	}
	there, err := base.Parse(w.Header().Get("Location"))
	if err != nil {
		d.t.Fatal(err)
	}
	return w.Code, there.String()
}

// fieldsOf returns the fields of the form on a page whose action ends in this, as a
// browser would send them: of text and hidden ones, with no choices.
func fieldsOf(page, action string) url.Values {
	values := url.Values{}
	_, form, _ := strings.Cut(page, action+`" `)
	form, _, _ = strings.Cut(form, "</form>")
	for _, field := range regexp.MustCompile(`(?s)<input(?: id="[^"]*")?(?: type="hidden")? name="([^"]*)" value="([^"]*)"|<textarea[^>]* name="([^"]*)"[^>]*>(.*?)</textarea>`).FindAllStringSubmatch(form, -1) {
		values.Set(field[1]+field[3], html.UnescapeString(field[2]+field[4]))
	}
	return values
}

// inTurn returns fields with one value as post takes them.
func inTurn(values url.Values) (fields []string) {
	for name := range values {
		fields = append(fields, name, values.Get(name))
	}
	return fields
}

// create makes a token that may read stories in space 1.
func (d *desk) create(owner, name string) (*token.Token, string) {
	d.t.Helper()
	t, secret, err := d.registry.Operator(registry.Actor{Name: "cli"}).Create(context.Background(), registry.NewToken{
		Name: name, Owner: owner, Grants: []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:read"}}},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return t, secret
}

// token returns a token as it is kept.
func (d *desk) token(id string) *token.Token {
	d.t.Helper()
	t, err := d.registry.Operator(registry.Actor{}).Get(context.Background(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return t
}

var (
	tags   = regexp.MustCompile(`(?s)<head>.*</head>|<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
)

// text is what a page says.
func text(page string) string {
	return html.UnescapeString(blanks.ReplaceAllString(tags.ReplaceAllString(page, " "), " "))
}

// says checks that a page says all of the words.
func says(t *testing.T, page string, words ...string) {
	t.Helper()
	said := text(page)
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("the page doesn't say %q:\n%s", w, said)
		}
	}
}

// lacks checks that a page has none of the words, not even in its markup.
func lacks(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(page, w) || strings.Contains(text(page), w) {
			t.Errorf("the page has %q:\n%s", w, text(page))
		}
	}
}

func TestWhoIsLetIn(t *testing.T) {
	d := newDesk(t)
	_, secret := d.create("alice", "ci")
	wrong := secret[:len(secret)-1] + "!"
	for _, row := range []struct {
		name   string
		header []string
		want   int
	}{
		{"nobody", nil, 401},
		{"an owner", []string{"User", "alice"}, 200},
		{"an owner with a password", []string{"User", "alice", "Authorization", basicHeader("alice", "secret")}, 200},
		{"names and passwords may begin like a secret", []string{"User", "pat_x", "Authorization", basicHeader("pat_x", "pat_secret")}, 200},
		{"another's credential", []string{"User", "alice", "Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}, 200},
		{"a token that a gate has seen", []string{"User", "alice", "Gate", "1"}, 403},
		{"only a token", []string{"Authorization", "Bearer " + secret}, 403},
		{"a token as Bearer", []string{"User", "alice", "Authorization", "Bearer " + secret}, 403},
		{"a token as bearer", []string{"User", "alice", "Authorization", "bearer  " + secret}, 403},
		{"a bare token", []string{"User", "alice", "Authorization", secret}, 403},
		{"a token under another scheme", []string{"User", "alice", "Authorization", "Token token=\"" + secret + "\""}, 403},
		{"a token as password", []string{"User", "alice", "Authorization", basicHeader("alice", secret)}, 403},
		{"a token as user name", []string{"User", "alice", "Authorization", basicHeader(secret, "")}, 403},
		{"a token as second credential", []string{"User", "alice", "Authorization", basicHeader("alice", "x"), "Authorization", "Bearer " + secret}, 403},
		{"a mistyped token", []string{"User", "alice", "Authorization", "Bearer " + wrong}, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			for target, kind := range map[string]string{"/": "text/html; charset=utf-8", "/api/tokens": "application/json"} {
				w := d.do("GET", target, "", row.header...)
				if w.Code != row.want {
					t.Errorf("GET %s: %d, want %d", target, w.Code, row.want)
				}
				if w.Code != 200 && kind == "application/json" {
					kind = "application/problem+json"
				}
				if got := w.Header().Get("Content-Type"); got != kind {
					t.Errorf("GET %s: Content-Type %q, want %q", target, got, kind)
				}
				if got := w.Header().Get("WWW-Authenticate"); (got != "") != (row.want == 401) {
					t.Errorf("GET %s: %d with WWW-Authenticate %q", target, w.Code, got)
				}
				lacks(t, w.Body.String(), secret[:16])
			}
			w := d.do("POST", "/api/tokens", `{"name":"more"}`, row.header...)
			if want := row.want; w.Code != want && (want != 200 || w.Code != 201) {
				t.Errorf("POST /api/tokens: %d, want %d", w.Code, want)
			}
		})
	}
}

func TestDisabledOwner(t *testing.T) {
	d := newDesk(t)
	if _, err := d.registry.SetOwner(t.Context(), registry.Actor{}, "alice", registry.OwnerChanges{Enabled: new(bool)}); err != nil {
		t.Fatal(err)
	}
	w := d.do("GET", "/", "", "User", "alice")
	if w.Code != 403 {
		t.Errorf("GET /: %d, want 403", w.Code)
	}
	says(t, w.Body.String(), `Owner "alice" is disabled.`)
}

// Changes that a page of another site makes the browser send are refused.
func TestOtherSites(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	for _, row := range []struct {
		name   string
		header []string
		want   int
	}{
		{"no browser", nil, 200},
		{"the same origin", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"the same origin, from an older browser", []string{"Origin", "https://tokens.example.com"}, 200},
		{"the user", []string{"Sec-Fetch-Site", "none"}, 200},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a sibling", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another site, from an older browser", []string{"Origin", "https://evil.example.com"}, 403},
	} {
		for _, target := range []string{"/api/tokens/" + made.ID + "/revoke", "/tokens/" + made.ID + "/revoke"} {
			w := d.do("POST", target, "", append(row.header, "User", "alice")...)
			want := row.want
			if want == 200 && !wantsJSON(target) {
				want = http.StatusSeeOther
			}
			if w.Code != want {
				t.Errorf("%s: POST %s: %d, want %d", row.name, target, w.Code, want)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	for _, target := range []string{
		"/", "/new", "/tokens/" + made.ID, "/tokens/none", "/nothing", "/activity", "/everyone", "/api/tokens", "/api/nothing", "/self", "/assets/style.css", "/assets/none",
	} {
		w := d.do("GET", target, "", "User", "alice")
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy":         "same-origin",
			"X-Content-Type-Options":  "nosniff",
			"Set-Cookie":              "",

			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("GET %s: %s %q, want %q", target, name, got, want)
			}
		}
		cached := strings.HasPrefix(target, "/assets/style")
		if got := w.Header().Get("Cache-Control"); !cached && got != "no-store" || cached && got != "no-cache" {
			t.Errorf("GET %s: Cache-Control %q", target, got)
		}
	}
	w := d.do("GET", "/"+assetURL("style.css"), "")
	if got := w.Header().Get("Cache-Control"); w.Code != 200 || got != "private, max-age=31536000, immutable" {
		t.Errorf("an asset by its version: %d, Cache-Control %q", w.Code, got)
	}
}

// What a page has no script and no style for could not be there under the policy.
func TestNothingInline(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	inline := regexp.MustCompile(`(?i)<style|<script>|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=|javascript:`)
	for _, target := range []string{"/", "/new", "/activity", "/everyone?owner=alice", "/everyone/activity", "/everyone/revoke?owner=alice",
		"/tokens/" + made.ID, "/tokens/" + made.ID + "/regenerate", "/tokens/" + made.ID + "/delete"} {
		owner := "alice"
		if strings.HasPrefix(target, "/everyone") {
			owner = "root"
		}
		if found := inline.FindString(d.get(owner, target)); found != "" {
			t.Errorf("GET %s: has %q", target, found)
		}
	}
}

func TestNotThere(t *testing.T) {
	d := newDesk(t)
	for _, row := range []struct {
		method, target string
		want           int
		allow          string
	}{
		{"GET", "/nothing", 404, ""},
		{"GET", "/api", 404, ""},
		{"GET", "/api/nothing", 404, ""},
		{"GET", "//new", 404, ""},
		{"GET", "/x/../new", 404, ""},
		{"GET", "/tokens/06h000000000000000000000zz", 404, ""},
		{"GET", "/tokens/a%2Fb", 400, ""},
		{"PUT", "/new", 405, "GET, HEAD, POST"},
		{"POST", "/", 405, "GET, HEAD"},
		{"PUT", "/api/tokens", 405, "GET, HEAD, POST, DELETE"},
		{"GET", "/leaked", 405, "POST"},
		{"GET", "/api/tokens?stauts=active", 400, ""},
		{"GET", "/?utm_source=mail", 200, ""},
		{"GET", "/?sort=size", 400, ""},
		{"GET", "/?sort=name&cursor=nonsense", 400, ""},
	} {
		w := d.do(row.method, row.target, "", "User", "alice")
		if w.Code != row.want || w.Header().Get("Allow") != row.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", row.method, row.target, w.Code, w.Header().Get("Allow"), row.want, row.allow)
		}
	}
}

// What went wrong with the store is reported, and no business of the visitor's.
func TestStoreFails(t *testing.T) {
	d := newDesk(t)
	d.broken = errors.New("disk on fire at /var/lib/secret-place")
	for _, target := range []string{"/", "/api/tokens"} {
		w := d.do("GET", target, "", "User", "alice")
		if w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("GET %s: %d with Retry-After %q, want 503", target, w.Code, w.Header().Get("Retry-After"))
		}
		lacks(t, w.Body.String(), "secret-place", "fire")
	}
	// A token is told the gate's reason.
	for target, w := range map[string]*httptest.ResponseRecorder{
		"GET /self":    d.self("GET", "/self", "", "x_0123456789abcdef"),
		"POST /leaked": d.do("POST", "/leaked", `{"secret":"x_0123456789abcdef"}`),
	} {
		p := answer[rest.Problem](t, w, 503)
		if p.Reason != "store_unavailable" || p.Type != rest.ProblemType+p.Reason || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %+v with Retry-After %q, want the reason store_unavailable", target, p, w.Header().Get("Retry-After"))
		}
		lacks(t, w.Body.String(), "secret-place", "fire")
	}
	if len(d.failures) != 4 || !errors.Is(d.failures[0], d.broken) {
		t.Errorf("reported: %v, want it four times", d.failures)
	}
}

// Every link and every form leads to something that is there, wherever the
// console is mounted.
func TestLinks(t *testing.T) {
	d := newDesk(t)
	for i := range pageSize + 1 {
		d.create("alice", fmt.Sprint("token ", i))
	}
	ref := regexp.MustCompile(`(href|src|action)="([^"]*)"`)
	form := regexp.MustCompile(`<form method="post"( class="card")?( novalidate)?>`)
	type visit struct{ owner, at string }
	seen := map[visit]bool{}
	todo := []visit{{"alice", "/"}, {"root", "/"}}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if seen[next] {
			continue
		}
		seen[next] = true
		at := next.at
		w := d.do("GET", at, "", "User", next.owner)
		if w.Code != 200 {
			t.Errorf("GET %s: %d", at, w.Code)
			continue
		}
		base, _ := url.Parse(at)
		page := w.Body.String()
		links := ref.FindAllStringSubmatch(page, -1)
		if form.MatchString(page) {
			links = append(links, []string{"", "action", ""})
		}
		for _, m := range links {
			to := html.UnescapeString(m[2])
			if strings.HasPrefix(to, "#") {
				if !strings.Contains(page, `id="`+to[1:]+`"`) {
					t.Errorf("%s: a link to %s, which isn't there", at, to)
				}
				continue
			}
			if strings.HasPrefix(to, "/") || strings.Contains(to, ":") {
				t.Errorf("%s: link %q isn't relative", at, to)
			}
			there, err := base.Parse(to)
			if err != nil {
				t.Errorf("%s: link %q: %v", at, to, err)
				continue
			}
			// Links that climb out of the console would show below a path only.
			below, _ := url.Parse("/a/b/c" + at)
			if under, _ := below.Parse(to); under.String() != "/a/b/c"+there.String() {
				t.Errorf("%s: link %q leads out of the console", at, to)
			}
			if m[1] != "action" {
				todo = append(todo, visit{next.owner, there.String()})
				continue
			}
			r := httptest.NewRequest("POST", there.String(), nil)
			if _, pattern := d.mux.Handler(r); pattern == "" {
				t.Errorf("%s: a form to %s, which takes none", at, there)
			}
		}
	}
	if len(seen) < 6*pageSize {
		t.Errorf("only %d pages were seen", len(seen))
	}
}

// A page and all it needs are small, also a full one.
func TestSize(t *testing.T) {
	d := newDesk(t)
	for i := range pageSize + 1 {
		_, _, err := d.registry.Operator(registry.Actor{}).Create(t.Context(), registry.NewToken{
			Name: strings.Repeat("n", 60) + fmt.Sprint(i), Description: strings.Repeat("d ", 60), Owner: "alice", Full: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	shared := 0
	for _, a := range assets {
		shared += len(a.body)
	}
	for _, target := range []string{"/", "/everyone", "/everyone/activity", "/new"} {
		if size := len(d.get("root", target)) + shared; size > 50<<10 {
			t.Errorf("GET %s: %d bytes with assets, want at most %d", target, size, 50<<10)
		}
	}
}
