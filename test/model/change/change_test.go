package change

import (
	"fmt"
	"testing"

	"github.com/patgate/patgate/test/model"
)

func next(s state) (all []step) {
	for i := int8(1); i <= s.changes; i++ {
		all = append(all, s.change(i)...)
		all = append(all, s.comeLate(i)...)
	}
	all = append(all, s.tidies()...)
	if s.holding {
		all = append(all, s.holds()...)
	}
	return append(all, s.happens()...)
}

// reads returns the record that the token reads as.
func (s *state) reads() int8 {
	if k := s.t.master; k.mark != 0 && s.entry(k.mark) != committed {
		return k.before
	}
	return s.t.master.after
}

// builtOn reports whether a record was made by change c, or of what that has made.
func (s *state) builtOn(record, c int8) bool {
	for range s.c {
		switch {
		case record == c:
			return true
		case record <= 0:
			return false
		}
		record = s.c[record].before
	}
	return false
}

// rests reports whether nothing is under way, and nothing left behind.
func (s *state) rests() bool {
	for i := int8(1); i <= s.changes; i++ {
		if c := s.c[i]; c.late != 0 || s.entry(i) != none || c.pc != pcDone && c.pc != pcPlan {
			return false
		}
	}
	return s.tidy.pc == tidyIdle
}

func wrong(s state) string {
	now := s.reads()
	holds := s.holding && s.h.holds != nothing && s.follows()
	for c := int8(1); c <= s.changes; c++ {
		switch {
		case s.c[c].result != acknowledged:
		case !s.builtOn(now, c):
			return fmt.Sprintf("change %d was acknowledged, and the token reads as %d", c, now)
		case holds && !s.builtOn(s.h.holds, c):
			return fmt.Sprintf("change %d was acknowledged, and a gateway that follows holds %d", c, s.h.holds)
		}
	}
	switch {
	case !s.rests():
	case now != s.m.master.index:
		return fmt.Sprintf("half: the token reads as %d, and indexes and feed have %d", now, s.m.master.index)
	case holds && s.h.holds != now && s.builtOn(now, s.h.holds):
		return fmt.Sprintf("the token reads as %d, and a gateway that follows holds %d", now, s.h.holds)
	}
	return ""
}

func of(b bounds) model.Model[state] {
	return model.Model[state]{Start: start(b), Next: next, Wrong: wrong, Show: show}
}

// What was acknowledged is there, no change shows by halves, and a gateway that follows
// the feed holds what is there.
func TestChange(t *testing.T) {
	all := map[string]bounds{
		"one server":                       {overs: 1, changes: 1, late: true},
		"one server, a gateway":            {overs: 1, changes: 1, holding: true},
		"Cluster":                          {cluster: true, overs: 1, changes: 1, late: true},
		"Cluster, a gateway":               {cluster: true, overs: 1, changes: 1, holding: true},
		"two changes, without a fail-over": {changes: 2},
	}
	if *model.Full {
		all = map[string]bounds{
			"one server, two changes":            {overs: 1, changes: 2, late: true},
			"one server, two changes, a gateway": {changes: 2, holding: true},
			"one server, two fail-overs":         {overs: 2, changes: 1, late: true, holding: true},
			"Cluster, two changes":               {cluster: true, overs: 1, changes: 2, late: true},
			"Cluster, two fail-overs":            {cluster: true, overs: 2, changes: 1, late: true, holding: true},
			"Cluster, two changes, a gateway":    {cluster: true, changes: 2, holding: true},
		}
	}
	for name, b := range all {
		t.Run(name, func(t *testing.T) { of(b).Right(t) })
	}
}

// Whatever has happened, all can come to rest.
func TestRest(t *testing.T) {
	all := map[string]bounds{
		"one server": {overs: 1, changes: 1, late: true},
		"Cluster":    {cluster: true, overs: 1, changes: 1, late: true},
	}
	if *model.Full {
		all = map[string]bounds{
			"one server, two changes":    {changes: 2, late: true},
			"Cluster, two changes":       {cluster: true, changes: 2, late: true},
			"one server, two fail-overs": {overs: 2, changes: 1, late: true},
			"Cluster, two fail-overs":    {cluster: true, overs: 2, changes: 1, late: true},
		}
	}
	for name, b := range all {
		t.Run(name, func(t *testing.T) {
			m := of(b)
			m.Wrong = func(state) string { return "" }
			m.Goal = func(s state) bool { return s.rests() && (s.cluster || s.t.master.mark == 0) }
			m.Right(t)
		})
	}
}

func TestMutants(t *testing.T) {
	for without, b := range map[string]bounds{
		"looking for the intents":      {overs: 1, changes: 1},
		"asking how it ended":          {overs: 1, changes: 1},
		"ending it at once":            {overs: 1, changes: 1},
		"leaving what isn't confirmed": {cluster: true, overs: 1, changes: 1},
		"confirming how it ended":      {cluster: true, overs: 1, changes: 2},
		"writing in any case":          {cluster: true, overs: 1, changes: 2},
	} {
		t.Run(without, func(t *testing.T) {
			b.without = without
			of(b).Caught(t)
		})
	}
}
