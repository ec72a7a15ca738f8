package redis

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what a Store has done since it was opened.
type Stats struct {
	Changes uint64 // taken in from the feed, own ones included
	Resets  uint64 // times that watchers were told to read everything again
	Lost    uint64 // reads that showed an older record than this process had seen, or none of a token that is listed, and times that the feed ended before what it had followed
}

type counters struct {
	Changes, Resets, Lost atomic.Uint64
	losses                losses
}

// losses are the records that reads showed older than this process had seen them, by what
// they are called.
type losses struct {
	mu   sync.Mutex
	by   map[string]*loss
	last *loss
}

type loss struct {
	at, logged time.Time // the last time that it was read, and that it was logged
	err        error
}

const (
	// lossShown is how long after the last such read it is told that not all of the store
	// can be used. Whoever has such a token usually tries again.
	lossShown = time.Minute
	// lossLogged is how long a record isn't logged again: nobody is to look for the others
	// between the lines of one that is asked for every moment.
	lossLogged = 10 * time.Minute
)

// add adds a read of a record, and reports whether it is to be logged.
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

// lately returns what Redis has lost of late, as far as anybody has asked for it.
func (l *losses) lately() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := 0
	for what, one := range l.by {
		switch ago := time.Since(one.at); {
		case ago < lossShown:
			records++
		case ago >= lossLogged:
			delete(l.by, what)
		}
	}
	switch records {
	case 0:
		return nil
	case 1:
		return l.last.err
	}
	return fmt.Errorf("%w; and %d more, which the log names", l.last.err, records-1)
}

// Stats returns the figures.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{Changes: c.Changes.Load(), Resets: c.Resets.Load(), Lost: c.Lost.Load()}
}
