package embedded

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// TestCrash kills a process that writes, again and again, and looks at what it
// leaves: everything it had acknowledged is there, what it was doing is done or
// not begun, and the file can be opened at once.
//
// The process is this test's binary. Its writers make changes that follow from a
// seed, and print a line for each that was acknowledged. So the test can make
// the same changes on paper: each writer's records must be those after the last
// change it printed, or those after the next one.
func TestCrash(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rounds := 30
	if testing.Short() {
		rounds = 6
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "dir", "tokens.db")
	writers := newWriters(seed)
	total := 0
	for round := range rounds {
		// Every third time it is killed while it starts, the first time while
		// it makes the file; otherwise at work.
		starting, delay := round%3 == 0, time.Duration(rng.IntN(60))*time.Millisecond
		acknowledged := runAndKill(t, path, seed, writers, starting, delay)
		for i, w := range writers {
			for range acknowledged[i] {
				w.next()
			}
		}
		for _, n := range acknowledged {
			total += n
		}
		t.Logf("round %d: starting %v, killed after %v, %d changes acknowledged so far", round, starting, delay, total)
		checkWritten(t, path, writers)
		if t.Failed() {
			return
		}
	}
	if total == 0 {
		t.Error("no change was ever acknowledged")
	}
}

// runAndKill runs the writing process, kills it, and returns how many changes it
// has acknowledged to each writer.
func runAndKill(t *testing.T, path string, seed uint64, writers []*writer, starting bool, delay time.Duration) (acknowledged []int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "PATGATE_CRASH_FILE="+path, fmt.Sprint("PATGATE_CRASH_SEED=", seed), "PATGATE_CRASH_MADE="+made(writers))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killLater := sync.OnceFunc(func() { time.AfterFunc(delay, func() { cmd.Process.Kill() }) })
	if starting {
		killLater()
	}
	acknowledged = make([]int, len(writers))
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		i, err := strconv.Atoi(lines.Text())
		if err != nil || i < 0 || i >= len(writers) {
			t.Errorf("the writing process printed %q", lines.Text())
			break
		}
		acknowledged[i]++
		killLater()
	}
	cmd.Wait() // it was killed, as it should be
	if stderr.Len() > 0 {
		t.Errorf("the writing process failed: %s", &stderr)
	}
	return acknowledged
}

// checkWritten checks that the file holds what the writers have written, or for
// each of them one change more, and is whole.
func checkWritten(t *testing.T, path string, writers []*writer) {
	t.Helper()
	s, err := openWithin(path, time.Millisecond)
	if err != nil {
		t.Errorf("opening the file after the crash: %v", err)
		return
	}
	defer s.Close()
	if err := whole(s); err != nil {
		t.Errorf("the file is not whole after the crash: %v", err)
	}
	tokens, owners := 0, 0
	for _, w := range writers {
		last := w.compare(s)
		if last != nil {
			w.next()
			if next := w.compare(s); next != nil {
				t.Errorf("writer %d: the file shows neither change %d (%v) nor change %d (%v)", w.number, w.made-1, last, w.made, next)
			}
		}
		tokens += len(w.tokens)
		if w.record != nil {
			owners++
		}
	}
	if st, err := s.Status(t.Context()); err != nil || st.Tokens != tokens || st.Owners != owners {
		t.Errorf("Status = %+v, %v, want %d tokens and %d owners", st, err, tokens, owners)
	}
}

// bg is for the writers, which have no test.
var bg = context.Background()

