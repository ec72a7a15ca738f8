package cache

import (
	"testing"

	"github.com/patgate/patgate/token"
)

// Tokens share a place in the table, or even the key of the LRU, by chance.
// Nobody is ever answered with another's.
func TestHeldTokensThatShareAPlace(t *testing.T) {
	t.Parallel()
	base := digest("a")
	other := func(change func(d *token.Digest)) *token.Digest {
		d := base
		change(&d)
		return &d
	}
	for _, row := range []struct {
		name string
		with *token.Digest
		both bool // may be held at a time
	}{
		{"the table's place", other(func(d *token.Digest) { d[20]++ }), true},
		{"the LRU's key", other(func(d *token.Digest) { d[8]++ }), false},
		{"both", other(func(d *token.Digest) { d[31]++ }), false},
		{"neither", other(func(d *token.Digest) { d[8]++; d[20]++ }), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var h heldTokens
			h.init(16)
			first, second := &entry{digest: base}, &entry{digest: *row.with}
			h.add(first)
			if got := h.glance(row.with); got != nil {
				t.Error("a digest that isn't held is answered from the table")
			}
			if h.get(row.with) != nil || h.peek(row.with) != nil {
				t.Error("a digest that isn't held is answered from the LRU")
			}
			h.add(second)
			for range 2 {
				if got := h.get(&second.digest); got != second {
					t.Errorf("the second is answered with %p, want %p", got, second)
				}
				switch got := h.get(&first.digest); {
				case got != nil && got != first:
					t.Errorf("the first is answered with %p, want %p", got, first)
				case (got != nil) != row.both:
					t.Errorf("the first is held: %v, want %v", got != nil, row.both)
				}
				if got := h.glance(&first.digest); got != nil && got != first || row.both && got == nil {
					t.Errorf("at a glance the first is answered with %p, want %p", got, first)
				}
			}
			h.remove(&first.digest)
			h.remove(&second.digest)
			for _, d := range []*token.Digest{&first.digest, &second.digest} {
				if h.glance(d) != nil || h.get(d) != nil {
					t.Error("what was removed is held still")
				}
			}
		})
	}
}

// What was found at a glance counts as used, though the LRU didn't see it; what
// has been used longest ago goes even if all have been used.
func TestSecondChance(t *testing.T) {
	t.Parallel()
	digests := []token.Digest{digest("a"), digest("b"), digest("c")}
	for _, row := range []struct {
		name   string
		glance []int
		gone   int
	}{
		{"none is used", nil, 0},
		{"the oldest is used", []int{0}, 1},
		{"all but the newest are used", []int{0, 1}, 2},
		{"all are used", []int{2, 1, 0}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var h heldTokens
			h.init(len(digests))
			for _, d := range digests {
				h.add(&entry{digest: d})
			}
			for _, i := range row.glance {
				h.glance(&digests[i])
			}
			if evicted := h.add(&entry{digest: digest("d")}); !evicted {
				t.Error("nobody had to go")
			}
			for i := range digests {
				if got, want := h.peek(&digests[i]) != nil, i != row.gone; got != want {
					t.Errorf("%c is held: %v, want %v", 'a'+i, got, want)
				}
			}
		})
	}
}
