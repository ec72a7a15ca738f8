package console

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// secretIn is what looks like a secret.
var secretIn = regexp.MustCompile(`pat_[0-9A-Za-z]{36}`)

// Every page says where in the navigation it is.
func TestNavigation(t *testing.T) {
	d := newDesk(t)
	mine, _ := d.create("root", "mine")
	other, _ := d.create("alice", "of another")
	for target, want := range map[string]string{
		"/": "Yours", "/new": "Yours", "/tokens/" + mine.ID: "Yours", "/tokens/" + mine.ID + "/regenerate": "Yours", "/tokens/" + mine.ID + "/revoke": "Yours",
		"/tokens/" + mine.ID + "/delete": "Yours", "/tokens/" + mine.ID + "/grants/clear": "Yours", "/activity": "Activity",
		"/tokens/" + other.ID: "Everyone’s", "/tokens/" + other.ID + "/revoke": "Everyone’s", "/everyone/revoke?owner=alice": "Everyone’s",
		"/everyone": "Everyone’s", "/everyone/activity": "All activity",
	} {
		_, nav, _ := strings.Cut(d.get("root", target), `<nav aria-label="Main">`)
		nav, _, _ = strings.Cut(nav, "</nav>")
		if current := regexp.MustCompile(`aria-current="true">([^<]*)<`).FindStringSubmatch(nav); current == nil || current[1] != want {
			t.Errorf("%s is at %q, want %q", target, current, want)
		}
	}
	if _, page := d.post("root", "/new", filled()...); !strings.Contains(page, `aria-current="true">Yours<`) {
		t.Error("the page with the secret is nowhere")
	}
}

// What a form is known by is no other account's: what somebody guesses tells nothing of a token.
func TestFormOfAnotherAccount(t *testing.T) {
	d := newDesk(t)
	for _, owner := range []string{"alice", "bob"} {
		if status, page := d.post(owner, "/new", filled("spaces", "1", "once", "abc")...); status != 200 {
			t.Errorf("%s: %d\n%s", owner, status, text(page))
		}
	}
}

// A form that is sent again, by a page that is loaded anew, makes no second secret.
func TestFormsAreSentOnce(t *testing.T) {
	d := newDesk(t)
	hidden := regexp.MustCompile(`name="once" value="(\w+)"`)
	once := func(target string) string {
		t.Helper()
		found := hidden.FindStringSubmatch(d.get("alice", target))
		if found == nil {
			t.Fatalf("GET %s has no such field", target)
		}
		return found[1]
	}
	fields := filled("spaces", "1", "once", once("/new"))
	if status, page := d.post("alice", "/new", filled("spaces", "1", "expires", "99999d", "once", fields[len(fields)-1])...); status != 422 {
		t.Fatalf("with a mistake: %d\n%s", status, text(page))
	}
	if status, page := d.post("alice", "/new", fields...); status != 200 {
		t.Fatalf("mended: %d\n%s", status, text(page))
	}
	status, page := d.post("alice", "/new", fields...)
	if status != 409 {
		t.Errorf("again: %d, want 409", status)
	}
	says(t, page, "Sent already", "If you did not see it, open the token and make a new one.")
	tokens, _, err := d.registry.Operator(registry.Actor{}).List(t.Context(), registry.Query{})
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%d tokens were made, %v, want 1", len(tokens), err)
	}
	if link := `href="./tokens/` + tokens[0].ID + `"`; !strings.Contains(page, link) {
		t.Errorf("the page lacks %s", link)
	}
	at := "/tokens/" + tokens[0].ID + "/regenerate"
	fields = []string{"expires", "30d", "once", once(at), "shown", "active " + tokens[0].Hint}
	if status, page := d.post("alice", at, fields...); status != 200 {
		t.Fatalf("regenerating: %d\n%s", status, text(page))
	}
	digest := d.token(tokens[0].ID).Digest
	if status, _ := d.post("alice", at, fields...); status != 409 || d.token(tokens[0].ID).Digest != digest {
		t.Errorf("regenerating again: %d, want 409, and the secret left alone", status)
	}
}

