package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// What a token's grants allow. Each row is a route's requirement, a request and
// grants as "spaces scopes resources".
func TestGrants(t *testing.T) {
	scopes := []string{"stories:read", "stories:write > stories:read", "stories:publish > stories:write", "assets:read", "assets:write", "ADMIN"}
	const space, resource, plain = "/s/{space}", "/s/{space}/r/{id}", "/p"
	one, item, none := "GET /s/1", "GET /s/1/r/7", "GET /p"
	for _, c := range []struct {
		pattern, require, target string
		grants                   []token.Grant
		want                     Reason
	}{
		// One scope, in a space.
		{space, "stories:read", one, grants("1 stories:read *"), Forward},
		{space, "stories:read", one, grants("* stories:read *"), Forward},
		{space, "stories:read", one, grants("2,1,3 assets:read,stories:read *"), Forward},
		{space, "stories:read", one, grants("2 stories:read *"), SpaceNotGranted},
		{space, "stories:read", one, grants("01 stories:read *"), SpaceNotGranted},
		{space, "stories:read", one, grants("1 assets:read *"), ScopeMissing},
		{space, "stories:read", one, grants("1 - *"), ScopeMissing},
		{space, "stories:read", one, grants("2 stories:read *", "1 assets:read *"), ScopeMissing},
		{space, "stories:read", one, nil, SpaceNotGranted},
		{space, "stories:read", "GET /s/*", grants("1 stories:read *"), SpaceNotGranted},
		{space, "stories:read", "GET /s/*", grants("* stories:read *"), Forward},

		// Implied scopes, over several steps, one way only.
		{space, "stories:read", one, grants("1 stories:write *"), Forward},
		{space, "stories:read", one, grants("1 stories:publish *"), Forward},
		{space, "stories:write", one, grants("1 stories:read *"), ScopeMissing},

		// Wildcards match by part, and imply what each of theirs implies.
		{space, "stories:read", one, grants("1 stories:* *"), Forward},
		{space, "stories:read", one, grants("1 *:read *"), Forward},
		{space, "stories:read", one, grants("1 *:publish *"), Forward},
		{space, "stories:read", one, grants("1 *:* *"), Forward},
		{space, "ADMIN", one, grants("1 *:* *"), ScopeMissing},
		{space, "ADMIN", one, grants("1 * *"), Forward},
		{space, "stories:read", one, grants("1 assets:* *"), ScopeMissing},

		// All of several: in one grant, or in several that each cover the request.
		{space, "stories:read assets:read", one, grants("1 stories:read,assets:read *"), Forward},
		{space, "stories:read assets:read", one, grants("1 stories:read *", "* assets:read *"), Forward},
		{space, "stories:read assets:read", one, grants("1 stories:read *"), ScopeMissing},
		{space, "stories:read assets:read", one, grants("1 stories:read *", "2 assets:read *"), ScopeMissing},

		// One of several.
		{space, "ADMIN|stories:read", one, grants("1 stories:read *"), Forward},
		{space, "ADMIN|stories:read", one, grants("1 ADMIN *"), Forward},
		{space, "ADMIN|stories:read", one, grants("1 assets:read *"), ScopeMissing},
		{space, "ADMIN|stories:read assets:read", one, grants("1 ADMIN *"), ScopeMissing},
		{space, "ADMIN|stories:read assets:read", one, grants("1 ADMIN *", "1 assets:* *"), Forward},

		// No mix: what one grant has for a space or a resource is not another's.
		{space, "stories:write", one, grants("1 stories:read *", "2 stories:write *"), ScopeMissing},
		{resource, "stories:write", item, grants("1 stories:read 7", "2 stories:write 7"), ScopeMissing},
		{resource, "stories:write", item, grants("1 stories:read 7", "1 stories:write 8"), ResourceNotGranted},

		// Resources.
		{resource, "stories:read", item, grants("1 stories:read *"), Forward},
		{resource, "stories:read", item, grants("1 stories:read 6,7"), Forward},
		{resource, "stories:read", item, grants("1 stories:read 8"), ResourceNotGranted},
		{resource, "stories:read", item, grants("2 stories:read 7"), SpaceNotGranted},
		{resource, "stories:read", item, grants("1 assets:read 7"), ScopeMissing},
		{resource, "stories:read assets:read", item, grants("1 stories:read 7", "1 assets:read *"), Forward},
		{resource, "stories:read assets:read", item, grants("1 stories:read 7", "1 assets:read 8"), ResourceNotGranted},
		// A grant limited to some covers no route without a resource.
		{space, "stories:read", one, grants("1 stories:read 7"), ResourceNotGranted},
		{space, "stories:read", one, grants("1 stories:read 7,*"), Forward},
		{plain, "stories:read", none, grants("1 stories:read 7"), ResourceNotGranted},

		// any: a valid token, whatever it holds, but in a space one for that space.
		{plain, "any", none, nil, Forward},
		{plain, "any", none, grants("1 - 7"), Forward},
		{space, "any", one, grants("1 - *"), Forward},
		{space, "any", one, grants("2 stories:read *"), SpaceNotGranted},
		{space, "any", one, grants("1 stories:read 7"), ResourceNotGranted},
		{space, "any", one, nil, SpaceNotGranted},
		{resource, "any", item, grants("1 - 7"), Forward},
		{resource, "any", item, grants("1 - 8"), ResourceNotGranted},

		{"/r/{id}", "any", "GET /r/7", grants("1 - 7"), Forward},
		{"/r/{id}", "any", "GET /r/7", grants("1 stories:read 8"), ResourceNotGranted},
		{"/r/{id}", "any", "GET /r/7", nil, ResourceNotGranted},

		// A route in no space: the scope is enough, whichever space it is held in.
		{plain, "stories:read", none, grants("1 stories:read *"), Forward},
		{plain, "stories:read", none, grants("1 assets:read *"), ScopeMissing},
		{plain, "stories:read assets:read", none, grants("1 stories:read *", "2 assets:read *"), Forward},
		{plain, "stories:read", none, nil, ScopeMissing},
	} {
		rc := RouteConfig{Methods: []string{"GET"}, Pattern: c.pattern, Require: c.require}
		if strings.Contains(c.pattern, "{id}") {
			rc.Resource = "path.id"
		}
		p := compile(t, Config{Routes: []RouteConfig{rc}}, scopes...)
		s := &Subject{Owner: NewOwner("o", nil), Grants: NewGrants(c.grants)}
		if got := decide(t, p, request(c.target), s); got != c.want {
			t.Errorf("%s needs %s, %v: %v, want %v", c.target, c.require, c.grants, got, c.want)
		}

		// The owner's grants are a ceiling: the same table from above.
		s = &Subject{Owner: NewOwner("o", &token.Owner{ID: "o", Enabled: true, Grants: c.grants}), Grants: NewGrants(grants("* * *"))}
		if got := decide(t, p, request(c.target), s); got != c.want {
			t.Errorf("%s needs %s, owner with %v: %v, want %v", c.target, c.require, c.grants, got, c.want)
		}
		// An owner who may do everything is none.
		s = &Subject{Owner: NewOwner("o", &token.Owner{ID: "o", Enabled: true, Grants: grants("1 - 1", "* * *")}), Grants: NewGrants(c.grants)}
		if got := decide(t, p, request(c.target), s); got != c.want {
			t.Errorf("%s needs %s, full owner, %v: %v, want %v", c.target, c.require, c.grants, got, c.want)
		}
	}
}

