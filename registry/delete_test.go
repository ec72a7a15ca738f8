package registry

import (
	"errors"
	"testing"

	"github.com/patgate/patgate/token"
)

func TestDelete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	a, secret := d.create(t, NewToken{Name: "a", Owner: "alice"})
	b, _ := d.create(t, NewToken{Name: "b"})

	_, err := d.Operator(cli).Delete(ctx, a.ID, "nobody")
	refused(t, err, ErrNotFound, "token nobody")
	d.took(t)
	if _, err := d.get(ctx, a.ID); err != nil {
		t.Errorf("the other is gone: %v", err)
	}

	ids, err := d.Operator(cli).Delete(ctx, a.ID, b.ID, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", ids, []string{a.ID, b.ID})
	equal(t, "event", [2]string{d.events[0].TokenName, d.events[0].Owner}, [2]string{"a", "alice"})
	d.took(t, Deleted, Deleted)
	_, err = d.get(ctx, a.ID)
	refused(t, err, ErrNotFound)
	_, err = d.Verify(ctx, secret)
	refused(t, err, ErrUnknown)
}

func TestDeleteWhatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(*desk, *token.Token) error
		want      error
	}{
		"by someone else":  {func(d *desk, a *token.Token) error { d.store.remove(a); return nil }, ErrConflict},
		"the store failed": {func(*desk, *token.Token) error { return errDown }, errDown},
	} {
		d := newDesk()
		a, _ := d.create(t, NewToken{Name: "a"})
		b, _ := d.create(t, NewToken{Name: "b"})
		d.store.fail = func(method string) error {
			if method == "Delete" {
				return c.meanwhile(d, a)
			}
			return nil
		}
		if ids, err := d.Operator(cli).Delete(t.Context(), a.ID, b.ID); !errors.Is(err, c.want) || ids != nil {
			t.Errorf("%s: got %v, %v, want %v", name, ids, err, c.want)
		}
		if _, err := d.get(t.Context(), b.ID); err != nil {
			t.Errorf("%s: the other is gone: %v", name, err)
		}
		d.took(t)
	}
}

// TestDeleteOfOwnerMeanwhile has others delete tokens of an owner while all of them
// are being deleted.
func TestDeleteOfOwnerMeanwhile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ has, others int }{{3, 0}, {3, 1}, {3, 2}, {3, 3}, {1, 1}} {
		d := newDesk()
		var made []*token.Token
		for range c.has {
			one, _ := d.create(t, NewToken{Owner: "alice"})
			made = append(made, one)
		}
		gone := 0
		d.store.fail = func(method string) error {
			if method == "Delete" && gone < c.others {
				d.store.remove(made[gone])
				gone++
			}
			return nil
		}
		ids, err := d.Operator(cli).DeleteOwnerTokens(t.Context(), "alice")
		if err != nil || len(ids) != c.has-c.others || len(d.store.tokens) != 0 {
			t.Errorf("of %d tokens others delete %d: %d are deleted, %v, and %d are left", c.has, c.others, len(ids), err, len(d.store.tokens))
		}
	}
}

// A token that someone else deletes at the same moment isn't there.
func TestDeleteOfOneMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDesk()
	one, _ := d.create(t, NewToken{})
	d.store.fail = func(method string) error {
		if method == "Delete" {
			d.store.remove(one)
		}
		return nil
	}
	_, err := d.Operator(cli).Delete(t.Context(), one.ID)
	refused(t, err, ErrNotFound, one.ID)
}
