//go:build linux

package main

import (
	"regexp"
	"testing"
)

// Reloads change no answer, neither of plain Caddy nor of patgate. How fast they
// are means nothing here.
func TestReloads(t *testing.T) {
	out, err := quick(t, measureReloads)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []string{"plain Caddy", "patgate"} {
		// Answers; wrong, broken and lost ones; connections.
		if line := regexp.MustCompile(`(?m)^` + side + ` +[1-9]\d* +0 +0 +0 +\S+ +\S+$`); !line.MatchString(out) {
			t.Errorf("%s has wrong, broken or lost answers:\n%s", side, out)
		}
	}
}

// What differs from one time to the next is left out of a comparison, and nothing
// else.
func TestSteady(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n\r\nx": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 1\r\n\r\nx":                           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 401 No\r\nConnection: close\r\nDate: now\r\nServer: Caddy\r\n\r\n":           "HTTP/1.1 401 No\r\nServer: Caddy\r\n\r\n",
		"HTTP/1.1 401 No\r\nServer: Caddy\r\n\r\n":                                             "HTTP/1.1 401 No\r\nServer: Caddy\r\n\r\n",
	} {
		if got := string(steady([]byte(answer))); got != want {
			t.Errorf("steady(%q) = %q, want %q", answer, got, want)
		}
	}
}

// An answer counts as wrong or right by all that stays the same, and as the
// upstream's by its status.
func TestJudge(t *testing.T) {
	t.Parallel()
	const quiet = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
	for answer, want := range map[string]findings{
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nDate: now\r\n\r\nx":           {answers: 1, forwarded: 1},
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nDate: now\r\n\r\ny":           {answers: 1, forwarded: 1, wrong: 1},
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-More: 1\r\n\r\nx":           {answers: 1, forwarded: 1, wrong: 1},
		"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1\r\nDate: now\r\n\r\nx": {answers: 1, wrong: 1},
	} {
		var got findings
		got.judge([]byte(answer), []byte(quiet))
		if (got.example != nil) != (want.wrong > 0) {
			t.Errorf("judge(%q) remembers %q", answer, got.example)
		}
		if got.example = nil; got.answers != want.answers || got.forwarded != want.forwarded || got.wrong != want.wrong {
			t.Errorf("judge(%q) = %+v, want %+v", answer, got, want)
		}
	}
}
