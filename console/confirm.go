package console

import (
	"cmp"
	"net/http"
)

// question asks whether something is really to be done.
type question struct {
	Title  string
	Words  []string // what it will do
	Button string
	Action string            // where the answer goes, from the page
	Back   string            // where no answer goes, from the root
	Here   string            // the entry of the navigation; "": that of the visitor's own tokens
	Fields map[string]string // sent with the answer
}

func (c *call) ask(q question) error {
	return c.page(http.StatusOK, "confirm", page{Title: q.Title, Here: cmp.Or(q.Here, "list"), Body: q})
}
