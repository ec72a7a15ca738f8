package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// rightsInterval and setupInterval are how often the rights of the redis user, and the setup
// of a server, are looked at: they may have changed, and another server may be the master.
const (
	rightsInterval = 10 * time.Second
	setupInterval  = time.Minute
)

// clocksDiffer is the difference between the clocks of a server and this gateway that is
// worth a warning.
const clocksDiffer = 5 * time.Second

// setup is what was wrong with how a server is set up, or with its clock, when it was
// looked at last.
type setup struct {
	runID    string
	warnings []string
}

// said reports whether the same, by whatever amount, was said of a server already.
func (u *setup) said(runID, warning string) bool {
	what, _, _ := strings.Cut(warning, ":") // by how much, clocks that drift apart say otherwise each time
	return u.runID == runID && slices.ContainsFunc(u.warnings, func(w string) bool { return strings.HasPrefix(w, what+":") })
}

// warn notes what would lose tokens, or have them end at other times than they should, and
// says it when it begins. Of a server of a Cluster that doesn't answer, what was noted stays.
func (s *Store) warn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	s.warning.Lock()
	defer s.warning.Unlock()
	var mu sync.Mutex
	before, now := s.setups(), map[string]setup{}
	err := s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		info := redis.NewStringCmd(noContext, "info", "server", "replication", "memory", "persistence", "cluster")
		sent := time.Now()
		if err := server.Process(ctx, info); err != nil {
			if last, ok := before[server.Options().Addr]; ok {
				mu.Lock()
				defer mu.Unlock()
				now[server.Options().Addr] = last
			}
			return err
		}
		received := time.Now()
		save := redis.NewMapStringStringCmd(noContext, "config", "get", "save")
		if infoField(info.Val(), "aof_enabled") == "0" {
			server.Process(ctx, save) // may be forbidden
		}
		found := setup{infoField(info.Val(), "run_id"), append(warnings(info.Val(), save.Val()), clockWarning(info.Val(), sent, received)...)}
		address := s.addressOf(ctx, server)
		last := before[address]
		for _, w := range found.warnings {
			if !last.said(found.runID, w) {
				s.log.Warn(w, "store", s.where, "server", address)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		now[address] = found
		return nil
	})
	if len(now) > 0 {
		s.setup.Store(&now)
	}
	return err
}

// setups returns what was noted, by the addresses of the servers.
func (s *Store) setups() map[string]setup {
	if all := s.setup.Load(); all != nil {
		return *all
	}
	return nil
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

// clockWarning returns a warning if the clock of a server differs from the one here. Its INFO
// was sent for, and received, at these times. Which clock is wrong isn't known.
func clockWarning(info string, sent, received time.Time) []string {
	microseconds, err := strconv.ParseInt(infoField(info, "server_time_usec"), 10, 64)
	if err != nil {
		return nil
	}
	now := time.UnixMicro(microseconds)
	switch ahead, behind := sent.Sub(now).Round(time.Second), now.Sub(received).Round(time.Second); {
	case ahead >= clocksDiffer:
		return []string{fmt.Sprintf("TOKENS MAY EXPIRE TOO EARLY: the clock of this gateway is %s ahead of that of this redis server; set the one that is wrong", ahead)}
	case behind >= clocksDiffer:
		return []string{fmt.Sprintf("TOKENS MAY SERVE AFTER THEY HAVE EXPIRED: the clock of this gateway is %s behind that of this redis server; set the one that is wrong", behind)}
	}
	return nil
}
