package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

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

// A secret that is thrown away is told, too: also where standard output is closed, which
// Go opens as the null device.
func TestSecretThrownAway(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	p := newTokenServer(t)
	for _, to := range []string{">&-", ">/dev/null"} {
		cmd := p.command(t.Context(), "token", "create", "--name", "n", "--full")
		cmd.Args = append([]string{"sh", "-c", `"$0" "$@" ` + to, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = sh
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil || !regexp.MustCompile(`^note: nobody sees the secret of token (\w+), for .*; make another with "patgate token regenerate \w+"\n$`).Match(stderr.Bytes()) {
			t.Errorf("token create %s: %v, %s", to, err, &stderr)
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
