package rest

import (
	"time"

	"github.com/patgate/patgate/registry"
)

// EventPage is the answer to a list of events.
type EventPage struct {
	Events []registry.Event `json:"events"`
	// Next is the cursor of the next page, empty after the last; for a list with after,
	// the value of after for the next one.
	Next string `json:"next"`
}

// Events lists the audit trail, newest first; with after, what came after an event,
// oldest first.
func (c *Call) Events() (page EventPage, err error) {
	limit, cursor, err := Page(c.Params)
	if err != nil {
		return page, err
	}
	owner, err := listedOwner(c.Params)
	if err != nil {
		return page, err
	}
	var since time.Time
	if s := c.Params.Get("since"); s != "" {
		if since, err = registry.ParseSince(s, time.Now()); err != nil {
			return page, err
		}
	}
	events, next, err := c.Account.Events(c.R.Context(), registry.EventQuery{
		TokenID: c.Params.Get("token"), Owner: owner, Before: cursor, After: c.Params.Get("after"), Since: since, Limit: limit,
	})
	return EventPage{append([]registry.Event{}, events...), next}, err
}
