package redis

import (
	"sync/atomic"

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
}

// Stats returns the figures.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{Changes: c.Changes.Load(), Resets: c.Resets.Load(), Lost: c.Lost.Load()}
}
