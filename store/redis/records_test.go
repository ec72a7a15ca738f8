package redis

import (
	"fmt"
	"testing"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/token"
)

// Of records that are as long as they may be, no more are read and written in one round
// trip than come in time.
func TestLongRecords(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	long := token.Grant{Scopes: []string{"a"}, Resources: []string{token.All}}
	for i := range token.MaxGrantValues {
		long.Spaces = append(long.Spaces, fmt.Sprintf("%0250d", i))
	}
	digests := []token.Digest{digest("missing")}
	for i := range 12 {
		made := newToken(fmt.Sprint(i))
		if i%2 > 0 {
			made.Grants = []token.Grant{long, long, long, long}
		}
		if err := s.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, made.Digest)
	}
	first, err := s.firstValues(t.Context(), digests)
	if size := sizeOf(first); err != nil || len(first) == len(digests) || size < maxValues || size > 2*maxValues {
		t.Errorf("%d of %d values are read together, %d bytes, %v", len(first), len(digests), size, err)
	}
	all, err := s.values(t.Context(), digests)
	if err != nil || len(all) != len(digests) {
		t.Fatalf("%d of %d values, %v", len(all), len(digests), err)
	}
	page, last, err := s.tokensPage(t.Context(), nil, "", func(string) {})
	if err != nil || len(page) == 0 || len(page) == 12 || last != page[len(page)-1].ID {
		t.Errorf("%d of 12 tokens are in a page that goes on after %q, %v", len(page), last, err)
	}
	var writes []write
	for i, d := range digests {
		if v, err := s.get(t.Context(), s.keys.token(d)); err != nil || v != all[i] {
			t.Errorf("value %d: %d bytes, want %d, %v", i, len(all[i]), len(v), err)
		}
		writes = append(writes, write{digest: d, before: all[i]})
	}
	made, steps := 0, 0
	for some := range inSteps(writes) {
		made += len(some)
		steps++
	}
	if made != len(writes) || steps != 2 {
		t.Errorf("%d of %d writes in %d steps, want all in 2", made, len(writes), steps)
	}
}

func sizeOf(values []string) (size int) {
	for _, v := range values {
		size += len(v)
	}
	return size
}
