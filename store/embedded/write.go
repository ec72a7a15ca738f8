package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
)

// change is what one call changes.
type change struct {
	ctx  context.Context
	do   func(tx, *store.Change) error // may be called again, in another transaction
	note bool                          // takes no position, and watchers aren't told

	refused error // by do, in the transaction that was tried last
	err     error
	done    chan struct{} // closed when err is the answer
}

// refusal is the error of a change that has written nothing. The others go on in the same
// transaction, and it is the answer if that is committed: one of them may be the reason.
type refusal struct{ error }

// errNothing is the error of a transaction in which every change is refused.
var errNothing = errors.New("nothing to commit")

// write makes a change: do makes it in tx, and names in what the records that watchers
// must read again. When write returns without error, the change is on disk, with the
// events that ctx has for it, and the watchers have been told.
//
// Calls that come while another one waits for the disk are queued. The first of them to
// take the lead commits all of them, so that they wait for the disk together.
func (s *Store) write(ctx context.Context, do func(tx tx, what *store.Change) error) error {
	return s.enqueue(&change{ctx: ctx, do: do})
}

// note is write for what doesn't count as a change, such as uses.
func (s *Store) note(ctx context.Context, do func(tx tx) error) error {
	return s.enqueue(&change{ctx: ctx, do: func(tx tx, _ *store.Change) error { return do(tx) }, note: true})
}

func (s *Store) enqueue(c *change) error {
	c.err, c.done = errUnfinished, make(chan struct{})
	s.queueing.Lock()
	s.queue = append(s.queue, c)
	s.queueing.Unlock()

	select {
	case <-c.done:
	case s.lead <- struct{}{}:
		s.commitQueue()
	}
	if p, ok := errors.AsType[*panicked](c.err); ok {
		panic(p.value)
	}
	return c.err
}

// errUnfinished is the answer if a callback has ended its goroutine (runtime.Goexit).
var errUnfinished = errors.New("another change ended before this one was made")

// commitQueue answers everything that is queued, and then gives the lead away.
func (s *Store) commitQueue() {
	s.queueing.Lock()
	queue := s.queue
	s.queue = nil
	s.queueing.Unlock()

	defer func() {
		for _, c := range queue {
			close(c.done)
		}
		<-s.lead
	}()
	for group := slices.Clone(queue); len(group) > 0; {
		group = s.commit(group)
	}
}

// commit makes the changes of a group in one transaction. When one of them fails
// half-made, nothing is made, and commit returns the others, to be tried again. What it has
// seen of those before it may never be stored, so that it is tried again as well, alone.
func (s *Store) commit(group []*change) (rest []*change) {
	if err := cmp.Or(s.whole(), s.refuses()); err != nil {
		for _, c := range group {
			c.err = err
		}
		return nil
	}
	changes, failed, err := s.transact(group)
	if failed >= 0 {
		c := group[failed]
		if c.err = err; failed > 0 {
			s.commit([]*change{c})
		}
		return slices.Delete(group, failed, failed+1)
	}
	for _, c := range group {
		c.err = cmp.Or(err, c.refused)
	}
	s.watchers.Tell(changes...)
	return nil
}

// transact makes the changes of a group in one transaction, and notes what its end says about
// the file. It returns the changes that readers see now, which watchers must be told of even
// with an error (see shows), and the index of the change that failed half-made; -1: none.
func (s *Store) transact(group []*change) (changes []store.Change, making int, err error) {
	making = -1
	committing, answered := false, false // all changes are made; bbolt has returned
	id, last := 0, int(s.last.Load())
	err = s.shielded(func() error {
		err := s.db.Update(func(b *bbolt.Tx) error {
			if id = b.ID(); id <= last || id > int(s.begun.Load())+1 {
				return errOverwritten
			}
			s.begun.Store(int64(id))
			// A panic must not reach bbolt from here: what it does about one
			// may panic as well, and leave its lock behind.
			return s.shielded(func() (err error) {
				changes, err = tx{b}.makeAll(group, &making)
				committing = err == nil
				return err
			})
		})
		answered = true
		return err
	})
	shown := err == nil
	switch {
	case err == nil && slices.ContainsFunc(group, func(c *change) bool { return !c.note && c.refused == nil }):
		s.failed.Store(nil) // notes fit where changes don't
	case err == nil:
	case errors.Is(err, errNothing):
		err = nil
	case !answered, errors.Is(err, errOverwritten):
		err = s.breaks(err)
	case committing:
		shown = s.shows(id)
		err = s.fails(err)
	}
	if !shown {
		return nil, making, err
	}
	s.last.Store(int64(id))
	return changes, making, err
}

// makeAll makes the changes of a group, and returns them for the watchers. It sets making to
// the index of the change being made, so that after an error or a panic it is the one that
// failed; -1: none.
func (tx tx) makeAll(group []*change, making *int) (changes []store.Change, err error) {
	position, made := tx.position(), false
	for i, c := range group {
		*making = i
		what := store.Change{Position: position + 1}
		if c.refused = c.ctx.Err(); c.refused != nil {
			continue
		}
		err := c.do(tx, &what)
		if r, ok := err.(refusal); ok {
			c.refused = r.error
			continue
		}
		if err != nil {
			return nil, err
		}
		made = true
		if c.note {
			continue
		}
		if err := tx.record(store.EventsOf(c.ctx)); err != nil {
			return nil, fmt.Errorf("recording events: %w", err)
		}
		position++
		changes = append(changes, what)
	}
	*making = -1
	if !made {
		return nil, errNothing
	}
	return changes, tx.setNumber(keyPosition, uint64(position))
}

// shows reports whether a transaction whose commit failed is visible all the same. It is
// if its last step failed, the wait for the disk: the changes are lost if the machine stops
// now, but until then they hold, and watchers must be told.
func (s *Store) shows(id int) (yes bool) {
	s.shielded(func() error {
		return s.db.View(func(b *bbolt.Tx) error { yes = b.ID() == id; return nil })
	})
	return yes
}

// panicked carries a panic of a callback back to the goroutine that gave it.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// call calls the function that a caller has given to Update or UpdateOwner.
func call(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p}
		}
	}()
	return f()
}

// Watch implements store.Store.
func (s *Store) Watch(f func(store.Change)) (stop func()) { return s.watchers.Watch(f) }
