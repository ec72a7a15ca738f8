package registry

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store/redis"
)

// A token that the store lists and has lost may be there again when the store is restored. So
// whoever deals with all tokens is told that this one wasn't dealt with; a list isn't kept back.
func TestLostTokenIsTold(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, err := redis.Open(redis.Options{Addresses: []string{server.Addr}, Budget: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := New(s, usualRules(), Options{})
	lines := strings.ReplaceAll(strings.Join(numbered(3), "\n"), `"name":`, `"owner":"alice","name":`)
	if _, err := r.Import(t.Context(), cli, strings.NewReader(lines)); err != nil {
		t.Fatal(err)
	}
	all, _, err := r.Operator(cli).List(t.Context(), Query{})
	if err != nil || len(all) != 3 {
		t.Fatalf("List = %d tokens, %v", len(all), err)
	}
	server.Do("del", "patgate:t:"+string(all[1].Digest[:]))

	told := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, errRecordsLost) || !strings.Contains(err.Error(), ": 1, of which "+all[1].ID) {
			t.Errorf("%s: %v, want that token %s is lost", what, err, all[1].ID)
		}
	}
	var out strings.Builder
	told("Export", r.Export(t.Context(), &out))
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("the export has %d tokens, want the other two", n)
	}
	for _, sort := range Sorts() {
		if left, _, err := r.Operator(cli).List(t.Context(), Query{Sort: sort}); err != nil || len(left) != 2 {
			t.Errorf("List by %s = %d tokens, %v, want the other two", sort, len(left), err)
		}
	}
	revoked, err := r.Operator(cli).RevokeOwner(t.Context(), "alice")
	told("RevokeOwner", err)
	if len(revoked) != 2 {
		t.Errorf("RevokeOwner has revoked %q, want the other two", revoked)
	}
	deleted, err := r.Operator(cli).DeleteOwnerTokens(t.Context(), "alice")
	told("DeleteOwnerTokens", err)
	if len(deleted) != 2 {
		t.Errorf("DeleteOwnerTokens has deleted %q, want the other two", deleted)
	}
}
