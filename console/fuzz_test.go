package console

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/pace"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

const sample = "pat_3fQ8sKx0Zb1mWq7RtYuIoPaSdFgHjK2hJ8aB" // of the right length

// What /self takes for a secret of patgate's is refused for signing in.
func FuzzCredentials(f *testing.F) {
	for _, s := range []string{
		"", sample, "Bearer " + sample, "bearer   " + sample, "Token token=\"" + sample + "\"", "Basic", "Basic !", "Basic " + sample,
		"Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+sample)), "Basic " + base64.StdEncoding.EncodeToString([]byte("alice")),
	} {
		f.Add(s)
	}
	c := &call{Console: &Console{Options: Options{Rules: func() registry.Rules { return registry.Rules{Prefix: "pat"} }}}}
	f.Fuzz(func(t *testing.T, value string) {
		c.R = httptest.NewRequest("GET", "/", nil)
		c.R.Header["Authorization"] = []string{value}
		secret := presented(c.R)
		_, _, isBasic := basic(value)
		if strings.HasPrefix(secret, "pat_") && !isBasic && !c.carriesToken() {
			t.Errorf("%q shows the secret %q and signs in", value, secret)
		}
		if isBasic && token.Inspect("pat", secret) == token.WellMade && !c.carriesToken() {
			t.Errorf("%q has the secret as its password and signs in", value)
		}
	})
}

// Whatever a form has in it is either taken or comes back with what is wrong.
func FuzzForm(f *testing.F) {
	f.Add("name=ci&expires=30d&scope=stories:read&where=all")
	f.Add("name=ci&expires=date&date=2026-12-31&access=full&sure=yes")
	f.Add("name=%zz")
	f.Add("name=a&more=*:x+%22&spaces=%00%0a1&where=some&addresses=10.0.0.0/8%0a::1&expires=-1d&resources=%ff")
	d := newDesk(f)
	f.Fuzz(func(t *testing.T, body string) {
		d.t, d.pace = t, pace.New(changeBurst, changeEvery) // none of the forms is one too many
		w := d.do("POST", "/new", body, "User", "alice", "Content-Type", "application/x-www-form-urlencoded")
		switch w.Code {
		case http.StatusOK, http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("%q: %d\n%s", body, w.Code, text(w.Body.String()))
		}
		if values, err := url.ParseQuery(body); err == nil && w.Code == http.StatusOK && values.Get("name") == "" {
			t.Errorf("%q: made a token without a name", body)
		}
		if secrets := len(secretIn.FindAllString(w.Body.String(), -1)); secrets > 0 != (w.Code == http.StatusOK) && !strings.Contains(body, "pat_") {
			t.Errorf("%q: %d with %d secrets", body, w.Code, secrets)
		}
	})
}
