package cache

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// owners knows the owners of the held tokens. Each has exactly one policy.Owner for as
// long as anything refers to it, so that a change of the record reaches all tokens.
type owners struct {
	mu     sync.Mutex
	byName map[string]*owner
	last   *ownerChange
}

// owner is what the cache knows about a policy.Owner.
type owner struct {
	name   string
	policy weak.Pointer[policy.Owner]

	// Guarded by owners.mu.
	record   *token.Owner
	position store.Position // records read before it are too old
}

// mark stops the use of the owner's tokens, because the record has changed since it was
// read. The first of them that is read again brings the new record for all.
func (o *owner) mark() {
	if p := o.policy.Value(); p != nil {
		p.Stale.Store(true)
	}
}

// ownerChange is a change of an owner's record, and the link to the next. A read
// doesn't know its token's owner before it ends, and the owner may not be known here.
// So it keeps the change that was newest when it began, and at its end looks through
// those that have followed. Changes that no read refers to are garbage.
type ownerChange struct {
	name string
	all  bool // of every owner: changes may have been missed
	next *ownerChange
}

func newOwners() *owners {
	return &owners{byName: map[string]*owner{}, last: &ownerChange{}}
}

// newest returns the newest change, for a read that is about to begin.
func (t *owners) newest() *ownerChange {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// changed marks the owners with these names, so that they are read again.
func (t *owners) changed(names []string, at store.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		t.last.next = &ownerChange{name: name}
		t.last = t.last.next
		if o := t.byName[name]; o != nil {
			o.mark()
			o.position = max(o.position, at)
		}
	}
}

// reset marks every owner. Positions begin anew.
func (t *owners) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last.next = &ownerChange{all: true}
	t.last = t.last.next
	for _, o := range t.byName {
		o.mark()
		o.position = 0
	}
}

// take returns the owner with this name. record, nil if there is none, was found at a
// position by a read that began at since. ok is false if it has changed since then.
func (t *owners) take(name string, record *token.Owner, at store.Position, since *ownerChange) (p *policy.Owner, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := since.next; c != nil; c = c.next {
		if c.all || c.name == name {
			return nil, false
		}
	}
	o := t.byName[name]
	if o != nil {
		p = o.policy.Value()
	}
	if p == nil {
		name = strings.Clone(name)
		p = policy.NewOwner(name, record)
		o = &owner{name: name, policy: weak.Make(p), record: record, position: at}
		t.byName[name] = o
		runtime.AddCleanup(p, t.drop, o)
		return p, true
	}
	if at < o.position {
		return p, true // reads end in any order: what is there is newer, or stale
	}
	if !sameLimits(o.record, record) {
		p.Set(record)
	}
	o.record, o.position = record, at
	p.Stale.Store(false)
	return p, true
}

// drop forgets an owner whose policy.Owner has been collected.
func (t *owners) drop(o *owner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName[o.name] == o {
		delete(t.byName, o.name)
	}
}

// sameLimits reports whether two records, nil for none, allow an owner's tokens the same.
func sameLimits(a, b *token.Owner) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Enabled == b.Enabled && slices.EqualFunc(a.Grants, b.Grants, token.EqualGrant)
}
