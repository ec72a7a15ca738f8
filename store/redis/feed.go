package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

const (
	feedBlock = 250 * time.Millisecond // how long the server waits for changes before it says that there are none
	feedBatch = 100                    // changes asked for at a time, at first
	feedMost  = 1000                   // and where the gateway is behind: see follow
)

// cursor is a place in the feed: after the entry with this position and mark.
type cursor struct {
	known bool
	n     uint64
	mark  string
}

// entry is an entry of the feed.
type entry struct {
	n           uint64
	mark, after string // its own, and that of the entry before
	what        string
}

// follow takes in the changes that the feed brings, until the store is closed. Reading
// changes of many tokens, from a server that is far away, may take longer than the time
// allowed: it asks for fewer entries after a failure, and for more while it is behind.
func (s *Store) follow() {
	var at cursor
	failing, gaps, batch := 0, 0, feedBatch
	for s.ctx.Err() == nil {
		if s.reopen.Swap(false) {
			s.reopenFeed()
		}
		sent := time.Now()
		next, got, err := s.followOnce(at, batch)
		s.feedError.Store(&err)
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			batch = max(batch/2, 1)
			if failing++; failing == 2 { // once may be a connection that has died
				s.log.Warn("the change feed is not heard", "store", s.where, "error", err)
			}
			if feed, ok := s.feed.(*redis.ClusterClient); ok {
				feed.ReloadState(s.ctx)
			}
			sleep(s.ctx, min(time.Duration(failing)*20*time.Millisecond, feedBlock))
			continue
		}
		if failing >= 2 {
			s.log.Info("the change feed is heard again", "store", s.where)
		}
		failing = 0
		switch got {
		case upToDate:
			s.heard.Store(&sent)
			gaps = 0
		case behind:
			batch = min(batch+batch/4+1, feedMost)
		case missed:
			if gaps++; gaps > 1 {
				// Twice in a row: the feed comes from another server than the one that
				// changes go to, as in a fail-over. In a moment it can be found anew.
				s.reopen.Store(true)
				sleep(s.ctx, feedBlock)
			}
		}
		at = next
	}
}

// openFeed returns a client for the connection that waits for changes.
func (s *Store) openFeed() redis.UniversalClient {
	o := *s.options
	if s.feedAddr != "" {
		o.Addrs = []string{s.feedAddr}
	}
	o.ReadTimeout += feedBlock
	o.PoolSize, o.MaxActiveConns = 1, 2
	return redis.NewUniversalClient(&o)
}

// reopenFeed connects to the server that has the feed now.
func (s *Store) reopenFeed() {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() == nil {
		s.feed.Close()
		s.feed = s.openFeed()
	}
}

// progress is how far followOnce has got.
type progress int

const (
	upToDate progress = iota // all changes that there were when it was called are taken in
	behind                   // there are more
	missed                   // some were missed: the feed may come from another server than the one that changes go to
)

// followOnce waits for the next changes and takes them in.
func (s *Store) followOnce(at cursor, batch int) (next cursor, got progress, err error) {
	if !at.known {
		next, err = s.resync(at, batch)
		return next, upToDate, err
	}
	head, entries, err := s.readFeed(at, batch)
	if err != nil {
		return at, behind, err
	}
	if head.n < at.n || head.n == at.n && head.mark != at.mark || head.n > at.n && len(entries) == 0 {
		next, err = s.resync(at, batch)
		return next, missed, err
	}
	for _, e := range entries {
		if e.n != at.n+1 || e.after != at.mark {
			next, err = s.resync(at, batch)
			return next, missed, err
		}
		at.n, at.mark = e.n, e.mark
		what, err := parseTouched(e.what)
		s.raiseFloors(what, false) // first: to hasLost, what was passed is known
		s.passed.add(at)
		if err != nil {
			// Whatever it says, everything is read again.
			s.log.Error("reading the change feed", "store", s.where, "error", err)
			s.reset(store.Position(e.n))
		} else {
			s.takeIn(store.Position(e.n), what)
		}
	}
	if at.n < head.n {
		return at, behind, nil
	}
	return at, upToDate, nil
}

// readFeed returns the head of the feed and the entries after at, batch of them at most,
// or none if none come for a while.
func (s *Store) readFeed(at cursor, batch int) (head cursor, entries []entry, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, feedBlock+s.budget)
	defer cancel()
	last := s.readHead()
	read := redis.NewXStreamSliceCmd(noContext, "xread", "count", batch, "block", feedBlock.Milliseconds(),
		"streams", s.keys.feed, streamID(at.n))
	p := s.feed.Pipeline()
	p.Process(ctx, last)
	p.Process(ctx, read)
	execute(ctx, p)
	values, err := last.Result()
	if err != nil {
		return cursor{}, nil, s.keys.named(last, plain(err))
	}
	if head, err = toCursor(values); err != nil {
		return cursor{}, nil, err
	}
	if err := read.Err(); err != nil && !isNil(err) {
		return cursor{}, nil, s.keys.named(read, plain(err))
	}
	for _, stream := range read.Val() {
		for _, m := range stream.Messages {
			e, err := toEntry(m)
			if err != nil {
				return cursor{}, nil, err
			}
			entries = append(entries, e)
		}
	}
	return head, entries, nil
}

// readHead returns the command that reads the position and the mark of the feed's last entry.
func (s *Store) readHead() *redis.SliceCmd {
	return redis.NewSliceCmd(noContext, "hmget", s.keys.head, "n", "mark")
}

