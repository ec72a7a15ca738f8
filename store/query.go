package store

import (
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/token"
)

// Query selects tokens. The zero Query selects all.
type Query struct {
	Owner  *string      // of this owner; nil: of any
	Status token.Status // with this status at Now; "": any
	Space  string       // with a grant that covers this space; "": any
	Scopes []string     // with a grant that covers one of these scopes; none: any
	// Text is in the name, the description, the owner or the id, or is the hint, whatever
	// the case; "": any.
	Text string
	// ExpiresBy selects tokens that expire after Now, and at this time at the
	// latest; zero: any.
	ExpiresBy time.Time
	// UnusedSince selects tokens that were neither used nor made since then;
	// zero: any.
	UnusedSince time.Time

	// Lost, if not nil, is called with the id of each token that the store lists but whose
	// record it has lost. Such tokens are skipped, whatever else the Query asks for.
	Lost func(id string)

	Now    time.Time // the time at which Status and ExpiresBy are judged
	Cursor string    // what the page before returned; "": from the start
	Limit  int       // at most so many, fewer if they are long: see Full; 0: no limit
}

// MaxPage is how many bytes of records fill a page, however few they are, so that a list of
// long tokens doesn't take memory for a whole Limit of them.
const MaxPage = 8 << 20

// Full reports whether a page with so many tokens, of this size together, takes no more.
func (q *Query) Full(tokens, size int) bool {
	return q.Limit > 0 && (tokens >= q.Limit || size >= MaxPage)
}

// Selects reports whether q selects t.
func (q *Query) Selects(t *token.Token) bool {
	switch {
	case q.Owner != nil && t.Owner != *q.Owner,
		q.Status != "" && t.Status(q.Now) != q.Status,
		!q.ExpiresBy.IsZero() && (t.ExpiresAt.IsZero() || !t.ExpiresAt.After(q.Now) || t.ExpiresAt.After(q.ExpiresBy)),
		!q.UnusedSince.IsZero() && (!t.LastUsedAt.Before(q.UnusedSince) || !t.CreatedAt.Before(q.UnusedSince)),
		q.Text != "" && !says(t, strings.ToLower(q.Text)):
		return false
	case q.Space == "" && len(q.Scopes) == 0:
		return true
	}
	return slices.ContainsFunc(t.Grants, func(g token.Grant) bool {
		return (q.Space == "" || token.Covers(g.Spaces, q.Space)) &&
			(len(q.Scopes) == 0 || slices.ContainsFunc(g.Scopes, func(held string) bool {
				return slices.ContainsFunc(q.Scopes, func(scope string) bool { return token.MatchScope(held, scope) })
			}))
	})
}

// says reports whether one of the texts people know t by contains text, which is
// in lower case, or its hint is it: all hints begin alike.
func says(t *token.Token, text string) bool {
	const cut = "…"
	if t.Hint != "" && strings.TrimSuffix(text, cut) == strings.ToLower(strings.TrimSuffix(t.Hint, cut)) {
		return true
	}
	return slices.ContainsFunc([]string{t.Name, t.Description, t.Owner, t.ID}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), text)
	})
}
