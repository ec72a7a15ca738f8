package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/patgate/patgate/internal/freeport"
)

// told runs a command with this standard input, and returns what it prints and what
// it says is wrong.
func told(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	root := program("patgate")
	var out, said strings.Builder
	root.SetIn(io.MultiReader(strings.NewReader(stdin))) // which can't be read twice
	root.SetOut(&out)
	root.SetErr(&said)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), said.String(), err
}

// standIn answers in place of the management API.
func standIn(h http.Handler) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(apiHeader, apiManagement)
		h.ServeHTTP(w, r)
	}))
}

// A server that isn't the admin endpoint has done nothing that a command asks for, whatever
// it answers.
func TestAnotherServer(t *testing.T) {
	backup := t.TempDir() + "/backup"
	for _, answer := range []string{"", "{}", "ok"} { // the first as Caddy for a host that is no site's
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer) }))
		address := server.Listener.Addr().String()
		want := "the answer of the server at " + address + " isn't patgate's: is it the admin endpoint?"
		for _, command := range []string{
			"token create --name x --full", "token list", "token show x", "token update x --name y", "token grant x --remove-all",
			"token revoke x", "token revoke --owner o", "token regenerate x", "token delete x", "token verify", "token import -", "token export",
			"owner set o --disable", "owner list", "owner show o", "owner delete o",
			"status", "report", "events", "store check", "store backup " + backup, "policy explain GET /x",
		} {
			for _, flags := range []string{" --address " + address, " --json --address " + address} {
				out, stderr, err := told(t, "x", strings.Fields(command+flags)...)
				if err == nil || out != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
					t.Errorf("%s, answered %q: prints %q and %q and ends with %v, want %q", command+flags, answer, out, stderr, err, want)
				}
			}
		}
		server.Close()
	}
}

// TestOrigin checks that commands reach an admin endpoint whichever origins it takes.
func TestOrigin(t *testing.T) {
	s := newAdminServer(t)
	load := func(admin string) {
		s.load(strings.Replace(fmt.Sprintf(adminCaddyfile, s.dir), "unix/"+s.dir+"/admin.sock", admin, 1))
	}
	const enforced = " {\n\tenforce_origin\n}"
	socket := "unix/" + s.dir
	for i, test := range []struct{ admin, address string }{
		{"localhost:PORT", "localhost:PORT"},
		{"localhost:PORT" + enforced, "localhost:PORT"},
		{"localhost:PORT" + enforced, "127.0.0.1:PORT"},
		{"0.0.0.0:PORT", "localhost:PORT"}, // an origin that it would refuse
		{"0.0.0.0:PORT {\n\tenforce_origin\n\torigins localhost:PORT\n}", "localhost:PORT"},
		{socket + "/a", socket + "/a"},
		{socket + "/b {\n\tenforce_origin\n\torigins 127.0.0.1\n}", socket + "/b"},
	} {
		_, port, err := net.SplitHostPort(freeport.For(t))
		if err != nil {
			t.Fatal(err)
		}
		at := strings.NewReplacer("PORT", port)
		load(at.Replace(test.admin))
		line := fmt.Sprintf(`{"name":"x","grants":[],"secret":"of-another-system-%d"}`, i)
		for _, command := range []struct{ stdin, args string }{
			{"", "status"},
			{"", "token create --name x --full"},
			{line, "token import -"},
		} {
			args := append(strings.Fields(command.args), "--address", at.Replace(test.address))
			if _, stderr, err := told(t, command.stdin, args...); err != nil {
				t.Errorf("%s, which is admin %s: %s", strings.Join(args, " "), test.admin, stderr)
			}
		}
	}
	// To an endpoint without origins nobody can give one of them. It is said which was given.
	load(socket + "/c" + enforced)
	if _, stderr, err := told(t, "", "status", "--address", socket+"/c"); err == nil || !strings.Contains(stderr, "http://127.0.0.1") {
		t.Errorf("status at a socket without origins: %q, %v", stderr, err)
	}
}

// Why nobody answers decides what to do about it, and whether it helps to wait.
func TestUnheard(t *testing.T) {
	dialed := func(err error) error {
		return &url.Error{Op: "Get", Err: &net.OpError{Op: "dial", Net: "unix", Err: err}}
	}
	c := &client{address: "unix//run/admin.sock"}
	for _, test := range []struct {
		err    error
		want   string // with the cause
		passes bool
	}{
		{dialed(syscall.ECONNREFUSED), "no server answers at unix//run/admin.sock (%v): is patgate running? --address or --config says where", true},
		{dialed(syscall.ENOENT), "no server answers at unix//run/admin.sock (%v): is patgate running? --address or --config says where", true},
		{dialed(syscall.EACCES), "this user may not ask the server at unix//run/admin.sock (%v): ask as the user that it runs as", false},
		{io.EOF, "asking the server at unix//run/admin.sock: %v", true},
	} {
		cause := test.err
		if op, is := errors.AsType[*net.OpError](test.err); is {
			cause = op.Err
		}
		err := c.unheard(http.MethodGet, "/", test.err)
		if want := fmt.Sprintf(test.want, cause); err.Error() != want || mayPass(err) != test.passes {
			t.Errorf("%v: %q, may pass: %v; want %q, %v", test.err, err, mayPass(err), want, test.passes)
		}
	}
}

