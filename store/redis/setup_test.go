package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  []string
	}{
		{[]string{"appendonly yes"}, nil},
		{nil, []string{"TOKENS WILL BE LOST"}},
		{[]string{"save 60 1"}, []string{"revocations of the last minutes"}},
		{[]string{"appendonly yes", "maxmemory 100mb"}, nil},
		{[]string{"appendonly yes", "maxmemory-policy allkeys-lru"}, nil},
		{[]string{"appendonly yes", "maxmemory 100mb", "maxmemory-policy allkeys-lru"}, []string{"TOKENS MAY BE DROPPED"}},
		{[]string{"maxmemory 100mb", "maxmemory-policy volatile-ttl"}, []string{"TOKENS WILL BE LOST", "TOKENS MAY BE DROPPED"}},
		{[]string{"rename-command CONFIG \"\""}, []string{"revocations of the last minutes"}},
	} {
		t.Run(strings.Join(c.lines, ", "), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, c.lines...)
			var log logged
			s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
			redistest.Await(t, "the warnings", func() error {
				if n := strings.Count(log.String(), "level=WARN"); n < len(c.want) {
					return fmt.Errorf("%d warnings", n)
				}
				return nil
			})
			create(t, s, newToken("a"))
			redistest.Await(t, "another beat", func() error {
				if beaten := s.beaten.Load(); beaten == nil || time.Since(*beaten) > beatInterval/2 {
					return errors.New("none")
				}
				return nil
			})
			text := log.String()
			for _, w := range c.want {
				if strings.Count(text, w) != 1 {
					t.Errorf("%q is not said, or more than once: %s", w, text)
				}
			}
			if n := strings.Count(text, "level=WARN"); n != len(c.want) {
				t.Errorf("%d warnings, want %d: %s", n, len(c.want), text)
			}
		})
	}
}

// What is wrong with a server is said again when it was set up otherwise, or is another
// one.
func TestWarningsOfWhatChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly yes", "maxmemory 100mb")
	var log logged
	s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
	awaitHeard(t, s)
	said := func(times int) {
		t.Helper()
		for range 2 { // as every minute
			if err := s.warn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(log.String(), "TOKENS MAY BE DROPPED"); n != times {
			t.Errorf("it is said %d times, want %d", n, times)
		}
	}
	shown := func(times int) {
		t.Helper()
		if st, err := s.Status(t.Context()); err != nil || strings.Count(fmt.Sprint(st.Warnings), server.Addr+": TOKENS MAY BE DROPPED") != times {
			t.Errorf("the status says %q, %v, want it %d times", st.Warnings, err, times)
		} else if !slices.Equal(s.Warnings(), st.Warnings) {
			t.Errorf("the warnings are %q, and those of the status %q", s.Warnings(), st.Warnings)
		}
	}
	said(0)
	shown(0)
	server.Do("config", "set", "maxmemory-policy", "allkeys-lru")
	said(1)
	shown(1)
	server.Do("config", "set", "maxmemory-policy", "noeviction")
	said(1)
	shown(0)
	server.Do("config", "set", "maxmemory-policy", "allkeys-lru")
	said(2)
	server.Do("config", "rewrite")
	server.Kill()
	server.Start()
	awaitHeard(t, s)
	said(3)
}

// While one server of a Cluster is off, what is wrong with the others is noticed, and what was
// wrong with it stays told.
func TestWarningsOfACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0, "appendonly yes", "maxmemory 100mb", "maxmemory-policy allkeys-lru")
	s := open(t, Options{Addresses: c.Addrs, Cluster: true})
	shown := func() int { return strings.Count(fmt.Sprint(s.Warnings()), "TOKENS MAY BE DROPPED") }
	redistest.Await(t, "the warnings", func() error { return unless(shown() == 3) })
	head := c.Owner(t, int(c.Masters[0].Do("cluster", "keyslot", s.keys.head).(int64)))
	others := slices.DeleteFunc(slices.Clone(c.Masters), func(m *redistest.Server) bool { return m == head })
	others[0].Kill()
	others[1].Do("config", "set", "maxmemory-policy", "noeviction")
	if err := s.warn(t.Context()); err == nil {
		t.Error("the server that is off answers")
	}
	if shown() != 2 {
		t.Errorf("the warnings are %q, want those of the server that is off and of one that isn't set up otherwise", s.Warnings())
	}
}
