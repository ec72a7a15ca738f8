package console

import (
	"net/url"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// renewForm is the form for a token's new secret.
type renewForm struct {
	*form
	row
	Lifetime lifetimeForm
}

// Overlaps are how long the old secret may work on.
func (renewForm) Overlaps() []choice {
	return []choice{{"", "Now"}, {"1h", "In an hour"}, {"24h", "In a day"}, {"7d", "In 7 days"}}
}

// Works reports whether the old secret does, so that it could work on.
func (f renewForm) Works() bool { return f.Status == token.Active }

// Shown tells the state in which the token was shown: its status, and which secret it
// had.
func (f renewForm) Shown() string { return string(f.Status) + " " + f.Hint }

// askRegenerate shows the form for a new secret.
func (c *call) askRegenerate() error {
	t, err := c.mine()
	if err != nil {
		return err
	}
	return c.renewPage(t, &form{values: url.Values{}})
}

func (c *call) renewPage(t *token.Token, f *form) error {
	return c.page(f.status(), "regenerate", page{Title: "New secret for “" + t.Name + "”", Here: "list", Body: renewForm{f, c.row(t), c.lifetimeForm(f)}})
}

// happened says what has happened to a token that wasn't in this state before.
var happened = map[token.Status]string{
	token.Active:  "The token has got another secret",
	token.Expired: "The token has expired",
	token.Revoked: "The token has been revoked",
}

// regenerate gives a token a new secret, and shows it.
func (c *call) regenerate() error {
	t, f, err := c.changeForm()
	if err != nil {
		return err
	}
	lifetime := c.lifetimeForm(f)
	n := registry.Renewal{Lifetime: lifetime.read()}
	if overlap := f.Value("overlap"); overlap != "" {
		n.Overlap = &overlap
	}
	// A page that was opened before the token was revoked says nothing of bringing it back.
	n.Same = func(now *token.Token) bool {
		f.outdated = renewForm{row: c.row(now)}.Shown() != f.Value("shown")
		return !f.outdated
	}
	again := func(f *form) error {
		if f.outdated {
			if t, err = c.mine(); err != nil { // as it is now
				return err
			}
			f.Mistakes = nil
			f.fail("", "%s since this page was shown. No secret was made; read again what this will do.", happened[t.Status(c.now)])
		}
		return c.renewPage(t, f)
	}
	return c.makeSecret(f, again, "New secret made", func() (*token.Token, string, error) {
		return c.Account.Regenerate(c.R.Context(), t.ID, n)
	})
}
