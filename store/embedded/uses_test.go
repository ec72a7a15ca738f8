package embedded

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// A last use that can't be read keeps nobody from revoking its token, nor the uses of
// others from being noted; and one in the future gives way to the next.
func TestDamagedUse(t *testing.T) {
	t.Parallel()
	s, err := Open(filepath.Join(t.TempDir(), "tokens.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	if err := s.Create(ctx, newToken("a"), newToken("b")); err != nil {
		t.Fatal(err)
	}
	damage := func(raw []byte) {
		t.Helper()
		if err := s.note(ctx, func(tx tx) error { return tx.uses().Put([]byte("a"), raw) }); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2021, 11, 22, 3, 0, 0, 0, time.UTC)
	damage([]byte("x"))
	if _, err := s.Update(ctx, "a", func(t *token.Token) error { t.RevokedAt = at; return nil }); err != nil {
		t.Errorf("revoking it: %v", err)
	}
	if err := s.NoteUses(ctx, store.Use{ID: "b", At: at, From: netip.MustParseAddr("192.0.2.1")}, store.Use{ID: "a", At: at}); err != nil {
		t.Errorf("noting uses: %v", err)
	}
	for _, id := range []string{"a", "b"} {
		if got, err := s.Token(ctx, id); err != nil || !got.LastUsedAt.Equal(at) {
			t.Errorf("token %s, noted as used at %s: %+v, %v", id, at, got, err)
		}
	}
	damage(encodeUse(store.Use{At: time.Now().Add(time.Hour)})) // by a clock that was ahead
	if err := s.NoteUses(ctx, store.Use{ID: "a", At: at}); err != nil {
		t.Error(err)
	}
	if got, err := s.Token(ctx, "a"); err != nil || !got.LastUsedAt.Equal(at) {
		t.Errorf("token a, noted as used over a use in the future: %+v, %v", got, err)
	}
	damage(number(1 << 60)) // a year that JSON can't write
	if got, err := s.Token(ctx, "a"); err != nil || !got.LastUsedAt.IsZero() {
		t.Errorf("token a: %+v, %v", got, err)
	}
	for _, want := range []string{`[{token "a": its last use is damaged true true}]`, "[]"} {
		if problems, err := s.Check(ctx, true); err != nil || fmt.Sprint(problems) != want {
			t.Errorf("Check: %v, %v, want %s", problems, err, want)
		}
	}
	damage([]byte("x"))
	if err := s.Delete(ctx, "a"); err != nil {
		t.Errorf("deleting it: %v", err)
	}
}

// A last use that is read is written again as it was, and can be told as JSON.
func FuzzUse(f *testing.F) {
	f.Add(encodeUse(store.Use{At: time.UnixMilli(1795373128272), From: netip.MustParseAddr("192.0.2.1")}))
	f.Add(encodeUse(store.Use{At: time.UnixMilli(-5), From: netip.MustParseAddr("fe80::1%eth0")}))
	f.Add(encodeUse(store.Use{At: time.UnixMilli(1 << 60)}))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, ok := decodeUse(raw)
		if !ok {
			return
		}
		if again, ok := decodeUse(encodeUse(u)); !ok || again != u {
			t.Errorf("%x is read as %+v, which is read again as %+v", raw, u, again)
		}
		if _, err := json.Marshal(u.At); err != nil {
			t.Error(err)
		}
	})
}
