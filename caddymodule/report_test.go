package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// What report mode remembers of requests is little, however long they are.
func TestReportIsSmall(t *testing.T) {
	const findings, size = 300, 100_000
	r := newReport()
	before := heap()
	for i := range findings {
		long := strings.Repeat("x", size) + strconv.Itoa(i)
		r.add(&outcome{gate: new(Handler), reason: policy.SpaceNotGranted, tokenID: strconv.Itoa(i), space: long[:size-i], resource: long[i:]}, &policy.Match{}, "M"+long, "/"+strconv.Itoa(i)+long)
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

// Times have milliseconds, as everywhere else.
func TestReportTimes(t *testing.T) {
	r := newReport()
	r.add(&outcome{gate: new(Handler), reason: policy.RouteUnknown}, &policy.Match{}, "GET", "/a")
	a := r.answer()
	for _, at := range []time.Time{a.Since, a.Findings[0].First, a.Findings[0].Last} {
		if at.IsZero() || at.Nanosecond()%int(time.Millisecond) != 0 {
			t.Errorf("%v, want a time in milliseconds", at)
		}
	}
}

// Requests on no route are told apart by what looks like the same route, and never push
// out what was found on routes.
func TestReportOfUnknownRoutes(t *testing.T) {
	r := newReport()
	r.add(&outcome{reason: policy.ScopeMissing, tokenID: "t1"}, &policy.Match{Route: &policy.Route{Methods: []string{"GET"}, Pattern: "/a"}}, "GET", "/a")
	for i := range 3 * reportSize {
		r.add(&outcome{gate: new(Handler), reason: policy.RouteUnknown}, &policy.Match{}, "GET", fmt.Sprintf("/scan%c%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576))
	}
	if n := len(r.answer().Findings); n != 1+unroutedSize || r.findings.Len() != 1 || r.answer().Forgotten != 3*reportSize-unroutedSize {
		t.Errorf("%d findings, %d of them on routes, %d forgotten", n, r.findings.Len(), r.answer().Forgotten)
	}
	r.clear()
	for _, path := range []string{"/api/v1/orders/1", "/api/v1/orders/22", "/api/v1/orders/6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "/api/v1/orders/3/items/4", "/api/v1/orders/3/items/4/", "/api/v1/oauth2", "/$(x)"} {
		for _, method := range []string{"GET", "PUT"} {
			r.add(&outcome{gate: new(Handler), reason: policy.RouteUnknown}, &policy.Match{}, method, path)
		}
	}
	var got []string
	for _, m := range missingRoutes(r.answer().Findings) {
		got = append(got, strings.Join(m.methods, ",")+" "+m.pattern)
	}
	slices.Sort(got)
	want := []string{"GET,PUT /api/v1/oauth2", "GET,PUT /api/v1/orders/{id}", "GET,PUT /api/v1/orders/{id}/items/{id2}"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("proposed are %q, want %q", got, want)
	}
	for _, route := range got {
		var c policy.Config
		methods, pattern, _ := strings.Cut(route, " ")
		c.Routes = []policy.RouteConfig{{Methods: strings.Split(methods, ","), Pattern: pattern, Require: "any"}}
		catalog, _ := policy.NewCatalog(nil)
		if _, err := policy.Compile(c, catalog); err != nil {
			t.Errorf("route %s: %v", route, err)
		}
	}
}

// What another site asks for is another finding, and so is what the same asks for since a
// reload: what is proposed for the one isn't enough for the other.
func TestReportTellsRequirementsApart(t *testing.T) {
	r := newReport()
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range []string{"a", "b", "a"} {
		p, err := policy.Compile(policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/{space}", Require: scope, At: "Caddyfile:" + scope}}}, catalog)
		if err != nil {
			t.Fatal(err)
		}
		var m policy.Match
		p.Match(&policy.Request{Method: "GET", Path: "/1", Header: http.Header{"Authorization": {"Bearer S"}}}, &m)
		o := &outcome{reason: policy.ScopeMissing, tokenID: "t", subject: &policy.Subject{Owner: policy.NewOwner("o", nil), Grants: policy.NewGrants(nil)}, space: m.Space, scope: scope}
		r.add(o, &m, "GET", "/1")
	}
	var got []string
	for _, f := range r.answer().Findings {
		got = append(got, fmt.Sprintf("%d %s %v", f.Count, f.At, f.Grant.Scopes))
	}
	if want := []string{"2 Caddyfile:a [a]", "1 Caddyfile:b [b]"}; !slices.Equal(got, want) {
		t.Errorf("findings are %q, want %q", got, want)
	}
}

// The route that is proposed is in the space that the routes beside it are in, whatever they
// call it: otherwise it would be open to tokens of every space.
func TestReportProposesRoutesInSpaces(t *testing.T) {
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	routes := []policy.RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/v1/spaces/{space}/stories/{id}", Require: "a"},
		{Methods: []string{"GET"}, Pattern: "/v1/spaces/public/stories", Require: "a"},
		{Methods: []string{"GET"}, Pattern: "/orgs/{org}/{id}", Require: "a", Settings: policy.Settings{Space: "path.org"}},
		{Methods: []string{"GET"}, Pattern: "/users/{id}", Require: "a"},
	}
	for _, c := range []struct{ path, want, space string }{
		{"/v1/spaces/7/comments/5", "/v1/spaces/{space}/comments/{id}", "7"},
		{"/v1/spaces/acme/comments", "/v1/spaces/{space}/comments", "acme"},
		{"/v1/spaces/caf%C3%A9", "/v1/spaces/{space}", "café"},
		{"/v1/spaces/acme/stories/x/y", "/v1/spaces/{space}/stories/x/y", "acme"},
		{"/v1/spaces/public/x", "/v1/spaces/public/x", ""},
		{"/orgs/acme", "/orgs/{space}", "acme"},
		{"/users/ada/x", "/users/ada/x", ""},
		{"/users/7/x", "/users/{id}/x", ""},
		{"/else/7", "/else/{id}", ""},
		{"/", "/", ""},
	} {
		match := func(with ...policy.RouteConfig) (m policy.Match) {
			p, err := policy.Compile(policy.Config{Routes: slices.Concat(routes, with)}, catalog)
			if err != nil {
				t.Fatal(err)
			}
			p.Match(&policy.Request{Method: "GET", Path: c.path, Header: http.Header{}}, &m)
			return m
		}
		r, m := newReport(), match()
		r.add(&outcome{gate: new(Handler), reason: m.Reason}, &m, "GET", c.path)
		got := r.answer().Findings[0].Proposed
		if got != c.want {
			t.Errorf("%s: %q is proposed, want %q", c.path, got, c.want)
			continue
		}
		if m := match(policy.RouteConfig{Methods: []string{"GET"}, Pattern: got, Require: "b"}); m.Route == nil || m.Route.Pattern != got || m.Space != c.space {
			t.Errorf("%s: with route %s it is in space %q, want %q", c.path, got, m.Space, c.space)
		}
	}
}

// A route that is missing is missing at a gate: with several, the proposal says which.
func TestReportTellsGatesApart(t *testing.T) {
	r := newReport()
	add := func(at, path string) {
		h := &Handler{}
		h.At = at
		r.add(&outcome{reason: policy.RouteUnknown, gate: h}, &policy.Match{}, "GET", path)
	}
	printed := func() string {
		var out strings.Builder
		printReport(&out, r.answer(), "patgate")
		return out.String()
	}
	add("Caddyfile:3", "/health")
	if got := printed(); !strings.Contains(got, "  route GET /health <scope>\n") {
		t.Errorf("of one gate:\n%s", got)
	}
	add("Caddyfile:9", "/health")
	add("Caddyfile:9", "/x")
	if got := printed(); !strings.Contains(got, "  route GET /health <scope>  # in the gate at Caddyfile:3\n") || !strings.Contains(got, "  route GET /health <scope>  # in the gate at Caddyfile:9\n") {
		t.Errorf("of two gates:\n%s", got)
	}
}

// A secret is in no finding, wherever a client has put it.
func TestReportShowsNoSecret(t *testing.T) {
	masks.Add(nil, "pat")
	secret := token.NewSecret("pat")
	r := newReport()
	r.add(&outcome{gate: new(Handler), reason: policy.RouteUnknown, tokenID: "t1", space: secret, resource: secret}, &policy.Match{}, secret, "/"+secret)
	if found := fmt.Sprintf("%+v", r.answer()); strings.Contains(found, secret[:20]) {
		t.Errorf("a secret is in %s", found)
	}
}

// A token without a grant is proposed one for all spaces where no gate has a route in one,
// and else none: which space is meant, nobody knows.
func TestReportOfNoGrant(t *testing.T) {
	for _, elsewhere := range []string{"/two", "/s/{space}"} {
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		var p *policy.Policy
		for _, pattern := range []string{elsewhere, "/one"} {
			p, err = policy.Compile(policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: pattern, Require: "a"}}}, catalog)
			if err != nil {
				t.Fatal(err)
			}
		}
		var m policy.Match
		p.Match(&policy.Request{Method: "GET", Path: "/one", Header: http.Header{"Authorization": {"Bearer S"}}}, &m)
		o := &outcome{tokenID: "t1", subject: &policy.Subject{Owner: policy.NewOwner("o", nil), Grants: policy.NewGrants(nil)}}
		if o.reason = m.Decide(o.subject, time.Now(), netip.Addr{}); o.reason != policy.ScopeMissing {
			t.Fatalf("decided: %v", o.reason)
		}
		r := newReport()
		r.add(o, &m, "GET", "/one")
		if g := r.answer().Findings[0].Grant; (g != nil) != (elsewhere == "/two") {
			t.Errorf("beside a gate with %s: %v is proposed", elsewhere, g)
		}
	}
}

// A grant in another space closes the routes that are in the token's own.
func TestReportOfOwnSpace(t *testing.T) {
	grant := func(spaces ...string) token.Grant {
		return token.Grant{Spaces: spaces, Scopes: []string{"b"}, Resources: []string{"*"}}
	}
	for _, c := range []struct {
		name, own, path string
		grant           token.Grant
		want            bool
	}{
		{"another space", "token", "/s/2", grant("1"), true},
		{"its own space", "token", "/s/1", grant("1"), false},
		{"no space", "token", "/two", grant("1"), false},
		{"a token for several", "token", "/s/3", grant("1", "2"), false},
		{"no route in the token's own", "none", "/s/2", grant("1"), false},
		{"another space, and the token's own in another gate", "elsewhere", "/s/2", grant("1"), true},
	} {
		catalog, err := policy.NewCatalog(nil)
		if err != nil {
			t.Fatal(err)
		}
		own := policy.RouteConfig{Methods: []string{"GET"}, Pattern: "/own", Require: "b", Settings: policy.Settings{Space: c.own}}
		routes := []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/s/{space}", Require: "a"}, {Methods: []string{"GET"}, Pattern: "/two", Require: "a"}}
		if c.own == "elsewhere" {
			own.Space = "token"
			if _, err := policy.Compile(policy.Config{Routes: []policy.RouteConfig{own}}, catalog); err != nil {
				t.Fatal(err)
			}
		} else {
			routes = append(routes, own)
		}
		p, err := policy.Compile(policy.Config{Routes: routes}, catalog)
		if err != nil {
			t.Fatal(err)
		}
		var m policy.Match
		p.Match(&policy.Request{Method: "GET", Path: c.path, Header: http.Header{"Authorization": {"Bearer S"}}}, &m)
		o := &outcome{tokenID: "t1", subject: &policy.Subject{Owner: policy.NewOwner("o", nil), Grants: policy.NewGrants([]token.Grant{c.grant})}, space: m.Space}
		if o.reason = m.Decide(o.subject, time.Now(), netip.Addr{}); o.reason == policy.Forward {
			t.Fatalf("%s: forwarded", c.name)
		}
		r := newReport()
		r.add(o, &m, "GET", c.path)
		var out strings.Builder
		printReport(&out, r.answer(), "patgate")
		said := strings.Contains(out.String(), "give another token the other spaces\n\n  patgate token show t1\n")
		if f := r.answer().Findings[0]; f.Grant == nil || f.ManySpaces != c.want || said != c.want {
			t.Errorf("%s: %+v, printed\n%s", c.name, f, &out)
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

// The status says what it counts: policy check doesn't count defaults among the routes. And
// it says what in the store's setup would lose tokens, and why changes aren't heard.
func TestReportModeInStatus(t *testing.T) {
	var out strings.Builder
	printStatus(&out, serverStatus{Reporting: 7, Feed: &feedStatus{Error: "no memory"}, Store: storeStatus{Status: store.Status{Warnings: []string{"redis:6379: SET APPENDONLY"}}}})
	for _, want := range []string{"7 routes in it, defaults counted, too: ", "WARNING: redis:6379: SET APPENDONLY\n", "NOT HEARD yet: no memory\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status prints\n%s\nwant %s", &out, want)
		}
	}
	// What Redis has lost is a fault of the store of late, and a warning until it is mended.
	out.Reset()
	printStatus(&out, serverStatus{Store: storeStatus{Error: "LOST TOKENS; and 2 more", Status: store.Status{Warnings: []string{"LOST TOKENS", "SET APPENDONLY"}}}})
	if strings.Count(out.String(), "LOST TOKENS") != 1 || !strings.Contains(out.String(), "WARNING: SET APPENDONLY\n") {
		t.Errorf("status of a store whose error is one of its warnings prints\n%s", &out)
	}
	// What is wrong with the store may be something else, or that.
	for wrong, want := range map[string]string{"redis has lost a change": "NOT HEARD yet: no memory\n", "redis:6379: no memory": "NOT HEARD yet\n"} {
		out.Reset()
		printStatus(&out, serverStatus{Feed: &feedStatus{Error: "no memory"}, Store: storeStatus{Error: wrong}})
		if !strings.Contains(out.String(), want) {
			t.Errorf("status of a store with the error %q prints\n%s\nwant %s", wrong, &out, want)
		}
	}
}
