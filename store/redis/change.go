package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
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
	key           string
	digest        token.Digest
	before, after string
}

func (w *write) intent(mark string) string { return intentValue(mark, w.before, w.after) }

// member is a member of an index, and whether it is added or removed.
type member struct {
	op    string // "A" or "R"
	index string
	name  string
}

// errConflict means that another change came between: this one must be made
// again, from what is there now.
var errConflict = errors.New("another change came between")

// errMaybe means that nobody can say whether a change was made.
var errMaybe = errors.New("redis doesn't say whether the change was made; it will be as a whole, or not at all")

func newMark() string {
	var b [markSize]byte
	rand.Read(b[:])
	return string(b[:])
}

// newChange returns a change of records that have these versions.
func newChange(versions ...uint64) *change {
	return &change{mark: newMark(), version: nextVersion(versions...)}
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

// set has the key of a digest changed from before to after, and gateways told.
func (c *change) set(s *Store, d token.Digest, before, after string) {
	c.writes = append(c.writes, write{s.keys.token(d), d, before, after})
	c.what = append(c.what, touched{digest: d, version: c.version, gone: after == ""})
}

// hold leaves the key of a digest as it is, and sees to it that nothing comes
// between.
func (c *change) hold(s *Store, d token.Digest, r record) {
	c.writes = append(c.writes, write{s.keys.token(d), d, r.raw, r.raw})
	c.what = append(c.what, touched{digest: d, version: max(r.version, 1), gone: r.raw == ""})
}

// apply makes a change and returns when it is stored and the watchers have been
// told. errConflict means that it isn't made.
func (s *Store) apply(ctx context.Context, c *change) error {
	if len(c.writes) == 0 {
		return nil
	}
	if err := s.begin(ctx, c); err != nil {
		return err
	}
	if err := s.intend(ctx, c); err != nil {
		s.undo(c)
		return err
	}
	if err := ctx.Err(); err != nil {
		s.undo(c)
		return err
	}
	// From here on the caller's giving up makes no difference.
	ctx = context.WithoutCancel(ctx)
	position, err := s.commit(ctx, c)
	if err != nil && !errors.Is(err, ErrNotReplicated) {
		if errors.Is(err, errMaybe) {
			return err
		}
		s.undo(c)
		return err
	}
	if err != nil {
		s.doubt.Store(true)
	}
	if err := s.finish(ctx, c.mark, c.writes, true); err != nil {
		s.log.Debug("a change is made, and will be tidied up later", "store", s.where, "error", err)
	}
	s.await(position)
	return err
}

// begin enters the change as pending.
func (s *Store) begin(ctx context.Context, c *change) error {
	digests := make([]byte, 0, len(c.writes)*len(token.Digest{}))
	for _, w := range c.writes {
		digests = append(digests, w.digest[:]...)
	}
	cmd := eval(scriptBegin, []string{s.keys.changes}, c.mark, string(digests))
	return s.send(ctx, unsafe, keyed{s.keys.changes, cmd})
}

// intend writes the intents.
func (s *Store) intend(ctx context.Context, c *change) error {
	safety := unsafe
	if s.cluster != nil { // else the commit goes the same way, behind them
		safety = safe
	}
	// In one order everywhere, so that one of two rivals gets all it wants.
	slices.SortFunc(c.writes, func(a, b write) int { return slices.Compare(a.digest[:], b.digest[:]) })
	for some := range slices.Chunk(c.writes, step) {
		swaps := make([]swap, len(some))
		for i, w := range some {
			swaps[i] = swap{w.key, w.before, w.intent(c.mark)}
		}
		all, err := s.swap(ctx, safety, swaps...)
		switch {
		case errors.Is(err, ErrNotReplicated):
			return errors.New("the change was not made: no replica of the redis server confirms it")
		case err != nil:
			return err
		case !all:
			return errConflict
		}
	}
	return nil
}

// commit commits the change. Its error is errMaybe where that can't be told.
func (s *Store) commit(ctx context.Context, c *change) (store.Position, error) {
	keys := []string{s.keys.head, s.keys.feed, s.keys.changes, s.keys.ids}
	var payload []byte
	for _, t := range c.what {
		payload = appendTouched(payload, t)
	}
	args := []any{c.mark, string(payload), feedLength, len(c.free)}
	for _, id := range c.free {
		args = append(args, id)
	}
	at := map[string]int{s.keys.ids: len(keys)}
	for _, m := range c.indexes {
		if at[m.index] == 0 {
			keys = append(keys, m.index)
			at[m.index] = len(keys)
		}
		args = append(args, m.op, at[m.index], m.name)
	}
	cmd := eval(scriptCommit, keys, args...)
	err := s.send(ctx, safe, keyed{s.keys.head, cmd})
	switch {
	case err == nil, errors.Is(err, ErrNotReplicated):
	default:
		// The script has run, or runs yet, unless it can be kept from that.
		state, cant := s.abort(ctx, c.mark)
		switch {
		case cant != nil:
			return 0, fmt.Errorf("%w: %w", errMaybe, err)
		case state != committed:
			return 0, err
		}
		// Sent again, it only says where.
		err = s.send(ctx, safe, keyed{s.keys.head, cmd})
		if err != nil && !errors.Is(err, ErrNotReplicated) {
			return 0, fmt.Errorf("%w: %w", errMaybe, err)
		}
	}
	switch reply := cmd.Val().(type) {
	case int64:
		if reply == 0 { // somebody had to abort it
			return 0, errConflict
		}
		return store.Position(reply), err
	case string:
		return 0, &store.ExistsError{ID: reply, By: "id"}
	}
	return 0, fmt.Errorf("%w: %w", errMaybe, errValue)
}

// finish has the keys of a change hold what holds since its commit, or, where it
// was aborted, what held before, and forgets the change.
func (s *Store) finish(ctx context.Context, mark string, writes []write, isCommitted bool) error {
	safety := unsafe
	if s.cluster != nil { // else the record of the commit could go, and intents come back
		safety = safe
	}
	for some := range slices.Chunk(writes, step) {
		swaps := make([]swap, len(some))
		for i, w := range some {
			swaps[i] = swap{w.key, w.intent(mark), w.before}
			if isCommitted {
				swaps[i].new = w.after
			}
		}
		if _, err := s.swap(ctx, safety, swaps...); err != nil {
			return err
		}
	}
	return s.send(ctx, unsafe, keyed{s.keys.changes, redis.NewIntCmd(noContext, "hdel", s.keys.changes, mark)})
}

// undo aborts a change that isn't committed. What it can't undo now, a gateway
// will in a few seconds.
func (s *Store) undo(c *change) {
	state, err := s.abort(s.ctx, c.mark)
	if err == nil && state != committed {
		err = s.finish(s.ctx, c.mark, c.writes, false)
	}
	if err != nil {
		s.log.Debug("a change that wasn't made will be tidied up later", "store", s.where, "error", err)
	}
}

// abort keeps a change from being committed, and returns its state then.
func (s *Store) abort(ctx context.Context, mark string) (state string, err error) {
	cmd := eval(scriptAbort, []string{s.keys.changes}, mark)
	if err := s.send(ctx, unsafe, keyed{s.keys.changes, cmd}); err != nil {
		return "", err
	}
	return cmd.Text()
}

// swap is the replacement of one value; "" stands for none.
type swap struct{ key, old, new string }

// swap makes replacements, and reports whether all values were as expected.
func (s *Store) swap(ctx context.Context, safety safety, swaps ...swap) (all bool, err error) {
	cmds := make([]keyed, len(swaps))
	for i, w := range swaps {
		cmds[i] = keyed{w.key, eval(scriptSwap, []string{w.key}, w.old, w.new)}
	}
	if err := s.send(ctx, safety, cmds...); err != nil {
		return false, err
	}
	for _, c := range cmds {
		if n, err := c.cmd.(*redis.Cmd).Int(); err != nil || n != 1 {
			return false, err
		}
	}
	return true, nil
}

// settle returns what a key holds after every change under way there has ended,
// which is seen to. lost reports whether it is older than it should be.
func (s *Store) settle(ctx context.Context, d token.Digest) (r record, lost bool, err error) {
	key := s.keys.token(d)
	for {
		floor := s.floors.of(string(d[:]))
		v, err := s.get(ctx, key)
		if err != nil {
			return record{}, false, err
		}
		mark, before, after, intent, err := splitIntent(v)
		if err != nil {
			return record{}, false, err
		}
		if !intent {
			r, err := parseRecord(v)
			return r, !floor.allows(r.raw != "", r.version), err
		}
		state, age, err := s.state(ctx, mark)
		if err == nil && state == pending {
			if age < s.patience {
				if err := pause(ctx); err != nil {
					return record{}, false, err
				}
				continue
			}
			state, err = s.abort(ctx, mark)
		}
		if err != nil {
			return record{}, false, err
		}
		to := before
		if state == committed {
			to = after
		}
		// If the change has ended meanwhile, the key holds something else.
		if _, err := s.swap(ctx, unsafe, swap{key, v, to}); err != nil {
			return record{}, false, err
		}
	}
}

// retry applies the change that plan returns. When another one comes between, it
// has it planned again.
func (s *Store) retry(ctx context.Context, plan func() (*change, error)) error {
	return s.again(ctx, func() error {
		c, err := plan()
		if err != nil {
			return err
		}
		return s.apply(ctx, c)
	})
}

// again calls f until it doesn't meet another change.
func (s *Store) again(ctx context.Context, f func() error) error {
	for range 1000 {
		if err := s.usable(ctx); err != nil {
			return err
		}
		err := f()
		if !errors.Is(err, errConflict) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return errConflict
}

// pause waits for others, each caller for another time.
func pause(ctx context.Context) error {
	select {
	case <-time.After(time.Millisecond + time.Duration(mrand.IntN(4000))*time.Microsecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
