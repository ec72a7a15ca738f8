package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/token"
)

// row is a token as the page shows it.
type row struct {
	token.View
	now time.Time
}

func (c *call) row(t *token.Token) row { return row{t.View(c.now), c.now} }

// soon is how long before its end a token is said to expire soon.
const soon = 14 * day

// Soon reports whether the token works, but not for long.
func (r row) Soon() bool {
	return r.Status == token.Active && r.ExpiresAt != nil && r.ExpiresAt.Sub(r.now) < soon
}

// Label is the status in a word for people.
func (r row) Label() string {
	switch {
	case r.Status == token.Revoked:
		return "Revoked"
	case r.Status == token.Expired:
		return "Expired"
	case r.Soon():
		return "Expires soon"
	}
	return "Active"
}

// Class is the status as a class of the style sheet.
func (r row) Class() string {
	if r.Soon() {
		return "soon"
	}
	return string(r.Status)
}

// maxBrief is how much of a description a list shows, in characters.
const maxBrief = 160

// Brief is the beginning of the description.
func (r row) Brief() string {
	if runes := []rune(r.Description); len(runes) > maxBrief {
		return string(runes[:maxBrief]) + "…"
	}
	return r.Description
}

// Ends says when the token ends, or has ended.
func (r row) Ends() moment {
	switch {
	case r.RevokedAt != nil:
		return moment{"revoked " + fromNow(*r.RevokedAt, r.now), r.RevokedAt}
	case r.ExpiresAt == nil:
		return moment{"never", nil}
	case r.Status == token.Expired:
		return moment{"expired " + fromNow(*r.ExpiresAt, r.now), r.ExpiresAt}
	}
	return moment{fromNow(*r.ExpiresAt, r.now), r.ExpiresAt}
}

// Created says when the token was made.
func (r row) Created() moment { return moment{fromNow(r.CreatedAt, r.now), &r.CreatedAt} }

// LastUsed says when the token was used last.
func (r row) LastUsed() moment {
	if r.LastUsedAt == nil {
		return moment{"never", nil}
	}
	return moment{fromNow(*r.LastUsedAt, r.now), r.LastUsedAt}
}

// Can sums up what the token may do. It doesn't mix the grants: what one allows in
// its spaces, on its resources, it allows there only.
func (r row) Can() string {
	if len(r.Grants) == 0 {
		return "No permissions"
	}
	if slices.ContainsFunc(r.Grants, token.Grant.IsFull) {
		return "Everything"
	}
	grants := joined(r.Grants)
	var words []string
	for _, g := range grants[:min(len(grants), maxListed)] {
		words = append(words, grantWords(g))
	}
	if more := len(grants) - maxListed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}
