package redis

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// losses are what Redis was found to have lost lately, by name: a record, a list or the feed.
type losses struct {
	mu   sync.Mutex
	by   map[string]*loss
	last *loss
}

type loss struct {
	at, logged time.Time // when it was met, and logged, last
	err        error
}

const (
	// lossShown is how long after a loss was met the store counts as impaired. Clients that
	// have such a token usually try again within that time.
	lossShown = time.Minute
	// lossLogged is the time between two log entries for one loss, so that a token that is
	// asked for all the time doesn't bury the others.
	lossLogged = 10 * time.Minute
)

// add notes that a loss was met, and reports whether to log it.
func (l *losses) add(what string, err error) (log bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, now := l.by[what], time.Now()
	if one == nil {
		if l.by == nil {
			l.by = map[string]*loss{}
		}
		one = new(loss)
		l.by[what] = one
	}
	one.at, one.err, l.last = now, err, one
	if log = now.Sub(one.logged) >= lossLogged; log {
		one.logged = now
	}
	return log
}

// lately returns the losses met lately as one error, or nil.
func (l *losses) lately() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for what, one := range l.by {
		switch ago := time.Since(one.at); {
		case ago < lossShown:
			n++
		case ago >= lossLogged:
			delete(l.by, what)
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return l.last.err
	}
	return fmt.Errorf("%w; and %d more, which the log names", l.last.err, n-1)
}

// reportLoss notes a loss, and logs it unless it was logged lately.
func (s *Store) reportLoss(what string, err error, attrs ...any) {
	if s.losses.add(what, err) {
		s.log.Error(err.Error(), append([]any{"store", s.where}, attrs...)...)
	}
}

// remedy is what an operator can do about a record of which Redis has lost a change.
type remedy string

const (
	endIt  remedy = "revoke or delete the token, or disable the owner, to go on"
	remake remedy = "import the token again, or restart the gateways, to go on"
	// restore is for a token that is listed.
	restore remedy = "restore the server that had the token, or let patgate store check --repair take it off the list, and import it again"
)

// lost counts and reports that Redis shows an older record than it has shown, or none.
func (s *Store) lost(what string, then remedy) error {
	s.stats.Lost.Add(1)
	if s.losses.add(what, fmt.Errorf("redis has lost a change of %s: %s", what, then)) {
		s.log.Error("redis has lost a change: it shows an older record than before, or none, and that is not used; "+string(then)+", and look at persistence and replication of the server",
			"store", s.where, "record", what, "times", s.stats.Lost.Load())
	}
	return fmt.Errorf("%w: %s", errLost, then)
}

// lostFeed counts and reports that the feed ends at position left, before the position
// followed: Redis has lost whatever was changed in between.
func (s *Store) lostFeed(followed uint64, left int64) {
	const text = "REDIS HAS LOST CHANGES that this gateway has heard of: tokens that it has no more are answered 401, and a gateway that is started doesn't know what was revoked. Was it emptied, restarted without appendonly, or replaced? Stop the gateways, and restore it, or import the tokens again"
	s.stats.Lost.Add(1)
	s.log.Error(text, "store", s.where, "followed", followed, "redis", left)
	told := fmt.Sprintf("%s: %s (change %d was followed, and %d was the last)", time.Now().UTC().Format(time.RFC3339), text, followed, left)
	s.lostAll.Store(&told)
	s.losses.add("the feed", errors.New(told))
}
