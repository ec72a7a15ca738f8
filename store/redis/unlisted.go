package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// errUnlisted is why some tokens can't be managed.
var errUnlisted = errors.New("REDIS HAS LOST A LIST OF TOKENS: tokens serve that are not on it, and can't be revoked by their id, or by their owner. Does Redis evict keys? " +
	"Let patgate store check --repair put them back")

// served is a sample of the records that Find has returned lately.
type served struct {
	wanted  atomic.Int32 // how many more the sample takes
	mu      sync.Mutex
	records []record
}

func (v *served) add(r record) {
	if v.wanted.Load() <= 0 || v.wanted.Add(-1) < 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.records = append(v.records, r)
}

// take returns the sample, and begins another one of so many records.
func (v *served) take(n int) []record {
	v.mu.Lock()
	defer v.mu.Unlock()
	sample := v.records
	v.records = nil
	v.wanted.Store(int32(n))
	return sample
}

// sweepServed looks, as long as the store is open, whether tokens that are found are listed.
// It is a goroutine of its own, so that what stops sweepListed doesn't stop it, nor the reverse.
func (s *Store) sweepServed() {
	var unlisted []record
	for sleep(s.ctx, sweepInterval) == nil {
		var err error
		if unlisted, err = s.lookForUnlisted(s.ctx, unlisted); err != nil {
			s.warnOfDamage(err)
		}
	}
}

// lookForUnlisted returns the tokens of the sample that aren't listed, and reports the loss.
// before is what it returned the last time: these are looked for until they are listed,
// whether or not anybody asks for them.
func (s *Store) lookForUnlisted(ctx context.Context, before []record) (unlisted []record, err error) {
	sample := append(before, s.served.take(sweepStep-len(before))...)
	listed, err := s.areListed(ctx, sample)
	if err != nil {
		return before, err
	}
	for i, r := range sample {
		if listed[i] || slices.ContainsFunc(unlisted, func(u record) bool { return u.raw == r.raw }) {
			continue
		}
		// Only if the record is the same after the look as before it, no change came between.
		now, err := s.find(ctx, r.token.Digest)
		if err != nil || now.raw != r.raw {
			continue
		}
		unlisted = append(unlisted, r)
		s.reportLoss("the lists of tokens", errUnlisted, "token", r.token.ID, "owner", r.token.Owner)
	}
	return unlisted, nil
}

// areListed reports which tokens are in the index of ids and in that of their owner. It uses
// the command of lists, which the redis user is allowed anyway.
func (s *Store) areListed(ctx context.Context, all []record) ([]bool, error) {
	var cmds []*redis.StringSliceCmd
	in := func(index, member string) {
		cmds = append(cmds, redis.NewStringSliceCmd(noContext, "zrangebylex", index, "["+member, "["+member))
	}
	for _, r := range all {
		in(s.keys.ids, idEntry(r.token.ID, r.token.Digest))
		in(s.keys.own(r.token.Owner), r.token.ID)
	}
	if len(cmds) == 0 {
		return nil, nil
	}
	if err := s.send(ctx, cmders(cmds)...); err != nil {
		return nil, err
	}
	listed := make([]bool, len(all))
	for i := range all {
		listed[i] = len(cmds[2*i].Val()) > 0 && len(cmds[2*i+1].Val()) > 0
	}
	return listed, nil
}
