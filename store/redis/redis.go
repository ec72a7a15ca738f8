// Package redis keeps tokens in Redis or Valkey, for any number of gateways:
// on one server, under Sentinel, or in a Cluster.
//
// # Layout
//
// Keys begin with a prefix, "patgate" by default, here P. The keys with {P}, a
// hash tag, are on the same server of a Cluster; the tokens are spread over all.
//
//	P:t:<digest>    string   a token, by the 32 bytes of its digest: see type value
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
// A change touches keys on several servers, and its process may die anywhere.
// So it goes in steps, of which one decides:
//
//  1. begin: the change is announced, entered in {P}:changes as pending.
//  2. Each token key it changes becomes an intent: the value before, the value
//     after, and the mark of the change.
//  3. commit, one script on one server: the change is marked as committed, the
//     indexes are changed, its events are recorded, and an entry is appended to
//     the feed.
//  4. Each intent becomes the value after, or before where the change was aborted.
//  5. The entry in {P}:changes is removed.
//
// Whoever reads an intent looks its change up: the value after it holds if that
// is committed, else the value before. This is what a crash leaves behind:
//
//   - before the commit: a pending change, and perhaps intents that read as if
//     they weren't there. Nothing of the change shows anywhere.
//   - after it: a committed change, and perhaps intents that read as they should.
//     All of the change shows, everywhere: it is in the indexes, and gateways
//     have heard of it.
//
// Nothing serves half, and no change shows that gateways haven't heard of.
// Both leftovers cost one more read per lookup and are cleared away by the
// first gateway that finds them ten seconds old, or sooner by a change that
// they are in the way of: it aborts the pending one, which then can't commit.
//
// What was sent may arrive long after its process has given up, and a fail-over between
// two steps may take the first one back, so that the second one meets a server that
// doesn't know of it. So no step counts on one that was made before:
//
//   - On one server it asks. An intent is written if {P}:changes has the change as
//     pending; it is committed if it is pending and all its intents are there; and steps
//     4 and 5 are one script, which does nothing unless {P}:changes says how the change
//     has ended. So does whoever else ends it.
//   - In a Cluster keys are on several servers, and can't be asked for. There a step is
//     confirmed by all replicas of its server before the next one is made: the intents
//     before the commit, the commit (or that the change is aborted) before step 4, that
//     before step 5. What isn't confirmed is left as it is, for whoever finds it.
//     An intent that comes late reads as if it weren't there, and for a minute gateways
//     remember to look for it.
//
// A change of an owner's record is one script, between steps 1 and 5.
//
// # What Redis may lose
//
// A change is as durable as Redis makes it: with appendonly yes and appendfsync
// always it survives the death of the server, with everysec up to a second of
// changes may be lost. Where the master has replicas, a change is acknowledged
// when all of them have it as well (WAIT). With min-replicas-to-write 1 a master
// that was cut off from its replicas stops taking changes. maxmemory-policy
// must be noeviction.
//
// When a server comes back with less than it had, gateways see it: every entry
// of the feed carries the mark of the one before. They tell their watchers to
// read everything again, and remember the versions of the records changed most
// recently (16,384 of them): an older version of one of these is not served,
// nor is it changed into something that serves; it is an error until the token
// is revoked or deleted. What no running gateway remembers, a server that lost
// it can bring back: this is the bound of the promise.
//
// # Where things are
//
// What is kept, and how it is sent:
//
//	keys.go        the names of the keys
//	value.go       what they hold
//	scripts.go     what Redis runs at once
//	send.go        commands, and what their errors mean
//	lookup.go      lookups that travel together
//
// Reading:
//
//	find.go        the token of a secret
//	async.go       the same, for whom nobody waits
//	owners_held.go owners' records that are kept in memory for it
//	list.go        a token by its id, and lists of tokens
//	records.go     what is kept by digest, while changes are under way
//	events.go      the audit trail
//	uses.go        last uses
//	mark.go        what a store is marked with
//
// Changing:
//
//	tokens.go      what may be done to tokens
//	owners.go      the same for owners' records, and their lists
//	change.go      a change, tried until it is made or can't be
//	steps.go       its steps
//	abandoned.go   what processes that died have left of theirs
//	replicas.go    who must confirm
//
// Hearing of changes:
//
//	feed.go        the feed, and what it means when it breaks off
//	passed.go      the entries that were taken in last
//	watch.go       who is told
//	floors.go      the versions that records must not fall behind
//	sweep.go       whether the tokens that are listed are there
//	unlisted.go    whether those that are found are listed
//
// Gateways and servers:
//
//	options.go     where Redis is
//	beat.go        what a gateway says of itself, every second
//	gateways.go    who follows, and how far
//	server.go      the servers, and whether each answers
//	setup.go       what is wrong with how a server is set up, or with its clock
//	rights.go      what the redis user may not do
//	master.go      whether the one that is reached is still the master
//	stats.go       what is counted
//
//	check*.go      what is at odds, and mending it
package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// Errors of a Store. Like every error but store.ErrNotFound and store.ErrExists
// they say nothing about a token.
var (
	// errNotReplicated means that a change is made and every gateway is told of
	// it, but not every replica of the Redis server has confirmed it: should the server
	// be lost now, so may be the change.
	errNotReplicated = errors.New("the change is stored, but not every replica has confirmed it yet")
	// errLost means that Redis shows an older record than this process has seen:
	// a fail-over, or a restart without persistence, has lost a change. The
	// record is not used until it is ended or made again: see remedy.
	errLost = errors.New("redis has lost a change of this record")

	errClosed = errors.New("the token store is closed")
)

