package caddymodule

import (
	"net/http"
	"time"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
)

// eventPage is the answer to a list of events.
type eventPage struct {
	Events []registry.Event `json:"events"`
	// Next is the cursor of the next page, empty after the last; for a list behind
	// an event, what to give as after next time.
	Next string `json:"next"`
}

// listEvents lists the audit trail, newest first; with after, what came after an
// event, oldest first. With wait it then answers when there is something to
// list, or when the time is over.
func listEvents(c *adminCall) (any, error) {
	limit, cursor, err := rest.Page(c.params)
	if err != nil {
		return nil, err
	}
	if c.wait > 0 && c.param("after") == "" {
		return nil, problem(http.StatusBadRequest, "wait: goes with after, the event behind which to wait for others; 0 is before all")
	}
	q := registry.EventQuery{TokenID: c.param("token"), Owner: c.owner(), Before: cursor, After: c.param("after"), Limit: limit}
	for end := time.Now().Add(c.wait); ; {
		events, next, err := c.registry.Events(c.r.Context(), q)
		if err != nil {
			return nil, err
		}
		if len(events) > 0 || q.After == "" || !time.Now().Before(end) {
			return eventPage{append([]registry.Event{}, events...), next}, nil
		}
		select {
		case <-c.r.Context().Done():
			return nil, c.r.Context().Err()
		case <-time.After(eventsPoll):
		}
	}
}

// eventsPoll is how long after an event, at most, those who wait for it are told.
const eventsPoll = 250 * time.Millisecond
