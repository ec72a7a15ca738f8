package checker

import "time"

// Change is a change that somebody asked for.
type Change struct {
	Call, Ack Time
	Gateway   int
	Kind      Kind
	Secret    int           // imported, or made by regenerating; 0: nobody has seen it
	Grants    Grants        // imported, or added
	Overlap   time.Duration // of regenerating
	Outcome   Outcome
	// Everywhere says that by the answer all gateways have taken it in.
	Everywhere bool
	// Shown is what the answer says of the token or the owner.
	Shown Shown
	Note  string // of the answer, for people
}

// Shown is what an answer says of a token. What isn't given is not said.
type Shown struct {
	Given   bool
	Revoked bool
	Grants  Grants
}

// Kind is a kind of change.
type Kind uint8

// The changes there are.
const (
	Import     Kind = iota // makes the token
	ImportSame             // finds it there with the same secret
	Revoke
	Regenerate
	AddGrant
	RemoveGrants
	Delete

	EnableOwner
	DisableOwner
	DeleteOwner
)

func (k Kind) String() string {
	return [...]string{
		"import", "import, skipped", "revoke", "regenerate", "add grant", "remove all grants", "delete", "enable", "disable", "delete record",
	}[k]
}

// Outcome is what is known of a change.
type Outcome uint8

// The outcomes.
const (
	Done Outcome = iota
	Refused
	Lost
)

func (o Outcome) String() string { return [...]string{"done", "REFUSED", "LOST"}[o] }