// Store is a store.Store in Redis.
type Store struct {
	options  *redis.UniversalOptions // of client
	client   redis.UniversalClient
	cluster  *redis.ClusterClient // client, where that is one
	keys     keys
	name     string // of this gateway
	where    string // for people: the address
	budget   time.Duration
	patience time.Duration // how long a change waits for another that holds a key it needs, before it aborts that one
	log      *slog.Logger

	// Lookups.
	lanes   sync.Map // of *lane, by the *redis.Client it reads from
	owners  owners
	floors  floors
	missing missing
	served  served

	// Changes.
	changes  chan struct{}             // a semaphore: see inTurn
	replicas sync.Map                  // of replicas, by the *redis.Client that has them
	counting sync.Mutex                // of replicas
	seen     atomic.Pointer[sightings] // replicas, by any gateway; nil: not asked yet

	// The feed.
	feed     redis.UniversalClient // its one connection waits for changes; used by follow alone, closed with closing held
	feedAddr string                // see Options
	closing  sync.Mutex
	reopen   atomic.Bool // it is to be opened anew
	told     telling
	passed   passed
	heard    atomic.Pointer[time.Time] // when it was last asked for what there was, and brought all of it

	// Beats, and whether the server that takes them is the master.
	beatSoon  chan struct{}
	beaten    atomic.Pointer[time.Time] // when the last good beat was sent
	holds     atomic.Int64              // see Holds: nanoseconds
	cutOff    atomic.Bool               // the server may not be the master: see outvoted
	sentinels []*redis.Client           // whom it asks, where there are any

	missed    atomic.Pointer[missingError] // what the redis user may not do
	refusal   atomic.Pointer[error]        // of the last beat; nil error: it was taken
	feedError atomic.Pointer[error]        // of the last read of the feed
	lostAll   atomic.Pointer[string]       // when Redis has lost a piece of the feed, and how much

	setup  atomic.Pointer[[]string] // what the servers' setup would lose
	warned sync.Map                 // of that, by a server's run id and what may happen
	stats  counters

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup
}

// Open returns the store that opts describe. It doesn't wait for Redis: calls
// fail, quickly, until it can be reached. An error is one in opts, and carries
// no credentials.
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
	s.work.Go(s.sweep)
	s.work.Go(s.sweepServed)
	return s, nil
}

// Warnings returns those of the status. It asks no server.
func (s *Store) Warnings() (all []string) {
	if lost := s.lostAll.Load(); lost != nil {
		all = append(all, *lost)
	}
	if s.missing.any() {
		all = append(all, errMissing.Error())
	}
	if setup := s.setup.Load(); setup != nil {
		all = append(all, *setup...)
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
	s.leave() // behind the last beat
	err = errors.Join(err, s.client.Close())
	for _, sentinel := range s.sentinels {
		err = errors.Join(err, sentinel.Close())
	}
	if err != nil {
		return fmt.Errorf("closing token store %s: %w", s.where, err)
	}
	return nil
}

// at says where err came from. It is for what is done with one token or owner, or a few
// tokens: the caller says what that was.
func (s *Store) at(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.where, err)
}

// reading says what was being read when err came.
func (s *Store) reading(what string, err error) error {
	return fmt.Errorf("reading %s from %s: %w", what, s.where, err)
}

// changing says what was being done when err came.
func (s *Store) changing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s in %s: %w", what, s.where, err)
}

// Interface guards
var (
	_ store.Store  = (*Store)(nil)
	_ store.Shared = (*Store)(nil)
	_ store.Async  = (*Store)(nil)
)
