package redis

import "time"

// Heard implements store.Shared. A master that was cut off from the others still answers,
// and knows nothing of their changes. So it must also have taken a beat of this gateway
// lately: min-replicas-to-write makes such a master refuse it. A beat counts only if the
// feed comes from the same server: see prove.
func (s *Store) Heard() time.Time {
	heard, beaten := s.heard.Load(), s.beaten.Load()
	switch {
	case heard == nil || beaten == nil:
		return time.Time{}
	case s.cutOff.Load() && heard.After(*beaten), heard.Sub(*beaten) > beatLimit:
		return *beaten
	}
	return *heard
}

// trustedFor is how long after the feed was heard what is in memory is used without asking
// Redis.
const trustedFor = time.Second

// hears reports whether changes are heard.
func (s *Store) hears() bool { return time.Since(s.Heard()) < trustedFor }

// unheardFor returns why changes aren't heard, as far as the last beat and the last read of
// the feed show; nil: they show nothing.
func (s *Store) unheardFor() error {
	if s.cutOff.Load() {
		return errCutOff
	}
	for _, last := range []*error{s.refusal.Load(), s.feedError.Load()} {
		if last != nil && *last != nil {
			return *last
		}
	}
	return nil
}

// unbeaten reports whether the feed is heard, and no beat has counted for too long.
func (s *Store) unbeaten() bool {
	heard, beaten := s.heard.Load(), s.beaten.Load()
	return heard != nil && beaten != nil && time.Since(*heard) < beatInterval && heard.Sub(*beaten) > beatLimit
}

// heardLately reports whether the feed was heard so lately that every owner's record deleted
// since still leaves a version: see ownerGone.
func (s *Store) heardLately() bool {
	heard := s.heard.Load()
	return heard != nil && time.Now().Round(0).Sub(*heard) < ownerGone*time.Second/2 // by the wall clock: a machine may have been suspended
}
