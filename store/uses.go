package store

import (
	"context"
	"net/netip"
	"time"

	"github.com/patgate/patgate/token"
)

// Use is a token's use.
type Use struct {
	ID   string // of the token
	At   time.Time
	From netip.Addr // invalid: not known
}

// Uses is the part of a Store that keeps when tokens were used last.
type Uses interface {
	// NoteUses notes that tokens were used. Token, Tokens and Update return them
	// with the use noted; Find need not. Of two uses of a token the later one is
	// kept, in whatever order they are noted. A use in the future counts as of now.
	// Uses of a token that isn't there are dropped.
	//
	// A use doesn't count as a change: it takes no position, and watchers aren't told.
	NoteUses(ctx context.Context, uses ...Use) error
}

// Apply puts u into t, unless t was used later than that: an imported one, whose last use
// doesn't lie in the future either.
func (u *Use) Apply(t *token.Token) {
	if u.At.After(t.LastUsedAt) || !u.At.IsZero() && t.LastUsedAt.After(time.Now()) {
		t.LastUsedAt, t.LastUsedIP = u.At, u.From
	}
}

// UseTime returns the time of a use that is kept in milliseconds. ok is false for a year
// that JSON can't write: no clock has shown it, and a token used then could not be listed.
func UseTime(ms int64) (at time.Time, ok bool) {
	at = time.UnixMilli(ms).UTC()
	return at, at.Year() >= 0 && at.Year() <= 9999
}