// TestMain is the writing process where TestCrash asks for it.
func TestMain(m *testing.M) {
	if path := os.Getenv("PATGATE_CRASH_FILE"); path != "" {
		err := writeUntilKilled(path, os.Getenv("PATGATE_CRASH_SEED"), os.Getenv("PATGATE_CRASH_MADE"))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(path, seed, made string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	writers := newWriters(n)
	for i, f := range strings.Fields(made) {
		m, err := strconv.Atoi(f)
		if err != nil {
			return err
		}
		for range m {
			writers[i].next()
		}
	}
	s, err := Open(path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for _, w := range writers {
		go func() {
			for {
				if err := w.next()(s); err != nil {
					failed <- fmt.Errorf("writer %d, change %d: %w", w.number, w.made, err)
				}
				fmt.Printf("%d\n", w.number)
			}
		}()
	}
	return <-failed
}

// writer makes changes that follow from a seed, to tokens and an owner of its
// own. It knows what the store must hold after each.
type writer struct {
	number int
	rng    *rand.Rand
	made   int // how many changes
	owner  string
	tokens map[string]*token.Token
	record *token.Owner // nil: none
}

func newWriters(seed uint64) []*writer {
	writers := make([]*writer, 4)
	for i := range writers {
		writers[i] = &writer{
			number: i, rng: rand.New(rand.NewPCG(seed, uint64(i)+1)),
			owner: fmt.Sprintf("owner/%d", i), tokens: map[string]*token.Token{},
		}
	}
	return writers
}

// made says how many changes each writer has made, for writeUntilKilled.
func made(writers []*writer) string {
	var s []string
	for _, w := range writers {
		s = append(s, strconv.Itoa(w.made))
	}
	return strings.Join(s, " ")
}

// next makes the next change on paper and returns what makes it in a store.
// Every change leaves something else than was there before.
func (w *writer) next() (inStore func(*Store) error) {
	w.made++
	ids := slices.Sorted(maps.Keys(w.tokens))
	kind := w.rng.IntN(10)
	switch {
	case kind < 3 || len(ids) < 3:
		return w.create(1 + w.rng.IntN(3))
	case kind < 5:
		return w.update(ids[w.rng.IntN(len(ids))], func(t *token.Token) {
			t.RevokedAt = time.Unix(int64(w.made), 0).UTC()
		})
	case kind < 7:
		return w.update(ids[w.rng.IntN(len(ids))], func(t *token.Token) {
			t.Retired = append([]token.RetiredSecret{{Digest: t.Digest, Until: time.Unix(int64(w.made), 0)}}, t.Retired...)
			t.Retired = t.Retired[:min(2, len(t.Retired))]
			t.Digest = w.digest(0)
		})
	case kind < 9:
		w.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		return w.remove(ids[:1+w.rng.IntN(2)])
	}
	return w.changeOwner()
}

func (w *writer) digest(i int) token.Digest {
	return token.NewHasher("").Digest(fmt.Sprint(w.number, w.made, i))
}

func (w *writer) create(n int) func(*Store) error {
	var tokens []*token.Token
	for i := range n {
		t := &token.Token{
			ID: fmt.Sprintf("%d-%d-%d", w.number, w.made, i), Name: strings.Repeat("n", w.rng.IntN(200)),
			Owner: w.owner, Digest: w.digest(i), Grants: []token.Grant{token.Full()},
		}
		tokens = append(tokens, t)
		w.tokens[t.ID] = t
	}
	return func(s *Store) error { return s.Create(bg, tokens...) }
}

func (w *writer) update(id string, change func(*token.Token)) func(*Store) error {
	t := w.tokens[id].Clone()
	change(t)
	w.tokens[id] = t
	return func(s *Store) error {
		_, err := s.Update(bg, id, func(stored *token.Token) error { *stored = *t.Clone(); return nil })
		return err
	}
}

func (w *writer) remove(ids []string) func(*Store) error {
	for _, id := range ids {
		delete(w.tokens, id)
	}
	return func(s *Store) error { return s.Delete(bg, ids...) }
}

func (w *writer) changeOwner() func(*Store) error {
	if w.record != nil && w.rng.IntN(3) == 0 {
		w.record = nil
		return func(s *Store) error { return s.DeleteOwner(bg, w.owner) }
	}
	o := &token.Owner{ID: w.owner, Enabled: w.rng.IntN(2) == 0, UpdatedAt: time.Unix(int64(w.made), 0)}
	w.record = o
	return func(s *Store) error {
		_, err := s.UpdateOwner(bg, w.owner, func(*token.Owner) (*token.Owner, error) { return o, nil })
		return err
	}
}

// compare reports how what s holds differs from what the writer has written.
func (w *writer) compare(s *Store) error {
	stored, _, err := s.Tokens(bg, store.Query{Owner: &w.owner})
	if err != nil {
		return err
	}
	if len(stored) != len(w.tokens) {
		return fmt.Errorf("%d tokens, want %d", len(stored), len(w.tokens))
	}
	for _, t := range stored {
		if want := w.tokens[t.ID]; want == nil || !bytes.Equal(t.Encode(nil), want.Encode(nil)) {
			return fmt.Errorf("token %q is %+v, want %+v", t.ID, t, want)
		}
	}
	o, err := s.Owner(bg, w.owner)
	switch {
	case w.record == nil && err == nil:
		return fmt.Errorf("the owner is %+v, want none", o)
	case w.record != nil && err != nil:
		return err
	case w.record != nil && !bytes.Equal(o.Encode(nil), w.record.Encode(nil)):
		return fmt.Errorf("the owner is %+v, want %+v", o, w.record)
	}
	return nil
}
