package registry

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/patgate/patgate/token"
)

// Actor is who asks for a change.
type Actor struct {
	Name    string // "cli", "admin", or the owner who is signed in
	Address string // where the request came from; may be empty
}

// Event is one change made to a token or an owner. It never carries a secret, a
// digest or a hint.
type Event struct {
	Time      time.Time `json:"time"`
	Actor     string    `json:"actor"`
	Address   string    `json:"address,omitempty"`
	Action    Action    `json:"action"`
	TokenID   string    `json:"token_id,omitempty"`
	TokenName string    `json:"token_name,omitempty"`
	Owner     string    `json:"owner,omitempty"`
	Detail    string    `json:"detail,omitempty"` // what changed, for people
}

// Action is what was done.
type Action string

// The actions of events.
const (
	Created      Action = "created"
	Imported     Action = "imported"
	Updated      Action = "updated"
	Granted      Action = "granted"
	Ungranted    Action = "ungranted"
	Revoked      Action = "revoked"
	Regenerated  Action = "regenerated"
	Deleted      Action = "deleted"
	OwnerSet     Action = "owner_set"
	OwnerDeleted Action = "owner_deleted"
)

func (r *Registry) report(by Actor, a Action, t *token.Token, detail string) {
	r.audit(Event{
		Time: r.clock(), Actor: by.Name, Address: by.Address, Action: a,
		TokenID: t.ID, TokenName: t.Name, Owner: t.Owner, Detail: detail,
	})
}

func (r *Registry) reportOwner(by Actor, a Action, id, detail string) {
	r.audit(Event{Time: r.clock(), Actor: by.Name, Address: by.Address, Action: a, Owner: id, Detail: detail})
}

// maxDetail bounds what an event says of grants, in bytes.
const maxDetail = 1000

// describe writes grants for an event.
func describe(grants []token.Grant) string {
	if len(grants) == 0 {
		return "none"
	}
	b, _ := json.Marshal(grants) // strings only: never fails
	if len(b) > maxDetail {
		return strings.ToValidUTF8(string(b[:maxDetail]), "") + "…"
	}
	return string(b)
}

func expiry(t *token.Token) string {
	if t.ExpiresAt.IsZero() {
		return "never expires"
	}
	return "expires " + t.ExpiresAt.Format(time.RFC3339)
}
