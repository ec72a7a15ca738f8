package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

// tidy ends the changes that their processes have left behind.
func (s *Store) tidy(ctx context.Context) error {
	all, err := s.abandonedChanges(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := s.endAbandoned(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

const (
	// abandonedAfter is the age at which no process is still at work on a change.
	abandonedAfter = 10 * time.Second
	// aheadOfTime is how far in the future a change may have begun because the clocks of
	// servers differ. If it is further ahead, it was dated by another server, or before the
	// clock was set back: its age isn't known, and it counts as old.
	aheadOfTime = 5 * time.Second
	// lateness is how long an intent may be on its way to a server of a Cluster:
	// see undo. One that comes even later also reads as if it weren't there, until a
	// change of the token or Check clears it away.
	lateness = time.Minute
)

// abandoned is a change that its process has left behind.
type abandoned struct {
	mark    string
	digests []token.Digest
}

func (s *Store) abandonedChanges(ctx context.Context) (all []abandoned, err error) {
	entries := redis.NewMapStringStringCmd(noContext, "hgetall", s.keys.changes)
	clock := redis.NewTimeCmd(noContext, "time")
	if err := s.send(ctx, entries, clock); err != nil {
		return nil, err
	}
	for mark, e := range entries.Val() {
		state, began, digests, ok := parseEntry(e)
		limit := abandonedAfter
		if state == aborted && s.cluster != nil {
			limit = lateness
		}
		if age := clock.Val().Sub(began); ok && age < limit && age > -aheadOfTime {
			continue
		}
		all = append(all, abandoned{mark, digests})
	}
	return all, nil
}

// parseEntry reads an entry of changes: see scriptBegin.
func parseEntry(e string) (state string, began time.Time, digests []token.Digest, ok bool) {
	fields := strings.SplitN(e, " ", 4)
	if len(fields) != 4 || len(fields[3])%len(token.Digest{}) != 0 {
		return "", time.Time{}, nil, false
	}
	ms, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return "", time.Time{}, nil, false
	}
	for d := range slices.Chunk([]byte(fields[3]), len(token.Digest{})) {
		digests = append(digests, token.Digest(d))
	}
	return fields[0], time.UnixMilli(ms), digests, true
}

// endAbandoned ends a change that was left behind: aborts it unless it is committed.
func (s *Store) endAbandoned(ctx context.Context, l abandoned) error {
	state, err := s.abort(ctx, l.mark)
	if err != nil {
		return err
	}
	var writes []write
	for some := range slices.Chunk(l.digests, step) {
		values, err := s.values(ctx, some)
		if err != nil {
			return err
		}
		for i, d := range some {
			w := write{d, values[i], values[i]} // another gateway has finished it; it is written again, so that replicas confirm it
			if mark, before, after, ok := splitIntent(values[i]); ok && mark == l.mark {
				w = write{d, before, after}
			}
			writes = append(writes, w)
		}
	}
	return s.end(ctx, l.mark, writes, state)
}
