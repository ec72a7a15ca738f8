// Package find is a model of how a token is found (find in store/redis/find.go) by its
// first secret, while it is changed: it gets other secrets, with and without an overlap,
// is deleted, and made anew. Keys are written one after the other, and whoever plans a
// change settles what it finds there.
package find

import (
	"fmt"
	"testing"

	"github.com/patgate/patgate/test/model"
)

// bounds are what the model is run within.
type bounds struct {
	changes int8
	without string // a precaution that find does without: see TestMutants
}

const secrets = 3

// What a key holds.
const (
	nothing = iota
	live
	pointer
)

// value is what a key holds when no change is under way.
type value struct {
	kind, version int8
	target        int8 // of a pointer
	retired       int8 // secrets of a live one, as bits
}

// key is a key; with a mark it is an intent.
type key struct {
	mark          int8
	before, after value
}

// change is the change that is under way.
type change struct {
	mark      int8
	pc        int8 // writing: 1: intents, 2: what holds
	next      int8 // the key that is written next
	committed bool
	to        [secrets]value
}

// finder looks for the first secret.
type finder struct {
	pc      int8 // 0: not yet, 1: reads a key, 2: asks how a change ended, 3: reads it again, 9: done
	key     int8
	seen    key
	looks   int8
	hops    int8
	first   value
	last    value
	hasLast bool
	result  int8
	version int8 // of what was found
	from    int8 // the version that was committed when it began
	absent  bool // there was a moment without the first secret
}

// Results of a finder.
const (
	found = iota + 1
	notFound
	busy
)

type state struct {
	*bounds
	keys  [secrets]key
	is    [secrets]value // what is committed
	c     change
	count int8
	f     finder
}

func start(b bounds) state {
	s := state{bounds: &b}
	s.is[0] = value{kind: live, version: 1}
	s.keys[0] = key{after: s.is[0]}
	return s
}

func (s *state) current() (i int, ok bool) {
	for i, v := range s.is {
		if v.kind == live {
			return i, true
		}
	}
	return 0, false
}

// plans returns what changes can be made of what is committed, at a version.
func (s *state) plans(version int8) map[string][secrets]value {
	all := map[string][secrets]value{}
	cur, ok := s.current()
	if !ok {
		all["make it anew, with its first secret"] = [secrets]value{{kind: live, version: version}}
		return all
	}
	to := s.is
	to[cur].version = version
	all["change it"] = to
	all["delete it"] = [secrets]value{}
	for next := range secrets {
		if next == cur || s.is[next].kind != nothing {
			continue
		}
		for mask := int8(0); mask < 1<<secrets; mask++ {
			may := s.is[cur].retired | 1<<cur
			if mask&^may != 0 {
				continue
			}
			var to [secrets]value
			to[next] = value{kind: live, version: version, retired: mask}
			for i := range secrets {
				if mask&(1<<i) != 0 {
					to[i] = value{kind: pointer, version: version, target: int8(next)}
				}
			}
			all[fmt.Sprintf("secret %d, keeping %03b", next, mask)] = to
		}
	}
	return all
}

func (s *state) stateOf(mark int8) string {
	switch {
	case s.c.mark != mark || s.c.pc == 0:
		return ""
	case s.c.committed:
		return "c"
	}
	return "p"
}

