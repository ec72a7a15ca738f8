package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// What a client has sent runs no command in the shell of whoever follows the report.
func TestReportIsQuoted(t *testing.T) {
	var out strings.Builder
	space := "1'$(touch PWNED)'"
	printReport(&out, reportAnswer{Findings: []finding{{Token: "t1", Grant: &token.Grant{Spaces: []string{space}, Scopes: []string{"a"}, Resources: []string{"*"}}}}}, "patgate")
	_, command, _ := strings.Cut(out.String(), "--add ")
	printed, err := exec.Command("sh", "-c", "printf %s "+command).CombinedOutput()
	if want := `{"spaces":["` + space + `"],"scopes":["a"],"resources":["*"]}`; err != nil || string(printed) != want {
		t.Errorf("the shell makes %s of it (%v), want %s", printed, err, want)
	}
}

// A grant is proposed only where one helps.
func TestReportProposes(t *testing.T) {
	one, two := token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"*"}}, token.Grant{Spaces: []string{"1", "2"}, Scopes: []string{"a"}, Resources: []string{"*"}}
	elsewhere := token.Grant{Spaces: []string{"2"}, Scopes: []string{"a"}, Resources: []string{"*"}}
	for _, c := range []struct {
		name, source  string
		grant         token.Grant
		owner         *token.Owner
		want, forbids bool
	}{
		{"the token lacks it", "path.space", elsewhere, nil, true, false},
		{"the owner's record forbids it", "path.space", one, &token.Owner{ID: "o", Enabled: true}, false, true},
		{"both", "path.space", elsewhere, &token.Owner{ID: "o", Enabled: true}, true, true},
		{"the token lacks what the owner has", "path.space", elsewhere, &token.Owner{ID: "o", Enabled: true, Grants: []token.Grant{one}}, true, false},
		{"the token has two spaces", "token", two, nil, false, false},
		{"its owner has them, too", "token", two, &token.Owner{ID: "o", Enabled: true, Grants: []token.Grant{two}}, false, false},
	} {
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Compile(policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/{space}", Require: "a", Settings: policy.Settings{Space: c.source}}}}, catalog)
		if err != nil {
			t.Fatal(err)
		}
		var m policy.Match
		p.Match(&policy.Request{Method: "GET", Path: "/1", Header: http.Header{"Authorization": {"Bearer S"}}}, &m)
		o := &outcome{owner: "o", subject: &policy.Subject{Owner: policy.NewOwner("o", c.owner), Grants: policy.NewGrants([]token.Grant{c.grant})}, space: m.Space}
		if o.reason = m.Decide(o.subject, time.Now(), netip.Addr{}); o.reason != policy.SpaceNotGranted {
			t.Fatalf("%s: %s", c.name, o.reason)
		}
		r := newReport()
		r.add(o, &m, "GET", "/1")
		got := r.answer().Findings[0]
		if (got.Grant != nil) != c.want || got.OwnerForbids != c.forbids {
			t.Errorf("%s: the proposal is %+v, and the owner's record forbids it: %v", c.name, got.Grant, got.OwnerForbids)
		}
		var out strings.Builder
		printReport(&out, r.answer(), "patgate")
		if strings.Contains(out.String(), "patgate owner show 'o'") != c.forbids {
			t.Errorf("%s: printed\n%s", c.name, &out)
		}
	}
}

// What is proposed is no wider than what was asked for, whatever a client has sent.
func TestReportProposesNoMore(t *testing.T) {
	for _, c := range []struct {
		name, pattern, path string
		space, resource     string
		grant               token.Grant
		want                string // spaces and resources; "": nothing is proposed
	}{
		{"a space", "/s/{space}", "/s/2", "", "", token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"*"}}, "[2] [*]"},
		{"a space called *", "/s/{space}", "/s/*", "", "", token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"*"}}, ""},
		{"the same, encoded", "/s/{space}", "/s/%2A", "", "", token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"*"}}, ""},
		{"a resource called *", "/s/{space}/{id}", "/s/1/*", "", "path.id", token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"5"}}, ""},
		{"a resource", "/s/{space}/{id}", "/s/1/7", "", "path.id", token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"5"}}, "[1] [7]"},
		{"no space", "/two", "/two", "", "", token.Grant{Spaces: []string{"1", "2"}, Scopes: []string{"b"}, Resources: []string{"*"}}, "[1 2] [*]"},
		{"the token's own space", "/own", "/own", "token", "", token.Grant{Spaces: []string{"1"}, Scopes: []string{"b"}, Resources: []string{"*"}}, "[1] [*]"},
		{"all spaces", "/all", "/all", "all", "", token.Grant{Spaces: []string{"1"}, Scopes: []string{"a"}, Resources: []string{"*"}}, "[*] [*]"},
	} {
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Compile(policy.Config{Routes: []policy.RouteConfig{
			{Methods: []string{"GET"}, Pattern: c.pattern, Require: "a", Settings: policy.Settings{Space: c.space, Resource: c.resource}},
			{Methods: []string{"GET"}, Pattern: "/other/{space}", Require: "a"},
		}}, catalog)
		if err != nil {
			t.Fatal(err)
		}
		var m policy.Match
		p.Match(&policy.Request{Method: "GET", Path: c.path, Header: http.Header{"Authorization": {"Bearer S"}}}, &m)
		o := &outcome{subject: &policy.Subject{Owner: policy.NewOwner("o", nil), Grants: policy.NewGrants([]token.Grant{c.grant})}, space: m.Space, resource: m.Resource}
		if o.reason = m.Decide(o.subject, time.Now(), netip.Addr{}); o.reason == policy.Forward {
			t.Fatalf("%s: forwarded", c.name)
		}
		r := newReport()
		r.add(o, &m, "GET", c.path)
		got := ""
		if g := r.answer().Findings[0].Grant; g != nil {
			got = fmt.Sprint(g.Spaces, g.Resources)
		}
		if got = strings.ReplaceAll(got, "][", "] ["); got != c.want {
			t.Errorf("%s: proposed for %q, want %q", c.name, got, c.want)
		}
	}
}
