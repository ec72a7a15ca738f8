package console

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func TestEdit(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	was := []string{"was-name", "ci"}
	status, to := d.post("alice", at+"/edit", append(was, "name", "build", "description", "on every push", "addresses", "10.0.0.0/8")...)
	if want := at + "?done=saved"; status != 303 || to != want {
		t.Fatalf("%d to %s, want 303 to %s", status, to, want)
	}
	says(t, d.get("alice", to), "build", "on every push", "10.0.0.0/8", "Saved.", "changed · name: ci\u200e → build")
	for _, row := range [][]string{
		{"name", "", "Give the token a name"},
		{"addresses", "nowhere", "Number 1 is not an address"},
	} {
		fields := append([]string{"name", "other", "description", "", "addresses", ""}, row[:2]...)
		for i := range 3 {
			if fields[2*i] == row[0] {
				fields[2*i+1] = row[1]
			}
		}
		status, page := d.post("alice", at+"/edit", fields[:6]...)
		if status != 422 {
			t.Errorf("%q: %d, want 422", row, status)
		}
		says(t, page, row[2])
	}
	if got := d.token(made.ID); got.Name != "build" {
		t.Errorf("a form with mistakes has changed the token: %+v", got)
	}
}

// Of a token's settings, a form changes those that were changed in it, and none that
// somebody else has changed since it was shown.
func TestEditOfAnOldPage(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	change := func(c registry.Changes) {
		t.Helper()
		if _, err := d.registry.Operator(registry.Actor{}).Update(t.Context(), made.ID, c); err != nil {
			t.Fatal(err)
		}
	}
	old := fieldsOf(d.get("alice", at), "edit")
	change(registry.Changes{AllowedIPs: &[]string{"10.0.0.0/8", "203.0.113.7"}})
	old.Set("description", "for the build")
	if status, to := d.post("alice", at+"/edit", inTurn(old)...); status != 303 {
		t.Fatalf("the description: %d\n%s", status, text(to))
	}
	if got := d.token(made.ID); len(got.AllowedIPs) != 2 || got.Description != "for the build" {
		t.Fatalf("a form about the description has made it %q, from %v", got.Description, got.AllowedIPs)
	}
	if status, to := d.post("alice", at+"/edit", inTurn(old)...); status != 303 {
		t.Errorf("once more: %d\n%s", status, text(to))
	}

	// Of a field that both have changed, the later one learns what it is now.
	old = fieldsOf(d.get("alice", at), "edit")
	change(registry.Changes{AllowedIPs: &[]string{"192.0.2.0/24"}, Name: new("build")})
	old.Set("addresses", "10.0.0.0/8")
	status, page := d.post("alice", at+"/edit", inTurn(old)...)
	if got := d.token(made.ID).AllowedIPs; status != 409 || len(got) != 1 || got[0].String() != "192.0.2.0/24" {
		t.Errorf("addresses that somebody else has changed: %d, now %v", status, got)
	}
	says(t, page, "Somebody has changed this since the page was shown. It is now: 192.0.2.0/24. Save again to replace that.")
	again := fieldsOf(page, "edit")
	if again.Get("name") != "build" || again.Get("addresses") != "10.0.0.0/8" {
		t.Errorf("the form has %q", again)
	}
	if status, _ := d.post("alice", at+"/edit", inTurn(again)...); status != 303 || d.token(made.ID).AllowedIPs[0].String() != "10.0.0.0/8" {
		t.Errorf("saved again: %d, %v", status, d.token(made.ID).AllowedIPs)
	}
	d.post("alice", at+"/edit", "name", "build", "description", "", "addresses", "")
	if got := d.token(made.ID).AllowedIPs; len(got) != 1 {
		t.Errorf("a form that doesn't say what it has shown: %v", got)
	}
}

