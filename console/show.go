package console

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// details are a token's page.
type details struct {
	row
	Old    *moment // how long a secret that was replaced works on; nil: none does
	Mine   bool    // it can be changed, not only revoked
	Fixed  bool    // but for its grants
	Widens bool    // who looks at it may make tokens, and so give one more
	Events []eventRow
	Grants []grantRow
	Edit   *form // what it is called and where it may be used from
	Grant  grantForm
	Notice string
}

// grantRow is one of a token's grants.
type grantRow struct {
	token.Grant
	N    int // its number, from 1
	Full bool
}

// Seal stands for the grant as it was shown. It keeps a click on an old page from
// removing another grant that has this one's number by now.
func (g grantRow) Seal() string { return seal(g.Grant) }

func seal(g token.Grant) string {
	b, _ := json.Marshal(token.ViewGrants([]token.Grant{g})) // strings only: never fails
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// AllSpaces, AllScopes and AllResources report whether the grant is for all.
func (g grantRow) AllSpaces() bool    { return token.Covers(g.Spaces, token.All) }
func (g grantRow) AllScopes() bool    { return token.Covers(g.Scopes, token.All) }
func (g grantRow) AllResources() bool { return token.Covers(g.Resources, token.All) }

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

// showPage shows a token with the form for its name or for a new grant as it was
// filled in; nil: as it is to be filled in.
func (c *call) showPage(status int, t *token.Token, edited, granted *form) error {
	d := details{
		row: c.row(t), Mine: t.Owner == c.visitor.Owner, Fixed: c.Rules().GrantsImmutable, Widens: c.Account.Owner().MayCreate, Edit: edited, Notice: c.notice(),
	}
	if until := d.ReplacedUntil; until != nil {
		d.Old = &moment{"works for another " + distance(*until, c.now), until}
	}
	var err error
	if d.Events, _, err = c.events(registry.EventQuery{TokenID: t.ID, Limit: tokenEvents}); err != nil {
		return err
	}
	for i, g := range d.View.Grants {
		d.Grants = append(d.Grants, grantRow{g, i + 1, g.IsFull()})
	}
	if d.Edit == nil {
		var ranges []string
		for _, p := range t.AllowedIPs {
			ranges = append(ranges, p.String())
		}
		d.Edit = &form{values: url.Values{"name": {t.Name}, "description": {t.Description}, "addresses": {strings.Join(ranges, "\n")}}}
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

// edit changes what a token is called and where it may be used from.
func (c *call) edit() error {
	t, f, err := c.changeForm()
	if err != nil {
		return err
	}
	name, description, ranges := f.Value("name"), f.Value("description"), f.addresses()
	if name == "" {
		f.fail("name", "Give the token a name, so that you can tell it from others.")
	} else if _, err = c.Account.Update(c.R.Context(), t.ID, registry.Changes{Name: &name, Description: &description, AllowedIPs: &ranges}); err != nil {
		if err := f.refused(err); err != nil {
			return err
		}
	}
	if len(f.Mistakes) > 0 {
		return c.showPage(http.StatusUnprocessableEntity, t, f, nil)
	}
	return c.done(t.ID, "saved")
}

// done shows a token's page after a change.
func (c *call) done(id, what string) error { return c.seeOther("tokens/" + id + "?done=" + what) }

// addGrant gives a token one more grant.
func (c *call) addGrant() error {
	t, f, err := c.changeForm()
	if err != nil {
		return err
	}
	grants := c.grantForm(f)
	g, _ := grants.read()
	if len(f.Mistakes) == 0 {
		if _, err := c.Account.AddGrant(c.R.Context(), t.ID, g); err != nil {
			if err := f.refused(err); err != nil {
				return err
			}
		}
	}
	if len(f.Mistakes) > 0 {
		return c.showPage(http.StatusUnprocessableEntity, t, nil, f)
	}
	return c.done(t.ID, "granted")
}

// meant returns the number of a grant that was clicked on, 0 if it is none, and
// whether a grant is still that one.
func meant(values url.Values) (n int, same func(token.Grant) bool) {
	n, _ = strconv.Atoi(values.Get("n"))
	return n, func(g token.Grant) bool { return seal(g) == values.Get("seal") }
}

// grantsChanged shows a token's page in answer to a click on an old one.
func (c *call) grantsChanged() error {
	t, err := c.mine() // as it is now
	if err != nil {
		return err
	}
	f := &form{values: url.Values{}}
	f.fail("", "The permissions have changed since this page was shown. Look at them again; nothing was removed.")
	return c.showPage(http.StatusConflict, t, nil, f)
}

// askRemoveGrant asks whether one of a token's grants is to go.
func (c *call) askRemoveGrant() error {
	t, err := c.mine()
	if err != nil {
		return err
	}
	n, same := meant(c.Params)
	if n < 1 || n > len(t.Grants) || !same(t.Grants[n-1]) {
		return c.grantsChanged()
	}
	return c.ask(question{
		Title: "Remove a permission of “" + t.Name + "”?", Button: "Remove permission", Action: "remove", Back: "tokens/" + t.ID,
		Fields: map[string]string{"n": c.param("n"), "seal": c.param("seal")},
		Words:  []string{grantWords(t.Grants[n-1]) + ".", "The token can no longer do this, unless another of its permissions allows it. You can add it again afterwards."},
	})
}

// removeGrant takes one of a token's grants.
func (c *call) removeGrant() error {
	t, f, err := c.changeForm()
	if err != nil {
		return err
	}
	n, same := meant(f.values)
	_, err = c.Account.RemoveGrant(c.R.Context(), t.ID, n, same)
	if errors.Is(err, registry.ErrConflict) {
		return c.grantsChanged()
	}
	if err != nil {
		return err
	}
	return c.done(t.ID, "removed")
}
