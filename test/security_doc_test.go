package test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What SECURITY.md shows works, and the tests it names are there.
func TestSecurityDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`((?:[a-z0-9]+/)*[a-zA-Z_0-9/.]+(?:_test\\.go|/checker|/personality))`").FindAllSubmatch(text, -1) {
		name := string(m[1])
		if _, err := os.Stat(filepath.Join("..", name)); err == nil {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			t.Errorf("SECURITY.md names %s, which is not there", name)
		}
	}
	if blocks := fenced(text, "caddyfile"); len(blocks) != 1 {
		t.Errorf("%d Caddyfiles, want 1", len(blocks))
	} else {
		g := prepare(t, setup{sites: plainSite})
		// The block is a whole file of its own: its options and a site.
		if err := os.WriteFile(g.file, append(blocks[0], "\nhttp://:8080 {\n\tpatgate\n\trespond ok\n}\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		g.env = append(os.Environ(), "HOME="+g.dir)
		if out, err := g.command("adapt", "--config", g.file); err != nil || !strings.Contains(out, `"format":"patgate"`) {
			t.Errorf("the Caddyfile: %s %v", out, err)
		}
	}
	// The remote endpoint is tried by TestRemoteAdmin; here, that the document
	// has what is tried there.
	for _, block := range fenced(text, "json") {
		for _, word := range []string{`"identity"`, `"remote"`, `"access_control"`, `"public_keys"`, `"permissions": [{"paths": ["/patgate/status", "/patgate/tokens"], "methods": ["GET"]}]`} {
			if !bytes.Contains(block, []byte(word)) || !strings.Contains(remoteAdmin, word) {
				t.Errorf("%s is not in the document, or not tried", word)
			}
		}
	}
}

// fenced returns the fenced blocks of a document in one language.
func fenced(text []byte, language string) (blocks [][]byte) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}
