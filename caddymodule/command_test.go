package caddymodule

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/token"
)

// program returns a program with patgate's commands, and the command below which
// they are.
func program(name string) *cobra.Command {
	root := &cobra.Command{Use: name}
	root.AddCommand(commands()...)
	adopt(root)
	return root
}

// each calls f with every command that patgate's help shows.
func each(cmd *cobra.Command, f func(*cobra.Command)) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			f(c)
			each(c, f)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	var names []string
	each(program("patgate"), func(c *cobra.Command) {
		names = append(names, strings.TrimPrefix(c.CommandPath(), "patgate "))
		if c.Short == "" {
			t.Errorf("%s: no short description", c.CommandPath())
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, "  "+c.CommandPath()) {
			t.Errorf("%s: no example begins with it:\n%s", c.CommandPath(), c.Example)
		}
		if !c.HasSubCommands() && c.Name() != "demo" && c.Flags().Lookup("json") == nil {
			t.Errorf("%s: no flag --json", c.CommandPath())
		}
		var help strings.Builder
		c.SetOut(&help)
		if err := c.Help(); err != nil || !strings.Contains(help.String(), "Usage:\n") || strings.Contains(help.String(), "caddyserver.com") {
			t.Errorf("%s: its help is %q (%v)", c.CommandPath(), &help, err)
		}
	})
	for _, want := range []string{
		"token create", "token list", "token show", "token update", "token grant", "token revoke", "token regenerate",
		"token delete", "token verify", "token import", "token export", "owner set", "owner list", "owner show", "owner delete",
		"status", "policy check", "policy routes", "policy explain", "policy test", "policy import", "demo",
	} {
		if !strings.Contains("\n"+strings.Join(names, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("there is no command %s", want)
		}
	}
}

// TestExamplesElsewhere checks what other Caddy builds show.
func TestExamplesElsewhere(t *testing.T) {
	root := program("patgate")
	inExamples(root, "caddy patgate")
	each(root, func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			if command := strings.TrimSpace(line); strings.HasPrefix(command, "patgate") {
				t.Errorf("%s: example %q, want caddy patgate", c.CommandPath(), command)
			}
		}
	})
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct{ words, want []string }{
		{[]string{"token", "re"}, []string{"revoke\t", "regenerate\t"}},
		{[]string{"token", "list", "--status", ""}, []string{"active\n", "expired\n", "revoked\n", "all\n"}},
		{[]string{"token", "list", "--sort", ""}, []string{"created\n", "last_used\n"}},
		{[]string{"token", "show", ""}, []string{":4\n"}}, // no files
		{[]string{"token", "revoke", "x", ""}, []string{":4\n"}},
		{[]string{"token", "import", ""}, []string{":0\n"}}, // files
	} {
		out, _, err := told(t, "", append([]string{"__complete"}, test.words...)...)
		for _, want := range test.want {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("completing %q offers %q (%v), want %q", test.words, out, err, want)
			}
		}
	}
}

// failing runs a command that ends with err, and returns what it prints and
// returns.
func failing(err error) (stderr string, returned error) {
	root := &cobra.Command{Use: "patgate", RunE: run(func(*cobra.Command, []string) error { return err })}
	adopt(root)
	var out strings.Builder
	root.SetErr(&out)
	root.SetOut(&out)
	root.SetArgs(nil)
	returned = root.Execute()
	return out.String(), returned
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
		exit string // what Caddy's Main makes an exit status of
	}{
		{nil, "", ""},
		{errors.New("broken"), "patgate: broken\n", "broken"},
		{errors.New("one\ntwo\r\nthree\n"), "patgate: one; two; three\n", "one\ntwo\r\nthree\n"},
		{errors.New("bad pat_" + strings.Repeat("0a", 18)), "patgate: bad pat_REDACTED\n", "bad pat_" + strings.Repeat("0a", 18)},
		{usageError(errors.New("want more")), "patgate: want more (see patgate --help)\n", "exiting with status 2"},
	} {
		got, returned := failing(test.err)
		exit := ""
		if returned != nil {
			exit = returned.Error()
		}
		if got != test.want || exit != test.exit {
			t.Errorf("a command that ends with %q prints %q and returns %q, want %q, %q", test.err, got, exit, test.want, test.exit)
		}
	}
}

// A command that is mistyped is answered by the one that is most like it, also
// with the flags that it was given.
func TestMistypedCommand(t *testing.T) {
	for line, want := range map[string]string{
		"lst":                  `no command "lst" here; `,
		"lst --owner alice":    "; did you mean list? (see",
		"lst -o alice --json":  "; did you mean list? (see",
		"nothing-like-it":      "verify (see",
		"--json":               "say which command, before its flags: create, ",
		"--json list":          "say which command, before its flags: create, ",
		"--owner=alice revok1": "; did you mean revoke? (see",
	} {
		if _, stderr, err := told(t, "", append([]string{"token"}, strings.Fields(line)...)...); err == nil || !strings.Contains(stderr, want) {
			t.Errorf("token %s: %v, %q, want %q", line, err, stderr, want)
		}
	}
}