func TestSpacesThatAreNoValue(t *testing.T) {
	p := compile(t, Config{Routes: []RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/all", Require: "read", Settings: Settings{Space: "all"}},
		{Methods: []string{"GET"}, Pattern: "/own", Require: "read", Settings: Settings{Space: "token"}},
		{Methods: []string{"GET"}, Pattern: "/any", Require: "any", Settings: Settings{Space: "token"}},
	}})
	for _, c := range []struct {
		target string
		grants []token.Grant
		want   Reason
		space  string
	}{
		// all: across spaces.
		{"GET /all", grants("* read *"), Forward, ""},
		{"GET /all", grants("1 read *"), SpaceNotGranted, ""},
		{"GET /all", grants("1 read *", "* write *"), ScopeMissing, ""},
		// token: the one space the token is limited to.
		{"GET /own", grants("1 read *"), Forward, "1"},
		{"GET /own", grants("1 write *", "1 read *"), Forward, "1"},
		{"GET /own", grants("1 write *"), ScopeMissing, "1"},
		{"GET /own", grants("1,2 read *"), SpaceNotGranted, ""},
		{"GET /own", grants("1 read *", "2 read *"), SpaceNotGranted, ""},
		{"GET /own", grants("* read *"), SpaceNotGranted, ""},
		{"GET /own", grants("1 read *", "* read *"), SpaceNotGranted, ""},
		{"GET /own", nil, SpaceNotGranted, ""},
		{"GET /any", grants("1 - *"), Forward, "1"},
		{"GET /any", nil, SpaceNotGranted, ""},
	} {
		m := p.matched(request(c.target, "Authorization: S"))
		s := &Subject{Owner: NewOwner("o", nil), Grants: NewGrants(c.grants)}
		if got := m.Decide(s, now, netip.Addr{}); got != c.want || m.Space != c.space {
			t.Errorf("%s, %v: %v in space %q, want %v in %q", c.target, c.grants, got, m.Space, c.want, c.space)
		}
	}
	// The owner's ceiling holds in the token's own space.
	owner := NewOwner("o", &token.Owner{ID: "o", Enabled: true, Grants: grants("2 read *")})
	m := p.matched(request("GET /own", "Authorization: S"))
	if got := m.Decide(&Subject{Owner: owner, Grants: NewGrants(grants("1 read *"))}, now, netip.Addr{}); got != SpaceNotGranted {
		t.Errorf("token in space 1 of an owner limited to 2: %v, want space_not_granted", got)
	}
}

