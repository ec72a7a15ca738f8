// Package redis keeps tokens in Redis or Valkey, for any number of gateways:
// on one server, under Sentinel, or in a Cluster.
//
// # Layout
//
// Keys begin with a prefix, "patgate" by default, written P here. The keys with
// {P}, a hash tag, are on one server of a Cluster; the tokens are spread over all.
//
//	P:t:<digest>    string   a token, by the 32 bytes of its digest: see value.go
//	{P}:o:<owner>   string   an owner's record: see parseOwner
//	{P}:head        hash     n, mark: the position and the mark of the last change
//	                         events: the number of the last event
//	                         mark:<name>: see Mark; confirmed: see Confirm
//	{P}:feed        stream   the changes: entry n-0 is the change to position n
//	{P}:changes     hash     changes under way, by their marks: 8 random bytes each
//	{P}:claim:<id>  string   the mark of the change that may make this token
//	{P}:ids         zset     id, 0, digest: where each token is
//	{P}:own:<owner> zset     the ids of the owner's tokens
//	{P}:owners      zset     the ids of the owners with a record
//	{P}:gateways    hash     name: how far it follows, when it said so, and more
//	{P}:replicas    hash     history and address: when a replica was seen last
//	{P}:uses        hash     id: when a token was used last, and from where
//	{P}:events      stream   the audit trail: entry n-0 is event n
//	{P}:eventsby    zset     t, id, 0, number and o, owner, 0, number: whose events
//
// # A change of tokens
//
// A change touches keys on several servers, and its process may die at any point.
// So it is made in steps, one of which decides:
//
//  1. begin: the change is announced, entered in {P}:changes as pending.
//  2. Each token key it changes becomes an intent: the value before, the value
//     after, and the mark of the change.
//  3. commit, one script on one server: the change is marked as committed, the
//     indexes are changed, its events are recorded, and an entry is appended to
//     the feed.
//  4. Each intent becomes the value after, or before if the change was aborted.
//  5. The entry in {P}:changes is removed.
//
// A reader that finds an intent looks its change up: if that is committed, the
// value after holds, otherwise the value before. A crash leaves one of these:
//
//   - Before the commit: a pending change, and perhaps intents that read as if
//     they weren't there. Nothing of the change shows anywhere.
//   - After the commit: a committed change, and perhaps intents that read as they
//     should. All of the change shows, everywhere: it is in the indexes, and
//     gateways have heard of it.
//
// No change is ever half visible, and none is visible before gateways have heard
// of it. What a crash leaves costs one more read per lookup. The first gateway
// that finds it ten seconds old clears it away. A change that it is in the way of
// does so sooner: it aborts the pending one, which then can't commit.
//
// A command may arrive long after its process has given up, and a fail-over
// between two steps may take the first one back, so that the second one meets a
// server that doesn't know of it. So no step relies on an earlier one:
//
//   - One server is asked. An intent is written only if {P}:changes has the change
//     as pending. The change is committed only if it is pending and all its intents
//     are there. Steps 4 and 5 are one script, which does nothing unless
//     {P}:changes says how the change has ended.
//   - In a Cluster the keys are on several servers, and can't be asked for. There
//     all replicas of a server confirm a step before the next one is made: the
//     intents before the commit, the commit (or the abort) before step 4, step 4
//     before step 5. A change that isn't confirmed is left as it is, for whoever
//     finds it. A late intent reads as if it weren't there, and for a minute
//     gateways remember to look for it.
//
// A change of an owner's record is one script, between steps 1 and 5.
//
// # What Redis may lose
//
// A change is as durable as Redis makes it: with appendonly yes and appendfsync
// always it survives the death of the server, with everysec up to a second of
// changes may be lost. If the master has replicas, a change is acknowledged once
// all of them have it as well (WAIT). With min-replicas-to-write 1 a master that
// was cut off from its replicas stops taking changes. maxmemory-policy must be
// noeviction.
//
// When a server comes back with less than it had, gateways notice: every entry
// of the feed carries the mark of the one before. They tell their watchers to
// read everything again, and they remember the versions of the records changed
// most recently (16,384 of them). An older version of one of these is not served,
// nor changed into something that serves; it is an error until the token is
// revoked or deleted. A server can bring back what it lost if no running gateway
// remembers it: this is the bound of the promise.
//
// # Where things are
//
// What is kept, and how it is sent:
//
//	keys.go        the names of the keys
//	value.go       what they hold
//	scripts.go     what Redis runs at once
//	send.go        commands, and who must confirm them
//	errors.go      what errors mean
//	lookup.go      lookups that travel together
//
// Reading:
//
//	find.go        the token of a secret
//	async.go       the same, without waiting for it
//	ownercache.go  owners' records in memory, for both
//	list.go        a token by its id, and lists of tokens
//	records.go     token records, while changes are under way
//	events.go      the audit trail
//	uses.go        last uses
//	mark.go        marks of the store
//
// Changing:
//
//	tokens.go      what may be done to tokens
//	owners.go      what may be done to owners' records, and lists of them
//	change.go      a change, tried until it is made or can't be
//	steps.go       its steps
//	abandoned.go   what processes that died have left of theirs
//	replicas.go    the replicas that must confirm a change
//
// Hearing of changes:
//
//	feed.go        following the feed, and what it means when it breaks off
//	passed.go      the entries that were taken in last
//	watch.go       taking a change in, and telling the watchers
//	heard.go       whether changes are heard
//
// What Redis has lost:
//
//	floors.go      the versions that records must not fall behind
//	missing.go     tokens that are listed and have no record
//	unlisted.go    tokens that have a record and aren't listed
//	losses.go      reporting it
//
// Gateways and servers:
//
//	options.go     where Redis is
//	beat.go        what a gateway says of itself, every second
//	gateways.go    who follows, and how far
//	server.go      the servers, and whether each answers
//	setup.go       what is wrong with a server's setup, or its clock
//	rights.go      what the redis user may not do
//	master.go      whether the server that is reached is still the master
//	stats.go       what is counted
//
//	check*.go      inconsistencies, and mending them
package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// Store is a store.Store in Redis.
type Store struct {
	options  *redis.UniversalOptions // of client
	client   redis.UniversalClient
	cluster  *redis.ClusterClient // client, where that is one
	keys     keys
	name     string // of this gateway
	where    string // the address, for people
	budget   time.Duration
	patience time.Duration // how long a change waits for another that holds a key it needs, before it aborts that one
	log      *slog.Logger

	// Lookups.
	lanes   sync.Map // of *lane, by the *redis.Client it reads from
	owners  ownerCache
	floors  floors
	missing missing
	served  served

	// Changes.
	changes  chan struct{}             // a semaphore: see inTurn
	replicas sync.Map                  // of replicas, by the *redis.Client that has them
	counting sync.Mutex                // of replicas
	seen     atomic.Pointer[sightings] // replicas, by any gateway; nil: not asked yet

	// The feed.
	feed     redis.UniversalClient // its one connection waits for changes; only follow uses it, and closing is held to close it
	feedAddr string                // see Options
	closing  sync.Mutex
	reopen   atomic.Bool // it is to be opened anew
	told     telling
	passed   passed
	heard    atomic.Pointer[time.Time] // when the last read was sent that reached the end of the feed

	// Beats, and whether the server that takes them is the master.
	beatSoon  chan struct{}
	beaten    atomic.Pointer[time.Time] // when the last good beat was sent
	holds     atomic.Int64              // see Holds: nanoseconds
	cutOff    atomic.Bool               // the server may not be the master: see outvoted
	sentinels []*redis.Client           // asked for the master; nil: there are none

	denied    atomic.Pointer[deniedError] // what the redis user may not do
	refusal   atomic.Pointer[error]       // of the last beat; nil error: it was taken
	feedError atomic.Pointer[error]       // of the last read of the feed
	lostAll   atomic.Pointer[string]      // the warning that Redis has lost a piece of the feed

	warning sync.Mutex                       // held while the servers' setup is looked at
	setup   atomic.Pointer[map[string]setup] // what it would lose, by the servers' addresses
	losses  losses
	stats   counters

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup
}

