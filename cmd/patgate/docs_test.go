package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/patgate/patgate/internal/freeport"
)

// fence is a fenced block of a page: its language, the file it is, where that is
// said, and its text.
type fence struct{ language, file, text string }

func fences(t *testing.T, page string) (blocks []fence) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, fence{m[1], m[2], m[3]})
	}
	return blocks
}

// TestDocs follows each page of docs: files are written as they are shown, every
// Caddyfile is loaded, and the commands of console sessions print what is said.
// What can't be run here (a package manager, say) is shown as sh; patgate's own
// commands in it have to exist.
func TestDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			s := newDocSession(t)
			if name := filepath.Base(page); name == "upgrading.md" || name == "json.md" { // their readers have both
				s.write(t, "Caddyfile", readme(t, "caddyfile")[0])
				s.write(t, "cases.jsonl", readme(t, "json")[0])
			}
			for _, block := range fences(t, page) {
				s.follow(t, block)
			}
		})
	}
}

// What docs/upgrading.md compares is not the same for a version that makes other
// routes of a Caddyfile.
func TestUpgradingNotices(t *testing.T) {
	t.Parallel()
	p, caddyfile := newPlace(t), readme(t, "caddyfile")[0]
	routes := func(caddyfile string) string {
		if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), []byte(caddyfile), 0o600); err != nil {
			t.Fatal(err)
		}
		return p.run(t, "policy", "routes", "--config", "Caddyfile", "--json")
	}
	before := routes(caddyfile)
	for _, change := range [][2]string{
		{"/v1/me any", "/v1/me public"},
		{"default deny", "default any"},
		{"PUT,DELETE", "PUT"},
		{"/{space} {", "/{space} {\n\t\t\tspace token"},
		{"default deny", "default deny\n\t\ttoken_from header X-Key"},
		{"default deny", "default deny\n\t\tmode report"},
	} {
		if changed := strings.Replace(caddyfile, change[0], change[1], 1); changed == caddyfile || routes(changed) == before {
			t.Errorf("with %q in place of %q the routes are the same", change[1], change[0])
		}
	}
}

// docSession is where a page is followed: a directory and addresses of its own.
type docSession struct {
	*place
	addresses map[string]string // of what the page calls localhost:<port>
	api       *httptest.Server
	secret    string // the last that was shown
	id        string // of the last token that was made
	running   bool
}

func newDocSession(t *testing.T) *docSession {
	s := &docSession{place: newPlace(t), addresses: map[string]string{}}
	s.env = []string{"REDIS_PASSWORD=x", "PATGATE_PEPPER=sixteen characters"}
	s.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s for %s\n", r.Method, r.URL, r.Header.Get("X-Patgate-Owner"))
	}))
	t.Cleanup(s.api.Close)
	s.addresses["localhost:9000"] = s.api.Listener.Addr().String()
	return s
}

var localAddress = regexp.MustCompile(`localhost:\d+`)

// here puts the addresses of this session in the place of those in a text.
func (s *docSession) here(t *testing.T, text string) string {
	return localAddress.ReplaceAllStringFunc(text, func(address string) string {
		if address == "localhost:2019" {
			return s.admin
		}
		if s.addresses[address] == "" {
			s.addresses[address] = freeport.For(t)
		}
		return s.addresses[address]
	})
}

func (s *docSession) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, file), []byte(s.here(t, text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *docSession) follow(t *testing.T, block fence) {
	t.Helper()
	if block.file != "" {
		s.write(t, block.file, block.text)
	}
	switch block.language {
	case "caddyfile":
		file := block.file
		if file == "" {
			file = "snippet"
			s.write(t, file, block.text)
		}
		s.run(t, "adapt", "--config", file, "--adapter", "caddyfile", "--validate")
	case "json":
		for decoder := json.NewDecoder(strings.NewReader(block.text)); ; {
			var v any
			if err := decoder.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%v in\n%s", err, block.text)
				break
			}
		}
	case "yaml":
		var v any
		if err := yaml.Unmarshal([]byte(block.text), &v); err != nil {
			t.Errorf("%v in\n%s", err, block.text)
		}
	case "console":
		s.console(t, block.text)
	case "sh":
		for line := range strings.Lines(block.text) {
			if words := strings.Fields(line); len(words) > 2 && words[0] == "patgate" {
				s.checkFlags(t, words[1:])
			}
		}
	case "text":
	default:
		t.Errorf("a block of %s is not tested", block.language)
	}
}

// checkFlags reports a command, or a flag of it, that there is not.
func (s *docSession) checkFlags(t *testing.T, words []string) {
	t.Helper()
	n := 0
	for n < len(words) && n < 2 && regexp.MustCompile(`^[a-z]+$`).MatchString(words[n]) {
		n++
	}
	help := s.run(t, append(append([]string{}, words[:n]...), "--help")...)
	for _, w := range words[n:] {
		if name, _, _ := strings.Cut(w, "="); strings.HasPrefix(name, "--") && !strings.Contains(help, name) {
			t.Errorf("patgate %s: there is no flag %s", strings.Join(words, " "), name)
		}
	}
}

