package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// replicas are the replicas of a server that have to confirm a change: all of them, because
// any may be the next master. They are known by their addresses, because one that has joined
// doesn't confirm for one that has gone.
//
// Gateways tell each other which replicas they see (see tellReplicas), so that one that was
// just started knows of those that have just gone. A replica that comes and goes between two
// counts isn't known. When a server was restarted or has become the master, it isn't known
// whether the replicas that have joined since are those it had before: until replicaGrace has
// passed, as many are waited for.
type replicas struct {
	of         string               // the history they follow (master_replid), which ends when the server stops being the master
	known      map[string]time.Time // by address: when each was found to be gone; zero: it's there
	at         time.Time            // when they were counted
	least      int                  // as many as there were of the history before
	since      time.Time            // when that ended
	heard, had bool                 // some were heard lately, and at any time
}

// want returns how many have to confirm a change.
func (r replicas) want() int { return max(len(r.known), r.least) }

// alone reports whether the server had replicas, and none of them is heard any more.
func (r replicas) alone() bool { return r.had && !r.heard }

// replicaGrace is how long a replica that has gone is still waited for, in vain: it may be
// about to become the master, with what it had when it went. A planned fail-over takes some
// seconds.
const replicaGrace = 15 * time.Second

// sightings are replicas that gateways have seen lately: when, by the history that they
// followed and their address.
type sightings map[string]map[string]time.Time

// after returns the replicas after a server's INFO of now, given those that other gateways
// have seen.
func (r replicas) after(info string, seen sightings, now time.Time) replicas {
	if infoField(info, "role") != "master" {
		return r
	}
	there, heard := online(info)
	next := replicas{of: infoField(info, "master_replid"), known: there, at: now, least: r.least, since: r.since, heard: heard > 0, had: heard > 0 || r.had}
	leave := func(address string, at time.Time) {
		if _, ok := there[address]; !ok && now.Sub(at) < replicaGrace {
			there[address] = at
		}
	}
	if next.of == r.of {
		for address, gone := range r.known {
			if gone.IsZero() {
				gone = now
			}
			leave(address, gone)
		}
	} else {
		next.least, next.since = max(r.want(), len(seen[infoField(info, "master_replid2")])), now
	}
	for address, at := range seen[next.of] {
		leave(address, at)
	}
	if now.Sub(next.since) >= replicaGrace {
		next.least = 0
	}
	return next
}

// online returns the replicas in a master's INFO that keep up, by their addresses, and
// how many were heard lately. One that hangs stays online for repl-timeout, a minute.
func online(info string) (there map[string]time.Time, heard int) {
	there = map[string]time.Time{}
	for line := range strings.Lines(info) {
		if !strings.HasPrefix(line, "slave") || !strings.Contains(line, "state=online") {
			continue
		}
		_, lag, _ := strings.Cut(line, "lag=")
		lag, _, _ = strings.Cut(strings.TrimRight(lag, "\r\n"), ",") // Valkey has more after it
		seconds, err := strconv.Atoi(lag)
		if err != nil || seconds < replicaLag {
			_, address, _ := strings.Cut(line, ":")
			address, _, _ = strings.Cut(address, ",state=")
			for _, ok := there[address]; ok; _, ok = there[address] {
				address += "'" // several behind one address (NAT)
			}
			there[address] = time.Time{}
		}
		if err != nil || seconds < replicaSilence {
			heard++
		}
	}
	return there, heard
}

// A replica reports each second.
const (
	replicaLag     = 10 // seconds of silence after which it doesn't keep up
	replicaSilence = 3  // and after which it isn't heard: its master may have been cut off
)

// countAllReplicas finds out which replicas the masters have.
func (s *Store) countAllReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	if err := s.tellReplicas(ctx); err != nil {
		return err
	}
	return s.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		info := redis.NewStringCmd(noContext, "info", "replication")
		if err := server.Process(ctx, info); err != nil {
			return err
		}
		s.count(server, info.Val())
		return nil
	})
}

// count takes in what a server says of its replicas, and returns those that have to
// confirm a change.
func (s *Store) count(server *redis.Client, info string) replicas {
	before, after := s.countAfter(server, info)
	if after.want() == 0 && before.want() > 0 {
		changes := "are acknowledged without a copy"
		switch {
		case infoField(info, "min_slaves_good_slaves") != "":
			changes = "are refused until there is one (min-replicas-to-write)"
		case s.cutOff.Load():
			changes = "are stored and not acknowledged, for it may not be the master any more"
		}
		s.log.Warn("the redis server has lost its last replica: changes "+changes, "store", s.where, "server", s.addressOf(s.ctx, server))
	}
	return after
}

