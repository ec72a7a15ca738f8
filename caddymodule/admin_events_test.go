package caddymodule

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// events returns what is listed with a query.
func (s *adminServer) events(query string) rest.EventPage {
	s.t.Helper()
	return want[rest.EventPage](s, 200, "GET", "events?"+query, "")
}

func actions(events []registry.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, string(e.Action))
	}
	return strings.Join(words, " ")
}

func testAdminEvents(s *adminServer) {
	newest := "0"
	if page := s.events("limit=1"); len(page.Events) > 0 {
		newest = page.Events[0].ID
	}
	id, _ := s.create("erin")
	want[token.View](s, 200, "PATCH", "tokens/"+id, `{"name":"deploy"}`)
	want[token.View](s, 200, "POST", "tokens/"+id+"/grants", `{"spaces":["2"],"scopes":["stories:read"]}`)
	want[rest.Revocation](s, 200, "POST", "tokens/"+id+"/revoke", "")
	want[token.Owner](s, 200, "PUT", "owners/erin", `{"enabled":false}`)

	const all = "owner_set revoked granted updated created"
	page := s.events("owner=erin")
	if got := actions(page.Events); got != all || page.Next != "" {
		s.t.Errorf("the events of erin: %q, next %q, want %q", got, page.Next, all)
	}
	if got := page.Events[3]; got.Actor != "admin" || got.ActorKind != registry.Operator || got.TokenID != id || got.TokenName != "deploy" ||
		len(got.Changes) != 1 || got.Changes[0] != (registry.FieldChange{Field: "name", Before: "ci", After: "deploy"}) {
		s.t.Errorf("the event of the new name: %+v", got)
	}
	if got := actions(s.events("token=" + id).Events); got != "revoked granted updated created" {
		s.t.Errorf("the events of the token: %q", got)
	}
	var paged []registry.Event
	for cursor := ""; ; {
		page := s.events("owner=erin&limit=2&cursor=" + cursor)
		paged = append(paged, page.Events...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := actions(paged); got != all {
		s.t.Errorf("the events of erin, page by page: %q, want %q", got, all)
	}
	page = s.events("owner=erin&after=" + newest)
	if got := actions(page.Events); got != "created updated granted revoked owner_set" || page.Next != page.Events[4].ID {
		s.t.Errorf("what came after event %s: %q, next %q", newest, got, page.Next)
	}
	if page = s.events("after=" + page.Next + "&wait=1ms"); len(page.Events) != 0 || page.Events == nil {
		s.t.Errorf("what came after the last: %v, want an empty list", page.Events)
	}

	// Who waits is told of what comes.
	waiting := make(chan rest.EventPage)
	go func() { waiting <- s.events("owner=frank&wait=1m&after=" + page.Next) }()
	want[token.Owner](s, 200, "PUT", "owners/frank", `{}`)
	if got := actions((<-waiting).Events); got != "owner_set" {
		s.t.Errorf("who waits is told of %q", got)
	}
}

func testAdminSorted(s *adminServer) {
	var made []string
	for _, n := range []string{`"b","expires_in":"3d"`, `"C","expires_in":"2d","description":"Nightly build"`, `"a","expires_in":"90d"`} {
		t := want[rest.TokenSecret](s, 201, "POST", "tokens", `{"owner":"sorted","full":true,"name":`+n+`}`)
		made = append(made, t.Token.ID)
	}
	b, c, a := made[0], made[1], made[2]
	tokens := s.tokenStore()
	noted := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	if err := tokens.NoteUses(context.Background(), store.Use{ID: b, At: noted, From: netip.MustParseAddr("192.0.2.9")}); err != nil {
		s.t.Fatal(err)
	}
	if got := want[token.View](s, 200, "GET", "tokens/"+b, ""); got.LastUsedAt == nil || !got.LastUsedAt.Equal(noted) || got.LastUsedIP.String() != "192.0.2.9" {
		s.t.Errorf("the token was used %v from %v, want %v", got.LastUsedAt, got.LastUsedIP, noted)
	}
	slices.Sort(made) // made within one millisecond, they have any order
	for _, test := range []struct {
		query string
		want  []string
	}{
		{"sort=name", []string{a, b, c}},
		{"sort=-name", []string{c, b, a}},
		{"sort=expires", []string{c, b, a}},
		{"sort=last_used&limit=1", []string{b}},
		{"sort=-created", made},
		{"text=NIGHTLY", []string{c}},
		{"expiring=4d&sort=expires", []string{c, b}},
		{"expiring=2d12h", []string{c}},
		{"unused=1d", nil},
	} {
		if got := ids(want[rest.TokenPage](s, 200, "GET", "tokens?owner=sorted&"+test.query, "").Tokens); !slices.Equal(got, test.want) {
			s.t.Errorf("%s lists %q, want %q", test.query, got, test.want)
		}
	}
	var paged []string
	for cursor := ""; ; {
		page := want[rest.TokenPage](s, 200, "GET", "tokens?owner=sorted&sort=-name&limit=1&cursor="+url.QueryEscape(cursor), "")
		paged = append(paged, ids(page.Tokens)...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if !slices.Equal(paged, []string{c, b, a}) {
		s.t.Errorf("by name backwards, one by one: %q, want %q", paged, []string{c, b, a})
	}
}

// tokenStore returns the store of the running server.
func (s *adminServer) tokenStore() store.Store {
	var found store.Store
	hubs.Range(func(_, value any) bool {
		if t := value.(*hub).opened.Load(); t != nil {
			found = t.store
		}
		return true
	})
	if found == nil {
		s.t.Fatal("no store is open")
	}
	return found
}

func testAdminOwnerLimits(s *adminServer) {
	got := want[token.Owner](s, 200, "PUT", "owners/limited", `{"max_tokens":1,"may_create":false}`)
	if got.MaxTokens != 1 || got.MayCreate {
		s.t.Errorf("the owner is %+v, want at most one token, and not by the owner", got)
	}
	s.create("limited")
	p := want[rest.Problem](s, 409, "POST", "tokens", `{"name":"x","owner":"limited","full":true}`)
	if !strings.Contains(p.Detail, "as many tokens as it may have (1)") {
		s.t.Errorf("the second token is refused with %q", p.Detail)
	}
	if _, text := s.do("GET", "owners/limited", ""); !strings.Contains(string(text), `"may_create":false,"max_tokens":1`) {
		s.t.Errorf("the owner is shown as %s", text)
	}
}
