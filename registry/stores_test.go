package registry

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/store/redis"
	"github.com/patgate/patgate/token"
)

// What the other tests see on a store in memory holds on real ones.
func TestOnRealStores(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		testOnRealStore(t, func(name string) (store.Store, error) {
			return embedded.Open(filepath.Join(t.TempDir(), name+".db"))
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		testOnRealStore(t, func(name string) (store.Store, error) {
			return redis.Open(redis.Options{Addresses: []string{server.Addr}, KeyPrefix: name, Budget: 5 * time.Second})
		})
	})
}

func testOnRealStore(t *testing.T, openStore func(name string) (store.Store, error)) {
	ctx := t.Context()
	open := func(name string) *Registry {
		s, err := openStore(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return New(s, usualRules(), Options{})
	}
	from, to := open("from"), open("to")

	lines := strings.Join(numbered(2500), "\n")
	for _, want := range []ImportResult{{Stored: 2500}, {Skipped: 2500}} {
		done, err := from.Import(ctx, cli, strings.NewReader(lines))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "import", done, want)
	}
	_, err := from.Import(ctx, cli, strings.NewReader(`{"id":"t000007","name":"n","secret":"`+foreignSecret+`"}`))
	refused(t, err, ErrConflict, "line 1: token t000007 is there already, with another secret")

	var tokens []*token.Token
	for range 70 {
		made, _, err := from.Operator(cli).Create(ctx, NewToken{Name: "ci", Owner: "alice", Full: true})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, made)
	}
	first := tokens[0].ID
	if _, err := from.Operator(cli).AddGrant(ctx, first, token.Full()); err != nil {
		t.Errorf("a change that changes nothing: %v", err)
	}
	_, secret, err := from.Operator(cli).Regenerate(ctx, first, Renewal{Overlap: new("1h")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := from.Verify(ctx, secret); err != nil || got.ID != first {
		t.Errorf("Verify: got %v, %v, want token %s", got, err, first)
	}
	if err := from.store.NoteUses(ctx, store.Use{ID: tokens[7].ID, At: noon}); err != nil {
		t.Fatal(err)
	}
	for _, sort := range []string{SortLastUsed, "-" + SortExpires} {
		page, next, err := from.Operator(cli).List(ctx, Query{Owner: new("alice"), Sort: sort, Limit: 1})
		if err != nil || len(page) != 1 || next == "" || sort == SortLastUsed && page[0].ID != tokens[7].ID {
			t.Errorf("the first by %s: got %v, next %q, %v", sort, page, next, err)
		}
	}
	ids, err := from.Operator(cli).RevokeOwner(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "revoked", len(ids), len(tokens))
	if _, err = from.Operator(cli).Delete(ctx, ids[1:]...); err != nil {
		t.Fatal(err)
	}
	if _, err := from.SetOwner(ctx, cli, "alice", OwnerChanges{Enabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := from.SetOwner(ctx, cli, "alice", OwnerChanges{Enabled: new(false)}); err != nil {
		t.Errorf("a change of an owner that changes nothing: %v", err)
	}
	refused(t, from.DeleteOwner(ctx, cli, "bob"), ErrNotFound, `owner "bob"`)
	var did []Action
	events, _, err := from.Operator(cli).Events(ctx, EventQuery{TokenID: first})
	for _, e := range events {
		did = append(did, e.Action)
	}
	if err != nil || !slices.Equal(did, []Action{Deleted, Revoked, Regenerated, Created}) {
		t.Errorf("events of the first token, which is gone: got %v, %v", did, err)
	}

	var out, again strings.Builder
	if err := from.Export(ctx, &out); err != nil {
		t.Fatal(err)
	}
	done, err := to.Import(ctx, cli, strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "import of the export", done, ImportResult{Stored: 2501})
	if err := to.Export(ctx, &again); err != nil {
		t.Fatal(err)
	}
	equal(t, "export of the import", again.String(), out.String())
}
