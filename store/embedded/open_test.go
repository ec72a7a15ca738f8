package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/token"
)

func TestOpenMakesFileAndDirectoryPrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := filepath.Join(t.TempDir(), "new", "deep")
	path := filepath.Join(dir, "tokens.db")
	wantMode := func(name string, want os.FileMode) {
		t.Helper()
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s = %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	reopen := func() {
		t.Helper()
		s, err := Open(path)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		s.Close()
	}
	reopen()
	wantMode(filepath.Dir(dir), 0o700)
	wantMode(dir, 0o700)
	wantMode(path, 0o600)
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Errorf("the directory holds %q, %v, want the file alone", names, err)
	}

	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	reopen()
	wantMode(path, 0o600)
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	// good is the content of a store that holds enough for several pages.
	used := 0 // of its bytes; what follows them is room to grow
	good := func() []byte {
		path := filepath.Join(t.TempDir(), "good.db")
		s, err := Open(path)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		for i := range 500 {
			tok := &token.Token{ID: token.NewID(time.Now()), Name: strings.Repeat("n", 200), Digest: token.Digest{byte(i), byte(i >> 8), 1}}
			s.db.NoSync = true
			if err := s.Create(t.Context(), tok); err != nil {
				t.Fatalf("Create: %v", err)
			}
		}
		if err := s.view(t.Context(), func(tx tx) error { used = int(tx.b.Size()); return nil }); err != nil {
			t.Fatal(err)
		}
		s.Close()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}()
	bolt := func(fill func(*bbolt.Tx) error) []byte {
		path := filepath.Join(t.TempDir(), "bolt.db")
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(fill); err != nil {
			t.Fatal(err)
		}
		db.Close()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	page := os.Getpagesize()
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a text", []byte("{\n\tadmin off\n}\n"), "damaged, or not a token store of patgate"},
		{"a long text", bytes.Repeat([]byte("SQLite format 3\x00"), 4096), "damaged, or not a token store of patgate"},
		{"zeros, as a power cut leaves them", make([]byte, 4*page), "damaged, or not a token store of patgate"},
		{"both of the first pages overwritten", append(make([]byte, 2*page), good[2*page:]...), "damaged, or not a token store of patgate"},
		{"all but the first pages cut off", good[:2*page], "damaged"},
		{"the end cut off", good[:used/4/page*page], "damaged"},
		{"all but the first pages overwritten", append(bytes.Clone(good[:2*page]), make([]byte, len(good)-2*page)...), "damaged"},
		{"another program's database", bolt(func(b *bbolt.Tx) error { _, err := b.CreateBucket([]byte("key")); return err }), "another program, or a copy of a store"},
		{"one with a meta bucket", bolt(func(b *bbolt.Tx) error { _, err := b.CreateBucket(bucketMeta); return err }), "another program"},
		{"a later format", bolt(func(b *bbolt.Tx) error {
			meta, err := b.CreateBucket(bucketMeta)
			if err != nil {
				return err
			}
			return meta.Put(keyFormat, binary.BigEndian.AppendUint64(nil, 2))
		}), "has format 2, this patgate reads format 1"},
	} {
		path := filepath.Join(t.TempDir(), "tokens.db")
		if err := os.WriteFile(path, c.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first time must not leave the file locked
			s, err := openWithin(path, time.Millisecond)
			if err == nil {
				s.Close()
				t.Errorf("%s: Open has no error, want one with %q", c.name, c.want)
				continue
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: Open: %v, want an error with %q and the file's name", c.name, err, c.want)
			}
		}
		// What isn't ours is left as it was.
		raw, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(raw, c.raw) {
			t.Errorf("%s: Open changed the file, %v", c.name, err)
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
			t.Errorf("%s: Open changed the file's mode to %v, %v", c.name, info.Mode(), err)
		}
	}

	for name, path := range map[string]string{
		"a directory":                t.TempDir(),
		"a directory that is a file": filepath.Join(writeFile(t, "x"), "tokens.db"),
	} {
		if s, err := Open(path); err == nil {
			s.Close()
			t.Errorf("%s: Open has no error", name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Open: %v, want an error with the file's name %s", name, err, path)
		}
	}
}

