package embedded

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/patgate/patgate/store"
)

// The kinds of keys in the index of events.
const (
	byToken byte = 't'
	byOwner byte = 'o'
)

// eventPrefix begins the keys of the events of a token or an owner in the index.
// The number of the event follows.
func eventPrefix(kind byte, name string) []byte {
	return append([]byte{kind}, ownerPrefix(name)...)
}

// indexKeys returns the keys that e, the event with this number, has in the index.
func indexKeys(e *store.Event, number []byte) [][]byte {
	keys := [][]byte{append(eventPrefix(byOwner, e.Owner), number...)}
	if e.TokenID != "" {
		keys = append(keys, append(eventPrefix(byToken, e.TokenID), number...))
	}
	return keys
}

// record adds events.
func (tx tx) record(events []store.Event) error {
	bucket, index := tx.events(), tx.eventsBy()
	for _, e := range events {
		n, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		e.ID = "" // follows from the number
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		key := number(n)
		if err := bucket.Put(key, raw); err != nil {
			return err
		}
		for _, at := range indexKeys(&e, key) {
			if err := index.Put(at, nil); err != nil {
				return err
			}
		}
	}
	return tx.count(keyEvents, len(events))
}

// event returns the event with this number, which is its key.
func (tx tx) event(key []byte) (e store.Event, err error) {
	if err := json.Unmarshal(tx.events().Get(key), &e); err != nil {
		return store.Event{}, fmt.Errorf("event %d: %w", binary.BigEndian.Uint64(key), err)
	}
	e.ID = strconv.FormatUint(binary.BigEndian.Uint64(key), 10)
	return e, nil
}

// removeEvent removes the event with this key, which is e.
func (tx tx) removeEvent(key []byte, e *store.Event) error {
	for _, at := range indexKeys(e, key) {
		if err := tx.eventsBy().Delete(at); err != nil {
			return err
		}
	}
	return tx.events().Delete(key)
}

// unindexEvents removes from the index the events with these keys. They can't be read, and
// so don't say where they are in it: the whole index is searched.
func (tx tx) unindexEvents(keys map[string]bool) error {
	if len(keys) == 0 {
		return nil
	}
	index := tx.eventsBy()
	var gone [][]byte // a cursor is not to delete as it goes
	c := index.Cursor()
	for at, _ := c.First(); at != nil; at, _ = c.Next() {
		if n := len(at) - len(number(0)); n >= 0 && keys[string(at[n:])] {
			gone = append(gone, bytes.Clone(at))
		}
	}
	for _, at := range gone {
		if err := index.Delete(at); err != nil {
			return err
		}
	}
	return nil
}

// Record implements store.Journal.
func (s *Store) Record(ctx context.Context, events ...store.Event) error {
	return s.note(ctx, func(tx tx) error { return tx.record(events) })
}

// Events implements store.Journal.
func (s *Store) Events(ctx context.Context, q store.EventQuery) (events []store.Event, next string, err error) {
	// The numbers of events are walked in the index of one token or owner, where q
	// names one.
	bucket, prefix := bucketEvents, []byte(nil)
	switch {
	case q.TokenID != "":
		bucket, prefix = bucketEventsBy, eventPrefix(byToken, q.TokenID)
	case q.Owner != nil:
		bucket, prefix = bucketEventsBy, eventPrefix(byOwner, *q.Owner)
	}
	at := append(bytes.Clone(prefix), 0xff) // after every number there will be
	if from := cmp.Or(q.Before, q.After); from != "" {
		n, err := strconv.ParseUint(from, 10, 63)
		if err != nil {
			return nil, "", fmt.Errorf("event %q: not the id of an event", from)
		}
		at = append(at[:len(prefix)], number(n)...)
	}
	err = s.walk(ctx, bucket, prefix, at, q.After == "", func(tx tx, number []byte) (more bool, err error) {
		e, err := tx.event(number)
		if err != nil {
			return false, err
		}
		if q.Ends(&e) {
			return false, nil
		}
		if q.Selects(&e) {
			if q.Limit > 0 && len(events) == q.Limit {
				next = events[len(events)-1].ID
				return false, nil
			}
			events = append(events, e)
		}
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	if q.After != "" {
		next = q.After
		if len(events) > 0 {
			next = events[len(events)-1].ID
		}
	}
	return events, next, nil
}

// PruneEvents implements store.Journal. It goes in steps, so that changes don't wait for
// long.
func (s *Store) PruneEvents(ctx context.Context, age time.Duration, max int) error {
	for more := true; more; {
		// A look first: if there is nothing to do, nothing is written.
		err := s.view(ctx, func(tx tx) (err error) {
			more, err = tx.pruneEvents(age, max, false)
			return err
		})
		if err != nil || !more {
			return err
		}
		if err := s.note(ctx, func(tx tx) (err error) { _, err = tx.pruneEvents(age, max, true); return err }); err != nil {
			return err
		}
	}
	return nil
}

// pruneEvents reports whether there are events that are not to be kept and, if remove is
// true, removes the oldest of them.
func (tx tx) pruneEvents(age time.Duration, max int, remove bool) (some bool, err error) {
	old, damaged := map[string]store.Event{}, map[string]bool{}
	over := int(tx.number(keyEvents)) - max
	c := tx.events().Cursor()
	var newest store.Event
	if key, _ := c.Last(); key != nil {
		newest, _ = tx.event(key) // if it can't be read, its time isn't known, and none is removed for its age
	}
	before := store.KeptSince(time.Now(), newest.Time, age)
	for key, _ := c.First(); key != nil && len(old) < walkStep; key, _ = c.Next() {
		e, err := tx.event(key)
		if err != nil { // it would be in the way for ever
			damaged[string(key)] = true
		} else if len(old) >= over && !e.Time.Before(before) {
			break
		}
		if !remove {
			return true, nil
		}
		old[string(key)] = e
	}
	if err := tx.unindexEvents(damaged); err != nil {
		return false, err
	}
	for key, e := range old {
		if err := tx.removeEvent([]byte(key), &e); err != nil {
			return false, err
		}
	}
	if len(old) == 0 {
		return false, nil
	}
	return true, tx.count(keyEvents, -len(old))
}