// Who lacks what is said as it is: the token, or its owner.
func TestDetailsOfADecision(t *testing.T) {
	p := compile(t, Config{Routes: []RouteConfig{
		{Methods: []string{"GET"}, Pattern: "/s/{space}", Require: "read"},
		{Methods: []string{"GET"}, Pattern: "/s/{space}/{id}", Require: "read", Settings: Settings{Resource: "path.id"}},
		{Methods: []string{"GET"}, Pattern: "/all", Require: "read", Settings: Settings{Space: "all"}},
		{Methods: []string{"GET"}, Pattern: "/own", Require: "read", Settings: Settings{Space: "token"}},
	}})
	all := grants("* * *")
	for _, c := range []struct {
		target       string
		token, owner []token.Grant
		want         string
	}{
		{"GET /s/1", all, all, ""},
		{"GET /s/1", grants("1 write *"), all, "the token lacks the scope that is needed"},
		{"GET /s/1", all, grants("1 write *"), "the token's owner lacks the scope that is needed"},
		{"GET /s/1", grants("1 write *"), grants("1 write *"), "the token lacks the scope that is needed"},
		{"GET /s/1", grants("2 read *"), all, "the token is not granted for this space"},
		{"GET /s/1", all, grants("2 read *"), "the token's owner is not granted for this space"},
		{"GET /s/1/7", grants("1 read 8"), all, "the token is not granted for this resource"},
		{"GET /s/1/7", all, grants("1 read 8"), "the token's owner is not granted for this resource"},
		{"GET /s/1", grants("1 read 8"), all, "the token is granted for some resources only, and there is none here"},
		{"GET /s/1", all, grants("1 read 8"), "the token's owner is granted for some resources only, and there is none here"},
		{"GET /all", grants("1 read *"), all, "the token is not granted for all spaces"},
		{"GET /all", all, grants("1 read *"), "the token's owner is not granted for all spaces"},
		{"GET /s/1.", grants("1. read *"), all, "the token has no grant for the space both with the dot at its end and without it, which are the same to some servers"},
		{"GET /s/1/7.", grants("1 read 7"), all, "the token has no grant for the resource both with the dot at its end and without it, which are the same to some servers"},
		{"GET /s/1.", all, grants("1 read *"), "the token's owner has no grant for the space both with the dot at its end and without it, which are the same to some servers"},
		{"GET /own", all, all, "the token is not limited to exactly one space, as it must be here"},
		{"GET /own", grants("1 read *"), grants("2 read *"), "the token's owner is not granted for this space"},
	} {
		m := p.matched(request(c.target, "Authorization: S"))
		owner := NewOwner("o", &token.Owner{ID: "o", Enabled: true, Grants: c.owner})
		reason := m.Decide(&Subject{Owner: owner, Grants: NewGrants(c.token)}, now, netip.Addr{})
		if got := cmp.Or(m.Detail, reason.Detail()); got != c.want {
			t.Errorf("%s, token with %v, owner with %v: %q, want %q", c.target, c.token, c.owner, got, c.want)
		}
	}
}

