// Package model checks models of protocols: it visits every state that a model can reach, and
// shows the shortest way to one that must not be. See the README beside it.
package model

import (
	"flag"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
)

// Full says whether models are run within wider bounds, which takes minutes and gigabytes.
var Full = flag.Bool("full", false, "visit the states of models within wider bounds: minutes, and gigabytes")

// Step is a step to another state.
type Step[S comparable] struct {
	What string
	To   S
}

// Model is a model of a protocol.
type Model[S comparable] struct {
	Start S
	Next  func(S) []Step[S] // the steps from a state
	Wrong func(S) string    // what is wrong with a state; "": nothing
	Show  func(S) string
	Goal  func(S) bool // if set, it must be possible to get there from every state
}

// Right fails the test if a state is wrong.
func (m Model[S]) Right(t *testing.T) {
	t.Helper()
	if states, fault := m.explore(); fault != "" {
		t.Errorf("after %d states: %s", states, fault)
	} else {
		t.Logf("right in all %d states", states)
	}
}

// Caught fails the test if no state is wrong. It is for models from which something has been
// taken out that must be missed.
func (m Model[S]) Caught(t *testing.T) {
	t.Helper()
	if states, fault := m.explore(); fault == "" {
		t.Errorf("right in all %d states", states)
	} else {
		t.Log(fault)
	}
}

// explore visits all states, the nearest first. It returns how many there are, and what is
// wrong with the first wrong one, with the way to it; "" if none is.
func (m Model[S]) explore() (states int, fault string) {
	seen := newStates(m.Start)
	from := []int32{-1}
	var edges [][2]int32 // from one state to another, for the goal
	for i := int32(0); int(i) < len(seen.all); i++ {
		if what := m.Wrong(seen.all[i]); what != "" {
			return len(seen.all), what + m.way(seen.all, from, i)
		}
		for _, step := range m.Next(seen.all[i]) {
			to, isNew := seen.add(step.To)
			if isNew {
				from = append(from, i)
			}
			if m.Goal != nil {
				edges = append(edges, [2]int32{i, to})
			}
		}
	}
	if m.Goal != nil {
		if i := m.stuck(seen.all, edges); i >= 0 {
			return len(seen.all), "from here there is no way to where it should get" + m.way(seen.all, from, i)
		}
	}
	return len(seen.all), ""
}

// states are those that have been seen. A map of them would take several times the memory.
type states[S comparable] struct {
	all   []S
	seed  maphash.Seed
	slots []int32 // a hash table of indexes into all, plus one; 0: empty
}

func newStates[S comparable](first S) *states[S] {
	s := &states[S]{seed: maphash.MakeSeed(), slots: make([]int32, 1024)}
	s.add(first)
	return s
}

// add returns the number of a state, which may be new.
func (s *states[S]) add(state S) (number int32, isNew bool) {
	slot := s.slot(state)
	if n := *slot; n > 0 {
		return n - 1, false
	}
	s.all = append(s.all, state)
	*slot = int32(len(s.all))
	if 2*len(s.all) > len(s.slots) {
		s.slots = make([]int32, 2*len(s.slots))
		for i := range s.all {
			*s.slot(s.all[i]) = int32(i + 1)
		}
	}
	return int32(len(s.all) - 1), true
}

// slot returns the slot of a state, empty if it wasn't seen yet.
func (s *states[S]) slot(state S) *int32 {
	mask := uint64(len(s.slots) - 1)
	for i := maphash.Comparable(s.seed, state) & mask; ; i = (i + 1) & mask {
		if n := s.slots[i]; n == 0 || s.all[n-1] == state {
			return &s.slots[i]
		}
	}
}

// stuck returns a state from which the goal can't be reached; -1: none.
func (m Model[S]) stuck(all []S, edges [][2]int32) int32 {
	first := make([]int32, len(all)+1) // where in into the predecessors of a state begin
	for _, e := range edges {
		first[e[1]+1]++
	}
	for i := range all {
		first[i+1] += first[i]
	}
	into, next := make([]int32, len(edges)), slices.Clone(first)
	for _, e := range edges {
		into[next[e[1]]] = e[0]
		next[e[1]]++
	}
	reaches := make([]bool, len(all))
	var queue []int32
	add := func(i int32) {
		if !reaches[i] {
			reaches[i] = true
			queue = append(queue, i)
		}
	}
	for i, s := range all {
		if m.Goal(s) {
			add(int32(i))
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, from := range into[first[i]:first[i+1]] {
			add(from)
		}
	}
	return int32(slices.Index(reaches, false))
}

// way writes down the steps to a state.
func (m Model[S]) way(all []S, from []int32, to int32) string {
	var lines []string
	for i := to; i >= 0; i = from[i] {
		what := "start"
		if from[i] >= 0 {
			for _, step := range m.Next(all[from[i]]) {
				if step.To == all[i] {
					what = step.What
				}
			}
		}
		lines = append(lines, fmt.Sprintf("%-50s %s", what, m.Show(all[i])))
	}
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "\n%3d %s", i, lines[len(lines)-1-i])
	}
	return b.String()
}