// A second click is answered when the first one is dealt with: by then it is known
// whether there is a secret.
func TestSecondClickWaits(t *testing.T) {
	d := newDesk(t)
	c := &call{Console: d.Console, Call: rest.Call{R: httptest.NewRequest("POST", "/new", nil), W: httptest.NewRecorder()}}
	f := &form{values: url.Values{"once": {"x"}}}
	failed := errors.New("gone")
	second, begun := make(chan error), make(chan bool)
	err := c.makeSecret(f, nil, "", func() (*token.Token, string, error) {
		go func() {
			close(begun)
			second <- c.makeSecret(f, nil, "", func() (*token.Token, string, error) { return nil, "", io.EOF })
		}()
		<-begun
		return nil, "", failed
	})
	if err != failed {
		t.Errorf("the first: %v", err)
	}
	if err := <-second; err != io.EOF {
		t.Errorf("the second: %v; want it to make what the first could not", err)
	}
}

func TestList(t *testing.T) {
	d := newDesk(t)
	deploy, _ := d.create("alice", "deploy")
	d.create("alice", "Backup")
	d.create("bob", "of another")
	d.now = noon.AddDate(0, 0, 80)
	fresh, _ := d.create("alice", "fresh")
	if _, err := d.registry.Operator(registry.Actor{}).Revoke(t.Context(), deploy.ID); err != nil {
		t.Fatal(err)
	}
	all := d.get("alice", "/")
	says(t, all, "Your tokens", "deploy", "revoked just now", "Backup", "in 10 days", "Expires soon", "fresh", "in 90 days", "never", "stories:read in space 1")
	lacks(t, all, "of another", "bob")
	for target, want := range map[string][]string{
		"/?status=active":   {"fresh", "Backup"},
		"/?status=revoked":  {"deploy"},
		"/?status=expiring": {"Backup"},
		"/?status=unused":   {"Backup"},
		"/?status=expired":  nil,
		"/?q=back":          {"Backup"},
		"/?sort=name":       {"Backup", "deploy", "fresh"},
		"/?sort=expires":    {"Backup", "deploy", "fresh"},
	} {
		page := d.get("alice", target)
		var got []string
		for _, m := range regexp.MustCompile(`<a href="./tokens/[^"]*">([^<]*)</a>`).FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
		}
		if strings.Contains(target, "expires") { // the first two expire at the same moment
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("GET %s: %q, want %q", target, got, want)
		}
		if want == nil {
			says(t, page, "No tokens like that.", "Show all")
		}
	}
	d.now = fresh.ExpiresAt
	says(t, d.get("alice", "/?status=expired"), "fresh", "expired just now never Expired", "Backup", "expired 80 days ago")
}

func TestPages(t *testing.T) {
	d := newDesk(t)
	for i := range pageSize + 1 {
		d.create("alice", "token "+string(rune('A'+i)))
	}
	first := d.get("alice", "/?sort=name")
	says(t, first, "token A", "token Y", "Next page")
	lacks(t, first, "token Z")
	next := regexp.MustCompile(`<a href="([^"]*)" rel="next"`).FindStringSubmatch(first)
	second := d.get("alice", "/"+strings.ReplaceAll(next[1], "&amp;", "&"))
	says(t, second, "token Z", "First page")
	lacks(t, second, "token Y", "Next page")
}

func TestRevokeAndDelete(t *testing.T) {
	d := newDesk(t)
	made, secret := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	says(t, d.get("alice", at+"/revoke"), "Revoke “ci”?", "turned away from that moment on")
	if status, to := d.post("alice", at+"/revoke"); status != 303 || to != at+"?done=revoked" {
		t.Fatalf("revoking: %d %s", status, to)
	}
	page := d.get("alice", at+"?done=revoked")
	says(t, page, "The token no longer works.", "Revoked", "revoked by you from "+address+", just now")
	lacks(t, page, `href="../tokens/`+made.ID+`/revoke"`)
	if _, err := d.registry.Bearer(t.Context(), secret, netip.Addr{}); err == nil {
		t.Error("its secret still opens something")
	}
	if status, page := d.post("alice", at+"/regenerate", "expires", "30d", "shown", "revoked "+made.Hint); status != 200 {
		t.Fatalf("%d\n%s", status, text(page))
	}
	lacks(t, d.get("alice", at+"?done=revoked"), "The token no longer works.")
	lacks(t, d.get("alice", at+"?done=cleared"), "All permissions removed.")
	says(t, d.get("alice", at+"/delete"), "Delete “ci”?", "gone for good")
	if status, to := d.post("alice", at+"/delete"); status != 303 || to != "/?done=deleted" {
		t.Fatalf("deleting: %d %s", status, to)
	}
	says(t, d.get("alice", "/?done=deleted"), "Deleted.")
	if w := d.do("GET", at, "", "User", "alice"); w.Code != 404 {
		t.Errorf("GET %s: %d, want 404", at, w.Code)
	}
	says(t, d.get("alice", "/activity"), "ci – deleted", "ci – revoked", "ci – made")
}

