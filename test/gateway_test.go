package test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/output"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/token"
)

// patience bounds every wait for a condition. Only a failure takes so long.
const patience = 2 * time.Minute

// setup is what a gateway is started with. In its texts {$PORT} is the port to
// listen on, {$UPSTREAM} the upstream's address, {$DIR} a directory.
type setup struct {
	admin   string  // where the admin endpoint listens; "": at a socket
	format  string  // of all logs; "": Caddy's own, filtered
	store   string  // "": a file, tokens.db
	options string  // of the global patgate option, in addition to the store
	global  string  // further global options
	sites   string  // site blocks
	tokens  []known // what the file holds
	owners  []*token.Owner
}

// known is a token in the store.
type known struct {
	name    string
	owner   string
	grants  []token.Grant // nil: everything
	ips     []string
	expires time.Time // zero: in an hour
	revoked bool
	secret  string // "": one is made
}

// grant writes a grant: lists separated by blanks.
func grant(spaces, scopes, resources string) []token.Grant {
	return []token.Grant{{Spaces: strings.Fields(spaces), Scopes: strings.Fields(scopes), Resources: strings.Fields(resources)}}
}

// gateway is a running patgate.
type gateway struct {
	dir      string
	file     string // the Caddyfile
	env      []string
	addr     string // where it listens
	admin    string // the socket of the admin endpoint
	upstream *upstream
	secrets  map[string]string // of its tokens, by name
	log      *output.Buffer
	client   *http.Client // for the admin endpoint
	process  *exec.Cmd
	ended    chan struct{}
	reloaded atomic.Bool

	mu      sync.Mutex
	answers bytes.Buffer // all that clients were answered
}

// start prepares a gateway and has it serve.
func start(t *testing.T, s setup) *gateway {
	t.Helper()
	g := prepare(t, s)
	g.serve(t)
	return g
}

// serve starts a gateway, waits until it serves and ends it with the test. At the end
// nothing that came out of it may have a secret in it.
func (g *gateway) serve(t *testing.T) {
	t.Helper()
	if err := g.run(t); err != nil {
		t.Fatalf("starting: %v\n%s", err, g.log)
	}
	t.Cleanup(func() {
		g.stop()
		g.checkOutput(t)
	})
}

// prepare writes the Caddyfile and the store's file.
func prepare(t *testing.T, s setup) *gateway {
	t.Helper()
	// t.TempDir is too long for the path of a socket.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gateway{
		dir: dir, file: filepath.Join(dir, "Caddyfile"), admin: filepath.Join(dir, "admin.sock"),
		upstream: newUpstream(t), secrets: map[string]string{}, log: new(output.Buffer),
	}
	g.client = &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, // Caddy closes them when it reloads
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", g.admin)
		},
	}}
	g.seed(t, s)
	g.configure(t, s)
	return g
}

// filter hides the tokens in places that Caddy doesn't know to be secret: queries, and
// headers other than Authorization and Cookie. That is what an operator has to write who
// takes tokens from there and doesn't use the format patgate.
const filter = `filter {
			request>uri query {
				replace api_key REDACTED
			}
			request>headers>X-Api-Key delete
		}`