func next(s state) (all []model.Step[state]) {
	add := func(what string, f func(*state)) {
		n := s
		f(&n)
		if n.f.pc > 0 && n.f.pc < 9 && n.is[0].kind == nothing {
			n.f.absent = true
		}
		all = append(all, model.Step[state]{What: what, To: n})
	}
	switch c := s.c; c.pc {
	case 0:
		if s.count < s.changes {
			for what, to := range s.plans(s.count + 2) {
				add("begins to "+what, func(n *state) {
					n.count++
					n.c = change{mark: n.count, pc: 1, to: to}
				})
			}
		}
	case 1:
		if c.next == secrets {
			add("commits", func(n *state) { n.c.pc, n.c.next, n.c.committed, n.is = 2, 0, true, n.c.to })
			break
		}
		add(fmt.Sprintf("intent on %d", c.next), func(n *state) {
			k := &n.keys[n.c.next]
			if k.after != n.c.to[n.c.next] {
				*k = key{n.c.mark, k.after, n.c.to[n.c.next]}
			}
			n.c.next++
		})
	case 2:
		if c.next == secrets {
			add("forgets", func(n *state) { n.c = change{} })
			break
		}
		add(fmt.Sprintf("finishes %d", c.next), func(n *state) {
			k := &n.keys[n.c.next]
			*k = key{after: k.after}
			n.c.next++
		})
	}
	// The finder.
	to := func(what string, f func(*state, *finder)) { add("find "+what, func(n *state) { f(n, &n.f) }) }
	switch f := s.f; f.pc {
	case 0:
		to("begins", func(n *state, f *finder) {
			f.pc = 1
			if i, ok := n.current(); ok {
				f.from = n.is[i].version
			}
		})
	case 1:
		to(fmt.Sprintf("reads %d", f.key), func(n *state, f *finder) {
			k := n.keys[f.key]
			if k.mark == 0 {
				n.has(k.after)
				return
			}
			f.seen, f.pc = k, 2
		})
	case 2:
		to("asks how it ended", func(n *state, f *finder) {
			k := f.seen
			switch n.stateOf(k.mark) {
			case "c":
				n.has(k.after)
			case "p":
				n.has(k.before)
			default:
				if f.pc = 3; n.without == "another read" {
					n.has(k.before)
				}
			}
		})
	case 3:
		to("reads again", func(n *state, f *finder) {
			k := n.keys[f.key]
			switch {
			case k == f.seen:
				n.has(k.before)
			case k.mark == 0:
				n.has(k.after)
			default:
				f.seen, f.pc = k, 2
			}
		})
	}
	return all
}

// maxLooks is that of find, which is also how many pointers it follows.
const maxLooks = 8

// has goes on with what the key holds, as find does with what record has returned.
func (s *state) has(v value) {
	f := &s.f
	f.seen, f.pc = key{}, 1
	if f.hops == 0 {
		f.first = v
	}
	if v.kind == pointer && f.hops < maxLooks {
		f.hops++
		f.key = v.target
		return
	}
	end := func(result, version int8) {
		*f = finder{pc: 9, result: result, version: version, from: f.from, absent: f.absent}
	}
	contains := v.kind == live && (f.key == 0 || v.retired&1 != 0)
	switch {
	case f.first.kind == nothing:
		end(notFound, 0)
	case contains:
		end(found, v.version)
	case f.hasLast && f.last == f.first, s.without == "another look":
		end(notFound, 0)
	case f.looks == maxLooks-1:
		end(busy, 0)
	default:
		f.last, f.hasLast = f.first, true
		f.looks++
		f.hops, f.key, f.first = 0, 0, value{}
	}
}

func wrong(s state) string {
	f := s.f
	switch {
	case f.pc != 9:
	case f.result == notFound && !f.absent:
		return "it isn't found, and was there all the time"
	case f.result == found && f.version < f.from:
		return fmt.Sprintf("version %d is found, and %d was there when it began", f.version, f.from)
	}
	return ""
}

func show(s state) string {
	return fmt.Sprintf("keys %v change %d/%d find %d key %d looks %d", s.keys, s.c.mark, s.c.pc, s.f.pc, s.f.key, s.f.looks)
}

func of(b bounds) model.Model[state] {
	return model.Model[state]{Start: start(b), Next: next, Wrong: wrong, Show: show}
}

// A token is found as it was when find began, or later, and isn't unknown unless it was.
func TestFind(t *testing.T) {
	b := bounds{changes: 3}
	if *model.Full {
		b.changes = 4
	}
	of(b).Right(t)
}

func TestMutants(t *testing.T) {
	for _, without := range []string{"another read", "another look"} {
		t.Run(without, func(t *testing.T) { of(bounds{changes: 3, without: without}).Caught(t) })
	}
}
