package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every Caddyfile in the documents is one.
func TestCaddyfilesInDocuments(t *testing.T) {
	files, err := filepath.Glob(docs + "*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range strings.Split(string(text), "```caddyfile\n")[1:] {
			block, _, _ := strings.Cut(rest, "```")
			if _, err := adapt(block); err != nil {
				t.Errorf("%s: %v, in\n%s", file, err, block)
			}
			n++
		}
	}
	if n < 2 {
		t.Errorf("%d Caddyfiles: they aren't found", n)
	}
}
