package caddymodule

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

const (
	streamShards = 64
	// streamCheckInterval is how often all streams are judged again: tokens expire, and
	// stores fall silent, without a word.
	streamCheckInterval = 500 * time.Millisecond
	// streamReads is how many tokens are read from the store at once.
	streamReads = 32
)

// streams are the requests under way that were forwarded for a token of a store.
type streams struct {
	cache  *cache.Cache
	shards [streamShards]streamShard

	mu      sync.Mutex
	changed touched       // since the streams were judged last
	wake    chan struct{} // holds a value when there are changes

	busy    atomic.Bool // a regular check waits for the store
	stop    context.CancelFunc
	running sync.WaitGroup
}

// streamShard is some of the streams. Requests add themselves to a random one.
type streamShard struct {
	mu     sync.Mutex
	all    map[*stream]struct{}
	closed bool
	_      [40]byte // so that no two share a cache line
}

// touched is what changes of the store were about.
type touched struct {
	digests map[token.Digest]bool
	owners  map[string]bool
	all     bool
}

func (t *touched) has(s *stream) bool {
	return t.all || t.digests[s.digest] || t.owners[s.owner]
}

func newStreams() *streams {
	s := &streams{wake: make(chan struct{}, 1)}
	s.changed.clear()
	for i := range s.shards {
		s.shards[i].all = map[*stream]struct{}{}
	}
	return s
}

func (t *touched) clear() {
	*t = touched{digests: map[token.Digest]bool{}, owners: map[string]bool{}}
}

// watch starts judging streams by what the cache knows of their tokens.
func (s *streams) watch(c *cache.Cache) {
	s.cache = c
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.run(ctx) })
}

// close cuts all streams: nobody hears any more when their tokens end.
func (s *streams) close() {
	s.stop()
	for i := range s.shards {
		s.shards[i].close()
	}
	s.running.Wait()
}

// begin adds a stream.
func (s *streams) begin(st *stream) {
	sh := &s.shards[rand.Uint32()%streamShards]
	st.shard = sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.all[st] = struct{}{}
	if sh.closed {
		sh.cut(st, policy.StoreUnavailable)
	}
}

// remove takes a stream off, and waits where it is just being cut.
func (sh *streamShard) remove(st *stream) {
	sh.mu.Lock()
	cutting := st.cutting
	if cutting == nil {
		delete(sh.all, st)
	}
	sh.mu.Unlock()
	if cutting != nil {
		<-cutting
	}
}

// cut takes a stream off the list and ends it. The shard is locked.
func (sh *streamShard) cut(st *stream, reason policy.Reason) {
	delete(sh.all, st)
	st.cutting = make(chan struct{})
	st.ended.Store(uint32(reason))
	streamsCut[reason].Inc()
	go func() { // a WebSocket may take a moment
		defer close(st.cutting)
		st.cut(reason)
	}()
}

func (sh *streamShard) close() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.closed = true
	for st := range sh.all {
		sh.cut(st, policy.StoreUnavailable)
	}
}

// hear is told of every change of the store, after the cache.
func (s *streams) hear(c store.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.all = s.changed.all || c.Reset
	for _, d := range c.Digests {
		s.changed.digests[d] = true
	}
	for _, name := range c.Owners {
		s.changed.owners[name] = true
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// again judges a stream that has just begun: its token may have ended between when it was
// judged and now. The cache drops a token before hear is told that it has changed: if it is
// still cached, hear is yet to be called, and will find the stream.
func (s *streams) again(st *stream) {
	sh := st.shard
	sh.mu.Lock()
	known := true
	if _, on := sh.all[st]; on {
		known = sh.judge(st, time.Now(), s.held)
	}
	sh.mu.Unlock()
	if !known {
		s.hear(store.Change{Digests: []token.Digest{st.digest}})
	}
}

// takeChanges returns the changes since the last call.
func (s *streams) takeChanges() touched {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.changed
	s.changed.clear()
	return t
}

func (s *streams) run(ctx context.Context) {
	regular := time.NewTicker(streamCheckInterval)
	defer regular.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			changed := s.takeChanges()
			if unknown := s.check(changed.has, s.held); len(unknown) > 0 {
				s.running.Go(func() { s.ask(ctx, unknown) })
			}
		case <-regular.C:
			unknown := s.check(func(*stream) bool { return true }, s.held)
			if len(unknown) > 0 && s.busy.CompareAndSwap(false, true) {
				s.running.Go(func() {
					defer s.busy.Store(false)
					s.ask(ctx, unknown)
				})
			}
		}
	}
}