// What a token is comes before what it may do, and what is final before what
// may change.
func TestStateOfATokenAndItsOwner(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /x read")})
	past, future := UnixNano(now.Add(-time.Second)), UnixNano(now.Add(time.Second))
	enabled, disabled := &token.Owner{ID: "o", Enabled: true, Grants: grants("* * *")}, &token.Owner{ID: "o", Grants: grants("* * *")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name    string
		subject Subject
		owner   *token.Owner
		want    Reason
	}{
		{"a good token", Subject{}, nil, Forward},
		{"that expires", Subject{Expires: future}, nil, Forward},
		{"that has expired", Subject{Expires: past}, nil, TokenExpired},
		{"that expires now", Subject{Expires: UnixNano(now)}, nil, TokenExpired},
		{"that expired before 1970", Subject{Expires: UnixNano(time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC))}, nil, TokenExpired},
		{"that expired in 1970", Subject{Expires: UnixNano(time.Unix(0, 0))}, nil, TokenExpired},
		{"that expired in the year 1", Subject{Expires: UnixNano(time.Time{}.Add(1))}, nil, TokenExpired},
		{"that expires in 9999", Subject{Expires: UnixNano(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))}, nil, Forward},
		{"that never expires", Subject{Expires: UnixNano(time.Time{})}, nil, Forward},
		{"by its replaced secret, within the overlap", Subject{SecretUntil: future}, nil, Forward},
		{"by its replaced secret, after the overlap", Subject{SecretUntil: past}, nil, TokenRevoked},
		{"by its replaced secret, now", Subject{SecretUntil: UnixNano(now)}, nil, TokenRevoked},
		{"revoked", Subject{Revoked: true}, nil, TokenRevoked},
		{"revoked and expired", Subject{Revoked: true, Expires: past}, nil, TokenRevoked},
		{"with an enabled owner", Subject{}, enabled, Forward},
		{"with a disabled owner", Subject{}, disabled, OwnerDisabled},
		{"expired, with a disabled owner", Subject{Expires: past}, disabled, TokenExpired},
		{"from elsewhere", Subject{Allowed: &elsewhere}, nil, AddressNotAllowed},
		{"from elsewhere, with a disabled owner", Subject{Allowed: &elsewhere}, disabled, OwnerDisabled},
	} {
		s := c.subject
		s.Owner, s.Grants = NewOwner("o", c.owner), NewGrants(grants("* read *"))
		if got := decide(t, p, request("GET /x"), &s); got != c.want {
			t.Errorf("token %s: %v, want %v", c.name, got, c.want)
		}
		// Without the scope, the state is still what is told.
		s.Grants = NewGrants(nil)
		want := c.want
		if want == Forward {
			want = ScopeMissing
		}
		if got := decide(t, p, request("GET /x"), &s); got != want {
			t.Errorf("token %s without the scope: %v, want %v", c.name, got, want)
		}
	}

	// A change of the owner reaches tokens at once.
	s := holder("* read *")
	for _, c := range []struct {
		record *token.Owner
		want   Reason
	}{{nil, Forward}, {disabled, OwnerDisabled}, {enabled, Forward}, {&token.Owner{ID: "o", Enabled: true}, ScopeMissing}, {nil, Forward}} {
		s.Owner.Set(c.record)
		if got := decide(t, p, request("GET /x"), s); got != c.want {
			t.Errorf("owner set to %v: %v, want %v", c.record, got, c.want)
		}
	}
}