// Open returns the store that opts describe. It doesn't wait for Redis: calls
// fail, quickly, until it can be reached. An error is about opts, and carries no
// credentials.
func Open(opts Options) (*Store, error) {
	o, err := opts.universal()
	if err != nil {
		return nil, err
	}
	silence()
	s := &Store{
		options:   o,
		client:    redis.NewUniversalClient(o),
		keys:      newKeys(opts.KeyPrefix),
		name:      cmp.Or(opts.name, gatewayName()),
		where:     location(o),
		budget:    opts.Budget,
		patience:  2 * opts.Budget,
		log:       opts.Logger,
		changes:   make(chan struct{}, maxChanges),
		feedAddr:  opts.feedAddr,
		beatSoon:  make(chan struct{}, 1),
		sentinels: sentinels(o),
	}
	s.cluster, _ = s.client.(*redis.ClusterClient)
	s.feed = s.openFeed()
	s.holds.Store(int64(usualHolds))
	s.told.moved = make(chan struct{})
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.work.Go(s.follow)
	s.work.Go(s.beat)
	s.work.Go(s.sweepListed)
	s.work.Go(s.sweepServed)
	return s, nil
}

// Warnings returns the warnings of Status. It asks no server.
func (s *Store) Warnings() (all []string) {
	if lost := s.lostAll.Load(); lost != nil {
		all = append(all, *lost)
	}
	if s.missing.any() {
		all = append(all, errMissing.Error())
	}
	setups := s.setups()
	for _, address := range slices.Sorted(maps.Keys(setups)) {
		for _, w := range setups[address].warnings {
			all = append(all, address+": "+w)
		}
	}
	return all
}

