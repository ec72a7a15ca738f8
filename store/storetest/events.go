package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// newEvent returns an event of a token and an owner.
func newEvent(action, tokenID, owner string) store.Event {
	return store.Event{
		Time: now.Truncate(time.Millisecond), ActorKind: "operator", Actor: "storetest", Address: "2001:db8::1",
		Action: store.Action(action), TokenID: tokenID, TokenName: "token " + tokenID, Owner: owner,
		Changes: []store.FieldChange{{Field: "name", Before: "a", After: "b → „c“"}}, Detail: "a\x00b",
	}
}

// with returns the context of a change with these events.
func (s *suite) with(events ...store.Event) context.Context {
	return store.WithEvents(s.ctx, func() []store.Event { return events })
}

// events returns what q selects, all on one page.
func (s *suite) events(q store.EventQuery) []store.Event {
	s.Helper()
	events, next, err := s.Events(s.ctx, q)
	if err != nil || q.After == "" && next != "" {
		s.Fatalf("Events(%+v): next %q, %v, want one page", q, next, err)
	}
	return events
}

// actions writes the actions of events, one after the other.
func actions(events []store.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, string(e.Action))
	}
	return strings.Join(words, " ")
}

// wantEvents checks that q selects events with these actions.
func (s *suite) wantEvents(what string, q store.EventQuery, want string) {
	s.Helper()
	if got := actions(s.events(q)); got != want {
		s.Errorf("Events of %s: %q, want %q", what, got, want)
	}
}

func eventsWithChanges(s *suite) {
	event := newEvent("created", "1", "alice")
	if err := s.Create(s.with(event, newEvent("created", "2", "alice")), newToken("1"), newToken("2")); err != nil {
		s.Fatal(err)
	}
	got := s.events(store.EventQuery{TokenID: "1"})
	if len(got) != 1 || got[0].ID == "" {
		s.Fatalf("Events of token 1: %+v, want one, with an id", got)
	}
	event.ID = got[0].ID
	if !got[0].Time.Equal(event.Time) {
		s.Errorf("the event's time is %v, want %v", got[0].Time, event.Time)
	}
	if got[0].Time = event.Time; !reflect.DeepEqual(got[0], event) {
		s.Errorf("the event is %+v, want %+v", got[0], event)
	}

	// The events of a change are those that its last attempt makes.
	var made []store.Event
	calls := 0
	_, err := s.Update(store.WithEvents(s.ctx, func() []store.Event { return made }), "1", func(t *token.Token) error {
		calls++
		made = []store.Event{newEvent("updated", "1", "alice")}
		t.Name = "other"
		return nil
	})
	if err != nil || calls == 0 {
		s.Fatalf("Update: %v after %d calls", err, calls)
	}
	owner := func(*token.Owner) (*token.Owner, error) { return token.NewOwner("alice"), nil }
	if _, err := s.UpdateOwner(s.with(newEvent("owner_set", "", "alice")), "alice", owner); err != nil {
		s.Fatal(err)
	}
	if err := s.Delete(s.with(newEvent("deleted", "1", "alice"), newEvent("deleted", "2", "bob")), "1", "2"); err != nil {
		s.Fatal(err)
	}
	if err := s.DeleteOwner(s.with(newEvent("owner_deleted", "", "alice")), "alice"); err != nil {
		s.Fatal(err)
	}
	alice, bob, al := "alice", "bob", "al"
	s.wantEvents("all", store.EventQuery{}, "owner_deleted deleted deleted owner_set updated created created")
	s.wantEvents("token 1, which is gone", store.EventQuery{TokenID: "1"}, "deleted updated created")
	s.wantEvents("alice", store.EventQuery{Owner: &alice}, "owner_deleted deleted owner_set updated created created")
	s.wantEvents("bob", store.EventQuery{Owner: &bob}, "deleted")
	s.wantEvents("token 2, when it was alice's", store.EventQuery{TokenID: "2", Owner: &alice}, "created")
	s.wantEvents("the beginning of a name", store.EventQuery{Owner: &al}, "")
	s.wantEvents("no such token", store.EventQuery{TokenID: "3"}, "")
	s.wantEvents("what is before all", store.EventQuery{Before: "0"}, "")
}

