package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// MasterName is the name Sentinel knows the master by.
const MasterName = "gate"

// Sentinel is a master, a replica, and a Sentinel that promotes the replica when the
// master has been gone for a minute (a busy machine may stand still for seconds), or
// soon after LoseMaster.
type Sentinel struct {
	Master, Replica, Sentinel *Server
}

// StartSentinel starts all three and returns when they know each other. Lines
// are those of the configuration of master and replica.
func StartSentinel(t testing.TB, lines ...string) *Sentinel {
	t.Helper()
	lines = append([]string{"repl-diskless-sync-delay 0", "repl-ping-replica-period 1"}, lines...)
	s := new(Sentinel)
	s.Master = Start(t, lines...)
	s.Replica = StartReplica(t, s.Master, lines...)
	s.Sentinel = startSentinel(t,
		fmt.Sprintf("sentinel monitor %s %s 1", MasterName, spaced(s.Master.Addr)),
		fmt.Sprintf("sentinel down-after-milliseconds %s 60000", MasterName),
		fmt.Sprintf("sentinel failover-timeout %s 5000", MasterName),
	)
	Await(t, "the sentinel to know the replica", func() error {
		v, err := s.Sentinel.client.Do(context.Background(), "sentinel", "replicas", MasterName).Slice()
		if err != nil || len(v) != 1 {
			return fmt.Errorf("%d replicas, %v", len(v), err)
		}
		return nil
	})
	Await(t, "the replica to confirm a change", func() error {
		p := s.Master.client.Pipeline()
		p.Set(context.Background(), "redistest", "", 0)
		p.Del(context.Background(), "redistest")
		confirmed := p.Do(context.Background(), "wait", 1, 1000)
		if _, err := p.Exec(context.Background()); err != nil {
			return err
		}
		if n, err := confirmed.Int(); err != nil || n < 1 {
			return fmt.Errorf("%d replicas have, %v", n, err)
		}
		return nil
	})
	return s
}

// StartSentinelOf starts one more Sentinel, which takes the server at an address for the
// master.
func StartSentinelOf(t testing.TB, addr string) *Server {
	t.Helper()
	return startSentinel(t, fmt.Sprintf("sentinel monitor %s %s 2", MasterName, spaced(addr)))
}

func startSentinel(t testing.TB, lines ...string) *Server {
	t.Helper()
	s := prepare(t, lines, "--sentinel").started()
	// By default it does nothing for thirty seconds after the machine stood still for two,
	// and asks for the replicas every ten.
	s.Do("sentinel", "debug", "tilt-trigger", 60_000, "info-period", 1000)
	return s
}

// spaced writes an address as configurations have it: 127.0.0.1 6379.
func spaced(addr string) string { return strings.Replace(addr, ":", " ", 1) }

// AddReplica starts another replica, and returns when Sentinel knows it.
func (s *Sentinel) AddReplica(t testing.TB) *Server {
	t.Helper()
	replica := StartReplica(t, s.Master, "repl-ping-replica-period 1")
	Await(t, "the sentinel to know both replicas", func() error {
		v, err := s.Sentinel.client.Do(context.Background(), "sentinel", "replicas", MasterName).Slice()
		if err != nil || len(v) != 2 || strings.Contains(fmt.Sprint(v), "disconnected") {
			return fmt.Errorf("%v, %v", v, err)
		}
		return nil
	})
	return replica
}

// FailOver makes Sentinel promote a replica although the master is well, and
// returns when it is done.
func (s *Sentinel) FailOver(t testing.TB) {
	t.Helper()
	Await(t, "the sentinel to fail over", func() error {
		asked := s.Sentinel.client.Do(context.Background(), "sentinel", "failover", MasterName).Err() // again: it gives up after five seconds
		if named, err := s.named(); err != nil || named == s.Master.Addr {
			return fmt.Errorf("asked: %v; the master is %q, %v", asked, named, err)
		}
		return nil
	})
	s.Master.awaitReplication("the master to be a replica", "role:slave")
}

// LoseMaster kills the master, and has Sentinel notice soon.
func (s *Sentinel) LoseMaster() {
	s.Master.t.Helper()
	s.Master.Kill()
	s.Sentinel.Do("sentinel", "set", MasterName, "down-after-milliseconds", 500)
}

// AwaitMaster returns when Sentinel names this server as the master, and it is.
func (s *Sentinel) AwaitMaster(t testing.TB, server *Server) {
	t.Helper()
	Await(t, "the sentinel to name "+server.Addr, func() error {
		if named, err := s.named(); err != nil || named != server.Addr {
			return fmt.Errorf("the master is %q, %v", named, err)
		}
		return nil
	})
	server.awaitReplication(server.Addr+" to be the master", "role:master")
}

// named returns the address of the master that Sentinel names.
func (s *Sentinel) named() (string, error) {
	v, err := s.Sentinel.client.Do(context.Background(), "sentinel", "get-master-addr-by-name", MasterName).StringSlice()
	return strings.Join(v, ":"), err
}
