// Package change is a model of how tokens are changed in store/redis (steps.go, change.go,
// abandoned.go, look of records.go): changes of one token, a gateway that tidies up, one that
// holds the token and follows the feed, and one or two servers with a replica each, that may
// fail over with loss.
//
// A record is a small number: the change that made it; 0 is what was there at first. What
// a process sends may be carried out and its answer lost, or be carried out later, or
// never; a process may stop for good between any two steps.
package change

import "fmt"

// bounds are what the model is run within.
type bounds struct {
	cluster bool // two servers: one has {P}, the other the token
	overs   int8 // how often each fails over
	changes int8 // 1 or 2
	late    bool // commands may come late
	holding bool // there is a gateway that holds the token
	without string
}

// The states of an entry in {P}:changes.
const (
	none = iota
	pending
	aborted
	committed
)

// key is the token's key: a record, or an intent of the change with a mark.
type key struct{ mark, before, after int8 }

// most is how many entries the feed may have.
const most = 4

// meta is what is kept under {P}.
type meta struct {
	entry [3]int8    // of changes 1 and 2
	index int8       // the record of the change that was committed last
	n     int8       // the position
	feed  [most]int8 // the marks of entries: a change's, or another where a loss was noticed
}

// gap is where no entry has a position.
const gap = -100

// server is a master and its replica. The keys of tokens are on the first one, where
// there is no other.
type server[T any] struct {
	master, replica T
	replicated      bool // there is a replica
	overs           int8
}

type state struct {
	*bounds
	m      server[meta]
	t      server[key]
	c      [3]changer // 1 and 2
	tidy   tidier
	h      holder
	raised int8
	seen   int8 // a position that another gateway has seen, and a fail-over has lost
}

func start(b bounds) state {
	s := state{bounds: &b}
	s.m.replicated, s.t.replicated = true, true
	s.h.holds = nothing
	if s.changes < 2 {
		s.c[2].pc = pcDone
	}
	return s
}

func (s *state) entry(c int8) int8 { return s.m.master.entry[c] }

// What a WAIT is for.
const (
	waitNone = iota // nothing, or what the replica has
	waitMeta        // what the replica of {P} has yet to get
	waitKey         // what the replica of the token has yet to get
	waitLost        // what went to a server that has failed over
)

// wrote is what a WAIT after a write of the token's key is for.
func (s *state) wrote() int8 {
	if s.cluster {
		return waitKey
	}
	return waitMeta
}

// waiting calls f with all that somebody waits for.
func (s *state) waiting(f func(*int8)) {
	for i := range s.c {
		f(&s.c[i].wait)
	}
	f(&s.tidy.wait)
}

// become has all that is waited for, and is from, become to.
func (s *state) become(from, to int8) {
	s.waiting(func(w *int8) {
		if *w == from {
			*w = to
		}
	})
}

func (s *state) waitedFor(what int8) (yes bool) {
	s.waiting(func(w *int8) { yes = yes || *w == what })
	return yes
}

// metaConfirmed reports whether a WAIT after a write under {P} ends well. A new master
// waits for as many replicas as the old one had.
func (s *state) metaConfirmed(wait int8) bool { return s.m.replicated && wait == waitNone }

// keyConfirmed is metaConfirmed for the token's key.
func (s *state) keyConfirmed(wait int8) bool {
	if s.cluster {
		return s.t.replicated && wait == waitNone
	}
	return s.metaConfirmed(wait)
}

// certain reports whether all replicas have the entry of a change as it is, where that is
// asked for: see Store.between.
func (s *state) certain(c int8) bool {
	return !s.cluster || s.without == "confirming how it ended" || s.m.replicated && s.m.replica.entry[c] == s.entry(c)
}

// What follows are the scripts: see scripts.go.

func (s *state) begin(c int8) { s.m.master.entry[c] = pending }

func (s *state) intend(c, before int8) bool {
	k := &s.t.master
	if !s.cluster && s.entry(c) != pending || *k != (key{after: before}) {
		return false
	}
	*k = key{c, before, c}
	return true
}

