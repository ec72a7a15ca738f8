package registry

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// use notes a use of a token, as a store does.
func (d *desk) use(id string, at time.Time) {
	t, err := d.store.get(id)
	if err != nil {
		panic(err)
	}
	t.LastUsedAt, t.LastUsedIP = at, netip.MustParseAddr("192.0.2.1")
	d.store.tokens[id] = t.Encode(nil)
}

func TestList(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk(func(r *Rules) { r.ImpliedBy = map[string][]string{"a:list": {"a:list", "a:read"}} })
	for i := range 250 {
		d.now = d.now.Add(time.Second)
		n := NewToken{Name: fmt.Sprint(i), Owner: []string{"alice", "bob"}[i%2], Grants: []token.Grant{grant(fmt.Sprint(i%5), "a:read", "*")}}
		if i < 10 {
			n.ExpiresIn = new("1h")
		}
		made, _ := d.create(t, n)
		if i >= 200 {
			if _, err := d.Operator(cli).Revoke(ctx, made.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.now = d.now.Add(time.Hour)

	for _, c := range []struct {
		name string
		q    Query
		want int
	}{
		{"all", Query{Limit: 1000}, 250},
		{"all by name", Query{Limit: 1000, Status: "all"}, 250},
		{"active", Query{Limit: 1000, Status: "active"}, 190},
		{"expired", Query{Limit: 1000, Status: "expired"}, 10},
		{"revoked", Query{Limit: 1000, Status: "revoked"}, 50},
		{"of an owner", Query{Limit: 1000, Owner: new("bob")}, 125},
		{"of no owner", Query{Limit: 1000, Owner: new("")}, 0},
		{"in a space", Query{Limit: 1000, Space: "3"}, 50},
		{"with a scope", Query{Limit: 1000, Scope: "a:read"}, 250},
		{"with another scope", Query{Limit: 1000, Scope: "a:write"}, 0},
		{"with a scope that is implied", Query{Limit: 1000, Scope: "a:list"}, 250},
		{"the default limit", Query{}, 100},
		{"a limit", Query{Limit: 7}, 7},
	} {
		tokens, _, err := d.Operator(cli).List(ctx, c.q)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		equal(t, c.name, len(tokens), c.want)
	}

	var names []string
	q := Query{Status: "active"}
	for page := 0; page == 0 || q.Cursor != ""; page++ {
		tokens, next, err := d.Operator(cli).List(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range tokens {
			names = append(names, tok.Name)
		}
		q.Cursor = next
	}
	equal(t, "length of all pages", len(names), 190)
	equal(t, "first and last", [2]string{names[0], names[189]}, [2]string{"199", "10"})

	for _, limit := range []int{-1, 1001} {
		_, _, err := d.Operator(cli).List(ctx, Query{Limit: limit})
		refused(t, err, ErrInvalid, fmt.Sprint(limit), "1 to 1000")
	}
	_, _, err := d.Operator(cli).List(ctx, Query{Status: "dead"})
	refused(t, err, ErrInvalid, `"dead"`, "active, expired, revoked or all")
}

// Newest first goes by the ids, also of tokens that were imported with others.
func TestListGoesByID(t *testing.T) {
	t.Parallel()
	d := newDesk()
	if _, err := d.Import(t.Context(), cli, strings.NewReader(`
		{"id":"00000000old","name":"old","secret":"an-old-systems-token-1","created_at":"2030-01-01T00:00:00Z"}
		{"name":"without","secret":"an-old-systems-token-2","created_at":"2000-01-01T00:00:00Z"}
		{"id":"zzzzzzzznew","name":"new","secret":"an-old-systems-token-3","created_at":"2000-01-01T00:00:00Z"}`)); err != nil {
		t.Fatal(err)
	}
	for sort, want := range map[string][]string{"": {"new", "without", "old"}, "-created": {"old", "without", "new"}} {
		tokens, _, err := d.Operator(cli).List(t.Context(), Query{Sort: sort})
		var got []string
		for _, one := range tokens {
			got = append(got, one.Name)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("sort %q: %q, %v, want %q", sort, got, err, want)
		}
	}
}

func TestListSelectsAndSorts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk(withoutLimit)
	ids := map[string]string{}
	for _, n := range []NewToken{
		{Name: "deploy", Description: "the Nightly build", Owner: "alice", Lifetime: Lifetime{ExpiresIn: new("10d")}},
		{Name: "Backup", Owner: "bob", Lifetime: Lifetime{ExpiresIn: new("1h")}},
		{Name: "ci", Owner: "alice", Lifetime: Lifetime{NoExpiry: true}},
		{Name: "backup", Owner: "Nightingale", Lifetime: Lifetime{ExpiresIn: new("30d")}},
		{Name: "ci", Owner: "bob", Lifetime: Lifetime{ExpiresIn: new("30d")}},
	} {
		d.now = d.now.Add(time.Second)
		made, _ := d.create(t, n)
		ids[made.ID] = n.Name + " " + n.Owner
	}
	names := func(tokens []*token.Token) string {
		var words []string
		for _, t := range tokens {
			words = append(words, ids[t.ID])
		}
		return strings.Join(words, ", ")
	}
	for id, name := range ids {
		switch name {
		case "deploy alice":
			d.use(id, d.now.Add(time.Minute))
		case "ci bob":
			d.use(id, d.now.Add(4*day))
		}
	}
	newest, _, err := d.Operator(cli).List(ctx, Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	hint := newest[0].Hint
	d.now = d.now.Add(5 * day) // Backup of bob has expired

	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"by age", Query{}, "ci bob, backup Nightingale, ci alice, Backup bob, deploy alice"},
		{"by age, said so", Query{Sort: "created"}, "ci bob, backup Nightingale, ci alice, Backup bob, deploy alice"},
		{"the oldest first", Query{Sort: "-created"}, "deploy alice, Backup bob, ci alice, backup Nightingale, ci bob"},
		{"by name, and by id where that is the same", Query{Sort: "name"}, "Backup bob, backup Nightingale, ci alice, ci bob, deploy alice"},
		{"by name backwards", Query{Sort: "-name"}, "deploy alice, ci bob, ci alice, backup Nightingale, Backup bob"},
		{"by expiry", Query{Sort: "expires"}, "Backup bob, deploy alice, backup Nightingale, ci bob, ci alice"},
		{"by expiry backwards", Query{Sort: "-expires"}, "ci alice, ci bob, backup Nightingale, deploy alice, Backup bob"},
		{"by last use", Query{Sort: "last_used"}, "ci bob, deploy alice, Backup bob, ci alice, backup Nightingale"},
		{"by last use backwards", Query{Sort: "-last_used"}, "backup Nightingale, ci alice, Backup bob, deploy alice, ci bob"},

		{"a text in a description and an owner", Query{Text: "nIGHT"}, "backup Nightingale, deploy alice"},
		{"a text in a name", Query{Text: "back"}, "backup Nightingale, Backup bob"},
		{"a text of one owner", Query{Text: "ci", Owner: new("bob")}, "ci bob"},
		{"a hint", Query{Text: hint}, "ci bob"},
		{"a hint as people type it", Query{Text: strings.ToUpper(strings.TrimSuffix(hint, "…"))}, "ci bob"},
		{"a part of all hints", Query{Text: "pat"}, ""},
		{"no such text", Query{Text: "nothing"}, ""},

		{"expiring in a week", Query{Expiring: "7d"}, "deploy alice"},
		{"expiring in a month", Query{Expiring: "30d", Sort: "expires"}, "deploy alice, backup Nightingale, ci bob"},
		{"expiring in a month, and revoked", Query{Expiring: "30d", Status: "revoked"}, ""},
		{"unused for two days", Query{Unused: "2d"}, "backup Nightingale, ci alice, deploy alice"},
		{"unused for two days, active or not", Query{Unused: "2d", Status: "all"}, "backup Nightingale, ci alice, Backup bob, deploy alice"},
		{"unused for longer than anything", Query{Unused: "6d"}, ""},
	} {
		got, next, err := d.Operator(cli).List(ctx, c.q)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		equal(t, c.name, names(got), c.want)
		equal(t, c.name+": next", next, "")

		// The same, one by one.
		var paged []*token.Token
		c.q.Limit = 1
		for range 10 {
			page, next, err := d.Operator(cli).List(ctx, c.q)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			paged = append(paged, page...)
			if c.q.Cursor = next; next == "" {
				break
			}
		}
		equal(t, c.name+", one by one", names(paged), c.want)
	}

	_, next, err := d.Operator(cli).List(ctx, Query{Sort: "name", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for what, q := range map[string]Query{
		"sort":     {Sort: "size"},
		`sort "-`:  {Sort: "--name"},
		"expiring": {Expiring: "soon"},
		"unused":   {Unused: "0d"},
		"scope":    {Scope: "a|b"},
		"want one": {Scope: "a:*"},
		"cursor":   {Cursor: "not an id"},
		"cursor: ": {Cursor: next, Sort: "-name"},
		"cursor:":  {Cursor: "!", Sort: "name"},
	} {
		_, _, err := d.Operator(cli).List(ctx, q)
		refused(t, err, ErrInvalid, what)
	}
}

// Whatever is made and deleted between two pages, tokens that stay are listed once
// each, in order.
func TestSortedListWhileChanging(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	d := newDesk()
	stays, names := map[string]bool{}, map[string]string{}
	var passing []string
	add := func(stay bool) {
		d.now = d.now.Add(time.Millisecond)
		made, _ := d.create(t, NewToken{Name: fmt.Sprint(random.IntN(50))})
		names[made.ID] = made.Name
		if stay {
			stays[made.ID] = true
		} else {
			passing = append(passing, made.ID)
		}
	}
	for i := range 200 {
		add(i%2 == 0)
	}
	listed := map[string]int{}
	last := ""
	for q := (Query{Sort: "name", Limit: 7}); ; {
		page, next, err := d.Operator(cli).List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range page {
			listed[tok.ID]++
			if tok.Name < last {
				t.Errorf("seed %d: %q is listed after %q", seed, tok.Name, last)
			}
			last = tok.Name
		}
		if q.Cursor = next; next == "" {
			break
		}
		for range 3 {
			add(false)
			i := random.IntN(len(passing))
			if _, err := d.Operator(cli).Delete(t.Context(), passing[i]); err != nil {
				t.Fatal(err)
			}
			passing = slices.Delete(passing, i, i+1)
		}
	}
	for id := range stays {
		if listed[id] != 1 {
			t.Errorf("seed %d: %q (%s) was there all the time, and is listed %d times", seed, names[id], id, listed[id])
		}
	}
	for id, n := range listed {
		if n > 1 {
			t.Errorf("seed %d: %q (%s) is listed %d times", seed, names[id], id, n)
		}
	}
}

// A page of a list that is long is as right as one of a short one.
func TestSortedPageOfMany(t *testing.T) {
	t.Parallel()
	var tokens []*token.Token
	for i := range 5*MaxLimit + 3 {
		tokens = append(tokens, &token.Token{ID: fmt.Sprintf("%06d", i), Name: fmt.Sprint(i * 7919 % 10007)})
	}
	o := order{by: SortName}
	p := sortedPage{order: o, query: store.Query{Limit: 10}, after: &place{"5", ""}}
	for some := range slices.Chunk(tokens, 500) {
		p.add(some)
	}
	got, next := p.end()
	slices.SortFunc(tokens, func(a, b *token.Token) int { return o.compare(o.place(a), o.place(b)) })
	from := slices.IndexFunc(tokens, func(t *token.Token) bool { return t.Name >= "5" })
	equal(t, "page", got, tokens[from:from+10])
	equal(t, "next", next, o.cursor(o.place(got[9])))
}

// Whoever lists the longest tokens there can be gets as many of them at once as memory has
// room for, in every order all of them, and no owner has one more than there may be.
func TestListOfLongTokens(t *testing.T) {
	t.Parallel()
	d := newDesk()
	const count = 15
	var want []string
	for i := range count {
		made := &token.Token{ID: fmt.Sprintf("%02d", i), Name: fmt.Sprintf("n%02d", i*7%count), Owner: "alice", Digest: token.Digest{byte(i)}}
		if i%5 > 0 { // there are short ones between them
			made.Grants = longGrants()
		}
		want = append(want, made.ID)
		if err := d.store.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	for _, sort := range []string{"created", "-created", "name", "expires"} {
		var got []string
		q := Query{Sort: sort, Limit: MaxLimit}
		for pages := 0; pages == 0 || q.Cursor != ""; pages++ {
			page, next, err := d.Operator(cli).List(t.Context(), q)
			if err != nil || len(page) == 0 || len(page) == count {
				t.Fatalf("by %s: a page of %d, %v", sort, len(page), err)
			}
			for _, listed := range page {
				got = append(got, listed.ID)
			}
			q.Cursor = next
		}
		slices.Sort(got)
		equal(t, "by "+sort, got, want)
	}
	for most, full := range map[int]bool{count - 1: true, count: true, count + 1: false} {
		if _, err := d.SetOwner(t.Context(), cli, "alice", OwnerChanges{MaxTokens: &most}); err != nil {
			t.Fatal(err)
		}
		is, err := d.account(t, "alice", false).Full(t.Context())
		if err != nil || is != full {
			t.Errorf("%d of %d tokens are there: full %v, %v, want %v", count, most, is, err, full)
		}
	}
}

// longGrants returns grants with which a token is about as long as one may be.
func longGrants() []token.Grant {
	long := token.Grant{Scopes: []string{"a"}, Resources: []string{"*"}}
	for i := range token.MaxGrantValues {
		long.Spaces = append(long.Spaces, fmt.Sprintf("%0256d", i))
	}
	return []token.Grant{long, long, long, long}
}

func FuzzListCursor(f *testing.F) {
	f.Add("bmFtZQBpZABuYW1l", "name")
	f.Add(order{by: SortExpires, reverse: true}.cursor(place{"~", "01jd"}), "-expires")
	f.Fuzz(func(t *testing.T, cursor, sort string) {
		o, err := parseOrder(sort)
		if err != nil {
			return
		}
		p, err := o.parseCursor(cursor)
		if err != nil {
			return
		}
		if again, err := o.parseCursor(o.cursor(*p)); err != nil || *again != *p {
			t.Errorf("%+v comes back as %+v, %v", p, again, err)
		}
	})
}
