package change

import "fmt"

// tidier is a gateway that ends what was left behind: see endAbandoned.
type tidier struct {
	pc    int8
	mark  int8
	found int8
	wait  int8
}

// Where a tidier is.
const (
	tidyIdle = iota
	tidyAbort
	tidyAborted
	tidyEnd
	tidyEndWait
)

func (s *state) tidies() (all []step) {
	t := s.tidy
	to := func(what string, pc int8, f func(*state, *tidier)) {
		all = append(all, s.step("tidy "+what, func(n *state) {
			n.tidy.pc = pc
			f(n, &n.tidy)
		}))
	}
	rest := func(_ *state, t *tidier) { *t = tidier{} }
	switch t.pc {
	case tidyIdle:
		for c := int8(1); c <= s.changes; c++ {
			// Ten seconds old, or a minute where it was aborted in a Cluster: its process
			// has stopped, or nothing is on its way but what a server refuses.
			old := s.c[c].crashed || s.c[c].pc >= pcCommit
			awaited := s.cluster && s.entry(c) == aborted && s.c[c].late&lateIntent != 0
			if s.entry(c) != none && old && !awaited {
				to(fmt.Sprint("takes ", c), tidyAbort, func(_ *state, t *tidier) { t.mark = c })
			}
		}
	case tidyAbort:
		to("aborts it unless it is committed", tidyAborted, func(n *state, t *tidier) { t.found = n.abort(t.mark) })
	case tidyAborted:
		if s.certain(t.mark) && s.entry(t.mark) == t.found {
			to("is certain of it", tidyEnd, func(*state, *tidier) {})
		}
		to("isn't certain of it", tidyIdle, rest)
	case tidyEnd:
		if !s.cluster {
			to("ends it", tidyIdle, func(n *state, t *tidier) { n.end(t.mark, t.found, true); *t = tidier{} })
			break
		}
		to("finishes it", tidyEndWait, func(n *state, t *tidier) {
			t.wait = n.wrote()
			if k := n.t.master; k.mark == t.mark {
				t.wait = n.swap(t.mark, k.before, t.found)
			}
		})
	case tidyEndWait:
		if s.keyConfirmed(t.wait) {
			to("forgets it", tidyIdle, func(n *state, t *tidier) { n.forget(t.mark); *t = tidier{} })
		}
		to("gives up", tidyIdle, rest)
	}
	return all
}

// holder is a gateway that holds the token, and follows the feed.
type holder struct {
	at, mark int8 // its cursor
	holds    int8 // a record, or nothing
	floor    int8 // no older record is believed
	pc       int8 // of a read under way
	least    int8 // the floor when it began
	seen     key
}

const nothing = -1

// Where a read is: see Store.look.
const (
	readNot = iota
	readKey
	readState
	readAgain
)

// has ends the read, with a record.
func (s *state) has(record int8) {
	h := &s.h
	if !s.builtOn(record, h.least) {
		record = nothing // it is lost
	}
	h.holds, h.pc, h.least, h.seen = record, readNot, 0, key{}
}

// hear drops what is held, and the read under way, for what the feed has brought.
func (h *holder) hear(mark int8) {
	h.holds, h.pc, h.least, h.seen = nothing, readNot, 0, key{}
	if mark > 0 {
		h.floor = max(h.floor, mark)
	}
}

func (s *state) holds() (all []step) {
	h, m := s.h, s.m.master
	to := func(what string, f func(*state, *holder)) {
		all = append(all, s.step("gateway "+what, func(n *state) { f(n, &n.h) }))
	}
	switch h.pc {
	case readNot:
		if h.holds == nothing {
			to("begins to read", func(_ *state, h *holder) { h.pc, h.least = readKey, h.floor })
		}
	case readKey:
		if k := s.t.master; k.mark == 0 {
			to("reads a record", func(n *state, _ *holder) { n.has(k.after) })
		} else {
			to("reads an intent", func(_ *state, h *holder) { h.pc, h.seen = readState, k })
		}
	case readState:
		switch s.entry(h.seen.mark) {
		case committed:
			to("finds it committed", func(n *state, h *holder) { n.has(h.seen.after) })
		case none:
			to("finds it ended", func(_ *state, h *holder) { h.pc = readAgain })
		default:
			to("finds it uncommitted", func(n *state, h *holder) { n.has(h.seen.before) })
		}
	case readAgain:
		if s.t.master == h.seen {
			to("finds it there still", func(n *state, h *holder) { n.has(h.seen.before) })
		} else {
			to("reads it again", func(_ *state, h *holder) { h.pc = readKey })
		}
	}
	if m.n < s.seen {
		all = append(all, s.step("another gateway notices a loss", func(n *state) {
			n.raise(n.seen)
			n.seen = 0
		}))
	}
	switch {
	case s.follows():
	case m.n > h.at && (h.at == 0 || m.feed[h.at-1] == h.mark) && m.feed[h.at] != gap:
		to("takes in an entry", func(n *state, h *holder) {
			h.mark = n.m.master.feed[h.at]
			h.at++
			h.hear(h.mark)
		})
	case m.n < most:
		to("notices a loss", func(n *state, h *holder) {
			m := &n.m.master
			if m.n < h.at || m.n == h.at && m.feed[m.n-1] != h.mark {
				n.raise(h.at)
			}
			for _, mark := range m.feed[min(h.at, m.n):m.n] {
				h.hear(mark)
			}
			h.at, h.mark = m.n, m.feed[m.n-1]
			h.hear(0)
		})
	}
	return all
}

// follows reports whether the holder has taken in all of the feed.
func (s *state) follows() bool {
	m := s.m.master
	return m.n == s.h.at && (m.n == 0 || m.feed[m.n-1] == s.h.mark)
}
