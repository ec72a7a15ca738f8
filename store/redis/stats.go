package redis

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Stats is what a Store has done since it was opened.
type Stats struct {
	Changes uint64 // taken in from the feed, own ones included
	Resets  uint64 // times that watchers were told to read everything again
	Lost    uint64 // reads that showed an older record than this process had seen
}

type counters struct {
	Changes, Resets, Lost atomic.Uint64
	lostLog               rate.Sometimes
	lostLast              atomic.Pointer[loss]
}

// loss is a read that showed an older record than this process had seen.
type loss struct {
	at  time.Time
	err error
}

// lossShown is how long after the last such read it is told that not all of the store can
// be used. Whoever has such a token usually tries again.
const lossShown = time.Minute

// lost returns what Redis has lost of late, as far as anybody has asked for it.
func (c *counters) lost() error {
	if l := c.lostLast.Load(); l != nil && time.Since(l.at) < lossShown {
		return l.err
	}
	return nil
}

// Stats returns the figures.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{Changes: c.Changes.Load(), Resets: c.Resets.Load(), Lost: c.Lost.Load()}
}