// configure writes the Caddyfile. Caddy logs all it can.
func (g *gateway) configure(t *testing.T, s setup) {
	t.Helper()
	text := fmt.Sprintf(`{
	admin %s
	auto_https off
	persist_config off
	grace_period 1s
	log {
		level DEBUG
		format %s
	}
	%s
	patgate {
		store %s
		%s
	}
}
%s`, cmp.Or(s.admin, "unix/{$ADMIN}"), cmp.Or(s.format, filter), s.global, cmp.Or(s.store, "embedded {$DIR}/tokens.db"), s.options, s.sites)
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// seed writes tokens and owners into the store's file.
func (g *gateway) seed(t *testing.T, s setup) {
	t.Helper()
	db, err := embedded.Open(filepath.Join(g.dir, "tokens.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().UTC().Truncate(time.Millisecond)
	var tokens []*token.Token
	for _, k := range s.tokens {
		record, secret := k.record(t, now)
		g.secrets[k.name] = secret
		tokens = append(tokens, record)
	}
	if err := db.Create(t.Context(), tokens...); err != nil {
		t.Fatal(err)
	}
	for _, o := range s.owners {
		if _, err := db.UpdateOwner(t.Context(), o.ID, func(*token.Owner) (*token.Owner, error) { return o, nil }); err != nil {
			t.Fatal(err)
		}
	}
}

func (k *known) record(t *testing.T, now time.Time) (*token.Token, string) {
	t.Helper()
	secret := k.secret
	if secret == "" {
		secret = token.NewSecret("pat")
	}
	record := &token.Token{
		ID: token.NewID(now), Name: k.name, Owner: k.owner, Grants: k.grants, CreatedAt: now, CreatedBy: "test",
		ExpiresAt: k.expires, Hint: token.HintOf("pat", secret), Digest: token.NewHasher("").Digest(secret),
	}
	if record.Grants == nil {
		record.Grants = []token.Grant{token.Full()}
	}
	if record.ExpiresAt.IsZero() {
		record.ExpiresAt = now.Add(time.Hour)
	}
	if k.revoked {
		record.RevokedAt = now
	}
	for _, ip := range k.ips {
		record.AllowedIPs = append(record.AllowedIPs, netip.MustParsePrefix(ip))
	}
	return record, secret
}

// freePort returns a port on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeport.For(t))
	return port
}

// run starts the process and returns when it serves. A port that was free a
// moment ago may be taken by now; then it is tried again with another.
func (g *gateway) run(t *testing.T) error {
	t.Helper()
	var err error
	for range 3 {
		port := freePort(t)
		g.addr = "127.0.0.1:" + port
		g.env = append(os.Environ(), "PORT="+port, "UPSTREAM="+g.upstream.addr, "DIR="+g.dir, "ADMIN="+g.admin,
			"HOME="+g.dir, "XDG_DATA_HOME="+g.dir+"/data", "XDG_CONFIG_HOME="+g.dir+"/config")
		if err = g.launch(t, "run", "--config", g.file, "--adapter", "caddyfile"); err == nil || !strings.Contains(err.Error(), "address already in use") {
			return err
		}
	}
	return err
}

// launch starts the process and waits for its admin endpoint and its listener.
func (g *gateway) launch(t *testing.T, args ...string) error {
	logged := len(g.log.String()) // by a process before
	g.process = exec.Command(binary, args...)
	g.process.Env, g.process.Stdout, g.process.Stderr = g.env, g.log, g.log
	if err := g.process.Start(); err != nil {
		return err
	}
	g.ended = make(chan struct{})
	process, ended := g.process, g.ended
	go func() {
		process.Wait()
		close(ended)
	}()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			lines := strings.Split(strings.TrimSpace(g.log.String()), "\n")
			return errors.New(lines[len(lines)-1])
		default:
		}
		if !strings.Contains(g.log.String()[logged:], "serving initial configuration") {
			continue
		}
		if c, err := net.Dial("tcp", g.addr); err == nil {
			c.Close()
			return nil
		}
	}
	return errors.New("the gateway does not get ready")
}

// stop ends the process.
func (g *gateway) stop() {
	g.process.Process.Signal(os.Interrupt)
	select {
	case <-g.ended:
	case <-time.After(patience):
		g.process.Process.Kill()
		<-g.ended
	}
}

// caddysRace is what the race detector may say of Caddy alone: it starts its TLS app when
// listeners are open already, and nothing is between that and a handshake over QUIC, which
// reads it, however much later that is.
var caddysRace = regexp.MustCompile(`(?s)={18}\nWARNING: DATA RACE\nRead at [^\n]*\n  github.com/caddyserver/caddy/v2/modules/caddytls\.\(\*TLS\)\.CaddyModule\(\)\n` +
	`[^=]*Previous write at [^\n]*\n  github.com/caddyserver/caddy/v2/modules/caddytls\.\(\*TLS\)\.Start\(\)\n[^=]*={18}\n`)

// checkOutput looks for secrets and for data races in all that came out.
func (g *gateway) checkOutput(t *testing.T) {
	log := g.log.String()
	found := caddysRace.ReplaceAllString(log, "")
	if strings.Contains(found, "DATA RACE") || strings.Contains(found, "panic") {
		t.Errorf("the gateway's log:\n%s", log)
	}
	g.mu.Lock()
	answers := g.answers.String()
	g.mu.Unlock()
	for name, secret := range g.secrets {
		for what, text := range map[string]string{"log": log, "answers": answers} {
			if i := indexPart(text, secret); i >= 0 {
				t.Errorf("16 characters of the secret of %s stand in the %s: …%q…", name, what, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
}

// indexPart finds any 16 characters of secret in text.
func indexPart(text, secret string) int {
	for i := 0; i+16 <= len(secret); i++ {
		if at := strings.Index(text, secret[i:i+16]); at >= 0 {
			return at
		}
	}
	return -1
}

// command runs a patgate command and returns what it printed. An error has what
// it said on standard error.
func (g *gateway) command(args ...string) (out string, err error) {
	cmd := exec.Command(binary, args...)
	cmd.Env = g.env
	b, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(b), err
}

// saw keeps what came out, for the search for secrets.
func (g *gateway) saw(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers.Write(b)
}

// accessLog waits for the access log's line about a URI and returns it.
func (g *gateway) accessLog(t *testing.T, uri string) (entry map[string]any) {
	t.Helper()
	await(t, "a line about "+uri+" in the access log", func() bool {
		for line := range strings.Lines(g.log.String()) {
			entry = nil
			if json.Unmarshal([]byte(line), &entry) != nil || entry["msg"] != "handled request" {
				continue
			}
			if r, _ := entry["request"].(map[string]any); r["uri"] == uri {
				return true
			}
		}
		return false
	})
	return entry
}

// await waits until f is true.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting in vain for %s", what)
		}
	}
}

const plainSite = `
http://api.test:{$PORT} {
	patgate {
		route GET /x stories:read
		route GET /none never
	}
	reverse_proxy {$UPSTREAM}
}`
