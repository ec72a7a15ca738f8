package checker

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/patgate/patgate/internal/mutation"
)

// TestMutants builds gateways that break the promise, each in another way, and
// expects a run of TestHistories with one of them to show it.
func TestMutants(t *testing.T) {
	for _, m := range []mutation.Mutant{
		{Name: "changes of tokens don't reach the cache", File: "../../cache/cache.go", Old: "c.shard(d).forget(d)", New: "c.shard(d)"},
		{Name: "changes of owners don't reach the cache", File: "../../cache/cache.go", Old: "c.owners.changed(change.Owners, change.Position)", New: ""},
		{Name: "silence is trusted", File: "../../cache/cache.go", Old: "trusted: at-last < Silence", New: "trusted: true"},
		{Name: "what is held serves on without the store", File: "../../cache/shard.go", Old: "at-good >= o.MaxStale", New: "good < 0"},
		{Name: "an error is taken for unknown", File: "../../cache/fetch.go", Old: "return result{err: fmt.Errorf(\"reading a token: %w\", err)}\n}", New: "return result{}\n}"},
		{Name: "the feed is said to be heard", File: "../../store/redis/heard.go", Old: "\treturn *heard\n", New: "\treturn time.Now()\n"},
		{Name: "owners are remembered", File: "../../store/redis/watch.go", Old: "s.owners.drop(t.owner)", New: ""},
		{Name: "a change is answered before its own gateway knows", File: "../../store/redis/steps.go", Old: "\ts.await(position, c.mark, c.what)\n", New: "\t_ = position\n"},
		{Name: "a commit that is not sent", File: "../../store/redis/scripts.go", Old: "write('HSET', KEYS[3], ARGV[1], 'c '", New: "write('HSET', KEYS[3], ARGV[1], 'a '"},
	} {
		t.Run(m.Name, func(t *testing.T) {
			overlay := mutation.Overlay(t, m)
			if !*mutation.Run {
				return
			}
			binary := filepath.Join(t.TempDir(), "patgate")
			build := exec.Command("go", "build", "-tags", "nobadger,nomysql,nopgx", "-overlay", overlay, "-o", binary, "../../cmd/patgate")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("building the mutant: %v\n%s", err, out)
			}
			const runs = 3
			for s := range uint64(runs) {
				w := newWorld(t, binary, *seed+s+1)
				w.live()
				if _, v := w.violations(); len(v) > 0 {
					t.Logf("run %d: %d violations; the first: %s", s+1, len(v), v[0].Text)
					return
				}
			}
			t.Errorf("nothing shows in %d runs", runs)
		})
	}
}
