package registry

import (
	"strings"
	"testing"

	"github.com/patgate/patgate/token"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk(func(r *Rules) { r.Hasher = token.NewHasher("pepper") })
	made, secret := d.create(t, NewToken{})
	if _, err := d.Import(ctx, cli, strings.NewReader(`{"id":"old","name":"old","secret":"an-old-system-1234","revoked_at":"2026-01-01T00:00:00Z"}`)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, secret string
		id           string
		err          error
	}{
		{"of a token", secret, made.ID, nil},
		{"of a revoked, imported token", "an-old-system-1234", "old", nil},
		{"of none", token.NewSecret("pat"), "", ErrUnknown},
		{"foreign", "an-old-system-1235", "", ErrUnknown},
		{"mistyped", secret[:len(secret)-1] + "!", "", ErrMalformed},
		{"cut", secret[:len(secret)-1], "", ErrMalformed},
		{"empty", "", "", ErrMalformed},
		{"with a blank", secret + " ", "", ErrMalformed},
		{"a digest is no secret", d.rules.Hasher.Format(made.Digest), "", ErrUnknown},
		{"an id is no secret", made.ID, "", ErrUnknown},
	} {
		got, err := d.Verify(ctx, c.secret)
		if c.err != nil {
			refused(t, err, c.err)
			if c.secret != "" && strings.Contains(err.Error(), c.secret) {
				t.Errorf("%s: error %q carries the secret", c.name, err)
			}
		} else if err != nil || got.ID != c.id {
			t.Errorf("%s: got %v, %v, want token %s", c.name, got, err, c.id)
		}
	}
	if _, err := d.lines(t, `{"id":"used","name":"n","secret":"an-old-system-used","last_used_at":"2026-11-01T00:00:00Z","last_used_ip":"192.0.2.7"}`); err != nil {
		t.Fatal(err)
	}
	used, err := d.Operator(cli).Get(ctx, "used")
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Verify(ctx, "an-old-system-used")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "a used token", got, used)
	equal(t, "a used token that shows its secret", d.bearer(t, "an-old-system-used").Token(), used)
	refused(t, ErrMalformed, ErrInvalid)
	refused(t, ErrUnknown, ErrNotFound)
	refused(t, ErrRetired, ErrNotFound)
}
