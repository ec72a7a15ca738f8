package console

import (
	"crypto/rand"
	"net/http"
	"sync"

	"github.com/patgate/patgate/token"
)

// Once identifies a form, so that it makes one secret however often a browser sends it.
func (*form) Once() string { return rand.Text() }

// maxOnce is more than form.Once is long.
const maxOnce = 64

// sending is a form that makes a secret, and makes it once.
type sending struct {
	sync.Mutex        // held while it is dealt with
	tokenID    string // of the token that has got the secret; "": none yet
}

// makeSecret has create make a secret, once for each form, and shows it: on the only page
// that has one. A form with mistakes is shown again.
func (c *call) makeSecret(f *form, again func(*form) error, title string, create func() (*token.Token, string, error)) error {
	if len(f.Mistakes) > 0 {
		return again(f)
	}
	sent := &sending{}
	if once := f.Value("once"); once != "" && len(once) <= maxOnce { // otherwise a program has sent it
		if before, known, _ := c.sent.PeekOrAdd(c.visitor.Owner+"\n"+once, sent); known {
			sent = before
		}
	}
	sent.Lock()
	defer sent.Unlock()
	if sent.tokenID != "" {
		return c.sentAlready(sent.tokenID)
	}
	t, secret, err := create()
	if err != nil {
		if err := f.refused(err); err != nil {
			return err
		}
		return again(f)
	}
	sent.tokenID = t.ID
	return c.page(http.StatusOK, "secret", page{Title: title, Here: "list", Body: struct {
		row
		Secret string
	}{c.row(t), secret}})
}

// sentAlready answers a form that has made a secret before: a browser sends it again for
// a second click, and where the page with the secret is loaded again.
func (c *call) sentAlready(tokenID string) error {
	return c.page(http.StatusConflict, "error", page{Title: "Sent already", Here: "list", Body: errorBody{
		Words:   "This form has been sent already, and its secret was the answer to that. If you did not see it, open the token and make a new one.",
		TokenID: tokenID,
	}})
}
