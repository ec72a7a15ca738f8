package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/rest"
)

// TestFollowGoesOn checks what ends events --follow, and what it goes on after.
func TestFollowGoesOn(t *testing.T) {
	defer func(d time.Duration) { followPause = d }(followPause)
	followPause = time.Millisecond

	event := func(id string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			io.WriteString(w, `{"events":[{"id":"`+id+`","time":"2026-11-22T10:00:00Z","action":"created","owner":"owner`+id+`"}],"next":"`+id+`"}`)
		}
	}
	problem := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { rest.AnswerProblem(w, rest.Refuse(status, "it can't, %d", status)) }
	}
	cut := func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}
	brokenOff := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"events":[`)
	}
	caddys := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"error":"host not allowed: x"}`)
	}
	for _, test := range []struct {
		answers []func(http.ResponseWriter)
		asked   string // behind which events
		printed string // the events' ids
		said    string // of these errors, in this order; the last ends it
	}{
		{[]func(http.ResponseWriter){problem(503)}, "-", "", "it can't, 503"}, // nothing was followed yet
		{[]func(http.ResponseWriter){event("1"), problem(404)}, "- 1", "1", "it can't, 404"},
		{[]func(http.ResponseWriter){event("1"), problem(400)}, "- 1", "1", "it can't, 400"},
		{[]func(http.ResponseWriter){event("1"), caddys, caddys}, "- 1 1", "1", "host not allowed"}, // asked again with an Origin
		{
			[]func(http.ResponseWriter){event("1"), problem(503), problem(503), cut, event("2"), cut, cut, cut, event("3"), brokenOff, event("4"), problem(400)},
			"- 1 1 1 1 2 2 2 2 3 3 4", "1234", "it can't, 503; asking again|EOF; asking again|unexpected EOF; asking again|it can't, 400",
		},
	} {
		var asked []string
		server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			after := r.URL.Query().Get("after")
			if after == "" {
				after = "-"
			}
			asked = append(asked, after)
			test.answers[len(asked)-1](w)
		}))
		server.Config.SetKeepAlivesEnabled(false) // net/http would itself ask again on another connection
		out, stderr, err := told(t, "", "events", "--follow", "--address", server.Listener.Addr().String())
		server.Close()
		if got := strings.Join(asked, " "); got != test.asked || err == nil {
			t.Errorf("it asks for what is behind %s and ends with %v, want %s", got, err, test.asked)
		}
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		want := strings.Split(test.said, "|")
		for i := range max(len(lines), len(want)) {
			if i >= len(lines) || i >= len(want) || !strings.Contains(lines[i], want[i]) {
				t.Errorf("it says %q, want %q", lines, want)
				break
			}
		}
		printed := ""
		for line := range strings.Lines(out) {
			_, id, _ := strings.Cut(strings.TrimSpace(line), "of owner")
			printed += id
		}
		if printed != test.printed {
			t.Errorf("it prints events %s, want %s", printed, test.printed)
		}
	}
}

// TestFollowSince checks that all events since a time are printed, however many pages they
// are, and that what is followed begins behind the last there was, where there are none too.
func TestFollowSince(t *testing.T) {
	event := func(id string) string {
		return `{"id":"` + id + `","time":"2026-11-22T10:00:00Z","action":"created","owner":"owner` + id + `"}`
	}
	for _, test := range []struct {
		flags   string
		since   map[string]string // the pages since the time, by their cursors
		printed string
		after   string
	}{
		{"", map[string]string{"": `[` + event("9") + `,` + event("8") + `],"next":"8"`, "8": `[` + event("7") + `],"next":""`}, "789", "9"},
		{"--limit=2", map[string]string{"": `[` + event("9") + `,` + event("8") + `],"next":"8"`}, "89", "9"},
		{"", map[string]string{"": `[],"next":""`}, "", "6"},
	} {
		after := ""
		server := standIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			switch {
			case query.Has("after") && query.Has("since"):
				rest.AnswerProblem(w, rest.Refuse(400, "not both"))
			case query.Has("after"):
				after = query.Get("after")
				rest.AnswerProblem(w, rest.Refuse(400, "enough"))
			case query.Has("since"):
				io.WriteString(w, `{"events":`+test.since[query.Get("cursor")]+`}`)
			default:
				io.WriteString(w, `{"events":[`+event("6")+`],"next":""}`)
			}
		}))
		args := append([]string{"events", "--follow", "--since", "24h", "--address", server.Listener.Addr().String()}, strings.Fields(test.flags)...)
		out, _, err := told(t, "", args...)
		server.Close()
		printed := ""
		for line := range strings.Lines(out) {
			_, id, _ := strings.Cut(strings.TrimSpace(line), "of owner")
			printed += id
		}
		if printed != test.printed || after != test.after || err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("%s prints events %q and follows those after %q, %v; want %q and %q", test.flags, printed, after, err, test.printed, test.after)
		}
	}
}
