package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestEventsCommand(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	var made madeJSON
	p.asked(t, &made, "token", "create", "--name", "ci", "--owner", "alice", "--full")
	p.succeed(t, "", "token", "update", made.Token.ID, "--name", "deploy")
	p.succeed(t, "", "token", "create", "--name", "other", "--owner", "bob", "--full")

	var page struct {
		Events []struct {
			ID, Actor, Action, Owner string
			TokenID                  string `json:"token_id"`
		}
		Next string
	}
	p.asked(t, &page, "events", "--owner", "alice")
	if len(page.Events) != 2 || page.Events[0].Action != "updated" || page.Events[0].Actor != "cli" || page.Events[1].TokenID != made.Token.ID || page.Next != "" {
		t.Errorf("events --owner alice lists %+v, want two, the newest first", page)
	}
	p.asked(t, &page, "events", "--limit", "1")
	if len(page.Events) != 1 || page.Events[0].Owner != "bob" || page.Next != page.Events[0].ID {
		t.Errorf("events --limit 1 lists %+v, want the newest, and the cursor behind it", page)
	}
	table := p.succeed(t, "", "events", "--token", made.Token.ID)
	for _, want := range []string{`(?m)^TIME +WHO +DID +TO +OWNER +WHAT$`, `(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +operator cli \(127\.0\.0\.1\) +updated +` + made.Token.ID + ` deploy +alice +name: ci → deploy$`} {
		if !regexp.MustCompile(want).MatchString(table) {
			t.Errorf("events --token prints no line like %s:\n%s", want, table)
		}
	}

	p.succeed(t, "", "owner", "set", "alice", "--space", "1", "--scope", "stories:read", "--scope", "stories:write", "--max-tokens", "20")
	p.succeed(t, "", "owner", "set", "alice", "--space", "2")
	const want = "grants: stories:read stories:write in space 1 → stories:read stories:write in space 2"
	if out := p.succeed(t, "", "events", "--owner", "alice", "--limit", "1"); !strings.Contains(out, want+"\n") {
		t.Errorf("events tells of an owner's grants as\n%s, want %q, not cut", out, want)
	}
}

func TestEventsFollow(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	p.succeed(t, "", "token", "create", "--name", "first", "--full")
	for _, asJSON := range []bool{false, true} {
		args := []string{"events", "--follow"}
		if asJSON {
			args = append(args, "--json", "--limit", "1")
		}
		cmd := p.command(t.Context(), args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		want := func(texts ...string) {
			t.Helper()
			if !lines.Scan() {
				t.Fatalf("patgate %s ends: %v", strings.Join(args, " "), lines.Err())
			}
			for _, text := range texts {
				if !strings.Contains(lines.Text(), text) {
					t.Errorf("patgate %s prints %q, want %q", strings.Join(args, " "), lines.Text(), text)
				}
			}
		}
		want("created") // what was there
		name := fmt.Sprint("made while following, ", asJSON)
		p.succeed(t, "", "token", "create", "--name", name, "--full")
		if asJSON {
			want(`"action":"created"`, `"token_name":"`+name+`"`)
		} else {
			want("operator cli (127.0.0.1)  created  token ", "("+name+")", "grants: ")
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			t.Errorf("patgate %s prints %q besides", strings.Join(args, " "), lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("patgate %s, interrupted: %v, want exit status 0", strings.Join(args, " "), err)
		}
	}
}

func TestTokenListFlags(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	ids := map[string]string{}
	for name, in := range map[string]string{"b": "3d", "A": "20d", "c": "40d"} {
		var made madeJSON
		p.asked(t, &made, "token", "create", "--name", name, "--owner", "alice", "--full", "--expires-in", in)
		ids[made.Token.ID] = name
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--sort", "name"}, "A b c"},
		{[]string{"--sort", "-expires"}, "c A b"},
		{[]string{"--text", "a", "--owner", "alice", "--sort", "name"}, "A b c"}, // of the owner's name
		{[]string{"--text", "nothing"}, ""},
		{[]string{"--expiring", "30d", "--sort", "expires"}, "b A"},
		{[]string{"--unused", "1d"}, ""},
	} {
		var page struct{ Tokens []tokenJSON }
		p.asked(t, &page, append([]string{"token", "list"}, test.args...)...)
		var got []string
		for _, t := range page.Tokens {
			got = append(got, ids[t.ID])
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("token list %s lists %q, want %q", strings.Join(test.args, " "), got, test.want)
		}
	}
}

func TestOwnerLimitFlags(t *testing.T) {
	t.Parallel()
	p := newTokenServer(t)
	sheet := p.succeed(t, "", "owner", "set", "alice", "--may-create=false", "--max-tokens", "1")
	for _, want := range []string{`(?m)^may make tokens +no$`, `(?m)^tokens +at most 1$`} {
		if !regexp.MustCompile(want).MatchString(sheet) {
			t.Errorf("owner set prints no line like %s:\n%s", want, sheet)
		}
	}
	p.succeed(t, "", "token", "create", "--name", "n", "--owner", "alice", "--full")
	if o := p.try(t, "", "token", "create", "--name", "n", "--owner", "alice", "--full"); o.exit != 1 || !strings.Contains(o.stderr, "as many tokens as it may have") {
		t.Errorf("a token too many: exit status %d, %s", o.exit, o.stderr)
	}
	p.succeed(t, "", "owner", "set", "alice", "--max-tokens", "0")
	p.succeed(t, "", "token", "create", "--name", "n", "--owner", "alice", "--full")
}

func TestTokenPattern(t *testing.T) {
	t.Parallel()
	p := newPlace(t) // no server is asked
	if err := os.WriteFile(p.dir+"/Caddyfile", []byte("{\n\tpatgate {\n\t\ttoken {\n\t\t\tprefix acme\n\t\t}\n\t}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, `\bpat_[0-9A-Za-z]{36}\b`},
		{[]string{"--prefix", "x_y"}, `\bx_y_[0-9A-Za-z]{36}\b`},
		{[]string{"--config", "Caddyfile"}, `\bacme_[0-9A-Za-z]{36}\b`},
	} {
		if got := strings.TrimSpace(p.succeed(t, "", append([]string{"token", "pattern"}, test.args...)...)); got != test.want {
			t.Errorf("token pattern %s prints %s, want %s", strings.Join(test.args, " "), got, test.want)
		}
		var answer struct{ Pattern string }
		p.asked(t, &answer, append([]string{"token", "pattern"}, test.args...)...)
		if answer.Pattern != test.want {
			t.Errorf("token pattern %s --json gives %s, want %s", strings.Join(test.args, " "), answer.Pattern, test.want)
		}
	}
}
