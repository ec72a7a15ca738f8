package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// TestMain is the writing process where TestWriterKilled asks for it.
func TestMain(m *testing.M) {
	if addr := os.Getenv("PATGATE_CRASH_ADDR"); addr != "" {
		seed, _ := strconv.ParseUint(os.Getenv("PATGATE_CRASH_SEED"), 10, 64)
		err := writeUntilKilled(addr, seed)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestWriterKilled kills a process that writes, again and again, and looks at
// what it leaves: everything it had acknowledged is there, every token is found
// by all its secrets and listed where it belongs, and Check finds nothing but
// changes that were left behind, which it mends.
func TestWriterKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, KeyPrefix: "crash"})
	acknowledged := map[string]int{} // by token id: the last change
	leftBehind, total := 0, 0
	for round := range rounds {
		total += runAndKill(t, server.Addr, seed+uint64(round), time.Duration(rng.IntN(60))*time.Millisecond, acknowledged)
		wantWhole(t, s, acknowledged)

		// Those left behind are too young yet to be told from changes under
		// way.
		entries := s.client.HGetAll(t.Context(), s.keys.changes).Val()
		leftBehind += len(entries)
		for mark, e := range entries {
			_, _, digests, ok := parseEntry(e)
			if !ok {
				t.Fatalf("the entry %q can't be read", e)
			}
			if round%2 == 0 { // else the next process finds them in its way
				if err := s.endAbandoned(t.Context(), abandoned{mark, digests}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round%2 == 0 {
			wantSound(t, s)
		}
		wantWhole(t, s, acknowledged)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d changes acknowledged, %d left behind", total, leftBehind)
	if total == 0 {
		t.Error("no change was ever acknowledged")
	}
}

// runAndKill runs the writing process, kills it, and notes what it has
// acknowledged.
func runAndKill(t *testing.T, addr string, seed uint64, delay time.Duration, acknowledged map[string]int) (n int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "PATGATE_CRASH_ADDR="+addr, fmt.Sprint("PATGATE_CRASH_SEED=", seed))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { time.AfterFunc(delay, func() { cmd.Process.Kill() }) })
	for lines := bufio.NewScanner(out); lines.Scan(); n++ {
		id, change, _ := strings.Cut(lines.Text(), " ")
		if acknowledged[id], err = strconv.Atoi(change); err != nil {
			t.Fatalf("the writing process printed %q", lines.Text())
		}
		kill()
	}
	cmd.Wait() // it was killed, as it should be
	if stderr.Len() > 0 {
		t.Fatalf("the writing process failed: %s", &stderr)
	}
	return n
}

// writeUntilKilled changes tokens in all ways there are, each writer its own. A
// token's change is numbered in its name; what is acknowledged is printed.
func writeUntilKilled(addr string, seed uint64) error {
	s, err := Open(Options{Addresses: []string{addr}, KeyPrefix: "crash", Budget: 2 * time.Second})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range 4 {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		go func() {
			for {
				id := fmt.Sprintf("w%d-%d", w, rng.IntN(4))
				if err := writeOnce(s, rng, id); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// deleting is printed before a token is deleted, which may end there or not.
const deleting = -1

func writeOnce(s *Store, rng *rand.Rand, id string) error {
	bg := context.Background()
	old, err := s.Token(bg, id)
	if errors.Is(err, store.ErrNotFound) {
		n := newToken(id)
		n.Name = "1"
		n.Digest = digest(fmt.Sprint(id, rng.Uint64()))
		if err = s.Create(bg, n); err == nil {
			fmt.Printf("%s 1\n", id)
		}
		return err
	}
	if err != nil {
		return err
	}
	number, _ := strconv.Atoi(old.Name)
	number++
	if rng.IntN(6) == 0 {
		fmt.Printf("%s %d\n", id, deleting)
		if err = s.Delete(bg, id); err == nil {
			fmt.Printf("%s 0\n", id)
		}
		return err
	}
	_, err = s.Update(bg, id, func(t *token.Token) error {
		t.Name = strconv.Itoa(number)
		switch rng.IntN(4) {
		case 0:
			revoke(t)
		case 1:
			t.Owner = []string{"alice", "bob"}[rng.IntN(2)]
		case 2:
			t.Digest = digest(fmt.Sprint(id, rng.Uint64()))
		default:
			t.Retired = append([]token.RetiredSecret{{Digest: t.Digest, Until: time.Unix(9, 0)}}, t.Retired...)
			t.Retired = t.Retired[:min(2, len(t.Retired))]
			t.Digest = digest(fmt.Sprint(id, rng.Uint64()))
		}
		return nil
	})
	if err == nil {
		fmt.Printf("%s %d\n", id, number)
	}
	return err
}

// wantWhole checks that every token is found by all its secrets and listed where
// it belongs, that no secret finds a token that doesn't know it, and that the
// last change acknowledged, or the one after it, is there.
func wantWhole(t *testing.T, s *Store, acknowledged map[string]int) {
	t.Helper()
	all, _, err := s.Tokens(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	byOwner := map[string][]*token.Token{}
	known := map[token.Digest]string{}
	for _, tok := range all {
		there[tok.ID], _ = strconv.Atoi(tok.Name)
		byOwner[tok.Owner] = append(byOwner[tok.Owner], tok)
		for _, d := range tok.Digests() {
			known[d] = tok.ID
			if f, err := s.Find(t.Context(), d); err != nil || !bytes.Equal(f.Token.Encode(nil), tok.Encode(nil)) {
				t.Errorf("Find = %+v, %v, want %+v, as it is listed", f.Token, err, tok)
			}
		}
	}
	for _, owner := range []string{"alice", "bob"} {
		theirs, _, err := s.Tokens(t.Context(), store.Query{Owner: &owner})
		if err != nil || ids(theirs) != ids(byOwner[owner]) {
			t.Errorf("Tokens of %s =%s, %v, want%s", owner, ids(theirs), err, ids(byOwner[owner]))
		}
	}
	for id, last := range acknowledged {
		now := there[id]
		if last != deleting && now != last && now != last+1 {
			t.Errorf("token %q is at change %d, but %d was acknowledged", id, now, last)
		}
		acknowledged[id] = now
	}
	if st, err := s.Status(t.Context()); err != nil || st.Tokens != len(all) {
		t.Errorf("Status = %+v, %v, want %d tokens", st, err, len(all))
	}
	keys, err := s.client.Keys(t.Context(), s.keys.tokens+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		d := token.Digest([]byte(strings.TrimPrefix(key, s.keys.tokens)))
		if _, ok := known[d]; ok {
			continue
		}
		if f, err := s.Find(t.Context(), d); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a secret that no token has finds %+v, %v", f.Token, err)
		}
	}
}
