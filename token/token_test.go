package token

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func TestStatus(t *testing.T) {
	never, before, after := time.Time{}, t0.Add(-time.Nanosecond), t0.Add(time.Nanosecond)
	for _, c := range []struct {
		name             string
		expires, revoked time.Time
		want             Status
	}{
		{"never expires", never, never, Active},
		{"expires later", after, never, Active},
		{"expires now", t0, never, Expired},
		{"expired", before, never, Expired},
		{"expired in 1969", time.Unix(-1, 0), never, Expired},
		{"expires in 9999", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), never, Active},
		{"revoked", never, before, Revoked},
		{"revoked, whatever the clock says", never, after, Revoked},
		{"revoked and expired", before, before, Revoked},
	} {
		tok := &Token{ExpiresAt: c.expires, RevokedAt: c.revoked}
		if got := tok.Status(t0); got != c.want {
			t.Errorf("%s: Status() = %s, want %s", c.name, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := func() *Token {
		return &Token{ID: "01H-x_9", Name: "ci", Grants: []Grant{Full()}}
	}
	for _, c := range []struct {
		name   string
		change func(*Token)
		want   string // in the error; "": valid
	}{
		{"as it is", func(*Token) {}, ""},
		{"an owner with any text", func(t *Token) { t.Owner = "Zoë/ops team:1" }, ""},
		{"no grants", func(t *Token) { t.Grants = nil }, ""},
		{"a UUID as id", func(t *Token) { t.ID = "123e4567-e89b-12d3-a456-426614174000" }, ""},
		{"no id", func(t *Token) { t.ID = "" }, "id: want 1 to 36"},
		{"a long id", func(t *Token) { t.ID = strings.Repeat("a", 37) }, "id: want 1 to 36"},
		{"an id with a slash", func(t *Token) { t.ID = "a/b" }, "id: want letters"},
		{"no name", func(t *Token) { t.Name = "" }, "name:"},
		{"a name of spaces", func(t *Token) { t.Name = " \u00a0\u3000" }, "name: a token needs one"},
		{"a name of no width", func(t *Token) { t.Name = "\u200b\ufeff" }, "name: a token needs one"},
		{"a name of fillers", func(t *Token) { t.Name = "\u3164\u115f\u2800\u034f\ufe0f" }, "name: a token needs one"},
		{"names of all kinds", func(t *Token) { t.Name, t.Owner = "\u200bд\ufe0f", "→" }, ""},
		{"a name that is a symbol", func(t *Token) { t.Name = "🔑" }, ""},
		{"an owner whom no path can name", func(t *Token) { t.Owner = "/" }, "owner: / alone can't be in the path"},
		{"an owner of whom nothing is seen", func(t *Token) { t.Owner = " \u200b" }, "owner: an id of which nothing can be seen"},
		{"a long name", func(t *Token) { t.Name = strings.Repeat("n", 201) }, "name: 201 bytes"},
		{"a line break in the name", func(t *Token) { t.Name = "a\nb" }, "name: contains a control"},
		{"a C1 control in the description", func(t *Token) { t.Description = "a\u0085b" }, "description: contains a control"},
		{"broken UTF-8 in the owner", func(t *Token) { t.Owner = "\xff" }, "owner: not valid UTF-8"},
		{"text that is shown the other way round", func(t *Token) { t.Name = "ci\u202etxt" }, "name: contains a character that can't be seen"},
		{"an Arabic letter mark", func(t *Token) { t.Name = "ci\u061c" }, "name: contains a character that can't be seen"},
		{"a line separator", func(t *Token) { t.Name = "a\u2028b" }, "name: contains a character that can't be seen"},
		{"a paragraph separator", func(t *Token) { t.Description = "a\u2029b" }, "description: contains a character that can't be seen"},
		{"a soft hyphen", func(t *Token) { t.Owner = "ali\u00adce" }, "owner: contains a character that can't be seen"},
		{"a tag", func(t *Token) { t.Name = "ci\U000e0041" }, "name: contains a character that can't be seen"},
		{"what joins in scripts and emoji", func(t *Token) {
			t.Name, t.Owner = "\u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f4bb \u2764\ufe0f \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
		}, ""},
		{"a tag after a flag and a space", func(t *Token) { t.Name = "\U0001f3f4 \U000e0041" }, "name: contains a character that can't be seen"},
		{"an isolate in the owner", func(t *Token) { t.Owner = "\u2066a" }, "owner: contains a character that can't be seen"},
		{"a control character in the maker", func(t *Token) { t.CreatedBy = "\x1b[2J" }, "created_by: contains a control"},
		{"a long hint", func(t *Token) { t.Hint = strings.Repeat("h", 201) }, "hint: 201 bytes"},
		{"too many retired", func(t *Token) { t.Retired = make([]RetiredSecret, 5) }, "retired secrets: 5 given"},
		{"too many grants", func(t *Token) { t.Grants = slices.Repeat([]Grant{Full()}, 101) }, "grants: 101 given"},
		{"too many ranges", func(t *Token) { t.AllowedIPs = make([]netip.Prefix, 101) }, "allowed_ips: 101 given"},
		{"no range", func(t *Token) { t.AllowedIPs = make([]netip.Prefix, 1) }, "allowed_ips: not an address range"},
	} {
		tok := good()
		c.change(tok)
		wantError(t, c.name, tok.Validate(), c.want)
	}
}

func TestValidateOwner(t *testing.T) {
	for _, c := range []struct {
		name  string
		owner Owner
		want  string
	}{
		{"no ceiling", Owner{ID: "alice", Grants: []Grant{Full()}}, ""},
		{"nothing allowed", Owner{ID: "alice"}, ""},
		{"no id", Owner{}, "owner: an empty id"},
		{"an id of which nothing is seen", Owner{ID: "\ufeff"}, "owner: an id of which nothing can be seen"},
		{"a long id", Owner{ID: strings.Repeat("a", 257)}, "owner: 257 bytes"},
		{"fewer tokens than none", Owner{ID: "alice", MaxTokens: -1}, "max_tokens: -1"},
		{"a bad grant", Owner{ID: "alice", Grants: []Grant{{}}}, "grants: number 1"},
	} {
		wantError(t, c.name, c.owner.Validate(), c.want)
	}
}

func TestNewID(t *testing.T) {
	a, b := NewID(t0), NewID(t0)
	for _, id := range []string{a, b} {
		if err := ValidID(id); err != nil || len(id) != 26 {
			t.Errorf("NewID() = %q: %v, want 26 characters of a valid id", id, err)
		}
	}
	if a == b {
		t.Errorf("NewID() = %q, twice", a)
	}
	var ids []string // so many that they aren't in order by chance
	for i := range 30 {
		ids = append(ids, NewID(t0.Add(time.Duration(i)*100*time.Microsecond)))
	}
	if !slices.IsSorted(ids) {
		t.Errorf("NewID() every 100 microseconds = %q, want them to sort by age", ids)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	tok := everything()
	want := tok.Encode(nil)
	c := tok.Clone()
	c.Grants[0].Spaces[0], c.Grants[0].Scopes[0], c.Grants[0].Resources[0] = "x", "x", "x"
	c.AllowedIPs[0] = netip.MustParsePrefix("::/0")
	c.Retired[0].Digest[0]++
	if got := tok.Encode(nil); string(got) != string(want) {
		t.Errorf("changing the clone changed the token: %+v", tok)
	}

	o := &Owner{ID: "alice", Grants: []Grant{Full()}}
	o.Clone().Grants[0].Scopes[0] = "x"
	if o.Grants[0].Scopes[0] != All {
		t.Errorf("changing the clone changed the owner: %+v", o)
	}
}

func TestView(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	for _, c := range []struct {
		name string
		tok  *Token
		want string
	}{
		{
			"as in the documentation",
			&Token{
				ID: "01jd", Name: "ci", Owner: "alice", Hint: "pat_3fQ…",
				Grants:     []Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:read"}, Resources: []string{"*"}}},
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
				CreatedAt:  t0.In(cet), CreatedBy: "cli", ExpiresAt: t0.In(cet).AddDate(0, 0, 90),
				Digest: Digest{1}, Retired: []RetiredSecret{{Digest: Digest{2}}},
			},
			`{"id":"01jd","name":"ci","description":"","owner":"alice","status":"active","hint":"pat_3fQ…",` +
				`"grants":[{"spaces":["1"],"scopes":["stories:read"],"resources":["*"]}],` +
				`"allowed_ips":["10.0.0.0/8"],"created_at":"2026-11-22T10:00:00Z","created_by":"cli",` +
				`"expires_at":"2027-02-20T10:00:00Z","revoked_at":null,"last_used_at":null,"last_used_ip":null}`,
		},
		{
			"empty lists",
			&Token{ID: "1", Name: "n", Grants: []Grant{{}}, CreatedAt: t0},
			`{"id":"1","name":"n","description":"","owner":"","status":"active","hint":"",` +
				`"grants":[{"spaces":[],"scopes":[],"resources":[]}],` +
				`"allowed_ips":[],"created_at":"2026-11-22T10:00:00Z","created_by":"",` +
				`"expires_at":null,"revoked_at":null,"last_used_at":null,"last_used_ip":null}`,
		},
		{
			"used and revoked",
			&Token{
				ID: "1", Name: "n", CreatedAt: t0, RevokedAt: t0.Add(time.Second),
				LastUsedAt: t0.Add(time.Millisecond), LastUsedIP: netip.MustParseAddr("2001:db8::1"),
			},
			`{"id":"1","name":"n","description":"","owner":"","status":"revoked","hint":"",` +
				`"grants":[],"allowed_ips":[],"created_at":"2026-11-22T10:00:00Z","created_by":"",` +
				`"expires_at":null,"revoked_at":"2026-11-22T10:00:01Z",` +
				`"last_used_at":"2026-11-22T10:00:00.001Z","last_used_ip":"2001:db8::1"}`,
		},
	} {
		got, err := json.Marshal(c.tok.View(t0))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: View() is\n%s (%v), want\n%s", c.name, got, err, c.want)
		}
	}
}

func TestViewSharesNothing(t *testing.T) {
	tok := everything()
	want := tok.Encode(nil)
	v := tok.View(t0)
	v.Grants[0].Scopes[0] = "x"
	v.AllowedIPs[0] = netip.Prefix{}
	*v.LastUsedIP = netip.Addr{}
	*v.ExpiresAt = time.Time{}
	if got := tok.Encode(nil); string(got) != string(want) {
		t.Errorf("changing the view changed the token: %+v", tok)
	}
}

// everything is a token with every field set.
func everything() *Token {
	return &Token{
		ID: "01jd", Name: "ci", Description: "nightly ☾", Owner: "Zoë/ops", Hint: "pat_3fQ…",
		Grants: []Grant{
			{Spaces: []string{"1", "zwei"}, Scopes: []string{"stories:read", "*:write"}, Resources: []string{"7"}},
			Full(),
		},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		CreatedAt:  t0, CreatedBy: "cli", RegeneratedAt: t0.Add(time.Second), ExpiresAt: t0.Add(time.Hour + time.Nanosecond), RevokedAt: t0.Add(2 * time.Hour),
		LastUsedAt: t0.Add(time.Minute), LastUsedIP: netip.MustParseAddr("fe80::1%eth0"),
		Digest: Digest{1, 31: 2}, Retired: []RetiredSecret{{Digest: Digest{3}, Until: t0.Add(time.Hour)}, {Digest: Digest{4}}},
	}
}

func TestLifetime(t *testing.T) {
	for _, c := range []struct {
		name string
		tok  Token
		want time.Duration
	}{
		{"for ever", Token{CreatedAt: t0}, 0},
		{"as it was made", Token{CreatedAt: t0, ExpiresAt: t0.Add(time.Hour)}, time.Hour},
		{"of a secret that replaced another", Token{CreatedAt: t0, RegeneratedAt: t0.Add(time.Hour), ExpiresAt: t0.Add(3 * time.Hour)}, 2 * time.Hour},
		{"for ever since it was regenerated", Token{CreatedAt: t0, RegeneratedAt: t0.Add(time.Hour)}, 0},
	} {
		if got := c.tok.Lifetime(); got != c.want {
			t.Errorf("%s: Lifetime = %v, want %v", c.name, got, c.want)
		}
	}
}

// wantError fails the test unless err contains want, or is nil for "".
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: error %q, want none", what, err)
	case want != "" && err == nil:
		t.Errorf("%s: no error, want one with %q", what, want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("%s: error %q, want one with %q", what, err, want)
	}
}

func TestRetiredUntil(t *testing.T) {
	tok := &Token{Digest: Digest{1}, Retired: []RetiredSecret{{Digest{2}, t0}, {Digest{3}, time.Time{}}}}
	for _, c := range []struct {
		digest byte
		until  time.Time
		ok     bool
	}{{1, time.Time{}, false}, {2, t0, true}, {3, time.Time{}, true}, {4, time.Time{}, false}} {
		if until, ok := tok.RetiredUntil(Digest{c.digest}); !until.Equal(c.until) || ok != c.ok {
			t.Errorf("RetiredUntil(%d) = %v, %v, want %v, %v", c.digest, until, ok, c.until, c.ok)
		}
	}
}
