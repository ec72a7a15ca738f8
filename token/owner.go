package token

import "time"

// Owner is the record of an account that owns tokens. An owner without a record
// is enabled and sets no ceiling.
type Owner struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"` // false stops all the owner's tokens
	Admin   bool   `json:"admin"`
	// MayCreate is whether the owner may make tokens. Operators may make tokens for the
	// owner in any case. MaxTokens is how many the owner may have, revoked and expired
	// ones included; 0: any number.
	MayCreate bool `json:"may_create"`
	MaxTokens int  `json:"max_tokens"`
	// Grants are a ceiling: whatever the owner's tokens hold, they can do no
	// more than this. The full grant is no ceiling; no grants, nothing.
	Grants    []Grant   `json:"grants"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// NewOwner returns the record that changes nothing for the owner: as if there were
// none.
func NewOwner(id string) *Owner {
	return &Owner{ID: id, Enabled: true, MayCreate: true, Grants: []Grant{Full()}}
}

// Clone returns a copy that shares nothing with o.
func (o *Owner) Clone() *Owner {
	c := *o
	c.Grants = CloneGrants(o.Grants)
	return &c
}

// Validate returns why the record can't be kept or shown, or nil.
func (o *Owner) Validate() error {
	if o.ID == "" {
		return fieldError("owner", "an empty id")
	}
	if err := validOwnerID(o.ID); err != nil {
		return err
	}
	if o.MaxTokens < 0 {
		return fieldError("max_tokens", "%d; want a positive number, or 0 for any number", o.MaxTokens)
	}
	return validGrants(o.Grants)
}

// validOwnerID returns why id can't be the owner of a token, or nil. It may be empty.
func validOwnerID(id string) error {
	if err := ValidText("owner", id, MaxOwnerLength); err != nil {
		return err
	}
	if id != "" && !visible(id) {
		return fieldError("owner", "an id of which nothing can be seen")
	}
	if id == "/" {
		return fieldError("owner", "/ alone can't be in the path of the management API, not even encoded")
	}
	return nil
}