func TestGrants(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	add := func(fields ...string) (int, string) { return d.post("alice", at+"/grants", fields...) }
	if status, to := add("access", "chosen", "scope", "assets:read", "scope", "license", "where", "all", "resources", "7\n8"); status != 303 || to != at+"?done=granted" {
		t.Fatalf("adding: %d %s", status, to)
	}
	page := d.get("alice", at+"?done=granted")
	says(t, page, "Permission added.", "assets:read", "In all spaces, only 7, 8", "permission added · may do: stories:read in space 1; assets:read, license on resources 7, 8")
	says(t, d.get("alice", "/"), "stories:read in space 1; assets:read, license on resources 7, 8")
	if status, page := add("access", "chosen", "where", "all"); status != 422 {
		t.Errorf("adding nothing: %d, want 422", status)
	} else {
		says(t, page, "Choose at least one permission.")
	}

	asks := regexp.MustCompile(`href="\.\./(tokens/\w+/grants/remove\?[^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(asks) != 2 {
		t.Fatalf("%d grants to remove, want 2", len(asks))
	}
	ask := "/" + strings.ReplaceAll(asks[0][1], "&amp;", "&")
	question := d.get("alice", ask)
	says(t, question, "Remove a permission of “ci”?", "stories:read in space 1.", "Remove permission")
	var remove []string
	for _, field := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="(\w*)">`).FindAllStringSubmatch(question, -1) {
		remove = append(remove, field[1:]...)
	}
	if got := d.token(made.ID).Grants; len(got) != 2 {
		t.Fatalf("the question has removed one: %+v", got)
	}
	if status, to := d.post("alice", at+"/grants/remove", remove...); status != 303 || to != at+"?done=removed" {
		t.Fatalf("removing: %d %s", status, to)
	}
	if got := d.token(made.ID).Grants; len(got) != 1 || got[0].Scopes[0] != "assets:read" {
		t.Fatalf("left: %+v", got)
	}
	// The same click once more is about a grant that is gone: another has its number.
	status, page := d.post("alice", at+"/grants/remove", remove...)
	if status != 409 || len(d.token(made.ID).Grants) != 1 {
		t.Errorf("a click on an old page: %d, %d grants left; want 409 and 1", status, len(d.token(made.ID).Grants))
	}
	says(t, page, "The permissions have changed since this page was shown.")
	if w := d.do("GET", ask, "", "User", "alice"); w.Code != 409 {
		t.Errorf("a click on an old page, that asks: %d, want 409", w.Code)
	}

	says(t, d.get("alice", at+"/grants/clear"), "Remove all permissions of “ci”?")
	if status, to := d.post("alice", at+"/grants/clear"); status != 303 || len(d.token(made.ID).Grants) != 0 {
		t.Errorf("removing all: %d %s, left %+v", status, to, d.token(made.ID).Grants)
	}
	says(t, d.get("alice", at), "No permissions: the token can’t do anything that needs one.")
	if status, _ := add("access", "full", "sure", "yes"); status != 303 || !d.token(made.ID).Grants[0].IsFull() {
		t.Errorf("everything: %d, %+v", status, d.token(made.ID).Grants)
	}
}