func TestAPIPath(t *testing.T) {
	for id, want := range map[string]string{
		"alice": "/patgate/owners/alice", "a/b c": "/patgate/owners/a%2Fb%20c", ".": "/patgate/owners/%2E", "..": "/patgate/owners/%2E%2E",
		"...": "/patgate/owners/%2E%2E%2E", "a.b": "/patgate/owners/a.b", "?#%": "/patgate/owners/%3F%23%25",
	} {
		if got := apiPath("owners", id); got != want {
			t.Errorf("apiPath of %q = %s, want %s", id, got, want)
		}
	}
}

// TestWhereTheServerIs checks which address a command asks.
func TestWhereTheServerIs(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATGATE_TEST_ADMIN", "localhost:2021")
	for name, text := range map[string]string{
		"Caddyfile": "{\n\tadmin localhost:2020\n}\n", "env": "{\n\tadmin {env.PATGATE_TEST_ADMIN}\n}\n",
		"caddy.json": `{"admin":{"listen":"unix//run/a.sock|0220"}}`, "other": "{\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ address, config, want, origin string }{
		{"", "", "localhost:2019", "http://localhost:2019"},
		{"", "Caddyfile", "localhost:2020", "http://localhost:2020"},
		{"", "env", "localhost:2021", "http://localhost:2021"},
		{"", "caddy.json", "unix//run/a.sock|0220", "http://127.0.0.1"},
		{"", "other", "localhost:2019", "http://localhost:2019"},
		{"[::1]:2022", "Caddyfile", "[::1]:2022", "http://[::1]:2022"},
		{"gateway", "", "gateway", "http://gateway:2019"},
	} {
		cmd := &cobra.Command{}
		config := ""
		if test.config != "" {
			config = filepath.Join(dir, test.config)
		}
		cmd.Flags().String("config", config, "")
		c, err := newClient(test.address, cmd)
		if err != nil {
			t.Errorf("address %q, config %q: %v", test.address, test.config, err)
		} else if c.address != test.want || c.origin != test.origin {
			t.Errorf("address %q, config %q: asks %s as %s, want %s as %s", test.address, test.config, c.address, c.origin, test.want, test.origin)
		}
	}
	for _, address := range []string{"a:b:c", "localhost:1-5", "localhost:x", "bad host:1", "http://localhost:2019"} {
		if _, err := newClient(address, &cobra.Command{}); !errors.As(err, new(usage)) {
			t.Errorf("address %q: %v, want a usage error", address, err)
		}
	}
}

func TestReadSecret(t *testing.T) {
	read := func(ctx context.Context, in io.Reader) (string, error) {
		cmd := &cobra.Command{}
		cmd.SetContext(ctx)
		cmd.SetIn(in)
		cmd.SetErr(io.Discard)
		return readSecret(cmd)
	}
	for in, want := range map[string]string{"s3cret": "s3cret", " s3cret\r\n": "s3cret", "two\nlines": "two\nlines"} {
		if got, err := read(t.Context(), strings.NewReader(in)); got != want || err != nil {
			t.Errorf("readSecret of %q = %q, %v, want %q", in, got, err, want)
		}
	}
	if _, err := read(t.Context(), strings.NewReader(" \n")); !errors.As(err, new(usage)) {
		t.Errorf("readSecret of nothing: %v, want a usage error", err)
	}
	if got, err := read(t.Context(), strings.NewReader(strings.Repeat("x", 1<<20))); len(got) > 2*token.MaxSecretLength || err != nil {
		t.Errorf("readSecret of a large input returns %d bytes, %v", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer out.Close()
	time.AfterFunc(0, cancel)
	if _, err := read(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("readSecret, interrupted: %v, want %v", err, context.Canceled)
	}
}

// TestStoreCheckLeavesSomething has the server find what only people can mend.
func TestStoreCheckLeavesSomething(t *testing.T) {
	for _, test := range []struct {
		problems, want string
		repair         bool
		left           string // what it fails with
	}{
		{`[]`, "0 problems, 0 mended\n", true, ""},
		{`[{"text":"a","mended":true,"mendable":true}]`, "mended: a\n1 problem, 1 mended\n", true, ""},
		{`[{"text":"a","mended":true,"mendable":true},{"text":"b","mended":false,"mendable":false}]`, "mended: a\nfound: b\n2 problems, 1 mended\n", true, "1 problem left, which --repair can't mend"},
		{`[{"text":"a","mended":false,"mendable":false},{"text":"b","mended":false,"mendable":true}]`, "found: a\nfound: b\n2 problems, 0 mended\n", false, "2 problems left; --repair mends what can be"},
		{`[{"text":"a","mended":false,"mendable":false},{"text":"b","mended":false,"mendable":false}]`, "found: a\nfound: b\n2 problems, 0 mended\n", false, "2 problems left, which --repair can't mend"},
	} {
		answer := `{"problems":` + test.problems + "}\n"
		server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, answer)
		}))
		for _, flags := range [][]string{{}, {"--json"}} {
			args := append([]string{"store", "check", "--address", server.Listener.Addr().String(), fmt.Sprint("--repair=", test.repair)}, flags...)
			out, stderr, err := told(t, "", args...)
			want, left := test.want, test.left
			if len(flags) > 0 {
				want = answer
			}
			if left != "" {
				left = "patgate store check: " + left + "\n"
			}
			if out != want || stderr != left || (err == nil) != (left == "") {
				t.Errorf("store check %v of %s prints %q and %q and ends with %v, want %q, %q", flags, answer, out, stderr, err, want, left)
			}
		}
		server.Close()
	}
}