func (s *state) commit(c int8) bool {
	m := &s.m.master
	switch m.entry[c] {
	case committed:
		return true
	case pending:
		if !s.cluster && s.t.master.mark != c && s.without != "looking for the intents" {
			return false
		}
		m.entry[c], m.index = committed, c
		if m.n < most {
			m.feed[m.n] = c
			m.n++
		}
		return true
	}
	return false
}

func (s *state) abort(c int8) int8 {
	if s.entry(c) == pending {
		s.m.master.entry[c] = aborted
	}
	return s.entry(c)
}

// swap is what scriptSwap does to an intent, and returns what a WAIT after it is for.
func (s *state) swap(c, before, found int8) int8 {
	k := &s.t.master
	switch {
	case *k == key{c, before, c} && found == committed:
		*k = key{after: c}
	case *k == key{c, before, c}:
		*k = key{after: before}
	case s.without == "writing in any case":
		return waitNone
	}
	return s.wrote()
}

// end is scriptEnd, of a change that was found in a state.
func (s *state) end(c, found int8, forget bool) {
	if s.entry(c) != found && s.without != "asking how it ended" {
		return
	}
	if k := s.t.master; k.mark == c {
		s.swap(c, k.before, found)
	}
	if forget {
		s.forget(c)
	}
}

func (s *state) forget(c int8) { s.m.master.entry[c] = none }

// raise has the feed go on after a position.
func (s *state) raise(seen int8) {
	m := &s.m.master
	s.raised++
	for m.n < min(seen, most) {
		m.feed[m.n] = gap
		m.n++
	}
	if m.n < most {
		m.feed[m.n] = -s.raised
		m.n++
	}
}

// happens returns what happens to the servers.
func (s *state) happens() (all []step) {
	add := func(what string, f func(*state)) { all = append(all, s.step(what, f)) }
	single := !s.cluster
	if s.m.replicated && (s.m.replica != s.m.master || single && s.t.replica != s.t.master || s.waitedFor(waitMeta)) {
		add("{P} is replicated", func(n *state) {
			n.become(waitMeta, waitNone)
			n.m.replica = n.m.master
			if single {
				n.t.replica = n.t.master
			}
		})
	}
	if s.cluster && s.t.replicated && (s.t.replica != s.t.master || s.waitedFor(waitKey)) {
		add("the token is replicated", func(n *state) {
			n.become(waitKey, waitNone)
			n.t.replica = n.t.master
		})
	}
	if s.m.replicated && s.m.overs < s.overs {
		add("{P} FAILS OVER", func(n *state) {
			if n.m.replica.n < n.m.master.n {
				n.seen = n.m.master.n
			}
			n.become(waitMeta, waitLost)
			n.m.master, n.m.replicated = n.m.replica, false
			n.m.overs++
			n.lose(lateBegin | lateCommit)
			if single {
				n.t.master = n.t.replica
				n.lose(lateIntent | lateEnd)
			}
		})
	}
	if s.cluster && s.t.replicated && s.t.overs < s.overs {
		add("THE TOKEN FAILS OVER", func(n *state) {
			n.become(waitKey, waitLost)
			n.t.master, n.t.replicated = n.t.replica, false
			n.t.overs++
			n.lose(lateIntent | lateEnd)
		})
	}
	if !s.m.replicated {
		add("{P} has a replica again", func(n *state) {
			n.become(waitMeta, waitNone)
			n.m.replica, n.m.replicated = n.m.master, true
			if single {
				n.t.replica = n.t.master
			}
		})
	}
	if s.cluster && !s.t.replicated {
		add("the token has a replica again", func(n *state) {
			n.become(waitKey, waitNone)
			n.t.replica, n.t.replicated = n.t.master, true
		})
	}
	return all
}

// lose loses what was on its way to a server that has failed over.
func (s *state) lose(late int8) {
	for i := range s.c {
		s.c[i].late &^= late
	}
}

func show(s state) string {
	out := fmt.Sprintf("key %v index %d n %d entries %v", s.t.master, s.m.master.index, s.m.master.n, s.m.master.entry[1:])
	for c := int8(1); c <= s.changes; c++ {
		out += fmt.Sprintf(" c%d: %d/%d", c, s.c[c].pc, s.c[c].result)
	}
	if s.holding {
		out += fmt.Sprintf(" holds %d at %d", s.h.holds, s.h.at)
	}
	return out
}
