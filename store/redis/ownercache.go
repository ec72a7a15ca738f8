package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// maxCachedOwners bounds the records in memory.
const maxCachedOwners = 10_000

// ownerCache keeps owners' records in memory for Find. They hold as long as the feed is
// heard, which drops those that change.
type ownerCache struct {
	mu      sync.Mutex
	byName  map[string]*token.Owner // nil: there is none
	changes uint64                  // how often something was dropped
	missing map[string]bool         // had records when all were dropped, and haven't been seen since
}

// get returns a copy of an owner's record, nil where there is none, and whether that is
// known.
func (o *ownerCache) get(name string) (record *token.Owner, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	record, known = o.byName[name]
	if record != nil {
		record = record.Clone()
	}
	return record, known
}

// changed returns the number of changes so far, for put.
func (o *ownerCache) changed() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changes
}

// put keeps a record, unless there was a change since its read began: it may have been of
// this record, and the read not have seen it.
func (o *ownerCache) put(name string, record *token.Owner, changes uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes != changes {
		return
	}
	if o.byName == nil || len(o.byName) >= maxCachedOwners {
		o.byName = map[string]*token.Owner{}
	}
	if record != nil {
		record = record.Clone()
	}
	o.byName[name] = record
	delete(o.missing, name)
}

func (o *ownerCache) drop(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byName, name)
	delete(o.missing, name)
	o.changes++
}

// dropAll drops all records. If every deletion since has left a trace, it remembers which
// owners had one.
func (o *ownerCache) dropAll(traced bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, record := range o.byName {
		if traced && record != nil && len(o.missing) < maxCachedOwners {
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
func (o *ownerCache) had(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.missing[name]
}

// cachedOwner completes f if the record of the token's owner, or that there is none, is in
// memory. It was true when the feed was heard last.
func (s *Store) cachedOwner(f *store.Found) bool {
	if f.Token.Owner == "" {
		return true
	}
	heard := s.Heard()
	if time.Since(heard) >= trustedFor {
		return false
	}
	o, known := s.owners.get(f.Token.Owner)
	if known {
		f.Owner, f.AsOf = o, heard
	}
	return known
}

// readOwner reads the record of a token's owner, nil where there is none, and keeps it in
// memory.
func (s *Store) readOwner(ctx context.Context, name string) (*token.Owner, error) {
	changes := s.owners.changed()
	o, err := s.owner(ctx, name)
	if err != nil {
		return nil, s.reading(fmt.Sprintf("owner %q", name), err)
	}
	s.owners.put(name, o, changes)
	return o, nil
}
