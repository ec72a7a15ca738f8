package console

import (
	"net/http"
	"net/url"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// details are a token's page.
type details struct {
	row
	Old    *moment // how long a replaced secret still works; nil: none does
	Mine   bool    // it can be changed, not only revoked
	Fixed  bool    // its grants can't be changed
	Widens bool    // the visitor may make tokens, and so add grants
	Events []eventRow
	Grants []grantRow
	Edit   *form // for its name, description and allowed addresses
	Grant  grantForm
	Notice string
}

// tokenEvents is how much of what was done to a token its page tells.
const tokenEvents = 20

// show shows a token.
func (c *call) show() error {
	t, err := c.visible()
	if err != nil {
		return err
	}
	return c.showPage(http.StatusOK, t, nil, nil)
}

// showPage shows a token with the form for its name or for a new grant as it was filled
// in; nil: as it is at first.
func (c *call) showPage(status int, t *token.Token, edited, granted *form) error {
	d := details{
		row: c.row(t), Mine: t.Owner == c.visitor.Owner, Fixed: c.Rules().GrantsImmutable, Widens: c.Account.Owner().MayCreate, Edit: edited, Notice: c.notice(c.row(t)),
	}
	if until := d.ReplacedUntil; until != nil {
		d.Old = &moment{"works for another " + distance(*until, c.now), until}
	}
	var err error
	if d.Events, _, err = c.events(registry.EventQuery{TokenID: t.ID, Limit: tokenEvents}); err != nil {
		return err
	}
	for i, g := range d.View.Grants {
		d.Grants = append(d.Grants, grantRow{g, i + 1})
	}
	if d.Edit == nil {
		d.Edit = &form{values: settings(t)}
	}
	if granted == nil {
		granted = &form{values: url.Values{}}
	}
	d.Grant = c.grantForm(granted)
	here := "list"
	if !d.Mine {
		here = "everyone"
	}
	return c.page(status, "show", page{Title: t.Name, Here: here, Body: d})
}

// changeForm reads a form about the visitor's token in the path.
func (c *call) changeForm() (*token.Token, *form, error) {
	t, err := c.mine()
	if err != nil {
		return nil, nil, err
	}
	f, err := c.readForm()
	return t, f, err
}

// done shows a token's page after a change.
func (c *call) done(id, what string) error { return c.seeOther("tokens/" + id + "?done=" + what) }
