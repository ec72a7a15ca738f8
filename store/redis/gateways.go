package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// gatewayForgotten is when a gateway that was not stopped in order is taken off the
// list.
const gatewayForgotten = time.Hour

// leave takes this gateway off the list.
func (s *Store) leave() {
	cmd := redis.NewIntCmd(noContext, "hdel", s.keys.gateways, s.name)
	if err := s.send(s.ctx, unsafe, keyed{s.keys.gateways, cmd}); err != nil {
		s.log.Debug("taking this gateway off the list", "store", s.where, "error", err)
	}
}

// gateway is a gateway as it said itself.
type gateway struct {
	store.Gateway
	holds time.Duration // see Holds
}

// lives reports whether the gateway may hold something, at a time of the server.
// It heard of changes for as long as its beats were taken, and a little longer.
func (g *gateway) lives(now time.Time) bool {
	return now.Sub(g.LastSeen) < beatLimit+g.holds
}

// gateways returns those who follow, by name, and the server's time.
func (s *Store) gateways(ctx context.Context) (all []gateway, now time.Time, err error) {
	entries := redis.NewMapStringStringCmd(noContext, "hgetall", s.keys.gateways)
	clock := redis.NewTimeCmd(noContext, "time")
	if err := s.send(ctx, unsafe, keyed{s.keys.gateways, entries}, keyed{s.keys.gateways, clock}); err != nil {
		return nil, time.Time{}, err
	}
	now = clock.Val()
	for _, name := range slices.Sorted(maps.Keys(entries.Val())) {
		var position uint64
		var seen, holds int64
		if _, err := fmt.Sscan(entries.Val()[name], &position, &seen, &holds); err != nil {
			s.log.Warn("a gateway's entry can't be read and is passed over", "store", s.where, "gateway", name)
			continue
		}
		g := gateway{
			store.Gateway{Name: name, Follows: store.Position(position), LastSeen: time.UnixMilli(seen).UTC()},
			time.Duration(holds) * time.Millisecond,
		}
		if now.Sub(g.LastSeen) > gatewayForgotten && !g.lives(now) {
			s.send(ctx, unsafe, keyed{s.keys.gateways, redis.NewIntCmd(noContext, "hdel", s.keys.gateways, name)})
			continue
		}
		all = append(all, g)
	}
	return all, now, nil
}

// Acknowledged implements store.Acknowledger.
func (s *Store) Acknowledged(ctx context.Context, upTo store.Position) (acknowledged, pending int, err error) {
	all, now, err := s.gateways(ctx)
	if err != nil {
		return 0, 0, s.reading("the gateways", err)
	}
	for _, g := range all {
		switch {
		case g.Follows >= upTo, g.Name == s.name && s.told.position() >= upTo:
			acknowledged++
		case g.lives(now):
			pending++
		}
	}
	return acknowledged, pending, nil
}

// eachServer calls f for the server, or every master of a Cluster.
func (s *Store) eachServer(ctx context.Context, f func(ctx context.Context, server *redis.Client) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.cluster != nil {
		return plain(s.cluster.ForEachMaster(ctx, f))
	}
	return plain(f(ctx, s.client.(*redis.Client)))
}

// Reach implements store.Spread. A Cluster may go on without one of its masters
// (cluster-require-full-coverage no).
func (s *Store) Reach(ctx context.Context) error {
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		if err := server.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("%s doesn't answer: %w", server.Options().Addr, err)
		}
		return nil
	})
}

// replicaCount is how many replicas have to confirm a change: all of them, for any
// may be the next master.
type replicaCount struct {
	want int
	at   time.Time // when so many were there last
}

// replicaGrace is for how long a replica that has gone is still waited for, in vain:
// it may be on its way to be the master, with what it had when it went. A planned
// fail-over takes some seconds.
const replicaGrace = 15 * time.Second

// countReplicas finds out how many replicas the masters have.
func (s *Store) countReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		info := redis.NewStringCmd(noContext, "info", "replication")
		if err := server.Process(ctx, info); err != nil {
			return err
		}
		online, before, now := strings.Count(info.Val(), "state=online"), s.replicasOf(server), time.Now()
		if online < before.want && now.Sub(before.at) < replicaGrace {
			return nil
		}
		s.replicas.Store(server, replicaCount{online, now})
		if online == 0 && before.want > 0 {
			s.log.Warn("the redis server has lost its last replica: changes are acknowledged without a copy", "store", s.where, "server", server.Options().Addr)
		}
		return nil
	})
}

// warn says what would lose tokens.
func (s *Store) warn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		info := redis.NewStringCmd(noContext, "info", "everything")
		if err := server.Process(ctx, info); err != nil {
			return err
		}
		save := redis.NewMapStringStringCmd(noContext, "config", "get", "save")
		server.Process(ctx, save) // may be forbidden
		for _, w := range warnings(info.Val(), save.Val()) {
			s.log.Warn(w, "store", s.where, "server", server.Options().Addr)
		}
		return nil
	})
}

// warnings returns what in a server's INFO, and CONFIG GET save where that may
// be asked, would lose tokens.
func warnings(info string, config map[string]string) (all []string) {
	field := func(name string) string {
		_, rest, _ := strings.Cut(info, "\n"+name+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	save, asked := config["save"]
	switch {
	case field("aof_enabled") != "0":
	case asked && save == "":
		all = append(all, "TOKENS WILL BE LOST when this redis server restarts: it has neither appendonly nor save; set appendonly yes")
	default:
		all = append(all, "tokens and revocations of the last minutes will be lost when this redis server crashes: it has no appendonly; set appendonly yes")
	}
	if limit, policy := field("maxmemory"), field("maxmemory_policy"); limit != "0" && limit != "" && policy != "noeviction" {
		all = append(all, fmt.Sprintf("TOKENS MAY BE DROPPED by this redis server when its memory is full: maxmemory-policy is %s; set it to noeviction", policy))
	}
	return all
}