// verdict is what is known of a token: what it is, or why streams with it end.
type verdict struct {
	subject *policy.Subject
	reason  policy.Reason // policy.Forward: subject says
}

// look returns what is known of a token, if anything is.
type look func(*token.Digest, time.Time) (v verdict, ok bool)

// held returns what is held of a token.
func (s *streams) held(d *token.Digest, now time.Time) (v verdict, ok bool) {
	subject, answer := s.cache.Look(d, now)
	switch answer {
	case cache.Held:
		return verdict{subject: subject}, true
	case cache.Unknown:
		return verdict{reason: policy.TokenUnknown}, true
	}
	return v, false
}

// check judges the streams that are chosen and due, and cuts those that would
// not begin now. It returns the tokens that look knows nothing of.
func (s *streams) check(chosen func(*stream) bool, look look) (unknown map[token.Digest]bool) {
	now := time.Now()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for st := range sh.all {
			if st.due(now) && chosen(st) && !sh.judge(st, now, look) {
				if unknown == nil {
					unknown = map[token.Digest]bool{}
				}
				unknown[st.digest] = true
			}
		}
		sh.mu.Unlock()
	}
	return unknown
}

// judge cuts a stream that would not begin now. It reports whether look knows the token.
// The shard is locked.
func (sh *streamShard) judge(st *stream, now time.Time, look look) (known bool) {
	v, known := look(&st.digest, now)
	if known && v.reason == policy.Forward {
		v.reason = st.judge(v.subject, now)
	}
	if v.reason != policy.Forward {
		sh.cut(st, v.reason)
	}
	return known
}

// ask asks the store for tokens and judges their streams by the answers. While
// it can't be asked, a stream may go on for as long as a new request could: for
// cache.Options.MaxStale. One failure is enough to believe that of the whole
// store, so that many streams don't wait for it one after the other.
func (s *streams) ask(ctx context.Context, digests map[token.Digest]bool) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	var down atomic.Bool
	answers := make(map[token.Digest]verdict, len(digests))
	free := make(chan struct{}, streamReads)
	for d := range digests {
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			v := s.verdictOf(ctx, d, &down)
			mu.Lock()
			defer mu.Unlock()
			answers[d] = v
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return
	}
	s.check(func(st *stream) bool { return digests[st.digest] }, func(d *token.Digest, _ time.Time) (verdict, bool) {
		v, ok := answers[*d]
		return v, ok
	})
}

func (s *streams) verdictOf(ctx context.Context, d token.Digest, down *atomic.Bool) verdict {
	now := time.Now()
	if down.Load() {
		if subject := s.cache.Stale(&d, now); subject != nil {
			return verdict{subject: subject}
		}
	}
	subject, known, err := s.cache.FetchFresh(ctx, d, now)
	switch {
	case err != nil:
		down.Store(true)
		if subject := s.cache.Stale(&d, now); subject != nil {
			return verdict{subject: subject}
		}
		return verdict{reason: policy.StoreUnavailable}
	case !known:
		return verdict{reason: policy.TokenUnknown}
	}
	return verdict{subject: subject}
}

// open returns how many streams there are.
func (s *streams) open() int {
	now := time.Now()
	return s.count(func(st *stream) bool { return st.due(now) })
}

// count returns how many requests under way are such.
func (s *streams) count(such func(*stream) bool) (n int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for st := range sh.all {
			if such(st) {
				n++
			}
		}
		sh.mu.Unlock()
	}
	return n
}
