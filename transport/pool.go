package transport

import (
	"slices"
	"sync"
	"time"
)

// key is where a connection leads.
type key struct{ network, addr string }

// pool keeps idle connections. Those used last are used first, so that the
// others grow old enough to be closed.
type pool struct {
	mu     sync.Mutex
	conns  map[key][]*conn // the one used last is last
	sweep  *time.Timer     // closes those that are too old; nil: it isn't needed
	closed bool
}

// take returns a connection that is fit for use, or nil.
func (p *pool) take(k key, timeout time.Duration) *conn {
	for {
		p.mu.Lock()
		list := p.conns[k]
		if len(list) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := list[len(list)-1]
		list[len(list)-1] = nil
		p.conns[k] = list[:len(list)-1]
		p.mu.Unlock()
		if (timeout <= 0 || time.Since(c.kept) < timeout) && c.idle() {
			return c
		}
		c.Close()
	}
}

// put keeps a connection, or closes it.
func (p *pool) put(c *conn, most int, timeout time.Duration) {
	c.kept = time.Now()
	p.mu.Lock()
	list := p.conns[c.key]
	if p.closed || c.raw == nil || len(list) >= most {
		p.mu.Unlock()
		c.Close()
		return
	}
	if p.conns == nil {
		p.conns = map[key][]*conn{}
	}
	p.conns[c.key] = append(list, c)
	if p.sweep == nil && timeout > 0 {
		p.sweep = time.AfterFunc(timeout, func() { p.clean(timeout) })
	}
	p.mu.Unlock()
}

// clean closes what has been idle for too long, and comes again for the rest.
func (p *pool) clean(timeout time.Duration) {
	var old []*conn
	p.mu.Lock()
	oldest := time.Duration(0)
	for k, list := range p.conns {
		n := 0
		for n < len(list) && time.Since(list[n].kept) >= timeout {
			n++
		}
		old = append(old, list[:n]...)
		if n == len(list) {
			delete(p.conns, k)
			continue
		}
		p.conns[k] = slices.Delete(list, 0, n)
		oldest = max(oldest, time.Since(p.conns[k][0].kept))
	}
	p.sweep = nil
	if len(p.conns) > 0 {
		p.sweep = time.AfterFunc(max(timeout-oldest, time.Millisecond), func() { p.clean(timeout) })
	}
	p.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	conns := p.conns
	p.closed, p.conns = true, nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	for _, list := range conns {
		for _, c := range list {
			c.Close()
		}
	}
}
