package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Find implements store.Store. It is one round trip, shared with other calls;
// a second one for a retired secret, and for an owner whose record isn't known
// here yet.
func (s *Store) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	if err := s.believed(); err != nil {
		return store.Found{}, s.reading("a token", err)
	}
	// Whatever is read from here on shows every change up to this position.
	position := s.told.position()
	r, err := s.find(ctx, d)
	if err != nil {
		return store.Found{}, err
	}
	return s.withOwner(ctx, s.foundBy(d, r, position))
}

// foundBy returns what is known of the token with the digest d.
func (s *Store) foundBy(d token.Digest, r record, at store.Position) store.Found {
	s.served.add(r)
	f := store.Found{Token: r.token, Position: at}
	if beaten := s.beaten.Load(); beaten == nil {
		f.AsOf = time.Unix(0, 0) // other gateways don't know of this one yet, and don't wait for it
	} else if s.cutOff.Load() || time.Since(*beaten) > beatLimit {
		f.AsOf = s.Heard() // another server may be the master by now, or other gateways count this one as gone: see lives
	}
	if f.Current = r.token.Digest == d; !f.Current {
		f.Until, _ = r.token.RetiredUntil(d)
	}
	return f
}

// withOwner completes f with the record of the token's owner.
func (s *Store) withOwner(ctx context.Context, f store.Found) (_ store.Found, err error) {
	if s.cachedOwner(&f) {
		return f, nil
	}
	if f.Owner, err = s.readOwner(ctx, f.Token.Owner); err != nil {
		return store.Found{}, err
	}
	return f, nil
}

// find returns the live record of the token that has d, now or retired.
func (s *Store) find(ctx context.Context, d token.Digest) (record, error) {
	var last string
	for range maxLooks {
		first, err := s.record(ctx, d)
		if err != nil {
			return record{}, s.reading("a token", err)
		}
		r := first
		for hops := 0; r.pointer() && hops < maxLooks; hops++ {
			if r, err = s.record(ctx, r.target); err != nil {
				return record{}, s.reading("a token", err)
			}
		}
		switch {
		case first.raw == "":
			return record{}, store.ErrNotFound
		case first.live() && first.token.Digest != d:
			return record{}, fmt.Errorf("token %q: %w", first.token.ID, errValue)
		case r.live() && slices.Contains(r.token.Digests(), d):
			return r, nil
		case first.raw == last:
			// A retired secret that its token doesn't list any more.
			return record{}, store.ErrNotFound
		}
		last = first.raw // the token has changed between the reads, or the next look shows that it hasn't
	}
	return record{}, s.reading("a token", errBusy)
}

// record returns what the key of a digest holds, as far as it is committed, or
// errLost if that is older than it should be.
func (s *Store) record(ctx context.Context, d token.Digest) (record, error) {
	floor := s.floors.of(tokenFloor(d)) // before the read, which must show that change
	r, err := s.look(ctx, d)
	if err != nil {
		return record{}, err
	}
	if r.raw == "" && !s.hears() {
		if err := s.caughtUp(ctx); err != nil {
			return record{}, err
		}
	}
	lost, err := s.hasLost(ctx, tokenFloor(d), floor.allows(r.raw != "", r.version), r.raw != "")
	if err != nil {
		return record{}, err
	}
	if lost && r.raw == "" && s.floors.of(tokenFloor(d)).version > floor.version {
		return s.record(ctx, d) // it has been made meanwhile
	}
	if lost {
		switch {
		case r.raw == "":
			return record{}, s.lost("a token, which isn't there", remake)
		case r.token != nil:
			return record{}, s.lost(fmt.Sprintf("token %q", r.token.ID), endIt)
		}
		return record{}, s.lost("a token", endIt)
	}
	if r.raw == "" && s.missing.has(d) {
		return record{}, s.lost("a token, which isn't there", restore)
	}
	return r, nil
}