// countAfter returns the replicas of a server before what it says now, and after it.
func (s *Store) countAfter(server *redis.Client, info string) (before, after replicas) {
	s.counting.Lock()
	defer s.counting.Unlock()
	before = s.replicasOf(server)
	after = before.after(info, *s.seen.Load(), time.Now())
	s.replicas.Store(server, after)
	return before, after
}

// scriptReplicas notes which replicas are there.
//
//	KEYS  replicas
//	ARGV  after how many milliseconds they are forgotten; their histories and
//	      addresses, each with a blank between them
//
// It returns those that anybody has noted lately, each with how many milliseconds ago.
const scriptReplicas = luaNow + `
local t = now()
for i = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], t) end
local all = redis.call('HGETALL', KEYS[1])
local seen = {}
for i = 1, #all, 2 do
  local age = t - all[i + 1]
  if math.abs(age) < tonumber(ARGV[1]) then -- the clock of one that has been promoted may be behind
    table.insert(seen, all[i])
    table.insert(seen, string.format('%.0f', age))
  else redis.call('HDEL', KEYS[1], all[i]) end
end
return seen`

// tellReplicas tells other gateways which replicas were there at the last count, and takes
// in those that the others have seen.
func (s *Store) tellReplicas(ctx context.Context) error {
	args := []any{replicaGrace.Milliseconds()}
	s.replicas.Range(func(_, v any) bool {
		r := v.(replicas)
		if time.Since(r.at) > 2*beatInterval {
			return true // the count is old: this gateway stood still, or the server isn't a master any more
		}
		for address, gone := range r.known {
			if gone.IsZero() {
				args = append(args, r.of+" "+address)
			}
		}
		return true
	})
	cmd := eval(scriptReplicas, []string{s.keys.replicas}, args...)
	if err := s.send(ctx, cmd); err != nil {
		return err
	}
	values, err := cmd.StringSlice()
	if err != nil {
		return err
	}
	seen, now := sightings{}, time.Now()
	for i := 0; i+1 < len(values); i += 2 {
		of, address, _ := strings.Cut(values[i], " ")
		age, err := strconv.ParseInt(values[i+1], 10, 64)
		if err != nil {
			return fmt.Errorf("reading when a replica was seen: %w", err)
		}
		if seen[of] == nil {
			seen[of] = map[string]time.Time{}
		}
		seen[of][address] = now.Add(-time.Duration(age) * time.Millisecond)
	}
	s.seen.Store(&seen)
	return nil
}

// replicasOf returns the replicas of a server, as they were counted last.
func (s *Store) replicasOf(server redis.UniversalClient) replicas {
	v, _ := s.replicas.Load(server)
	r, _ := v.(replicas)
	return r
}

// executeSafe runs a pipeline on a server's connection, and returns errNotReplicated
// unless all replicas have what it has written: those known before, and those that are
// there when WAIT has returned. WAIT returns only how many have it: if there are no more
// replicas by then, all of them do. If one has joined since the last count, WAIT is sent
// once more.
func (s *Store) executeSafe(ctx context.Context, server *redis.Client, conn *redis.Conn, p redis.Pipeliner) error {
	for {
		want := s.replicasOf(server).want()
		wait := redis.NewIntCmd(noContext, "wait", want, max(s.budget/2, time.Millisecond).Milliseconds())
		info := redis.NewStringCmd(noContext, "info", "replication")
		if want > 0 {
			p.Process(ctx, wait)
		}
		p.Process(ctx, info)
		execute(ctx, p)
		now := want
		switch err := info.Err(); {
		case err == nil:
			now = s.count(server, info.Val()).want()
		case !forbidden(err): // else nobody knows of others: see commands
			return fmt.Errorf("%w: %w", errNotReplicated, err)
		}
		switch {
		case wait.Err() != nil:
			return fmt.Errorf("%w: %w", errNotReplicated, wait.Err())
		case wait.Val() >= int64(now):
			return nil
		case now <= want:
			return errNotReplicated
		}
		p = conn.Pipeline()
	}
}
