package browser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a running patgate: a console, and beside it a gate that every token
// with stories:read opens.
type site struct {
	t       *testing.T
	console string      // its URL
	gate    string      // the URL of what is behind the gate
	admin   string      // the address of the admin endpoint
	store   *os.Process // of the store; nil: it has none of its own

	mu      sync.Mutex
	log     bytes.Buffer
	secrets []string // that were seen: none may be in the log
}

const caddyfile = `{
	admin unix/{$DIR}/admin.sock
	auto_https off
	persist_config off
	grace_period 1s
	log {
		level DEBUG
	}
	patgate {
		{$STORE}
		scopes {
			stories:read  "Read stories"
			stories:write "Create, change and delete stories" implies stories:read
			assets:read   "Read images and files"
			assets:write  "Upload and delete images and files" implies assets:read
			members:read  "See who has access"
			license       "See the licence"
			customers:export_everything_that_was_ever_recorded_of_them
		}
	}
}
http://:{$CONSOLE} {
	bind 127.0.0.1
	log
	@people not path /self /self/* /leaked
	basic_auth @people {
		{$ACCOUNTS}
	}
	handle_path /account/tokens* {
		patgate_console {
			admin root
		}
	}
	patgate_console {
		admin root
	}
}
http://127.0.0.1:{$GATE} {
	patgate {
		route GET /spaces/{space}/stories stories:read
	}
	respond "stories"
}
`

// The accounts of the console. All have the same password.
var accounts = []string{"alice", "bob", "carol", "dave", "erin", "root"}

const (
	password     = "open sesame"
	passwordHash = "$2a$04$Y5YHVP54/ieF3QQi6EqTTeTSn1S4ZS7WUJocP83MhBIWG6Nncei4W"
)

// stores are what a site can keep its tokens in: the line of the Caddyfile, and the
// process, if there is one.
var stores = map[string]func(*testing.T) (string, *os.Process){
	"embedded": func(t *testing.T) (string, *os.Process) {
		return "store embedded " + filepath.Join(t.TempDir(), "tokens.db"), nil
	},
	"redis": func(t *testing.T) (string, *os.Process) {
		address, process := startRedis(t)
		return "store redis redis://" + address, process
	},
}

// start starts a site, and ends it with the test.
func start(t *testing.T, store string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var lines []string
	for _, name := range accounts {
		lines = append(lines, name+" "+passwordHash)
	}
	console, gate := freePort(t), freePort(t)
	line, process := stores[store](t)
	text := strings.NewReplacer("{$DIR}", dir, "{$STORE}", line, "{$CONSOLE}", console, "{$GATE}", gate,
		"{$ACCOUNTS}", strings.Join(lines, "\n\t\t")).Replace(caddyfile)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, console: "http://127.0.0.1:" + console, gate: "http://127.0.0.1:" + gate, admin: "unix/" + dir + "/admin.sock", store: process}
	cmd := exec.Command(binary, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir+"/data", "XDG_CONFIG_HOME="+dir+"/config")
	cmd.Stdout, cmd.Stderr = s, s
	launch(t, cmd, "patgate", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+gate)
		if err == nil {
			c.Close()
		}
		return err == nil && strings.Contains(s.output(), "serving initial configuration")
	})
	t.Cleanup(s.checkLog)
	return s
}

// startRedis starts a redis-server, ends it with the test, and returns its address and
// its process.
func startRedis(t *testing.T) (string, *os.Process) {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "")
	launch(t, cmd, "redis-server (apt-get install redis-server)", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "127.0.0.1:" + port, cmd.Process
}

// launch starts a process, waits until it is ready, and ends it with the test.
func launch(t *testing.T, cmd *exec.Cmd, what string, ready func() bool) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // however the test ends
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", what, err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("%s has ended: %v", what, cmd.Stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s doesn't get ready: %v", what, cmd.Stderr)
		}
	}
}

// lastPort is the one that freePort has returned last. It begins below those that
// outgoing connections are given.
var lastPort = 20_000 + rand.IntN(10_000)

// freePort returns a port on which nothing listens, and never the same again: Caddy
// lets several processes listen on one.
func freePort(t *testing.T) string {
	t.Helper()
	for lastPort++; lastPort < 32_000; lastPort++ {
		port := strconv.Itoa(lastPort)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// Write makes the site take its process's output.
func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *site) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// String is the log's end.
func (s *site) String() string {
	out := s.output()
	return out[max(0, len(out)-4000):]
}

// checkLog looks for secrets and for crashes in the log.
func (s *site) checkLog() {
	log := s.output()
	for _, secret := range s.secrets {
		if strings.Contains(log, secret[:20]) {
			s.t.Errorf("the log has the secret %s…", secret[:8])
		}
	}
	if strings.Contains(log, "panic") {
		s.t.Errorf("the log:\n%s", s)
	}
}

// opens checks what a secret is answered at the gate.
func (s *site) opens(secret string, want int) {
	s.t.Helper()
	s.secrets = append(s.secrets, secret)
	r, err := http.NewRequest("GET", s.gate+"/spaces/1/stories", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		s.t.Errorf("the gate answers the secret %s… with %d, want %d", secret[:8], resp.StatusCode, want)
	}
}

// call calls the API as an owner. The answer is decoded into answer unless nil.
func (s *site) call(owner, method, path, body string, answer any) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.console+"/api/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(owner, password)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
	}
	if answer != nil {
		if err := json.Unmarshal(b, answer); err != nil {
			s.t.Fatalf("%s %s: %s: %v", method, path, b, err)
		}
	}
}

// withoutStore has the store stand still until the test calls what it returns, or ends.
func (s *site) withoutStore() (back func()) {
	s.t.Helper()
	if err := s.store.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	back = func() { s.store.Signal(syscall.SIGCONT) }
	s.t.Cleanup(back)
	return back
}

// limit limits an owner, as an operator does on the command line.
func (s *site) limit(owner string, options ...string) {
	s.t.Helper()
	args := append([]string{"owner", "set", owner, "--address", s.admin}, options...)
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("owner set %s: %v\n%s", owner, err, out)
	}
}

// create makes a token and returns its id and its secret.
func (s *site) create(owner, name, rest string) (id, secret string) {
	s.t.Helper()
	var made struct {
		Token  struct{ ID string }
		Secret string
	}
	s.call(owner, "POST", "tokens", fmt.Sprintf(`{"name":%q%s}`, name, rest), &made)
	s.secrets = append(s.secrets, made.Secret)
	return made.Token.ID, made.Secret
}

func basicAuth(owner string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(owner+":"+password))
}
