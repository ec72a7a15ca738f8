package console

import (
	"net/http"
	"testing"
	"time"
)

// Whoever changes something again and again comes to an end before the audit trail does.
// Everybody else goes on, and so does whatever takes away.
func TestPace(t *testing.T) {
	d := newDesk(t)
	made, secret := d.create("alice", "ci")
	mine := "/api/tokens/" + made.ID
	want := func(what string, status int, method, target, body string, header ...string) {
		t.Helper()
		w := d.do(method, target, body, append([]string{"Sec-Fetch-Site", "same-origin"}, header...)...)
		if w.Code != status || (w.Header().Get("Retry-After") == "60") != (status == http.StatusTooManyRequests) {
			t.Errorf("%s: %d %v %s, want %d", what, w.Code, w.Header(), w.Body, status)
		}
	}
	alice := []string{"User", "alice"}
	form := append(alice, "Content-Type", "application/x-www-form-urlencoded")
	want("the first change", 200, "PATCH", mine, `{"name":"a"}`, alice...)
	for d.pace.Allow("alice", d.now) {
	}
	want("one more", 429, "PATCH", mine, `{"name":"b"}`, alice...)
	want("a new token", 429, "POST", "/api/tokens", `{"name":"b"}`, alice...)
	want("a new secret", 429, "POST", mine+"/regenerate", "", alice...)
	want("a new grant", 429, "POST", mine+"/grants", `{}`, alice...)
	want("on the page", 429, "POST", "/tokens/"+made.ID+"/edit", "name=b", form...)
	want("by the token itself", 429, "POST", "/self/regenerate", "", "Authorization", "Bearer "+secret)
	if name := d.token(made.ID).Name; name != "a" {
		t.Errorf("the token is called %s, want a", name)
	}
	want("a look", 200, "GET", mine, "", alice...)
	other, _ := d.create("bob", "ci")
	want("somebody else's", 200, "PATCH", "/api/tokens/"+other.ID, `{"name":"b"}`, "User", "bob")
	d.now = d.now.Add(time.Minute)
	want("a minute later", 200, "PATCH", mine, `{"name":"b"}`, alice...)
	want("and again", 429, "PATCH", mine, `{"name":"c"}`, alice...)
	want("one grant less", 429, "DELETE", mine+"/grants/1", "", alice...)
	want("and on the page", 429, "POST", "/tokens/"+made.ID+"/grants/remove", "n=1", form...)
	want("no grants", 200, "DELETE", mine+"/grants", "", alice...)
	want("none on the page either", 303, "POST", "/tokens/"+made.ID+"/grants/clear", "", form...)
	want("revoking", 200, "POST", mine+"/revoke", "", alice...)
	want("deleting", 200, "DELETE", mine, "", alice...)

	own, _ := d.create("root", "ci")
	for d.pace.Allow("root", d.now) {
	}
	want("an admin's", 200, "PATCH", "/api/tokens/"+own.ID, `{"name":"b"}`, "User", "root")
}