// unconfirmed is a store that can't say that nothing undoes what was done.
type unconfirmed struct {
	store.Store
	store.Shared // nil: nothing else of it is asked
}

func (unconfirmed) Confirm(context.Context) error { return errors.New("no replica answers") }

// That a token isn't there any more is as good as its end, and so has to be as certain.
func TestWhatIsNotThereIsConfirmed(t *testing.T) {
	d := newDesk(t)
	d.registry = registry.New(unconfirmed{Store: d.store}, d.rules, registry.Options{})
	for _, what := range []string{"revoke", "delete"} {
		if status, page := d.post("alice", "/tokens/gone/"+what); status != 503 {
			t.Errorf("%s: %d, want 503\n%s", what, status, text(page))
		}
	}
}

// What is somebody else's isn't there, whatever is asked of it.
func TestOthersTokens(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	before := d.token(made.ID)
	at := "/tokens/" + made.ID
	for _, r := range pageRoutes() {
		method, pattern, _ := strings.Cut(r.pattern, " ")
		if !strings.Contains(pattern, "{id}") {
			continue
		}
		w := d.do(method, strings.Replace(pattern, "{id}", made.ID, 1), "name=x", "User", "bob", "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != 404 {
			t.Errorf("%s for bob: %d, want 404", r.pattern, w.Code)
		}
		// An admin may look and revoke, no more.
		w = d.do(method, strings.Replace(pattern, "{id}", made.ID, 1), "name=x", "User", "root", "Content-Type", "application/x-www-form-urlencoded")
		want := 403
		switch r.pattern {
		case "GET /tokens/{id}", "GET /tokens/{id}/revoke":
			want = 200
		case "POST /tokens/{id}/revoke":
			want = 303
		}
		if w.Code != want {
			t.Errorf("%s for an admin: %d, want %d", r.pattern, w.Code, want)
		}
	}
	for _, target := range []string{"/everyone", "/everyone/activity", "/everyone/revoke?owner=alice"} {
		if w := d.do("GET", target, "", "User", "bob"); w.Code != 403 {
			t.Errorf("GET %s for bob: %d, want 403", target, w.Code)
		}
	}
	for _, owner := range []string{"alice", "bob"} {
		if status, _ := d.post("bob", "/everyone/revoke", "owner", owner); status != 403 {
			t.Errorf("revoking all of %s's on a page for admins, for bob: %d, want 403", owner, status)
		}
	}
	if after := d.token(made.ID); after.Name != before.Name || !slices.EqualFunc(after.Grants, before.Grants, token.EqualGrant) {
		t.Errorf("the token was changed: %+v", after)
	}
	page := d.get("root", at)
	says(t, page, "Tokens of alice", "revoked by you")
	lacks(t, page, "Delete this token", "Add a permission", "Settings", "New secret")
}

func TestEveryone(t *testing.T) {
	d := newDesk(t)
	d.create("alice", "ci")
	d.create("bob & sons", "deploy")
	lacks(t, d.get("alice", "/"), "Everyone")
	page := d.get("root", "/everyone")
	says(t, page, "Everyone’s tokens", "ci", "alice", "deploy", "bob & sons")
	of := "/everyone?" + url.Values{"owner": {"bob & sons"}}.Encode()
	page = d.get("root", of)
	says(t, page, "All tokens of bob & sons", "deploy", "Revoke all of them")
	lacks(t, page, "tokens of alice", ">ci<")
	says(t, d.get("root", "/everyone/revoke?owner=bob+%26+sons"), "Revoke all tokens of “bob & sons”?")
	status, to := d.post("root", "/everyone/revoke", "owner", "bob & sons")
	if status != http.StatusSeeOther {
		t.Fatalf("revoking all: %d", status)
	}
	says(t, d.get("root", to), "All tokens of this owner are revoked.", "revoked just now")
	d.create("bob & sons", "another")
	lacks(t, d.get("root", to), "All tokens of this owner are revoked.")
	says(t, d.get("alice", "/?status=active"), "ci")
	says(t, d.get("root", "/everyone/activity"), "deploy – revoked by you from "+address, "ci – made")
	lacks(t, d.get("alice", "/activity"), "deploy")
	if status, _ := d.post("root", "/everyone/revoke"); status != 400 {
		t.Errorf("revoking all of nobody: %d, want 400", status)
	}
}

