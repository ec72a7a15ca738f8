package caddymodule

import (
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// What report mode remembers of requests is little, however long they are.
func TestReportIsSmall(t *testing.T) {
	const findings, size = 300, 100_000
	r := newReport()
	before := heap()
	for i := range findings {
		long := strings.Repeat("x", size) + strconv.Itoa(i)
		r.add(&outcome{reason: policy.SpaceNotGranted, space: long[:size-i], resource: long[i:]}, &policy.Match{}, "M"+long, "/"+strconv.Itoa(i)+long)
	}
	if grown := heap() - before; grown > findings*size/10 {
		t.Errorf("%d findings take %d bytes", findings, grown)
	}
	found := r.answer().Findings
	if len(found) != findings {
		t.Fatalf("%d findings, want %d", len(found), findings)
	}
	if f := found[0]; len(f.Space) != token.MaxValueLength || len(f.Path) != maxReportedPath || f.Grant != nil {
		t.Errorf("a finding is %+v", f)
	}
}

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
	for _, c := range []struct {
		name, source string
		grant        token.Grant
		owner        *token.Owner
		want         bool
	}{
		{"the token lacks it", "path.space", token.Grant{Spaces: []string{"2"}, Scopes: []string{"a"}, Resources: []string{"*"}}, nil, true},
		{"the owner's record forbids it", "path.space", one, &token.Owner{ID: "o", Enabled: true}, false},
		{"the token has two spaces", "token", two, nil, false},
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
		o := &outcome{subject: &policy.Subject{Owner: policy.NewOwner("o", c.owner), Grants: policy.NewGrants([]token.Grant{c.grant})}, space: m.Space}
		if o.reason = m.Decide(o.subject, time.Now(), netip.Addr{}); o.reason != policy.SpaceNotGranted {
			t.Fatalf("%s: %s", c.name, o.reason)
		}
		r := newReport()
		r.add(o, &m, "GET", "/1")
		if got := r.answer().Findings[0].Grant; (got != nil) != c.want {
			t.Errorf("%s: the proposal is %+v", c.name, got)
		}
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
