package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// ownersKept is how many owners' records are kept in memory, at most.
const ownersKept = 10_000

// owners keeps owners' records for Find. It is good for as long as the feed is
// heard, which takes out what changes.
type owners struct {
	mu      sync.Mutex
	byName  map[string]*token.Owner // nil: there is none
	changes uint64                  // how often something was taken out
	missing map[string]bool         // had records when all were dropped, and haven't been seen since
}

// get returns a copy of the record of an owner, and the number of changes so
// far, for put.
func (o *owners) get(name string) (record *token.Owner, known bool, changes uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	record, known = o.byName[name]
	if record != nil {
		record = record.Clone()
	}
	return record, known, o.changes
}

// put keeps a record whose read began when there had been so many changes.
func (o *owners) put(name string, record *token.Owner, changes uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes != changes {
		return // perhaps of this one, and the read hasn't seen it
	}
	if o.byName == nil || len(o.byName) >= ownersKept {
		o.byName = map[string]*token.Owner{}
	}
	if record != nil {
		record = record.Clone()
	}
	o.byName[name] = record
	delete(o.missing, name)
}

func (o *owners) drop(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byName, name)
	delete(o.missing, name)
	o.changes++
}

// dropAll drops all records. Where one can't have been deleted without a trace, an owner who
// had one is remembered.
func (o *owners) dropAll(traced bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, record := range o.byName {
		if traced && record != nil && len(o.missing) < ownersKept {
			if o.missing == nil {
				o.missing = map[string]bool{}
			}
			o.missing[name] = true
		}
	}
	clear(o.byName)
	o.changes++
}

// had reports whether an owner had a record that hasn't been seen since all were dropped.
func (o *owners) had(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.missing[name]
}

// ownersTrusted is how long ago the feed was heard, at most, when a record kept
// in memory is used.
const ownersTrusted = time.Second

// hears reports whether changes are heard.
func (s *Store) hears() bool { return time.Since(s.Heard()) < ownersTrusted }

// ownerHeld completes f if the record of the token's owner, or that there is
// none, is known here. It was true when the feed was heard last.
func (s *Store) ownerHeld(f *store.Found) bool {
	if f.Token.Owner == "" {
		return true
	}
	heard := s.Heard()
	if time.Since(heard) >= ownersTrusted {
		return false
	}
	o, known, _ := s.owners.get(f.Token.Owner)
	if known {
		f.Owner, f.AsOf = o, heard
	}
	return known
}

// readOwner reads the record of a token's owner, nil where there is none, and
// keeps it.
func (s *Store) readOwner(ctx context.Context, name string) (*token.Owner, error) {
	_, _, changes := s.owners.get(name)
	o, err := s.owner(ctx, name)
	if err != nil {
		return nil, s.reading(fmt.Sprintf("owner %q", name), err)
	}
	s.owners.put(name, o, changes)
	return o, nil
}
