package rest

import (
	"context"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// TokenPage is the answer to a list.
type TokenPage struct {
	Tokens []token.View `json:"tokens"`
	Next   string       `json:"next"` // the cursor of the next page; empty after the last
}

// TokenSecret is the answer to what makes a secret: the only one that has one.
type TokenSecret struct {
	Token  token.View `json:"token"`
	Secret string     `json:"secret"`
}

// Complete reports whether the answer is one at all.
func (t *TokenSecret) Complete() bool { return t.Secret != "" }

// Revocation is the answer to what revokes tokens.
type Revocation struct {
	Revoked  []string `json:"revoked"`
	Gateways Gateways `json:"gateways"`
}

// Complete reports whether the answer is one at all.
func (r *Revocation) Complete() bool { return r.Revoked != nil }

// Deletion is the answer to what deletes tokens.
type Deletion struct {
	Deleted  []string `json:"deleted"`
	Gateways Gateways `json:"gateways"`
}

// Complete reports whether the answer is one at all.
func (d *Deletion) Complete() bool { return d.Deleted != nil }

// Gateways says how many gateways have taken a change in.
type Gateways struct {
	Acknowledged int `json:"acknowledged"`
	Pending      int `json:"pending"`
	// Unknown says that nobody can tell how many others there are, and whether they
	// have: the store could not be asked.
	Unknown bool `json:"unknown,omitempty"`
}

// Between two looks at who has taken a change in, at first and after a while.
const (
	ackPause      = 5 * time.Millisecond
	ackPauseLimit = 100 * time.Millisecond
)

// Acknowledged counts the gateways that have taken in what was done just now,
// and waits that long for those that have not. The process that did it always
// has: the store told it before it answered.
func Acknowledged(ctx context.Context, s store.Store, wait time.Duration) Gateways {
	alone := Gateways{Acknowledged: 1}
	gateways, ok := s.(store.Acknowledger)
	if !ok {
		return alone
	}
	// Whatever can be said of the others: the change is made.
	unknown := Gateways{Acknowledged: 1, Unknown: true}
	status, err := s.Status(ctx)
	if err != nil {
		return unknown
	}
	deadline := time.Now().Add(wait)
	for pause := ackPause; ; pause = min(2*pause, ackPauseLimit) {
		var counts Gateways
		if counts.Acknowledged, counts.Pending, err = gateways.Acknowledged(ctx, status.Position); err != nil {
			return unknown
		}
		if counts.Pending == 0 || !time.Now().Before(deadline) {
			return counts
		}
		select {
		case <-ctx.Done():
			return counts
		case <-time.After(pause):
		}
	}
}
