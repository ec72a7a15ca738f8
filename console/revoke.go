package console

import (
	"net/url"
)

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
