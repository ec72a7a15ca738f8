package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	beatInterval = time.Second
	beatLimit    = 3 * beatInterval // without a good beat for so long, the feed isn't trusted
)

// pulse is a beat that the server has taken.
type pulse struct {
	sent     time.Time
	followed uint64 // the position followed when it was sent
	head     cursor // the end of the feed, on the server that took it
}

// beats is what is known from one beat to the next.
type beats struct {
	last     pulse
	refused  bool      // the server takes none, though it answers
	unproven time.Time // since when it takes them without the feed's having shown that it comes from it

	rights, setup time.Time // when they were looked at last
}

// beat says, every second and soon after each change, how far this gateway
// follows, and does what has to be done from time to time.
func (s *Store) beat() {
	ticker := time.NewTicker(beatInterval)
	defer ticker.Stop()
	var b beats
	for due := true; s.ctx.Err() == nil; {
		err := s.beatOnce(&b)
		if due {
			s.lookAfter(&b, err)
		}
		select {
		case <-ticker.C:
			due = true
		case <-s.beatSoon:
			due = false
		case <-s.ctx.Done():
		}
	}
}

// beatOnce sends a beat, and draws the conclusions from whether the server takes it.
func (s *Store) beatOnce(b *beats) error {
	now, err := s.sendBeat(s.ctx)
	proven := s.prove(b.last)
	switch {
	case err == nil && s.alone(s.ctx) && s.outvoted(s.ctx):
		s.cutOff.Store(true) // a master takes writes for a while when all others have gone
	case err == nil:
		b.last = now
		s.cutOff.Store(false)
		proven = s.prove(now) || proven
	case takesNoWrites(err):
		s.cutOff.Store(s.outvoted(s.ctx))
	}
	switch {
	case proven || err != nil:
		b.unproven = time.Time{}
	case b.unproven.IsZero():
		b.unproven = now.sent
	case s.unbeaten() && now.sent.Sub(b.unproven) > beatLimit:
		s.log.Warn("the change feed doesn't come from the server that changes go to: it is asked for anew", "store", s.where)
		s.reopen.Store(true)
		b.unproven = now.sent
	}
	b.refused = s.logRefusal(b.refused, err)
	s.refusal.Store(&err)
	return err
}

// lookAfter looks after servers and changes. err is that of the last beat.
func (s *Store) lookAfter(b *beats, err error) {
	if (err == nil || forbidden(err)) && (s.denied.Load() != nil || time.Since(b.rights) > rightsInterval) {
		s.lookAtRights(s.ctx)
		b.rights = time.Now()
	}
	if err != nil {
		return
	}
	if err := s.countAllReplicas(s.ctx); err != nil {
		s.log.Debug("counting replicas", "store", s.where, "error", err)
	}
	if err := s.tidy(s.ctx); err != nil {
		s.log.Debug("ending changes that were left behind", "store", s.where, "error", err)
	}
	if time.Since(b.setup) > setupInterval && s.warn(s.ctx) == nil {
		b.setup = time.Now()
	}
}

// beatNow has the next beat come soon.
func (s *Store) beatNow() {
	select {
	case s.beatSoon <- struct{}{}:
	default:
	}
}

// sendBeat says how far this gateway follows.
func (s *Store) sendBeat(ctx context.Context) (p pulse, err error) {
	p = pulse{sent: time.Now(), followed: uint64(s.told.position())}
	cmd := eval(scriptBeat, []string{s.keys.gateways, s.keys.head}, s.name, p.followed, time.Duration(s.holds.Load()).Milliseconds(), s.passed.at(p.followed))
	if err := s.send(ctx, cmd); err != nil {
		return p, err
	}
	values, err := cmd.Slice()
	if err != nil {
		return p, err
	}
	p.head, err = toCursor(values)
	return p, err
}

// logRefusal reports whether the server takes no beats although it answers, and logs when
// that begins and when it ends. A server that doesn't answer at all is logged elsewhere.
func (s *Store) logRefusal(before bool, err error) bool {
	_, answers := errors.AsType[redis.Error](err)
	now := err != nil && (before || answers || s.unbeaten())
	switch {
	case now && !before:
		s.log.Warn("the redis server doesn't take what this gateway writes: changes made by others can't be heard for certain, and what is held isn't used without asking", "store", s.where, "error", err)
	case before && err == nil:
		s.log.Info("the redis server takes what this gateway writes again", "store", s.where)
	}
	return now
}

// prove reports whether a beat counts, and notes it if so. It counts once the feed has
// passed the entry that was the last one on the server that took the beat: then both
// are the same server. If Sentinels disagree, they may be two.
func (s *Store) prove(p pulse) bool {
	ok := !p.sent.IsZero() && p.head.n >= p.followed && s.passed.has(p.head)
	if ok {
		s.beaten.Store(&p.sent)
	}
	return ok
}
