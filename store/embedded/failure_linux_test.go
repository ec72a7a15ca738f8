package embedded

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Where the disk fails, nobody is told that there is nothing to do because of what isn't kept.
func TestDiskFailsForTheRefused(t *testing.T) {
	t.Parallel()
	s, _ := openOne(t)
	group := []*change{
		{ctx: t.Context(), do: func(tx tx, _ *store.Change) error { return tx.owners().Put([]byte("alice"), nil) }},
		{ctx: t.Context(), do: func(tx, *store.Change) error { return refusal{store.ErrUnchanged} }},
	}
	withoutSync(t, func() error { s.commit(group); return nil })
	for i, c := range group {
		if c.err == nil || !strings.Contains(c.err.Error(), "takes no more changes") {
			t.Errorf("change %d: %v, want that the store takes no more", i, c.err)
		}
	}
}

// What the disk has failed to keep can't be written again: no change is made any more,
// though the disk may be well, and the file is whole.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Store) error{
		"a change": func(s *Store) error { _, err := s.Update(t.Context(), "a", rename); return err },
		"one for which the file grows": func(s *Store) error {
			big := newToken("big")
			big.Name = strings.Repeat("n", 2*growth)
			return s.Create(t.Context(), big)
		},
	} {
		s, path := openOne(t)
		said := withoutSync(t, func() error { return change(s) })
		if said == nil || !strings.Contains(said.Error(), "takes no more changes") || !strings.Contains(said.Error(), syscall.EIO.Error()) {
			t.Errorf("%s: %v, want that the store takes no more, and why", name, said)
		}
		before := transactions(t, s)
		for call, err := range map[string]error{
			"Create":   s.Create(t.Context(), newToken("b")),
			"NoteUses": s.NoteUses(t.Context(), store.Use{ID: "a", At: time.Now()}),
			"Reach":    s.Reach(t.Context()),
		} {
			if err == nil || errors.Is(err, store.ErrUnreadable) || !strings.Contains(err.Error(), "takes no more changes") {
				t.Errorf("%s, then %s: %v, want %v", name, call, err, said)
			}
		}
		if after := transactions(t, s); after != before {
			t.Errorf("%s: %d transactions were made afterwards", name, after-before)
		}
		if _, err := s.Find(t.Context(), newToken("a").Digest); err != nil {
			t.Errorf("%s, then Find: %v, want the token", name, err)
		}
		var backup bytes.Buffer
		if err := s.Snapshot(t.Context(), &backup); err != nil {
			t.Errorf("%s, then Snapshot: %v", name, err)
		}
		checkFile(t, writeFile(t, backup.String()))
		s.Close()

		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Reach(t.Context()), s.Create(t.Context(), newToken("b"))); err != nil {
			t.Errorf("%s, then opened again: %v", name, err)
		}
		s.Close()
		checkFile(t, path)
	}
}

// withoutSync calls f where nothing can be made to reach the disk: the kernel refuses it
// to the thread, which ends with f.
func withoutSync(t *testing.T, f func() error) error {
	t.Helper()
	const number = 0 // where a filter finds which call it is
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(syscall.EIO)},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	refused, done := error(nil), make(chan error)
	go func() {
		runtime.LockOSThread()
		if refused = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); refused == nil {
			refused = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
		}
		if refused != nil {
			done <- nil
			return
		}
		done <- f()
	}()
	err := <-done
	runtime.KeepAlive(filter)
	if refused != nil {
		t.Skipf("the kernel refuses filters of system calls (seccomp): %v", refused)
	}
	return err
}

