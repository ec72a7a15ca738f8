package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// copyEvents adds the events of one store to another, oldest first, starting after the
// event with the id after. done is called with the length of each page.
func copyEvents(ctx context.Context, from, to Store, after string, done func(n int)) error {
	for {
		events, next, err := from.Events(ctx, EventQuery{After: after, Limit: copyStep})
		if err != nil {
			return fmt.Errorf("reading events: %w", err)
		}
		if len(events) == 0 {
			return nil
		}
		if err := to.Record(ctx, events...); err != nil {
			return fmt.Errorf("writing events: %w", err)
		}
		done(len(events))
		after = next
	}
}

// copiedUpTo returns the id that the newest event of the target has in the source;
// "0" where the target has none.
func copiedUpTo(ctx context.Context, from, to Store) (string, error) {
	newest, _, err := to.Events(ctx, EventQuery{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("reading events of the target: %w", err)
	}
	if len(newest) == 0 {
		return "0", nil
	}
	for cursor := ""; ; {
		events, next, err := from.Events(ctx, EventQuery{Before: cursor, Limit: copyStep})
		if err != nil {
			return "", fmt.Errorf("reading events: %w", err)
		}
		for _, e := range events {
			if sameEvent(e, newest[0]) {
				return e.ID, nil
			}
		}
		if cursor = next; cursor == "" {
			return "", errors.New("the target has an audit trail of its own: copy to an empty store")
		}
	}
}

// sameEvent reports whether two stores' events tell of the same.
func sameEvent(a, b Event) bool {
	a.ID, b.ID = "", ""
	rawA, errA := json.Marshal(a)
	rawB, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(rawA, rawB)
}
