package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

const (
	sweepInterval = 4 * time.Second
	sweepStep     = 32          // tokens looked for at a time
	sweepAgain    = time.Minute // from one sweep to the next while some are missing
	missingKept   = 100_000     // digests, at most
)

// errMissing is why some tokens aren't served.
var errMissing = errors.New("REDIS HAS LOST TOKENS that it still lists: they are answered 503. Has a server of the Cluster come back empty, or does Redis evict keys? " +
	"Restore what it had, or let patgate store check --repair take them off the list, and import them again")

// missing are tokens that are listed and have no record. That one isn't there says nothing of
// it then: Redis has lost the record, and neither a change of it nor an older one shows that.
type missing struct {
	mu            sync.Mutex
	found, before map[token.Digest]bool // by the sweep under way, and by the one before
}

func (m *missing) has(d token.Digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.found[d] || m.before[d]
}

func (m *missing) any() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.found)+len(m.before) > 0
}

func (m *missing) add(gone []token.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range gone {
		if m.found == nil {
			m.found = map[token.Digest]bool{}
		}
		if len(m.found) < missingKept {
			m.found[d] = true
		}
	}
}

// drop forgets a token that was changed: it is there again, or not listed any more.
func (m *missing) drop(d token.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.found, d)
	delete(m.before, d)
}

// swept begins the next sweep.
func (m *missing) swept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found, m.before = nil, m.found
}

// sweep looks, as long as the store is open, whether the tokens that are listed are there:
// a few at a time, and, while some aren't, all of them every minute.
func (s *Store) sweep() {
	before, hurry, hurried := "", false, time.Time{}
	for {
		n := step
		if !hurry {
			sleep(s.ctx, sweepInterval)
			n = sweepStep
		}
		last, gone, err := s.lookForListed(s.ctx, before, n)
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			s.log.Debug("looking whether the tokens that are listed are there", "store", s.where, "error", err)
			sleep(s.ctx, sweepInterval)
			continue
		}
		s.missing.add(gone)
		if before = last; before == "" {
			s.missing.swept()
			hurry = false
		}
		if s.missing.any() {
			s.warnOfMissing()
			if !hurry && time.Since(hurried) > sweepAgain {
				before, hurry, hurried = "", true, time.Now()
			}
		}
	}
}

// lookForListed reads the next n tokens of the index, before an id ("": the first), and
// returns the digests of those that have no record. last is the id of the last one, "" when
// there are no more.
func (s *Store) lookForListed(ctx context.Context, before string, n int) (last string, gone []token.Digest, err error) {
	ids, where, err := s.idsPage(ctx, nil, before, n)
	if err != nil {
		return "", nil, err
	}
	if len(ids) == n {
		last = ids[n-1]
	}
	first := make([]*redis.StringCmd, len(ids))
	floors := make([]floor, len(ids))
	for i, d := range where {
		floors[i] = s.floors.of(tokenFloor(*d))
		first[i] = redis.NewStringCmd(noContext, "getrange", s.keys.token(*d), 0, 0)
	}
	if err := s.send(ctx, cmders(first)...); err != nil {
		return "", nil, err
	}
	var absent []int
	var those []string
	for i, id := range ids {
		if first[i].Val() == "" {
			absent, those = append(absent, i), append(those, id)
		}
	}
	if len(absent) == 0 {
		return last, nil, nil
	}
	// Between the reads a token may have been deleted, and made again. Then the feed says so.
	still, err := s.whereAre(ctx, those...)
	if err == nil {
		err = s.skipToEnd(ctx)
	}
	if err != nil {
		return "", nil, err
	}
	for j, i := range absent {
		d, now := *where[i], s.floors.of(tokenFloor(*where[i]))
		if still[j] != nil && *still[j] == d && now.version == floors[i].version && !now.gone {
			gone = append(gone, d)
		}
	}
	return last, gone, nil
}

// warnOfMissing logs and tells that tokens are missing.
func (s *Store) warnOfMissing() {
	if s.stats.losses.add("the listed tokens", errMissing) {
		s.log.Error(errMissing.Error(), "store", s.where)
	}
}
