package console

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
