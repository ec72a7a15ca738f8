package redis

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// serverOf returns the server that has a key.
func (s *Store) serverOf(ctx context.Context, key string) (*redis.Client, error) {
	if s.cluster != nil {
		return s.cluster.MasterForKey(ctx, key)
	}
	return s.client.(*redis.Client), nil
}

// addressOf returns the address of a server, for people; "" where it can't be told. go-redis
// doesn't know that of a master which it has from a Sentinel, but that one knows.
func (s *Store) addressOf(ctx context.Context, server *redis.Client) string {
	if s.masterName == "" {
		return server.Options().Addr
	}
	info := redis.NewStringCmd(noContext, "client", "info")
	server.Process(ctx, info)
	_, address, _ := strings.Cut(info.Val(), " laddr=")
	address, _, _ = strings.Cut(address, " ")
	return address
}

// eachServer calls f for the server, or every master of a Cluster.
func (s *Store) eachServer(ctx context.Context, f func(ctx context.Context, server *redis.Client) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.cluster != nil {
		// go-redis asks any node for the masters first, also one that doesn't answer:
		// then those that were known are called.
		asking, cancel := context.WithTimeout(ctx, s.budget/2)
		defer cancel()
		return plain(s.cluster.ForEachMaster(asking, func(_ context.Context, master *redis.Client) error { return f(ctx, master) }))
	}
	return plain(f(ctx, s.client.(*redis.Client)))
}

// Reach implements store.Store. A Cluster may go on without one of its masters
// (cluster-require-full-coverage no), and a user may have too few rights.
func (s *Store) Reach(ctx context.Context) error {
	if missing := s.missed.Load(); missing != nil {
		return missing
	}
	if s.cluster == nil { // a single server is heard, or it isn't there
		return s.usable(ctx)
	}
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		if err := server.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("%s doesn't answer: %w", server.Options().Addr, err)
		}
		return nil
	})
}

// forbidden reports whether the redis user may not do that.
func forbidden(err error) bool {
	text := err.Error()
	return strings.Contains(text, "NOPERM") || strings.Contains(text, "The user executing the script can't") // Redis 7.0, in scripts
}

// rightsInterval and setupInterval are how often it is looked at what the redis user may
// do on a server, and how that is set up: it may be another one by now, or be set up
// otherwise.
const (
	rightsInterval = 10 * time.Second
	setupInterval  = time.Minute
)

// warn says what would lose tokens, of each server once.
func (s *Store) warn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		info := redis.NewStringCmd(noContext, "info", "server", "replication", "memory", "persistence", "cluster")
		if err := server.Process(ctx, info); err != nil {
			return err
		}
		save := redis.NewMapStringStringCmd(noContext, "config", "get", "save")
		if infoField(info.Val(), "aof_enabled") == "0" {
			server.Process(ctx, save) // may be forbidden
		}
		for _, w := range warnings(info.Val(), save.Val()) {
			if _, said := s.warned.LoadOrStore(infoField(info.Val(), "run_id")+" "+w, true); !said {
				s.log.Warn(w, "store", s.where, "server", s.addressOf(ctx, server))
			}
		}
		return nil
	})
}

// infoField returns a field of INFO, or "".
func infoField(info, name string) string {
	_, rest, _ := strings.Cut(info, "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// warnings returns what in a server's INFO, and CONFIG GET save where that may
// be asked, would lose tokens.
func warnings(info string, config map[string]string) (all []string) {
	field := func(name string) string { return infoField(info, name) }
	if v := cmp.Or(field("valkey_version"), field("redis_version")); v != "" {
		if major, _, _ := strings.Cut(v, "."); len(major) == 1 && major < "7" {
			all = append(all, "this redis server is too old: patgate needs Redis 7, or Valkey 7.2, or later; it is "+v)
		}
	}
	if field("role") == "master" && field("cluster_enabled") != "1" && field("connected_slaves") != "0" && field("min_slaves_good_slaves") == "" {
		all = append(all, "REVOCATIONS MAY BE LOST in a fail-over: a master that is cut off from its replicas goes on taking changes; set min-replicas-to-write 1")
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
		all = append(all, fmt.Sprintf("TOKENS MAY BE DROPPED, AND DISABLED OWNERS COME BACK, when the memory of this redis server is full: maxmemory-policy is %s; set it to noeviction", policy))
	}
	return all
}
