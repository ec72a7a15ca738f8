package redis

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
)

// Where the clock of Redis isn't that of a gateway, that is told, and when gateways were
// seen is told by the clock of the one that is asked.
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly yes")
	for _, c := range []struct {
		ahead time.Duration // the clock of Redis
		want  string
	}{
		{2 * time.Hour, "TOKENS MAY SERVE AFTER THEY HAVE EXPIRED: the clock of this gateway is 2h0m0s behind"},
		{-2 * time.Hour, "TOKENS MAY EXPIRE TOO EARLY: the clock of this gateway is 2h0m0s ahead"},
		{0, ""},
	} {
		var log logged
		var ahead atomic.Int64
		ahead.Store(int64(c.ahead))
		s := open(t, Options{Addresses: []string{withClock(t, server, &ahead)}, Logger: log.logger()})
		awaitHeard(t, s)
		redistest.Await(t, "a look at how the server is set up", func() error { return unless(s.setup.Load() != nil) })
		st, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{fmt.Sprint(st.Warnings), log.String()} {
			if c.want != "" && !strings.Contains(text, c.want) || c.want == "" && strings.Contains(text, "the clock of this gateway") {
				t.Errorf("clock ahead by %s: %q, want %q", c.ahead, text, c.want)
			}
		}
		for _, g := range st.Gateways {
			if g.Name == s.name && time.Since(g.LastSeen).Abs() > time.Hour {
				t.Errorf("clock ahead by %s: the gateway was last seen %s ago, want moments", c.ahead, time.Since(g.LastSeen))
			}
		}
		ahead.Add(int64(c.ahead / 10)) // it goes at another rate
		if err := s.warn(t.Context()); err != nil || strings.Count(log.String(), "the clock of this gateway") > 1 {
			t.Errorf("clock ahead by %s, and then by more: it isn't logged once: %v, %s", c.ahead, err, log.String())
		}
		for _, is := range []time.Duration{0, c.ahead} { // right, and wrong again
			ahead.Store(int64(is))
			if err := s.warn(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := strings.Count(log.String(), "the clock of this gateway"); n != 2 && c.want != "" {
			t.Errorf("clock ahead by %s for the second time: it is logged %d times, want 2", c.ahead, n)
		}
		s.Close()
	}
}

var secondsOfNow = regexp.MustCompile(`1[0-9]{9}`)

// withClock returns an address at which a server has a clock that is so far ahead: whatever
// begins like the seconds since 1970, of about now, is moved in what it says.
func withClock(t *testing.T, server *redistest.Server, ahead *atomic.Int64) (addr string) {
	t.Helper()
	move := func(text []byte) []byte {
		n, _ := strconv.ParseInt(string(text), 10, 64)
		if when := time.Unix(n, 0); time.Since(when).Abs() < time.Hour {
			return strconv.AppendInt(nil, when.Add(time.Duration(ahead.Load())).Unix(), 10)
		}
		return text
	}
	return between(t, server.Addr, func(client io.Writer, b []byte) error {
		_, err := client.Write(secondsOfNow.ReplaceAllFunc(b, move))
		return err
	})
}
