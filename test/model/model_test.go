package model

import (
	"fmt"
	"strings"
	"testing"
)

// counter counts to three, or stops at two for good.
func counter(wrong int) Model[int] {
	return Model[int]{
		Next: func(n int) []Step[int] {
			switch n {
			case 3:
				return nil
			case 2:
				return []Step[int]{{"count", 3}, {"stop", -2}}
			case -2:
				return []Step[int]{{"stay", -2}}
			}
			return []Step[int]{{"count", n + 1}}
		},
		Wrong: func(n int) string {
			if n == wrong {
				return fmt.Sprint("it is ", n)
			}
			return ""
		},
		Show: func(n int) string { return fmt.Sprint(n) },
	}
}

func TestExplore(t *testing.T) {
	if states, fault := counter(4).explore(); states != 5 || fault != "" {
		t.Errorf("%d states, %q, want 5, and none wrong", states, fault)
	}
	want := []string{"it is 3", "0 start 0", "1 count 1", "2 count 2", "3 count 3"}
	if _, fault := counter(3).explore(); !sameLines(fault, want) {
		t.Errorf("the way to the wrong state is %q, want %q", fault, want)
	}
	m := counter(4)
	m.Goal = func(n int) bool { return n == 3 }
	want = []string{"from here there is no way to where it should get", "0 start 0", "1 count 1", "2 count 2", "3 stop -2"}
	if _, fault := m.explore(); !sameLines(fault, want) {
		t.Errorf("the way to where there is none is %q, want %q", fault, want)
	}
}

func sameLines(text string, want []string) bool {
	var got []string
	for line := range strings.Lines(text) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	return fmt.Sprint(got) == fmt.Sprint(want)
}
