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

// askRegenerate shows the form for a new secret.
func (c *call) askRegenerate() error {
	t, err := c.mine()
	if err != nil {
		return err
	}
	return c.renewPage(t, &form{values: url.Values{}})
}

func (c *call) renewPage(t *token.Token, f *form) error {
	return c.page(f.status(), "regenerate", page{Title: "New secret for “" + t.Name + "”", Body: renewForm{f, c.row(t), c.lifetimeForm(f)}})
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
	again := func(f *form) error { return c.renewPage(t, f) }
	return c.makeSecret(f, again, "New secret made", func() (*token.Token, string, error) {
		return c.Account.Regenerate(c.R.Context(), t.ID, n)
	})
}
