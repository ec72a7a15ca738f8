// Package store defines where tokens are kept: the [Store] interface and its contract.
// [github.com/patgate/patgate/store/embedded] keeps them in one file,
// [github.com/patgate/patgate/store/redis] in Redis or Valkey, for many gateways;
// [github.com/patgate/patgate/store/storetest] is the suite every store passes.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/patgate/patgate/token"
)

// Errors a Store answers with. Every other error means that the store could not
// be asked, and says nothing about the token.
var (
	// ErrNotFound means that the store was asked and has no such record.
	ErrNotFound = errors.New("not found")
	// ErrExists means that a token with this id or one of its digests is there
	// already. Errors that wrap it say which token (see ExistsError).
	ErrExists = errors.New("exists already")
	// ErrUnchanged is what the function given to Update or UpdateOwner returns if the
	// record is already as it should be.
	ErrUnchanged = errors.New("unchanged")
	// ErrUnreadable means that a store can't be asked for anything: see Reach.
	ErrUnreadable = errors.New("can't be read")
)

// ExistsError says which of the tokens given to Create is there already.
type ExistsError struct {
	ID string // of the token given
	By string // what is taken: "id" or "secret"
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("token %s: its %s exists already", e.ID, e.By)
}

// Unwrap makes errors.Is(err, ErrExists) true.
func (e *ExistsError) Unwrap() error { return ErrExists }

// Store keeps tokens and owners. All methods are safe for concurrent use. Records
// given and returned are the caller's: a store keeps no reference to them.
//
// A change is durable before the method that makes it returns, and every watcher
// in this process has been told of it by then.
//
// A change that returns an error may nevertheless have been made (the answer was
// lost, say); a change that returns nil has been.
type Store interface {
	// Find looks a token up by the digest of a presented secret: the current one
	// or one that was retired. ErrNotFound means that no token has it.
	Find(ctx context.Context, d token.Digest) (Found, error)

	// Token returns the token with this id, or ErrNotFound.
	Token(ctx context.Context, id string) (*token.Token, error)
	// Tokens returns the tokens that q selects, newest id first, and the cursor
	// of the next page ("" after the last).
	Tokens(ctx context.Context, q Query) (tokens []*token.Token, next string, err error)
	// Create adds tokens: all of them or, with an error, none. The error wraps
	// ErrExists where an id or a digest is taken, by a stored token or by
	// another of those given.
	Create(ctx context.Context, tokens ...*token.Token) error
	// Update changes the token with this id: change is called with a copy of what
	// is stored, and what it leaves there is stored. If change returns an error,
	// nothing is stored and Update returns that error. change may be called again if
	// another change comes between, must not keep the token, and must leave its ID
	// alone. A digest it sets must be new (ErrExists otherwise). Digests the token no
	// longer has are no longer found.
	//
	// ErrUnchanged means more for a record that the store doesn't serve because it has
	// lost a later version: a revoked token (or a disabled owner) is stored again, as the
	// newest version; for any other, Update returns an error of its own.
	Update(ctx context.Context, id string, change func(*token.Token) error) (*token.Token, error)
	// Delete removes tokens with these ids: all of them or, with an error, none.
	// ErrNotFound if one isn't there.
	Delete(ctx context.Context, ids ...string) error

	// Owner returns the owner's record, or ErrNotFound.
	Owner(ctx context.Context, id string) (*token.Owner, error)
	// Owners returns the owners with a record, sorted by id, at most limit of
	// them (0: no limit), starting after the id after, and the after of the next
	// page ("" after the last).
	Owners(ctx context.Context, after string, limit int) (owners []*token.Owner, next string, err error)
	// UpdateOwner changes or makes an owner's record. change is called with a
	// copy of what is stored, or with nil where there is none, and returns what
	// is to be stored; the rules are those of Update.
	UpdateOwner(ctx context.Context, id string, change func(*token.Owner) (*token.Owner, error)) (*token.Owner, error)
	// DeleteOwner removes an owner's record, or answers ErrNotFound. The owner's
	// tokens stay, without a ceiling.
	DeleteOwner(ctx context.Context, id string) error

	Journal
	Uses

	// Watch calls f for every change, in the order of their positions, until stop is
	// called. A store that can't tell whether f was told of a change tells it again. f
	// must be quick and must not call the store. Calls don't overlap. When stop returns,
	// f is not running and is not called again.
	Watch(f func(Change)) (stop func())

	// Status describes the store for operators; with an error, as far as it can.
	Status(ctx context.Context) (Status, error)
	// Reach asks each part of the store, such as each of several servers, and returns an
	// error that says what is missing: ErrUnreadable if no token can be read any more.
	Reach(ctx context.Context) error
	// Check looks for records and indexes that a crash, a lost write or a damaged file has
	// left at odds and, if repair is true, mends what can be. It may be called while the
	// store is in use.
	Check(ctx context.Context, repair bool) ([]Problem, error)
	// Mark sets the mark of this name, a few bytes by which the users of a store tell
	// whether they agree, and returns the one before; nil: there was none. If several set
	// it at once, one comes after the other.
	Mark(ctx context.Context, name string, mark []byte) (before []byte, err error)
	// Close releases the store. Calls after it fail.
	Close() error
}

