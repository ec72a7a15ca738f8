package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImports compares what packages import with the table of directories in
// CONTRIBUTING.md. All may import internal, what tests are made of anything.
func TestImports(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	may := map[string][]string{} // the directories that one may import; nil: all
	word := regexp.MustCompile("`([^`]+)`")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| .* \\| ?(.*)\\|$").FindAllStringSubmatch(string(text), -1) {
		switch list := strings.TrimSpace(row[2]); {
		case list == "" || list == "all of these":
			may[row[1]] = nil
		case list == "nothing of patgate":
			may[row[1]] = []string{}
		default:
			for _, m := range word.FindAllStringSubmatch(list, -1) {
				may[row[1]] = append(may[row[1]], m[1])
			}
			if may[row[1]] == nil {
				t.Errorf("CONTRIBUTING.md: %s may import %q, want directories", row[1], list)
			}
		}
	}
	if len(may) < 15 {
		t.Fatalf("CONTRIBUTING.md names %d directories", len(may))
	}

	list := exec.Command("go", "list", "-tags", "nobadger,nomysql,nopgx", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	list.Dir = "../.."
	packages, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	const module, caddy = "github.com/patgate/patgate/", "github.com/caddyserver/caddy/"
	// row returns the innermost directory of the table that a package is in.
	row := func(path string) string {
		for dir := strings.TrimPrefix(path, module); ; dir = dir[:strings.LastIndexByte(dir, '/')] {
			if _, ok := may[dir]; ok {
				return dir
			}
			if !strings.Contains(dir, "/") {
				t.Fatalf("CONTRIBUTING.md doesn't say what %s may import", path)
			}
		}
	}
	for line := range strings.Lines(string(packages)) {
		words := strings.Fields(line)
		from := row(words[0])
		for _, path := range words[1:] {
			if strings.HasPrefix(path, caddy) && !strings.HasPrefix(from, "caddymodule") && !strings.HasPrefix(from, "cmd/") {
				t.Errorf("%s imports %s, want only caddymodule and cmd to import Caddy", words[0], path)
			}
			if !strings.HasPrefix(path, module) {
				continue
			}
			to := row(path)
			helps := strings.HasPrefix(to, "internal") && !strings.HasPrefix(from, "internal")
			if may[from] != nil && to != from && !helps && !slices.Contains(may[from], to) {
				t.Errorf("%s imports %s, which CONTRIBUTING.md doesn't allow %s", words[0], path, from)
			}
		}
	}
}
