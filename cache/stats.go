package cache

// Stats is what a cache holds and what it has done since it was made.
type Stats struct {
	Held    int // tokens
	Unknown int // digests remembered as unknown

	// The answers of Get.
	Hits         uint64 // Held
	NegativeHits uint64 // Unknown
	Misses       uint64 // Absent

	// The reads of the store, by how they ended.
	Found    uint64
	NotFound uint64
	Errors   uint64 // the store couldn't be read
	Outdated uint64 // thrown away: what was being read changed meanwhile

	Coalesced uint64 // waits for a read that another Fetch had started
	Stale     uint64 // Fetches that a held token served because the store couldn't be read
	Evicted   uint64 // held tokens pushed out for want of room
}

// Stats returns the figures of the whole cache.
func (c *Cache) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.stats.Held, s.stats.Unknown = s.held.Len(), s.unknown.Len()
		sum.add(&s.stats)
		s.mu.Unlock()
	}
	return sum
}

func (s *Stats) add(t *Stats) {
	s.Held += t.Held
	s.Unknown += t.Unknown
	s.Hits += t.Hits
	s.NegativeHits += t.NegativeHits
	s.Misses += t.Misses
	s.Found += t.Found
	s.NotFound += t.NotFound
	s.Errors += t.Errors
	s.Outdated += t.Outdated
	s.Coalesced += t.Coalesced
	s.Stale += t.Stale
	s.Evicted += t.Evicted
}

// count counts an answer of Get.
func (s *Stats) count(a Answer) {
	switch a {
	case Held:
		s.Hits++
	case Unknown:
		s.NegativeHits++
	default:
		s.Misses++
	}
}

// Plus returns the sum of two caches' figures.
func (s Stats) Plus(t Stats) Stats {
	s.add(&t)
	return s
}
