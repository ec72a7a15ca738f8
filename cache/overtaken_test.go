package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
)

// changes are the changes that a read may be overtaken by. They are about the
// token a; b is another token of the same owner.
var changes = []struct {
	name    string
	before  func(*memory)
	change  func(*memory) func() store.Change
	was, is policy.Reason // the verdicts on a
	owner   bool          // b's too
}{
	{
		name:   "revoked",
		before: func(m *memory) { m.put(tok("a"), tok("b")) },
		change: func(m *memory) func() store.Change { return m.setTokens(tok("a", revoked)) },
		was:    policy.Forward, is: policy.TokenRevoked,
	},
	{
		name:   "grant taken away",
		before: func(m *memory) { m.put(tok("a"), tok("b")) },
		change: func(m *memory) func() store.Change { return m.setTokens(tok("a", powerless)) },
		was:    policy.Forward, is: policy.ScopeMissing,
	},
	{
		name:   "regenerated",
		before: func(m *memory) { m.put(tok("a"), tok("b")) },
		change: func(m *memory) func() store.Change { return m.setTokens(tok("a", replaced)) },
		was:    policy.Forward, is: policy.TokenRevoked,
	},
	{
		name:   "deleted",
		before: func(m *memory) { m.put(tok("a"), tok("b")) },
		change: func(m *memory) func() store.Change { return m.removeToken("a") },
		was:    policy.Forward, is: policy.TokenUnknown,
	},
	{
		name:   "created",
		before: func(m *memory) { m.put(tok("b")) },
		change: func(m *memory) func() store.Change { return m.setTokens(tok("a")) },
		was:    policy.TokenUnknown, is: policy.Forward,
	},
	{
		name:   "owner disabled",
		before: func(m *memory) { m.put(tok("a"), tok("b")) },
		change: func(m *memory) func() store.Change { return m.setOwner(disabled("alice")) },
		was:    policy.Forward, is: policy.OwnerDisabled, owner: true,
	},
	{
		name:   "owner enabled",
		before: func(m *memory) { m.put(tok("a"), tok("b")); m.change(m.setOwner(disabled("alice"))) },
		change: func(m *memory) func() store.Change { return m.setOwner(enabled("alice")) },
		was:    policy.OwnerDisabled, is: policy.Forward, owner: true,
	},
	{
		name:   "owner's record removed",
		before: func(m *memory) { m.put(tok("a"), tok("b")); m.change(m.setOwner(disabled("alice"))) },
		change: func(m *memory) func() store.Change { return m.removeOwner("alice") },
		was:    policy.OwnerDisabled, is: policy.Forward, owner: true,
	},
}

// A slow read that began before a change ends after it. What it brings is
// neither held nor served.
func TestOvertakenRead(t *testing.T) {
	t.Parallel()
	for _, k := range changes {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				k.before(m)
				release := make(chan struct{})
				m.found = func(call int) {
					if call == 1 {
						<-release
					}
				}
				c := newCache(t, m, Options{})
				before := fetchAside(t.Context(), c, "a", now)
				synctest.Wait()
				m.change(k.change(m)) // acknowledged, and the old record is on its way
				after := fetchAside(t.Context(), c, "a", now)
				synctest.Wait()
				close(release)
				synctest.Wait()
				for when, a := range map[string]*answer{"before": before, "after": after} {
					if !a.done || a.err != nil || a.verdict != k.is {
						t.Errorf("the Fetch begun %s the change: %+v, want %v", when, *a, k.is)
					}
				}
				if got, ok := get(c, "a", now); !ok || got != k.is {
					t.Errorf("Get afterwards: %v, answered %v, want %v", got, ok, k.is)
				}
			})
		})
	}
}

// The same in every order of events that there is. Two Fetches (1 and 2) begin,
// their reads of the store take what is there (a, b) and end (A, B), and a
// change is committed (c) and acknowledged (!).
//
// The test fails without any one of these: in shard.forget, that the token, the
// unknown digest and the flight are dropped; in shard.land, that a flight which
// is no longer the shard's brings nothing; in owners.changed, the link to the
// change and the mark on the owner; in owners.take, the look through the
// changes; in shard.lookup, the look at the mark.
func TestEveryOrderOfEvents(t *testing.T) {
	t.Parallel()
	var orders []string
	interleave("", []string{"1aA", "2bB", "c!"}, &orders)
	if len(orders) != 560 {
		t.Fatalf("%d orders of events, want 8!/(3!3!2!) = 560", len(orders))
	}
	for _, k := range changes {
		for _, second := range []string{"a", "b"} {
			if second == "b" && !k.owner {
				continue // of no concern to each other
			}
			for _, held := range []bool{false, true} {
				name := k.name + "; then fetching " + second
				if held {
					name += "; once held"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					for _, order := range orders {
						synctest.Test(t, func(t *testing.T) {
							r := run{T: t, order: order, second: second, was: k.was, is: k.is}
							r.m = newMemory()
							k.before(r.m)
							r.c = newCache(t, r.m, Options{Size: 4096, NegativeSize: 256}) // a and b in different shards
							r.at = now
							if held {
								// Past its TTL: it is read again, but is still there.
								fetch(t, r.c, "a", now)
								fetch(t, r.c, second, now)
								r.at = now.Add(time.Hour)
							}
							r.play(k.change(r.m))
						})
						if t.Failed() {
							return // the others say the same
						}
					}
				})
			}
		}
	}
}