// console runs the commands of a session, and compares what they print with what
// is said. A line of … stands for any lines.
func (s *docSession) console(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i < len(lines); i++ {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			t.Fatalf("%q is no command and follows none", lines[i])
		}
		var said []string
		for i+1 < len(lines) && !strings.HasPrefix(lines[i+1], "$ ") {
			i++
			said = append(said, lines[i])
		}
		got := s.do(t, command)
		if said != nil && !matches(strings.Split(strings.TrimSpace(got), "\n"), said) {
			t.Errorf("$ %s\nprints\n%s\nthe page says\n%s", command, got, strings.Join(said, "\n"))
		}
	}
}

// do does what a command says, and returns what it prints.
func (s *docSession) do(t *testing.T, command string) string {
	t.Helper()
	command = strings.NewReplacer("$TOKEN", s.secret, "$ID", s.id).Replace(s.here(t, command))
	words := regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(command, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], `'"`)
	}
	switch {
	case words[0] == "export":
		return ""
	case words[0] == "cat":
		text, err := os.ReadFile(filepath.Join(s.dir, words[1]))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	case words[0] == "curl":
		return s.curl(t, words[1:])
	case words[0] == "diff":
		s.diff(t, words[1], words[2])
		return ""
	case words[0] != "patgate" && words[0] != "./patgate":
		t.Fatalf("%q is not a command that is tested", command)
	case words[1] == "run":
		if s.running {
			t.Fatal("the page runs the server twice")
		}
		s.running = true
		s.start(t, s.answers, words[1:]...)
		return ""
	}
	n := len(words)
	var input, output string
	for n > 3 && (words[n-2] == "<" || words[n-2] == ">") {
		if words[n-2] == "<" {
			input = words[n-1]
		} else {
			output = words[n-1]
		}
		n -= 2
	}
	got := s.runWith(t, input, words[1:n]...)
	if m := regexp.MustCompile(`\bpat_\w{36}\b`).FindString(got); m != "" {
		s.secret = m
	}
	if m := regexp.MustCompile(`(?m)^id +(\w{26})$`).FindStringSubmatch(got); m != nil {
		s.id = m[1]
	}
	if output != "" {
		s.write(t, output, got)
		return ""
	}
	return got
}

// diff fails where two files differ: a page shows it where they don't.
func (s *docSession) diff(t *testing.T, a, b string) {
	t.Helper()
	var texts [2]string
	for i, file := range []string{a, b} {
		text, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil || len(text) == 0 {
			t.Fatalf("diff %s %s: %d bytes in %s (%v)", a, b, len(text), file, err)
		}
		texts[i] = string(text)
	}
	if texts[0] != texts[1] {
		t.Errorf("diff %s %s prints\n%s%s", a, b, texts[0], texts[1])
	}
}

// runWith is run with a file, or the last secret, on standard input.
func (s *docSession) runWith(t *testing.T, file string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if file != "" {
		input, err := os.Open(filepath.Join(s.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		defer input.Close()
		cmd.Stdin = input
	} else {
		cmd.Stdin = strings.NewReader(s.secret)
	}
	if err := cmd.Run(); err != nil && stdout.Len() == 0 {
		return stderr.String() // a page may show what is refused
	}
	return stdout.String()
}

// curl does what curl does with these arguments.
func (s *docSession) curl(t *testing.T, args []string) string {
	t.Helper()
	method, target, onlyStatus := "", "", false
	var body io.Reader
	header := http.Header{}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-s", "-o", "/dev/null":
		case "-X":
			i++
			method = args[i]
		case "-w":
			i++
			onlyStatus = true
		case "-d":
			i++
			body = strings.NewReader(args[i])
			method = "POST"
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		default:
			target = args[i]
		}
	}
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("curl %s: %v", target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(bufio.NewReader(resp.Body))
	if err != nil {
		t.Fatalf("curl %s: %v", target, err)
	}
	if onlyStatus {
		return fmt.Sprintln(resp.StatusCode)
	}
	return string(text)
}

// matches reports whether what was printed is what is said, but for what is new in
// every run. A line of … stands for any lines.
func matches(got, said []string) bool {
	for i, line := range said {
		if strings.TrimSpace(line) == "…" {
			for skip := 0; skip <= len(got); skip++ {
				if matches(got[skip:], said[i+1:]) {
					return true
				}
			}
			return false
		}
		if len(got) == 0 || alike(got[0]) != alike(line) {
			return false
		}
		got = got[1:]
	}
	return len(got) == 0
}

var changing = []struct {
	pattern *regexp.Regexp
	in      string
}{
	{regexp.MustCompile(`pat_\w{36}`), "SECRET"},
	{regexp.MustCompile(`pat_\w{3,8}…`), "HINT"},
	{regexp.MustCompile(`\b[0-9a-hjkmnp-tv-z]{26}\b`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?`), "TIME"},
	{regexp.MustCompile(`\bnow\b|(in )?\d+ (second|minute|hour|day)s?( ago)?`), "SPAN"},
	{regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`), "ADDRESS"},
	{regexp.MustCompile(`(/[^ :]+)+/([\w.]+)`), "/$2"}, // directories
	{regexp.MustCompile(`(patgate|Caddy) (\(devel\)|unknown|v\d[\w.+-]*)`), "$1 VERSION"},
	{regexp.MustCompile(`\s+`), " "},
}

// alike hides what is new in every run.
func alike(line string) string {
	for _, c := range changing {
		line = c.pattern.ReplaceAllString(line, c.in)
	}
	return strings.TrimSpace(line)
}
