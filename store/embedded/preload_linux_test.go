package embedded

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A check reads the file in one go before it looks at its pages here and there.
func TestCheckReadsAhead(t *testing.T) {
	s, path := openOne(t)
	big := newToken("big")
	big.Name = strings.Repeat("n", 4*growth)
	if err := s.Create(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	before := bytesRead(t)
	if _, err := s.Check(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if n := bytesRead(t) - before; n < info.Size() {
		t.Errorf("Check has read %d bytes, want at least the file's %d", n, info.Size())
	}
	ended, end := context.WithCancel(t.Context())
	end()
	before = bytesRead(t)
	if s.Preload(ended); bytesRead(t)-before >= info.Size() {
		t.Error("Preload reads all of the file though nobody waits for it")
	}
}

// bytesRead returns how much this process has read by calls of the system, which pages of
// a mapped file aren't among.
func bytesRead(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	if _, err := fmt.Sscanf(string(text), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}
