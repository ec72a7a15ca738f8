package redis

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// errCutOff is why a server that answers isn't believed.
var errCutOff = errors.New("the redis server takes no writes, or has lost all replicas, and most Sentinels, or masters of the Cluster, don't say that it is the master: it may have been cut off, and not know of revocations")

// alone reports whether the server with the feed had replicas and has lost them all.
func (s *Store) alone(ctx context.Context) bool {
	server, err := s.serverOf(ctx, s.keys.head)
	return err == nil && s.replicasOf(server).alone()
}

// outvoted reports whether there are others who know which server is the master, and
// no majority of them names the one that is reached: it may have been cut off, and
// another one be the master by now.
func (s *Store) outvoted(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	switch {
	case s.cluster != nil:
		return !s.namedByMasters(ctx)
	case len(s.sentinels) > 0:
		return !s.namedBySentinels(ctx)
	}
	return false
}

// namedByMasters reports whether most masters of the Cluster say that the server that
// is reached has the feed. It is one of them: another one is elected by most of them,
// too, and those who name this one have elected none.
func (s *Store) namedByMasters(ctx context.Context) bool {
	var mu sync.Mutex
	named := map[*redis.Client]string{} // by each master: the id of the one that has the feed
	s.eachServer(ctx, func(ctx context.Context, master *redis.Client) error {
		id, err := masterOf(ctx, s.keys.head, master)
		mu.Lock()
		defer mu.Unlock()
		named[master] = id
		return err
	})
	reached, err := s.serverOf(ctx, s.keys.head)
	if err != nil {
		return false
	}
	votes := 0
	for _, id := range named {
		if id != "" && id == named[reached] {
			votes++
		}
	}
	return votes > len(named)/2
}

// masterOf returns the id of the server that has a key, as a server of the Cluster
// knows it; "" if that knows of none.
func masterOf(ctx context.Context, key string, server *redis.Client) (id string, err error) {
	p := server.Pipeline()
	slot, all := p.ClusterKeySlot(ctx, key), p.ClusterSlots(ctx)
	execute(ctx, p)
	if err := cmp.Or(slot.Err(), all.Err()); err != nil {
		return "", err
	}
	for _, slots := range all.Val() {
		if slots.Start <= int(slot.Val()) && int(slot.Val()) <= slots.End && len(slots.Nodes) > 0 {
			return slots.Nodes[0].ID, nil
		}
	}
	return "", nil
}

// namedBySentinels reports whether most Sentinels name the server that is reached as the
// master.
func (s *Store) namedBySentinels(ctx context.Context) bool {
	var mu sync.Mutex
	var asking sync.WaitGroup
	votes := map[string]int{}
	for _, sentinel := range s.sentinels {
		asking.Go(func() {
			cmd := redis.NewStringSliceCmd(noContext, "sentinel", "get-master-addr-by-name", s.options.MasterName)
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
			return s.reaches(ctx, address)
		}
	}
	return false
}

// reaches reports whether the server at an address is the one that is reached. go-redis
// asks one Sentinel only, which may be in the minority.
func (s *Store) reaches(ctx context.Context, address string) bool {
	reached, err := runID(ctx, s.client)
	if err != nil {
		return forbidden(err) // nobody can tell then
	}
	named := clientAt(*s.options, address)
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

// believed returns errCutOff where the server may have been cut off for longer than a
// gateway may use what it holds.
func (s *Store) believed() error {
	if s.cutOff.Load() && time.Since(s.Heard()) > time.Duration(s.holds.Load()) {
		return errCutOff
	}
	return nil
}
