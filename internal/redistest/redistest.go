// Package redistest runs real redis-server processes for tests: one server, a
// master with replicas under Sentinel, or a Cluster. They listen on free ports
// of 127.0.0.1, keep their files in the test's directory, and end with the test.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/freeport"
)

// Server is a redis-server process.
type Server struct {
	Addr string
	Dir  string

	t       testing.TB
	program string
	config  string
	flags   []string
	cmd     *exec.Cmd
	ended   chan struct{}
	log     *bytes.Buffer
	client  *redis.Client
}

// Start starts a server and returns when it answers. Lines are those of its
// configuration: "appendonly yes".
func Start(t testing.TB, lines ...string) *Server {
	t.Helper()
	return Prepare(t, lines...).started()
}

// StartValkey starts a Valkey server, or skips the test where there is none.
func StartValkey(t testing.TB, lines ...string) *Server {
	t.Helper()
	const program = "valkey-server"
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	s := Prepare(t, lines...)
	s.program = program
	return s.started()
}

// Prepare returns a server that isn't started yet.
func Prepare(t testing.TB, lines ...string) *Server {
	t.Helper()
	return prepare(t, append([]string{`save ""`, "enable-debug-command yes"}, lines...))
}

// prepare is Prepare without the lines that a Sentinel doesn't know.
func prepare(t testing.TB, lines []string, flags ...string) *Server {
	t.Helper()
	dir, addr := t.TempDir(), freeport.For(t)
	s := &Server{
		Addr: addr, Dir: dir, t: t, program: "redis-server", config: filepath.Join(dir, "redis.conf"), flags: flags,
	}
	lines = append([]string{"port " + port(addr), "bind 127.0.0.1", "dir " + dir}, lines...)
	if err := os.WriteFile(s.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, Password: password(lines), DialTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second})
	t.Cleanup(func() {
		s.client.Close()
		s.Kill()
	})
	return s
}

func (s *Server) started() *Server {
	s.t.Helper()
	s.Start()
	return s
}

// Start starts the server (again, after Kill) and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	path, err := exec.LookPath(s.program)
	if err != nil {
		s.t.Fatalf("%s is not installed: apt-get install %[1]s", s.program)
	}
	s.cmd = exec.Command(path, append([]string{s.config}, s.flags...)...)
	s.cmd.Dir = s.Dir
	s.log = new(bytes.Buffer)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	EndWithTest(s.cmd)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("starting %s: %v", s.program, err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(cmd *exec.Cmd) { cmd.Wait(); close(ended) }(s.cmd)
	Await(s.t, s.program+" to answer", func() error {
		select {
		case <-ended:
			s.t.Fatalf("%s has ended: %s", s.program, tail(s.log.Bytes()))
		default:
		}
		return s.client.Ping(context.Background()).Err()
	})
}

// Kill kills the process, as kill -9 does.
func (s *Server) Kill() {
	if s.cmd != nil && s.ended != nil {
		s.cmd.Process.Signal(goOn)
		s.cmd.Process.Kill()
		<-s.ended
		s.cmd = nil
	}
}

// StartReplica starts a replica of a server, and returns when it has what that has.
func StartReplica(t testing.TB, master *Server, lines ...string) *Server {
	t.Helper()
	s := Start(t, append([]string{"replicaof " + spaced(master.Addr), "repl-diskless-sync-delay 0"}, lines...)...)
	s.awaitReplication("the replica", "master_link_status:up")
	return s
}

// Follow makes the server a replica of another.
func (s *Server) Follow(master *Server) {
	s.t.Helper()
	host, port, _ := strings.Cut(master.Addr, ":")
	s.Do("replicaof", host, port)
}

// Promote makes a replica a master.
func (s *Server) Promote() {
	s.t.Helper()
	s.Do("replicaof", "no", "one")
}

// Freeze stops the process where it is: its connections stay open, and nothing
// answers.
func (s *Server) Freeze() { s.cmd.Process.Signal(stop) }

// Thaw lets a frozen process go on.
func (s *Server) Thaw() { s.cmd.Process.Signal(goOn) }

// Client returns a client of this server, for the test's own use.
func (s *Server) Client() *redis.Client { return s.client }

// Do runs a command on this server.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	v, err := s.client.Do(context.Background(), args...).Result()
	if err != nil && err != redis.Nil {
		s.t.Fatalf("%s: %v: %v", s.Addr, args[0], err)
	}
	return v
}

// awaitReplication waits until the server's INFO replication has this word.
func (s *Server) awaitReplication(what, word string) {
	s.t.Helper()
	Await(s.t, what, func() error {
		if info := s.client.Info(context.Background(), "replication").Val(); !strings.Contains(info, word) {
			return errors.New(info)
		}
		return nil
	})
}

// patience bounds waiting for a condition. Only a failure takes so long.
const patience = 2 * time.Minute

// Await calls f until it returns nil, and fails the test if that takes too long.
func Await(t testing.TB, what string, f func() error) {
	t.Helper()
	AwaitWithin(t, patience, what, f)
}

// AwaitWithin is Await for what may take longer.
func AwaitWithin(t testing.TB, limit time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// port returns the port of an address.
func port(addr string) string {
	_, port, _ := strings.Cut(addr, ":")
	return port
}

func password(lines []string) string {
	for _, l := range lines {
		if p, ok := strings.CutPrefix(l, "requirepass "); ok {
			return p
		}
	}
	return ""
}

func tail(log []byte) []byte { return log[max(0, len(log)-2000):] }
