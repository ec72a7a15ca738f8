package registry

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	d := newDesk(func(r *Rules) { r.Prefix = "acme" })
	made, secret, err := d.Operator(cli).Create(t.Context(), NewToken{
		Name: "ci", Description: "nightly builds", Owner: " Alice ",
		Grants: []token.Grant{grant("1", "a", "*")}, AllowedIPs: []string{"10.1.2.3/8", "192.0.2.7", "10.0.0.0/8", "2001:db8::1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "form of the secret", token.Inspect("acme", secret), token.WellMade)
	equal(t, "token", made, &token.Token{
		ID: made.ID, Name: "ci", Description: "nightly builds", Owner: " Alice ",
		Hint:       secret[:len("acme_")+3] + "…",
		Grants:     []token.Grant{grant("1", "a", "*")},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::1/128")},
		CreatedAt:  noon, CreatedBy: "cli", ExpiresAt: noon.Add(90 * day),
		Digest: token.NewHasher("").Digest(secret),
	})
	stored, err := d.get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "stored", stored, made)
	d.took(t, Created)
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	// More than can be kept is not compared with all the rest first.
	many := make([]string, 2*token.MaxGrantValues)
	grants := make([]token.Grant, 2*token.MaxGrants)
	ranges := make([]string, 2*token.MaxAllowedIPs)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for i := range grants {
		grants[i] = grant(many[i], "a:read", "*")
	}
	for i := range ranges {
		ranges[i] = "10.0.0." + many[i]
	}
	for _, c := range []struct {
		name string
		in   NewToken
		says string
	}{
		{"no name", NewToken{}, "name"},
		{"a blank name", NewToken{Name: " \u00a0"}, "name"},
		{"long name", NewToken{Name: strings.Repeat("x", 201)}, "at most 200"},
		{"many grants", NewToken{Name: "x", Grants: grants}, "more than 100 given"},
		{"many spaces", NewToken{Name: "x", Grants: []token.Grant{{Spaces: many, Scopes: []string{"a:read"}}}}, "grants: number 1: 2000 values in one list, at most 1000 are kept"},
		{"many addresses", NewToken{Name: "x", AllowedIPs: ranges}, "allowed_ips: more than 100 given"},
		{"control character", NewToken{Name: "a\nb"}, "control character"},
		{"not UTF-8", NewToken{Name: "x", Owner: "\xff"}, "owner: not valid UTF-8"},
		{"not an address", NewToken{Name: "x", AllowedIPs: []string{"10.0.0.1", "10.0.0.0/33"}}, "allowed_ips: number 2"},
		{"an empty address", NewToken{Name: "x", AllowedIPs: []string{""}}, "allowed_ips: number 1"},
		{"a zone", NewToken{Name: "x", AllowedIPs: []string{"fe80::1%eth0"}}, "allowed_ips"},
		{"IPv4 in IPv6", NewToken{Name: "x", AllowedIPs: []string{"::ffff:10.0.0.1"}}, "allowed_ips"},
		{"a range of IPv4 in IPv6", NewToken{Name: "x", AllowedIPs: []string{"::ffff:10.0.0.0/104"}}, "allowed_ips"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			_, secret, err := d.Operator(cli).Create(t.Context(), c.in)
			refused(t, err, ErrInvalid, c.says)
			equal(t, "secret", secret, "")
			equal(t, "tokens stored", len(d.store.tokens), 0)
			d.took(t)
		})
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, _ := d.create(t, NewToken{Name: "ci", Description: "old", AllowedIPs: []string{"10.0.0.0/8"}})
	ten := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}

	for _, c := range []struct {
		name    string
		changes Changes
		as      string // name and description
		from    []netip.Prefix
		summary string // of the event; "": none
	}{
		{"nothing", Changes{}, "ci/old", ten, ""},
		{"what it is already", Changes{Name: new("ci"), AllowedIPs: &[]string{"10.0.0.0/8"}}, "ci/old", ten, ""},
		{"name", Changes{Name: new("deploy")}, "deploy/old", ten, "name: ci → deploy"},
		{"description away", Changes{Description: new("")}, "deploy/", ten, "description: old → nothing"},
		{"everywhere, and a name", Changes{Name: new("x"), AllowedIPs: &[]string{}}, "x/", nil, "name: deploy → x; allowed_ips: 10.0.0.0/8 → everywhere"},
	} {
		got, err := d.Operator(cli).Update(ctx, made.ID, c.changes)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		stored, err := d.get(ctx, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, c.name+": answer and store", got, stored)
		equal(t, c.name, got.Name+"/"+got.Description, c.as)
		equal(t, c.name+": addresses", got.AllowedIPs, c.from)
		if c.summary == "" {
			d.took(t)
			continue
		}
		equal(t, c.name+": summary", d.events[0].Summary(), c.summary)
		d.took(t, Updated)
	}

	_, err := d.Operator(cli).Update(ctx, made.ID, Changes{Name: new("")})
	refused(t, err, ErrInvalid, "name")
	_, err = d.Operator(cli).Update(ctx, made.ID, Changes{AllowedIPs: &[]string{"x"}})
	refused(t, err, ErrInvalid, "allowed_ips")
	_, err = d.Operator(cli).Update(ctx, "nobody", Changes{Name: new("x")})
	refused(t, err, ErrNotFound, "token nobody: not found")
	d.took(t)
}

