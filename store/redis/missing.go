package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

const (
	sweepInterval = 4 * time.Second
	sweepStep     = 32          // listed tokens looked for at a time
	sweepAgain    = time.Minute // from one look at all of them to the next
	missingKept   = 100_000     // at most
)

// errMissing is why some tokens aren't served.
var errMissing = errors.New("REDIS HAS LOST TOKENS that it still lists: they are answered 503. Has a server of the Cluster come back empty, or does Redis evict keys? " +
	"Restore what it had, or let patgate store check --repair take them off the list, and import them again")

// missing are tokens that are listed and have no record: Redis has lost it. No change and no
// older record shows that, so their absence doesn't mean that they are unknown.
type missing struct {
	mu    sync.Mutex
	ids   map[token.Digest]string
	order []token.Digest // the order in which to look for them again
}

// listed is an entry of the index of ids.
type listed struct {
	id     string
	digest token.Digest
}

func (m *missing) has(d token.Digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, is := m.ids[d]
	return is
}

func (m *missing) any() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ids) > 0
}

// add adds tokens, and reports whether one of them wasn't known to be missing.
func (m *missing) add(gone []listed) (more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range gone {
		if _, known := m.ids[t.digest]; known || len(m.ids) >= missingKept {
			continue
		}
		if m.ids == nil {
			m.ids = map[token.Digest]string{}
		}
		m.ids[t.digest], m.order, more = t.id, append(m.order, t.digest), true
	}
	return more
}

// drop forgets tokens that were changed or found: they have a record, or aren't listed any more.
func (m *missing) drop(digests ...token.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range digests {
		delete(m.ids, d)
	}
}

// next returns those that were looked for longest ago, n at most.
func (m *missing) next(n int) (some []listed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	looked := m.order[:min(n, len(m.order))]
	m.order = m.order[len(looked):]
	for _, d := range looked {
		t := listed{m.ids[d], d}
		if _, is := m.ids[d]; is && !slices.Contains(some, t) { // twice: dropped, and missing again
			some, m.order = append(some, t), append(m.order, d)
		}
	}
	return some
}

// sweepListed looks, as long as the store is open, whether the tokens that are listed have
// records: a few at a time and, once one is found missing, all of them in a hurry. Those that are
// missing it looks for again and again, but not all the others: with many gateways that would
// be too much for Redis.
func (s *Store) sweepListed() {
	before, hurry, hurried := "", false, time.Time{}
	for {
		n := step
		if !hurry {
			sleep(s.ctx, sweepInterval)
			n = sweepStep
		}
		last, gone, err := s.lookForListed(s.ctx, before, n)
		if err == nil && !hurry {
			err = s.lookForMissing(s.ctx)
		}
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			s.warnOfDamage(err)
			if hurry {
				sleep(s.ctx, sweepInterval)
			}
			continue
		}
		if before = last; before == "" {
			hurry = false
		}
		if s.missing.add(gone) && !hurry && time.Since(hurried) > sweepAgain {
			before, hurry, hurried = "", true, time.Now()
		}
		if s.missing.any() {
			s.reportLoss("the listed tokens", errMissing)
		}
	}
}

// lookForListed reads the next n tokens of the index, before an id ("": the first), and
// returns those that have no record. last is the id of the last one, "" when there are no more.
func (s *Store) lookForListed(ctx context.Context, before string, n int) (last string, gone []listed, err error) {
	ids, where, err := s.idsPage(ctx, nil, before, n)
	if err != nil {
		return "", nil, err
	}
	if len(ids) == n {
		last = ids[n-1]
	}
	all := make([]listed, len(ids))
	for i, id := range ids {
		all[i] = listed{id, *where[i]}
	}
	gone, err = s.lookFor(ctx, all)
	return last, gone, err
}

// lookForMissing looks for some of the missing tokens again, and drops those that aren't missing
// any more.
func (s *Store) lookForMissing(ctx context.Context) error {
	some := s.missing.next(step)
	still, err := s.lookFor(ctx, some)
	if err != nil {
		return err
	}
	for _, t := range some {
		if !slices.Contains(still, t) {
			s.missing.drop(t.digest)
		}
	}
	return nil
}

// lookFor returns those of the tokens that are still listed and have no record.
func (s *Store) lookFor(ctx context.Context, all []listed) (gone []listed, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	first := make([]*redis.StringCmd, len(all))
	floors := make([]floor, len(all))
	for i, t := range all {
		floors[i] = s.floors.of(tokenFloor(t.digest))
		first[i] = redis.NewStringCmd(noContext, "getrange", s.keys.token(t.digest), 0, 0)
	}
	if err := s.send(ctx, cmders(first)...); err != nil {
		return nil, err
	}
	var absent []int
	var ids []string
	for i, t := range all {
		if first[i].Val() == "" {
			absent, ids = append(absent, i), append(ids, t.id)
		}
	}
	if len(absent) == 0 {
		return nil, nil
	}
	// Between the reads a token may have been deleted and made again: then the feed says so.
	where, err := s.whereAre(ctx, ids...)
	if err == nil {
		err = s.skipToEnd(ctx)
	}
	if err != nil {
		return nil, err
	}
	for j, i := range absent {
		t, now := all[i], s.floors.of(tokenFloor(all[i].digest))
		if where[j] != nil && *where[j] == t.digest && now.version == floors[i].version && !now.gone {
			gone = append(gone, t)
		}
	}
	return gone, nil
}

// warnOfDamage logs that a sweep fails, and reports it as a loss if the error comes from what
// is in Redis: it won't pass by itself.
func (s *Store) warnOfDamage(err error) {
	if s.ctx.Err() != nil {
		return
	}
	s.log.Debug("looking whether the tokens that are listed are there", "store", s.where, "error", err)
	if !errors.Is(err, errValue) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return
	}
	s.reportLoss("the list of tokens",
		fmt.Errorf("what stands in redis keeps patgate from looking whether the tokens that it lists are there (%w): see patgate store check", err))
}