func TestAllowedIPs(t *testing.T) {
	for _, c := range []struct {
		allowed, from string
		want          bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:11.1.2.3", false},
		{"10.0.0.0/8", "::10.1.2.3", false},
		{"192.0.2.1/32", "192.0.2.1", true},
		{"192.0.2.1/32", "192.0.2.2", false},
		{"2001:db8::/32", "2001:db8::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"fe80::/10", "fec0::1%eth0", false},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.1.2.3", false},
		{"10.0.0.0/8", "", false}, // an address that isn't known
		{"::/0", "", false},
	} {
		from := netip.Addr{}
		if c.from != "" {
			from = netip.MustParseAddr(c.from)
		}
		prefixes := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix(c.allowed)}
		if got := allows(prefixes, from); got != c.want {
			t.Errorf("allowed_ips %s, from %q: %v, want %v", c.allowed, c.from, got, c.want)
		}
	}
	if allows([]netip.Prefix{}, netip.MustParseAddr("10.0.0.1")) {
		t.Error("an empty list allows an address")
	}
}

// A name that ends in a dot is one without it to some servers: a grant has to name both.
func TestGrantsForNamesThatEndInADot(t *testing.T) {
	p := compile(t, Config{Routes: []RouteConfig{routeAt("GET /zones/{zone} read", "", "path.zone"), routeAt("GET /s/{space}/{zone} read", "", "path.zone"), routeAt("GET /s/{space}/Main read", "", ""), routeAt("GET /q/{x} read", "query.s", ""), routeAt("GET /v/{zone}:x read", "", "path.zone"), routeAt("GET /o/{space} read", "", ""), routeAt("GET /t/{path...} read", "", "path.path")}})
	long := "a,b,c,d,e,f,g,h,low.corp."
	for _, c := range []struct {
		target string
		grants []token.Grant
		want   Reason
	}{
		{"GET /zones/low.corp.", grants("* read low.corp.,low.corp"), Forward},
		{"GET /zones/low.corp./", grants("* read *"), Forward},
		{"GET /zones/low.corp.", grants("* read low.corp."), ResourceNotGranted},
		{"GET /zones/low.corp.", grants("* read low.corp"), ResourceNotGranted},
		{"GET /zones/low.corp.", grants("* read low.corp.", "* read low.corp"), ResourceNotGranted}, // no mix
		{"GET /zones/low.corp.", grants("* read " + long), ResourceNotGranted},
		{"GET /zones/low.corp.", grants("* read " + long + ",low.corp"), Forward},
		{"GET /zones/low.corp", grants("* read low.corp"), Forward},
		{"GET /zones/low.corp", grants("* read low.corp."), ResourceNotGranted},
		{"GET /s/a./b.", grants("a.,a read b.,b"), Forward},
		{"GET /s/a./b.", grants("a.,a read b.", "a. read b.,b"), ResourceNotGranted},
		{"GET /s/a./b.", grants("a. read b.,b"), SpaceNotGranted},
		{"GET /s/a./b", grants("a.,a read b"), Forward},
		{"GET /s/a/Main", grants("a read *"), Forward},
		{"GET /o/acme.", grants("acme. read *"), SpaceNotGranted},
		{"GET /o/acme.", grants("acme read *"), SpaceNotGranted},
		{"GET /o/acme.", grants("acme.,acme read *"), Forward},
		{"GET /t/a/b", grants("* read a/b"), Forward},
		{"GET /t/a/b/", grants("* read a/b"), ResourceNotGranted},
		{"GET /t/a/b/", grants("* read a/b/"), ResourceNotGranted},
		{"GET /t/a/b/", grants("* read a/b,a/b/"), Forward},
		{"GET /t/a/b/", grants("* read *"), Forward},
		{"GET /s/a/b/", grants("a read b"), Forward},    // a segment, which ends there
		{"GET /q/x?s=a.", grants("a. read *"), Forward}, // the query's, which nobody cuts
		{"GET /v/a.:x", grants("* read a."), Forward},   // it isn't the segment's end
	} {
		if got := decide(t, p, request(c.target), &Subject{Owner: NewOwner("o", nil), Grants: NewGrants(c.grants)}); got != c.want {
			t.Errorf("%s, token with %v: %v, want %v", c.target, c.grants, got, c.want)
		}
	}
	// While a request goes on, too, and with a ceiling.
	again := p.Again(p.routes[0], "", "low.corp.")
	s := holder("* read low.corp.")
	if got := again.Decide(s, now, netip.Addr{}); got != ResourceNotGranted {
		t.Errorf("again: %v, want resource_not_granted", got)
	}
	if spaces, resources := again.Wanted(s); !slices.Equal(spaces, []string{"*"}) || !slices.Equal(resources, []string{"low.corp.", "low.corp"}) {
		t.Errorf("wanted: spaces %q, resources %q", spaces, resources)
	}
	s = holder("* * *")
	s.Owner.Set(&token.Owner{ID: "o", Enabled: true, Grants: grants("* * low.corp.")})
	if got := again.Decide(s, now, netip.Addr{}); got != ResourceNotGranted {
		t.Errorf("with a ceiling: %v, want resource_not_granted", got)
	}
}

