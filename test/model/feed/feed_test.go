// Package feed is a model of the feed of store/redis (feed.go, passed.go, floors.go,
// watch.go, gateways.go): gateways that follow it, hold a token and change it, and a server
// that may fail over with loss, has its feed trimmed, and uses positions again. A change
// is one step here: see the model change.
package feed

import (
	"fmt"
	"slices"
	"testing"

	"github.com/patgate/patgate/test/model"
)

// bounds are what the model is run within.
type bounds struct {
	overs, trims int8   // how often the server fails over, and has its feed trimmed to the last entry
	changing     int    // gateways that make a change each
	reading      int    // gateways that read the token, and hold it
	removing     bool   // changes may remove the token
	without      string // a precaution that is left out: see TestMutants
}

const (
	gateways = 2
	most     = 7 // positions
)

// A mark is 4 times a number that counts changes, and what the change does to the token.
const (
	other = iota // nothing
	update
	remove
)

func what(mark int8) int8 { return mark % 4 }

// record is what the store holds of the token. Its version is the mark of its change.
type record struct {
	there   bool
	version int8
}

type beat struct{ follows, mark int8 }

type server struct {
	n     int8
	marks [most + 1]int8
	after [most + 1]int8 // the mark of the entry before
	kept  [most + 1]bool // the entry is in the stream
	rec   record
	beats [gateways]beat // those it has taken last
}

type gateway struct {
	known   bool
	n, mark int8 // its cursor
	told    int8
	passed  [most + 1]int8 // marks
	floor   record         // what it knows of the last change of the token
	doubted bool
	reading int8 // 1: has begun to, 2: has the answer
	got     record
	least   record // the floor when it began
	held    bool
	holds   record
	changes int8
	changed beat // its change, from when that is made
	waiting int8 // 1: for the commit to be answered, 2: for the feed
	acked   bool
}

type state struct {
	*bounds
	m, r  server
	there bool
	overs int8
	trims int8
	count int8 // of changes and raises
	g     [gateways]gateway
}

func start(b bounds) state {
	s := state{bounds: &b, there: true}
	s.m.rec = record{true, 1}
	s.r = s.m
	return s
}

// append writes an entry after position n.
func (m *server) append(n, mark int8) bool {
	if n+1 > most {
		return false
	}
	after := int8(0)
	if m.n > 0 {
		after = m.marks[m.n]
	}
	for i := m.n + 1; i <= n; i++ {
		m.marks[i], m.kept[i] = 0, false
	}
	m.n = n + 1
	m.marks[m.n], m.after[m.n], m.kept[m.n] = mark, after, true
	return true
}

func (m *server) head() int8 {
	if m.n == 0 {
		return 0
	}
	return m.marks[m.n]
}

func (g *gateway) raiseFloor(mark int8, doubted bool) {
	if what(mark) != other && mark >= g.floor.version {
		g.floor, g.doubted = record{what(mark) == update, mark}, doubted
	}
}

// allows is floor.allows.
func (g *gateway) allows(floor record, r record) bool {
	switch {
	case floor.version == 0:
		return true
	case !r.there:
		return !floor.there || g.doubted
	case !floor.there:
		return r.version > floor.version
	}
	return r.version >= floor.version
}

func (g *gateway) drop() {
	g.held, g.holds, g.reading, g.got, g.least = false, record{}, 0, record{}, record{}
}

func (g *gateway) reset(n int8) {
	g.drop()
	g.told = max(g.told, n)
}

// skip is Store.skip: it goes back to an entry that was taken in.
// seen is the position the gateway had got to.
func (s *state) skip(g *gateway, seen int8) {
	m := &s.m
	if g.passed[m.n] == m.head() {
		return
	}
	mark, gap := m.head(), false
	for n := m.n; n > 0; n-- {
		switch {
		case s.without == "a fork" && n <= seen: // as if positions told
			return
		case !m.kept[n]:
			continue
		}
		gap = gap || m.marks[n] != mark
		if g.passed[n] == m.marks[n] {
			g.doubted = g.doubted || gap
			return
		}
		g.raiseFloor(m.marks[n], false)
		mark = m.after[n]
	}
	g.doubted = g.doubted || gap || mark != 0 && !slices.Contains(g.passed[:], mark)
}