// What isn't changed leaves no event.
func eventsOfNoChange(s *suite) {
	s.create(newToken("1"))
	s.wantEvents("a change without any", store.EventQuery{}, "")
	refused := errors.New("refused")
	for what, err := range map[string]error{
		"Create": s.Create(s.with(newEvent("created", "1", "alice")), newToken("1")),
		"Delete": s.Delete(s.with(newEvent("deleted", "2", "alice")), "2"),
		"Update": func() error {
			_, err := s.Update(s.with(newEvent("updated", "1", "alice")), "1", func(*token.Token) error { return refused })
			return err
		}(),
		"UpdateOwner": func() error {
			_, err := s.UpdateOwner(s.with(newEvent("owner_set", "", "alice")), "alice", func(*token.Owner) (*token.Owner, error) { return nil, refused })
			return err
		}(),
		"DeleteOwner": s.DeleteOwner(s.with(newEvent("owner_deleted", "", "alice")), "alice"),
	} {
		if err == nil {
			s.Errorf("%s: done, want it refused", what)
		}
	}
	s.wantEvents("changes that were refused", store.EventQuery{}, "")

	// Record adds events by themselves, which are no changes.
	before := s.position()
	if err := s.Record(s.ctx, newEvent("used", "1", "alice"), newEvent("used2", "9", "")); err != nil {
		s.Fatal(err)
	}
	nobody := ""
	s.wantEvents("Record", store.EventQuery{}, "used2 used")
	s.wantEvents("no owner", store.EventQuery{Owner: &nobody}, "used2")
	if after := s.position(); after != before {
		s.Errorf("Record moves the position from %d to %d", before, after)
	}
}

func (s *suite) position() store.Position {
	s.Helper()
	st, err := s.Store.Status(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	return st.Position
}

func eventPages(s *suite) {
	const n = 30
	var all, alices []string
	for i := range n {
		name := []string{"alice", "bob"}[i%2]
		action := fmt.Sprint("a", i)
		if err := s.Record(s.ctx, newEvent(action, fmt.Sprint("t", i%3), name)); err != nil {
			s.Fatal(err)
		}
		all = append(all, action)
		if name == "alice" {
			alices = append(alices, action)
		}
	}
	alice := "alice"
	for _, q := range []struct {
		name  string
		query store.EventQuery
		want  []string // oldest first
	}{
		{"all", store.EventQuery{}, all},
		{"alice's", store.EventQuery{Owner: &alice}, alices},
		{"alice's of token t0", store.EventQuery{Owner: &alice, TokenID: "t0"}, []string{"a0", "a6", "a12", "a18", "a24"}},
	} {
		for _, limit := range []int{1, 2, 7, len(q.want), n + 1} {
			back := slices.Clone(q.want)
			slices.Reverse(back)
			query := q.query
			query.Limit = limit
			if got := s.walk(query, func(q *store.EventQuery, next string) bool { q.Before = next; return next != "" }); !slices.Equal(got, back) {
				s.Errorf("%s, %d at a time: %q, want %q", q.name, limit, got, back)
			}
			query.After = "0"
			got := s.walk(query, func(q *store.EventQuery, next string) bool {
				moved := next != q.After
				q.After = next
				return moved
			})
			if !slices.Equal(got, q.want) {
				s.Errorf("%s forward, %d at a time: %q, want %q", q.name, limit, got, q.want)
			}
		}
	}

	// Who follows takes up where the last one stood.
	newest := s.events(store.EventQuery{Limit: n})[0].ID
	events, next, err := s.Events(s.ctx, store.EventQuery{After: newest, Limit: 5})
	if err != nil || len(events) != 0 || next != newest {
		s.Errorf("Events after the newest: %q, next %q, %v, want none and %q again", actions(events), next, err, newest)
	}
	if err := s.Record(s.ctx, newEvent("x", "t0", "bob")); err != nil {
		s.Fatal(err)
	}
	s.wantEvents("what came since", store.EventQuery{After: newest}, "x")
	s.wantEvents("what came since, of alice", store.EventQuery{After: newest, Owner: &alice}, "")
}

// eventsSince records events hours apart, but for two that came from gateways whose clocks
// differ, and lists those since a time.
func eventsSince(s *suite) {
	start := now.Truncate(time.Millisecond)
	for i, minutes := range []int{0, 90, 240, 238, 300} {
		e := newEvent(fmt.Sprint("a", i), "t", "alice")
		e.Time = start.Add(time.Duration(minutes) * time.Minute)
		if err := s.Record(s.ctx, e); err != nil {
			s.Fatal(err)
		}
	}
	alice := "alice"
	for _, q := range []store.EventQuery{{}, {TokenID: "t"}, {Owner: &alice}} {
		for minutes, want := range map[int]string{-1: "a4 a3 a2 a1 a0", 0: "a4 a3 a2 a1 a0", 1: "a4 a3 a2 a1", 239: "a4 a2", 240: "a4 a2", 301: ""} {
			q.Since = start.Add(time.Duration(minutes) * time.Minute)
			s.wantEvents(fmt.Sprintf("minute %d and later", minutes), q, want)
		}
	}
	got := s.walk(store.EventQuery{Since: start.Add(time.Minute), Limit: 2}, func(q *store.EventQuery, next string) bool { q.Before = next; return next != "" })
	if !slices.Equal(got, []string{"a4", "a3", "a2", "a1"}) {
		s.Errorf("those since a time, two at a time: %q", got)
	}
}

// walk returns the actions on all pages; on moves q to the next and reports
// whether there is one.
func (s *suite) walk(q store.EventQuery, on func(q *store.EventQuery, next string) bool) (got []string) {
	s.Helper()
	for range 100 {
		events, next, err := s.Events(s.ctx, q)
		if err != nil || len(events) > q.Limit {
			s.Fatalf("Events(%+v) = %q, %v, want at most %d", q, actions(events), err, q.Limit)
		}
		for _, e := range events {
			got = append(got, string(e.Action))
		}
		if !on(&q, next) {
			return got
		}
	}
	s.Fatalf("Events(%+v) never ends", q)
	return nil
}

// Every change has its event, and every event an id of its own, greater than
// those before.
func eventsConcurrently(s *suite) {
	const writers, each = 8, 10
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("w%d-%d", w, i)
				if err := s.Create(s.with(newEvent("created", id, "alice")), newToken(id)); err != nil {
					s.Errorf("Create: %v", err)
				}
			}
		})
	}
	all.Wait()
	events := s.events(store.EventQuery{After: "0"})
	last := uint64(0)
	for _, e := range events {
		n, err := strconv.ParseUint(e.ID, 10, 64)
		if err != nil || n <= last {
			s.Errorf("event %q comes after %d", e.ID, last)
		}
		last = n
	}
	if len(events) != writers*each {
		s.Errorf("%d events, want %d", len(events), writers*each)
	}
}

