package redis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// errConflict means that another change came between: this one must be made
// again, from what is there now.
var errConflict = errors.New("another change came between")

// errMaybe means that it isn't known whether a change was made.
var errMaybe = errors.New("redis doesn't say whether the change was made; it will be as a whole, or not at all")

// apply makes a change and returns when it is stored and the watchers have been
// told. errConflict means that it isn't made.
func (s *Store) apply(ctx context.Context, c *change) error {
	if len(c.writes) == 0 {
		return nil
	}
	if err := s.begin(ctx, c.mark, c.writes, c.free...); err != nil {
		return err
	}
	if err := s.intend(ctx, c); err != nil {
		s.undo(c, !errors.Is(err, errConflict))
		return err
	}
	if err := ctx.Err(); err != nil {
		s.undo(c, false)
		return err
	}
	// From here on the caller's giving up makes no difference.
	ctx = context.WithoutCancel(ctx)
	position, err := s.commit(ctx, c)
	if err != nil && !errors.Is(err, errNotReplicated) {
		if !errors.Is(err, errMaybe) {
			s.undo(c, false)
		}
		return err
	}
	unfinished := err
	if err == nil || s.cluster == nil { // in a Cluster, a fail-over may still lose an unconfirmed commit: ending the change would leave half of it
		unfinished = s.end(ctx, c.mark, c.writes, committed)
	}
	if unfinished != nil {
		s.log.Debug("a change is made, and will be tidied up later", "store", s.where, "error", unfinished)
	}
	s.await(position, c.mark, c.what)
	return err
}

// between returns the safety of a step that the next one relies on. In a Cluster the next
// one can't ask whether it was made.
func (s *Store) between() safety { return s.cluster != nil }

// notMade returns err, with errNotReplicated, which is for changes that are stored, replaced
// by what it means before the commit.
func notMade(err error) error {
	if errors.Is(err, errNotReplicated) {
		return errors.New("the change was not made: not every replica of the redis server confirms it")
	}
	return err
}

// begin announces a change: it enters it as pending, and claims the ids of the
// tokens it makes. It is sent once: a second copy could come late, and announce anew
// a change that has ended.
func (s *Store) begin(ctx context.Context, mark string, writes []write, free ...string) error {
	digests := make([]byte, 0, len(writes)*len(token.Digest{}))
	for _, w := range writes {
		digests = append(digests, w.digest[:]...)
	}
	keys := []string{s.keys.changes}
	for _, id := range free {
		keys = append(keys, s.keys.claim(id))
	}
	cmd := eval(scriptBegin, keys, mark, string(digests))
	return s.sendOnce(ctx, unsafe, cmd)
}

// intend writes the intents. They are sent once: a second copy could come after the change
// was committed and forgotten, and bring back a token that was deleted since. An intent of
// an aborted change that comes late counts for nothing; see undo.
func (s *Store) intend(ctx context.Context, c *change) error {
	// In the same order everywhere, so that one of two rivals gets all its keys.
	slices.SortFunc(c.writes, func(a, b write) int { return slices.Compare(a.digest[:], b.digest[:]) })
	for some := range inSteps(c.writes) {
		cmds := make([]*redis.Cmd, len(some))
		for i, w := range some {
			cmds[i] = s.intent(c.mark, w)
		}
		if err := notMade(s.sendOnce(ctx, s.between(), cmders(cmds)...)); err != nil {
			return err
		}
		for _, c := range cmds {
			switch n, err := c.Int(); {
			case err != nil:
				return err
			case n != 1:
				return errConflict
			}
		}
	}
	return nil
}

// inSteps returns the writes in chunks for one round trip each: fewer if records are long.
func inSteps(writes []write) iter.Seq[[]write] {
	return func(yield func([]write) bool) {
		for len(writes) > 0 {
			n, size := 0, 0
			for n < len(writes) && n < step && size < maxValues {
				size += len(writes[n].before) + len(writes[n].after)
				n++
			}
			if !yield(writes[:n]) {
				return
			}
			writes = writes[n:]
		}
	}
}

// intent returns the command that writes an intent.
func (s *Store) intent(mark string, w write) *redis.Cmd {
	keys := []string{s.keys.token(w.digest)}
	if s.cluster == nil {
		keys = append(keys, s.keys.changes)
	}
	return eval(scriptIntend, keys, mark, w.before, w.intent(mark))
}