// A file that can't be written or grow takes no change, and says so until it does.
func TestNoRoom(t *testing.T) {
	if !apart(t) {
		return
	}
	s, path := openOne(t)
	big := newToken("big")
	big.Name = strings.Repeat("n", 2*growth)
	for name, c := range map[string]struct {
		limit  uint64
		change func() error
	}{
		"it can't be written": {2 * uint64(os.Getpagesize()), func() error { _, err := s.Update(t.Context(), "a", rename); return err }},
		"it can't grow":       {2 * growth, func() error { return s.Create(t.Context(), big) }},
	} {
		limitFiles(t, c.limit)
		err := c.change()
		if want := "writing to token store " + path + ": "; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), syscall.EFBIG.Error()) {
			t.Errorf("%s: %v, want %s%v", name, err, want, syscall.EFBIG)
		}
		if _, err := s.Find(t.Context(), newToken("a").Digest); err != nil {
			t.Errorf("%s: Find: %v, want the token", name, err)
		}
		passes := func(d time.Duration) { s.failed.Load().at = time.Now().Add(-d) }
		passes(trialInterval)
		if c.limit < growth {
			if err := s.Reach(t.Context()); err == nil {
				t.Errorf("%s: Reach has no error", name)
			}
		}
		limitFiles(t, math.MaxUint64)
		passes(-time.Hour)
		if err := s.Reach(t.Context()); err == nil || errors.Is(err, store.ErrUnreadable) || !strings.Contains(err.Error(), "writing to token store") {
			t.Errorf("%s, a moment ago: Reach: %v, want that", name, err)
		}
		passes(trialInterval)
		if err := s.Reach(t.Context()); err != nil {
			t.Errorf("%s, no more: Reach: %v", name, err)
		}
		if err := s.view(t.Context(), func(tx tx) error {
			if v := tx.meta().Get(keyTrial); v != nil {
				t.Errorf("%s: %d bytes are left of the trial", name, len(v))
			}
			return nil
		}); err != nil {
			t.Error(err)
		}

		limitFiles(t, c.limit)
		if err := c.change(); err == nil {
			t.Fatalf("%s, again: no error", name)
		}
		limitFiles(t, math.MaxUint64)
		if err := errors.Join(c.change(), s.Reach(t.Context())); err != nil {
			t.Errorf("%s, but then it can: %v", name, err)
		}
	}
	if err := whole(s); err != nil {
		t.Errorf("the file is not whole: %v", err)
	}
}

// Where there is no room for the copy, people are told where it is wanted.
func TestSnapshotNeedsRoom(t *testing.T) {
	if !apart(t) {
		return
	}
	s, _ := openOne(t)
	for _, limit := range []uint64{0, 3 * uint64(os.Getpagesize())} { // bbolt wraps the one error, and not the other
		limitFiles(t, limit)
		var backup bytes.Buffer
		err := s.Snapshot(t.Context(), &backup)
		limitFiles(t, math.MaxUint64)
		if want := "beside it first: "; !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), want) || backup.Len() > 0 {
			t.Errorf("Snapshot, with room for %d bytes: %d of them, %v, want %q and why", limit, backup.Len(), err, want)
		}
	}
}

// apart reports whether the test has a process of its own, for what it does to all of
// it. If not, it runs the test in one.
func apart(t *testing.T) bool {
	t.Helper()
	const mark = "PATGATE_TEST_APART"
	if os.Getenv(mark) != "" {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("apart: %v\n%s", err, out)
	}
	return false
}

// limitFiles sets how long a file of this process may become.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	err := syscall.Getrlimit(unix.RLIMIT_FSIZE, &limit)
	if err == nil {
		limit.Cur = min(size, limit.Max)
		err = syscall.Setrlimit(unix.RLIMIT_FSIZE, &limit)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is opened is what is on disk, and not what the kernel has in memory: where the
// disk has failed, that is something else.
func TestOpenForgets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	big := &token.Token{ID: "a", Name: strings.Repeat("n", 8*growth)}
	if err := s.Create(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	s.Close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	held := func() bool {
		t.Helper()
		mapped, err := unix.Mmap(int(f.Fd()), 0, 8*growth, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(mapped)
		pages := make([]byte, 8*growth/os.Getpagesize())
		if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mapped[0])), uintptr(len(mapped)), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
			t.Fatal(errno)
		}
		return pages[len(pages)/2]&1 != 0 // one that is not needed to open the file
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil || held() {
		t.Skipf("the directory for temporary files is in memory, or is held there: %v", err)
	}
	if _, err := os.ReadFile(path); err != nil || !held() {
		t.Skipf("what was read isn't held in memory: %v", err)
	}
	if s, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if held() {
		t.Error("a page is held that was before the file was opened")
	}
}
