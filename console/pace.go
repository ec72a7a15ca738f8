package console

import (
	"net/http"
	"path"
	"time"

	"github.com/patgate/patgate/internal/rest"
)

// How many changes an account may make: at once after a quiet while, and from then on one
// in each changeEvery. A change brings up to four events, for a token that was made can lose
// its grants, be revoked and be deleted without being counted again: at once, a fifth of the
// 200,000 that the audit trail has room for by default, so that nobody pushes out those of
// others.
const (
	changeBurst = 10_000
	changeEvery = time.Minute
)

// paced reports whether a request counts as a change. Ending tokens, or all grants of
// one, is never limited. Removing a single grant counts: otherwise a token that is made
// with many would bring as many events.
func paced(r *http.Request) bool {
	dir, last := path.Split(r.URL.Path)
	switch r.Method {
	case http.MethodPost:
		return last != "revoke" && last != "delete" && last != "clear"
	case http.MethodDelete:
		return path.Base(dir) == "grants"
	}
	return r.Method == http.MethodPatch
}

// countChange counts a change of an account, and refuses it where there were too many.
func (c *call) countChange(account string) error {
	if c.pace.Allow(account, c.now) {
		return nil
	}
	rest.RetryAfter(c.W, changeEvery)
	return rest.Refuse(http.StatusTooManyRequests, "too many changes were made here: one a minute is taken for now; revoking always works")
}
