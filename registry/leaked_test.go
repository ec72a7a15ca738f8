package registry

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

func TestRevokeLeaked(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	a, current := d.create(t, NewToken{Name: "a", Owner: "alice"})
	b, replaced := d.create(t, NewToken{Name: "b"})
	var newer [2]string
	for i := range newer {
		var err error
		if _, newer[i], err = d.Operator(cli).Regenerate(ctx, b.ID, Renewal{Overlap: new("1h")}); err != nil {
			t.Fatal(err)
		}
	}
	_, other := d.create(t, NewToken{Name: "c"})

	// What opens nothing makes no difference, and nobody is told.
	if err := d.RevokeLeaked(ctx, here, token.NewSecret("pat"), "pat_mistyped", "", "of another system"); err != nil {
		t.Errorf("of unknown secrets: %v", err)
	}
	d.took(t)

	if err := d.RevokeLeaked(ctx, here, "pat_mistyped", current, replaced); err != nil {
		t.Fatal(err)
	}
	_, err := d.Bearer(ctx, current, here)
	denied(t, "the leaked secret", err, policy.TokenRevoked)
	_, err = d.Bearer(ctx, replaced, here)
	denied(t, "the leaked secret that was replaced", err, policy.TokenRevoked)
	for _, secret := range newer { // the first of them was replaced, too
		d.bearer(t, secret)
	}
	d.bearer(t, other)

	if len(d.events) != 2 {
		t.Fatalf("events %+v, want two", d.events)
	}
	for i, want := range []struct {
		action Action
		id     string
	}{{Revoked, a.ID}, {OverlapEnded, b.ID}} {
		e := d.events[i]
		if e.Action != want.action || e.TokenID != want.id || e.Actor != want.id || e.ActorKind != TokenActor || e.Address != here.String() || e.Detail != leaked {
			t.Errorf("event %+v, want %s of token %s", e, want.action, want.id)
		}
	}

	// Once more, it changes nothing: it has ended already, and stays ended since
	// then.
	d.events = nil
	d.now = d.now.Add(time.Minute)
	if err := d.RevokeLeaked(ctx, here, current, replaced); err != nil {
		t.Fatal(err)
	}
	d.took(t)
}

func TestRevokeLeakedOnAFailingStore(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Find", "Update"} {
		d := newDesk()
		_, secret := d.create(t, NewToken{})
		_, next := d.create(t, NewToken{})
		failed := false
		d.store.fail = func(m string) error { // once, as for a damaged record
			if m == method && !failed {
				failed = true
				return errDown
			}
			return nil
		}
		if err := d.RevokeLeaked(t.Context(), netip.Addr{}, secret, token.NewSecret("pat"), next); !errors.Is(err, errDown) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s fails: got %v, want the store's error", method, err)
		}
		_, err := d.Bearer(t.Context(), next, here)
		denied(t, method+" fails: the next secret", err, policy.TokenRevoked)
	}
}

func TestLeakReport(t *testing.T) {
	t.Parallel()
	many := `[` + strings.Repeat(`{"secret":"x"},`, MaxLeaked) + `{"secret":"x"}]`
	for _, c := range []struct {
		in   string
		want string // the secrets; "": refused
	}{
		{`{"secret":"a"}`, "a"},
		{` [ {"secret":"a"}, {"secret":"b"} ]`, "a b"},
		{`[]`, ""},
		{`{}`, ""},
		{`[{}]`, ""},
		{`null`, ""},
		{`"a"`, ""},
		{`["a"]`, ""},
		{`{"secret":"a","url":"x"}`, ""},
		{`{"secret":"a","secret":"b"}`, ""},
		{`{"secret":5}`, ""},
		{many, ""},
	} {
		var l LeakReport
		err := Decode([]byte(c.in), &l)
		if c.want == "" {
			refused(t, err, ErrInvalid)
		} else if err != nil {
			t.Errorf("%s: %v", c.in, err)
		}
		equal(t, c.in, strings.Join(l, " "), c.want)
	}
}

func FuzzLeakReport(f *testing.F) {
	f.Add([]byte(`{"secret":"a"}`))
	f.Add([]byte(`[{"secret":"a"},{"secret":"b"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l LeakReport
		if err := Decode(data, &l); err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: %v, want a refusal", data, err)
			}
			return
		}
		if len(l) == 0 || len(l) > MaxLeaked || !json.Valid(data) {
			t.Errorf("%q: %d secrets", data, len(l))
		}
	})
}
