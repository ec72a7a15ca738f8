package cache

// Stats is what a cache holds and what it has done since it was made.
type Stats struct {
	Held    int // tokens
	Unknown int // digests remembered as unknown

	// The answers of Get.
	Hits         uint64 // Held
	NegativeHits uint64 // Unknown
	Misses       uint64 // Absent or Lapsed

	// The reads of the store, by how they ended.
	Found    uint64
	NotFound uint64
	Errors   uint64 // the store couldn't be read
	Outdated uint64 // discarded: the token or its owner changed meanwhile

	Coalesced uint64 // waits for a read that another Fetch had started
	Stale     uint64 // Fetches that a held token served because the store couldn't be read
	Evicted   uint64 // held tokens evicted for lack of room
}

// Stats returns the figures of the whole cache.
func (c *Cache) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		sum = sum.Plus(c.shards[i].figures())
	}
	return sum
}

// Plus returns the sum of the figures of two caches.
func (s Stats) Plus(t Stats) Stats {
	return Stats{
		Held:         s.Held + t.Held,
		Unknown:      s.Unknown + t.Unknown,
		Hits:         s.Hits + t.Hits,
		NegativeHits: s.NegativeHits + t.NegativeHits,
		Misses:       s.Misses + t.Misses,
		Found:        s.Found + t.Found,
		NotFound:     s.NotFound + t.NotFound,
		Errors:       s.Errors + t.Errors,
		Outdated:     s.Outdated + t.Outdated,
		Coalesced:    s.Coalesced + t.Coalesced,
		Stale:        s.Stale + t.Stale,
		Evicted:      s.Evicted + t.Evicted,
	}
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