// The first of two clicks is dealt with while the second is read: what has the number
// then is another permission, and stays.
func TestSecondClickRemovesNothing(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	cli := registry.Actor{Kind: registry.Operator, Name: "cli"}
	if _, err := d.registry.Operator(cli).AddGrant(t.Context(), made.ID, token.Grant{Scopes: []string{"license"}}); err != nil {
		t.Fatal(err)
	}
	fields := strings.NewReader(url.Values{"n": {"1"}, "seal": {seal(d.token(made.ID).Grants[0])}}.Encode())
	first := sync.OnceFunc(func() {
		if _, err := d.registry.Operator(cli).RemoveGrant(t.Context(), made.ID, 1, nil); err != nil {
			t.Error(err)
		}
	})
	r := httptest.NewRequest("POST", "/tokens/"+made.ID+"/grants/remove", readerFunc(func(p []byte) (int, error) {
		first()
		return fields.Read(p)
	}))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User", "alice")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if got := d.token(made.ID).Grants; w.Code != 409 || len(got) != 1 || got[0].Scopes[0] != "license" {
		t.Errorf("the second click: %d, left %+v; want 409, and license", w.Code, got)
	}
	says(t, w.Body.String(), "The permissions have changed since this page was shown.")
	if strings.Count(w.Body.String(), `/grants/remove?`) != 1 {
		t.Error("the page doesn't show the one that is left")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestGrantsImmutable(t *testing.T) {
	d := newDesk(t, func(r *registry.Rules) { r.GrantsImmutable = true })
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	page := d.get("alice", at)
	says(t, page, "permissions can’t be changed here")
	lacks(t, page, "Add a permission", at+"/grants")
	if status, _ := d.post("alice", at+"/grants/clear"); status != 403 {
		t.Errorf("removing all: %d, want 403", status)
	}
	if status, _ := d.post("alice", at+"/grants", "access", "chosen", "scope", "license", "where", "all"); status != 422 {
		t.Errorf("adding: %d, want 422", status)
	}
}

func TestRegenerate(t *testing.T) {
	d := newDesk(t)
	made, old := d.create("alice", "ci")
	at := "/tokens/" + made.ID
	says(t, d.get("alice", at+"/regenerate"), "New secret for “ci”", "The old secret stops", "In a day")
	shown := func() []string { return []string{"shown", "active " + d.token(made.ID).Hint, "expires", "7d"} }
	status, page := d.post("alice", at+"/regenerate", append(shown(), "overlap", "24h")...)
	secret := secretIn.FindString(page)
	if got, err := d.registry.Verify(t.Context(), secret); status != 200 || err != nil || got.ID != made.ID || !got.ExpiresAt.Equal(noon.AddDate(0, 0, 7)) {
		t.Fatalf("%d: the new secret is that of %+v, %v", status, got, err)
	}
	says(t, page, "New secret made", "You won’t see this again")
	if _, err := d.registry.Bearer(t.Context(), old, netip.Addr{}); err != nil {
		t.Errorf("the old secret: %v, want it to work for a day", err)
	}
	says(t, d.get("alice", at), "Old secret works for another 24 hours")
	status, page = d.post("alice", at+"/regenerate", append(shown(), "overlap", "8d")...)
	if status != 422 {
		t.Errorf("an overlap longer than the new life: %d, want 422", status)
	}
	says(t, page, "is longer than the new secret lives")

	if _, err := d.registry.Operator(registry.Actor{}).Revoke(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	page = d.get("alice", at+"/regenerate")
	says(t, page, "The token works again with the new secret")
	lacks(t, page, "The old secret stops")
	if status, page := d.post("alice", at+"/regenerate", "expires", "30d", "shown", "revoked "+d.token(made.ID).Hint); status != 200 || d.token(made.ID).Status(d.now) != token.Active {
		t.Errorf("a revoked token: %d\n%s", status, text(page))
	}
}

// A page that was opened while a token worked doesn't bring it back after it was revoked.
func TestRegenerateOfAnOldPage(t *testing.T) {
	d := newDesk(t)
	made, _ := d.create("alice", "ci")
	at := "/tokens/" + made.ID + "/regenerate"
	hidden := func(page string) []string { return inTurn(fieldsOf(page, `method="post`)) }
	old := hidden(d.get("alice", at))
	if status, to := d.post("root", "/tokens/"+made.ID+"/revoke"); status != 303 {
		t.Fatalf("revoking: %d %s", status, to)
	}
	status, page := d.post("alice", at, append(old, "expires", "30d", "overlap", "1h")...)
	if got := d.token(made.ID); status != 409 || got.Status(d.now) != token.Revoked || got.Digest != made.Digest {
		t.Fatalf("a token that was revoked meanwhile: %d, and is %s", status, got.Status(d.now))
	}
	says(t, page, "The token has been revoked since this page was shown.", "The token works again with the new secret")
	lacks(t, page, "The old secret stops")
	if status, page := d.post("alice", at, append(hidden(page), "expires", "30d")...); status != 200 || d.token(made.ID).Status(d.now) != token.Active {
		t.Errorf("by the page that says so: %d\n%s", status, text(page))
	}
	digest := d.token(made.ID).Digest
	if status, _ := d.post("alice", at, "expires", "30d", "shown", "active "+made.Hint); status != 409 || d.token(made.ID).Digest != digest {
		t.Errorf("with another secret since: %d, want 409, and the secret left alone", status)
	}
	for _, shown := range [][]string{nil, {"shown", ""}} {
		if status, _ := d.post("alice", at, append(shown, "expires", "30d")...); status != 409 {
			t.Errorf("%q: %d, want 409", shown, status)
		}
	}
}