// Long lists are searched, not scanned, to the same end.
func TestLongGrants(t *testing.T) {
	p := compile(t, Config{Routes: []RouteConfig{{Methods: []string{"GET"}, Pattern: "/s/{space}/{id}", Require: "read", Settings: Settings{Resource: "path.id"}}}})
	many := []string{"zz", "b", "a", "d", "c", "h", "g", "f", "e", "k", "j", "i"}
	s := &Subject{Owner: NewOwner("o", nil), Grants: NewGrants([]token.Grant{{Spaces: many, Scopes: []string{"read"}, Resources: append(slices.Clone(many), "*")}})}
	for _, space := range many {
		if got := decide(t, p, request("GET /s/"+space+"/any"), s); got != Forward {
			t.Errorf("space %s: %v, want forward", space, got)
		}
	}
	for _, space := range []string{"z", "zzz", "A", "0", "*", "~"} {
		if got := decide(t, p, request("GET /s/"+space+"/any"), s); got != SpaceNotGranted {
			t.Errorf("space %s: %v, want space_not_granted", space, got)
		}
	}
	if many[0] != "zz" {
		t.Error("NewGrants sorted the caller's list")
	}

	// As many grants as a record may hold, and more.
	texts := slices.Repeat([]string{"2 read *"}, 3*token.MaxGrants)
	s = holder(append(texts, "1 read *")...)
	if got := decide(t, p, request("GET /s/1/any"), s); got != Forward {
		t.Errorf("the last of %d grants: %v, want forward", len(texts)+1, got)
	}
}

