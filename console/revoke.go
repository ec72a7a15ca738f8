package console

import (
	"cmp"
	"net/http"
	"net/url"
)

// question asks whether something is really to be done.
type question struct {
	Title  string
	Words  []string // what it will do
	Button string
	Action string            // where the answer goes, from the page
	Back   string            // where no answer goes, from the root
	Here   string            // the entry of the navigation; "": that of the visitor's own tokens
	Fields map[string]string // sent with the answer
}

func (c *call) ask(q question) error {
	return c.page(http.StatusOK, "confirm", page{Title: q.Title, Here: cmp.Or(q.Here, "list"), Body: q})
}

// askRevoke asks whether a token is to be revoked.
func (c *call) askRevoke() error {
	t, err := c.visible()
	if err != nil {
		return err
	}
	here := ""
	words := []string{"Whatever uses it is turned away from that moment on."}
	if t.Owner == c.visitor.Owner {
		words = append(words, "Its name, permissions and history stay. You can bring it back later with a new secret, but never with this one.")
	} else {
		here = "everyone"
		words = append(words, "It belongs to "+t.Owner+", who can see that you revoked it.")
	}
	return c.ask(question{
		Title: "Revoke “" + t.Name + "”?", Words: words, Button: "Revoke token", Action: "revoke", Back: "tokens/" + t.ID, Here: here,
	})
}

// revoke ends a token.
func (c *call) revoke() error {
	id := c.R.PathValue("id")
	if _, err := c.Account.Revoke(c.R.Context(), id); err != nil {
		return err
	}
	return c.done(id, "revoked")
}

// askDelete asks whether a token is to be deleted.
func (c *call) askDelete() error {
	t, err := c.mine()
	if err != nil {
		return err
	}
	return c.ask(question{
		Title: "Delete “" + t.Name + "”?", Button: "Delete token", Action: "delete", Back: "tokens/" + t.ID,
		Words: []string{
			"Whatever uses it is turned away from that moment on.",
			"The token is gone for good. To stop it and keep what is known about it, revoke it instead.",
		},
	})
}

// delete removes a token.
func (c *call) delete() error {
	if _, err := c.Account.Delete(c.R.Context(), c.R.PathValue("id")); err != nil {
		return err
	}
	return c.seeOther("?done=deleted")
}

// askRevokeOwner asks whether all tokens of an owner are to be revoked.
func (c *call) askRevokeOwner() error {
	if err := c.adminsOnly(); err != nil {
		return err
	}
	owner := c.param("owner")
	return c.ask(question{
		Title: "Revoke all tokens of “" + owner + "”?", Button: "Revoke all tokens", Action: "revoke", Fields: map[string]string{"owner": owner},
		Here: "everyone", Back: "everyone?" + url.Values{"owner": {owner}}.Encode(),
		Words: []string{
			"Whatever uses one of them is turned away from that moment on.",
			"The tokens stay listed. " + owner + " can make new ones; to stop that, disable the owner on the command line.",
		},
	})
}

// revokeOwner ends all tokens of an owner.
func (c *call) revokeOwner() error {
	if err := c.adminsOnly(); err != nil {
		return err
	}
	f, err := c.readForm()
	if err != nil {
		return err
	}
	owner := f.Value("owner")
	if _, err := c.Account.RevokeOwner(c.R.Context(), owner); err != nil {
		return err
	}
	return c.seeOther("everyone?" + url.Values{"owner": {owner}, "done": {"all-revoked"}}.Encode())
}
