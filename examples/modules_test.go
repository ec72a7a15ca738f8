package examples

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// othersModules are the modules of others that recipes are for.
var othersModules = []string{"github.com/mholt/caddy-ratelimit@v0.1.0", "github.com/caddyserver/cache-handler@v0.16.0"}

// caddyWithModules builds Caddy with patgate and the modules of others, as xcaddy
// does it.
func caddyWithModules(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	goMod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^module .*`).ReplaceAllString(string(goMod), "module with-modules")
	text += "require github.com/patgate/patgate v0.0.0\nreplace github.com/patgate/patgate => " + root + "\n"
	imports := []string{"github.com/caddyserver/caddy/v2/modules/standard", "github.com/patgate/patgate/caddymodule"}
	for _, module := range othersModules {
		path, version, _ := strings.Cut(module, "@")
		text += "require " + path + " " + version + "\n"
		imports = append(imports, path)
	}
	main := "package main\n\nimport caddycmd \"github.com/caddyserver/caddy/v2/cmd\"\n"
	for _, path := range imports {
		main += fmt.Sprintf("import _ %q\n", path)
	}
	main += "\nfunc main() { caddycmd.Main() }\n"
	for name, content := range map[string]string{"go.mod": text, "go.sum": string(sums), "main.go": main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = dir
		return cmd
	}
	downloading, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := command(downloading, "list", "-mod=mod", "-tags", "nobadger,nomysql,nopgx", "-deps", ".").CombinedOutput(); err != nil {
		t.Skipf("the modules %s can't be had here: %s", strings.Join(othersModules, ", "), out)
	}
	program = filepath.Join(dir, "caddy")
	if out, err := command(t.Context(), "build", "-mod=mod", "-tags", "nobadger,nomysql,nopgx", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building Caddy with modules: %v\n%s", err, out)
	}
	return program
}

// The recipes with the modules they are for.
func TestModules(t *testing.T) {
	program := caddyWithModules(t)
	t.Run("rate-limit", func(t *testing.T) { testRateLimit(t, program) })
	t.Run("cache", func(t *testing.T) { testCache(t, program) })
}

func testRateLimit(t *testing.T, program string) {
	text, err := os.ReadFile("recipes/rate-limit/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(caddyfile, []byte(strings.Replace(string(text), "events 1000", "events 150", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := serveRecipeWith(t, program, caddyfile)
	first, second, bobs := r.token(t), r.token(t), r.token(t, "--owner", "bob")
	passed := func(secret string) (n int) {
		t.Helper()
		for ; n < 10_000; n++ {
			switch status, body, _ := send(t, r.addr, "GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+secret); status {
			case 200:
			case 429:
				return n
			default:
				t.Fatalf("answered %d %s", status, body)
			}
		}
		t.Fatalf("%d requests and no limit", n)
		return n
	}
	// More pass where they are sent so slowly that the first don't count any more.
	if n := passed(first); n < 100 {
		t.Errorf("%d requests of a token passed, want the 100 that it may send", n)
	}
	if n := passed(second); n >= 100 {
		t.Errorf("%d requests of the owner's second token passed, want it to be limited by what the owner has sent already", n)
	}
	if status, body, _ := send(t, r.addr, "GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+bobs); status != 200 {
		t.Errorf("another owner is answered %d %s", status, body)
	}
	if status, body, _ := send(t, r.addr, "GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+first+"x"); status != 401 {
		t.Errorf("what isn't the token is answered %d %s, want 401: it doesn't count", status, body)
	}
}

func testCache(t *testing.T, program string) {
	r := serveRecipeWith(t, program, "recipes/cache/Caddyfile")
	alices, another, bobs := r.token(t), r.token(t), r.token(t, "--owner", "bob")
	const stories = "/v1/spaces/1/stories"
	for _, row := range []struct {
		what, secret, path string
		status             int
		held               bool
		body               string
	}{
		{"the first request", alices, stories, 200, false, "by [alice]"},
		{"its answer", alices, stories, 200, true, "by [alice]"},
		{"the owner's other token", another, stories, 200, true, "by [alice]"},
		{"another URL", alices, stories + "?page=2", 200, false, "by [alice]"},
		{"another owner", bobs, stories, 200, false, "by [bob]"},
		{"no token", "", stories, 401, false, "token_missing"},
		{"another space", alices, "/v1/spaces/2/stories", 403, false, "space_not_granted"},
	} {
		var header []string
		if row.secret != "" {
			header = []string{"Authorization", "Bearer " + row.secret}
		}
		status, body, answer := send(t, r.addr, "GET", row.path, append(header, "X-Patgate-Owner", "carol")...)
		held := strings.Contains(answer.Get("Cache-Status"), "; hit")
		if status != row.status || held != row.held || !strings.Contains(body, row.body) {
			t.Errorf("%s: answered %d %s, from the cache: %v; want %d, %v, %s", row.what, status, body, held, row.status, row.held, row.body)
		}
		if strings.Contains(answer.Get("Cache-Status"), "alice") {
			t.Errorf("%s: the answer shows the key: %s", row.what, answer.Get("Cache-Status"))
		}
	}
	if out, err := patgate(t, ".", r.env, "token", "revoke", "--owner", "alice"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, secret := range []string{alices, another} {
		if status, body, _ := send(t, r.addr, "GET", stories, "Authorization", "Bearer "+secret); status != 401 {
			t.Errorf("a revoked token, of which an answer is held, is answered %d %s", status, body)
		}
	}
}
