package redis

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// takesNoWrites reports whether a server says that it isn't the master, or that it
// can't tell for want of replicas (min-replicas-to-write).
func takesNoWrites(err error) bool {
	text := err.Error()
	return redis.IsReadOnlyError(err) || strings.Contains(text, "READONLY") || strings.Contains(text, "NOREPLICAS")
}

// errCutOff is why a server that answers isn't believed.
var errCutOff = errors.New("the redis server takes no writes, or has lost all replicas, and most Sentinels don't say that it is the master: it may have been cut off, and not know of revocations")

// outvoted reports whether there are Sentinels, and no majority of them names the
// server that is reached as the master: it may have been cut off, and another one be
// the master by now.
func (s *Store) outvoted(ctx context.Context) bool {
	if len(s.sentinels) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	votes := map[string]int{}
	for _, sentinel := range s.sentinels {
		asking.Go(func() {
			cmd := redis.NewStringSliceCmd(noContext, "sentinel", "get-master-addr-by-name", s.masterName)
			if err := sentinel.Process(ctx, cmd); err == nil && len(cmd.Val()) == 2 {
				mu.Lock()
				defer mu.Unlock()
				votes[net.JoinHostPort(cmd.Val()[0], cmd.Val()[1])]++
			}
		})
	}
	asking.Wait()
	for address, n := range votes {
		if n > len(s.sentinels)/2 {
			return !s.reaches(ctx, address)
		}
	}
	return true
}

// reaches reports whether the server at an address is the one that is reached. go-redis
// asks one Sentinel only, which may be in the minority.
func (s *Store) reaches(ctx context.Context, address string) bool {
	reached, err := runID(ctx, s.client)
	if err != nil {
		return forbidden(err) // nobody can tell then
	}
	named := s.serverAt(address)
	defer named.Close()
	id, err := runID(ctx, named)
	return err == nil && id == reached
}

// runID returns an id that no other server has, nor this one when it is restarted.
func runID(ctx context.Context, server redis.UniversalClient) (string, error) {
	info := redis.NewStringCmd(noContext, "info", "server")
	if err := server.Process(ctx, info); err != nil {
		return "", err
	}
	return infoField(info.Val(), "run_id"), nil
}

// believed returns an error where the server may have been cut off for longer than a
// gateway may use what it holds.
func (s *Store) believed() error {
	if s.cutOff.Load() && time.Since(s.Heard()) > time.Duration(s.holds.Load()) {
		return errCutOff
	}
	return nil
}
