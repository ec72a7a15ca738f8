package console

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// grantRow is one of a token's grants.
type grantRow struct {
	token.Grant
	N int // its number, from 1
}

// Seal stands for the grant as it was shown. It keeps a click on an old page from
// removing another grant that has this one's number by now.
func (g grantRow) Seal() string { return seal(g.Grant) }

func seal(g token.Grant) string {
	b, _ := json.Marshal(token.ViewGrants([]token.Grant{g})) // strings only: never fails
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// addGrant gives a token one more grant.
func (c *call) addGrant() error {
	t, f, err := c.changeForm()
	if err != nil {
		return err
	}
	grants := c.grantForm(f)
	g, _ := grants.read()
	if len(f.Mistakes) == 0 {
		_, err := c.Account.AddGrant(c.R.Context(), t.ID, g)
		if err := f.refused(err); err != nil {
			return err
		}
	}
	if len(f.Mistakes) > 0 {
		return c.showPage(http.StatusUnprocessableEntity, t, nil, f)
	}
	return c.done(t.ID, "granted")
}

// meant returns the number of the grant that was clicked on, 0 if there is none in
// values, and a function that tells whether a grant is still that one.
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

// askClear asks whether all of a token's grants are to go.
func (c *call) askClear() error {
	t, err := c.mine()
	if err != nil {
		return err
	}
	return c.ask(question{
		Title: "Remove all permissions of “" + t.Name + "”?", Button: "Remove all permissions", Action: "clear", Back: "tokens/" + t.ID,
		Words: []string{"The token stays, and can then do nothing that needs a permission. You can add others afterwards."},
	})
}

// clear takes all of a token's grants.
func (c *call) clear() error {
	id := c.R.PathValue("id")
	if _, err := c.Account.RemoveAllGrants(c.R.Context(), id); err != nil {
		return err
	}
	return c.done(id, "cleared")
}
