package redis

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
)

// So many gateways on machines of one name have names of their own.
func TestGatewayName(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	a, b := gatewayName(), gatewayName()
	for _, name := range []string{a, b} {
		if rest, ok := strings.CutPrefix(name, host+"-"); !ok || len(rest) != 8 || rest != strings.ToLower(rest) {
			t.Errorf("a gateway on %s is called %s, want eight small letters or digits behind it", host, name)
		}
	}
	if a == b {
		t.Errorf("two gateways are called %s", a)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	one, two := []string{"a:1"}, []string{"a:1", "b:2"}
	for _, c := range []struct {
		o    Options
		want string // where it is, or the beginning of the error
	}{
		{Options{URL: "redis://a:1"}, "redis a:1"},
		{Options{URL: "redis://a"}, "redis a:6379"},
		{Options{URL: "redis://user:hushhush@a:1/3"}, "redis a:1/3"},
		{Options{URL: "rediss://:hushhush@a:1"}, "redis a:1"},
		{Options{URL: "unix://user:hushhush@/run/redis.sock?db=2"}, "redis /run/redis.sock/2"},
		{Options{URL: "redis://a:1", Cluster: true, Password: "hushhush"}, "redis cluster a:1"},
		{Options{Addresses: one, Password: "hushhush"}, "redis a:1"},
		{Options{Addresses: two, Cluster: true}, "redis cluster a:1,b:2"},
		{Options{Addresses: two, MasterName: "m", Password: "hushhush"}, "redis m of sentinels a:1,b:2"},

		{Options{}, "redis: no address"},
		{Options{URL: "redis://a:1", Addresses: one}, "redis: give a URL or addresses"},
		{Options{Addresses: two}, "redis: several addresses"},
		{Options{Addresses: []string{"127.0.0.1"}}, `redis: address "127.0.0.1": want <host:port>`},
		{Options{Addresses: []string{"a:1", "b:99999"}, Cluster: true}, `redis: address "b:99999": want <host:port>`},
		{Options{Addresses: []string{":6379"}}, `redis: address ":6379": want <host:port>`},
		{Options{URL: "redis://a:99999"}, "redis: the redis URL can't be read"},
		{Options{Addresses: two, Cluster: true, MasterName: "m"}, "redis: cluster and sentinel"},
		{Options{Addresses: two, Cluster: true, DB: 1}, "redis: a cluster has only db 0"},
		{Options{URL: "redis://a:1/1", Cluster: true}, "redis: a cluster has only db 0"},
		{Options{URL: "redis://a:1", MasterName: "m"}, "redis: sentinels are given by"},
		{Options{Addresses: one, KeyPrefix: "a{b}"}, "redis: key prefix"},
		{Options{URL: "http://user:hushhush@a:1"}, "redis: the URL can't be read"},
		{Options{URL: "redis://user:hushhush@a:b:c"}, "redis: the redis URL can't be read"},
		{Options{URL: "redis://user:hush/hush@a:1"}, "redis: the redis URL can't be read"},
		{Options{URL: "redis://user:hush#hush@a:1"}, "redis: the redis URL can't be read"},
		{Options{URL: "redis://hushhush?x@a:1"}, "redis: the redis URL can't be read"},
		{Options{URL: "redis://user:hushhush%@a:1"}, "redis: the redis URL can't be read"},
		{Options{URL: "redis://user:hushhush@a:1/x"}, "redis: the redis URL can't be read"},
		{Options{URL: "hushhush"}, "redis: the URL can't be read"},
		{Options{URL: "hushhush://x"}, "redis: the URL can't be read"},
	} {
		o := c.o
		got := ""
		if u, err := o.universal(); err != nil {
			got = err.Error()
		} else {
			got = location(u)
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
		if strings.Contains(got, "hush") {
			t.Errorf("%+v shows the password: %s", c.o, got)
		}
	}
}

// The password appears nowhere, whatever goes wrong.
func TestPassword(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := redistest.Start(t, "requirepass hushhush", "unixsocket "+socket)
	if _, err := os.Stat(socket); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o  Options
		ok bool
	}{
		{Options{URL: "redis://:hushhush@" + server.Addr}, true},
		{Options{URL: "redis://:wrong@" + server.Addr, Password: "hushhush"}, true},
		{Options{URL: "unix://:hushhush@" + socket}, true},
		{Options{Addresses: []string{server.Addr}, Username: "default", Password: "hushhush"}, true},
		{Options{URL: "redis://:hushhush2@" + server.Addr}, false},
		{Options{URL: "redis://hushhush:hushhush@" + server.Addr}, false},
		{Options{URL: "rediss://:hushhush@" + server.Addr}, false}, // speaks no TLS
		{Options{URL: "redis://:hushhush@127.0.0.1:1"}, false},
		{Options{URL: "redis://:hushhush@" + server.Addr + "/99"}, false},
		{Options{Addresses: []string{server.Addr}, Cluster: true, Password: "hushhush"}, false},
		{Options{Addresses: []string{server.Addr}, MasterName: "m", Password: "hushhush", SentinelPassword: "hushhush"}, false},
	} {
		var log logged
		c.o.Logger, c.o.Budget = log.logger(), 2*time.Second
		c.o.KeyPrefix = fmt.Sprint("password", prefixes.Add(1))
		s, err := Open(c.o)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		defer s.Close()
		if c.ok {
			awaitHeard(t, s)
		}
		_, findErr := s.Find(t.Context(), digest("a"))
		createErr := s.Create(t.Context(), newToken("a"))
		st, statusErr := s.Status(t.Context())
		_, checkErr := s.Check(t.Context(), false)
		if known := errors.Is(findErr, store.ErrNotFound); known != c.ok || (createErr == nil) != c.ok {
			t.Errorf("%s: Find = %v, Create = %v", s.where, findErr, createErr)
		}
		for _, text := range []string{fmt.Sprint(findErr), fmt.Sprint(createErr), fmt.Sprint(statusErr), fmt.Sprint(checkErr), fmt.Sprintf("%+v", st), log.String()} {
			if strings.Contains(text, "hush") {
				t.Errorf("the password is shown: %s", text)
			}
		}
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
	server.Do("config", "rewrite")
	server.Kill()
	server.Start()
	awaitHeard(t, s)
	said(2)
}

// Where one side speaks TLS and the other doesn't, the error asks whether that is so.
func TestTLSOnOneSide(t *testing.T) {
	t.Parallel()
	refusing := accept(t, func(net.Conn) {}) // closes, as Redis does with what is no TLS
	for _, url := range []string{"rediss://" + redistest.Start(t).Addr, "redis://" + refusing} {
		s, err := Open(Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Create(t.Context(), newToken("a")); err == nil || !strings.Contains(err.Error(), "is that port for TLS?") {
			t.Errorf("%s: %v, want a question for TLS", url, err)
		}
	}
}

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
