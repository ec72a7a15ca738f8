package redis

import (
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"time"

	"github.com/patgate/patgate/token"
)

// change is a change of tokens: see the package comment for its steps.
type change struct {
	mark    string
	version uint64    // of the records it leaves
	writes  []write   // the token keys it changes
	free    []string  // ids that must not be taken
	indexes []member  // what it adds to indexes and removes from them
	what    []touched // what gateways are told
}

type write struct {
	digest        token.Digest
	before, after string
}

func (w *write) intent(mark string) string { return intentValue(mark, w.before, w.after) }

// result returns the value that holds in a state of the change.
func (w *write) result(state string) string {
	if state == committed {
		return w.after
	}
	return w.before
}

// member is a member of an index, and whether it is added or removed.
type member struct {
	op    string // "A", "R", or "U" where the index is of uses
	index string
	name  string
}

func newMark() string {
	var b [markSize]byte
	rand.Read(b[:])
	return string(b[:])
}

// newChange returns a change of records that have these versions.
func newChange(versions ...uint64) *change {
	return &change{mark: newMark(), version: nextVersion(versions...)}
}

// changeOf returns a change of records, by their digests, with a version greater than theirs
// and than all that this process knows of.
func (s *Store) changeOf(all ...map[token.Digest]record) *change {
	var versions []uint64
	for _, records := range all {
		for d, r := range records {
			versions = append(versions, r.version, s.floors.of(tokenFloor(d)).version)
		}
	}
	return newChange(versions...)
}

// nextVersion returns a version that is greater than all of these.
func nextVersion(versions ...uint64) uint64 {
	v := uint64(time.Now().UnixMicro())
	for _, old := range versions {
		v = max(v, old+1)
	}
	return v
}

func (c *change) add(index, name string)    { c.indexes = append(c.indexes, member{"A", index, name}) }
func (c *change) remove(index, name string) { c.indexes = append(c.indexes, member{"R", index, name}) }
func (c *change) removeUse(uses, id string) { c.indexes = append(c.indexes, member{"U", uses, id}) }

// set changes the key of a digest from before to after, and tells gateways.
func (c *change) set(d token.Digest, before, after string) {
	c.writes = append(c.writes, write{d, before, after})
	c.what = append(c.what, touched{digest: d, version: c.version, gone: after == ""})
}

// hold makes the key of a digest part of the change without changing it, so that no other
// change of it can come in between.
func (c *change) hold(d token.Digest, r record) {
	c.writes = append(c.writes, write{d, r.raw, r.raw})
	c.what = append(c.what, touched{digest: d, version: max(r.version, 1), gone: r.raw == ""})
}

// settle ends the change under way on a key, if there is one, and returns what the key holds
// then. It waits for a young change before it aborts it.
func (s *Store) settle(ctx context.Context, d token.Digest) (record, error) {
	for {
		floor := s.floors.of(tokenFloor(d))
		v, err := s.get(ctx, s.keys.token(d))
		if err != nil {
			return record{}, err
		}
		mark, before, after, ok := splitIntent(v)
		if !ok {
			r, err := parseRecord(v)
			r.lost = !floor.allows(r.raw != "", r.version)
			return r, err
		}
		state, age, err := s.state(ctx, mark)
		if err == nil && state == pending && -aheadOfTime < age && age < s.patience {
			if err := pause(ctx); err != nil {
				return record{}, err
			}
			continue
		}
		if err == nil && state != "" { // also if it has ended: in a Cluster that must be confirmed
			state, err = s.abort(ctx, mark)
		}
		if err != nil {
			return record{}, notMade(err)
		}
		// If the change has ended meanwhile, the key holds something else.
		if w := (write{d, before, after}); s.cluster == nil {
			err = s.send(ctx, s.ending(mark, state, false, w))
		} else {
			err = s.finish(ctx, unsafe, mark, []write{w}, state)
		}
		if err != nil {
			return record{}, err
		}
	}
}

// retry applies the change that plan returns. If another one comes between, it calls plan
// again.
func (s *Store) retry(ctx context.Context, plan func() (*change, error)) error {
	return s.again(ctx, func() error {
		c, err := plan()
		if err != nil {
			return err
		}
		return s.apply(ctx, c)
	})
}

// again calls f until no other change comes between, and once more if a step that mustn't
// be sent twice met a connection that had died in the pool.
func (s *Store) again(ctx context.Context, f func() error) error {
	died := false
	for range 1000 {
		if err := s.usable(ctx); err != nil {
			return err
		}
		err := s.inTurn(ctx, f)
		switch _, broken := errors.AsType[brokenError](err); {
		case broken && !died:
			died = true
		case !errors.Is(err, errConflict):
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return errConflict
}

// inTurn calls f as soon as fewer than maxChanges are being made.
func (s *Store) inTurn(ctx context.Context, f func() error) error {
	select {
	case s.changes <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.changes }()
	return f()
}

// pause waits a random time, so that rivals don't meet again.
func pause(ctx context.Context) error {
	return sleep(ctx, time.Millisecond+mrand.N(4*time.Millisecond))
}

// sleep waits, or returns ctx's error as soon as that ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