// resync is Store.resync.
func (s *state) resync(i int) bool {
	g, m := &s.g[i], &s.m
	seen, mark := g.n, g.mark
	if g.told > seen {
		seen, mark = g.told, 0
	}
	if m.n < seen || m.n == seen && mark != 0 && m.head() != mark {
		s.count++
		if !m.append(max(m.n, seen), s.count*4+other) {
			return false
		}
	}
	if g.known {
		s.skip(g, seen)
	}
	g.known, g.n, g.mark = true, m.n, m.head()
	g.passed = [most + 1]int8{}
	g.passed[g.n] = g.mark
	g.reset(g.n)
	return true
}

func next(s state) (all []model.Step[state]) {
	add := func(what string, f func(*state) bool) {
		n := s
		if f(&n) {
			all = append(all, model.Step[state]{What: what, To: n})
		}
	}
	for i := range gateways {
		name := fmt.Sprintf("g%d ", i)
		g := s.g[i]
		// The feed.
		switch m := s.m; {
		case !g.known:
			add(name+"opens", func(n *state) bool { return n.resync(i) })
		case m.n == g.n && m.head() == g.mark:
		case m.n > g.n && func() bool { // the first entry after the cursor
			for n := g.n + 1; n <= m.n; n++ {
				if m.kept[n] {
					return n == g.n+1 && m.after[n] == g.mark
				}
			}
			return false
		}():
			add(name+"takes in", func(n *state) bool {
				g := &n.g[i]
				g.n++
				g.mark = m.marks[g.n]
				g.passed[g.n] = g.mark
				g.raiseFloor(g.mark, false)
				if what(g.mark) != other {
					g.drop()
				}
				g.told = max(g.told, g.n)
				return true
			})
		default:
			add(name+"resyncs", func(n *state) bool { return n.resync(i) })
		}
		if b := (beat{g.told, g.passed[g.told]}); g.known && s.m.beats[i] != b {
			add(name+"beats", func(n *state) bool { n.m.beats[i] = b; return true })
		}
		// Reads.
		switch {
		case i < s.reading && g.reading == 0 && !g.held && g.known:
			add(name+"begins to read", func(n *state) bool { g := &n.g[i]; g.reading, g.least = 1, g.floor; return true })
		case g.reading == 1:
			add(name+"reads", func(n *state) bool { g := &n.g[i]; g.reading, g.got = 2, n.m.rec; return true })
		case g.reading == 2:
			add(name+"has read", func(n *state) bool {
				g := &n.g[i]
				r, ok := g.got, g.allows(g.least, g.got)
				if !ok && !r.there { // see hasLost
					n.skip(g, max(g.n, g.told))
					ok = g.allows(g.floor, r)
				}
				g.reading, g.got, g.least = 0, record{}, record{}
				if ok {
					g.held, g.holds = true, r
				}
				return true
			})
		}
		// Changes.
		switch {
		case g.waiting == 0 && i < s.changing && g.changes == 0 && g.known:
			for kind := int8(other); kind <= remove; kind++ {
				if kind == remove && (!s.removing || !s.m.rec.there) {
					continue
				}
				add(name+[]string{"changes another", "changes it", "removes it"}[kind], func(n *state) bool {
					n.count++
					mark := n.count*4 + kind
					if !n.m.append(n.m.n, mark) {
						return false
					}
					if kind != other {
						n.m.rec = record{kind == update, mark}
					}
					n.g[i].changed, n.g[i].waiting, n.g[i].acked = beat{n.m.n, mark}, 1, false
					n.g[i].changes++
					return true
				})
			}
		case g.waiting == 1: // see await
			add(name+"knows that it's made", func(n *state) bool {
				g := &n.g[i]
				over := g.told >= g.changed.follows && g.passed[g.changed.follows] != g.changed.mark
				g.raiseFloor(g.changed.mark, over && n.without != "what was passed over")
				g.waiting = 2
				return true
			})
		case g.waiting == 2 && g.told >= g.changed.follows:
			add(name+"is answered", func(n *state) bool {
				g := &n.g[i]
				if g.passed[g.changed.follows] != g.changed.mark && n.without != "the mark of a change" {
					g.reset(g.changed.follows)
				}
				g.waiting, g.acked = 0, true
				return true
			})
		case g.waiting == 2:
			add(name+"is answered, the feed being late", func(n *state) bool {
				g := &n.g[i]
				g.reset(g.changed.follows)
				g.waiting, g.acked = 0, true
				return true
			})
		}
	}
	if s.there && s.r != s.m {
		add("replicates", func(n *state) bool { n.r = n.m; return true })
	}
	if s.there && s.overs < s.bounds.overs {
		add("FAILS OVER", func(n *state) bool { n.m, n.there, n.r = n.r, false, server{}; n.overs++; return true })
	}
	if !s.there && s.overs < s.bounds.overs {
		add("has a replica again", func(n *state) bool { n.r, n.there = n.m, true; return true })
	}
	if s.trims < s.bounds.trims && s.m.n > 1 {
		add("is trimmed", func(n *state) bool {
			for i := range n.m.kept[:n.m.n] {
				n.m.kept[i] = false
			}
			n.trims++
			return true
		})
	}
	return all
}

