// Package fill is a model of how the cache is filled (cache/fetch.go, shard.go, owners.go,
// subject.go) from store/redis (find.go, ownercache.go, feed.go, watch.go) or store/embedded: two tokens
// of one owner, several reads of each at a time, changes of a token and of the owner's
// record, and resets.
package fill

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patgate/patgate/test/model"
)

// bounds are what the model is run within.
type bounds struct {
	embedded bool   // the store is in a file, rather than Redis
	changes  int8   // how many there are
	kinds    string // what they change: t, token 0; o, the owner; r, a reset
	joined   bool   // fetches join reads
	without  string // a precaution that is left out: see TestMutants
}

const (
	tokens = 2
	reads  = 2 // of each token at a time: one that counts, and those that are disowned
)

// read is a read under way, of token i/reads.
type read struct {
	pc       int8 // 1: begun, 2: has its position, 3: the token, 5: asks for the owner, 6: has its answer, 7: all, 8: has taken it
	current  bool // it is the shard's flight
	overdue  bool // an owner's change came since it began
	outdated bool // so that what it took doesn't count
	position int8
	token    int8
	owner    int8
	memory   bool // records kept in memory were dropped since it began to read the owner's
	joined   int8 // how many changes had been acknowledged when the last one joined
}

// owner is the policy.Owner, and what the cache keeps beside it.
type owner struct {
	there, stale     bool
	record, position int8
}

type state struct {
	*bounds
	// The store.
	token0, owner, n int8
	kind             [4]int8 // of the changes
	count            int8
	// The gateway's store.
	known  bool // the owner's record is in memory
	memory int8
	told   int8
	step   int8 // of taking a change in
	// The cache.
	p     owner
	held  [tokens]bool
	value [tokens]int8
	r     [tokens * reads]read
	wrong string
}

const (
	isToken = iota + 1
	isOwner
	isReset
)

// version returns what the store had of a kind at a position.
func (s *state) version(kind, at int8) (v int8) {
	for _, k := range s.kind[:at] {
		if k == kind {
			v++
		}
	}
	return v
}

// acknowledged is the position up to which changes have been answered: all that were told of.
func (s *state) acknowledged() int8 { return s.told }

// used is whether anybody holds the owner.
func (s *state) used() bool {
	for i := range s.held {
		if s.held[i] {
			return true
		}
	}
	for _, r := range s.r {
		if r.pc == 8 && !r.outdated {
			return true
		}
	}
	return false
}

