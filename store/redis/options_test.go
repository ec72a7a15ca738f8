package redis

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
			t.Errorf("a gateway on %s is called %s, want eight small letters or digits after it", host, name)
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
		{Options{Addresses: one, DB: -1}, "redis: db -1: want the number of a database, from 0"},
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
