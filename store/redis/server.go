package redis

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// serverOf returns the server that has a key.
func (s *Store) serverOf(ctx context.Context, key string) (*redis.Client, error) {
	if s.cluster != nil {
		return s.cluster.MasterForKey(ctx, key)
	}
	return s.client.(*redis.Client), nil
}

// addressOf returns the address of a server, for people; "" if it isn't known. go-redis doesn't
// know the address of a master that a Sentinel has named, but the master does.
func (s *Store) addressOf(ctx context.Context, server *redis.Client) string {
	if s.options.MasterName == "" {
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

// Reach implements store.Store. It fails if a master of a Cluster doesn't answer, although the
// others may go on (cluster-require-full-coverage no), if the user lacks rights, and if Redis
// was found lately to have lost something.
func (s *Store) Reach(ctx context.Context) error {
	if denied := s.denied.Load(); denied != nil {
		return denied
	}
	if s.cluster == nil { // whether a single server answers shows in whether it is heard
		return cmp.Or(s.usable(ctx), s.losses.lately())
	}
	return cmp.Or(s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		if err := server.Ping(ctx).Err(); err != nil {
			return fmt.Errorf("%s doesn't answer: %w", server.Options().Addr, err)
		}
		return nil
	}), s.losses.lately())
}

// infoField returns a field of INFO, or "".
func infoField(info, name string) string {
	_, rest, _ := strings.Cut(info, "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}