func TestFormsThatCantBeRead(t *testing.T) {
	d := newDesk(t)
	for body, want := range map[string]int{"name=%zz": 400, "name=" + strings.Repeat("x", maxForm): 413} {
		w := d.do("POST", "/new", body, "User", "alice", "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != want {
			t.Errorf("a form of %d bytes: %d, want %d", len(body), w.Code, want)
		}
	}
}

// While the store is down, and after too many changes, nothing that was filled in is lost:
// the page that says so can send it again.
func TestFormsOutliveTheStore(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	for target, fields := range map[string]url.Values{
		"/new":                           {"name": {`"quoted"`}, "scope": {"stories:read", "assets:read"}, "spaces": {"1\n2"}, "where": {"some"}, "expires": {"30d"}, "once": {"x"}},
		"/tokens/" + made.ID + "/edit":   {"name": {"build"}, "was-name": {"ci"}},
		"/tokens/" + made.ID + "/revoke": {},
	} {
		send := func(fields url.Values) *httptest.ResponseRecorder {
			return d.do("POST", target, fields.Encode(), "User", "alice", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
		}
		d.broken = errors.New("down")
		w := send(fields)
		if w.Code != 503 {
			t.Fatalf("POST %s: %d, want 503", target, w.Code)
		}
		says(t, w.Body.String(), "Not now", "try again in a minute", "Try again")
		kept := url.Values{}
		for _, field := range regexp.MustCompile(`(?s)<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(w.Body.String(), -1) {
			kept.Add(field[1], html.UnescapeString(field[2]))
		}
		if kept.Encode() != fields.Encode() {
			t.Errorf("POST %s: kept %q, want %q", target, kept, fields)
		}
		d.broken = nil
		if w := send(kept); w.Code != 200 && w.Code != 303 {
			t.Errorf("POST %s again: %d\n%s", target, w.Code, text(w.Body.String()))
		}
	}
	d.broken = errors.New("down")
	lacks(t, d.do("GET", "/", "", "User", "alice").Body.String(), "Try again")

	d.broken = nil
	for d.pace.Allow("alice", d.now) {
	}
	w := d.do("POST", "/new", "name=slow", "User", "alice", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if w.Code != 429 {
		t.Fatalf("POST /new when there were too many changes: %d, want 429", w.Code)
	}
	says(t, w.Body.String(), "Not now", "one a minute", "Try again")
	if !strings.Contains(w.Body.String(), `<input type="hidden" name="name" value="slow">`) {
		t.Errorf("what was filled in is lost:\n%s", w.Body)
	}
}

// What people write is shown as text.
func TestMarkupIsText(t *testing.T) {
	d := newDesk(t)
	const evil = `"><script>alert(1)</script>`
	status, page := d.post(evil, "/new", filled("name", evil, "description", evil, "spaces", evil)...)
	if status != 200 {
		t.Fatalf("%d\n%s", status, text(page))
	}
	tokens, _, err := d.registry.Operator(registry.Actor{}).List(t.Context(), registry.Query{})
	if err != nil || len(tokens) != 1 {
		t.Fatal(err, len(tokens))
	}
	at := "/tokens/" + tokens[0].ID
	_, mistaken := d.post(evil, "/new", filled("name", evil, "addresses", evil, "more", evil)...)
	for _, page := range []string{page, mistaken, d.get(evil, "/?q="+url.QueryEscape(evil)), d.get(evil, at), d.get(evil, at+"/revoke"), d.get(evil, "/activity"), d.get("root", "/everyone")} {
		if strings.Contains(page, "<script>alert") {
			t.Errorf("the page has markup that somebody wrote:\n%s", page)
		}
	}
}
