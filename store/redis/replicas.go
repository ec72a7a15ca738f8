package redis

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// replicaCount is how many replicas have to confirm a change: all of them, for any
// may be the next master.
type replicaCount struct {
	want       int
	at         time.Time // when so many were there last
	heard, had bool      // some were heard lately, and at any time
}

// alone reports whether the server had replicas, and none of them is heard any more.
func (c replicaCount) alone() bool { return c.had && !c.heard }

// replicaGrace is for how long a replica that has gone is still waited for, in vain:
// it may be on its way to be the master, with what it had when it went. A planned
// fail-over takes some seconds.
const replicaGrace = 15 * time.Second

// countAllReplicas finds out how many replicas the masters have.
func (s *Store) countAllReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	return s.eachServer(ctx, s.countReplicas)
}

// countReplicas finds out how many replicas a server has.
func (s *Store) countReplicas(ctx context.Context, server *redis.Client) error {
	info := redis.NewStringCmd(noContext, "info", "replication")
	if err := server.Process(ctx, info); err != nil {
		return err
	}
	count, heard := online(info.Val())
	before, now := s.replicasOf(server), time.Now()
	after := replicaCount{want: count, at: now, heard: heard > 0, had: heard > 0 || before.had}
	if count < before.want && now.Sub(before.at) < replicaGrace {
		after.want, after.at = before.want, before.at
	}
	s.replicas.Store(server, after)
	if after.want == 0 && before.want > 0 {
		s.log.Warn("the redis server has lost its last replica: changes are acknowledged without a copy", "store", s.where, "server", server.Options().Addr)
	}
	return nil
}

// online counts the replicas in a master's INFO that keep up, and those of them that
// were heard lately. One that hangs stays online for repl-timeout, a minute.
func online(info string) (n, heard int) {
	for line := range strings.Lines(info) {
		if !strings.HasPrefix(line, "slave") || !strings.Contains(line, "state=online") {
			continue
		}
		_, lag, _ := strings.Cut(line, "lag=")
		lag, _, _ = strings.Cut(strings.TrimRight(lag, "\r\n"), ",") // Valkey says more behind it
		seconds, err := strconv.Atoi(lag)
		if err != nil || seconds < replicaLag {
			n++
		}
		if err != nil || seconds < replicaSilence {
			heard++
		}
	}
	return n, heard
}

// A replica reports each second.
const (
	replicaLag     = 10 // seconds of silence after which it doesn't keep up
	replicaSilence = 3  // and after which it isn't heard: its master may have been cut off
)

// replicasOf returns how many replicas the server has.
func (s *Store) replicasOf(server redis.UniversalClient) replicaCount {
	v, _ := s.replicas.Load(server)
	count, _ := v.(replicaCount)
	return count
}
