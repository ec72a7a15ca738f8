package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/pty"
)

// TestListColumns checks that only people are shown a part of what is in the last column
// of a list: what is piped is whole.
func TestListColumns(t *testing.T) {
	long := strings.Repeat("2", 70)
	const grants = `"grants":[{"spaces":["1","%s"],"scopes":["a"],"resources":["*"]},{"spaces":["*"],"scopes":["*"],"resources":["*"]}]`
	answers := map[string]string{
		"/patgate/tokens": `{"tokens":[{"id":"t1",` + fmt.Sprintf(grants, long) + `},{"id":"t2","grants":[]}],"next":""}`,
		"/patgate/owners": `{"owners":[{"id":"o1",` + fmt.Sprintf(grants, long) + `}],"next":""}`,
		"/patgate/events": `{"events":[{"id":"1","time":"2026-11-22T10:00:00Z","action":"updated","detail":"` + long + `"}],"next":""}`,
	}
	server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answers[r.URL.Path]) }))
	defer server.Close()
	for _, test := range []struct {
		command      string
		whole, short string
	}{
		{"token list", "a in spaces 1, " + long + " and everything", "a in spaces 1, " + long[:44] + "…, and 1 more"},
		{"token list", "none", "none"},
		{"owner list", "a in spaces 1, " + long + " and everything", "a in spaces 1, " + long[:44] + "…, and 1 more"},
		{"events", long, long[:59] + "…"},
	} {
		run := func(out io.Writer) {
			root := program("patgate")
			root.SetOut(out)
			root.SetArgs(append(strings.Fields(test.command), "--address", server.Listener.Addr().String()))
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Fatalf("%s: %v", test.command, err)
			}
		}
		var piped bytes.Buffer
		run(&piped)
		if !strings.Contains(piped.String(), "  "+test.whole+"\n") {
			t.Errorf("%s: a pipe gets %q, want a row that ends in %q", test.command, &piped, test.whole)
		}
		shown, terminal := pty.Open(t)
		run(terminal)
		terminal.Close()
		text, _ := io.ReadAll(shown) // ends with EIO
		if !strings.Contains(string(text), "  "+test.short+"\r\n") {
			t.Errorf("%s: a terminal shows %q, want a row that ends in %q", test.command, text, test.short)
		}
	}
}

// What takes long shows that it is under way, and nothing of that is left when it is done.
func TestWaitingIsShown(t *testing.T) {
	shown, terminal := pty.Open(t)
	release := make(chan struct{})
	server := standIn(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		io.WriteString(w, `{"revoked":[],"gateways":{"acknowledged":1,"pending":0}}`)
	}))
	defer server.Close()
	root := program("patgate")
	root.SetOut(io.Discard)
	root.SetErr(terminal)
	root.SetArgs([]string{"token", "revoke", "--owner", "o", "--address", server.Listener.Addr().String()})
	ended := make(chan error, 1)
	go func() {
		ended <- root.ExecuteContext(t.Context())
		terminal.Close()
	}()
	text, piece := "", make([]byte, 100)
	for !strings.Contains(text, "\rwaiting for the server, 1s so far") {
		n, err := shown.Read(piece)
		if text += string(piece[:n]); err != nil {
			t.Fatalf("the terminal shows %q, %v", text, err)
		}
	}
	close(release)
	rest, _ := io.ReadAll(shown) // ends with EIO
	if err := <-ended; err != nil || !strings.HasSuffix(string(rest), "\r\033[K") {
		t.Errorf("it ends with %v, and the terminal shows %q at last", err, rest)
	}
}