// A token that is held serves under the next configuration, whatever the
// numbers of its scopes were under the last.
func TestTokensOutliveACatalog(t *testing.T) {
	s := holder("* b:* *")
	first := compile(t, Config{Routes: routes("GET /a a:x", "GET /b b:x")})
	second := compile(t, Config{Routes: routes("GET /b b:x", "GET /a a:x")})
	for range 2 {
		for name, p := range map[string]*Policy{"first": first, "second": second} {
			if got := decide(t, p, request("GET /a"), s); got != ScopeMissing {
				t.Errorf("%s: a:x with b:*: %v, want scope_missing", name, got)
			}
			if got := decide(t, p, request("GET /b"), s); got != Forward {
				t.Errorf("%s: b:x with b:*: %v, want forward", name, got)
			}
		}
	}
	// A policy compiled later adds scopes to a shared catalog.
	later, err := Compile(Config{Routes: routes("GET /c b:later")}, first.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	if got := decide(t, later, request("GET /c"), s); got != Forward {
		t.Errorf("a scope known later: %v, want forward", got)
	}
}

func TestHeldScopes(t *testing.T) {
	p := compile(t, Config{Routes: routes("GET /s/{space} any", "GET /p any")}, "read", "write > read", "admin")
	for _, c := range []struct {
		target string
		grants []token.Grant
		owner  []token.Grant // nil: no record
		want   string
	}{
		{"GET /s/1", grants("1 read *"), nil, "read"},
		{"GET /s/1", grants("1 write,admin *"), nil, "write admin"},
		{"GET /s/1", grants("1 write *", "2 admin *", "* write,read 7"), nil, "write read"},
		{"GET /s/1", grants("* * *"), nil, "*"},
		{"GET /s/1", grants("2 read *"), nil, ""},
		{"GET /s/1.", grants("1.,1 read *", "1. admin *"), nil, "read"}, // what it holds in both
		{"GET /p", grants("1 read *", "2 admin *"), nil, "read admin"},
		{"GET /s/1", grants("* * *"), grants("1 write *"), "write"},
		{"GET /s/1", grants("* * *"), grants("* * *", "1 read 5"), "*"},
		{"GET /s/1", grants("* * *"), grants("1 * *"), "*"},
		{"GET /s/1", grants("1 not:*,write *"), grants("1 *:known *"), "not:known"}, // to any route
		{"GET /s/1", grants("1 unheard:of *"), grants("1 unheard:of *"), "unheard:of"},
		{"GET /s/1", grants("1 write *"), grants("1 read,admin *"), "read"},
		{"GET /s/1", grants("1 admin,read *"), grants("1 write *"), "read"},
		{"GET /s/1", grants("1 admin *"), grants("2 admin *"), ""},
	} {
		s := &Subject{Owner: NewOwner("o", nil), Grants: NewGrants(c.grants)}
		if c.owner != nil {
			s.Owner.Set(&token.Owner{ID: "o", Enabled: true, Grants: c.owner})
		}
		if got := p.matched(request(c.target, "Authorization: S")).HeldScopes(s); got != c.want {
			t.Errorf("%s, token %v, owner %v: scopes %q, want %q", c.target, c.grants, c.owner, got, c.want)
		}
	}
}

// Scopes that have another name by now go upstream under that.
func TestHeldScopesOfOtherNames(t *testing.T) {
	catalog, err := NewCatalog([]Scope{{Name: "read", Aliases: []string{"view", "look"}}, {Name: "write", Implies: []string{"read"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(Config{Routes: routes("GET /s/{space} read")}, catalog)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		grants []token.Grant
		want   string
	}{
		{grants("1 view *"), "read"},
		{grants("1 look,view,read,write *"), "read write"},
		{grants("1 view *", "2 look *", "* read *"), "read"},
		{grants("1 *,view,unknown *"), "* read unknown"},
	} {
		s := &Subject{Owner: NewOwner("o", nil), Grants: NewGrants(c.grants)}
		if got := p.matched(request("GET /s/1", "Authorization: S")).HeldScopes(s); got != c.want {
			t.Errorf("token %v: scopes %q, want %q", c.grants, got, c.want)
		}
	}
}

func TestID(t *testing.T) {
	for _, id := range []string{"", "a", "0123456789abcdef0123456789abcdef0123"} {
		if got := NewID(id).String(); got != id {
			t.Errorf("NewID(%q) = %q", id, got)
		}
	}
}
