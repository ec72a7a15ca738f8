package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// activityPage is the page of what was done.
type activityPage struct {
	Events   []eventRow
	Everyone bool
	Next     string // the query of the next page; "" after the last
	Paged    bool   // this isn't the first page
}

// eventRow is an event as the page shows it.
type eventRow struct {
	registry.Event
	Link         string // to the token; "" for none
	onTokensPage bool   // the page is about the token
	me           string
	now          time.Time
}

// activity shows what was done to the visitor's tokens.
func (c *call) activity() error {
	return c.activityOf(page{Title: "Activity", Here: "activity"}, &c.visitor.Owner)
}

// everyoneActivity shows what was done to anybody's.
func (c *call) everyoneActivity() error {
	if err := c.adminsOnly(); err != nil {
		return err
	}
	return c.activityOf(page{Title: "All activity", Here: "everyone/activity"}, nil)
}

func (c *call) activityOf(p page, owner *string) error {
	cursor := c.param("cursor")
	a := activityPage{Everyone: owner == nil, Paged: cursor != ""}
	var err error
	var next string
	if a.Events, next, err = c.events(registry.EventQuery{Owner: owner, Before: cursor, Limit: pageSize}); err != nil {
		return err
	}
	if next != "" {
		a.Next = "?" + url.Values{"cursor": {next}}.Encode()
	}
	p.Body = a
	return c.page(http.StatusOK, "activity", p)
}

// events returns what was done, for people, and the cursor of the next page.
func (c *call) events(q registry.EventQuery) (rows []eventRow, next string, err error) {
	events, next, err := c.Account.Events(c.R.Context(), q)
	for _, e := range events {
		r := eventRow{Event: e, onTokensPage: q.TokenID != "", me: c.visitor.Owner, now: c.now}
		if e.TokenID != "" && !r.onTokensPage && e.Action != registry.Deleted {
			r.Link = root(c.R.URL.Path) + "tokens/" + e.TokenID
		}
		rows = append(rows, r)
	}
	return rows, next, err
}

// Subject is what it was done to, where the page doesn't say that anyway.
func (e eventRow) Subject() string {
	if e.onTokensPage {
		return ""
	}
	return cmp.Or(e.TokenName, e.Owner)
}

// When says when it was done.
func (e eventRow) When() moment { return moment{fromNow(e.Time, e.now), &e.Time} }

// What says what was done.
func (e eventRow) What() string {
	return cmp.Or(actionWords[e.Action], string(e.Action))
}

var actionWords = map[registry.Action]string{
	registry.Created:      "made",
	registry.Imported:     "imported",
	registry.Updated:      "changed",
	registry.Granted:      "permission added",
	registry.Ungranted:    "permission removed",
	registry.Revoked:      "revoked",
	registry.Regenerated:  "new secret",
	registry.OverlapEnded: "old secret stopped",
	registry.RetiredUsed:  "a secret that was replaced was used",
	registry.Deleted:      "deleted",
	registry.OwnerSet:     "account changed",
	registry.OwnerDeleted: "limits of the account removed",
}

// By says who did it.
func (e eventRow) By() string {
	switch {
	case e.ActorKind == registry.TokenActor:
		return "by the token itself"
	case e.ActorKind == registry.OwnerActor && e.Actor == e.me:
		return "by you"
	case e.ActorKind == registry.OwnerActor:
		return "by " + e.Actor
	}
	return "by an operator"
}

// Notes says what became of each field, and the event's detail.
func (e eventRow) Notes() string {
	var notes []string
	for _, c := range e.Changes {
		if note := noteOf(c); note != "" {
			notes = append(notes, note)
		}
	}
	if e.Detail != "" {
		notes = append(notes, e.Detail)
	}
	return strings.Join(notes, " · ")
}

// noteOf says what became of a field.
func noteOf(c registry.FieldChange) string {
	switch c.Field {
	case "revoked_at":
		return "" // the action says it
	case "grants":
		return "may do: " + grantsNote(c.After)
	case "expires_at":
		if at, err := time.Parse(time.RFC3339, c.After); err == nil {
			return "expires " + at.UTC().Format("2 January 2006")
		}
		return "never expires"
	}
	name := strings.ReplaceAll(c.Field, "_", " ")
	if c.Field == "allowed_ips" {
		name = "allowed addresses"
	}
	if c.Before == "" {
		return name + ": " + c.After
	}
	if c.After == "" {
		return name + " removed"
	}
	return name + ": " + c.Before + "\u200e → " + c.After // a mark of direction: between two Hebrew names the arrow would point back
}

// grantsNote sums up the grants in an event. A long list is cut off there, and then can't
// be read.
func grantsNote(text string) string {
	var grants []token.Grant
	if text != "none" && json.Unmarshal([]byte(text), &grants) != nil {
		return text
	}
	return row{View: token.View{Grants: grants}}.Can()
}
