package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// commands are what is done to keys, by what they hold: whole commands, for Redis 8 counts
// what stands behind a name, with K for the key. What only Check does isn't among them:
// where that isn't allowed, it says so itself.
var commands = map[string][]string{
	"strings": {"get K", "mget K", "getrange K 0 1", "set K v", "del K"},
	"hashes":  {"hget K f", "hmget K f", "hgetall K", "hset K f v", "hdel K f", "hincrby K f 1"},
	"zsets":   {"zadd K 0 m", "zrem K m", "zcard K", "zrangebylex K - +", "zrevrangebylex K + -"},
	"streams": {"xadd K * f v", "xdel K 0-1", "xlen K", "xrange K - +", "xrevrange K + -", "xread streams K 0"},
	"none":    {"time", "wait 1 0", "info replication"},
}

// rights returns all that the redis user must be allowed to do, as commands, each behind
// what it is called.
func (k *keys) rights() (all [][]string) {
	for kind, names := range map[string][]string{
		"strings": {k.tokens + "*", k.ownerPrefix + "*", k.claimPrefix + "*"},
		"hashes":  {k.head, k.changes, k.gateways, k.uses, k.replicas},
		"zsets":   {k.ids, k.owners, k.ownPrefix + "*", k.eventsBy},
		"streams": {k.feed, k.events},
		"none":    {""},
	} {
		for _, command := range commands[kind] {
			for _, name := range names {
				words := strings.Fields(command)
				called := strings.TrimSpace(words[0] + " " + name)
				if i := slices.Index(words, "K"); i >= 0 {
					words[i] = name
				}
				all = append(all, append([]string{called}, words...))
			}
		}
	}
	return all
}

// scriptRefused returns what those commands are called that the user may not run.
//
//	ARGV  commands behind what they are called, as JSON
const scriptRefused = `
local refused = {}
for _, command in ipairs(cjson.decode(ARGV[1])) do
  if not redis.acl_check_cmd(unpack(command, 2)) then table.insert(refused, command[1]) end
end
table.sort(refused)
return refused`

// lookAtRights finds out whether the redis user may do all that is needed, and logs
// what it may not: while all tokens that come are held, and nobody changes any, nothing
// else shows it. What is missing is looked for with every beat.
func (s *Store) lookAtRights(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	var mu sync.Mutex
	var texts []string // one for each server of a Cluster
	err := s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		refused, err := s.refused(ctx, server)
		if err != nil {
			return err
		}
		where := s.where
		if s.cluster != nil { // whose servers have users of their own
			where = server.Options().Addr
		}
		if len(refused) > 0 {
			mu.Lock()
			defer mu.Unlock()
			texts = append(texts, s.mayNotRun(refused, where))
		}
		return nil
	})
	if err != nil && len(texts) == 0 {
		s.log.Debug("looking at the rights of the redis user", "store", s.where, "error", err)
		return
	}
	var denied *deniedError
	if len(texts) > 0 {
		slices.Sort(texts)
		denied = &deniedError{strings.Join(texts, "; ")}
	}
	switch before := s.denied.Swap(denied); {
	case denied != nil && (before == nil || *before != *denied):
		s.log.Error("LOOKUPS OR CHANGES FAIL, OR REVOCATIONS MAY BE LOST in a fail-over: "+denied.Error(), "store", s.where)
	case denied == nil && before != nil:
		s.log.Info("the redis user may do all that is needed again", "store", s.where)
	}
}

// refused returns what of the commands that are needed the user may not run on a server.
func (s *Store) refused(ctx context.Context, server *redis.Client) ([]string, error) {
	all, _ := json.Marshal(s.keys.rights()) // texts: never fails
	cmd := eval(scriptRefused, nil, string(all))
	switch err := server.Process(ctx, cmd); {
	case err == nil:
		return cmd.StringSlice()
	case forbidden(err):
		return []string{"eval"}, nil
	case strings.Contains(err.Error(), "acl_check_cmd"):
		return nil, nil // a server that doesn't know it can't say
	default:
		return nil, err
	}
}

// deniedError says what the redis user may not do.
type deniedError struct{ text string }

func (e *deniedError) Error() string { return e.text }

// mayNotRun says which commands are refused where, and what the user needs.
func (s *Store) mayNotRun(refused []string, where string) string {
	const shown = 5
	more := ""
	if len(refused) > shown {
		refused, more = refused[:shown], " and more"
	}
	prefix := strings.TrimSuffix(s.keys.tokens, ":t:")
	return fmt.Sprintf("the redis user may not run %s%s on %s; it needs ~%s:* ~{%[4]s}:* +@all -@dangerous +info",
		strings.Join(refused, ", "), more, where, prefix)
}
