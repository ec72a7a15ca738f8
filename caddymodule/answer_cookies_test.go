package caddymodule

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
)

// An API opens sessions for whoever the gate says is asking. None reaches a client that
// has a token: with one it would need none any more.
func TestTokensMakeNoSessions(t *testing.T) {
	all := []string{"session=s; Path=/; HttpOnly", "theme=dark", " session =s", "session2=x", "session"}
	g := gatedBy(t, fmt.Sprintf(`{"apps": {"patgate": {"store": {"file": %q}}, "http": {"servers": {"one": {
		"listen": ["127.0.0.1:1"], "automatic_https": {"disable": true}, "routes": [{"handle": [
		{"handler": "patgate", "let_through": ["cookie session", "header X-Session"], "routes": [
			{"methods": ["GET"], "pattern": "/read", "require": "stories:read"},
			{"methods": ["GET"], "pattern": "/either", "require": "stories:read", "optional": true},
			{"methods": ["GET"], "pattern": "/tried", "require": "stories:read", "mode": "report"},
			{"methods": ["GET"], "pattern": "/open", "require": "public"}]},
		{"handler": "static_response", "headers": {"Set-Cookie": ["%s", "%s", "%s", "%s", "%s"]}}]}]}}}}}`,
		filepath.Join(t.TempDir(), "tokens.db"), all[0], all[1], all[2], all[3], all[4]), "one").start(t)
	bearer := "Bearer " + g.create(t)
	for _, row := range []struct {
		path, authorization, cookie string
		withheld                    bool
	}{
		{"/read", bearer, "", true},
		{"/read", bearer, "session=other", true},
		{"/read", "", "session=own", false},
		{"/either", bearer, "", true},
		{"/either", "", "", false},
		{"/tried", bearer, "", false},
		{"/open", bearer, "", false},
	} {
		want := all
		if row.withheld {
			want = []string{all[1], all[3]}
		}
		w, r := httptest.NewRecorder(), arrived(httptest.NewRequest("GET", row.path, nil))
		for name, value := range map[string]string{"Authorization": row.authorization, "Cookie": row.cookie} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		g.server.ServeHTTP(w, r)
		if got := w.Header()["Set-Cookie"]; w.Code != 200 || !slices.Equal(got, want) {
			t.Errorf("GET %s, Authorization %t, Cookie %q: %d with %q, want %q", row.path, row.authorization != "", row.cookie, w.Code, got, want)
		}
	}
}

// A session may be in several cookies, of which one alone is no secret: "chunks-2" beside the
// pieces, or what anybody can write beside its signature.
func TestPartsOfSessions(t *testing.T) {
	s := sessions{"session", ".AspNetCore.Cookies"}
	for _, name := range []string{
		"session", "session.sig", "session.0", "session_12", "session-1", ".AspNetCore.Cookies", ".AspNetCore.CookiesC1", ".AspNetCore.CookiesC10",
	} {
		if !s.sets(name + "=x; Path=/") {
			t.Errorf("%s isn't withheld", name)
		}
	}
	for _, name := range []string{"session2", "sessions", "session_theme", "session.", "session_", "sessionC", "Session", "sess", ".AspNetCore.Antiforgery"} {
		if s.sets(name + "=x; Path=/") {
			t.Errorf("%s is withheld", name)
		}
	}
}