func writeFile(t *testing.T, content string) string {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a crash between the making of the file and the first transaction leaves.
func TestOpenEmptyFile(t *testing.T) {
	t.Parallel()
	empty := writeFile(t, "")
	unprepared := filepath.Join(t.TempDir(), "tokens.db")
	db, err := bbolt.Open(unprepared, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, path := range []string{empty, unprepared} {
		checkFile(t, path)
	}
}

func TestOpenInUse(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, err := openWithin(s.path, time.Millisecond)
	want := s.path + " is in use by another process, usually a running patgate: manage tokens through it (patgate token ...), or stop it"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("Open of a file that is open: %v, want %q", err, want)
	}

	// Open waits for the one that is about to let go.
	opened := make(chan error)
	go func() {
		s, err := openWithin(s.path, time.Minute)
		if err == nil {
			s.Close()
		}
		opened <- err
	}()
	s.Close()
	if err := <-opened; err != nil {
		t.Errorf("Open while another one closes the file: %v", err)
	}
}

// Several that make the same file at once end up with one file, not with one
// each.
func TestOpenNewFileConcurrently(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.db")
	errs := make(chan error)
	const openers = 4
	for i := range openers {
		go func() {
			s, err := openWithin(path, time.Minute)
			if err == nil {
				err = s.Create(t.Context(), &token.Token{ID: string(rune('a' + i)), Digest: token.Digest{byte(i)}})
				s.Close()
			}
			errs <- err
		}()
	}
	for range openers {
		if err := <-errs; err != nil {
			t.Errorf("Open and Create: %v", err)
		}
	}
	s, err := Open(path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer s.Close()
	if st, err := s.Status(t.Context()); err != nil || st.Tokens != openers {
		t.Errorf("Status = %+v, %v, want %d tokens", st, err, openers)
	}
}

// A page that is damaged later is an error of the calls that meet it, and the
// store can still be closed.
func TestDamagedWhileOpen(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	freelist := func(p []byte) bool { return p[8] == 0x10 } // by the flags in its header
	anyPage := func([]byte) bool { return true }
	for _, c := range []struct {
		name   string
		damage func(page []byte) bool
		find   string // in the error of Find; "": none
	}{
		{"all but the first pages", anyPage, "damaged"},
		{"the list of free pages", freelist, ""},
	} {
		path := filepath.Join(t.TempDir(), "tokens.db")
		s, err := Open(path)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		tok := &token.Token{ID: "a", Name: "n", Digest: token.Digest{1}}
		if err := s.Create(t.Context(), tok); err != nil {
			t.Fatalf("Create: %v", err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for p := 2 * page; p < len(raw); p += page {
			if c.damage(raw[p : p+page]) {
				clear(raw[p : p+page])
			}
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}

		_, err = s.Find(t.Context(), tok.Digest)
		if c.find == "" && err != nil || c.find != "" && (err == nil || !strings.Contains(err.Error(), c.find)) {
			t.Errorf("%s: Find: %v, want %q", c.name, err, c.find)
		}
		for range 2 {
			_, err = s.Update(t.Context(), "a", func(t *token.Token) error { t.Name += "x"; return nil })
			if err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s: Update: %v, want an error that says it is damaged", c.name, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", c.name, err)
		}
		if s, err := openWithin(path, time.Millisecond); err == nil {
			s.Close()
			t.Errorf("%s: Open has no error, want one that says it is damaged", c.name)
		} else if !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: Open: %v, want an error that says it is damaged", c.name, err)
		}
	}
}

// A file that grows beside a long look through it, a backup say, keeps no lookup
// waiting: it has its addresses from the beginning.
func TestGrowsBesideReader(t *testing.T) {
	t.Parallel()
	if mapped == 0 {
		t.Skip("the file is mapped as far as it goes")
	}
	s, path := openOne(t)
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	answered := make(chan error, 1)
	if err := s.view(t.Context(), func(tx) error {
		go func() {
			big := newToken("b")
			big.Name = strings.Repeat("n", 4*growth)
			err := s.Create(t.Context(), big)
			if err == nil {
				_, err = s.Find(t.Context(), newToken("a").Digest)
			}
			answered <- err
		}()
		select {
		case err := <-answered:
			return err
		case <-time.After(time.Minute):
			return errors.New("a change or a lookup waits for the reader")
		}
	}); err != nil {
		t.Errorf("beside a reader: %v", err)
	}
	if after := size(); after < before+4*growth || after > before+6*growth {
		t.Errorf("the file has grown from %d to %d bytes, want by what was written, and a little", before, after)
	}
}

// Only addresses are taken for what isn't there yet: the file is as long as it has to be.
func TestFileIsShort(t *testing.T) {
	t.Parallel()
	_, path := openOne(t)
	if info, err := os.Stat(path); err != nil || info.Size() > 2*growth {
		t.Errorf("a file of one token is %d bytes long, %v", info.Size(), err)
	}
}

// Where the process may not have so many addresses, the file is mapped as far as it
// goes. Not parallel: mapped is everybody's.
func TestOpenWithFewAddresses(t *testing.T) {
	defer func(usual int) { mapped = usual }(mapped)
	mapped <<= 17 // as many as there are
	s, _ := openOne(t)
	if _, err := s.Find(t.Context(), newToken("a").Digest); err != nil {
		t.Errorf("Find: %v", err)
	}
}