// Status implements store.Store.
func (s *Store) Status(ctx context.Context) (store.Status, error) {
	st := store.Status{Kind: "redis", Location: strings.TrimPrefix(s.where, "redis "), Warnings: s.Warnings()}
	if err := s.unheardFor(); err != nil {
		st.Unheard = err.Error()
	}
	head := redis.NewStringCmd(ctx, "hget", s.keys.head, "n")
	tokens := redis.NewIntCmd(ctx, "zcard", s.keys.ids)
	owners := redis.NewIntCmd(ctx, "zcard", s.keys.owners)
	err := s.send(ctx, head, tokens, owners)
	if err != nil {
		return st, s.reading("the token store's status", err)
	}
	n, _ := head.Uint64() // none yet: 0
	st.Position, st.Tokens, st.Owners = store.Position(n), int(tokens.Val()), int(owners.Val())
	st.Gateways = []store.Gateway{}
	all, now, err := s.gateways(ctx)
	if err != nil {
		return st, s.reading("the gateways", err)
	}
	ahead := time.Since(now).Truncate(time.Millisecond) // of the server's clock, by which gateways say when they were there
	for _, g := range all {
		g.LastSeen = g.LastSeen.Add(ahead)
		st.Gateways = append(st.Gateways, g.Gateway)
	}
	return st, nil
}

// Close stops following and closes the connections. Watchers are not called
// any more when it returns.
func (s *Store) Close() error {
	if s.ctx.Err() != nil {
		return nil
	}
	s.stop()
	s.closing.Lock()
	err := s.feed.Close() // which ends follow
	s.closing.Unlock()
	s.work.Wait()
	s.leave() // after the last beat
	err = errors.Join(err, s.client.Close())
	for _, sentinel := range s.sentinels {
		err = errors.Join(err, sentinel.Close())
	}
	if err != nil {
		return fmt.Errorf("closing token store %s: %w", s.where, err)
	}
	return nil
}

// Interface guards
var (
	_ store.Store  = (*Store)(nil)
	_ store.Shared = (*Store)(nil)
	_ store.Async  = (*Store)(nil)
)
