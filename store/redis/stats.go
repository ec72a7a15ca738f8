package redis

import "sync/atomic"

// Stats is what a Store has done since it was opened.
type Stats struct {
	Changes uint64 // taken in from the feed, this gateway's own included
	Resets  uint64 // times that watchers were told to read everything again
	// Lost counts reads that showed an older record than this process had seen, or no record of
	// a token that is listed, and times that the feed ended before the position followed.
	Lost uint64
}

type counters struct{ Changes, Resets, Lost atomic.Uint64 }

// Stats returns the figures.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{Changes: c.Changes.Load(), Resets: c.Resets.Load(), Lost: c.Lost.Load()}
}