// TestReadsAskedAgain checks that what reads is asked again where the connection ends before
// the answer begins, and that what changes something isn't: it may be done.
func TestReadsAskedAgain(t *testing.T) {
	for _, test := range []struct {
		args  string
		cuts  int
		asked int
		done  bool
	}{
		{"token list", 0, 1, true},
		{"token list", 2, 3, true},
		{"token list", 9, 3, false},
		{"token verify", 2, 3, true},
		{"policy explain GET /x", 2, 3, true},
		{"token revoke 01kbn4mxkpz8t2rwy3c5q7d9ef", 9, 1, false},
	} {
		asked := 0
		server := standIn(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked++; asked > test.cuts {
				io.WriteString(w, `{"tokens":[],"next":""}`)
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
		}))
		server.Config.SetKeepAlivesEnabled(false) // net/http would itself ask again on another connection
		_, _, err := told(t, "secret", append(strings.Fields(test.args), "--address", server.Listener.Addr().String())...)
		server.Close()
		if asked != test.asked || (err == nil) != test.done {
			t.Errorf("%s, cut off %d times, is asked %d times and ends with %v, want %d times", test.args, test.cuts, asked, err, test.asked)
		}
	}
}

// TestPerhapsDone checks that, where no answer tells whether a change is made, or a secret with
// it, the error says how to find out. What reads has nothing to find out.
func TestPerhapsDone(t *testing.T) {
	const hint = "it may be done all the same: patgate events"
	cut := func(t *testing.T, answer string) string {
		server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if answer != "" {
				w.Header().Set("Content-Length", "1000")
				io.WriteString(w, answer)
			}
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	for _, answer := range []string{"", `{"token":{"id"`} {
		at := cut(t, answer)
		for _, command := range []string{"token create --name x --full", "token regenerate x", "token revoke x", "owner set o --disable", "store check --repair"} {
			if _, stderr, err := told(t, "", append(strings.Fields(command), "--address", at)...); err == nil || !strings.Contains(stderr, hint) {
				t.Errorf("%s, answered %q and cut: says %q, want %q", command, answer, stderr, hint)
			}
		}
		for _, command := range []string{"token list", "token verify", "policy explain GET /x", "status", "store check"} {
			if _, stderr, err := told(t, "x", append(strings.Fields(command), "--address", at)...); err == nil || strings.Contains(stderr, hint) {
				t.Errorf("%s, answered %q and cut: says %q", command, answer, stderr)
			}
		}
	}
	for command, again := range map[string]bool{"token revoke --owner o": true, "token delete --owner o": true, "token create --name x --full": false} {
		_, stderr, err := told(t, "x", append(strings.Fields(command), "--address", cut(t, ""))...)
		if err == nil || strings.Contains(stderr, "; it can be run again: what is done already is skipped") != again {
			t.Errorf("%s, cut: says %q, that it can be run again: want %v", command, stderr, again)
		}
	}
	if _, stderr, err := told(t, "", "token", "create", "--name", "x", "--full", "--address", "localhost:1"); err == nil || strings.Contains(stderr, hint) {
		t.Errorf("token create where nobody listens says %q", stderr)
	}
}

// TestAddressRefused checks that what is no address of an admin endpoint isn't looked for.
func TestAddressRefused(t *testing.T) {
	for _, address := range []string{
		"http://localhost:2019", "localhost:2019/", "/run/patgate.sock", "unix:/run/patgate.sock", "udp/localhost:2019", "localhost:99999", "localhost:1-2",
	} {
		_, stderr, err := told(t, "", "status", "--address", address)
		if err == nil || !strings.Contains(stderr, "want the admin endpoint's, as in localhost:2019 or unix//run/patgate.sock") {
			t.Errorf("--address %s says %q", address, stderr)
		}
	}
}

// An answer that is another server's, or Caddy's own refusal, says what to look at.
func TestRefusedElsewhere(t *testing.T) {
	for _, test := range []struct {
		status     int
		kind, body string
		want       string
	}{
		{http.StatusBadRequest, "", "Client sent an HTTP request to an HTTPS server.", "answers 400 Bad Request: is it the admin endpoint?"},
		{http.StatusUnauthorized, "", "", "answers 401 Unauthorized: is it the admin endpoint?"},
		{http.StatusNotFound, "", "", "doesn't have patgate built in, or this isn't its admin endpoint"},
		{http.StatusForbidden, "application/json", `{"error":"host not allowed: x"}`, "refuses: host not allowed: x: its option admin says by which addresses it may be asked (origins)"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", test.kind)
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		}))
		_, stderr, err := told(t, "", "status", "--address", server.Listener.Addr().String())
		server.Close()
		if err == nil || !strings.HasSuffix(stderr, test.want+"\n") {
			t.Errorf("answered %d %s: says %q, want %q", test.status, test.body, stderr, test.want)
		}
	}
}
