package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/testbinary"
)

// binary is the built patgate, without the race detector: with it a command
// takes several times as long to start, and the tests here run hundreds.
var binary string

func TestMain(m *testing.M) { os.Exit(testbinary.Run(m, &binary)) }

// place is where a test runs patgate: a directory and an admin address of its
// own.
type place struct {
	site  string // of newTokenServer: where its gate is
	dir   string
	admin string
	env   []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return &place{dir: t.TempDir(), admin: freeport.For(t)}
}

// command returns patgate with these arguments.
func (p *place) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "CADDY_ADMIN="+p.admin,
		"XDG_DATA_HOME="+filepath.Join(p.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(p.dir, "config"))
	cmd.Env = append(cmd.Env, p.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs patgate and returns what it prints.
func (p *place) run(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := p.command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("patgate %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// start runs patgate until the test ends. ready is asked until it says so.
func (p *place) start(t *testing.T, ready func() bool, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := p.command(ctx, args...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		stop()
		<-done
		if t.Failed() {
			t.Logf("patgate %s:\n%s", strings.Join(args, " "), &output)
		}
	})
	for deadline := time.After(time.Minute); !ready(); {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("patgate %s ended: %v\n%s", strings.Join(args, " "), err, &output)
		case <-deadline:
			t.Fatalf("patgate %s is not ready after a minute", strings.Join(args, " "))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers says whether something answers on the admin endpoint.
func (p *place) answers() bool {
	resp, err := http.Get("http://" + p.admin + "/patgate/status")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestDemo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	temp := filepath.Join(p.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	cmd := p.command(ctx, "demo", "--listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var shown []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Serving until interrupted") {
		shown = append(shown, lines.Text())
	}

	answers := map[string]int{}
	for _, line := range shown {
		if strings.HasPrefix(line, "curl ") {
			answers[demoStatus(t, line)]++
		}
	}
	for _, want := range []string{"200", "401", "403"} {
		if answers[want] == 0 {
			t.Errorf("no curl line is answered %s; the answers are %v\n%s", want, answers, strings.Join(shown, "\n"))
		}
	}
	checkDemoSession(t, shown)
	// It is a gate under every name that leads to it.
	gate, err := url.Parse(shown[0][strings.LastIndex(shown[0], " ")+1:])
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://localhost:" + gate.Port() + "/v1/spaces/1/stories")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("as localhost it answers %s, want 401", resp.Status)
	}

	interrupt()
	for lines.Scan() { // until it ends
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("demo ended with %v\n%s", err, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error has %q, want nothing", &stderr)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "data")); err == nil {
		t.Error("the demo wrote into Caddy's data directory")
	}
}

// Two signals that come together are one: timeout sends its own to the command, and
// once more to the whole group. The demo leaves nothing behind then either.
func TestDemoEndedByTimeout(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	temp := filepath.Join(p.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 5 { // it may take two for one by itself
		cmd, stdout := p.startDemo(t, temp)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "Serving until interrupted") {
				for range 10 {
					cmd.Process.Signal(syscall.SIGTERM) // it may have ended
					runtime.Gosched()
				}
			}
		}
		cmd.Wait() // what it has left says how it ended
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Fatalf("the demo left %v behind (%v): %v", left, err, cmd.ProcessState)
		}
	}
}

// A demo that nobody reads any more, as in "patgate demo | head -1", ends, and
// leaves nothing behind either.
func TestDemoUnread(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	temp := filepath.Join(p.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, stdout := p.startDemo(t, temp)
	bufio.NewReader(stdout).ReadString('\n')
	stdout.Close()
	cmd.Wait() // with which status doesn't matter
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}

// startDemo starts a demo, and returns its standard output. It has temp for temporary files.
func (p *place) startDemo(t *testing.T, temp string) (*exec.Cmd, io.ReadCloser) {
	t.Helper()
	cmd := p.command(t.Context(), "demo", "--listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout
}

// demoStatus sends the request of one of the demo's curl lines.
func demoStatus(t *testing.T, line string) string {
	t.Helper()
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)
	r, err := http.NewRequest("GET", words[len(words)-1], nil)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for i, w := range words {
		switch w {
		case "-X":
			r.Method = words[i+1]
		case "-H":
			name, value, _ := strings.Cut(strings.Trim(words[i+1], "'"), ": ")
			r.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	resp.Body.Close()
	return resp.Status[:3]
}

// readme returns the fenced blocks of README.md in one language.
func readme(t *testing.T, language string) (blocks []string) {
	t.Helper()
	for _, block := range fences(t, "../../README.md") {
		if block.language == language {
			blocks = append(blocks, block.text)
		}
	}
	if blocks == nil {
		t.Fatalf("README.md has no block of %s", language)
	}
	return blocks
}

// checkDemoSession compares what the demo shows with what README.md says.
func checkDemoSession(t *testing.T, shown []string) {
	t.Helper()
	said := strings.Split(strings.TrimSpace(readme(t, "console")[0]), "\n")[1:]
	for i, line := range said {
		if i >= len(shown) {
			t.Fatalf("README.md says %q, and the demo ends before it", line)
		}
		if got, want := comparable(shown[i]), comparable(line); got != want {
			t.Errorf("README.md says\n\t%s\nthe demo\n\t%s", want, got)
		}
	}
}

// comparable hides what is new in every run.
func comparable(line string) string {
	line = regexp.MustCompile(`pat_\w{36}`).ReplaceAllString(line, "SECRET")
	line = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(line, "ADDRESS")
	return strings.Join(strings.Fields(line), " ")
}

// TestReadme runs every command of README.md, in its order, on the files that
// README.md shows, and compares what they print with what it says.
func TestReadme(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	gate := freeport.For(t)
	caddyfile := readme(t, "caddyfile")[0]
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Caddyfile", caddyfile)
	write("cases.jsonl", readme(t, "json")[0])

	id, running := "", false
	for _, block := range readme(t, "console")[1:] {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		for i := 0; i < len(lines); i++ {
			line, isCommand := strings.CutPrefix(lines[i], "$ ")
			if !isCommand {
				t.Fatalf("README.md: %q is no command and follows none", lines[i])
			}
			var said []string
			for i+1 < len(lines) && !strings.HasPrefix(lines[i+1], "$ ") {
				i++
				said = append(said, lines[i])
			}
			words := shellWords(line)
			switch {
			case words[0] == "make":
				continue // this is what runs it
			case words[0] != "patgate":
				t.Fatalf("README.md: %q is not a command that is tested", line)
			case words[1] == "run":
				// The site has no certificate here.
				write("Caddyfile", strings.Replace(caddyfile, "api.example.com {", "http://"+gate+" {", 1))
				p.start(t, p.answers, words[1:]...)
				running = true
				continue
			case words[1] == "token" && words[2] == "create":
				var created struct {
					Token struct{ ID string }
				}
				if err := json.Unmarshal([]byte(p.run(t, append(words[1:], "--json")...)), &created); err != nil || created.Token.ID == "" {
					t.Fatalf("%s --json: no id in what it prints (%v)", line, err)
				}
				id = created.Token.ID
			}
			for w := range words {
				if words[w] == "ID" {
					words[w] = id
				}
			}
			got := p.run(t, words[1:]...)
			if got == "" {
				t.Errorf("%s: prints nothing", line)
			}
			if said != nil && strings.TrimSpace(got) != strings.Join(said, "\n") {
				t.Errorf("%s: prints\n%s\nREADME.md says\n%s", line, got, strings.Join(said, "\n"))
			}
		}
	}
	if !running {
		t.Error("README.md never runs the server")
	}
}

// TestReadmeCaddyfiles adapts every Caddyfile of README.md and checks it.
func TestReadmeCaddyfiles(t *testing.T) {
	t.Parallel()
	for i, caddyfile := range readme(t, "caddyfile") {
		p := newPlace(t)
		p.env = []string{"REDIS_PASSWORD=x"}
		if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), []byte(caddyfile), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := p.run(t, "adapt", "--config", "Caddyfile", "--validate"); !strings.Contains(got, "patgate") {
			t.Errorf("Caddyfile %d of README.md adapts to %s", i+1, got)
		}
	}
}

// shellWords splits a command line as a shell does.
func shellWords(line string) []string {
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], "'")
	}
	return words
}

// TestExample runs Caddyfile.example as it says: in front of any API.
func TestExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(r.Method + " " + r.URL.Path + " by " + r.Header.Get("X-Patgate-Owner")))
	}))
	t.Cleanup(upstream.Close)
	p, gate := newPlace(t), freeport.For(t)
	p.env = []string{"PATGATE_UPSTREAM=" + upstream.Listener.Addr().String()}
	if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), bytes.Replace(text, []byte("http://:8080"), []byte("http://"+gate), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t, p.answers, "run", "--config", "Caddyfile")

	var reader struct{ Secret string }
	if err := json.Unmarshal([]byte(p.run(t, "token", "create", "--name", "first", "--owner", "alice", "--scope", "api:read", "--json")), &reader); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, secret string
		status               int
		body                 string
	}{
		{"GET", "/health", "", 200, "GET /health by "},
		{"GET", "/", "", 401, ""},
		{"GET", "/", reader.Secret, 200, "GET / by alice"},
		{"GET", "/any/thing", reader.Secret, 200, "GET /any/thing by alice"},
		{"POST", "/any/thing", reader.Secret, 403, ""},
	} {
		r, err := http.NewRequest(test.method, "http://"+gate+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.secret != "" {
			r.Header.Set("Authorization", "Bearer "+test.secret)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != test.status || test.body != "" && string(body) != test.body {
			t.Errorf("%s %s = %d %q (%v), want %d %q", test.method, test.path, resp.StatusCode, body, err, test.status, test.body)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "data", "caddy", "patgate", "tokens.db")); err != nil {
		t.Errorf("the tokens are not where the example says: %v", err)
	}
}