func wrong(s state) string {
	m := s.m
	for i, g := range s.g {
		upToDate := g.known && g.n == m.n && g.mark == m.head()
		if upToDate && g.held && g.holds != m.rec && g.holds.version < m.rec.version {
			return fmt.Sprintf("g%d has taken in everything, and holds %v; the store has %v", i, g.holds, m.rec)
		}
		if upToDate && !m.rec.there && m.rec.version > g.floor.version && g.reading == 0 && !g.allows(g.floor, m.rec) {
			return fmt.Sprintf("g%d has taken in everything, the token was removed, and the floor is %v", i, g.floor)
		}
		if !g.acked || what(g.changed.mark) == other {
			continue
		}
		if g.held && g.holds.version < g.changed.mark && m.n >= g.changed.follows && m.marks[g.changed.follows] == g.changed.mark {
			return fmt.Sprintf("g%d has had %v acknowledged, and holds %v", i, g.changed, g.holds)
		}
		// Acknowledged, asked by g for the position that the store has.
		if !(m.n >= g.changed.follows && m.marks[g.changed.follows] == g.changed.mark) {
			continue
		}
		for j, h := range s.g {
			b := m.beats[j]
			fed := int8(0)
			if b.follows > 0 && b.follows <= most && m.kept[b.follows] {
				fed = m.marks[b.follows]
			}
			counted := b.follows >= m.n && fed != 0 && (b.mark == fed || s.without == "the mark of a beat") || i == j && h.told >= m.n
			if counted && h.held && h.holds.version < g.changed.mark {
				return fmt.Sprintf("g%d asks who has taken in %v; g%d counts, and holds %v", i, g.changed, j, h.holds)
			}
		}
	}
	return ""
}

func show(s state) string {
	out := fmt.Sprintf("n %d marks %v rec %v", s.m.n, s.m.marks[1:max(s.m.n, 0)+1], s.m.rec)
	for i, g := range s.g {
		out += fmt.Sprintf(" g%d: at %d/%d told %d floor %v", i, g.n, g.mark, g.told, g.floor)
		if g.held {
			out += fmt.Sprintf(" holds %v", g.holds)
		}
	}
	return out
}

func of(b bounds) model.Model[state] {
	return model.Model[state]{Start: start(b), Next: next, Wrong: wrong, Show: show}
}

// Gateways that have taken in everything hold what the store has, and believe that what was
// removed is gone; what is acknowledged, and counted as taken in, isn't held as it was.
func TestFeed(t *testing.T) {
	all := map[string]bounds{
		"two that change it":                 {overs: 1, changing: 2, removing: true},
		"one that changes it, two that read": {overs: 1, trims: 1, changing: 1, reading: 2, removing: true},
	}
	if *model.Full {
		all = map[string]bounds{
			"all":            {overs: 1, trims: 1, changing: 2, reading: 2, removing: true},
			"two fail-overs": {overs: 2, changing: 2, reading: 1, removing: true},
		}
	}
	for name, b := range all {
		t.Run(name, func(t *testing.T) { of(b).Right(t) })
	}
}

func TestMutants(t *testing.T) {
	for without, b := range map[string]bounds{
		"a fork":               {overs: 1, changing: 2, removing: true},
		"what was passed over": {overs: 1, trims: 1, changing: 2, removing: true},
		"the mark of a change": {overs: 1, changing: 2, reading: 1},
		"the mark of a beat":   {overs: 1, changing: 2, reading: 1},
	} {
		t.Run(without, func(t *testing.T) {
			b.without = without
			of(b).Caught(t)
		})
	}
}