// What somebody else has changed since it was seen isn't replaced by accident.
func TestUpdateOfWhatWasSeen(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, _ := d.create(t, NewToken{Name: "ci", Description: "old", AllowedIPs: []string{"10.0.0.0/8"}})
	ten := made.AllowedIPs
	for _, c := range []struct {
		name    string
		changes Changes
		refused string // the field; "": none
	}{
		{"what it was", Changes{Name: new("deploy"), Seen: &token.Token{Name: "ci"}}, ""},
		{"what it wasn't", Changes{Name: new("x"), Seen: &token.Token{Name: "ci"}}, "name"},
		{"what it is to be already", Changes{Name: new("deploy"), Seen: &token.Token{Name: "ci"}}, ""},
		{"another field", Changes{Name: new("build"), Seen: &token.Token{Name: "deploy", Description: "older"}}, ""},
		{"description", Changes{Description: new(""), Seen: &token.Token{Name: "build"}}, "description"},
		{"everywhere", Changes{AllowedIPs: &[]string{}, Seen: &token.Token{Name: "build"}}, "allowed_ips"},
		{"addresses as they were", Changes{AllowedIPs: &[]string{}, Seen: &token.Token{AllowedIPs: ten}}, ""},
	} {
		d.events = nil
		_, err := d.Operator(cli).Update(t.Context(), made.ID, c.changes)
		if c.refused != "" {
			refused(t, err, ErrConflict, c.refused)
			d.took(t)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	_, secret := d.create(t, NewToken{})
	for _, c := range []struct {
		id   string
		kind error
		says string
	}{
		{"nobody", ErrNotFound, "token nobody"},
		{"", ErrInvalid, "id"},
		{"a/b", ErrInvalid, "id"},
		{strings.Repeat("x", 37), ErrInvalid, "id"},
		{secret, ErrInvalid, "a secret, not an id"},
		{secret[:len(secret)-1], ErrInvalid, "id"},
	} {
		_, err := d.get(ctx, c.id)
		refused(t, err, c.kind, c.says)
		_, err = d.Operator(cli).Revoke(ctx, c.id)
		refused(t, err, c.kind, c.says)
		_, err = d.Operator(cli).Update(ctx, c.id, Changes{})
		refused(t, err, c.kind, c.says)
		if c.id != "" && c.kind == ErrInvalid && strings.Contains(err.Error(), c.id) {
			t.Errorf("error %q repeats what may be a secret", err)
		}
	}
}

// Tokens that are made or imported one right after another are listed in this order.
func TestListOrderWithinAMillisecond(t *testing.T) {
	t.Parallel()
	d := newDesk()
	var made, listed []string
	for n := range 20 { // so many that they aren't in order by chance
		name := fmt.Sprint(n)
		d.now = d.now.Add(20 * time.Microsecond)
		d.create(t, NewToken{Name: name})
		d.now = d.now.Add(20 * time.Microsecond)
		if _, err := d.lines(t, fmt.Sprintf(`{"name":"imported %d","secret":%q}`, n, token.NewSecret("pat"))); err != nil {
			t.Fatal(err)
		}
		made = append(made, name, "imported "+name)
	}
	tokens, _, err := d.Operator(cli).List(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range slices.Backward(tokens) {
		listed = append(listed, l.Name)
	}
	equal(t, "from the oldest to the newest", listed, made)
}

func BenchmarkCreate(b *testing.B) {
	b.ReportAllocs()
	r := New(newFakeStore(), usualRules(), Options{})
	for b.Loop() {
		if _, _, err := r.Operator(cli).Create(b.Context(), NewToken{Name: "ci", Owner: "alice", Full: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// A secret is no name: people read names, and logs have them. What was stored with one
// can be changed and ended all the same.
func TestSecretsAreNoNames(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	secret := token.NewSecret("acme")
	operator := d.Operator(cli)
	for what, n := range map[string]NewToken{
		"name":        {Name: "ci " + secret, Full: true},
		"description": {Name: "ci", Description: "(" + secret + ")", Full: true},
		"owner":       {Name: "ci", Owner: secret, Full: true},
	} {
		_, _, err := operator.Create(ctx, n)
		refused(t, err, ErrInvalid, what+": has a secret in it")
	}
	_, err := d.SetOwner(ctx, cli, secret, OwnerChanges{})
	refused(t, err, ErrInvalid, "owner: has a secret in it")
	for _, key := range []string{"name", "description", "owner", "created_by"} {
		_, err := d.lines(t, fmt.Sprintf(`{%q:%q,"secret":%q}`, key, "of "+secret, foreignSecret))
		refused(t, err, ErrInvalid, "line 1: "+key+": has a secret in it")
	}

	plainOne, _ := d.create(t, NewToken{})
	for what, g := range map[string]token.Grant{"spaces": grant("1 "+secret, "a", "*"), "scope": grant("1", secret, "*"), "resources": grant("1", "a", secret)} {
		inGrant := what + ": has a secret in it"
		_, _, err := operator.Create(ctx, NewToken{Name: "ci", Grants: []token.Grant{grant("1", "a", "*"), g}})
		refused(t, err, ErrInvalid, "grants: number 2: "+inGrant)
		_, err = operator.AddGrant(ctx, plainOne.ID, g)
		refused(t, err, ErrInvalid, "grant: "+inGrant)
		_, err = d.SetOwner(ctx, cli, "a", OwnerChanges{Grants: &[]token.Grant{g}})
		refused(t, err, ErrInvalid, inGrant)
		_, err = d.lines(t, fmt.Sprintf(`{"name":"n","secret":%q,"grants":[{"spaces":%s,"scopes":%s,"resources":%s}]}`,
			foreignSecret, quoted(g.Spaces), quoted(g.Scopes), quoted(g.Resources)))
		refused(t, err, ErrInvalid, "line 1: grants: number 1: "+inGrant)
	}
	for _, part := range []OwnerChanges{{Spaces: &[]string{secret}}, {Scopes: &[]string{secret}}} {
		_, err = d.SetOwner(ctx, cli, "a", part)
		refused(t, err, ErrInvalid, "has a secret in it")
	}

	there := &token.Token{ID: "old", Name: "of " + secret, Description: "of " + secret, Owner: secret, Digest: plain.Digest("x"), Grants: []token.Grant{grant("1", "a", secret), grant("2", "a", "*")}}
	if err := d.store.Create(ctx, there); err != nil {
		t.Fatal(err)
	}
	o := token.NewOwner(secret)
	o.Grants = []token.Grant{grant(secret, secret, secret)}
	d.store.owners[secret] = o.Encode(nil)
	if _, err := operator.Update(ctx, "old", Changes{AllowedIPs: &[]string{"10.0.0.0/8"}}); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]Changes{"name": {Name: new(secret)}, "description": {Description: new(secret)}} {
		_, err := operator.Update(ctx, "old", c)
		refused(t, err, ErrInvalid, what+": has a secret in it")
	}
	if _, err := operator.RemoveGrant(ctx, "old", 2, nil); err != nil {
		t.Error(err)
	}
	if _, _, err := operator.Regenerate(ctx, "old", Renewal{}); err != nil {
		t.Error(err)
	}
	if o, err := d.SetOwner(ctx, cli, secret, OwnerChanges{Enabled: new(false), Grants: &o.Grants}); err != nil || o.Enabled {
		t.Errorf("disabling the owner: %+v, %v", o, err)
	}
	if _, err := d.SetOwner(ctx, cli, secret, OwnerChanges{Spaces: &[]string{"1"}}); err != nil {
		t.Errorf("limiting the owner: %v", err)
	}
}

// quoted writes list in JSON.
func quoted(list []string) []byte {
	b, _ := json.Marshal(list) // texts: never fails
	return b
}

// Mistakes are what Update refuses, all of it.
func TestMistakesOfChanges(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, secret := d.create(t, NewToken{Name: "ci"})
	good := Changes{Name: new("build"), Description: new(""), AllowedIPs: &[]string{"10.0.0.0/8"}}
	for _, c := range []Changes{good, {}} {
		if got := c.Mistakes(); got != nil {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, bad := range []Changes{
		{Name: new("")}, {Name: new("\u202e")}, {Name: &secret},
		{Description: new("a\x01")}, {Description: &secret}, {AllowedIPs: &[]string{"x"}},
	} {
		got := bad.Mistakes()
		_, err := d.Operator(cli).Update(t.Context(), made.ID, bad)
		if err == nil || len(got) != 1 || got[0].Error() != err.Error() {
			t.Errorf("%+v: %v, and Update says %v", bad, got, err)
		}
		refused(t, got[0], ErrInvalid)
	}
	bad := Changes{Name: new(""), Description: &secret, AllowedIPs: &[]string{"x"}}
	if got := bad.Mistakes(); len(got) != 3 {
		t.Errorf("three mistakes: %v", got)
	}
}