// An import whose file can't be read names the file.
func TestUnreadableImport(t *testing.T) {
	server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	dir := t.TempDir()
	_, stderr, err := told(t, "", "token", "import", dir, "--address", server.Listener.Addr().String())
	if want := "patgate token import: reading tokens: read " + dir + ": "; err == nil || !strings.HasPrefix(stderr, want) {
		t.Errorf("it prints %q and ends with %v, want %s", stderr, err, want)
	}
}

// An import that is interrupted says how far it came.
func TestInterruptedImport(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		lines := bufio.NewScanner(r.Body)
		for range 3 {
			lines.Scan()
		}
		interrupt()
		io.Copy(io.Discard, r.Body) // until the client has gone
	}))
	defer server.Close()
	in, from := io.Pipe()
	defer from.Close()
	go io.WriteString(from, "{}\n{}\n{}\n")
	root := program("patgate")
	var out strings.Builder
	root.SetIn(in)
	root.SetErr(&out)
	root.SetArgs([]string{"token", "import", "-", "--address", server.Listener.Addr().String()})
	err := root.ExecuteContext(ctx)
	const want = "patgate token import: interrupted when 3 lines had been sent; it can be run again: what is done already is skipped\n"
	if out.String() != want || err == nil {
		t.Errorf("it prints %q and ends with %v, want %q", &out, err, want)
	}
}

// Ending tokens that is interrupted says what becomes of them.
func TestInterruptedEnding(t *testing.T) {
	const goesOn = " before the server has answered, which finishes what it has begun; it can be run again: what is done already is skipped"
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"token", "revoke", "--owner", "alice"}, goesOn},
		{[]string{"token", "revoke", "--owner", "alice", "--json"}, goesOn},
		{[]string{"token", "revoke", "x"}, goesOn},
		{[]string{"token", "delete", "--owner", "alice"}, goesOn},
		{[]string{"token", "delete", "x"}, ""},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			interrupt()
			<-r.Context().Done()
		}))
		root := program("patgate")
		var out strings.Builder
		root.SetErr(&out)
		root.SetArgs(append(test.args, "--address", server.Listener.Addr().String()))
		err := root.ExecuteContext(ctx)
		if want := "patgate " + strings.Join(test.args[:2], " ") + ": interrupted" + test.says + "\n"; out.String() != want || err == nil {
			t.Errorf("%q prints %q and ends with %v, want %q", test.args, &out, err, want)
		}
		server.Close()
	}
}

// A command that doesn't look at its context is left behind when it is interrupted, and
// prints nothing any more.
func TestLeftBehind(t *testing.T) {
	before := lastWords
	lastWords = 0
	defer func() { lastWords = before }()
	ctx, interrupt := context.WithCancel(t.Context())
	goOn, wrote := make(chan bool), make(chan error)
	cmd := &cobra.Command{Use: "work", RunE: run(func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintln(cmd.OutOrStdout(), "begun")
		interrupt()
		<-goOn
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "done")
		wrote <- err
		return err
	})}
	adopt(cmd)
	var out, said strings.Builder
	cmd.SetArgs([]string{})
	cmd.SetOut(&out)
	cmd.SetErr(&said)
	err := cmd.ExecuteContext(ctx)
	close(goOn)
	if late := <-wrote; late == nil {
		t.Error("it can still print")
	}
	if err == nil || out.String() != "begun\n" || said.String() != "work: interrupted\n" {
		t.Errorf("it ends with %v and prints %q and %q", err, &out, &said)
	}
}
