package console

import (
	"crypto/rand"
	"net/http"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// Once is what a form is known by, so that it makes one secret, however often a browser
// sends it.
func (*form) Once() string { return rand.Text() }

// maxOnce is more than form.Once is long.
const maxOnce = 64

// makeSecret shows the secret that a form has made: on the only page that has one, and
// only as the answer to what has made it. A form with mistakes is shown again.
func (c *call) makeSecret(f *form, again func(*form) error, title string, create func() (*token.Token, string, error)) error {
	if len(f.Mistakes) > 0 {
		return again(f)
	}
	once := f.Value("once")
	known := once != "" && len(once) <= maxOnce // otherwise it is a program's
	if known {
		if sent, _ := c.sent.ContainsOrAdd(once, struct{}{}); sent {
			return rest.Refuse(http.StatusConflict, "this form has been sent already, and the secret it made was shown then: look at your tokens, and fill in a new one to make another")
		}
	}
	t, secret, err := create()
	if err != nil {
		if known {
			c.sent.Remove(once)
		}
		if err := f.refused(err); err != nil {
			return err
		}
		return again(f)
	}
	return c.page(http.StatusOK, "secret", page{Title: title, Body: struct {
		row
		Secret string
	}{c.row(t), secret}})
}