// Position counts the changes made to a store. A record read at a position shows
// every change up to it.
type Position uint64

// Found is what Find found.
type Found struct {
	Token *token.Token
	Owner *token.Owner // the record of the token's owner; nil where there is none
	// Current is false when the digest is of a retired secret; Until then says
	// how long that still works.
	Current bool
	Until   time.Time
	// Position is that of a state of the store in which all this was true.
	Position Position
	// AsOf is a time at which all this was true, if that may be before the call of
	// Find; zero if all of it was read during the call.
	AsOf time.Time
}

// Change tells watchers what they must read again.
type Change struct {
	Position Position
	Digests  []token.Digest // of the tokens changed: those before and those after
	Owners   []string       // whose record changed
	// Reset means that changes may have been missed: whatever was read before,
	// or is being read, must be read again. Positions may begin anew.
	Reset bool
}

// Async is a Store that can be asked without waiting for it.
type Async interface {
	// FindAsync calls done once, with what Find would return, within the store's own
	// time limit. done must be quick, for others wait for it, and may be called before
	// FindAsync returns.
	FindAsync(d token.Digest, done func(Found, error))
}

// Shared is a Store that other processes change as well. It hears of their changes a
// moment later, and knows when it doesn't.
type Shared interface {
	// Heard returns a time up to which the watchers have been told of every change
	// that was acknowledged, by whatever process. It is old when the changes of
	// others can't be heard, and zero before they have been heard at all.
	Heard() time.Time
	// Holds tells the store how long this gateway may use what it holds without hearing
	// of changes. Until it is called, that is two minutes.
	Holds(d time.Duration)
	// Acknowledged returns how many gateways have taken in the changes up to a
	// position, this one included, and how many have not, or not said so yet.
	// Gateways that were not seen for so long that they hold nothing any more
	// don't count.
	Acknowledged(ctx context.Context, upTo Position) (acknowledged, pending int, err error)
	// Confirm returns an error if some change made before, by whichever process, may
	// still be undone, because it isn't yet everywhere it has to be. A caller that finds
	// nothing to change asks before it says that the change is made.
	Confirm(ctx context.Context) error
}

// Snapshotter is a Store that can be copied as it is, while it is in use.
type Snapshotter interface {
	// Snapshot writes what the store's file holds at one moment.
	Snapshot(ctx context.Context, w io.Writer) error
}

// Problem is something that Check has found.
type Problem struct {
	Text   string `json:"text"`
	Mended bool   `json:"mended"`
	// Mendable is whether a repair can mend it, so that people need not.
	Mendable bool `json:"mendable"`
}

// Status describes a store.
type Status struct {
	Kind     string    `json:"kind"`     // "embedded" or "redis"
	Location string    `json:"location"` // the file or the address; never a password
	Position Position  `json:"position"`
	Tokens   int       `json:"tokens"`
	Owners   int       `json:"owners"`
	Gateways []Gateway `json:"gateways"`
	// Warnings say what in the store's setup would lose tokens, as far as that is known,
	// and whether it has lost some while it was used.
	Warnings []string `json:"warnings,omitempty"`
	// Unheard is why a Shared store doesn't hear the changes of others; "": it does, or the
	// reason isn't known.
	Unheard string `json:"-"`
}

// Gateway is one of the processes that serve from a store.
type Gateway struct {
	Name     string    `json:"name"`
	Follows  Position  `json:"follows"` // the position up to which it has taken changes in
	LastSeen time.Time `json:"last_seen"`
}
