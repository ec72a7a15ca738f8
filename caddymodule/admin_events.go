package caddymodule

import (
	"net/http"
	"time"

	"github.com/patgate/patgate/internal/rest"
)

// listEvents lists the audit trail. With after and wait it answers when there is
// something to list, or when the time is over.
func listEvents(c *adminCall) (any, error) {
	if c.wait > 0 && c.Params.Get("after") == "" {
		return nil, rest.Refuse(http.StatusBadRequest, "wait: needs after, the id of the event after which others are waited for; 0 is before all")
	}
	for end := time.Now().Add(c.wait); ; {
		page, err := c.Events()
		if err != nil || len(page.Events) > 0 || !time.Now().Before(end) {
			return page, err
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