// interleave appends to all every order of the events in the strings that keeps
// the order within each.
func interleave(sofar string, events []string, all *[]string) {
	done := true
	for i, e := range events {
		if e == "" {
			continue
		}
		done = false
		rest := append([]string(nil), events...)
		rest[i] = e[1:]
		interleave(sofar+e[:1], rest, all)
	}
	if done {
		*all = append(*all, sofar)
	}
}

// run is one order of events.
type run struct {
	*testing.T
	m       *memory
	c       *Cache
	at      time.Time
	order   string
	second  string // the secret that is fetched second
	was, is policy.Reason
}

func (r *run) play(change func() store.Change) {
	// The first two reads from here on wait for their events.
	gates := map[rune]chan struct{}{'a': make(chan struct{}), 'A': make(chan struct{}), 'b': make(chan struct{}), 'B': make(chan struct{})}
	first := r.m.finds() + 1
	r.m.find = func(_ context.Context, call int) error {
		if call-first < 2 {
			<-gates[rune("ab"[call-first])]
		}
		return nil
	}
	r.m.found = func(call int) {
		if call-first < 2 {
			<-gates[rune("AB"[call-first])]
		}
	}
	var (
		fetches      []*answer
		committed    store.Change
		acknowledged bool
	)
	// held checks what is held after each event.
	held := func() {
		r.Helper()
		for _, secret := range []string{"a", r.second} {
			if got, ok := get(r.c, secret, r.at); ok && acknowledged && got != r.is {
				r.Errorf("%s: after the change was acknowledged, Get(%s) answers %v, want %v", r.order, secret, got, r.is)
			}
		}
	}
	for _, event := range r.order {
		switch event {
		case '1':
			fetches = append(fetches, fetchAside(r.Context(), r.c, "a", r.at))
		case '2':
			fetches = append(fetches, fetchAside(r.Context(), r.c, r.second, r.at))
		case 'c':
			committed = r.m.commit(change)
		case '!':
			synctest.Wait()
			for _, f := range fetches {
				if f.done && f.verdict != r.was && f.verdict != r.is {
					r.Errorf("%s: before the change, Fetch answers %v, want %v or %v", r.order, f.verdict, r.was, r.is)
				}
			}
			fetches = undone(fetches)
			r.m.notify(committed)
			acknowledged = true
		default:
			close(gates[event])
		}
		synctest.Wait()
		held()
	}
	// Those that waited when the change was acknowledged, or came later:
	for _, f := range fetches {
		if !f.done || f.err != nil || f.verdict != r.is {
			r.Errorf("%s: Fetch: %+v, want %v", r.order, *f, r.is)
		}
	}
	for _, secret := range []string{"a", r.second} {
		if got := fetch(r.T, r.c, secret, r.at); got != r.is {
			r.Errorf("%s: at the end, Fetch(%s) = %v, want %v", r.order, secret, got, r.is)
		}
	}
	held()
}

func undone(fetches []*answer) (left []*answer) {
	for _, f := range fetches {
		if !f.done {
			left = append(left, f)
		}
	}
	return left
}

// The owner changes when the read has been taken in, but has not landed yet:
// too short a moment to be forced from outside.
func TestOwnerChangesJustBeforeLanding(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	c := newCache(t, m, Options{})
	d := digest("t")
	s := c.shard(&d)
	f := &flight{digest: d, since: c.owners.newest(), done: make(chan struct{})}
	s.flights[d] = f
	r := c.ask(f)
	if r.outdated || r.entry == nil {
		t.Fatalf("nothing has changed, but the read brings %+v", r)
	}
	m.change(m.setOwner(disabled("alice")))
	s.land(f, r)
	if !f.outdated {
		t.Error("the old record was given to those who wait")
	}
	if got := c.Stats().Held; got != 0 {
		t.Errorf("%d tokens are held, want 0", got)
	}
}
