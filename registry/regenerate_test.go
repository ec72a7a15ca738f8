package registry

import (
	"errors"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// life is a token's story: what is done to it, and which of its secrets work
// afterwards.
type life struct {
	t       *testing.T
	d       *desk
	id      string
	secrets []string // the first, the second, …
}

func newLife(t *testing.T) *life {
	d := newDesk(withoutLimit)
	made, secret := d.create(t, NewToken{Lifetime: Lifetime{ExpiresIn: new("30d")}})
	return &life{t, d, made.ID, []string{secret}}
}

func (l *life) after(d time.Duration) *life {
	l.d.now = l.d.now.Add(d)
	return l
}

func (l *life) revoke() *life {
	l.t.Helper()
	if _, err := l.d.Operator(cli).Revoke(l.t.Context(), l.id); err != nil {
		l.t.Fatal(err)
	}
	return l
}

func (l *life) regenerate(overlap string) *life {
	l.t.Helper()
	r := Renewal{Lifetime: Lifetime{ExpiresIn: new("30d")}}
	if overlap != "" {
		r.Overlap = &overlap
	}
	_, secret, err := l.d.Operator(cli).Regenerate(l.t.Context(), l.id, r)
	if err != nil {
		l.t.Fatal(err)
	}
	l.secrets = append(l.secrets, secret)
	return l
}

// works checks that the secrets with these numbers, from 1, and no others are
// those of an active token, and that the others are known as retired or, where
// forgotten, unknown.
func (l *life) works(want ...int) *life {
	l.t.Helper()
	for i, secret := range l.secrets {
		should := false
		for _, n := range want {
			should = should || n == i+1
		}
		tok, err := l.d.Verify(l.t.Context(), secret)
		does := err == nil && tok.Status(l.d.now) == token.Active
		if does != should {
			l.t.Errorf("%v after the start, secret %d works: %t, want %t (%v)", l.d.now.Sub(noon), i+1, does, should, err)
		}
		if err != nil && !errors.Is(err, ErrRetired) && !(errors.Is(err, ErrUnknown) && len(l.secrets) > token.MaxRetired+1) {
			l.t.Errorf("secret %d: %v, want ErrRetired", i+1, err)
		}
	}
	return l
}

// forgot checks that the secrets with these numbers, and no others, are unknown.
func (l *life) forgot(want ...int) {
	l.t.Helper()
	var unknown []int
	for i, secret := range l.secrets {
		if _, err := l.d.Verify(l.t.Context(), secret); errors.Is(err, ErrUnknown) {
			unknown = append(unknown, i+1)
		}
	}
	equal(l.t, "secrets that are forgotten", unknown, want)
}

func TestRegenerationStories(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	for name, tell := range map[string]func(*life){
		"without overlap the old secret ends at once": func(l *life) {
			l.works(1).regenerate("").works(2)
		},
		"an overlap of nothing is none": func(l *life) {
			l.regenerate("0s").works(2)
		},
		"with overlap the old one works for so long": func(l *life) {
			l.regenerate("2h").works(1, 2).after(2*h-time.Millisecond).works(1, 2).after(time.Millisecond).works(2)
		},
		"overlaps add up": func(l *life) {
			l.regenerate("2h").after(h).regenerate("2h").works(1, 2, 3).after(h).works(2, 3).after(h).works(3)
		},
		"no overlap ends earlier ones": func(l *life) {
			l.regenerate("2h").regenerate("").works(3).after(h).works(3)
		},
		"an earlier overlap is not made longer": func(l *life) {
			l.regenerate("1h").regenerate("9h").after(h).works(2, 3)
		},
		"nor beyond what the old secret was made for": func(l *life) {
			l.after(29*day).regenerate("30d").works(1, 2).after(day).works(2)
		},
		"a secret that has ended doesn't begin again": func(l *life) {
			l.regenerate("").regenerate("9h").works(2, 3)
		},
		"a revocation ends all": func(l *life) {
			l.regenerate("2h").revoke().works()
		},
		"a revoked token gets back only its new secret": func(l *life) {
			l.regenerate("9h").after(h).revoke().regenerate("").works(3).after(h).works(3)
		},
		"and not through a later overlap either": func(l *life) {
			l.regenerate("9h").revoke().regenerate("").regenerate("1h").works(3, 4)
		},
		"an expired token gets back only its new secret": func(l *life) {
			l.regenerate("29d").after(30 * day).works().regenerate("").works(3)
		},
		"the oldest are forgotten": func(l *life) {
			for range token.MaxRetired + 1 {
				l.regenerate("")
			}
			l.works(token.MaxRetired + 2).forgot(1)
		},
		"but not while they work": func(l *life) {
			l.regenerate("9h").regenerate("1h").regenerate("9h").regenerate("9h").after(h).works(1, 3, 4, 5)
			l.regenerate("9h").works(1, 3, 4, 5, 6)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(newLife(t))
		})
	}
}

func TestRegenerateRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(*life)
		asked  Renewal
		kind   error
		says   []string
	}{
		{"overlap of a revoked token", func(l *life) { l.revoke() }, Renewal{Overlap: new("1h")}, ErrConflict, []string{"overlap", "is revoked", "old secret can't be kept working"}},
		{"overlap of an expired token", func(l *life) { l.after(30 * day) }, Renewal{Overlap: new("1h")}, ErrConflict, []string{"is expired"}},
		{"overlap longer than the lifetime", nil, Renewal{Lifetime: Lifetime{ExpiresIn: new("1d")}, Overlap: new("25h")}, ErrInvalid, []string{"overlap", "25h", "2026-11-23T12:00:00Z"}},
		{"another than was seen", nil, Renewal{Same: func(t *token.Token) bool { return !t.RevokedAt.IsZero() }}, ErrConflict, []string{"has changed"}},
		{"an overlap too many", func(l *life) { l.regenerate("9h").regenerate("9h").regenerate("9h").regenerate("9h") }, Renewal{Overlap: new("1h")}, ErrConflict, []string{"overlap", "4 replaced secrets"}},
		{"negative overlap", nil, Renewal{Overlap: new("-1h")}, ErrInvalid, []string{"overlap", "negative"}},
		{"overlap that is none", nil, Renewal{Overlap: new("soon")}, ErrInvalid, []string{"overlap", "soon", "90d"}},
		{"a lifetime in the past", nil, Renewal{Lifetime: Lifetime{ExpiresAt: new("2020-01-01")}}, ErrInvalid, []string{"expires_at"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t)
			if c.before != nil {
				c.before(l)
			}
			l.d.events = nil
			before, err := l.d.get(t.Context(), l.id)
			if err != nil {
				t.Fatal(err)
			}
			_, secret, err := l.d.Operator(cli).Regenerate(t.Context(), l.id, c.asked)
			refused(t, err, c.kind, c.says...)
			equal(t, "secret", secret, "")
			after, err := l.d.get(t.Context(), l.id)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "token", after, before)
			l.d.took(t)
		})
	}
	_, _, err := newDesk().Operator(cli).Regenerate(t.Context(), "nobody", Renewal{})
	refused(t, err, ErrNotFound, "token nobody")
}

func TestRegenerateKeepsTheRest(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, _ := d.create(t, NewToken{Name: "ci", Owner: "alice", Full: true, AllowedIPs: []string{"10.0.0.0/8"}})
	if _, err := d.Operator(cli).Revoke(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	d.events = nil
	d.now = d.now.Add(time.Hour)
	got, secret, err := d.Operator(cli).Regenerate(t.Context(), made.ID, Renewal{})
	if err != nil {
		t.Fatal(err)
	}
	want := made.Clone()
	want.Digest = token.NewHasher("").Digest(secret)
	want.Hint = secret[:len("pat_")+3] + "…"
	want.RegeneratedAt = d.now
	want.ExpiresAt = d.now.Add(90 * day)
	want.Retired = []token.RetiredSecret{{Digest: made.Digest, Until: d.now}}
	equal(t, "token", got, want)
	d.took(t, Regenerated)
}