func eventsPruned(s *suite) {
	const n = 1200                                        // more than a store does in one step
	began := time.Date(2020, 2, 2, 10, 0, 0, 0, time.UTC) // any clock is ahead of it
	var events []store.Event
	for i := range n {
		e := newEvent("e", fmt.Sprint("t", i%2), []string{"alice", "bob"}[i%2])
		e.Time = began.Add(time.Duration(i) * time.Minute)
		events = append(events, e)
	}
	if err := s.Record(s.ctx, events...); err != nil {
		s.Fatal(err)
	}
	alice := "alice"
	for _, step := range []struct {
		age  time.Duration
		max  int
		left int
	}{
		{n * time.Minute, n, n},
		{(n - 101) * time.Minute, n, n - 100},
		{n * time.Minute, 1000, 1000},
		{n * time.Minute, 20, 20},
		{9 * time.Minute, 100, 10},
		{0, 0, 0},
	} {
		if err := s.PruneEvents(s.ctx, step.age, step.max); err != nil {
			s.Fatal(err)
		}
		got := s.events(store.EventQuery{})
		if len(got) != step.left || step.left > 0 && !got[0].Time.Equal(events[n-1].Time) {
			s.Errorf("pruned to %d of %v: %d events left, want the newest %d", step.max, step.age, len(got), step.left)
		}
		for what, q := range map[string]store.EventQuery{"alice": {Owner: &alice}, "token t0": {TokenID: "t0"}} {
			if got := s.events(q); len(got) != step.left/2 {
				s.Errorf("pruned to %d of %v: %d events of %s left, want %d", step.max, step.age, len(got), what, step.left/2)
			}
		}
	}
	// Ids aren't given twice.
	if err := s.Record(s.ctx, newEvent("later", "t0", "alice")); err != nil {
		s.Fatal(err)
	}
	if got := s.events(store.EventQuery{}); len(got) != 1 || got[0].ID != fmt.Sprint(n+1) {
		s.Errorf("after %d events that are gone: %+v, want one with the next id", n, got)
	}
}

// An event of the future makes no other older than it is.
func eventOfTheFuture(s *suite) {
	for _, at := range []time.Duration{-2 * time.Hour, -time.Minute, 1000 * time.Hour} {
		e := newEvent("e", "t", "alice")
		e.Time = time.Now().Add(at)
		if err := s.Record(s.ctx, e); err != nil {
			s.Fatal(err)
		}
	}
	if err := s.PruneEvents(s.ctx, time.Hour, 10); err != nil {
		s.Fatal(err)
	}
	if got := s.events(store.EventQuery{}); len(got) != 2 || got[1].ID != "2" {
		s.Errorf("pruned to the last hour: %+v, want the last two", got)
	}
}
