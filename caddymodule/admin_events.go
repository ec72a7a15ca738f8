package caddymodule

import (
	"net/http"
	"time"

	"github.com/patgate/patgate/internal/rest"
)

// listEvents lists the audit trail, newest first; with after, what came after an
// event, oldest first. With wait it then answers when there is something to
// list, or when the time is over.
func listEvents(c *adminCall) (any, error) {
	q, err := rest.EventQuery(c.Params)
	if err != nil {
		return nil, err
	}
	if c.wait > 0 && c.Params.Get("after") == "" {
		return nil, rest.Refuse(http.StatusBadRequest, "wait: goes with after, the event behind which to wait for others; 0 is before all")
	}
	for end := time.Now().Add(c.wait); ; {
		events, next, err := c.Account.Events(c.R.Context(), q)
		if err != nil {
			return nil, err
		}
		if len(events) > 0 || q.After == "" || !time.Now().Before(end) {
			return rest.NewEventPage(events, next), nil
		}
		select {
		case <-c.R.Context().Done():
			return nil, c.R.Context().Err()
		case <-time.After(eventsPoll):
		}
	}
}

// eventsPoll is how long after an event, at most, those who wait for it are told.
const eventsPoll = 250 * time.Millisecond
