package console

import (
	"net/http"
	"path"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/patgate/patgate/internal/rest"
)

// How many changes an account may make: at once after a quiet while, and from then on one
// in each changeEvery: in the 90 days for which the audit trail is kept by default, fewer than
// the 200,000 events that it then has room for, so that nobody pushes out those of others.
const (
	changeBurst  = 10_000
	changeEvery  = time.Minute
	accountsKept = 10_000 // whose changes are counted; the least recent are forgotten
)

// pace counts the changes of each account. Safe for concurrent use.
type pace struct {
	accounts *lru.Cache[string, *rate.Limiter]
}

func newPace() pace {
	accounts, err := lru.New[string, *rate.Limiter](accountsKept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return pace{accounts}
}

// allow reports whether an account may make one more change, and counts it.
func (p pace) allow(account string, now time.Time) bool {
	l, known := p.accounts.Get(account)
	if !known {
		l = rate.NewLimiter(rate.Every(changeEvery), changeBurst)
		if other, known, _ := p.accounts.PeekOrAdd(account, l); known {
			l = other
		}
	}
	return l.AllowN(now, 1)
}

// paced reports whether a request counts as a change. What only takes away always may:
// tokens, and what they may do, have an end.
func paced(r *http.Request) bool {
	switch path.Base(r.URL.Path) {
	case "revoke", "delete", "remove", "clear":
		return false
	}
	return r.Method == http.MethodPost || r.Method == http.MethodPatch
}

// change counts a change of an account, and refuses it where there were too many.
func (c *call) change(account string) error {
	if c.pace.allow(account, c.now) {
		return nil
	}
	c.W.Header().Set("Retry-After", strconv.Itoa(int(changeEvery.Seconds())))
	return rest.Refuse(http.StatusTooManyRequests, "so many changes have been made here that there is one a minute for now; revoking always works")
}