// toEntry reads an entry.
func toEntry(m redis.XMessage) (e entry, err error) {
	if e.n, err = streamNumber(m.ID); err != nil {
		return e, fmt.Errorf("an entry of the feed is called %q", m.ID)
	}
	e.mark, _ = m.Values["mark"].(string)
	e.after, _ = m.Values["after"].(string)
	e.what, _ = m.Values["what"].(string)
	return e, nil
}

// toCursor reads a position and its mark.
func toCursor(values []any) (c cursor, err error) {
	if len(values) != 2 {
		return c, errValue
	}
	n, _ := values[0].(string)
	c.mark, _ = values[1].(string)
	c.known = true
	if n != "" {
		c.n, err = strconv.ParseUint(n, 10, 64)
	}
	return c, err
}

// resync continues at the end of the feed when it isn't known what was missed on the
// way, and tells the watchers so. If the feed ends before at, a server has lost changes
// that were seen here: the feed is then made to go on after at, so that no position is
// used twice and the other gateways notice, too. Each says so: an operator may ask any of
// them.
func (s *Store) resync(at cursor, batch int) (end cursor, err error) {
	seen, mark := at.n, at.mark
	if told := uint64(s.told.position()); told > seen {
		seen, mark = told, ""
	}
	cmd := eval(scriptRaise, []string{s.keys.head, s.keys.feed}, newMark(), strconv.FormatUint(seen, 10), mark, feedLength)
	if err := s.send(s.ctx, cmd); err != nil {
		return at, err
	}
	values, err := cmd.Slice()
	if err != nil {
		return at, err
	}
	if len(values) != 3 {
		return at, errValue
	}
	if end, err = toCursor(values[:2]); err != nil {
		return at, err
	}
	left := int64(-1)
	if at.known {
		if left, err = s.skip(s.ctx, at, end, batch); err != nil {
			return at, err
		}
	}
	switch ended, _ := values[2].(int64); {
	case !at.known:
	case uint64(ended) < end.n: // and was made to go on
		s.lostFeed(seen, ended)
	case left >= 0: // and has gone on since, or another gateway has made it go on
		s.lostFeed(at.n, left)
	default:
		s.log.Warn("changes may have been missed: everything held is read again", "store", s.where, "followed", at.n, "feed", end.n)
	}
	s.passed.begin(end)
	s.reset(store.Position(end.n))
	return end, nil
}

// raiseFloors remembers the versions that a change has given to records. passedOver says
// that the feed was followed past this change without taking it in: later changes, which
// may have deleted its tokens, may have been missed as well.
func (s *Store) raiseFloors(what []touched, passedOver bool) {
	for _, t := range what {
		to := floor{version: t.version, gone: t.gone}
		if t.isOwner {
			s.floors.raise(ownerFloor(t.owner), to)
		} else {
			to.doubted = passedOver
			s.floors.raise(tokenFloor(t.digest), to)
		}
	}
}

// skip raises the floors for the changes up to a place in the feed that were not taken in.
// It reads back from there, batch entries at a time, until it meets one that was: one with
// the same mark, for a server that has lost changes uses their positions again. If entries in
// between are gone, or too many, any of them may have deleted any token.
//
// If the feed has lost the entry at, which was followed, skip returns the position of the last
// one before it that is left, and -1 otherwise.
func (s *Store) skip(ctx context.Context, at, to cursor, batch int) (left int64, err error) {
	left = -1
	var what []touched // the last first
	from, mark, gap := streamID(to.n), to.mark, false
	for done := s.passed.has(to); !done; {
		cmd := redis.NewXMessageSliceCmd(noContext, "xrevrange", s.keys.feed, from, "-", "count", batch)
		if err := s.send(ctx, cmd); err != nil {
			return left, err
		}
		entries := cmd.Val()
		for i := 0; i < len(entries) && !done; i++ {
			e, err := toEntry(entries[i])
			gap = gap || err != nil || e.mark != mark
			if left < 0 && err == nil {
				left = at.leftBy(e)
			}
			if done = s.passed.has(cursor{n: e.n, mark: e.mark}); done {
				continue
			}
			more, err := parseTouched(e.what)
			gap = gap || err != nil
			what = append(what, more...)
			from, mark = "("+entries[i].ID, e.after
		}
		switch {
		case done:
		case len(what) > floorsKept:
			gap, done = true, true
		case len(entries) < batch: // the feed begins here; the entry before may have been taken in, and trimmed
			gap, done = gap || mark != "" && !s.passed.knows(mark), true
		}
	}
	slices.Reverse(what)
	s.raiseFloors(what, false)
	if gap {
		s.floors.doubtAbsence()
	}
	return left, nil
}

// leftBy says, of an entry that is read back from the end of the feed and isn't behind this one,
// how much is left before this one if it shows that this one is lost: it is older, or the feed
// begins with it. Trimming takes the oldest entries first. -1: it shows nothing.
func (c cursor) leftBy(e entry) int64 {
	switch {
	case c.n == 0, e.n == c.n && e.mark == c.mark:
		return -1
	case e.n < c.n:
		return int64(e.n)
	case e.after == "":
		return 0
	}
	return -1
}

// skipToEnd is skip up to the end of the feed.
func (s *Store) skipToEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	head := s.readHead()
	if err := s.send(ctx, head); err != nil {
		return err
	}
	end, err := toCursor(head.Val())
	if err != nil {
		return err
	}
	_, err = s.skip(ctx, cursor{}, end, feedMost)
	return err
}
