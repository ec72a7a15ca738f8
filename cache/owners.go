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

// owners knows the owners of the tokens held. There is one policy.Owner for
// each as long as anyone holds it, in a token or elsewhere, and no other: a
// change of the record reaches all.
type owners struct {
	mu     sync.Mutex
	byName map[string]*owner
	last   *ownerChange
}

// owner is what the cache keeps beside a policy.Owner.
type owner struct {
	name   string
	policy weak.Pointer[policy.Owner]

	// Guarded by owners.mu.
	record   *token.Owner
	position store.Position // records read before it are too old
}

// mark has the owner's tokens used no more: the record has changed since it was
// read. The first that is read again brings the new record, for all.
func (o *owner) mark() {
	if p := o.policy.Value(); p != nil {
		p.Stale.Store(true)
	}
}

// ownerChange is a change of an owner's record, and the link to the next. A
// read under way doesn't know its owner, and the owner may not be known here:
// so it keeps the change that was newest when it began and, at its end, looks
// through those that have followed. Changes that no read keeps are garbage.
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

// changed has the owners with these names read again.
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

// reset makes every owner be read again. Positions begin anew.
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

// take returns the owner with this name, given the record that a read begun at
// since found at a position; nil where there is none. It is not ok when the
// record has changed since then.
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

// drop forgets an owner whose policy.Owner is no longer held by anyone.
func (t *owners) drop(o *owner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName[o.name] == o {
		delete(t.byName, o.name)
	}
}

// sameLimits reports whether two records, or their absence, make no difference
// to what an owner's tokens may do.
func sameLimits(a, b *token.Owner) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Enabled == b.Enabled && slices.EqualFunc(a.Grants, b.Grants, token.EqualGrant)
}
