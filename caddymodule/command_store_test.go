package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/token"
)

// TestStoreCopy takes tokens, an owner and the audit trail from a file to a Redis
// that hesitates, and back to another file.
func TestStoreCopy(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.db"), filepath.Join(dir, "two.db")
	inFile(t, one, func(ctx context.Context, s store.Store) {
		r := registry.New(s, registry.Rules{Prefix: "pat", Hasher: token.NewHasher("")}, registry.Options{})
		by := registry.Actor{Name: "cli"}
		for range 3 {
			if _, _, err := r.Operator(by).Create(ctx, registry.NewToken{Name: "ci", Owner: "alice", Full: true}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Operator(by).RevokeOwner(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.SetOwner(ctx, by, "alice", registry.OwnerChanges{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
	})
	server := redistest.Start(t)
	server.Do("client", "pause", 4*budgetOfRequests.Milliseconds(), "all")
	redis := "redis://" + server.Addr
	first := storeCopy(t, "embedded:"+one, redis)
	if first.Tokens != 3 || first.Owners != 1 || first.Events != 7 || first.Written != 4 {
		t.Errorf("store copy to Redis: %+v, want 3 tokens, an owner and 7 events", first)
	}
	if second := storeCopy(t, redis, "embedded:"+two); second != first {
		t.Errorf("store copy back: %+v, want %+v", second, first)
	}
	var trails [2][]store.Event
	for i, file := range []string{one, two} {
		inFile(t, file, func(ctx context.Context, s store.Store) {
			var err error
			if trails[i], _, err = s.Events(ctx, store.EventQuery{}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if before, after := asJSON(t, trails[0]), asJSON(t, trails[1]); before != after {
		t.Errorf("the audit trail came back as\n%s, want\n%s", after, before)
	}
}

// A source that can't be read leaves no store behind, which could be taken for the copy.
func TestStoreCopyOfUnreadable(t *testing.T) {
	server := redistest.Start(t)
	server.Do("config", "set", "requirepass", "right")
	for _, from := range []string{"redis://127.0.0.1:1", "redis://:wrong@" + server.Addr} {
		to := filepath.Join(t.TempDir(), "new", "to.db")
		_, stderr, err := told(t, "", "store", "copy", "--from", from, "--to", "embedded:"+to)
		if err == nil || !strings.HasPrefix(stderr, "patgate store copy: reading the source: ") {
			t.Errorf("store copy --from %s prints %q and ends with %v", from, stderr, err)
		}
		if _, err := os.Lstat(filepath.Dir(to)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("store copy --from %s leaves a store behind (%v)", from, err)
		}
	}
}

// A file that isn't there is no empty store to be copied.
func TestStoreCopyFromNowhere(t *testing.T) {
	dir := t.TempDir()
	caddyfile, missing := filepath.Join(dir, "Caddyfile"), filepath.Join(dir, "missing.db")
	if err := os.WriteFile(caddyfile, []byte("{\n\tpatgate {\n\t\tstore embedded "+missing+"\n\t}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"embedded:" + missing, "config:" + caddyfile} {
		root := program("patgate")
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs([]string{"store", "copy", "--from", from, "--to", "embedded:" + filepath.Join(dir, "to.db")})
		if err := root.Execute(); err == nil {
			t.Errorf("store copy --from %s succeeds", from)
		}
		if _, err := os.Stat(missing); err == nil {
			t.Errorf("store copy --from %s makes the store", from)
		}
	}
}

// budgetOfRequests is what a request waits for Redis by default.
const budgetOfRequests = 250 * time.Millisecond

// inFile calls f with the store in a file.
func inFile(t *testing.T, file string, f func(context.Context, store.Store)) {
	t.Helper()
	s, err := embedded.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f(t.Context(), s)
}

// storeCopy runs the command.
func storeCopy(t *testing.T, from, to string) (copied store.Copied) {
	t.Helper()
	root := program("patgate")
	var out strings.Builder
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"store", "copy", "--from", from, "--to", to, "--json"})
	if err := root.Execute(); err != nil {
		t.Fatalf("store copy --from %s --to %s: %v", from, to, err)
	}
	if err := json.Unmarshal([]byte(out.String()), &copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A backup gets its name on a file system without hard links as well, and replaces
// nothing on any.
func TestGive(t *testing.T) {
	for name, link := range map[string]func(from, to string) error{
		"hard links": os.Link,
		"none":       func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM} },
	} {
		dir := t.TempDir()
		from, err := os.Create(filepath.Join(dir, "part"))
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		if _, err := from.WriteString("whole"); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "backup.db")
		if err := give(from, to, link); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(to); string(got) != "whole" {
			t.Errorf("%s: backup.db = %q, %v", name, got, err)
		}
		if err := give(from, to, link); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s, for a file that is there: %v, want %v", name, err, fs.ErrExist)
		}
		if err := give(from, filepath.Join(dir, "none", "backup.db"), link); err == nil {
			t.Errorf("%s, for a directory that isn't there: no error", name)
		}
	}
}
