package caddymodule

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What operators begin with is formatted: of others, Caddy warns at every start.
func TestExamplesAreFormatted(t *testing.T) {
	files := []string{"../Caddyfile.example"}
	err := filepath.WalkDir("../examples", func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, "Caddyfile") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 10 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if formatted := caddyfile.Format(text); !bytes.Equal(formatted, text) {
			t.Errorf("%s isn't formatted, want\n%s", file, formatted)
		}
	}
}

// So are the Caddyfiles in the documents, which people copy.
func TestDocumentsAreFormatted(t *testing.T) {
	files, _ := filepath.Glob(docs + "*.md")
	fenced, n := regexp.MustCompile("(?ms)^```caddyfile[^\n]*\n(.*?)^```$"), 0
	for _, file := range append(files, "../README.md", "../SECURITY.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fenced.FindAllSubmatch(text, -1) {
			if formatted := caddyfile.Format(block[1]); !bytes.Equal(formatted, block[1]) {
				t.Errorf("%s has a Caddyfile that isn't formatted, want\n%s", file, formatted)
			}
			n++
		}
	}
	if n < 10 {
		t.Errorf("%d Caddyfiles: they aren't found", n)
	}
}
