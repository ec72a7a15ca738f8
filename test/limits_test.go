package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// exampleServers returns the limits of Caddyfile.example, with less patience.
func exampleServers(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	servers := regexp.MustCompile(`(?ms)^\tservers \{\n.*?^\t\}\n`).Find(text)
	if !bytes.Contains(servers, []byte("read_header 10s")) || !bytes.Contains(servers, []byte("max_header_size 16KB")) {
		t.Fatalf("the example has other limits: %s", servers)
	}
	return strings.NewReplacer("read_header 10s", "read_header 5s", "idle 2m", "idle 5s").Replace(string(servers))
}

// Clients that dawdle, and headers no client needs, cost a connection for a
// moment and nothing else: others are served meanwhile.
func TestLimits(t *testing.T) {
	t.Parallel()
	g := start(t, setup{global: exampleServers(t), sites: plainSite, tokens: []known{{name: "T"}}})
	ok := request{target: "/x"}.with(g.bearer("T"))

	// Headers: up to the limit they are read, over it nobody looks at them.
	for _, row := range []struct {
		name string
		r    request
		want string
	}{
		{"ordinary", ok, "forward"},
		{"large", ok.with("X-Large: " + strings.Repeat("x", 12<<10)), "forward"},
		{"huge header", ok.with("X-Huge: " + strings.Repeat("x", 100<<10)), "431"},
		{"many headers", ok.with(strings.Split(strings.TrimSpace(strings.Repeat("X-Many: xxxxxxxxxxxxxxxxxxxxxxxx\n", 4000)), "\n")...), "431"},
		{"huge token", request{target: "/x", header: []string{"Authorization: Bearer pat_" + strings.Repeat("x", 100<<10)}}, "431"},
		{"large token", request{target: "/x", header: []string{"Authorization: Bearer pat_" + strings.Repeat("x", 12<<10)}}, "token_malformed"},
		{"huge target", request{target: "/x?" + strings.Repeat("y", 100<<10)}.with(g.bearer("T")), "431"},
	} {
		a, err := g.raw(t, row.r.http1(), "GET")
		if err != nil && row.want == "431" {
			continue // the connection was closed while the rest was being sent
		}
		if err != nil || a.verdict() != row.want {
			t.Errorf("%s: %v %v, want %s", row.name, a, err, row.want)
		}
	}
	if n := len(g.upstream.take()); n != 2 {
		t.Errorf("%d requests were forwarded, want 2", n)
	}

	// A header that never ends, sent byte by byte, and connections on which
	// nothing comes: all are closed, however many there are.
	var slow sync.WaitGroup
	const connections = 100
	for i := range connections {
		c := g.dial(t)
		slow.Go(func() {
			defer c.Close()
			if i%2 == 0 {
				fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: api.test\r\nX-Slow: ")
				go func() {
					for {
						if _, err := io.WriteString(c, "x"); err != nil {
							return
						}
						time.Sleep(250 * time.Millisecond)
					}
				}()
			}
			if closed := closedWithin(c); !closed {
				t.Errorf("a connection that dawdles stays open")
			}
		})
	}
	for range 5 {
		if a := g.send(t, ok); a.verdict() != "forward" {
			t.Errorf("beside clients that dawdle: %s", a)
		}
	}
	slow.Wait()

	// A kept connection is closed when nothing more comes.
	c := g.dial(t)
	defer c.Close()
	io.WriteString(c, ok.http1())
	r := bufio.NewReader(c)
	if _, err := g.read(r, "GET"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err == nil || isTimeout(err) {
		t.Errorf("a connection that isn't used stays open: %v", err)
	}
}

// closedWithin reports whether the server closes the connection, after 408 or
// without a word, before the harness loses its patience.
func closedWithin(c net.Conn) bool {
	_, err := io.Copy(io.Discard, c)
	return !isTimeout(err)
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}
