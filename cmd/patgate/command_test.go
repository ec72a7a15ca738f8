package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/store/embedded"
)

// outcome is what a command printed and its exit status.
type outcome struct {
	stdout, stderr string
	exit           int
}

// try runs patgate with this standard input, and checks what holds for all
// commands: a refusal is one line on standard error, and nothing else is said.
func (p *place) try(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := p.command(t.Context(), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("patgate %s: %v", strings.Join(args, " "), err)
	}
	o := outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if o.exit != 0 && (o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "patgate ")) {
		t.Errorf("patgate %s: exit status %d with output %q and errors %q, want one line of errors", strings.Join(args, " "), o.exit, o.stdout, o.stderr)
	}
	return o
}

// succeed runs patgate as try does; it has to do what it is told.
func (p *place) succeed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	o := p.try(t, stdin, args...)
	if o.exit != 0 || o.stderr != "" {
		t.Fatalf("patgate %s: exit status %d, %s", strings.Join(args, " "), o.exit, o.stderr)
	}
	return o.stdout
}

// asked runs patgate as succeed does, with --json, and reads what it prints into
// answer.
func (p *place) asked(t *testing.T, answer any, args ...string) {
	t.Helper()
	out := p.succeed(t, "", append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), answer); err != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("patgate %s --json prints %q, want a line of JSON (%v)", strings.Join(args, " "), out, err)
	}
}

// tokenJSON is what the tests read of a token.
type tokenJSON struct {
	ID, Name, Description, Owner, Status string
	Grants                               []struct{ Spaces, Scopes, Resources []string }
	AllowedIPs                           []string   `json:"allowed_ips"`
	CreatedBy                            string     `json:"created_by"`
	ExpiresAt                            *time.Time `json:"expires_at"`
}

type madeJSON struct {
	Token  tokenJSON
	Secret string
}

// newTokenServer starts a server whose policy has routes in spaces.
func newTokenServer(t *testing.T) *place {
	t.Helper()
	p := newPlace(t)
	p.site = freeport.For(t)
	caddyfile := `{
	admin ` + p.admin + `
	persist_config off
	auto_https off
	log {
		level DEBUG
		output file server.log
	}
	patgate {
		store embedded tokens.db
		scopes {
			stories:read  "Read stories"
			stories:write "Change stories" implies stories:read
		}
	}
}
http://` + p.site + ` {
	patgate {
		route GET /v1/spaces/{space}/stories stories:read
	}
}
`
	if err := os.WriteFile(filepath.Join(p.dir, "Caddyfile"), []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t, p.answers, "run", "--config", "Caddyfile")
	return p
}