func next(s state) (all []model.Step[state]) {
	add := func(what string, f func(*state)) {
		n := s
		f(&n)
		all = append(all, model.Step[state]{What: what, To: n})
	}
	// Changes.
	if s.count < s.changes {
		for kind := int8(isToken); kind <= isReset; kind++ {
			if kind == isReset && s.embedded || !strings.Contains(s.kinds, " tor"[kind:kind+1]) {
				continue
			}
			add([]string{"", "token 0 is changed", "the owner is changed", "the feed breaks off"}[kind], func(n *state) {
				n.kind[n.count] = kind
				n.count++
				n.n = n.count
				switch kind {
				case isToken:
					n.token0++
				case isOwner:
					n.owner++
				}
			})
		}
	}
	if s.told < s.n { // the feed, or the watchers, one step of each change after the other
		kind := s.kind[s.told]
		add(fmt.Sprintf("change %d is taken in, step %d", s.told+1, s.step), func(n *state) {
			switch {
			case n.step == 0: // takeIn, reset: what the store has in memory
				if kind != isToken {
					n.known, n.memory = false, 0
					for i := range n.r {
						n.r[i].memory = n.r[i].memory || n.r[i].pc == 5 || n.r[i].pc == 6
					}
				}
				n.step = 1
			case n.step == 1: // owners.changed, owners.reset
				if kind != isToken {
					for i := range n.r {
						n.r[i].overdue = n.r[i].overdue || n.r[i].pc > 0 && n.r[i].pc < 8
					}
					if n.p.there {
						n.p.stale = true
						n.p.position = max(n.p.position, n.told+1)
						if kind == isReset {
							n.p.position = 0
						}
					}
				}
				n.step = 2
			case n.step == 2 || n.step == 3 && kind == isReset: // shard.forget, shard.reset: a shard after the other
				i := int(n.step - 2)
				if kind != isOwner {
					n.held[i], n.value[i] = false, 0
					for j := range reads {
						n.r[i*reads+j].current = n.r[i*reads+j].current && s.without == "disown"
						n.r[i*reads+j].joined = 0
					}
				}
				if n.step++; kind != isReset {
					n.step = 4
				}
			default: // told
				n.told++
				n.step = 0
			}
		})
	}
	// Reads.
	for i := range s.r {
		r, t := s.r[i], i/reads
		to := func(what string, f func(*state, *read)) {
			add(fmt.Sprintf("read %d of token %d %s", i%reads, t, what), func(n *state) { f(n, &n.r[i]) })
		}
		switch r.pc {
		case 0:
			free := true
			for j := range reads {
				free = free && !s.r[t*reads+j].current
			}
			if free && !(s.held[t] && !s.p.stale) {
				to("begins", func(n *state, r *read) {
					*r = read{pc: 1, current: true, joined: n.acknowledged()}
				})
			}
		case 1:
			if s.embedded {
				to("reads all", func(n *state, r *read) {
					r.pc, r.position, r.owner = 7, n.n, n.owner
					if t == 0 {
						r.token = n.token0
					}
				})
				break
			}
			to("takes its position", func(n *state, r *read) { r.pc, r.position = 2, n.told })
		case 2:
			to("reads the token", func(n *state, r *read) {
				r.pc = 3
				if t == 0 {
					r.token = n.token0
				}
			})
		case 3:
			if s.known {
				to("knows the owner", func(n *state, r *read) { r.pc, r.owner = 7, n.memory })
			} else {
				to("begins to read the owner", func(n *state, r *read) { r.pc, r.memory = 5, false })
			}
		case 5:
			to("reads the owner", func(n *state, r *read) { r.pc, r.owner = 6, n.owner })
		case 6:
			to("keeps the owner", func(n *state, r *read) {
				if !r.memory || s.without == "memory" {
					n.known, n.memory = true, r.owner
				}
				r.pc, r.memory = 7, false
			})
		case 7:
			to("takes", func(n *state, r *read) {
				r.pc = 8
				switch p := &n.p; {
				case r.overdue && s.without != "overdue":
					r.outdated = true
				case !p.there:
					*p = owner{true, false, r.owner, r.position}
				case r.position < p.position:
				default:
					*p = owner{true, false, r.owner, r.position}
				}
			})
		case 8:
			to("lands", func(n *state, r *read) {
				if r.current && !r.outdated && (!n.p.stale || s.without == "stale") {
					n.held[t], n.value[t] = true, r.token
					// Whoever has joined gets it.
					if want := n.version(isToken, r.joined); t == 0 && r.token < want {
						n.wrong = fmt.Sprintf("a fetch that began after change %d gets version %d of the token", r.joined, r.token)
					}
					if want := n.version(isOwner, r.joined); n.p.record < want {
						n.wrong = fmt.Sprintf("a fetch that began after change %d gets version %d of the owner", r.joined, n.p.record)
					}
				}
				*r = read{}
			})
		}
		if s.bounds.joined && r.pc > 0 && r.current && r.joined < s.acknowledged() {
			to("is joined", func(n *state, r *read) { r.joined = n.acknowledged() })
		}
	}
	if s.p.there && !s.used() {
		add("the owner is garbage", func(n *state) { n.p = owner{} })
	}
	for t := range tokens {
		if s.held[t] {
			add(fmt.Sprintf("token %d is pushed out", t), func(n *state) { n.held[t], n.value[t] = false, 0 })
		}
	}
	return all
}

func wrong(s state) string {
	if s.wrong != "" {
		return s.wrong
	}
	for t := range tokens {
		if !s.held[t] || s.p.stale {
			continue
		}
		if want := s.version(isToken, s.acknowledged()); t == 0 && s.value[t] < want {
			return fmt.Sprintf("change %d was acknowledged, and version %d of the token is held", s.acknowledged(), s.value[t])
		}
		if want := s.version(isOwner, s.acknowledged()); s.p.record < want {
			return fmt.Sprintf("change %d was acknowledged, and version %d of the owner is held", s.acknowledged(), s.p.record)
		}
	}
	return ""
}

func show(s state) string {
	return fmt.Sprintf("token %d owner %d told %d of %d memory %v/%d p %v held %v %v", s.token0, s.owner, s.told, s.n, s.known, s.memory, s.p, s.held, s.value)
}

func of(b bounds) model.Model[state] {
	return model.Model[state]{Start: state{bounds: &b}, Next: next, Wrong: wrong, Show: show}
}

// What a fetch returns, and what is held, is no older than the changes that had been
// acknowledged when the fetch began, or are by now.
func TestFill(t *testing.T) {
	all := map[string]bounds{
		"embedded":             {embedded: true, changes: 1, kinds: "to", joined: true},
		"the token is changed": {changes: 1, kinds: "t", joined: true},
		"the owner is changed": {changes: 1, kinds: "o", joined: true},
	}
	if *model.Full {
		all = map[string]bounds{
			"embedded":                   {embedded: true, changes: 2, kinds: "to", joined: true},
			"any change":                 {changes: 1, kinds: "tor", joined: true},
			"the token is changed twice": {changes: 2, kinds: "t", joined: true},
			"the owner is changed twice": {changes: 2, kinds: "o"},
		}
	}
	for name, b := range all {
		t.Run(name, func(t *testing.T) { of(b).Right(t) })
	}
}

func TestMutants(t *testing.T) {
	for without, kinds := range map[string]string{"disown": "t", "overdue": "o", "memory": "o", "stale": "o"} {
		t.Run(without, func(t *testing.T) { of(bounds{changes: 1, kinds: kinds, joined: true, without: without}).Caught(t) })
	}
}
