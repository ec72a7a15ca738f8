package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Who disables an owner by a name that is mistyped is told that nothing was disabled.
func TestDisabledNobody(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	p.succeed(t, "", "token", "create", "--name", "n", "--owner", "alice", "--full")
	const note = "owner \"alcie\" had no record and has no tokens: so far, this disables nothing"
	if o := p.try(t, "", "owner", "set", "alcie", "--disable"); o.exit != 0 || o.stderr != "note: "+note+"\n" || !strings.Contains(o.stdout, "alcie") {
		t.Errorf("owner set --disable of an owner without tokens: %+v, want the note %s", o, note)
	}
	var warned struct {
		ID       string
		Warnings []string
	}
	if p.asked(t, &warned, "owner", "set", "alcie", "--disable"); warned.ID != "alcie" || !slices.Equal(warned.Warnings, []string{note}) {
		t.Errorf("owner set --json warns %+v", warned)
	}
	p.succeed(t, "", "owner", "set", "bob", "--max-tokens", "3") // a record that is made beforehand
	p.succeed(t, "", "owner", "set", "bob", "--disable")
	p.succeed(t, "", "owner", "set", "alice", "--disable")
}

// A ceiling of what looks like several spaces is one of one space, and whoever sets it is
// told so; not whoever changes something else.
func TestCeilingWithComma(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	const note = "note: space \"1,2\" is one space; to grant several, give each by itself\n"
	if o := p.try(t, "", "owner", "set", "alice", "--space", "1,2"); o.exit != 0 || o.stderr != note {
		t.Errorf("owner set --space 1,2: %+v, want %s", o, note)
	}
	if o := p.try(t, "", "owner", "set", "alice", "--max-tokens", "3"); o.exit != 0 || o.stderr != "" {
		t.Errorf("owner set --max-tokens 3: %+v", o)
	}
}

func TestOwnerAndStatusCommands(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	type ownerJSON struct {
		ID             string
		Enabled, Admin bool
		Grants         []struct{ Spaces, Scopes, Resources []string }
	}
	const full = `[{["*"] ["*"] ["*"]}]`
	long := strings.Repeat("1", 70)
	for _, test := range []struct {
		args           []string
		enabled, admin bool
		grants         string
	}{
		{nil, true, false, full},
		{[]string{"--scope", "stories:*", "--space", "1", "--space", "2"}, true, false, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--disable"}, false, false, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--admin"}, false, true, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--enable=false"}, false, true, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--disable=false"}, true, true, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--enable", "--full"}, true, true, full},
		{[]string{"--space", long}, true, true, `[{["` + long + `"] ["*"] ["*"]}]`},
		{[]string{"--admin=false"}, true, false, `[{["` + long + `"] ["*"] ["*"]}]`},
	} {
		var o ownerJSON
		p.asked(t, &o, append([]string{"owner", "set", "team/ä b"}, test.args...)...)
		if o.ID != "team/ä b" || o.Enabled != test.enabled || o.Admin != test.admin || fmt.Sprintf("%q", o.Grants) != test.grants {
			t.Errorf("owner set %v leaves %+v, want enabled %t, admin %t, %s", test.args, o, test.enabled, test.admin, test.grants)
		}
	}
	if out := p.succeed(t, "", "owner", "show", "team/ä b"); !regexp.MustCompile(`(?m)^grant 1 +every scope in space ` + long + `$`).MatchString(out) {
		t.Errorf("owner show prints %s", out)
	}
	if out := p.succeed(t, "", "owner", "list"); !regexp.MustCompile(`(?m)^team/ä b +yes +no +every scope in space ` + long + `$`).MatchString(out) {
		t.Errorf("owner list prints %s", out)
	}
	var owners struct{ Owners []ownerJSON }
	if p.asked(t, &owners, "owner", "list"); len(owners.Owners) != 1 {
		t.Errorf("owner list --json has %+v", owners)
	}
	if out := p.succeed(t, "", "owner", "delete", "team/ä b"); out != "deleted the record of owner team/ä b\n" {
		t.Errorf("owner delete prints %q", out)
	}
	if o := p.try(t, "", "owner", "delete", "team/ä b"); o.exit != 1 {
		t.Errorf("owner delete of none: %+v", o)
	}

	out := p.succeed(t, "", "status")
	for _, want := range []string{`(?m)^store +embedded .*tokens\.db$`, `(?m)^holds +0 tokens, 0 owners$`, `(?m)^cache +0 tokens held`, `(?m)^GATEWAY +FOLLOWS +BEHIND BY +LAST SEEN$`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("status prints no line like %s:\n%s", want, out)
		}
	}
	var status struct {
		Store struct {
			Kind     string
			Gateways []struct{ Name string }
		}
		Cache map[string]any
	}
	if p.asked(t, &status, "status"); status.Store.Kind != "embedded" || len(status.Store.Gateways) != 1 || status.Cache == nil {
		t.Errorf("status --json has %+v", status)
	}
	// Where the server is said to be.
	admin := p.admin
	p.admin = "localhost:1"
	p.succeed(t, "", "status", "--address", admin)
	p.succeed(t, "", "status", "--config", "Caddyfile")
}
