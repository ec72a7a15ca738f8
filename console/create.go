package console

import (
	"net/http"
	"net/url"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// newForm is the form for a new token.
type newForm struct {
	*form
	Grant    grantForm
	Lifetime lifetimeForm
	Limits   string // of what the visitor's tokens can do; "" for none
	Full     bool   // the visitor has as many tokens as there may be
}

// newToken shows the form for a new token.
func (c *call) newToken() error {
	if !c.Account.Owner().MayCreate {
		return rest.Refuse(http.StatusForbidden, "you may not make tokens: ask whoever runs this site")
	}
	full, err := c.Account.Full(c.R.Context())
	if err != nil {
		return err
	}
	return c.newPage(&form{values: url.Values{}}, full)
}

func (c *call) newPage(f *form, full bool) error {
	return c.page(f.status(), "new", page{Title: "New token", Here: "list", Body: newForm{
		form: f, Grant: c.grantForm(f), Lifetime: c.lifetimeForm(f), Limits: ceiling(c.Account.Owner().Grants), Full: full,
	}})
}

// create makes the token that the form describes, and shows its secret. A form
// with mistakes comes back with them.
func (c *call) create() error {
	f, err := c.readForm()
	if err != nil {
		return err
	}
	grants, lifetime := c.grantForm(f), c.lifetimeForm(f)
	n := registry.NewToken{Name: f.Value("name"), Description: f.Value("description"), AllowedIPs: f.addresses()}
	if n.Name == "" {
		f.fail("name", "Give the token a name, so that you can tell it from others.")
	}
	f.check(registry.Changes{Name: &n.Name, Description: &n.Description})
	n.Lifetime = lifetime.read()
	var grant token.Grant
	if grant, n.Full = grants.read(); !n.Full {
		n.Grants = []token.Grant{grant}
	}
	f.check(registry.Changes{AllowedIPs: &n.AllowedIPs})
	again := func(f *form) error { return c.newPage(f, false) } // being full is one of the mistakes
	return c.makeSecret(f, again, "Token created", func() (*token.Token, string, error) {
		return c.Account.Create(c.R.Context(), n)
	})
}
