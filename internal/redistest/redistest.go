// Package redistest runs real redis-server processes for tests: one server, a
// master with replicas under Sentinel, or a Cluster. They listen on free ports
// of 127.0.0.1, keep their files in the test's directory, and end with the test.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	return startAt(t, freePorts(t, 1)[0], nil, append([]string{"save \"\""}, lines...))
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
	s.Start()
	return s
}

func startAt(t testing.TB, port int, flags, lines []string) *Server {
	t.Helper()
	s := prepare(t, port, flags, lines)
	s.Start()
	return s
}

// prepare returns a server that isn't running yet.
func prepare(t testing.TB, port int, flags, lines []string) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{
		Addr: fmt.Sprintf("127.0.0.1:%d", port), Dir: dir, t: t, program: "redis-server",
		config: filepath.Join(dir, "redis.conf"), flags: flags,
	}
	lines = append([]string{fmt.Sprint("port ", port), "bind 127.0.0.1", "dir " + dir, "enable-debug-command yes"}, lines...)
	if len(flags) > 0 { // a sentinel knows no such command
		lines = append(lines[:3:3], lines[4:]...)
	}
	if err := os.WriteFile(s.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, Password: password(lines), DialTimeout: time.Second})
	t.Cleanup(func() {
		s.client.Close()
		s.Kill()
	})
	return s
}

// Prepare returns a server that Start can start.
func Prepare(t testing.TB, lines ...string) *Server {
	t.Helper()
	return prepare(t, freePorts(t, 1)[0], nil, append([]string{"save \"\""}, lines...))
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

// Await calls f until it returns nil, and fails the test if that takes too long.
func Await(t testing.TB, what string, f func() error) {
	t.Helper()
	AwaitWithin(t, 30*time.Second, what, f)
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

// freePorts returns ports that nobody listens on.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		_, port, _ := net.SplitHostPort(freeport.For(t))
		ports[i], _ = strconv.Atoi(port)
	}
	return ports
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
