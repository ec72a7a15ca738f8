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

// commands are the commands that are used, by the type of their key, which is written K.
// They are complete, because Redis 8 checks the number of arguments. Those that only Check
// uses aren't among them: it says itself if one isn't allowed.
var commands = map[string][]string{
	"strings": {"get K", "mget K", "getrange K 0 1", "set K v", "del K"},
	"hashes":  {"hget K f", "hmget K f", "hgetall K", "hset K f v", "hdel K f", "hincrby K f 1"},
	"zsets":   {"zadd K 0 m", "zrem K m", "zcard K", "zrangebylex K - +", "zrevrangebylex K + -"},
	"streams": {"xadd K * f v", "xdel K 0-1", "xlen K", "xrange K - +", "xrevrange K + -", "xread streams K 0"},
	"none":    {"time", "wait 1 0", "info replication"},
}

// rights returns the commands that the redis user must be allowed to run, each after the
// name it is reported by.
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

// scriptRefused returns the names of the commands that the user may not run.
//
//	ARGV  commands, each after its name, as JSON
const scriptRefused = `
local refused = {}
for _, command in ipairs(cjson.decode(ARGV[1])) do
  if not redis.acl_check_cmd(unpack(command, 2)) then table.insert(refused, command[1]) end
end
table.sort(refused)
return refused`

// lookAtRights finds out whether the redis user may do all that is needed, and logs
// what it may not: as long as every token asked for is cached, and none is changed,
// nothing else shows it. While a right is missing, it looks again with every beat.
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

// refused returns the commands that are needed and that the user may not run on a server.
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
