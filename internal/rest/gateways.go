package rest

import (
	"context"
	"time"

	"github.com/patgate/patgate/store"
)

// Gateways says how many gateways have taken a change in.
type Gateways struct {
	Acknowledged int `json:"acknowledged"`
	Pending      int `json:"pending"`
	// Unknown says that nobody can tell how many others there are, and whether they
	// have: the store could not be asked.
	Unknown bool `json:"unknown,omitempty"`
}

// The pauses between two looks at who has taken a change in: the first and the longest.
const (
	ackPause      = 5 * time.Millisecond
	ackPauseLimit = 100 * time.Millisecond
)

// Acknowledged counts the gateways that have taken in what was done just now, and waits
// so long for the others. The process that did it always has: the store told it before it
// answered.
func Acknowledged(ctx context.Context, s store.Store, wait time.Duration) Gateways {
	alone := Gateways{Acknowledged: 1}
	shared, ok := s.(store.Shared)
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
		if counts.Acknowledged, counts.Pending, err = shared.Acknowledged(ctx, status.Position); err != nil {
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