// commit commits the change. Its error is errMaybe if it isn't known whether it is committed.
func (s *Store) commit(ctx context.Context, c *change) (store.Position, error) {
	keys := []string{s.keys.head, s.keys.feed, s.keys.changes, s.keys.ids}
	at := map[string]int{s.keys.ids: len(keys)} // as Lua counts
	var payload []byte
	for _, t := range c.what {
		payload = appendTouched(payload, t)
	}
	args := []any{c.mark, string(payload), feedLength, len(c.free)}
	for _, id := range c.free {
		keys = append(keys, s.keys.claim(id))
		args = append(args, id)
	}
	for _, m := range c.indexes {
		if at[m.index] == 0 {
			keys = append(keys, m.index)
			at[m.index] = len(keys)
		}
		args = append(args, m.op, at[m.index], m.name)
	}
	if s.cluster == nil {
		for _, w := range c.writes {
			keys = append(keys, s.keys.token(w.digest))
			args = append(args, "I", len(keys), "")
		}
	}
	reply, err := s.decide(ctx, c.mark, s.evalWith(store.EventsOf(ctx), scriptCommit, keys, args...))
	if err != nil && !errors.Is(err, errNotReplicated) {
		return 0, err
	}
	switch reply := reply.(type) {
	case int64:
		if reply == 0 { // it was aborted, or a fail-over has taken a step back
			return 0, errConflict
		}
		return store.Position(reply), err
	case string:
		return 0, &store.ExistsError{ID: reply, By: "id"}
	}
	return 0, fmt.Errorf("%w: %w", errMaybe, errValue)
}

// decide sends the command that commits a change, and returns its reply, also with
// errNotReplicated. errMaybe means that it isn't known whether the change is committed, and
// any other error that it isn't and can't be any more.
func (s *Store) decide(ctx context.Context, mark string, commit *redis.Cmd) (reply any, err error) {
	err = s.sendWith(ctx, safe, commit)
	if err == nil || errors.Is(err, errNotReplicated) {
		return commit.Val(), err
	}
	// The script may have run, or may run later, unless the change can be aborted.
	state, cant := s.abort(ctx, mark)
	switch {
	case cant != nil:
		return nil, fmt.Errorf("%w: %w", errMaybe, err)
	case state != committed:
		return nil, err
	}
	// Sent again, it only returns the position.
	err = s.sendWith(ctx, safe, commit)
	if err != nil && !errors.Is(err, errNotReplicated) {
		return nil, fmt.Errorf("%w: %w", errMaybe, err)
	}
	return commit.Val(), err
}

// end finishes a change that is in this state, and forgets it.
func (s *Store) end(ctx context.Context, mark string, writes []write, state string) error {
	if s.cluster == nil {
		return s.send(ctx, s.ending(mark, state, true, writes...))
	}
	if err := s.finish(ctx, safe, mark, writes, state); err != nil {
		return err
	}
	return s.forget(ctx, mark)
}

// ending returns the command that finishes keys of a change on one server and, if these are
// all, forgets it: see scriptEnd.
func (s *Store) ending(mark, state string, all bool, writes ...write) *redis.Cmd {
	keys := []string{s.keys.changes}
	for _, w := range writes {
		keys = append(keys, s.keys.token(w.digest))
	}
	return eval(scriptEnd, keys, mark, state, all)
}

// finish sets the keys of a change in a Cluster to the values after it if it is committed, or
// before it if it isn't.
func (s *Store) finish(ctx context.Context, safety safety, mark string, writes []write, state string) error {
	for some := range inSteps(writes) {
		cmds := make([]redis.Cmder, len(some))
		for i, w := range some {
			cmds[i] = eval(scriptSwap, []string{s.keys.token(w.digest)}, w.intent(mark), w.result(state))
		}
		if err := s.sendWith(ctx, safety, cmds...); err != nil {
			return err
		}
	}
	return nil
}

// forget removes the entry of a change that is finished.
func (s *Store) forget(ctx context.Context, mark string) error {
	return s.send(ctx, redis.NewIntCmd(noContext, "hdel", s.keys.changes, mark))
}

// undo aborts a change that isn't committed. What it can't undo now, a gateway will in a
// few seconds. late says that intents may still be on their way. A single server refuses
// them from here on. In a Cluster the change is remembered as aborted until they must have
// come, for whoever clears them away then: see lateness.
func (s *Store) undo(c *change, late bool) {
	state, err := s.abort(s.ctx, c.mark)
	switch {
	case err != nil || state == committed:
	case late && s.cluster != nil:
		err = s.finish(s.ctx, safe, c.mark, c.writes, state)
	default:
		err = s.end(s.ctx, c.mark, c.writes, state)
	}
	if err != nil {
		s.log.Debug("a change that wasn't made will be tidied up later", "store", s.where, "error", err)
	}
}

// abort keeps a change from being committed, and returns its state then.
func (s *Store) abort(ctx context.Context, mark string) (state string, err error) {
	cmd := eval(scriptAbort, []string{s.keys.changes}, mark)
	if err := s.sendWith(ctx, s.between(), cmd); err != nil {
		return "", err
	}
	return cmd.Text()
}
