package redis

import (
	"encoding/hex"
	"sync"
)

// passed remembers which entries of the feed were taken in last.
type passed struct {
	mu    sync.Mutex
	marks map[uint64]string // by position
}

// passedKept is how many are remembered: more than come between a beat and the next.
const passedKept = 4096

// begin forgets all entries but this one.
func (p *passed) begin(c cursor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = map[uint64]string{c.n: c.mark}
}

// add adds the next entry.
func (p *passed) add(c cursor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks[c.n] = c.mark
	delete(p.marks, c.n-passedKept)
}

func (p *passed) has(c cursor) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark, ok := p.marks[c.n]
	return ok && mark == c.mark
}

// knows reports whether an entry with this mark is remembered, at whatever position.
func (p *passed) knows(mark string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.marks {
		if m == mark {
			return true
		}
	}
	return false
}

// at returns the mark of the entry with this position, in hexadecimal; "-" if it isn't
// remembered.
func (p *passed) at(n uint64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark, ok := p.marks[n]
	if !ok {
		return "-"
	}
	return hex.EncodeToString([]byte(mark))
}