// A backup of the running server's store is a store, with all that was in it.
func TestStoreBackup(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	var made madeJSON
	p.asked(t, &made, "token", "create", "--name", "ci", "--owner", "alice", "--full")
	p.succeed(t, "", "owner", "set", "alice", "--disable")
	if got := p.succeed(t, "", "store", "backup", "backup.db"); got != "1 token and 1 owner are in backup.db\n" {
		t.Errorf("store backup prints %q", got)
	}
	p.succeed(t, "", "token", "delete", made.Token.ID)
	s, err := embedded.Open(filepath.Join(p.dir, "backup.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Token(t.Context(), made.Token.ID); err != nil || got.Name != "ci" {
		t.Errorf("the token in the backup: %v, %v", got, err)
	}
	if got, err := s.Owner(t.Context(), "alice"); err != nil || got.Enabled {
		t.Errorf("the owner in the backup: %v, %v, want one that is disabled", got, err)
	}
	if info, err := os.Stat(filepath.Join(p.dir, "backup.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	if o := p.try(t, "", "store", "backup", "backup.db"); o.exit != 1 || !strings.Contains(o.stderr, "backup.db is there already") {
		t.Errorf("over another file: %+v", o)
	}
	if o := p.try(t, "", "store", "backup", "none/backup.db"); o.exit != 1 {
		t.Errorf("where there is no directory: %+v", o)
	}
	if left, err := filepath.Glob(filepath.Join(p.dir, "*.db?*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestRefusals are commands that are used wrongly, or can't do what they are
// told. try checks that they say so in one line.
func TestRefusals(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	if err := os.WriteFile(filepath.Join(p.dir, "bad.jsonl"), []byte("\n{\"nme\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const secret = "pat_000000000000000000000000000000aaaaaa"
	const wellMade = "pat_0123456789ABCDEFGHIJKLMNOPQRST1fukiD"
	if err := os.WriteFile(filepath.Join(p.dir, "secret.jsonl"), []byte("{\""+secret+"\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"plain": "http://a.test {\n\trespond ok\n}\n", "empty": "\n", "off": "{\n\tadmin off\n}\n"} {
		if err := os.WriteFile(filepath.Join(p.dir, name+".Caddyfile"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	grant := `{"spaces":["1"],"scopes":["stories:read"]}`
	for _, test := range []struct {
		args  []string
		exit  int
		error string
	}{
		{[]string{"token"}, 2, "say which command, before its flags: create, delete"},
		{[]string{"token", "lst"}, 2, `no command "lst"`},
		{[]string{"token", "show"}, 2, "want ID, got 0 arguments (see patgate token show --help)"},
		{[]string{"token", "show", "a", "b"}, 2, "got 2 arguments"},
		{[]string{"token", "show", "--nope", "a"}, 2, "unknown flag: --nope"},
		{[]string{"token", "show", "unknown"}, 1, "token unknown: not found"},
		{[]string{"token", "show", secret}, 2, "id: want 1 to 36 characters"},
		{[]string{"token", "list", "more"}, 2, "want no arguments"},
		{[]string{"token", "list", "--status", "gone"}, 2, "active, expired, revoked or all"},
		{[]string{"token", "list", "--limit", "0"}, 2, "want 1 to 1000"},
		{[]string{"token", "list", "--limit", "x"}, 2, "want a number"},
		{[]string{"token", "create"}, 2, "--name"},
		{[]string{"token", "create", "--name", "n"}, 1, "--space ID or --all-spaces"},
		{[]string{"token", "create", "--name", "n", "--scope", "stories:read"}, 1, "--space ID"},
		{[]string{"token", "create", "--name", "n", "--space", "1", "--all-spaces"}, 2, "--space and --all-spaces contradict"},
		{[]string{"token", "create", "--name", "n", "--full", "--scope", "x"}, 2, "leave --scope out"},
		{[]string{"token", "create", "--name", "n", "--full", "--grant", grant}, 2, "leave --grant out"},
		{[]string{"token", "create", "--name", "n", "--full", "--no-expiry"}, 1, "never expire"},
		{[]string{"token", "create", "--name", "n", "--full", "--no-expiry", "--expires-in", "1d"}, 2, "contradict"},
		{[]string{"token", "create", "--name", "n", "--full", "--expires-in", "soon"}, 2, "want a duration such as 90d or 12h"},
		{[]string{"token", "create", "--name", "n", "--grant", `{"scope":["x"]}`}, 2, `unknown key "scope"`},
		{[]string{"token", "create", "--name", "n", "--space", "1", "--scope", "stories:raed"}, 1, "stories:read"},
		{[]string{"token", "update", "x"}, 2, "--name, --description, --allow-ip, --allow-everywhere"},
		{[]string{"token", "update", "x", "--allow-ip", "::1", "--allow-everywhere"}, 2, "contradict"},
		{[]string{"token", "show", ""}, 2, "want ID, got an empty argument"},
		{[]string{"token", "update", "x", "--name", "n"}, 1, "token x: not found"},
		{[]string{"token", "grant", "x"}, 2, "--add, --remove, --remove-all"},
		{[]string{"token", "grant", "x", "--remove", "1", "--remove-all"}, 2, "contradict"},
		{[]string{"token", "grant", "x", "--add", grant, "--add", grant}, 2, "one grant at a time"},
		{[]string{"token", "list", "--owner", "al\xff"}, 2, "--owner: not valid UTF-8"},
		{[]string{"token", "create", "--name", "n", "--space", "a", "--space", "al\xff"}, 2, "--space: not valid UTF-8"},
		{[]string{"owner", "show", "al\xff"}, 2, "an argument is not valid UTF-8"},
		{[]string{"owner", "set", "x", "--full", "--space", "1"}, 2, "leave --space out"},
		{[]string{"token", "grant", "x", "--remove-all=false"}, 2, "--add, --remove, --remove-all"},
		{[]string{"token", "grant", "x", "--add", `{"scopes":["stories:read"]}`}, 1, `"spaces":["ID"]`},
		{[]string{"token", "grant", "x", "--add", "{"}, 2, "--add"},
		{[]string{"token", "grant", "x", "--add", grant}, 1, "token x: not found"},
		{[]string{"token", "revoke"}, 2, "ID... or --owner"},
		{[]string{"token", "revoke", "x", "--owner", "o"}, 2, "got both"},
		{[]string{"token", "revoke", "x"}, 1, "token x: not found"},
		{[]string{"token", "revoke", ""}, 2, "id: want 1 to 36 characters, got 0"},
		{[]string{"token", "revoke", "x", "--wait", "0"}, 2, `--wait "0": want a duration`},
		{[]string{"token", "delete", "x", "--wait", "1h"}, 2, `--wait "1h": want a duration`},
		{[]string{"token", "create", "--name", "n", "--full", "--expires-at", "2027-02-30"}, 2, `--expires-at "2027-02-30": want a time`},
		{[]string{"token", "create", "--name", "n", "--full", "--allow-ip", "bogus"}, 2, `--allow-ip "bogus": want an address`},
		{[]string{"token", "update", "x", "--allow-ip", "bogus"}, 2, `--allow-ip "bogus": want an address`},
		{[]string{"token", "list", "--expiring", "0"}, 2, "longer than 0"},
		{[]string{"token", "revoke", "--owner", "a", "--owner", "b"}, 2, "--owner is given twice"},
		{[]string{"token", "revoke", "--owner", ""}, 2, "--owner is empty"},
		{[]string{"token", "delete"}, 2, "ID... or --owner"},
		{[]string{"token", "delete", "x", "--owner", "o"}, 2, "got both"},
		{[]string{"token", "delete", "--owner", ""}, 2, "--owner is empty"},
		{[]string{"token", "regenerate", "x"}, 1, "token x: not found"},
		{[]string{"token", "regenerate", "x", "--expires-in", "1d", "--expires-at", "2999-01-01"}, 2, "contradict"},
		{[]string{"token", "verify", secret}, 2, "want no arguments, got 1"},
		{[]string{"token", "verify"}, 2, "standard input; it is empty"},
		{[]string{"token", "import"}, 2, "want FILE|-"},
		{[]string{"token", "import", "nosuch.jsonl"}, 1, "no such file"},
		{[]string{"token", "import", "bad.jsonl"}, 1, `line 2: unknown key "nme"`},
		{[]string{"owner"}, 2, "delete, list, set, show"},
		{[]string{"owner", "set"}, 2, "want ID"},
		{[]string{"owner", "set", "o", "--enable", "--disable"}, 2, "--enable and --disable contradict"},
		{[]string{"owner", "set", ""}, 2, "want ID, got an empty argument"},
		{[]string{"owner", "set", "o", "--full", "--space", "1"}, 2, "leave --space out"},
		{[]string{"owner", "set", wellMade}, 2, "an argument has a secret in it, which would be logged"},
		{[]string{"token", "create", "--name", "n of " + wellMade, "--full"}, 2, "--name has a secret in it"},
		{[]string{"token", "list", "--text", wellMade}, 2, "--text has a secret in it"},
		{[]string{"token", "delete", "--owner", wellMade}, 2, "--owner has a secret in it"},
		{[]string{"owner", "show", "nobody"}, 1, `owner "nobody": has no record`},
		{[]string{"status", "--address", "localhost:1"}, 1, "no server answers at localhost:1"},
		{[]string{"status", "--address", "unix//nosuch.sock"}, 1, "is patgate running?"},
		{[]string{"status", "--address", "a:b:c"}, 2, "admin endpoint's"},
		{[]string{"status", "--address", p.site}, 1, p.site + " is a gate, not the admin endpoint"},
		{[]string{"status", "--config", "nosuch"}, 1, "no such file"},
		{[]string{"status", "--config", "Caddyfile", "--adapter", "nosuch"}, 2, `adapter "nosuch"`},
		{[]string{"store", "copy", "--from", "redis://:hidden@localhost:1", "--to", "embedded:copy.db"}, 1, "localhost:1"},
		{[]string{"store", "copy", "--from", "embedded:tokens.db", "--to", "embedded:copy.db"}, 1, "in use by another process"},
		{[]string{"store", "copy", "--from", "embedded:nosuch.db", "--to", "embedded:copy.db"}, 1, "no such file"},
		{[]string{"store", "copy", "--from", "tokens.db", "--to", "embedded:copy.db"}, 2, "want embedded:<file>"},
		{[]string{"report", "x"}, 2, "want no arguments"},
		{[]string{"demo", "--listen", "8080"}, 2, `--listen "8080": want an address and a port`},
		{[]string{"events", "x"}, 2, "want no arguments"},
		{[]string{"events", "--limit", "1001"}, 2, "want 1 to 1000"},
		{[]string{"events", "--follow", "--cursor", "1"}, 2, "contradict"},
		{[]string{"events", "--cursor", "x"}, 1, "not the id of an event"},
		{[]string{"events", "--token", secret}, 2, "id: want 1 to 36 characters"},
		{[]string{"token", "list", "--space", ""}, 2, "--space is empty: leave it out, or say which"},
		{[]string{"token", "list", "--scope", "", "--owner", "", "--cursor", ""}, 2, "--scope is empty"},
		{[]string{"token", "list", "--text", ""}, 2, "--text is empty"},
		{[]string{"token", "list", "--status", ""}, 2, "active, expired, revoked or all"},
		{[]string{"token", "list", "--expiring", ""}, 2, "--expiring"},
		{[]string{"token", "list", "--sort", "age"}, 2, "created, name, expires, last_used"},
		{[]string{"token", "list", "--expiring", "soon"}, 2, "want a duration such as 90d or 12h"},
		{[]string{"token", "pattern", "--prefix", "a-b"}, 2, "want letters and digits"},
		{[]string{"token", "pattern", "--config", "nosuch"}, 1, "no such file"},
		{[]string{"owner", "set", "o", "--max-tokens", "-1"}, 2, "want a number from 0"},
		{[]string{"policy", "diff", "a"}, 2, "want OLD NEW"},
		{[]string{"policy", "diff", "-", "-"}, 2, "can't both be -"},
		{[]string{"store", "backup", "-"}, 2, "goes to a file"},
		{[]string{"policy", "explain", "GET"}, 2, "want METHOD URL, got 1 argument"},
		{[]string{"policy", "explain", "GET", "/", "--token", secret}, 2, "id: want 1 to 36 characters"},
		{[]string{"policy", "explain", "GET", "/", "--token", "x", "--secret-stdin"}, 2, "--token and --secret-stdin contradict"},
		{[]string{"policy", "explain", "GET", "/", "--header", "Authorization " + secret}, 2, "want 'Name: value'"},
		{[]string{"policy", "test"}, 2, "want CASES.jsonl..."},
		{[]string{"token", "grant", "x", "--remove", "0"}, 2, "counted from 1"},
		{[]string{"policy", "test", "--config", "Caddyfile", os.DevNull}, 1, os.DevNull + ": no cases"},
		{[]string{"policy", "check", "Caddyfile"}, 2, "want no arguments"},
		{[]string{"store", "copy", "--from", "embedded:tokens.db"}, 2, "want --from STORE and --to STORE"},
		{[]string{"policy", "diff", "a", "b"}, 1, "no such file"},
		{[]string{"policy"}, 2, "check, diff, explain, import, routes, test"},
		{[]string{"policy", "routes", "--config", "plain.Caddyfile"}, 1, "no site of the configuration uses patgate"},
		{[]string{"policy", "routes", "--config", "empty.Caddyfile"}, 1, "empty.Caddyfile is empty"},
		{[]string{"token", "list", "--config", "off.Caddyfile"}, 1, "off.Caddyfile switches the admin endpoint off"},
		{[]string{"token", "list", "--status", secret}, 2, "active, expired, revoked or all"},
		{[]string{"token", "list", "--limit", secret}, 2, "pat_REDACTED"},
		{[]string{"token", "create", "--name", "n", "--full", "--expires-in", secret}, 2, "want a duration such as 90d or 12h"},
		{[]string{"token", "create", "--name", "n", "--grant", `{"` + secret + `":1}`}, 2, `unknown key "pat_REDACTED"`},
		{[]string{"token", "import", "secret.jsonl"}, 1, `line 1: unknown key "pat_REDACTED"`},
		{[]string{"token", secret}, 2, `no command "pat_REDACTED"`},
		{[]string{"token", "list", "--" + secret}, 2, "unknown flag: --pat_REDACTED"},
		{[]string{secret}, 2, "patgate pat_REDACTED: there is no such command"},
		{[]string{"tokn", "list"}, 2, "patgate tokn: there is no such command; did you mean token? (see"},
		{[]string{"nothing-like-it"}, 2, "patgate nothing-like-it: there is no such command (see"},
		{[]string{"upgrade"}, 1, "patgate upgrade: only Caddy's own builds are replaced this way"},
	} {
		o := p.try(t, "", test.args...)
		if o.exit != test.exit || !strings.Contains(o.stderr, test.error) {
			t.Errorf("patgate %s: exit status %d, %q; want %d, %q", strings.Join(test.args, " "), o.exit, o.stderr, test.exit, test.error)
		}
		if strings.Contains(o.stderr, secret) || strings.Contains(o.stderr, wellMade) {
			t.Errorf("patgate %s repeats the secret", strings.Join(test.args[:2], " "))
		}
		if hint := "--help"; (o.exit == 2) != strings.Contains(o.stderr, hint) {
			t.Errorf("patgate %s: %q; want a hint at --help with exit status 2 only", strings.Join(test.args, " "), o.stderr)
		}
	}
}

// What Caddy has beside its commands is there as well.
func TestCompletion(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if out := p.succeed(t, "", "completion", "bash"); !strings.Contains(out, "__start_patgate") {
		t.Errorf("completion bash prints %.200s", out)
	}
	p.succeed(t, "", "manpage", "--directory", p.dir)
	cmd := p.command(t.Context(), "__complete", "token", "create", "--sc")
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "--scope\tSCOPE, or a pattern") {
		t.Errorf("__complete prints %q, %v, want --scope as help has it", out, err)
	}
}

// A secret that is no token's is explained as well, by a file as by the server.
func TestExplainSecrets(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	if err := os.Rename(filepath.Join(p.dir, "Caddyfile"), filepath.Join(p.dir, "Other")); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{
		"pat_bad":                   "token_malformed (401 Unauthorized)",
		"a-secret-of-another-place": "token_unknown (401 Unauthorized)",
	} {
		for _, flags := range [][]string{{"--config", "Other"}, nil} {
			args := append([]string{"policy", "explain", "GET", "/v1/spaces/1/stories", "--secret-stdin"}, flags...)
			if out := p.succeed(t, secret+"\n", args...); !strings.Contains(out, want) || strings.Contains(out, secret) {
				t.Errorf("%s, %v:\n%s\nwant %s", secret, flags, out, want)
			}
		}
	}
}

// Every command ends when it is interrupted, also one that waits for its input.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	for _, test := range []struct {
		signal os.Signal
		args   []string
		says   string
	}{
		{os.Interrupt, []string{"policy", "check", "--config", "fifo"}, "interrupted\n"},
		{syscall.SIGTERM, []string{"policy", "import", "fifo"}, "interrupted\n"},
		{os.Interrupt, []string{"policy", "test", "-"}, "interrupted\n"},
		{syscall.SIGTERM, []string{"token", "import", "fifo"}, "interrupted when "},
		{os.Interrupt, []string{"token", "import", "-"}, "interrupted when "},
	} {
		cmd, stderr := p.reading(t, test.args...)
		if err := cmd.Process.Signal(test.signal); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // the exit status says how it ended
		want := "patgate " + strings.Join(test.args[:2], " ") + ": " + test.says
		if cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(stderr.String(), want) {
			t.Errorf("patgate %s, %v: %v, %q, want exit status 1, %q", strings.Join(test.args, " "), test.signal, cmd.ProcessState, stderr, want)
		}
	}
	// Signals that go on end it as they end other programs.
	// A busy machine may let it end by the first, before the second comes: it is tried again.
	ended, said := "", ""
	for range 20 {
		cmd, stderr := p.reading(t, "policy", "import", "fifo")
		go func() {
			for cmd.Process.Signal(os.Interrupt) == nil {
			}
		}()
		cmd.Wait() // the state says how it ended
		if ended, said = cmd.ProcessState.String(), stderr.String(); cmd.ProcessState.ExitCode() == -1 && said == "" {
			return
		}
	}
	t.Errorf("interrupted again and again: %s, %q, want an end by the signal", ended, said)
}

// reading starts a command, and returns when it reads what doesn't end: standard input,
// or the file fifo.
func (p *place) reading(t *testing.T, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	fifo := filepath.Join(p.dir, "fifo")
	if err := exec.CommandContext(t.Context(), "mkfifo", fifo).Run(); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(fifo)
	stderr = new(bytes.Buffer)
	cmd = p.command(t.Context(), args...)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if args[len(args)-1] == "-" {
		_, err = in.Write(bytes.Repeat([]byte("\n"), 1<<18)) // more than a pipe holds
	} else {
		var writing *os.File
		writing, err = os.OpenFile(fifo, os.O_WRONLY, 0) // when it is open, the command has opened it
		t.Cleanup(func() { writing.Close() })
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, stderr
}
