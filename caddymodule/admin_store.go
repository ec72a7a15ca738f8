package caddymodule

import (
	"net/http"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/store"
)

// storeCheck is the body of POST /patgate/store/check.
type storeCheck struct {
	Repair bool `json:"repair"`
}

// checkResult is the answer to a check.
type checkResult struct {
	Problems []store.Problem `json:"problems"`
}

// checkStore makes the store look for contradictions in what it keeps.
func checkStore(c *adminCall) (any, error) {
	var in storeCheck
	if err := c.DecodeOptional(&in); err != nil {
		return nil, err
	}
	problems, err := c.opened.store.Check(c.R.Context(), in.Repair)
	if err != nil {
		return nil, err
	}
	return checkResult{Problems: append([]store.Problem{}, problems...)}, nil
}

// backUpStore answers with the file of an embedded store, as it is at this moment.
func backUpStore(c *adminCall) (any, error) {
	s, ok := c.opened.store.(store.Snapshotter)
	if !ok {
		return nil, rest.Refuse(http.StatusConflict, "the tokens are in Redis, which is backed up by its own means: save its append-only file or a snapshot")
	}
	return nil, c.stream("application/octet-stream", "a backup", s.Snapshot)
}
