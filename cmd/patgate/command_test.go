package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

var aSecret = regexp.MustCompile(`pat_\w{36}`)

func TestTokenCommands(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)

	// Made for people: a sheet, and the secret as the last line.
	sheet := p.succeed(t, "", "token", "create", "--name", "ci", "--owner", "alice", "--space", "1", "--scope", "stories:read")
	lines := strings.Split(strings.TrimSpace(sheet), "\n")
	secret := lines[len(lines)-1]
	if !aSecret.MatchString(secret) || !strings.Contains(sheet, "shown only now") {
		t.Fatalf("token create prints %s", sheet)
	}
	for _, want := range []string{`(?m)^name +ci$`, `(?m)^owner +alice$`, `(?m)^grant 1 +stories:read in space 1$`, `(?m)^expires .*\(in 90 days\)$`, `(?m)^created by +cli$`, `(?m)^last used +never$`} {
		if !regexp.MustCompile(want).MatchString(sheet) {
			t.Errorf("token create prints no line like %s:\n%s", want, sheet)
		}
	}
	id := regexp.MustCompile(`(?m)^id +(\w+)$`).FindStringSubmatch(sheet)[1]

	// What the flags mean.
	for _, test := range []struct {
		args   []string
		grants string
		ips    string
		days   int // of lifetime
	}{
		{[]string{"--full"}, `[{["*"] ["*"] ["*"]}]`, "", 90},
		{[]string{"--all-spaces", "--scope", "stories:*"}, `[{["*"] ["stories:*"] ["*"]}]`, "", 90},
		{[]string{"--space", "1", "--space", "a,b", "--scope", "stories:read", "--scope", "stories:write", "--resource", "7"}, `[{["1" "a,b"] ["stories:read" "stories:write"] ["7"]}]`, "", 90},
		{[]string{"--space", "1"}, `[{["1"] [] ["*"]}]`, "", 90},
		{[]string{"--grant", `{"spaces":["1"],"scopes":["*"]}`, "--grant", `{"spaces":["2"],"scopes":["*:read"],"resources":["3"]}`}, `[{["1"] ["*"] ["*"]} {["2"] ["*:read"] ["3"]}]`, "", 90},
		{[]string{"--space", "1", "--scope", "*", "--grant", `{"spaces":["2"],"scopes":["*:read"]}`}, `[{["1"] ["*"] ["*"]} {["2"] ["*:read"] ["*"]}]`, "", 90},
		{[]string{"--full", "--expires-in", "30d", "--allow-ip", "10.0.0.0/8", "--allow-ip", "::1"}, `[{["*"] ["*"] ["*"]}]`, "10.0.0.0/8 ::1/128", 30},
		{[]string{"--full", "--expires-at", time.Now().UTC().AddDate(0, 0, 11).Format(time.DateOnly)}, `[{["*"] ["*"] ["*"]}]`, "", 10},
	} {
		var made madeJSON
		p.asked(t, &made, append([]string{"token", "create", "--name", "n", "--owner", "flags", "--description", "d"}, test.args...)...)
		days := -1
		if made.Token.ExpiresAt != nil {
			days = int(time.Until(*made.Token.ExpiresAt).Hours()+0.1) / 24
		}
		if got := fmt.Sprintf("%q", made.Token.Grants); got != test.grants || strings.Join(made.Token.AllowedIPs, " ") != test.ips || days != test.days {
			t.Errorf("token create %v makes the grants %s, for %v, and %d days; want %s, %q, %d", test.args, got, made.Token.AllowedIPs, days, test.grants, test.ips, test.days)
		}
		if made.Token.Description != "d" || made.Token.Owner != "flags" || made.Token.CreatedBy != "cli" || !aSecret.MatchString(made.Secret) {
			t.Errorf("token create %v makes %+v", test.args, made.Token)
		}
	}

	var shown tokenJSON
	p.asked(t, &shown, "token", "show", id)
	if shown.ID != id || shown.Name != "ci" || shown.Status != "active" {
		t.Errorf("token show has %+v", shown)
	}
	if out := p.succeed(t, "", "token", "update", id, "--name", "renamed", "--description", ""); !regexp.MustCompile(`(?m)^name +renamed$`).MatchString(out) {
		t.Errorf("token update prints %s", out)
	}
	for _, step := range []struct {
		args []string
		ips  string
	}{
		{[]string{"--allow-ip", "10.0.0.0/8", "--allow-ip", "::1"}, "10.0.0.0/8 ::1/128"},
		{[]string{"--name", "again"}, "10.0.0.0/8 ::1/128"},
		{[]string{"--allow-ip", "192.0.2.1", "--allow-everywhere=false"}, "192.0.2.1/32"},
		{[]string{"--allow-everywhere"}, ""},
	} {
		p.asked(t, &shown, append([]string{"token", "update", id}, step.args...)...)
		if got := strings.Join(shown.AllowedIPs, " "); got != step.ips {
			t.Errorf("token update %v leaves the addresses %q, want %q", step.args, got, step.ips)
		}
	}
	for _, step := range []struct{ flag, value, grants string }{
		{"--add", `{"spaces":["2"],"scopes":["stories:*"]}`, `[{["1"] ["stories:read"] ["*"]} {["2"] ["stories:*"] ["*"]}]`},
		{"--remove", "1", `[{["2"] ["stories:*"] ["*"]}]`},
		{"--remove-all", "", `[]`},
	} {
		args := []string{"token", "grant", id, step.flag}
		if step.value != "" {
			args = append(args, step.value)
		}
		if p.asked(t, &shown, args...); fmt.Sprintf("%q", shown.Grants) != step.grants {
			t.Errorf("token grant %s %s leaves %s, want %s", step.flag, step.value, fmt.Sprintf("%q", shown.Grants), step.grants)
		}
	}

	var renewed madeJSON
	p.asked(t, &renewed, "token", "regenerate", id, "--overlap", "1h", "--expires-in", "12h")
	for _, s := range []string{secret + "\n", renewed.Secret, "Bearer " + secret, "bearer  " + renewed.Secret} {
		if out := p.succeed(t, s, "token", "verify"); !strings.Contains(out, id) {
			t.Errorf("token verify prints %s, want the token %s", out, id)
		}
	}
	if out := p.succeed(t, "", "token", "show", id); !regexp.MustCompile(`(?m)^secret before +works until .*in (1 hour|\d\d minutes)`).MatchString(out) {
		t.Errorf("token show prints %s, want until when the secret before works", out)
	}
	if out := p.succeed(t, "", "token", "regenerate", id); !aSecret.MatchString(out) || !strings.Contains(out, "shown only now") {
		t.Errorf("token regenerate prints %s", out)
	}
	if out := p.succeed(t, "", "token", "show", id); strings.Contains(out, "secret before") {
		t.Errorf("token show prints %s, and the secret before works no more", out)
	}
	if o := p.try(t, secret, "token", "verify"); o.exit != 1 || !strings.Contains(o.stderr, "replaced by a newer one of its token, "+id) {
		t.Errorf("token verify of a replaced secret: %+v, want it to name the token %s", o, id)
	}

	log, err := os.ReadFile(filepath.Join(p.dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	if found := aSecret.Find(log); found != nil || !bytes.Contains(log, []byte("/patgate/verify")) {
		t.Errorf("the server's log has the secret %s, or no request at all", found)
	}
}

// A secret that can't be shown is lost. Which token it is of is said.
func TestSecretUnread(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	var made madeJSON
	p.asked(t, &made, "token", "create", "--name", "ci", "--full")
	for _, args := range [][]string{
		{"create", "--name", "other", "--full"},
		{"create", "--name", "third", "--full", "--json"},
		{"regenerate", made.Token.ID},
		{"regenerate", made.Token.ID, "--json"},
	} {
		nowhere, err := os.Open(os.DevNull) // which can't be written to
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd := p.command(t.Context(), append([]string{"token"}, args...)...)
		cmd.Stdout, cmd.Stderr = nowhere, &stderr
		err = cmd.Run()
		nowhere.Close()
		id := regexp.MustCompile(`the secret of token (\w+) is lost, for it can't be shown: .*; make another with "patgate token regenerate \w+"\n$`).FindStringSubmatch(stderr.String())
		if err == nil || id == nil {
			t.Fatalf("token %s: %v, %s", strings.Join(args, " "), err, &stderr)
		}
		var token tokenJSON
		p.asked(t, &token, "token", "show", id[1])
		if args[0] == "create" && token.Name != args[2] || args[0] == "regenerate" && token.ID != made.Token.ID {
			t.Errorf("token %s names %s, which is %s", strings.Join(args, " "), id[1], token.Name)
		}
	}
}

// Who makes a token that the owner's record doesn't allow is told.
func TestTokenOfDisabledOwner(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	p.succeed(t, "", "owner", "set", "alice")
	p.succeed(t, "", "owner", "set", "alice", "--disable")
	const note = "owner \"alice\" is disabled: the token doesn't work"
	if o := p.try(t, "", "token", "create", "--name", "n", "--owner", "alice", "--full"); o.exit != 0 || o.stderr != "note: "+note+"\n" {
		t.Errorf("token create for a disabled owner: %+v, want the note %s", o, note)
	}
	var warned struct{ Warnings []string }
	if p.asked(t, &warned, "token", "create", "--name", "n", "--owner", "alice", "--full"); !slices.Equal(warned.Warnings, []string{note}) {
		t.Errorf("token create --json for a disabled owner warns %q", warned.Warnings)
	}
}

// Who disables an owner by a name that is mistyped is told that nothing was disabled.
func TestDisabledNobody(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	p.succeed(t, "", "token", "create", "--name", "n", "--owner", "alice", "--full")
	const note = "owner \"alcie\" had no record and has no tokens: so far, this disables nothing"
	if o := p.try(t, "", "owner", "set", "alcie", "--disable"); o.exit != 0 || o.stderr != "note: "+note+"\n" || !strings.Contains(o.stdout, "alcie") {
		t.Errorf("owner set --disable of an owner without tokens: %+v, want the note %s", o, note)
	}
	var warned struct {
		ID       string
		Warnings []string
	}
	if p.asked(t, &warned, "owner", "set", "alcie", "--disable"); warned.ID != "alcie" || !slices.Equal(warned.Warnings, []string{note}) {
		t.Errorf("owner set --json warns %+v", warned)
	}
	p.succeed(t, "", "owner", "set", "bob", "--max-tokens", "3") // a record that is made beforehand
	p.succeed(t, "", "owner", "set", "bob", "--disable")
	p.succeed(t, "", "owner", "set", "alice", "--disable")
}

// A ceiling of what looks like several spaces is one of one space, and whoever sets it is
// told so; not whoever changes something else.
func TestCeilingWithComma(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	const note = "note: space \"1,2\" is one space; to grant several, give each by itself\n"
	if o := p.try(t, "", "owner", "set", "alice", "--space", "1,2"); o.exit != 0 || o.stderr != note {
		t.Errorf("owner set --space 1,2: %+v, want %s", o, note)
	}
	if o := p.try(t, "", "owner", "set", "alice", "--max-tokens", "3"); o.exit != 0 || o.stderr != "" {
		t.Errorf("owner set --max-tokens 3: %+v", o)
	}
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

func TestTokenListAndEnd(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	if o := p.try(t, "", "token", "list"); o.exit != 0 || o.stdout != "" || o.stderr != "no tokens\n" {
		t.Errorf("token list of nothing: %+v", o)
	}
	var list struct {
		Tokens []tokenJSON
		Next   string
	}
	if p.asked(t, &list, "token", "list"); list.Tokens == nil || len(list.Tokens) > 0 {
		t.Errorf("token list --json of nothing has %v, want []", list.Tokens)
	}

	// More than the server lists in a page.
	var lines strings.Builder
	const imported = 1200
	for i := range imported {
		lines.WriteString(`{"name":"bulk","owner":"bulk","secret":"a-secret-of-another-system-` + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + `"}` + "\n")
	}
	if out := p.succeed(t, lines.String(), "token", "import", "-"); out != "1200 tokens imported, 0 there already\n" {
		t.Errorf("token import prints %q", out)
	}
	const other = `{"owner":"other","name":"bulk","secret":"a-secret-of-another-system-a"}`
	if out := p.succeed(t, other, "token", "import", "-"); !regexp.MustCompile("^line 1: token [0-9a-z]+ is there already, with another owner, and stays as it is\n1 token there already with another owner.*\n0 tokens imported, 1 there already\n$").MatchString(out) {
		t.Errorf("token import of what is there with another owner prints %q", out)
	}
	if p.asked(t, &list, "token", "list", "--owner", "bulk"); len(list.Tokens) != imported || list.Next != "" {
		t.Errorf("token list has %d tokens and next %q, want all %d", len(list.Tokens), list.Next, imported)
	}
	if out := p.succeed(t, "", "token", "list"); strings.Count(out, "\n") != 1+imported || strings.Count(out, "NAME") != 1 {
		t.Errorf("token list prints %d lines, want a header and %d", strings.Count(out, "\n"), imported)
	}
	if p.asked(t, &list, "token", "list", "--limit", "700"); len(list.Tokens) != 700 || list.Next == "" {
		t.Errorf("token list --limit 700 has %d tokens and next %q", len(list.Tokens), list.Next)
	}
	cursor := list.Next
	if p.asked(t, &list, "token", "list", "--limit", "700", "--cursor", cursor); len(list.Tokens) != imported-700 || list.Next != "" {
		t.Errorf("the next page has %d tokens and next %q", len(list.Tokens), list.Next)
	}
	if out := p.succeed(t, "", "token", "list", "--limit", "700"); !strings.HasSuffix(out, "\nmore with --cursor "+cursor+"\n") {
		t.Errorf("token list --limit doesn't say how to go on: %s", out[len(out)-100:])
	}

	// What leaves can come back.
	export := p.succeed(t, "", "token", "export")
	if strings.Count(export, "\n") != imported || strings.Contains(export, "a-secret") {
		t.Errorf("token export has %d lines or secrets, want %d", strings.Count(export, "\n"), imported)
	}
	file := filepath.Join(p.dir, "tokens.jsonl")
	if err := os.WriteFile(file, []byte(export), 0o600); err != nil {
		t.Fatal(err)
	}
	var gone struct{ Deleted []string }
	if p.asked(t, &gone, "token", "delete", "--owner", "bulk"); len(gone.Deleted) != imported {
		t.Errorf("token delete --owner deletes %d tokens, want %d", len(gone.Deleted), imported)
	}
	var result struct{ Imported, Skipped int }
	if p.asked(t, &result, "token", "import", file); result.Imported != imported {
		t.Errorf("token import of the export: %+v", result)
	}
	if p.asked(t, &result, "token", "import", file); result.Skipped != imported {
		t.Errorf("token import of the same again: %+v", result)
	}
	if p.succeed(t, "a-secret-of-another-system-a", "token", "verify"); p.try(t, "a-secret-of-another-system-0", "token", "verify").exit != 1 {
		t.Error("token verify knows a secret that was never there")
	}

	// More ids than a URL has room for.
	ids := slices.Repeat(gone.Deleted, 3)
	if o := p.try(t, "", append([]string{"token", "delete", "unknown"}, ids...)...); o.exit != 1 || o.stderr != "patgate token delete: token unknown: not found\n" {
		t.Errorf("token delete of many, one of them unknown: %+v", o)
	}
	if p.asked(t, &gone, append([]string{"token", "delete"}, ids...)...); len(gone.Deleted) != imported {
		t.Errorf("token delete of %d ids deletes %d tokens, want %d", len(ids), len(gone.Deleted), imported)
	}

	// The table.
	var made []string
	for _, owner := range []string{"alice", "alice", "bob", ""} {
		var m madeJSON
		p.asked(t, &m, "token", "create", "--name", "of "+owner, "--owner", owner, "--space", "1", "--scope", "stories:read", "--grant", `{"spaces":["2"],"scopes":["*"]}`)
		made = append(made, m.Token.ID)
	}
	row := regexp.MustCompile(`^` + made[2] + `  of bob    bob    active  in 90 days  never  pat_\w{3}…  stories:read in space 1 and every scope in space 2$`)
	table := strings.Split(p.succeed(t, "", "token", "list"), "\n")
	if !slices.ContainsFunc(table, row.MatchString) || !strings.HasPrefix(table[0], "ID ") {
		t.Errorf("token list prints no line like %s:\n%s", row, strings.Join(table, "\n"))
	}

	var ended struct {
		Revoked  []string
		Gateways struct{ Acknowledged, Pending int }
	}
	if p.asked(t, &ended, "token", "revoke", made[0], made[2], made[0]); !slices.Equal(ended.Revoked, []string{made[0], made[2]}) || ended.Gateways.Acknowledged != 1 || ended.Gateways.Pending != 0 {
		t.Errorf("token revoke: %+v", ended)
	}
	if out := p.succeed(t, "", "token", "revoke", "--owner", "alice"); out != "revoked "+made[1]+"\nacknowledged by 1 of 1 gateway\n" {
		t.Errorf("token revoke --owner prints %q", out)
	}
	if out := p.succeed(t, "", "token", "revoke", "--owner", "alice"); out != "no tokens were revoked\n" {
		t.Errorf("token revoke --owner again prints %q", out)
	}
	for status, number := range map[string]int{"revoked": 3, "active": 1, "expired": 0, "all": 4} {
		if p.asked(t, &list, "token", "list", "--status", status); len(list.Tokens) != number {
			t.Errorf("token list --status %s has %d tokens, want %d", status, len(list.Tokens), number)
		}
	}
	if p.asked(t, &list, "token", "list", "--owner", ""); len(list.Tokens) != 1 || list.Tokens[0].ID != made[3] {
		t.Errorf(`token list --owner "" has %+v, want the token without an owner`, list.Tokens)
	}
	if p.asked(t, &list, "token", "list", "--space", "2", "--scope", "stories:write"); len(list.Tokens) != 4 {
		t.Errorf("token list --space --scope has %d tokens, want 4", len(list.Tokens))
	}
	if o := p.try(t, "", "token", "delete", made[0], "unknown"); o.exit != 1 || !strings.Contains(o.stderr, "token unknown: not found") {
		t.Errorf("token delete of an unknown one: %+v", o)
	}
	if out := p.succeed(t, "", "token", "delete", made[0], made[1]); out != "deleted "+made[0]+"\ndeleted "+made[1]+"\nacknowledged by 1 of 1 gateway\n" {
		t.Errorf("token delete prints %q", out)
	}
}

func TestOwnerAndStatusCommands(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	type ownerJSON struct {
		ID             string
		Enabled, Admin bool
		Grants         []struct{ Spaces, Scopes, Resources []string }
	}
	const full = `[{["*"] ["*"] ["*"]}]`
	long := strings.Repeat("1", 70)
	for _, test := range []struct {
		args           []string
		enabled, admin bool
		grants         string
	}{
		{nil, true, false, full},
		{[]string{"--scope", "stories:*", "--space", "1", "--space", "2"}, true, false, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--disable"}, false, false, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--admin"}, false, true, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--enable=false"}, false, true, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--disable=false"}, true, true, `[{["1" "2"] ["stories:*"] ["*"]}]`},
		{[]string{"--enable", "--full"}, true, true, full},
		{[]string{"--space", long}, true, true, `[{["` + long + `"] ["*"] ["*"]}]`},
		{[]string{"--admin=false"}, true, false, `[{["` + long + `"] ["*"] ["*"]}]`},
	} {
		var o ownerJSON
		p.asked(t, &o, append([]string{"owner", "set", "team/ä b"}, test.args...)...)
		if o.ID != "team/ä b" || o.Enabled != test.enabled || o.Admin != test.admin || fmt.Sprintf("%q", o.Grants) != test.grants {
			t.Errorf("owner set %v leaves %+v, want enabled %t, admin %t, %s", test.args, o, test.enabled, test.admin, test.grants)
		}
	}
	if out := p.succeed(t, "", "owner", "show", "team/ä b"); !regexp.MustCompile(`(?m)^grant 1 +every scope in space ` + long + `$`).MatchString(out) {
		t.Errorf("owner show prints %s", out)
	}
	if out := p.succeed(t, "", "owner", "list"); !regexp.MustCompile(`(?m)^team/ä b +yes +no +every scope in space ` + long + `$`).MatchString(out) {
		t.Errorf("owner list prints %s", out)
	}
	var owners struct{ Owners []ownerJSON }
	if p.asked(t, &owners, "owner", "list"); len(owners.Owners) != 1 {
		t.Errorf("owner list --json has %+v", owners)
	}
	if out := p.succeed(t, "", "owner", "delete", "team/ä b"); out != "deleted the record of owner team/ä b\n" {
		t.Errorf("owner delete prints %q", out)
	}
	if o := p.try(t, "", "owner", "delete", "team/ä b"); o.exit != 1 {
		t.Errorf("owner delete of none: %+v", o)
	}

	out := p.succeed(t, "", "status")
	for _, want := range []string{`(?m)^store +embedded .*tokens\.db$`, `(?m)^holds +0 tokens, 0 owners$`, `(?m)^cache +0 tokens held`, `(?m)^GATEWAY +FOLLOWS +BEHIND BY +LAST SEEN$`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("status prints no line like %s:\n%s", want, out)
		}
	}
	var status struct {
		Store struct {
			Kind     string
			Gateways []struct{ Name string }
		}
		Cache map[string]any
	}
	if p.asked(t, &status, "status"); status.Store.Kind != "embedded" || len(status.Store.Gateways) != 1 || status.Cache == nil {
		t.Errorf("status --json has %+v", status)
	}
	// Where the server is said to be.
	admin := p.admin
	p.admin = "localhost:1"
	p.succeed(t, "", "status", "--address", admin)
	p.succeed(t, "", "status", "--config", "Caddyfile")
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
		{[]string{"status", "--address", p.site}, 1, "at " + p.site + " is a gate, and not the admin endpoint"},
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
