package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestErrorBody(t *testing.T) {
	t.Parallel()
	p := Problem{Type: "urn:x", Title: "Forbidden", Status: 403, Detail: `no "write" <here> {reason}`, Reason: "scope_missing", RequiredScope: "a|b", Space: "é\n"}
	for _, row := range []struct {
		body ErrorBody
		want string
	}{
		{ErrorBody{}, `{"type":"urn:x","title":"Forbidden","status":403,"detail":"no \"write\" \u003chere\u003e {reason}","reason":"scope_missing","required_scope":"a|b","space":"é\n"}`},
		{ErrorBody{"application/json", `{"error":"{detail}"}`}, `{"error":"no \"write\" \u003chere\u003e {reason}"}`},
		{ErrorBody{"application/json; charset=utf-8", `{"code":{status},"in":["{space}"],"empty":{}}`}, `{"code":403,"in":["é\n"],"empty":{}}`},
		{ErrorBody{"application/vnd.api+json", `{"errors":[{"title":"{title}"}]}`}, `{"errors":[{"title":"Forbidden"}]}`},
		{ErrorBody{"application/json", `{"scope":"{required_scope}"}`}, `{"scope":"a|b"}`},
		{ErrorBody{"text/plain", "{status} {reason}: {detail}"}, `403 scope_missing: no "write" <here> {reason}`},
		{ErrorBody{"text/html", "<p>{detail}</p>"}, `<p>no &#34;write&#34; &lt;here&gt; {reason}</p>`},
		{ErrorBody{"application/xml", "<e>{required_scope}</e>"}, `<e>a|b</e>`},
		{ErrorBody{"text/plain", "{ {} {a-b} {{status}"}, "{ {} {a-b} {403"},
		{ErrorBody{"text/plain", ""}, ""},
	} {
		shape, err := compileErrorBody(&row.body)
		if err != nil {
			t.Errorf("%+v: %v", row.body, err)
			continue
		}
		if got := string(shape.Render(p)); got != row.want {
			t.Errorf("%+v renders\n\t%s\nwant\n\t%s", row.body, got, row.want)
		}
	}
	for _, row := range []struct {
		body ErrorBody
		want string
	}{
		{ErrorBody{"json", "x"}, "is not a media type"},
		{ErrorBody{"", "x"}, "is not a media type"},
		{ErrorBody{"text/plain\r\nX: y", "x"}, "is not a media type"},
		{ErrorBody{"text/plain", "{message}"}, "{message} is unknown"},
		{ErrorBody{"application/json", `{"scopes":[{required_scope}]}`}, "doesn't make valid JSON"},
		{ErrorBody{"application/json", `{"error":{detail}}`}, "doesn't make valid JSON"},
		{ErrorBody{"application/json", `{"error":"{detail}"`}, "doesn't make valid JSON"},
	} {
		if err := row.body.Validate(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %q", row.body, err, row.want)
		}
	}
	for _, named := range ErrorBodies {
		if err := named.Body.Validate(); err != nil {
			t.Errorf("%s: %v", named.Name, err)
		}
	}
}

// Inner bodies win over outer ones, and problem brings the default back.
func TestErrorBodyIsInherited(t *testing.T) {
	t.Parallel()
	site, group := &ErrorBody{"text/plain", "site"}, &ErrorBody{"text/plain", "group"}
	p := compile(t, Config{
		Settings: Settings{ErrorBody: site},
		Routes:   routes("GET /a any"),
		Groups: []GroupConfig{{Prefix: "/g", Settings: Settings{ErrorBody: group}, Routes: append(routes("GET /b any"),
			RouteConfig{Methods: []string{"GET"}, Pattern: "/c", Require: "any", Settings: Settings{ErrorBody: &ErrorBody{}}})}},
	})
	for target, want := range map[string]string{"GET /a": "site", "GET /none": "site", "GET /g/b": "group", "GET /g/c": "{"} {
		if got := string(p.matched(request(target)).Shape().Render(Problem{})); !strings.HasPrefix(got, want) {
			t.Errorf("%s: body %s, want %s", target, got, want)
		}
	}
}

func FuzzErrorBody(f *testing.F) {
	for _, s := range []string{`{"error":"{detail}"}`, "{", "{}", "{status", "{x}", `"{title}"`} {
		f.Add("application/json", s, `"\`)
		f.Add("text/plain", s, "x")
	}
	f.Fuzz(func(t *testing.T, kind, template, value string) {
		shape, err := compileErrorBody(&ErrorBody{kind, template})
		if err != nil {
			return
		}
		body := shape.Render(Problem{Detail: value, Title: value, Space: value, Reason: value, Type: value, RequiredScope: value})
		if len(shape.names) > 0 && strings.HasPrefix(kind, "application/json") && !json.Valid(body) {
			t.Errorf("%q with %q renders invalid JSON: %s", template, value, body)
		}
	})
}

// A problem is written as encoding/json writes it.
func FuzzProblem(f *testing.F) {
	f.Add("urn:patgate:problem:scope_missing", "Forbidden", 403, "the token lacks a scope", "scope_missing", "stories:read", "1")
	f.Add("", "", 0, "", "", "", "")
	f.Add("a", "\"\\<>&\u2028", -1, "é\x00\x7f", "\xff", "\n", "😀")
	f.Fuzz(func(t *testing.T, kind, title string, status int, detail, reason, scope, space string) {
		p := Problem{kind, title, status, detail, reason, scope, space}
		want, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.append(nil); string(got) != string(want) {
			t.Errorf("%+v: got %s, want %s", p, got, want)
		}
	})
}
